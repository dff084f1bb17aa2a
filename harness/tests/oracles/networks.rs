//! ResNet18 and WRN-22-8 of the reference, filled by formula: logits, features, activations and running
//! statistics through both branches.

use crate::reference::{json, matrix, npy_f32, relative};
use rlnet::nn::layers::Mode;
use rlnet::nn::{Forward, Network, NetworkSpec, Quirks, ReluMask, Taps};
use rlnet_suites::{Branch, NormBanks};
use serde_json::Value;
use tch::{Device, Kind, Tensor, no_grad_guard};

const BRANCHES: [(&str, Branch); 2] = [("0", Branch::Clean), ("1", Branch::Adversarial)];

/// The values of one tensor of the reference's list, by its formula.
pub fn fill_value(entry: &Value) -> Vec<f32> {
    let shape: Vec<i64> = serde_json::from_value(entry["shape"].clone()).expect("a shape");
    let k = entry["k"].as_u64().expect("k") as u32;
    let kind = entry["kind"].as_str().expect("a kind");
    let fan_in: i64 = shape.iter().skip(1).product();
    let value = |i: u32| {
        let mut h = i
            .wrapping_mul(2_654_435_761)
            .wrapping_add((k + 1).wrapping_mul(97_531))
            .wrapping_add(12_345);
        h ^= h >> 16;
        h = h.wrapping_mul(73_244_475);
        h ^= h >> 16;
        let s = f64::from(h) / 2_147_483_648.0 - 1.0;
        let value = match kind {
            "conv weight" => s * (6.0 / fan_in as f64).sqrt(),
            "linear weight" => s * (3.0 / fan_in as f64).sqrt(),
            "bn weight" => 1.0 + 0.2 * s,
            "bias" | "running_mean" => 0.1 * s,
            "running_var" => 1.0 + 0.5 * s,
            other => panic!("unexpected kind {other}"),
        };
        value as f32
    };
    let count: i64 = shape.iter().product();
    (0..count as u32).map(value).collect()
}

fn fill(network: &Network, order: &[Value]) {
    let _guard = no_grad_guard();
    let ours: Vec<_> = network.params().iter().collect();
    assert_eq!(ours.len(), order.len());
    for (param, entry) in ours.iter().zip(order) {
        let shape: Vec<i64> = serde_json::from_value(entry["shape"].clone()).expect("a shape");
        assert_eq!(
            param.tensor.size(),
            shape,
            "{} against {}",
            param.name,
            entry["name"]
        );
        let values = fill_value(entry);
        param
            .tensor
            .shallow_clone()
            .copy_(&Tensor::from_slice(&values).reshape(shape));
    }
}

