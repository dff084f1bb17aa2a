//! `rlnet suite cost`: how much arithmetic a suite asks for, before a machine is booked.
//!
//! Counted in multiply-accumulates of the networks' own layers: a forward pass is one unit a
//! image, a gradient to the image one more, a gradient to the weights as well two more. Attacks
//! are counted as if no image broke early, which the harness makes use of, so this is an upper
//! bound; making corrupted images is work of the CPU and left out.

use super::{say, say_json};
use crate::data::{image_size, shapes, tiny};
use crate::error::{Error, Result};
use rlnet_suites::train::Stage;
use rlnet_suites::view::View;
use rlnet_suites::{AttackSpec, Cell, CellSpec, Condition, EvaluateSpec, Plan, TrainSpec};
use serde_json::json;
use std::collections::BTreeMap;

/// Training and test images of a data set.
fn images(cell: &Cell) -> Result<(f64, f64)> {
    let data = &cell.data;
    let known = match data.dataset.as_str() {
        "cifar10" | "cifar100" => Some((50_000, 10_000)),
        "shapes" | "textures" => Some((shapes::TRAIN as u32, shapes::TEST as u32)),
        tiny::NAME => Some((100_000, 10_000)),
        _ => None,
    };
    let (train, test) = (
        data.train.or(known.map(|(train, _)| train)),
        data.test.or(known.map(|(_, test)| test)),
    );
    match (train, test) {
        (Some(train), Some(test)) => Ok((f64::from(train), f64::from(test))),
        _ => Err(Error::Input(format!(
            "{}: nobody knows how many images it has before it is read; set data.train and data.test",
            data.dataset
        ))),
    }
}

/// Passes that an attack makes for an image, at most.
fn attack_passes(spec: &AttackSpec) -> f64 {
    let count = |name: &str| spec.count(name) as f64;
    let gradients = 2.0 * count("steps") * count("restarts") * count("eot");
    match spec.name() {
        "fgsm" | "rfgsm" | "ffgsm" => 2.0,
        "noise" => count("draws"),
        "apgd-t" => gradients * count("targets"),
        // A gradient of each class's difference, and a search along a line.
        "fab" => gradients * 10.0,
        "fab-t" => 1.5 * gradients * count("targets"),
        "square" => count("queries") * count("restarts"),
        // APGD-CE, APGD-T and FAB-T on nine targets, Square.
        "autoattack" => 200.0 + 1800.0 + 2700.0 + 5000.0,
        "cw" => gradients * count("search"),
        "deepfool" => count("steps") * (1.0 + count("candidates")),
        "radius" => (2900.0 + count("brackets") * 2000.0) * count("steps") / 100.0,
        _ => gradients,
    }
}

/// Passes of a training stage for each of its images and epochs.
fn step_passes(spec: &TrainSpec, validation: f64) -> f64 {
    let inner = attack_passes(&spec.attack);
    // Half a batch plays the clean roles, the other half is attacked.
    let half = if spec.is_robust() { 0.5 } else { 1.0 };
    let roles = spec.views.iter().map(|view| match view {
        View::Adversarial => 0.5 * (3.0 + inner),
        _ => 3.0 * half,
    });
    let taught = if spec.stage == Stage::Teacher { 0.0 } else { half };
    // Held-out images through every branch, attacked where training attacks.
    let branches = spec.norm.branches().len() as f64;
    let judged = branches + if spec.is_robust() { inner + 1.0 } else { 0.0 };
    (1.0 - validation) * (roles.sum::<f64>() + taught) + validation * judged
}

/// Passes of an evaluation for each test image, over all branches.
fn evaluation_passes(spec: &EvaluateSpec, branches: usize) -> f64 {
    let conditions = spec.conditions.iter().map(|condition| match condition {
        // The verdict, as floats and as 8 bits.
        Condition::Attack(attack) => attack_passes(attack) + 2.0,
        _ => 1.0,
    });
    let gone_through = spec.branches.as_ref().map_or(branches, Vec::len) as f64;
    let probe = if spec.probe { 44.0 } else { 0.0 };
    let compared = if spec.similarity { 2.0 } else { 0.0 };
    gone_through * (conditions.sum::<f64>() + probe + compared)
}

/// What a plan asks for: per kind of work, cells and multiply-accumulates.
pub fn count(plan: &Plan) -> Result<BTreeMap<&'static str, (usize, f64)>> {
    let mut macs: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    let mut work: BTreeMap<&'static str, (usize, f64)> = BTreeMap::new();
    for cell in &plan.cells {
        let (train, test) = images(cell)?;
        let (kind, units) = match &cell.spec {
            CellSpec::Train(spec) => {
                let arch: crate::nn::Arch = spec.arch.parse()?;
                let size = image_size(&cell.data.dataset).unwrap_or(32) as u64;
                let forward = arch.survey(size, 10).macs as f64;
                macs.insert(cell.name.as_str(), (forward, spec.norm.branches().len()));
                let passes = step_passes(spec, cell.data.validation) * f64::from(spec.epochs);
                (spec.stage.name(), forward * passes * train)
            }
            CellSpec::Evaluate(spec) => {
                let (forward, branches) = macs.get(cell.model.as_str()).copied().unwrap_or_default();
                let kind = match &spec.conditions[0] {
                    Condition::Attack(attack) => attack.name(),
                    Condition::Corruption { .. } => "corruptions",
                    Condition::Clean | Condition::AugMix => "clean",
                };
                let seen = spec.images.map_or(test, |images| test.min(f64::from(images)));
                (kind, forward * evaluation_passes(spec, branches) * seen)
            }
        };
        let entry = work.entry(kind).or_default();
        *entry = (entry.0 + 1, entry.1 + units);
    }
    Ok(work)
}

