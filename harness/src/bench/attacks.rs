//! Attacks on a model.

use super::{Clock, Rate, noise};
use crate::attack::lanes::in_batches;
use crate::attack::{Classifier, Target, run};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use std::collections::BTreeMap;

/// The one that estimates count with.
pub(super) const COUNTED: &str = "pgd:steps=20";
/// What is measured where nothing else is asked for.
pub const ATTACKS: [&str; 7] = [
    "fgsm",
    COUNTED,
    "apgd-ce",
    "apgd-t",
    "fab-t",
    "square",
    "autoattack",
];
/// Iterations of each, instead of its own number: time is taken for a part of it, and counted for all passes.
const ITERATIONS: [(&str, &str); 2] = [("steps", "4"), ("queries", "40")];
/// A ball in which nothing breaks.
const TINY: &str = "0.00001";

/// Images a second of each attack, none of which breaks; through the model's last branch.
///
/// # Errors
/// When there is no such attack, or the model fails.
pub fn attacks(
    clock: Clock,
    attacks: &[String],
    name: &str,
    model: &dyn Classifier,
    batch: usize,
    side: i64,
) -> Result<Vec<Rate>> {
    let branch = model.branches()[model.branches().len() - 1];
    let images = noise(batch, side, clock.device);
    let labels = in_batches(model, &images, branch, batch)?.argmax(1, false);
    let classes = in_batches(model, &images.narrow(0, 0, 1), branch, batch)?.size()[1] as usize;
    let indices: Vec<u32> = (0..batch as u32).collect();
    // Parts of a union are attacks of their own, and measured once.
    let mut known: BTreeMap<String, f64> = BTreeMap::new();
    let mut seconds = |spec: &AttackSpec| -> Result<f64> {
        if let Some(&known) = known.get(&spec.to_string()) {
            return Ok(known);
        }
        let short = shortened(spec)?;
        let taken = clock.time(|| {
            let target = Target::new(model, branch, &images, &labels, &indices, 0);
            run(&short, &target, None).map(drop)
        })?;
        let all = taken * spec.passes() / short.passes();
        known.insert(spec.to_string(), all);
        Ok(all)
    };
    let mut rates = Vec::new();
    for text in attacks {
        let spec: AttackSpec = text.parse()?;
        let fits = spec.lacks_classes(classes).is_none();
        if !fits || spec.needs_gradients() && !model.has_gradients() {
            continue;
        }
        let parts = if spec.is_union() {
            spec.parts()?
        } else {
            vec![spec]
        };
        let mut all = 0.0;
        for part in &parts {
            all += seconds(part)?;
        }
        rates.push(Rate::new(
            Some(name),
            text.as_str(),
            batch as f64 / all,
            "images/s",
        ));
    }
    Ok(rates)
}

/// The same attack with few iterations, in a ball in which nothing breaks.
fn shortened(spec: &AttackSpec) -> Result<AttackSpec> {
    let mut short = spec.with("eps", TINY)?;
    for (name, few) in ITERATIONS {
        match short.with(name, few) {
            Ok(fewer) if fewer.passes() < short.passes() => short = fewer,
            _ => {}
        }
    }
    Ok(short)
}
