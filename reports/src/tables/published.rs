//! The literature beside our numbers: only where architecture, data set and number of ReLUs
//! are the same, and never as a test, for the training images of a paper are not those of a run.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::format;
use crate::glossary::{CA, NPA, RELUS};
use crate::metrics::{BranchPolicy, Known, Quantity, Unknown};
use crate::sections::{Place, Section, Show};
use rlnet_suites::dataset::NAMED;
use rlnet_suites::{Condition, Literature};

/// Budgets that differ by at most this share are the same: papers round theirs.
const TOLERANCE: f64 = 0.03;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "published",
    place: Place::Numbers,
    show: Show::Table(published),
    terms: &[CA, NPA, RELUS],
};

/// Whether our numbers of a kind were measured on what papers measure them on: all test images, and all
/// severities of all corruptions.
fn alike(analysis: &Analysis, dataset: &str, quantity: &Quantity) -> Known<()> {
    let Some(set) = analysis.columns.set(quantity) else {
        return Ok(());
    };
    if *quantity == Quantity::Npa && !set.is_whole_benchmark() {
        return Err(Unknown::because(format!(
            "ours is over {}, theirs over all 15 corruptions at severities 1 to 5",
            set.said()
        )));
    }
    let all = NAMED.iter().find(|named| named.name == dataset);
    match all.filter(|all| set.images.len() < all.test as usize) {
        Some(all) => Err(Unknown::because(format!(
            "ours is of {} images, theirs of all {}",
            format::thousands(set.images.len() as u64),
            format::thousands(all.test.into())
        ))),
        None => Ok(()),
    }
}

/// One row a model and published number that can stand beside it.
fn published(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::integer("relus", "ReLUs"),
        Column::new("method", "Published method", "", Kind::Text),
        Column::new("their_relus", "Its ReLUs", "", Kind::Integer),
        Column::new("measure", "Measure", "", Kind::Text),
        Column::new("paper", "Paper", "%", Kind::Number(2)),
        Column::new("ours", "Ours", "%", Kind::Share),
        Column::new("difference", "Difference", "points", Kind::Number(1)),
        Column::new("seen", "Seen", "", Kind::Text),
        Column::text("source", "Source"),
    ];
    let mut rows = Vec::new();
    // The files are checked by their tests; a report without them is still a report.
    let literature = Literature::load().unwrap_or_default();
    for model in &analysis.runs.models {
        let (Some(record), Some(triple)) =
            (&model.record, analysis.triple(&model.name, BranchPolicy::Oracle))
        else {
            continue;
        };
        let dataset = analysis.runs.runs[model.run].plan.images();
        let Some(dataset) = dataset.map(|images| images.dataset.as_str()) else {
            continue;
        };
        for (result, source) in literature.like(&record.arch, dataset, record.kept(), TOLERANCE) {
            let (ours, quantity): (&Known<_>, Quantity) = match result.measure.as_str() {
                "CA" => (&triple.ca, Quantity::Accuracy(Condition::Clean)),
                "NPA" => (&triple.natural.npa, Quantity::Npa),
                _ => continue,
            };
            let difference = alike(analysis, dataset, &quantity).and_then(|()| {
                let ours = ours.as_ref().map_err(Clone::clone)?;
                Ok(100.0 * ours.value - result.value)
            });
            rows.push(vec![
                Cell::text(&model.name),
                Cell::integer(record.kept()),
                Cell::text(&result.method),
                match result.relus {
                    Some(relus) => Cell::integer(relus),
                    None => Cell::absent("all, or not said"),
                },
                Cell::text(&result.measure),
                Cell::of(Value::Number(result.value)),
                Cell::share(ours, triple.policy.read().trim_start_matches(", ")),
                Cell::of(difference.map_or_else(Value::Absent, Value::Number)),
                Cell::text(source.seen.name()),
                Cell::text(&source.title),
            ]);
        }
    }
    Table::new(
        "published",
        "Beside published numbers",
        format!(
            "Published networks of the same architecture and data set with as many ReLUs ({} % apart at most). Difference: ours minus theirs, where ours was measured on all test images, and NPA on every corruption at every severity, as theirs; no test, because their answers cannot be paired with ours image by image. Original: read in the paper or its code; second-hand: quoted by somebody else; derived: computed. RLNet's own tables were not found.",
            format::percent(TOLERANCE)
        ),
        columns,
        rows,
    )
}
