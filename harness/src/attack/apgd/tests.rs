//! Auto-PGD on linear models, where the best point is known.

use super::*;
use crate::attack::run;
use crate::attack::toy::{Linear, images, target};
use tch::Kind;

fn spec(text: &str) -> AttackSpec {
    text.parse().expect(text)
}

fn verdict(target: &Target<'_>, points: &Tensor) -> Vec<bool> {
    Vec::try_from(target.fooled(&target.logits(points).expect("logits"))).expect("flags")
}

/// Two classes, images away from the walls: an image can be fooled exactly when its margin is
/// below eps times the dual norm of the difference of the weights.
#[test]
fn linear_models_fall_exactly_where_they_can() {
    let model = Linear::random(2, 3 * 6 * 5);
    let (x, _) = images(&model, 64, 6, 5);
    let x = x * 0.2 + 0.4;
    let labels = model_labels(&model, &x);
    let difference = model.weights.get(0) - model.weights.get(1);
    let whole = target(&model, &x, &labels, 0, 64);
    let logits = whole.logits(&x).expect("logits");
    let margins = Vec::<f32>::try_from((logits.select(1, 0) - logits.select(1, 1)).abs()).expect("margins");
    let mut sorted = margins.clone();
    sorted.sort_by(f32::total_cmp);
    for (norm, dual) in [
        ("linf", difference.abs().sum(Kind::Float)),
        ("l2", difference.norm()),
        ("l1", difference.abs().max()),
    ] {
        // Half of the images are within reach.
        let eps = format!("{:.5}", f64::from(sorted[32]) / dual.double_value(&[]));
        let reach = eps.parse::<f64>().expect("a number") * dual.double_value(&[]);
        let attack = spec(&format!("apgd-ce:norm={norm},eps={eps}"));
        let fooled = verdict(&whole, &run(&attack, &whole, None).expect("points"));
        let mut seen = [0; 2];
        for (margin, fooled) in margins.iter().map(|&margin| f64::from(margin)).zip(fooled) {
            // L1 moves a few values, not the best one alone.
            if margin < reach * if norm == "l1" { 0.9 } else { 0.999 } {
                assert!(fooled, "{norm}: margin {margin} is within reach {reach}");
            }
            if margin > reach * 1.001 {
                assert!(!fooled, "{norm}: margin {margin} is beyond reach {reach}");
            }
            seen[usize::from(fooled)] += 1;
        }
        assert!(
            seen.iter().all(|&count| count > 5),
            "{norm}: {seen:?} shows nothing"
        );
    }
}

fn model_labels(model: &Linear, x: &Tensor) -> Tensor {
    x.flatten(1, -1).matmul(&model.weights.tr()).argmax(1, false)
}

#[test]
fn no_image_knows_its_batch() {
    let model = Linear::random(5, 3 * 5 * 4);
    let (x, labels) = images(&model, 40, 5, 4);
    for text in [
        "apgd-ce:eps=0.01,steps=25,restarts=2",
        "apgd-dlr:norm=l2,eps=0.15,steps=25",
        "apgd-t:eps=0.01,steps=12,targets=3,restarts=2",
        "apgd-ce:norm=l1,eps=0.3,steps=25",
        "apgd-t:norm=l1,eps=0.3,steps=12",
    ] {
        let whole = target(&model, &x, &labels, 0, 40);
        let made = run(&spec(text), &whole, None).expect(text);
        let spent = whole.spent();
        let fooled = verdict(&whole, &made);
        let count = fooled.iter().filter(|&&fooled| fooled).count();
        assert!(
            (3..40).contains(&count),
            "{text}: {count} of 40 fooled shows nothing"
        );
        for batch in [1, 7, 32] {
            for from in (0..40).step_by(batch) {
                let n = batch.min(40 - from);
                let part = target(&model, &x, &labels, from as i64, n as i64);
                let points = run(&spec(text), &part, None).expect(text);
                assert_eq!(
                    points,
                    made.narrow(0, from as i64, n as i64),
                    "{text}, batches of {batch}"
                );
                assert_eq!(part.spent().forwards[..], spent.forwards[from..from + n]);
            }
        }
    }
}

