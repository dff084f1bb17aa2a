//! What survives everything at once, and which attack breaks what.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::metrics::joint::{joint as jointly, random_branch};
use crate::metrics::smallest_perturbation::{self, Curve};
use crate::metrics::threat::{is_minimum_norm, radius};
use crate::metrics::{BranchPolicy, Estimate, Known, Unknown};
use crate::model::Model;
use rlnet_suites::Condition;
use rlnet_suites::corruption::BENCHMARK;
use std::collections::BTreeSet;

/// One row a model and reading: right when clean and under everything of a kind.
pub fn joint(analysis: &Analysis) -> Table {
    let planned = analysis.runs.conditions();
    let attacks: Vec<Condition> = planned.iter().filter(|c| bounded(c)).cloned().collect();
    let corruptions: Vec<Condition> = planned
        .iter()
        .filter(|c| benchmark(c).is_some())
        .cloned()
        .collect();
    let levels: BTreeSet<u8> = corruptions.iter().filter_map(benchmark).collect();
    let mut kinds: Vec<(String, String, Vec<Condition>)> = Vec::new();
    if attacks.len() > 1 {
        kinds.push(("attacks".into(), "every attack".into(), attacks.clone()));
    }
    for level in levels {
        let of = corruptions.iter().filter(|c| benchmark(c) == Some(level));
        kinds.push((
            format!("severity_{level}"),
            format!("every corruption at severity {level}"),
            of.cloned().collect(),
        ));
    }
    if !attacks.is_empty() && !corruptions.is_empty() {
        let all = attacks.iter().chain(&corruptions);
        kinds.push(("all".into(), "all of it".into(), all.cloned().collect()));
    }
    let mut columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Read through", "", Kind::Text),
        Column::new("clean", "clean", "%", Kind::Share),
    ];
    columns.extend(
        kinds
            .iter()
            .map(|(key, head, _)| Column::new(key, head, "%", Kind::Share)),
    );
    let mut rows = Vec::new();
    for (model, matrix, policy) in read(analysis).filter(|_| !kinds.is_empty()) {
        let mut row = vec![Cell::text(&model.name), Cell::text(policy.label())];
        let clean = ("clean".to_owned(), String::new(), Vec::new());
        for (_, head, conditions) in [&clean].into_iter().chain(&kinds) {
            let all: Vec<Condition> = [Condition::Clean]
                .into_iter()
                .chain(conditions.iter().cloned())
                .collect();
            let known: Known<Estimate> = jointly(matrix, policy, &all).ok_or_else(|| unfinished(model, &all));
            let source = format!("right when clean and under {head}, {}", policy.label());
            row.push(Cell::share(&known, &source));
        }
        rows.push(row);
    }
    Table {
        id: "joint",
        whole: None,
        title: "Right under everything at once".to_owned(),
        caption: "Share of images that are right when clean and under every condition of the column, with 95 % Wilson intervals: what is left when the worst of them may be chosen for each image. Attacks that look for the smallest perturbation, whatever its size, do not take part.".to_owned(),
        columns,
        rows,
    }
}

/// One row a model, reading and norm, one column a radius.
pub fn curves(analysis: &Analysis) -> Table {
    let found: Vec<(&Model, BranchPolicy, Curve)> = read(analysis)
        .flat_map(|(model, matrix, policy)| {
            let curves = smallest_perturbation::curves(matrix, policy).into_iter();
            curves.map(move |curve| (model, policy, curve))
        })
        .collect();
    let columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Attacked and read through", "", Kind::Text),
        Column::new("norm", "Norm", "", Kind::Text),
        Column::new("radius", "Radius", "", Kind::Text),
        Column::new("accuracy", "Right", "%", Kind::Share),
        Column::new("median", "Median distance", "", Kind::Text),
        Column::new("attacks", "Attacks", "", Kind::Integer),
    ];
    let mut rows = Vec::new();
    for (model, policy, curve) in &found {
        for (radius, estimate) in &curve.points {
            let source = format!(
                "no attack of size {} or less, {}",
                curve.norm.size(*radius),
                policy.label()
            );
            rows.push(vec![
                Cell::text(&model.name),
                Cell::text(policy.label()),
                Cell::text(curve.norm.to_string()),
                Cell::text(curve.norm.size(*radius)),
                Cell::share(&Ok(estimate.clone()), &source),
                match curve.median {
                    Some(size) => Cell::text(curve.norm.size(size)),
                    None => Cell::of(Value::Absent("half the images or more were never broken".into())),
                },
                Cell::of(Value::Integer(curve.attacks.len() as u64)),
            ]);
        }
    }
    Table {
        id: "robustness",
        whole: None,
        title: "Accuracy against radius, all attacks of a norm together".to_owned(),
        caption: "An image counts at a radius when no attack of that norm broke it with a perturbation of at most this size, so accuracy can only fall as the radius grows. Distance: the smallest breaking perturbation found, 0 for images that are wrong when clean; an upper bound of the true one.".to_owned(),
        columns,
        rows,
    }
}