/// `masked`: how many units the mask of the reference data must leave, if there is one.
fn network(arch: &str, quirks: Quirks, order: &[Value], masked: Option<u64>) -> Network {
    let spec = NetworkSpec {
        arch: arch.parse().expect("known"),
        image_size: 32,
        classes: 10,
        norm: NormBanks::Dual,
        quirks,
        // The stored input is normalised already.
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let mut network = Network::new(spec, 0, Device::Cpu);
    fill(&network, order);
    if let Some(kept) = masked {
        let unit = |layer: u64, j: u64| u8::from((7 * j + 3 * layer).is_multiple_of(5));
        let layers = network.layer_sizes();
        let layers = layers
            .iter()
            .zip(0..)
            .map(|(&n, layer)| (0..n).map(|j| unit(layer, j)).collect());
        network
            .set_mask(ReluMask::from_layers(layers.collect()))
            .expect("its shape");
        assert_eq!(network.mask().kept().iter().sum::<u64>(), kept);
    }
    network
}

fn close(got: f64, want: &Value, scale: f64, what: &str) {
    let want = want.as_f64().expect("a number");
    assert!(
        (got - want).abs() <= 1e-4 * scale.max(1e-6),
        "{what}: {got} against {want}"
    );
}

fn sum(tensor: &Tensor) -> f64 {
    tensor.sum(Kind::Double).double_value(&[])
}

fn l2(tensor: &Tensor) -> f64 {
    sum(&tensor.to_kind(Kind::Double).square()).sqrt()
}

/// Suggested tolerances: logits and sums 1e-4 of the largest logit or the L2 norm.
fn check_eval(forward: &Forward, want: &Value, stages: &[Value], what: &str) {
    let difference = relative(&forward.logits, &matrix(&want["eval_logits"]));
    assert!(difference < 1e-4, "{what}: logits {difference}");
    let sums = want["relu_layer_sums"].as_array().expect("sums");
    assert_eq!(forward.seen.activations.len(), sums.len());
    for (layer, (activation, want)) in forward.seen.activations.iter().zip(sums).enumerate() {
        close(
            sum(activation),
            want,
            l2(activation),
            &format!("{what}: sum of layer {layer}"),
        );
    }
    assert_eq!(forward.seen.stages.len(), stages.len());
    for (stage, (map, want)) in forward.seen.stages.iter().zip(stages).enumerate() {
        let what = format!("{what}: stage {stage}");
        close(sum(map), &want["sum"], l2(map), &what);
        close(l2(map), &want["l2"], l2(map), &what);
        let max = map.max().double_value(&[]);
        close(max, &want["max"], max.abs(), &what);
    }
}

fn running(network: &Network, module: &str, part: &str) -> Tensor {
    let name = format!("{module}.{part}")
        .replace(".layer.", ".")
        .replace(".BN_c.", ".clean.")
        .replace(".BN_a.", ".adversarial.")
        .replace("shortcut.1.", "shortcut.bn.")
        .replace("bn_sc.", "shortcut.bn.");
    let found = network.params().iter().find(|param| param.name == name);
    found
        .unwrap_or_else(|| panic!("no tensor {name}"))
        .tensor
        .shallow_clone()
}

fn check(model: &str, quirks: Quirks) {
    let (reference, input) = (json("rlnet/networks.json"), npy_f32("rlnet/network_input.npy"));
    let entry = &reference["models"][model];
    let order = entry["parameter_order"].as_array().expect("an order");
    let masked = entry["mask"]["total_active"].as_u64();
    let arch = if model.starts_with("wrn") {
        "wrn-22-8"
    } else {
        "resnet18"
    };
    for (key, branch) in BRANCHES {
        let want = &entry["branches"][key];
        let what = format!("{model} {branch}");
        let network = network(arch, quirks, order, masked);
        {
            let _guard = no_grad_guard();
            // Official features: the stem, the stages, the pooled vector.
            let features = want["eval_features"].as_array().expect("features");
            let stages = &features[1..features.len() - 1];
            check_eval(
                &network.forward(&input, Mode::Eval(branch), true),
                want,
                stages,
                &what,
            );
            // Folding the norms must not change what the network says.
            let folded = network.freeze().logits(&input, branch);
            let difference = relative(&folded, &matrix(&want["eval_logits"]));
            assert!(difference < 1e-4, "{what}: folded logits {difference}");
        }
        // The reference asks for features in every pass, which some quirks leave traces of.
        let logits = network.forward(&input, Mode::Train(branch), Taps::Stages).logits;
        let difference = relative(&logits, &matrix(&want["train_logits"]));
        assert!(difference < 1e-4, "{what}: train-mode logits {difference}");
        for group in ["after_one_train_forward", "untouched_branch_first_bn"] {
            for statistics in want[group].as_object().expect("norms").values() {
                let module = statistics["module"].as_str().expect("a name");
                for part in ["running_mean", "running_var"] {
                    let ours = running(&network, module, part);
                    let scale = statistics[part]["l2"].as_f64().expect("a norm");
                    // 1e-5 of the norm: a tenth of `close`'s 1e-4.
                    close(sum(&ours), &statistics[part]["sum"], 0.1 * scale, module);
                    close(l2(&ours), &statistics[part]["l2"], 0.1 * scale, module);
                }
            }
        }
    }
    if let Some(want) = entry.get("input_gradient_branch1_summed_CE") {
        let network = network(arch, quirks, order, masked);
        let labels: Vec<i64> = serde_json::from_value(reference["images"]["labels"].clone()).expect("labels");
        // In double precision: in single precision a ReLU of one of the images whose input is near zero opens or closes
        // with the order of summation (layout, folded norms, processor), and moves that image's gradient by up to 1 %.
        // The reference's gradient is within 1e-5 of the exact one.
        for param in network.params().iter() {
            let double = param.tensor.to_kind(Kind::Double);
            param.tensor.shallow_clone().set_data(&double);
        }
        let variable = input.to_kind(Kind::Double).set_requires_grad(true);
        let logits = network.logits(&variable, Branch::Adversarial);
        let labels = Tensor::from_slice(&labels);
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, tch::Reduction::Sum, -100, 0.0);
        let gradient = Tensor::run_backward(&[&loss], &[&variable], false, false).remove(0);
        let length = l2(&gradient);
        // A tenth of `close`'s 1e-4.
        close(length, &want["l2"], 0.1 * length, "input gradient");
        close(sum(&gradient), &want["sum"], 0.1 * length, "input gradient");
    }
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_official_teacher() {
    let quirks = Quirks {
        banked_shortcut: false,
        ..Quirks::default()
    };
    check("resnet18_AR_dualbn_official", quirks);
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_teacher_with_banked_shortcuts() {
    check("resnet18_AR_dualbn_dual_shortcut", Quirks::default());
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_official_student_has_no_identity_skip() {
    let quirks = Quirks {
        identity_skip: false,
        ..Quirks::default()
    };
    check("resnet18_PR_dualbn_official", quirks);
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_official_wide_teacher() {
    check("wrn22_8_AR_dualbn_official", Quirks::default());
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_official_wide_student_norms_its_stages_once_more() {
    let quirks = Quirks {
        normed_stages: true,
        ..Quirks::default()
    };
    check("wrn22_8_PR_dualbn_official", quirks);
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_student_the_paper_describes() {
    let (reference, input) = (json("rlnet/networks.json"), npy_f32("rlnet/network_input.npy"));
    let models = &reference["models"];
    let order = models["resnet18_PR_dualbn_official"]["parameter_order"]
        .as_array()
        .expect("an order");
    for (key, branch) in BRANCHES {
        let want = &models["resnet18_PR_dualbn_identity_skip"]["branches"][key];
        let network = network("resnet18", Quirks::default(), order, Some(111_412));
        let stages = want["eval_features"].as_array().expect("features");
        {
            let _guard = no_grad_guard();
            let forward = network.forward(&input, Mode::Eval(branch), true);
            check_eval(&forward, want, stages, &format!("student {branch}"));
        }
        let logits = network.forward(&input, Mode::Train(branch), false).logits;
        let difference = relative(&logits, &matrix(&want["train_logits"]));
        assert!(difference < 1e-4, "train-mode logits {difference}");
    }
}
