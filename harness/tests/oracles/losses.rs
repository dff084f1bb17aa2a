//! Loss values and gradients. Tolerances of the reference data: values 1e-5 relative,
//! gradients 1e-6 absolute, or 1e-5 relative for terms with beta = 1000.

use crate::reference::{json, max_difference, tensors};
use rlnet::train::loss::{attention_transfer, cross_entropy, distillation, mean, pram, trades};
use rlnet_suites::objective::Pram;
use std::collections::BTreeMap;
use tch::Tensor;

struct Inputs {
    tensors: BTreeMap<String, Tensor>,
}

impl Inputs {
    fn get(&self, name: &str) -> Tensor {
        self.tensors[name].shallow_clone()
    }

    fn maps(&self, name: &str) -> Vec<Tensor> {
        (0..3).map(|layer| self.get(&format!("{name}_{layer}"))).collect()
    }

    fn ce(&self) -> Tensor {
        mean(
            [("clean", "b1"), ("aug", "b1"), ("adv", "b2")]
                .map(|(role, half)| {
                    let logits = self.get(&format!("student_logits_{role}"));
                    cross_entropy(&logits, &self.get(&format!("labels_{half}")))
                })
                .into(),
        )
    }

    fn kl(&self) -> Tensor {
        mean(
            [("clean", "b1"), ("aug", "b1"), ("adv", "b2")]
                .map(|(role, half)| {
                    let logits = self.get(&format!("student_logits_{role}"));
                    distillation(&logits, &self.get(&format!("teacher_logits_clean_{half}")), 4.0)
                })
                .into(),
        )
    }

    fn attention(&self, role: &str) -> Tensor {
        attention_transfer(
            &self.maps(&format!("feat_student_{role}")),
            &self.maps(&format!("feat_teacher_{role}")),
        )
    }

    fn senet(&self, form: Pram) -> Tensor {
        pram(
            form,
            &self.maps("feat_student_clean"),
            &self.maps("feat_teacher_clean"),
        ) * 1000.0
    }

    fn both_attentions(&self) -> Tensor {
        mean(vec![self.attention("clean"), self.attention("aug")])
    }
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn every_loss_of_the_method_has_the_references_value_and_gradients() {
    let (mut tensors, reference) = (tensors("rlnet/losses.safetensors"), json("rlnet/losses.json"));
    for (name, tensor) in &mut tensors {
        if name.starts_with("student_logits") || name.starts_with("feat_student") {
            let _ = tensor.requires_grad_(true);
        }
    }
    let inputs = Inputs { tensors };
    let clean = || inputs.get("student_logits_clean");
    let teacher = || inputs.get("teacher_logits_clean_b1");
    let losses: Vec<(&str, Tensor)> = vec![
        ("ce", cross_entropy(&clean(), &inputs.get("labels_b1"))),
        ("kl_T4", distillation(&clean(), &teacher(), 4.0)),
        ("kl_T1", distillation(&clean(), &teacher(), 1.0)),
        ("at_clean", inputs.attention("clean")),
        ("at_aug", inputs.attention("aug")),
        ("pram_senet_batch", inputs.senet(Pram::SenetBatch)),
        ("pram_senet_per_sample", inputs.senet(Pram::SenetImage)),
        (
            "trades_lambda6",
            trades(
                &clean(),
                &inputs.get("student_logits_adv"),
                &inputs.get("labels_b1"),
                6.0,
                4.0,
            ),
        ),
        ("teacher_loss", inputs.ce()),
        ("mean3_kl", inputs.kl()),
        ("stage1_rslad_ce", inputs.ce() * 0.5 + inputs.kl() * 0.5),
        (
            "stage2_rslad_attn_augattn",
            inputs.kl() + inputs.both_attentions() * 1000.0,
        ),
        (
            "stage2_rslad_attn_augattn_ce",
            inputs.ce() * 0.5 + inputs.kl() * 0.5 + inputs.both_attentions() * 1000.0,
        ),
    ];
    assert_eq!(
        losses.len(),
        reference["values"].as_object().expect("values").len()
    );
    for (name, loss) in losses {
        let want = &reference["values"][name];
        let value = want["value"].as_f64().expect("a value");
        let got = loss.double_value(&[]);
        assert!(
            (got - value).abs() <= 1e-5 * value.abs(),
            "{name}: {got} against {value}"
        );
        let gradients = want["gradients"].as_object().expect("gradients");
        let (names, stored): (Vec<_>, Vec<_>) = gradients.iter().unzip();
        let variables: Vec<Tensor> = names.iter().map(|name| inputs.get(name)).collect();
        let computed = Tensor::run_backward(&[&loss], &variables, true, false);
        for ((tensor, computed), stored) in names.iter().zip(&computed).zip(stored) {
            let stored = &inputs.tensors[stored.as_str().expect("a name")];
            let scale = stored.abs().max().double_value(&[]);
            let allowed = if name.starts_with("stage2") || name.starts_with("pram") {
                1e-6 + 1e-5 * scale
            } else {
                1e-6
            };
            let difference = max_difference(computed, stored);
            assert!(difference <= allowed, "{name} by {tensor}: {difference}");
        }
    }
}
