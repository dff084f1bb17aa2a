//! Models in the arithmetic of a protocol beside their twins in floating point, paired by image.

use super::by_branch::READ;
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::INTERVAL;
use crate::metrics::bits::Answers;
use crate::metrics::{BranchPolicy, Estimate, McNemar, PredictionMatrix, Quantity};
use crate::model::Model;
use crate::sections::{Place, Section, Show};
use rlnet_suites::Condition;
use rlnet_suites::fixed_point::Deployed;
use std::sync::Arc;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "deployed",
    place: Place::Numbers,
    show: Show::Table(deployed),
    terms: &[INTERVAL],
};

/// One row a deployed model, condition and reading.
fn deployed(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("twin", "Floating point"),
        Column::text("arithmetic", "Arithmetic"),
        Column::text("condition", "Condition"),
        Column::text("reading", READ),
        Column::share("float", "Floating point"),
        Column::share("deployed", "Deployed"),
        Column::new(
            "difference",
            "Deployed \u{2212} floating point",
            "points",
            Kind::Points,
        ),
        Column::integer("other", "Images with another class"),
    ];
    let mut rows = Vec::new();
    for model in &analysis.runs.models {
        let made = model.record.as_ref().and_then(|record| record.deployed.as_ref());
        let Some(made) = made else { continue };
        let twin = twin_of(analysis, made).map(|place| &analysis.runs.models[place]);
        for condition in &model.measured {
            for policy in [BranchPolicy::Oracle, BranchPolicy::Worst]
                .into_iter()
                .take(model.branches.len().min(2))
            {
                let mut row = vec![
                    Cell::text(&model.name),
                    twin.map_or_else(
                        || Cell::absent("not in this report"),
                        |twin| Cell::text(&twin.name),
                    ),
                    Cell::text(&made.arithmetic),
                    Cell::text(condition_in_words(analysis, condition)),
                    Cell::text(policy.on(&model.branches).label()),
                ];
                row.extend(numbers(analysis, model, twin, policy, condition));
                rows.push(row);
            }
        }
    }
    Table::new(
        "deployed",
        "In a protocol's arithmetic, beside floating point",
        "A deployed model computes in a ring of integers, exactly as an engine does; its twin has the same weights. An attack \
         on the deployed model follows the gradients of the twin and takes its verdicts in the ring; a transfer attack \
         (surrogate=...) was made on the twin alone, and is compared with the twin under that attack.",
        columns,
        rows,
    )
}

/// The place of a deployed model's twin in floating point among the report's models.
pub(crate) fn twin_of(analysis: &Analysis, made: &Deployed) -> Option<usize> {
    analysis.runs.models.iter().position(|other| {
        let floating = other
            .record
            .as_ref()
            .is_none_or(|record| record.deployed.is_none());
        floating && analysis.runs.is_file_of(other, &made.twin)
    })
}

/// What the twin is compared under: the same condition, or, of an attack that was made on the twin, that attack.
pub(crate) fn of_twin(condition: &Condition) -> [Condition; 2] {
    let plain = match condition {
        Condition::Attack(spec) => Condition::Attack(spec.on_itself()),
        other => other.clone(),
    };
    [condition.clone(), plain]
}

/// A condition as reports name it.
pub(crate) fn condition_in_words(analysis: &Analysis, condition: &Condition) -> String {
    match condition {
        Condition::Attack(spec) => analysis.names.get(spec),
        other => other.to_string(),
    }
}

fn numbers(
    analysis: &Analysis,
    model: &Model,
    twin: Option<&Model>,
    policy: BranchPolicy,
    condition: &Condition,
) -> [Cell; 4] {
    let absent = |why: &str| Cell::absent(why);
    let answers = |model: &Model, condition: &Condition| {
        let quantity = Quantity::Accuracy(condition.clone());
        let matrix = analysis.answers(model, &quantity).ok()?;
        let right = matrix.right(policy, condition)?;
        Some((matrix, Answers::of(&Arc::from(matrix.images.as_slice()), &right)))
    };
    let share = |answers: &Answers| {
        let known = answers.known();
        Cell::share(&Ok(Estimate::of_images(answers.right(), known)), "paired")
    };
    let Some((own_matrix, own)) = answers(model, condition) else {
        return std::array::from_fn(|_| absent("not measured, or on other images than those of the others"));
    };
    let other = twin.and_then(|twin| {
        of_twin(condition).into_iter().find_map(|condition| {
            let (matrix, right) = answers(twin, &condition)?;
            Some((matrix, right, condition))
        })
    });
    let Some((matrix, right, of)) = other else {
        let why =
            "the twin is not in this report, or was not measured under this condition and on these images";
        return [absent(why), share(&own), absent(why), absent(why)];
    };
    let test = McNemar::of(&own, &right);
    if [own.known(), right.known()] != [test.images; 2] {
        let why = format!(
            "the twin was measured on other images: {} of {} and {} are the same",
            test.images,
            own.known(),
            right.known()
        );
        return [absent(&why), share(&own), absent(&why), absent(&why)];
    }
    let difference = test.difference();
    [
        share(&right),
        share(&own),
        Cell {
            trace: difference.test.clone(),
            value: Value::Points(difference),
        },
        match classes((own_matrix, condition), (matrix, &of), policy) {
            Some(count) => Cell::integer(count),
            None => absent("the reading looks at several branches"),
        },
    ]
}

/// Images of both to which the two give different classes; nothing where a reading has several predictions.
fn classes(
    (a, of_a): (&PredictionMatrix, &Condition),
    (b, of_b): (&PredictionMatrix, &Condition),
    policy: BranchPolicy,
) -> Option<u64> {
    let (left, right) = (a.predictions(policy, of_a)?, b.predictions(policy, of_b)?);
    let ([left], [right]) = (left.as_slice(), right.as_slice()) else {
        return None;
    };
    let places = a.images.iter().enumerate();
    let both = places.filter_map(|(i, image)| Some((i, b.images.binary_search(image).ok()?)));
    let known = both.filter(|(i, j)| left.right[*i].is_some() && right.right[*j].is_some());
    Some(known.filter(|(i, j)| left.given[*i] != right.given[*j]).count() as u64)
}
