//! Square on a linear model, where every step can be followed.

use super::proposals::pattern;
use super::*;
use crate::attack::ball::length;
use crate::attack::run;
use crate::attack::toy::{Linear, images, target};
use rlnet_suites::AttackSpec;
use tch::Kind;

fn spec(text: &str) -> AttackSpec {
    text.parse().expect(text)
}

#[test]
fn patches_shrink_as_in_the_reference() {
    for (iteration, share) in [
        (0, 0.8),
        (10, 0.8),
        (11, 0.4),
        (51, 0.2),
        (4999, 0.00625),
        (9000, 0.0015625),
    ] {
        assert_eq!(patch_share(0.8, iteration), share, "{iteration}");
    }
}

#[test]
fn the_pattern_of_side_three_worked_by_hand() {
    let (a, b) = (1.6875_f32.sqrt(), 1.875_f32.sqrt());
    let rows = [
        [0.25 / a, 1.25 / a, 0.25 / a],
        [-0.25 / b, -0.25 / b, -0.25 / b],
        [-0.25 / b, -1.25 / b, -0.25 / b],
    ];
    let want = Tensor::from_slice2(&rows) / 2.0_f64.sqrt();
    let away = (pattern(3).reshape([3, 3]) - want).abs().max();
    assert!(away.double_value(&[]) < 1e-6);
}

/// A stream is followed whatever the budget, so a longer search can only have a lower loss;
/// images that stand to the end cost exactly the budget.
#[test]
fn the_loss_never_rises_and_queries_are_counted() {
    let model = Linear::random(5, 3 * 10 * 14);
    let (x, y) = images(&model, 6, 10, 14);
    for text in ["square:eps=0.001", "square:norm=l2,eps=0.01"] {
        let spec = spec(text);
        let mut before = Tensor::full([6], f64::INFINITY, tch::kind::FLOAT_CPU);
        for budget in [1, 2, 5, 20, 60, 120] {
            let target = target(&model, &x, &y, 0, 6);
            let mut proposals = Proposals::new(&target, spec.norm(), spec.eps().expect("a radius"));
            let mut sampler = PatchSampler::keyed(&target, 0);
            let mut active = ActiveRows::all(&target);
            let held = search(&mut active, &mut proposals, &mut sampler, 0.8, budget).expect("search");
            active.write(&held);
            let right = Vec::<bool>::try_from(active.flags()).expect("flags");
            let points = active.into_points();
            let spent = target.spent();
            assert_eq!(spent.backwards, [0; 6]);
            for (forwards, right) in spent.forwards.iter().zip(right) {
                let used = *forwards as usize;
                assert!(
                    if right { used == budget } else { used <= budget },
                    "{used} of {budget}"
                );
            }
            let loss = -margin(&target.logits(&points).expect("logits"), &y);
            assert!(
                loss.le_tensor(&before).all().int64_value(&[]) == 1,
                "{loss} after {before}"
            );
            let away = length(&(&points - &x), spec.norm()).max().double_value(&[]);
            // The rounding of the pixels comes on top.
            assert!(away <= spec.eps().expect("a radius") + 1e-6, "{away}");
            before = loss;
        }
    }
}

#[test]
fn the_whole_attack_spends_at_most_its_budget() {
    let model = Linear::random(5, 3 * 8 * 8);
    let (x, y) = images(&model, 5, 8, 8);
    // Images 3 and 4 are wrong from the start: one query shows it.
    let y = &y + Tensor::from_slice(&[0_i64, 0, 0, 1, 1]);
    let y = y.remainder(5);
    for (queries, restarts) in [(1, 1), (2, 1), (30, 1), (30, 2)] {
        let spec = spec(&format!(
            "square:eps=0.00001,queries={queries},restarts={restarts}"
        ));
        let target = target(&model, &x, &y, 0, 5);
        let made = run(&spec, &target, None).expect("square");
        assert_eq!(
            target.spent().forwards,
            [queries * restarts, queries * restarts, queries * restarts, 1, 1]
        );
        assert!(made.equal(&x), "what was not fooled comes back clean");
    }
    let none = target(&model, &x, &y, 0, 0);
    assert_eq!(run(&spec("square"), &none, None).expect("nothing").size()[0], 0);
}

#[test]
fn an_image_gets_the_same_points_in_every_batch() {
    let model = Linear::random(4, 3 * 9 * 12);
    let (x, y) = images(&model, 23, 9, 12);
    for text in [
        "square:eps=0.03,queries=30",
        "square:norm=l2,eps=0.8,queries=30,restarts=2",
    ] {
        let spec = spec(text);
        let whole = run(&spec, &target(&model, &x, &y, 0, 23), None).expect(text);
        let moved = length(&(&whole - &x), spec.norm()).gt(0.0);
        let moved = moved.sum(Kind::Int64).int64_value(&[]);
        assert!(
            (1..23).contains(&moved),
            "{text}: {moved} of 23 fooled tell nothing"
        );
        for size in [1, 7] {
            for first in (0..23).step_by(size) {
                let n = (size as i64).min(23 - first);
                let part = run(&spec, &target(&model, &x, &y, first, n), None).expect(text);
                assert!(
                    part.equal(&whole.narrow(0, first, n)),
                    "{text}: from {first}, {n}"
                );
            }
        }
    }
}

/// The reference's random stream does not depend on our batches of lanes.
#[test]
fn the_replayed_stream_repeats_itself() {
    let model = Linear::random(4, 3 * 9 * 9);
    let (x, y) = images(&model, 9, 9, 9);
    for text in [
        "square:eps=0.02,queries=40,reference_rng=true",
        "square:norm=l2,eps=0.5,queries=40,reference_rng=true",
    ] {
        let once = run(&spec(text), &target(&model, &x, &y, 0, 9), None).expect(text);
        let again = run(&spec(text), &target(&model, &x, &y, 0, 9), None).expect(text);
        assert!(once.equal(&again), "{text}");
    }
}
