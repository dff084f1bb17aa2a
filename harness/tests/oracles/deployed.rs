//! Fixed-point logits beside those of a real engine: SPU 0.9.5, ring of 64 bits, 18 fraction bits, two parties. The
//! fixture has what eight runs of `tests/peers/private_inference.py --logits --images ...` wrote for the plans of the
//! student of the fixtures, whose images are those of `checkpoints.json`.

use crate::checkpoints::{fixture, imported, request, said};
use crate::reference::matrix;
use rlnet::deployed::FixedPointModel;
use rlnet_suites::Branch;
use serde_json::Value;
use tch::{Kind, Tensor};

/// The unit of the last place.
const UNIT: f64 = 1.0 / (1 << 18) as f64;

fn logits(arithmetic: &str, images: &Tensor, branch: Branch) -> Tensor {
    let network = imported("student.pth", &request(&said())).network;
    FixedPointModel::new(network, arithmetic.parse().expect(arithmetic)).ring_logits(images, branch)
}

/// The largest difference, in units of the last place.
fn units(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().to_kind(Kind::Double).double_value(&[]) / UNIT
}

/// Each truncation of a protocol is off by at most one unit, and what follows makes the error larger: how much, the
/// simulated protocol says, which draws shares as the parties do. SPU's own logits, eight runs of each protocol, lie as
/// near to exact ones as many simulated runs do: SEMI2K's, which errs both ways, to those of the nearest; Cheetah's,
/// which errs from the lower integer, to those of the floor.
#[test]
fn an_engines_logits_lie_where_the_simulated_protocol_puts_them() {
    let recorded: Value =
        serde_json::from_slice(&std::fs::read(fixture("spu.json")).expect("the fixture")).expect("JSON");
    let pixels: Vec<f32> = serde_json::from_value(said()["images"].clone()).expect("images");
    let images = Tensor::from_slice(&pixels).reshape([3, 3, 8, 8]);
    for branch in [Branch::Clean, Branch::Adversarial] {
        let nearest = logits("fixed:trunc=nearest", &images, branch);
        let floor = logits("fixed:trunc=floor", &images, branch);
        let simulated = (0..256).map(|seed| {
            let drawn = logits(&format!("fixed:trunc=local,seed={seed}"), &images, branch);
            units(&drawn, &nearest)
        });
        let simulated = sorted(simulated.collect());
        let (least, reach) = (simulated[0], simulated[255]);
        assert!(least > 0.0 && reach < 64.0, "{branch}: {least} to {reach} units");
        for (protocol, exact) in [("semi2k", &nearest), ("cheetah", &floor)] {
            let runs = recorded[format!("{protocol}/{branch}")].as_array().expect("runs");
            let away = sorted(runs.iter().map(|run| units(&matrix(run), exact)).collect());
            assert_eq!(away.len(), 8);
            assert!(
                away[7] <= reach + 1.0,
                "{protocol} {branch}: {away:?} units, the simulation {least} to {reach}"
            );
            // A run in the middle lies in the middle nine tenths of the simulation.
            assert!(
                (simulated[13]..=simulated[242]).contains(&away[4]),
                "{protocol} {branch}: {} units, the simulation {} to {}",
                away[4],
                simulated[13],
                simulated[242]
            );
        }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
