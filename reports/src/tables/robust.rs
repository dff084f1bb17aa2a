//! What survives everything at once, and how far perturbations must go.

use super::by_branch::{ATTACKED, READ, View, columns, views};
use super::{Cell, Column, Table, Value};
use crate::analysis::Analysis;
use crate::glossary;
use crate::metrics::joint::joint as jointly;
use crate::metrics::{Quantity, Unknown, smallest_perturbation};
use crate::sections::{Place, Section, Show};
use rlnet_suites::Condition;
use rlnet_suites::attack::radius::RADIUS;
use rlnet_suites::corruption::BENCHMARK;
use std::collections::BTreeSet;

/// What is right under everything at once.
pub(crate) const JOINT: Section = Section {
    id: "joint",
    place: Place::Numbers,
    show: Show::Table(joint),
    terms: glossary::ACCURACY,
};

/// Accuracy against radius.
pub(crate) const CURVES: Section = Section {
    id: "robustness",
    place: Place::Numbers,
    show: Show::Table(curves),
    terms: glossary::ACCURACY,
};

/// The smallest perturbations.
pub(crate) const MINIMA: Section = Section {
    id: "minimum_norm",
    place: Place::Numbers,
    show: Show::Table(minima),
    terms: glossary::ACCURACY,
};

/// A column of [`joint`]: the conditions that an image must survive.
struct Survived {
    key: String,
    head: String,
    conditions: Vec<Condition>,
}

/// One row a model and branch policy: right when clean and under everything of a kind.
fn joint(analysis: &Analysis) -> Table {
    let kinds = kinds(&analysis.runs.conditions());
    let rows = views(analysis)
        .filter(|_| kinds.len() > 1)
        .map(|view| view.row(kinds.iter().map(|kind| survivors(&view, kind))));
    Table::new(
        "joint",
        "Correct under everything at once",
        "Share of images that are classified correctly when clean and under every condition of the column, with 95 % Wilson intervals: an image counts only if it survives all of them. Attacks that look for the smallest perturbation, whatever its size, do not take part.",
        columns(
            READ,
            kinds.iter().map(|kind| Column::share(&kind.key, &kind.head)),
        ),
        rows.collect(),
    )
}

/// The columns of [`joint`]: clean images, then everything of a kind, where there is such a kind.
fn kinds(planned: &[Condition]) -> Vec<Survived> {
    let attacks: Vec<Condition> = planned.iter().filter(|c| bounded(c)).cloned().collect();
    let corrupted = |level: Option<u8>| -> Vec<Condition> {
        let wanted = |found: &u8| level.is_none_or(|level| level == *found);
        (planned.iter())
            .filter(|condition| severity(condition).is_some_and(|found| wanted(&found)))
            .cloned()
            .collect()
    };
    let survived = |key: String, head: String, conditions: Vec<Condition>| Survived {
        key,
        head,
        conditions,
    };
    let mut kinds = vec![survived("clean".into(), "clean".into(), Vec::new())];
    if attacks.len() > 1 {
        kinds.push(survived("attacks".into(), "every attack".into(), attacks.clone()));
    }
    let levels: BTreeSet<u8> = planned.iter().filter_map(severity).collect();
    kinds.extend(levels.iter().map(|level| {
        survived(
            format!("severity_{level}"),
            format!("every corruption at severity {level}"),
            corrupted(Some(*level)),
        )
    }));
    if !attacks.is_empty() && !levels.is_empty() {
        kinds.push(survived(
            "all".into(),
            "all of it".into(),
            [attacks, corrupted(None)].concat(),
        ));
    }
    kinds
}

fn survivors(view: &View, kind: &Survived) -> Cell {
    let all = [vec![Condition::Clean], kind.conditions.clone()].concat();
    let known = jointly(view.matrix, view.policy, &all).ok_or_else(|| {
        let count = |missing: &dyn Fn(&Condition) -> bool| all.iter().filter(|c| missing(c)).count();
        let never = count(&|condition| view.model.cell_of(condition).is_none());
        match count(&|condition| !view.model.measured.contains(condition)) {
            _ if never > 0 => {
                Unknown::because(format!("{never} of {} conditions are not asked of it", all.len()))
            }
            0 => Unknown::because("some of it was measured on other images than the others' of this column"),
            missing => Unknown::Unfinished(format!("{missing} of {} conditions", all.len())),
        }
    });
    let source = format!("right when clean and under {}{}", kind.head, view.policy.read());
    Cell::share(&known, &source)
}

