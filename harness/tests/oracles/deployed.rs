//! Fixed-point logits beside those of a real engine: SPU 0.9.5, ring of 64 bits, 18 fraction bits, two parties. The
//! fixture is what `tests/peers/private_inference.py --logits` wrote for the student of the fixtures.

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
/// simulated protocol says, which draws shares as the parties do. SPU's own logits lie as near to exact ones: SEMI2K's,
/// which errs both ways, to those of the nearest; Cheetah's, which errs from the lower integer, to those of the floor.
/// Theirs is one draw, of weights folded on one processor: libtorch's square root has another last bit on some, which
/// moves a weight by a unit here and there. So twice the simulation's reach is allowed.
#[test]
fn an_engines_logits_lie_where_the_simulated_protocol_puts_them() {
    let recorded: Value =
        serde_json::from_slice(&std::fs::read(fixture("spu.json")).expect("the fixture")).expect("JSON");
    let pixels: Vec<f32> = serde_json::from_value(said()["images"].clone()).expect("images");
    let images = Tensor::from_slice(&pixels).reshape([3, 3, 8, 8]);
    for branch in [Branch::Clean, Branch::Adversarial] {
        let nearest = logits("fixed:trunc=nearest", &images, branch);
        let floor = logits("fixed:trunc=floor", &images, branch);
        let drawn = (0..16).map(|seed| logits(&format!("fixed:trunc=local,seed={seed}"), &images, branch));
        let reach = drawn.map(|logits| units(&logits, &nearest)).fold(0.0, f64::max);
        assert!(reach > 0.0 && reach < 64.0, "{branch}: {reach} units");
        for (protocol, exact) in [("semi2k", &nearest), ("cheetah", &floor)] {
            let theirs = matrix(&recorded[format!("{protocol}/{branch}")]);
            let away = units(&theirs, exact);
            assert!(
                away <= 2.0 * reach,
                "{protocol} {branch}: {away} units, the simulation up to {reach}"
            );
        }
    }
}