#[test]
fn what_is_wrong_or_cannot_be_moved_costs_no_gradient_too_many() {
    let model = Linear::random(4, 3 * 3 * 2);
    let (x, labels) = images(&model, 9, 3, 2);
    let wrong = (&labels + 1).remainder(4);
    let all_wrong = target(&model, &x, &wrong, 0, 9);
    assert_eq!(run(&spec("apgd-t"), &all_wrong, None).expect("points"), x);
    assert_eq!(all_wrong.spent().forwards, [1; 9]);
    assert_eq!(all_wrong.spent().backwards, [0; 9]);
    let none = target(&model, &x, &labels, 0, 0);
    assert_eq!(run(&spec("apgd-ce"), &none, None).expect("none").size()[0], 0);
    // Nothing to be found in so small a ball; targets beyond the classes are not there.
    let held = target(&model, &x, &labels, 0, 9);
    let made = run(&spec("apgd-t:eps=1e-6,steps=10,targets=50"), &held, None).expect("points");
    assert_eq!(made, x);
    // The clean pass, then the start and ten steps for each of three targets.
    assert_eq!(held.spent().forwards, [1 + 3 * 11; 9]);
    assert_eq!(held.spent().backwards, [3 * 10; 9]);
}

#[test]
fn a_gradient_or_logit_that_is_no_number_makes_no_image_that_is_none() {
    let gradient = Tensor::from_slice(&[f32::NAN, 2.0, f32::INFINITY]).reshape([1, 3, 1, 1]);
    let tiny = Tensor::from_slice(&[3e-30_f32, -4e-30, 0.0]).reshape([1, 3, 1, 1]);
    for norm in [Norm::Linf, Norm::L2] {
        assert!(
            crate::attack::ball::ascent(&gradient, norm)
                .isfinite()
                .all()
                .int64_value(&[])
                == 1
        );
    }
    let want = Tensor::from_slice(&[0.6_f32, -0.8, 0.0]).reshape([1, 3, 1, 1]);
    assert!(
        (crate::attack::ball::ascent(&tiny, Norm::L2) - want)
            .abs()
            .max()
            .double_value(&[])
            < 1e-6
    );
    let mut model = Linear::random(4, 3 * 2 * 2);
    let (x, labels) = images(&model, 5, 2, 2);
    model.bias = &model.bias + f64::NAN;
    let blind = target(&model, &x, &labels, 0, 5);
    let made = run(&spec("apgd-t"), &blind, None).expect("points");
    assert_eq!((made.equal(&x), verdict(&blind, &made)), (true, vec![true; 5]));
}

#[test]
fn losses_without_enough_classes_are_refused() {
    for (classes, attack, refused) in [
        (2, "apgd-ce:steps=3", false),
        (2, "apgd-dlr", true),
        (3, "apgd-dlr:steps=3", false),
        (3, "apgd-t", true),
    ] {
        let model = Linear::random(classes, 3 * 2 * 2);
        let (x, labels) = images(&model, 3, 2, 2);
        let outcome = run(&spec(attack), &target(&model, &x, &labels, 0, 3), None);
        match outcome {
            Ok(_) => assert!(!refused, "{attack} on {classes} classes"),
            Err(error) => assert!(refused && error.to_string().contains("classes"), "{error}"),
        }
    }
}

/// One restart of the shrinking radius with the reference's stream: which images it fools.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn in_l1_one_restart_fools_what_the_reference_does() {
    use crate::attack::reference_models::{ReferenceModel, list};
    let key = "apgd_ce_l1_one_restart";
    let bench = ReferenceModel::open("robust", ReferenceModel::positions("robust", key));
    let target = bench.target();
    let made = run(&spec("apgd-ce:norm=l1,reference_rng=true"), &target, None).expect("points");
    let right: Vec<f64> = verdict(&target, &made)
        .into_iter()
        .map(|fooled| f64::from(u8::from(!fooled)))
        .collect();
    assert_eq!(right, list(&bench.numbers[key]["still_correct"]));
}