/// One row a model, branch policy, norm and radius.
fn curves(analysis: &Analysis) -> Table {
    let own = [
        Column::text("norm", "Norm"),
        Column::text("radius", "Radius"),
        Column::share("accuracy", "Correct"),
        Column::text("median", "Median distance"),
        Column::integer("attacks", "Attacks"),
    ];
    let mut rows = Vec::new();
    for view in views(analysis) {
        let own = view.analysis.matrix(&view.model.name);
        let found = own.map_or_else(Vec::new, |own| smallest_perturbation::curves(own, view.policy));
        for curve in found {
            let attacks = Cell::integer(curve.attacks.len() as u64);
            if let Err(why) = view.answers(&Quantity::Ball(curve.norm)) {
                let absent = || Cell::of(Value::Absent(why.clone()));
                let norm = Cell::text(curve.norm.symbol());
                rows.push(view.row([norm, absent(), absent(), absent(), attacks]));
                continue;
            }
            for (radius, estimate) in &curve.points {
                let size = curve.norm.size(*radius);
                let source = format!("no attack of size {size} or less{}", view.policy.read());
                rows.push(view.row([
                    Cell::text(curve.norm.symbol()),
                    Cell::text(&size),
                    Cell::share(&Ok(estimate.clone()), &source),
                    match curve.median {
                        Some(size) => Cell::text(curve.norm.size(size)),
                        None => Cell::absent("half the images or more were never broken"),
                    },
                    attacks.clone(),
                ]));
            }
        }
    }
    Table::new(
        "robustness",
        "Accuracy against radius, all attacks of a norm together",
        "An image counts at a radius when no attack of that norm broke it with a perturbation of at most this size, so accuracy can only fall as the radius grows. Distance: the smallest breaking perturbation found, 0 for images that are wrong when clean; an upper bound of the true one.",
        columns(ATTACKED, own),
        rows,
    )
}

/// One row a model, branch policy and minimum-norm attack.
fn minima(analysis: &Analysis) -> Table {
    let own = [
        Column::text("attack", "Attack"),
        Column::text("norm", "Norm"),
        Column::share("found", "Broken at any size"),
        Column::text("q25", "Quarter within"),
        Column::text("median", "Median"),
        Column::text("q75", "Three quarters within"),
    ];
    let mut rows = Vec::new();
    for view in views(analysis) {
        for minimum in smallest_perturbation::minima(view.matrix, view.policy) {
            let norm = minimum.attack.norm();
            let quartiles = minimum.quartiles.map(|size| match size {
                Some(size) => Cell::text(norm.size(size)),
                None => Cell::absent("that many images were never broken"),
            });
            // Where another attack of its norm broke an image nearer, that is its distance, too.
            let admitted = match minimum.attack.name() == RADIUS.name {
                true => view.answers(&Quantity::Ball(norm)).map(|_| ()),
                false => Ok(()),
            };
            let quartiles = quartiles.map(|cell| match &admitted {
                Ok(()) => cell,
                Err(why) => Cell::of(Value::Absent(why.clone())),
            });
            let found = Cell::share(
                &admitted.map(|()| minimum.found.clone()),
                &format!("condition {}", minimum.attack),
            );
            let first = [
                Cell::text(analysis.names.get(&minimum.attack)),
                Cell::text(norm.symbol()),
                found,
            ];
            rows.push(view.row(first.into_iter().chain(quartiles)));
        }
    }
    Table::new(
        "minimum_norm",
        "Smallest perturbations found",
        "Attacks that look for the nearest adversarial image; quartiles over all images, those wrong when clean counted as 0.",
        columns(ATTACKED, own),
        rows,
    )
}

/// Whether a condition is an attack that stays in a ball.
fn bounded(condition: &Condition) -> bool {
    matches!(condition, Condition::Attack(spec) if !spec.is_minimum_norm())
}

/// The severity of a corruption of the benchmark.
fn severity(condition: &Condition) -> Option<u8> {
    match condition {
        Condition::Corruption { name, severity } if BENCHMARK.contains(&name.as_str()) => Some(*severity),
        _ => None,
    }
}
