//! Accuracies: the main table, and the full matrices behind it.

use super::by_branch::{READ, View, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::glossary::{self, REDUCTION, RELUS, Term};
use crate::metrics::{BranchPolicy, DiagnosisVerdict, Estimate, Known, Stronger, Triple, Unknown};
use crate::model::Model;
use crate::sections::{Place, Section, Show};
use crate::setup::{corruption_set, fewer_images, headline, images};
use rlnet_suites::corruption::{self, BENCHMARK};
use rlnet_suites::{Condition, ReluCount};
use std::collections::BTreeSet;

/// Terms of the main table.
const MAIN_TERMS: &[Term] = &[
    glossary::CA,
    glossary::NPA,
    glossary::MCE,
    glossary::ADVA,
    RELUS,
    REDUCTION,
    glossary::INTERVAL,
    glossary::ORACLE,
    glossary::ONE_BRANCH,
    glossary::WORST,
];

/// The main table.
pub(crate) const MAIN: Section = Section {
    id: "main",
    place: Place::FirstScreen,
    show: Show::Table(main),
    terms: MAIN_TERMS,
};

/// Accuracy per corruption.
pub(crate) const CORRUPTIONS: Section = Section {
    id: "corruptions",
    place: Place::Numbers,
    show: Show::Table(corruptions),
    terms: glossary::ACCURACY,
};

/// Accuracy per severity.
pub(crate) const SEVERITIES: Section = Section {
    id: "severities",
    place: Place::Numbers,
    show: Show::Table(severities),
    terms: glossary::ACCURACY,
};

/// One row a model and branch policy: what it keeps, and CA, NPA, mCE, AdvA.
pub fn main(analysis: &Analysis) -> Table {
    let diagnosed = analysis.diagnoses.iter().any(|diagnosis| diagnosis.was_asked());
    let trust_column = diagnosed.then(|| Column::text("trust", "AdvA is"));
    let own = [
        Column::integer("relus", "ReLUs"),
        Column::new("reduction", "Reduction", "\u{d7}", Kind::Number(1)),
        Column::share("ca", "CA"),
        Column::share("npa", "NPA"),
        Column::share("mce", "mCE"),
        Column::share("adva", "AdvA"),
    ];
    let trained = trainings(analysis);
    let several = trained.iter().any(|count| *count > 1);
    let trainings_column = several.then(|| Column::integer("trainings", "Trainings"));
    let main = views(analysis).filter(|view| view.model.repeats().is_none());
    let rows = main.filter_map(|view| {
        let triple = analysis.triple(&view.model.name, view.policy)?;
        let (relus, reduction) = relus(view.model);
        let natural = format!("{}, {}", corruption_set(analysis), view.cells(is_benchmark));
        let adva = (analysis.runs.headline.as_ref())
            .map(|spec| view.source(&Condition::Attack(spec.clone())))
            .unwrap_or_default();
        let verdict = diagnosed.then(|| match analysis.verdict(&view.model.name, view.policy) {
            Some(verdict) => Cell::text(trust(analysis, triple, verdict)),
            None => Cell::absent("this branch was not diagnosed"),
        });
        let cells = [
            relus,
            reduction,
            Cell::share(&triple.ca, &view.source(&Condition::Clean)),
            Cell::share(&triple.natural.npa, &natural),
            errors(&triple.natural.mce(), &natural),
            Cell::share(&triple.adva, &adva),
        ];
        let trainings = several.then(|| Cell::integer(trained[view.at] as u64));
        Some(view.row(cells.into_iter().chain(trainings).chain(verdict)))
    });
    Table::new(
        "main",
        "Accuracy on clean, corrupted and attacked images",
        format!(
            "Percent of {} test images that are classified correctly, with 95 % intervals. NPA: {}; mCE is 100 minus NPA. AdvA: {}.{} {}",
            format::thousands(images(analysis)),
            corruption_set(analysis),
            headline(&analysis.runs).unwrap_or_else(|| "no attack".to_owned()),
            fewer_images(analysis),
            said_of_trainings(&trained),
        ),
        columns(READ, own.into_iter().chain(trainings_column).chain(trust_column)),
        rows.collect(),
    )
}

/// How often each model was trained, in the order of the runs' models.
fn trainings(analysis: &Analysis) -> Vec<usize> {
    let models = analysis.runs.models.iter();
    models.map(|model| analysis.trainings(&model.name)).collect()
}

/// How many trainings the numbers of the main table stand on.
fn said_of_trainings(trained: &[usize]) -> &'static str {
    match trained.iter().max() {
        Some(most) if *most > 1 => {
            "A row of several trainings has their mean, and its interval covers other trainings as well as other images."
        }
        _ => "Each row is one training: its interval covers other images, not other trainings.",
    }
}

