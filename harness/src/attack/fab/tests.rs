//! FAB on a linear model, whose nearest adversarial is known.

use super::*;
use crate::attack::run as run_attack;
use crate::attack::toy::{Linear, images, target};
use crate::error::Error;

fn settings(norm: Norm, targets: Option<usize>) -> Settings {
    Settings {
        norm,
        steps: 30,
        restarts: 1,
        targets: targets.map(|count| (count, TargetOrder::Logits)),
        enough: None,
    }
}

/// Distance of a linear boundary: logit difference over the dual length of its normal. The
/// images are far from the walls for Linf and L2, so that the formula is exact.
#[test]
fn the_nearest_adversarial_of_a_linear_model_is_found() {
    let model = Linear::random(4, 3 * 6 * 8);
    let (x, _) = images(&model, 12, 6, 8);
    let x = x * 0.2 + 0.4;
    let logits = x.flatten(1, -1).matmul(&model.weights.tr());
    let y = logits.argmax(1, false);
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let mut exact = [f64::INFINITY; 12];
        for (row, exact) in exact.iter_mut().enumerate() {
            let label = y.int64_value(&[row as i64]);
            for other in (0..4).filter(|&other| other != label) {
                let normal = model.weights.get(other) - model.weights.get(label);
                let dual = match norm {
                    Norm::Linf => normal.abs().sum(Kind::Float),
                    Norm::L2 => normal.square().sum(Kind::Float).sqrt(),
                    Norm::L1 | Norm::L0 => normal.abs().max(),
                };
                let gap =
                    logits.double_value(&[row as i64, label]) - logits.double_value(&[row as i64, other]);
                *exact = exact.min(gap / dual.double_value(&[]));
            }
        }
        for targets in [None, Some(9)] {
            let target = target(&model, &x, &y, 0, 12);
            let nearest = nearest(&target, settings(norm, targets)).expect("nearest");
            assert_eq!(nearest.distance.isfinite().all().int64_value(&[]), 1);
            assert!(
                target
                    .fooled(&target.logits(&nearest.points).expect("logits"))
                    .all()
                    .int64_value(&[])
                    == 1
            );
            let away = length(&(&nearest.points - &x), norm);
            assert!(away.equal(&nearest.distance));
            for (row, exact) in exact.iter().enumerate() {
                let found = nearest.distance.double_value(&[row as i64]);
                // What beta and eta leave; walls can only make an L1 perturbation longer.
                let over = if norm == Norm::L1 { f64::INFINITY } else { 1.01 };
                assert!(
                    found > exact * 0.9999 && (found < exact * over),
                    "{norm} {targets:?}: {found} for {exact}"
                );
            }
        }
    }
}

#[test]
fn an_image_gets_the_same_points_in_every_batch() {
    let model = Linear::random(4, 3 * 5 * 7);
    let (x, y) = images(&model, 11, 5, 7);
    for (name, norm) in [("fab-t", Norm::Linf), ("fab", Norm::L2), ("fab-t", Norm::L1)] {
        // At the median of the distances about half of the images are broken.
        let targets = (name == "fab-t").then_some(9);
        let eight = Settings {
            steps: 8,
            ..settings(norm, targets)
        };
        let free = nearest(&target(&model, &x, &y, 0, 11), eight).expect("nearest");
        let eps = free.distance.median().double_value(&[]);
        let text = &format!("{name}:norm={norm},eps={eps},steps=8,restarts=2");
        let spec: AttackSpec = text.parse().expect(text);
        let whole = run_attack(&spec, &target(&model, &x, &y, 0, 11), None).expect(text);
        let away = length(&(&whole - &x), spec.norm());
        assert!(away.max().double_value(&[]) <= eps * (1.0 + 1e-6));
        let moved = away.gt(0.0).sum(Kind::Int64).int64_value(&[]);
        assert!(
            (1..11).contains(&moved),
            "{text}: {moved} of 11 fooled tell nothing"
        );
        for (first, n) in (0..11).map(|first| (first, 1)).chain([(0, 7), (4, 7)]) {
            let part = run_attack(&spec, &target(&model, &x, &y, first, n), None).expect(text);
            assert!(
                part.equal(&whole.narrow(0, first, n)),
                "{text}: from {first}, {n}"
            );
        }
    }
}

/// Whether an image is broken does not depend on when it leaves, and one that has left costs nothing.
#[test]
fn an_image_that_is_broken_leaves() {
    const STEPS: usize = 12;
    let model = Linear::random(4, 3 * 5 * 7);
    let (x, y) = images(&model, 11, 5, 7);
    for (norm, targets) in [(Norm::Linf, Some(9)), (Norm::L2, None)] {
        let all = Settings {
            steps: STEPS,
            ..settings(norm, targets)
        };
        let free = nearest(&target(&model, &x, &y, 0, 11), all).expect("nearest");
        let eps = free.distance.median().double_value(&[]);
        let enough = Some(eps);
        let active = target(&model, &x, &y, 0, 11);
        let found = nearest(&active, Settings { enough, ..all }).expect("nearest");
        assert!(found.distance.le(eps).equal(&free.distance.le(eps)), "{norm}");
        let spent = active.spent();
        // A run of `fab` has a backward pass a wrong class and step, `fab-t` a run a wrong class.
        let most = (3 * STEPS) as u32;
        for (row, &backwards) in spent.backwards.iter().enumerate() {
            let broken = found.distance.double_value(&[row as i64]) <= eps;
            assert_eq!(backwards < most, broken, "{norm}, image {row}: {backwards}");
        }
    }
}

#[test]
fn what_is_wrong_or_undefined_from_the_start() {
    let model = Linear::random(2, 3 * 4 * 4);
    let (x, y) = images(&model, 5, 4, 4);
    let wrong = 1 - &y;
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let all_wrong = target(&model, &x, &wrong, 0, 5);
        let nearest = nearest(&all_wrong, settings(norm, Some(9))).expect("nothing to do");
        assert!(nearest.points.equal(&x) && nearest.distance.max().double_value(&[]) == 0.0);
        assert_eq!(all_wrong.spent().forwards, [1; 5]);
    }
    // Two classes have one target: 1 + 30 (forward, forward and backward) passes.
    let two = target(&model, &x, &y, 0, 5);
    let found = nearest(&two, settings(Norm::L2, Some(9)))
        .expect("one target")
        .distance
        .isfinite();
    assert_eq!(found.all().int64_value(&[]), 1);
    assert_eq!((two.spent().forwards[0], two.spent().backwards[0]), (61, 30));
    assert!(nearest(&target(&model, &x, &y, 0, 0), settings(Norm::L1, None)).is_ok());
    let one = Linear::random(1, 3 * 4 * 4);
    let error = nearest(&target(&one, &x, &y.zeros_like(), 0, 5), settings(Norm::L2, None));
    assert!(matches!(error, Err(Error::Incompatible(why)) if why.contains("two classes")));
}