/// One row a model, reading and minimum-norm attack.
pub fn minima(analysis: &Analysis) -> Table {
    let mut columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Attacked and read through", "", Kind::Text),
        Column::new("attack", "Attack", "", Kind::Text),
        Column::new("norm", "Norm", "", Kind::Text),
        Column::new("found", "Broken at any size", "%", Kind::Share),
    ];
    for (key, head) in [
        ("q25", "Quarter within"),
        ("median", "Median"),
        ("q75", "Three quarters within"),
    ] {
        columns.push(Column::new(key, head, "", Kind::Text));
    }
    let mut rows = Vec::new();
    for (model, matrix, policy) in read(analysis) {
        for minimum in smallest_perturbation::minima(matrix, policy) {
            let norm = crate::metrics::threat::Norm::of(&minimum.attack);
            let mut row = vec![
                Cell::text(&model.name),
                Cell::text(policy.label()),
                Cell::text(analysis.names.get(&minimum.attack)),
                Cell::text(norm.to_string()),
                Cell::share(
                    &Ok(minimum.found.clone()),
                    &format!("condition {}", minimum.attack),
                ),
            ];
            row.extend(minimum.quartiles.map(|size| match size {
                Some(size) => Cell::text(norm.size(size)),
                None => Cell::of(Value::Absent("that many images were never broken".into())),
            }));
            rows.push(row);
        }
    }
    Table {
        id: "minimum_norm",
        whole: None,
        title: "Smallest perturbations found".to_owned(),
        caption: "Attacks that look for the nearest adversarial image; quartiles over all images, those wrong when clean counted as 0.".to_owned(),
        columns,
        rows,
    }
}

/// Every model with its answers, under every reading.
pub(super) fn read(
    analysis: &Analysis,
) -> impl Iterator<Item = (&Model, &crate::metrics::PredictionMatrix, BranchPolicy)> {
    let models = analysis.runs.models.iter().zip(&analysis.matrices);
    models.flat_map(|(model, matrix)| {
        let policies = model.policies().into_iter();
        policies.map(move |policy| (model, matrix, policy))
    })
}

/// Whether a condition is an attack that stays in a ball.
fn bounded(condition: &Condition) -> bool {
    matches!(condition, Condition::Attack(spec) if radius(spec).is_some() || !is_minimum_norm(spec))
}

/// The severity of a corruption of the benchmark.
fn benchmark(condition: &Condition) -> Option<u8> {
    match condition {
        Condition::Corruption { name, severity } if BENCHMARK.contains(&name.as_str()) => Some(*severity),
        _ => None,
    }
}

fn unfinished(model: &Model, conditions: &[Condition]) -> Unknown {
    let missing = conditions.iter().filter(|c| !model.measured.contains(c)).count();
    Unknown::because(format!(
        "unfinished: {missing} of {} conditions",
        conditions.len()
    ))
}

/// One row a model, reading and attack: what it left, what is left once its images are
/// rounded to 8 bits, and what it spent.
pub fn attacks_one_by_one(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Read through", "", Kind::Text),
        Column::new("attack", "Attack", "", Kind::Text),
        Column::new("right", "Right", "%", Kind::Share),
        Column::new("right_8bit", "Right after rounding", "%", Kind::Share),
        Column::new("forwards", "Forward passes an image", "", Kind::Number(1)),
        Column::new("backwards", "Backward passes an image", "", Kind::Number(1)),
    ];
    let attacks = analysis.runs.attacks();
    let mut rows = Vec::new();
    for (model, matrix, policy) in
        read(analysis).filter(|(.., policy)| matches!(policy, BranchPolicy::Fixed(_)))
    {
        for attack in &attacks {
            let condition = Condition::Attack(attack.clone());
            let Some([seen]) = matrix
                .predictions(policy, &condition)
                .as_deref()
                .map(|predictions| [predictions[0]])
            else {
                continue;
            };
            let (whole, rounded) = (share(&seen.right), share(&seen.rounded));
            let source = format!("condition {attack}, {}", policy.label());
            let per_image = |passes: u64| Some(passes as f64 / whole.images.max(1) as f64);
            rows.push(vec![
                Cell::text(&model.name),
                Cell::text(policy.label()),
                Cell::text(analysis.names.get(attack)),
                Cell::share(&Ok(whole.clone()), &source),
                match rounded.right == whole.right {
                    true => Cell::of(Value::Absent("the same".into())),
                    false => Cell::share(&Ok(rounded), &format!("{source}, rounded to 8 bits")),
                },
                Cell::number(per_image(seen.forwards), ""),
                Cell::number(per_image(seen.backwards), ""),
            ]);
        }
    }
    for (model, matrix) in analysis.runs.models.iter().zip(&analysis.matrices) {
        for attack in attacks.iter().filter(|attack| attack.word("branch") == "all") {
            let Some(mean) = random_branch(matrix, attack) else {
                continue;
            };
            rows.push(vec![
                Cell::text(&model.name),
                Cell::text("random branch"),
                Cell::text(analysis.names.get(attack)),
                Cell::share(&Ok(mean), &format!("condition {attack}, mean over branches")),
                Cell::of(Value::Absent("see the branches".into())),
                Cell::of(Value::Absent("see the branches".into())),
                Cell::of(Value::Absent("see the branches".into())),
            ]);
        }
    }
    Table {
        id: "attacks_one_by_one",
        whole: None,
        title: "What each attack left, and what it spent".to_owned(),
        caption: "Right after rounding: the adversarial image is rounded to 8 bits a value, as it could be stored or sent, and classified again; a dash where the number is the same. Random branch: a defence that picks one of the branches at random for each image; its accuracy is the mean over branches under one perturbation made against all of them. Passes are means over images, the one that judges the result included.".to_owned(),
        columns,
        rows,
    }
}

fn share(right: &[Option<bool>]) -> Estimate {
    let known = right.iter().flatten();
    let right = known.clone().filter(|right| **right).count();
    Estimate::of_images(right as u64, known.count() as u64)
}
