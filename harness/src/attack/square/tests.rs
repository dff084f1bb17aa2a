//! Square on a linear model, where every step can be followed.

use super::proposals::pattern;
use super::*;
use crate::attack::ball::length;
use crate::attack::run;
use crate::attack::toy::{Linear, images, target};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
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
    let away = (pattern(3, Norm::L2).reshape([3, 3]) - want).abs().max();
    assert!(away.double_value(&[]) < 1e-6);
}

/// A stream is followed whatever the budget, so a longer search can only have a lower loss;
/// images that stand to the end cost exactly the budget.
#[test]
fn the_loss_never_rises_and_queries_are_counted() {
    let model = Linear::random(5, 3 * 10 * 14);
    let (x, y) = images(&model, 6, 10, 14);
    for text in [
        "square:eps=0.001",
        "square:norm=l2,eps=0.01",
        "square:norm=l1,eps=0.05",
    ] {
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
            // The rounding of the pixels comes on top; in L1 that of all 420 values.
            let rounding = if spec.norm() == Norm::L1 {
                420.0 * 6e-8
            } else {
                1e-6
            };
            assert!(away <= spec.eps().expect("a radius") + rounding, "{away}");
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
        "square:norm=l1,eps=4,queries=30",
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

/// The reference's margins after some queries of the same stream, the start included.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn in_l1_the_search_is_the_references() {
    use crate::attack::reference_models::{ReferenceModel, list};
    let positions = ReferenceModel::positions("robust", "square_l1_trace");
    let bench = ReferenceModel::open("robust", positions);
    let trace = bench.numbers["square_l1_trace"]["trace"]
        .as_array()
        .expect("a trace");
    for entry in trace {
        let queries = entry["queries"].as_u64().expect("a number") as usize;
        let target = bench.target().drawing(crate::attack::Draws::Stream(0), 1);
        let mut sampler = PatchSampler::Stream(target.stream().expect("a stream"));
        let mut proposals = Proposals::new(&target, Norm::L1, 12.0);
        let mut active = ActiveRows::all(&target);
        let held = search(&mut active, &mut proposals, &mut sampler, 0.8, queries + 1).expect("search");
        active.write(&held);
        let points = active.into_points();
        let margins = -margin(&target.logits(&points).expect("logits"), &target.labels);
        for (row, want) in list(&entry["margin"]).into_iter().enumerate() {
            let ours = margins.double_value(&[row as i64]);
            // Images that are fooled leave; the reference's trace goes on with the batch.
            assert!(
                (ours - want).abs() < 2e-5,
                "{queries} queries, image {row}: {ours} for {want}"
            );
        }
    }
}
