//! In which layers the ball of a certificate leaves the signs of ReLUs open.

use super::{Cell, Column, Kind, Table};
use crate::analysis::Analysis;
use crate::glossary::RELUS;
use crate::metrics::Quantity;
use crate::sections::{Place, Section, Show};
use rlnet_suites::Condition;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "unstable",
    place: Place::Numbers,
    show: Show::Table(unstable),
    terms: &[RELUS],
};

/// One row a model, certificate, branch and ReLU layer, and one of all layers.
fn unstable(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("norm", "Norm"),
        Column::text("radius", "Radius"),
        Column::text("branch", "Branch"),
        Column::text("layer", "Layer"),
        Column::integer("kept", "ReLUs kept"),
        Column::new("unstable", "Unstable", "an image", Kind::Number(1)),
        Column::new("share", "Share of them", "%", Kind::Number(1)),
    ];
    let mut rows = Vec::new();
    for model in &analysis.runs.models {
        let layers = model
            .record
            .as_ref()
            .map_or(&[][..], |record| record.layers.as_slice());
        for (place, (certificate, values)) in model.unstable.iter().enumerate() {
            // Methods in one ball begin with the same intervals.
            let ball = |spec: &rlnet_suites::AttackSpec| (spec.norm(), spec.eps().map(f64::to_bits));
            if model.unstable[..place]
                .iter()
                .any(|(other, _)| ball(other) == ball(certificate))
            {
                continue;
            }
            let quantity = Quantity::Accuracy(Condition::Certify(certificate.clone()));
            if analysis.columns.admit(model, &quantity).is_err() {
                continue;
            }
            for branch in &model.branches {
                let metric = format!("unstable/{branch}");
                let own: Vec<_> = values.iter().filter(|value| value.metric == metric).collect();
                let named = |place: u32| layers.get(place as usize - 1);
                let each = own.iter().map(|value| {
                    let layer = named(value.layer);
                    let name = layer.map_or(format!("layer {}", value.layer), |layer| layer.name.clone());
                    (name, layer.map(|layer| layer.kept), value.value)
                });
                let sum: f64 = own.iter().map(|value| value.value).sum();
                let kept: u64 = layers.iter().map(|layer| layer.kept).sum();
                let all = ("all layers".to_owned(), (!layers.is_empty()).then_some(kept), sum);
                for (name, kept, value) in each.chain([all]).filter(|_| !own.is_empty()) {
                    let norm = certificate.norm();
                    let unknown = "the model does not describe its layers";
                    rows.push(vec![
                        Cell::text(&model.name),
                        Cell::text(norm.symbol()),
                        Cell::text(norm.size(certificate.eps().unwrap_or(0.0))),
                        Cell::text(branch.name()),
                        Cell::text(name),
                        kept.map_or_else(|| Cell::absent(unknown), Cell::integer),
                        Cell::number(Some(value), unknown),
                        Cell::number(
                            kept.filter(|kept| *kept > 0)
                                .map(|kept| 100.0 * value / kept as f64),
                            unknown,
                        ),
                    ]);
                }
            }
        }
    }
    Table::new(
        "unstable",
        "ReLUs whose sign the ball leaves open, a layer",
        "Means over the first test images of a cell (32 at most): units before a kept ReLU that intervals put on both sides of zero. Each costs a certificate a relaxation, and a branch and bound a branch; linear bounds close some of them (the table of certified accuracy counts what is left). A layer without kept ReLUs has no row.",
        columns,
        rows,
    )
}