/// The verdict on the AdvA of a branch policy, and what is lower where something is.
fn trust(analysis: &Analysis, triple: &Triple, verdict: DiagnosisVerdict) -> String {
    let headline = analysis.runs.headline.as_ref();
    let found = headline.zip(analysis.matrix(&triple.model));
    match found.and_then(|(headline, matrix)| Stronger::find(headline, matrix, triple.policy)) {
        Some(lower) => format!("{}; {}", verdict.name(), lower.short(&analysis.names)),
        None => verdict.name().to_owned(),
    }
}

/// One row a model and branch policy, one column a corruption.
fn corruptions(analysis: &Analysis) -> Table {
    let planned = analysis.runs.conditions();
    let names: Vec<&str> = corruption::ALL
        .into_iter()
        .filter(|name| planned.iter().any(|condition| is_corruption(condition, name)))
        .collect();
    let own = names
        .iter()
        .map(|name| Column::share(*name, format::corruption(name)));
    let mean = Column::share("npa", "mean of the benchmark (NPA)");
    let cells = |view: &View, triple: &Triple| -> Vec<Cell> {
        let share = |name: &&str| {
            let from = view.cells(|condition| is_corruption(condition, name));
            let known = triple.natural.corruptions.get(*name).cloned();
            let unlike = || triple.natural.unlike.get(*name).cloned();
            let known = known.ok_or_else(|| unlike().unwrap_or_else(|| Unknown::Unfinished(from.clone())));
            Cell::share(&known, &format!("{name}, {from}"))
        };
        let npa = Cell::share(&triple.natural.npa, &view.cells(is_benchmark));
        names.iter().map(share).chain([npa]).collect()
    };
    let rows = views(analysis)
        .filter(|view| view.policy != BranchPolicy::Oracle && !names.is_empty())
        .filter_map(|view| {
            let triple = analysis.triple(&view.model.name, view.policy)?;
            Some(view.row(cells(&view, triple)))
        });
    Table::new(
        "corruptions",
        "Accuracy per corruption",
        format!(
            "Percent correct, mean over severities, with 95 % intervals. Planned: {}.",
            corruption_set(analysis)
        ),
        columns(READ, own.chain([mean])),
        rows.collect(),
    )
}

/// One row a model and branch policy, one column a severity.
fn severities(analysis: &Analysis) -> Table {
    let levels: BTreeSet<u32> = (analysis.triples.iter())
        .flat_map(|triple| triple.natural.severities.keys().copied())
        .collect();
    let own = levels
        .iter()
        .map(|level| Column::share(format!("severity_{level}"), format!("severity {level}")));
    let rows = views(analysis).filter(|_| !levels.is_empty()).filter_map(|view| {
        let natural = &analysis.triple(&view.model.name, view.policy)?.natural;
        let at = |level: &u32| {
            // A mean over fewer corruptions than the others' would not be comparable.
            let known = match (&natural.npa, natural.severities.get(level)) {
                (Ok(_), Some(estimate)) => Ok(estimate.clone()),
                (Err(unknown), _) => Err(unknown.clone()),
                (_, None) => Err(Unknown::because(
                    "not part of the suite, or not measured for all of its corruptions",
                )),
            };
            let from = format!(
                "severity {level} of every corruption, {}",
                view.cells(is_benchmark)
            );
            Cell::share(&known, &from)
        };
        let clean = view.accuracy(&Condition::Clean);
        Some(view.row([clean].into_iter().chain(levels.iter().map(at))))
    });
    Table::new(
        "severities",
        "Accuracy per severity",
        "Percent correct, mean over the benchmark's corruptions, with 95 % intervals.",
        columns(READ, [Column::share("clean", "clean")].into_iter().chain(own)),
        rows.collect(),
    )
}

/// ReLUs kept, and how many times fewer these are than all.
pub(super) fn relus(model: &Model) -> (Cell, Cell) {
    let why = || Cell::of(Value::Absent(model.without_record()));
    let Some(ReluCount { kept, total }) = model.relus else {
        return (why(), why());
    };
    let said = total.map_or_else(
        || "as stated with --relus".to_owned(),
        |total| format!("of {}", format::thousands(total)),
    );
    let cell = Cell {
        value: Value::Integer(kept),
        trace: format!("{} ReLUs, {said}", format::thousands(kept)),
    };
    let reduction = |total| Cell::of(Value::Number(total as f64 / kept.max(1) as f64));
    (cell, total.map_or_else(why, reduction))
}

fn is_corruption(condition: &Condition, wanted: &str) -> bool {
    matches!(condition, Condition::Corruption { name, .. } if name == wanted)
}

fn is_benchmark(condition: &Condition) -> bool {
    matches!(condition, Condition::Corruption { name, .. } if BENCHMARK.contains(&name.as_str()))
}

/// A share of wrong answers: its counts are of what is wrong.
fn errors(known: &Known<Estimate>, source: &str) -> Cell {
    let mut cell = Cell::share(known, source);
    if known.is_ok() {
        cell.trace = format!("wrong: {}", cell.trace);
    }
    cell
}
