//! The rules of a division, held against a bundle.

use super::Bundle;
use crate::run::Run;
use rlnet_suites::corruption::BENCHMARK;
use rlnet_suites::dataset;
use rlnet_suites::division::Division;
use rlnet_suites::{Cell, CellSpec, Condition, EvaluateSpec};
use std::collections::{BTreeMap, BTreeSet};

/// Every rule that is broken, in words.
pub(super) fn broken(division: &Division, bundle: &Bundle, run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    let evaluated: Vec<(&Cell, &EvaluateSpec)> = run
        .plan
        .cells
        .iter()
        .filter_map(|cell| match &cell.spec {
            CellSpec::Evaluate(spec) => Some((cell, spec)),
            CellSpec::Train(_) => None,
        })
        .collect();
    let sampled = bundle.manifest.sample.images.len();
    if sampled < division.sample {
        found.push(format!(
            "{sampled} images are drawn, and {} are the least",
            division.sample
        ));
    }
    if !division.extra_data {
        found.extend(extra_data(bundle, run, &evaluated));
    }
    let Some(attack) = &division.attack else {
        return found;
    };
    if let Some(data) = run.plan.images() {
        if !division.datasets.contains(&data.dataset) {
            found.push(format!("{} is not one of its data sets", data.dataset));
        }
        let whole = dataset::NAMED
            .iter()
            .find(|named| named.name == data.dataset)
            .map(|named| named.test);
        let wanted = division.images.or(whole);
        if data.images.is_some() || data.test.or(whole) != wanted {
            let number = |images: Option<u32>| images.map_or("all".to_owned(), |images| images.to_string());
            found.push(format!(
                "{} test images, and the rule is {}",
                number(data.test),
                number(wanted)
            ));
        }
    }
    if run.plan.headline.as_ref() != Some(attack) {
        found.push(format!("its main attack is not {attack}"));
    }
    if !run.missing.is_empty() {
        found.push(format!("{} cells are not finished", run.missing.len()));
    }
    for record in &run.records {
        for allowed in &record.provenance.allowed {
            found.push(format!(
                "{}: the preflight's finding {allowed} was allowed by hand",
                record.cell.name
            ));
        }
    }
    let mut measured: BTreeMap<&str, BTreeSet<Condition>> = BTreeMap::new();
    let wanted: BTreeSet<Condition> = protocol(attack).collect();
    for (cell, spec) in &evaluated {
        let of_model = measured.entry(&cell.model).or_default();
        let asked: Vec<&Condition> = spec
            .conditions
            .iter()
            .filter(|condition| wanted.contains(condition))
            .collect();
        if asked.is_empty() {
            continue;
        }
        of_model.extend(asked.into_iter().cloned());
        let departs = [
            (spec.images.is_some(), "on fewer images than the others"),
            (spec.branches.is_some(), "through some of its branches only"),
            (spec.seed != 0, "with another seed than 0"),
        ];
        for (_, how) in departs.iter().filter(|(departs, _)| *departs) {
            found.push(format!("{} is measured {how}", cell.name));
        }
    }
    for (model, measured) in measured {
        let missing: Vec<String> = wanted.difference(&measured).map(ToString::to_string).collect();
        if let Some(first) = missing.first() {
            found.push(format!("{model} lacks {} conditions, as {first}", missing.len()));
        }
    }
    found
}

/// The conditions of a division: clean images, the benchmark's corruptions, its attack.
fn protocol(attack: &rlnet_suites::AttackSpec) -> impl Iterator<Item = Condition> {
    let corruptions = BENCHMARK.iter().flat_map(|name| {
        (1..=5).map(move |severity| Condition::Corruption {
            name: (*name).to_owned(),
            severity,
        })
    });
    corruptions.chain([Condition::Clean, Condition::Attack(attack.clone())])
}

/// Training images beyond the data set's own. The plan says it of networks that the run trained, their makers say it
/// of the others.
fn extra_data(bundle: &Bundle, run: &Run, evaluated: &[(&Cell, &EvaluateSpec)]) -> Vec<String> {
    let own: BTreeSet<&str> = evaluated
        .iter()
        .map(|(cell, _)| cell.data.checksum.as_str())
        .collect();
    let trained: Vec<&Cell> = run
        .plan
        .cells
        .iter()
        .filter(|cell| cell.trained().is_some())
        .collect();
    let mut found: Vec<String> = trained
        .iter()
        .filter(|cell| !own.contains(cell.data.checksum.as_str()))
        .map(|cell| format!("{} was trained on {}", cell.name, cell.data.dataset))
        .collect();
    let brought = evaluated.iter().filter(|(cell, _)| {
        !cell
            .parents
            .first()
            .is_some_and(|parent| trained.iter().any(|own| own.id == *parent))
    });
    let brought: BTreeSet<&str> = brought.map(|(cell, _)| cell.model.as_str()).collect();
    match (bundle.manifest.statement.extra_data.as_deref(), brought.first()) {
        (Some("none"), _) | (None, None) => {}
        (Some(which), _) => found.push(format!("its makers name extra data: {which}")),
        (None, Some(model)) => found.push(format!(
            "{model} was not trained by this run, and nothing is said of its training data (--extra-data none)"
        )),
    }
    found
}
