//! Private inference as a real engine computed it: a row a measurement, and the line through the bytes of each
//! architecture.

use super::private::NO_LINEAR;
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::{PI, REDUCTION, RELUS};
use crate::measured_cost::{CostLine, MeasuredCost};
use crate::sections::{Place, Section, Show};
use rlnet_suites::Profile;
use rlnet_suites::protocol::{Phase, Workload};

/// The section.
pub(crate) const MEASURED: Section = Section {
    id: "private_inference_measured",
    place: Place::Numbers,
    show: Show::Table(measured),
    terms: &[PI, RELUS, REDUCTION],
};

/// The section.
pub(crate) const LINES: Section = Section {
    id: "private_inference_lines",
    place: Place::Numbers,
    show: Show::Table(lines),
    terms: &[PI, RELUS],
};

const OLD: &str = "the file is of an earlier version, which did not write it";

/// One row a measurement, beside what the profile of its protocol says of a network of the report.
fn measured(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("branch", "Branch"),
        Column::text("engine", "Engine"),
        Column::text("security", "Security"),
        Column::text("mask", "Mask"),
        Column::integer("relus", "ReLUs"),
        Column::new("linear_mb", "Linear", "MB", Kind::Number(3)),
        Column::new("relu_mb", "ReLUs", "MB", Kind::Number(3)),
        Column::new("measured_mb", "Measured", "MB", Kind::Number(3)),
        Column::new("modelled_mb", "Modelled", "MB", Kind::Number(3)),
        Column::new("difference", "Modelled \u{2212} measured", "%", Kind::Number(1)),
        Column::new("fewer_relus", "Fewer ReLUs", "\u{d7}", Kind::Number(1)),
        Column::new("fewer_bytes", "Fewer bytes", "\u{d7}", Kind::Number(2)),
        Column::integer("messages", "Messages"),
        Column::new("logit_error", "Largest logit error", "", Kind::Number(6)),
        Column::text("same", "Same class"),
        Column::text("right", "Own class, engine / floating point"),
    ];
    let all = &analysis.private.measured;
    Table::new(
        "private_inference_measured",
        "Private inference, measured with a real engine",
        "Two parties over TCP on one machine, without the one-time set-up of a connection; bytes of both parties, of one image. \
         A dealer's bytes are left out where there is one. Factors compare with the measurement of the same architecture, \
         engine and kind of mask that keeps every ReLU. Logits and classes are compared with the network in floating point. \
         A network of which this report knows nothing stands here by its architecture.",
        columns,
        all.iter().map(|found| row(analysis, found)).collect(),
    )
}

fn row(analysis: &Analysis, found: &MeasuredCost) -> Vec<Cell> {
    let mut models = analysis.runs.models.iter();
    let model = models.find(|model| analysis.runs.is_file_of(model, &found.model));
    let modelled = model.and_then(|model| {
        let profile = Profile::find(&found.profile()).ok()?;
        let [own, all] = Workload::of(model.record.as_ref()?);
        let work = found.computed(&own, &all);
        (!work.linear.is_empty()).then(|| profile.total(&work, Some(Phase::Online)).bytes())
    });
    let unknown = match model {
        Some(_) => NO_LINEAR,
        None => "the network is not in this report",
    };
    let whole = found.whole(&analysis.private.measured);
    let number = |bytes: f64| Cell::of(Value::Number(bytes / 1e6));
    vec![
        Cell::text(model.map_or(&found.arch, |model| &model.name)),
        Cell::text(&found.branch),
        Cell::text(found.engine_in_words()),
        Cell::text(&found.security),
        Cell::text(&found.mask),
        Cell::integer(found.relus),
        number(found.linear_bytes as f64),
        number(found.relu_bytes as f64),
        number(found.bytes()),
        Cell::number(modelled.map(|bytes| bytes / 1e6), unknown),
        Cell::number(
            modelled.map(|bytes| 100.0 * (bytes / found.bytes() - 1.0)),
            unknown,
        ),
        Cell::number(
            found
                .relus_total
                .map(|total| total as f64 / found.relus.max(1) as f64),
            OLD,
        ),
        Cell::number(
            whole.map(|whole| whole.bytes() / found.bytes()),
            "the network with every ReLU was not measured",
        ),
        Cell::integer(found.messages_from_server + found.messages_from_client),
        Cell::of(Value::Number(found.largest_logit_error)),
        Cell::text(format!("{} of {}", found.same_class, found.images)),
        match (found.right, found.right_float) {
            (Some(own), Some(float)) => Cell::text(format!("{own} / {float} of {}", found.images)),
            _ => Cell::absent("the images had no labels"),
        },
    ]
}

/// One row a line.
fn lines(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("arch", "Architecture"),
        Column::text("engine", "Engine"),
        Column::text("security", "Security"),
        Column::text("mask", "Mask"),
        Column::integer("networks", "Networks"),
        Column::new("intercept_mb", "a", "MB", Kind::Number(3)),
        Column::new("slope", "b", "B a ReLU", Kind::Number(1)),
        Column::new("residual_kb", "Largest residual", "kB", Kind::Number(1)),
        Column::new("residual", "Largest residual", "% of bytes", Kind::Number(3)),
        Column::new("linear_mb", "Without ReLUs", "MB", Kind::Number(3)),
    ];
    let found = CostLine::of(&analysis.private.measured);
    let rows = found.iter().map(|line| {
        let number = |value: f64| Cell::of(Value::Number(value));
        vec![
            Cell::text(&line.first.arch),
            Cell::text(line.first.engine_in_words()),
            Cell::text(&line.first.security),
            Cell::text(&line.first.mask),
            Cell::integer(line.networks as u64),
            number(line.intercept / 1e6),
            number(line.slope),
            number(line.residual / 1e3),
            number(100.0 * line.relative_residual),
            number(line.linear / 1e6),
        ]
    });
    Table::new(
        "private_inference_lines",
        "Bytes of a real engine as a line",
        "Bytes of both parties = a + b ReLUs, by least squares through the measured networks of one architecture (three or more \
         numbers of ReLUs). Without ReLUs: the mean of what the same networks sent with every ReLU left out; a is larger by what \
         a layer of ReLUs sends however few it keeps.",
        columns,
        rows.collect(),
    )
}
