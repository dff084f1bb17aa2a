//! What is proven, beside what attacks leave.

use super::by_branch::{ATTACKED, View, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::{CERTIFIED, INTERVAL, WORST};
use crate::metrics::bracket::{Bracket, brackets};
use crate::metrics::{Estimate, Known, Quantity};
use crate::sections::{Place, Section, Show};
use rlnet_suites::Condition;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "certified",
    place: Place::Numbers,
    show: Show::Table(certified),
    terms: &[CERTIFIED, INTERVAL, WORST],
};

/// One row a model, branch policy and certificate.
fn certified(analysis: &Analysis) -> Table {
    let own = [
        Column::text("norm", "Norm"),
        Column::text("radius", "Radius"),
        Column::text("method", "Method"),
        Column::share("certified", "Certified"),
        Column::share("attacked", "Not broken"),
        Column::share("open", "Open"),
        Column::integer("attacks", "Attacks"),
        Column::new("unstable", "Unstable ReLUs", "an image", Kind::Number(0)),
    ];
    let rows = views(analysis).flat_map(|view| rows(&view)).collect();
    Table::new(
        "certified",
        "Certified and attacked accuracy: the bracket around the robust accuracy",
        "Robust accuracy lies between the first two shares, with 95 % Wilson intervals over images. Certified: it is proven, by the method named, that no point of the ball is classified wrongly‹, for the worst of branches through every branch›. Not broken: no attack of the run, and no search for a proof, found such a point. Open: neither is known; a tighter method or a stronger attack may decide. A share belongs to its method: looser bounds prove less of the same network.",
        columns(ATTACKED, own),
        rows,
    )
}

fn rows<'a>(view: &'a View<'a>) -> Vec<Vec<Cell>> {
    let row = |bracket: Bracket| {
        let spec = &bracket.certificate;
        let condition = Condition::Certify(spec.clone());
        let source = view.source(&condition);
        // What is proven depends on the certificate alone, the rest on the attacks beside it, too.
        let proven = view.answers(&Quantity::Accuracy(condition)).map(|_| ());
        let tried = view.answers(&Quantity::Bracket(spec.clone())).map(|_| ());
        let share = |admitted: &Known<()>, estimate: &Estimate| {
            let known = admitted.clone().map(|()| estimate.clone());
            Cell::share(&known, &source)
        };
        let norm = spec.norm();
        view.row([
            Cell::text(norm.symbol()),
            Cell::text(norm.size(spec.eps().unwrap_or(0.0))),
            Cell::text(&spec.params()["method"]),
            share(&proven, &bracket.certified),
            share(&tried, &bracket.attacked),
            share(&tried, &bracket.open),
            Cell::integer(bracket.attacks.len() as u64),
            match &proven {
                Ok(()) => Cell::number(
                    bracket.unstable,
                    "every image is wrong from the start or was broken",
                ),
                Err(why) => Cell::of(Value::Absent(why.clone())),
            },
        ])
    };
    let own = view.analysis.matrix(&view.model.name);
    let found = own.map_or_else(Vec::new, |own| brackets(own, view.policy));
    found.into_iter().map(row).collect()
}
