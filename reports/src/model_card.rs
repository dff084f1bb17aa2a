//! RobustBench's model cards: one JSON file a model and reading, with the fields of that
//! project's `model_info` files, and beside them what those leave out (intervals, the exact
//! attack, how the network was read). Only what was measured is written.

use crate::analysis::Analysis;
use crate::metrics::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::mce::{Base, Definition};
use crate::model::Model;
use rlnet_suites::attack::autoattack::AUTOATTACK;
use rlnet_suites::{AttackSpec, Condition};
use serde_json::{Map, Value, json};

/// A card and the name of its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// `rlnet_worst.json`.
    pub file: String,
    /// The fields.
    pub json: Value,
}

/// The cards of every model: read as papers do, and with the branch left to the attacker.
pub fn cards(analysis: &Analysis) -> Vec<Card> {
    let mut all = Vec::new();
    for model in &analysis.runs.models {
        let policies: &[BranchPolicy] = if model.branches.len() < 2 {
            &[BranchPolicy::Oracle]
        } else {
            &[BranchPolicy::Oracle, BranchPolicy::Worst]
        };
        for policy in policies {
            if let Some(json) = card(analysis, model, *policy) {
                let plain = |c: char| {
                    if c.is_ascii_alphanumeric() || c == '-' {
                        c
                    } else {
                        '_'
                    }
                };
                let name: String = model.name.chars().map(plain).collect();
                let stem = match policy {
                    BranchPolicy::Worst => format!("{name}_worst"),
                    _ => name,
                };
                // Other names may be written alike.
                let is_free = |file: &String| all.iter().all(|card: &Card| card.file != *file);
                let numbered = (2..).map(|number| format!("{stem}_{number}.json"));
                let mut files = std::iter::once(format!("{stem}.json")).chain(numbered);
                if let Some(file) = files.find(is_free) {
                    all.push(Card { file, json });
                }
            }
        }
    }
    all
}

fn card(analysis: &Analysis, model: &Model, policy: BranchPolicy) -> Option<Value> {
    let triple = analysis.triple(&model.name, policy)?;
    let clean = triple.ca.as_ref().ok()?;
    let dataset = analysis.runs.runs.get(model.run)?.plan.images()?.dataset.clone();
    let percent = |estimate: &Estimate| format!("{:.2}", 100.0 * estimate.value);
    let interval = |estimate: &Estimate| json!([100.0 * estimate.low, 100.0 * estimate.high]);
    let mut card = Map::new();
    let mut put = |key: &str, value: Value| {
        card.insert(key.to_owned(), value);
    };
    let spec = model.spec();
    put("name", json!(model.name));
    put("dataset", json!(dataset));
    let arch = model.record.as_ref().map(|record| record.arch.clone());
    put(
        "architecture",
        json!(arch.or_else(|| spec.map(|spec| spec.arch.clone()))),
    );
    put("number_forward_passes", json!("1"));
    put("additional_data", json!(false));
    put("clean_acc", json!(percent(clean)));
    put("clean_acc_interval", interval(clean));
    put("images", json!(clean.images));
    put("read_through", json!(triple.policy.label()));
    put("footnote", json!(triple.policy.term().meaning));
    if let Some(record) = &model.record {
        put("relus_kept", json!(record.kept()));
        put("relus_in_all", json!(record.total()));
        put("parameters", json!(record.parameters));
    }
    if let (Some(attack), Ok(robust)) = (&analysis.runs.headline, &triple.adva) {
        put("Linf", json!(attack.norm().in_steps()));
        put("eps", json!(attack.params().get("eps")));
        put("reported", json!(percent(robust)));
        put("reported_interval", interval(robust));
        put("reported_attack", json!(attack.to_string()));
    }
    // `autoattack_acc` is that project's word for AutoAttack, and no other attack's.
    if let Some((attack, robust)) = autoattack(analysis, model, policy) {
        put("autoattack_acc", json!(percent(&robust)));
        put("autoattack_spec", json!(attack.to_string()));
        put("autoattack_images", json!(robust.images));
    }
    if let Ok(natural) = &triple.natural.npa {
        put("corruptions_acc", json!(percent(natural)));
        put("corruptions_acc_interval", interval(natural));
        let definition = Definition {
            base: Base::Anchor(&crate::metrics::anchors::ALEXNET),
            over: crate::metrics::mce::Over::Benchmark,
            relative: false,
        };
        let measured = analysis.errors(&model.name, policy);
        if let Some(Ok(ratio)) = measured.map(|found| found.mce(&definition, None)) {
            put("corruptions_mce", json!(format!("{:.2}", 100.0 * ratio.value)));
        }
    }
    Some(Value::Object(card))
}

fn autoattack(analysis: &Analysis, model: &Model, policy: BranchPolicy) -> Option<(AttackSpec, Estimate)> {
    let mut attacks = analysis.runs.attacks().into_iter();
    let attack = attacks.find(|attack| attack.name() == AUTOATTACK.name)?;
    let condition = Condition::Attack(attack.clone());
    let robust = analysis.tally.accuracy(model, policy, &condition).ok()?;
    Some((attack, robust))
}
