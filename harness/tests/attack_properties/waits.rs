//! For what the host waits where work runs on a CUDA device: asked on the CPU, where the same operations run.

use crate::toys::{Toy, images, target};
use rlnet::attack::run;
use rlnet::bench::{Clock, Steps, training};
use rlnet_libtorch::waits;
use rlnet_suites::AttackSpec;
use tch::Device;

/// What an attack of so many steps waits for, on images none of which breaks.
fn of_steps(attack: &str, steps: usize) -> Vec<String> {
    let model = Toy::rectified(5, 4, 3 * 4 * 4);
    let (x, y) = images(&model, 6, [20, 3, 4, 4], 0.1);
    let batch = target(&model, &x, &y, 0, 20);
    let spec: AttackSpec = attack.parse().expect(attack);
    let spec = spec.with("steps", &steps.to_string()).expect(attack);
    let (points, names) = waits(|| run(&spec, &batch, None));
    assert_eq!(points.expect(attack).size(), x.size());
    names
}

#[test]
fn steps_of_an_attack_wait_for_nothing() {
    let ball = "eps=0.0001";
    for attack in ["pgd", "bim", "mifgsm"].map(|name| format!("{name}:{ball}")) {
        assert_eq!(of_steps(&attack, 8), of_steps(&attack, 16), "{attack}");
    }
    for attack in ["fmn", "alma"] {
        assert_eq!(of_steps(attack, 8), of_steps(attack, 16), "{attack}");
    }
    // Images that are fooled leave after each step: which, the host has to know.
    for loss in ["apgd-ce", "apgd-dlr"].map(|name| format!("{name}:{ball}")) {
        let more = of_steps(&loss, 16).len() - of_steps(&loss, 8).len();
        assert_eq!(more, 2 * 8, "{loss}");
    }
}

#[test]
fn what_waits_is_seen() {
    let (_, names) = waits(|| {
        let values = tch::Tensor::from_slice(&[1.0_f32, 2.0]);
        let moved = values.to_device(Device::Cpu).to_kind(tch::Kind::Double);
        moved.nonzero().size()[0] as f64 + moved.sum(tch::Kind::Double).double_value(&[])
    });
    assert_eq!(names, ["aten::to", "aten::nonzero", "aten::_local_scalar_dense"]);
}

/// Losses and scores are summed on the device and read once an epoch.
#[test]
fn a_training_step_waits_for_its_images_alone() {
    let of = |counted: usize| {
        let clock = Clock {
            device: Device::Cpu,
            seconds: 0.0,
        };
        let steps = Steps { batch: 16, counted };
        let (rates, names) = waits(|| training(clock, "resnet8-w2", steps));
        let rates = rates.expect("rates");
        // The last one is of making batches.
        (rates.len() - 1, names)
    };
    let ((stages, few), (_, many)) = (of(1), of(3));
    assert!(many.iter().all(|name| name == "aten::to"), "{many:?}");
    let copies = "images, their mixed view, labels, and where the attack starts";
    assert_eq!(many.len() - few.len(), 2 * 4 * stages, "{copies}");
}