/// Prints it, in hours at `rate` million million multiply-accumulates a second.
pub fn show(plan: &Plan, rate: f64, json: bool) -> Result<()> {
    if plan.cells.is_empty() {
        return Err(Error::Input(format!(
            "suite {} trains nothing; what it costs depends on the model it is given",
            plan.suite
        )));
    }
    if !(rate > 0.0 && rate.is_finite()) {
        return Err(Error::Input(format!("--rate {rate}: more than 0")));
    }
    let work = count(plan)?;
    let hours = |units: f64| units / (rate * 1e12) / 3600.0;
    let total: f64 = work.values().map(|(_, units)| units).sum();
    if json {
        let kinds = work.iter().map(|(kind, (cells, units))| {
            json!({"work": kind, "cells": cells, "macs": units, "hours": hours(*units)})
        });
        say_json(
            &json!({"suite": plan.suite, "rate": rate, "macs": total, "hours": hours(total),
                         "work": kinds.collect::<Vec<_>>()}),
        );
        return Ok(());
    }
    for (kind, (cells, units)) in &work {
        say(&format!(
            "{kind:<14} {cells:>4} cells {:>12.1} x 10^15 MACs {:>9.2} h",
            units / 1e15,
            hours(*units)
        ));
    }
    say(&format!(
        "{}: at most {:.1} hours at {rate} x 10^12 multiply-accumulates a second",
        plan.suite,
        hours(total)
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::plan::World;
    use rlnet_suites::{Suite, catalog};

    #[test]
    fn one_stage_by_hand() {
        let sets = ["network.arch=resnet18", "training.attack=pgd:steps=7"].map(str::to_owned);
        let text = catalog::find("demo").expect("demo");
        let suite = Suite::parse(text, "demo", &sets).expect("a suite");
        let world = World::unread(&suite);
        let plan = suite.plan(&world).expect("a plan");
        let CellSpec::Train(teacher) = &plan.cells[0].spec else {
            panic!("a teacher")
        };
        // Clean and AugMix half batches 2 * 0.5 * 3, the attacked half 0.5 * (3 + 14), on nine
        // tenths of the images; on the last tenth two branches and PGD with its verdict.
        let by_hand = 0.9 * (3.0 + 8.5) + 0.1 * (2.0 + 15.0);
        assert!((step_passes(teacher, 0.1) - by_hand).abs() < 1e-12);
        // ResNet18 on 32 x 32 images has 0.556 x 10^9 multiply-accumulates.
        let work = count(&plan).expect("counted");
        let (cells, units) = work["teacher"];
        assert_eq!(cells, 2);
        let senet = 0.9 * 3.0 + 0.1;
        let expected = 0.5556e9 * 4000.0 * (12.0 * by_hand + 10.0 * senet);
        assert!((units / expected - 1.0).abs() < 2e-3, "{units} {expected}");
    }

    #[test]
    fn the_hours_that_suites_name_are_those_counted() {
        let mut seen = 0;
        for (name, text) in catalog::CATALOGUE {
            for sets in [vec![], vec!["scale=h200".to_owned()]] {
                let suite = Suite::parse(text, name, &sets).expect(name);
                // In another precision a GPU has another rate.
                let counted = !suite.train.is_empty() && suite.training.precision.is_none();
                let Some(hours) = suite.gpu_hours.filter(|_| counted) else {
                    continue;
                };
                let world = World::unread(&suite);
                let work = count(&suite.plan(&world).expect("a plan")).expect("counted");
                let total: f64 = work.values().map(|(_, units)| units).sum();
                let counted = total / (super::super::suite::RATE * 1e12) / 3600.0;
                assert!(
                    (counted / hours - 1.0).abs() < 0.1,
                    "{name} {sets:?}: {hours}, counted {counted:.1}"
                );
                seen += 1;
            }
        }
        assert!(seen >= 20, "{seen}");
    }

    #[test]
    fn attacks_by_their_steps() {
        let passes = |text: &str| attack_passes(&text.parse().expect(text));
        assert_eq!(passes("fgsm"), 2.0);
        assert_eq!(passes("pgd:steps=20,restarts=5"), 200.0);
        assert_eq!(passes("apgd-t"), 1800.0);
        assert_eq!(passes("square:queries=100"), 100.0);
    }
}
