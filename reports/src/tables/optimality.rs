//! How near minimum-norm attacks come to the best of all, and what is left when the norm may be chosen.

use super::by_branch::{ATTACKED, View, columns, views};
use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::glossary::{ENVELOPE, INTERVAL, OPTIMALITY};
use crate::metrics::optimality::{Envelope, envelopes};
use crate::metrics::unions::union;
use crate::metrics::{Estimate, Quantity};
use crate::sections::{Place, Section, Show};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use std::collections::BTreeMap;

/// Each attack beside the envelope.
pub(crate) const SECTION: Section = Section {
    id: "optimality",
    place: Place::Numbers,
    show: Show::Table(local),
    terms: &[ENVELOPE, OPTIMALITY, INTERVAL],
};

/// The mean over models.
pub(crate) const GLOBAL: Section = Section {
    id: "global_optimality",
    place: Place::Numbers,
    show: Show::Table(global),
    terms: &[ENVELOPE, OPTIMALITY],
};

/// Accuracy under unions of balls.
pub(crate) const UNIONS: Section = Section {
    id: "unions",
    place: Place::Numbers,
    show: Show::Table(unions),
    terms: &[INTERVAL],
};

/// One row a model, branch policy and minimum-norm attack.
fn local(analysis: &Analysis) -> Table {
    let own = [
        Column::text("norm", "Norm"),
        Column::text("attack", "Attack"),
        Column::new("local", "Local optimality", "", Kind::Number(3)),
        Column::new("trapezoid", "AttackBench's sum", "", Kind::Number(3)),
        Column::share("gain", "Gain over the best"),
        Column::integer("images", "Images"),
        Column::integer("held", "Left out"),
    ];
    let mut rows = Vec::new();
    for view in views(analysis) {
        for envelope in own_envelopes(&view) {
            let admitted = view.answers(&Quantity::Ball(envelope.norm)).map(|_| ());
            let number = |value: Option<f64>| match &admitted {
                Ok(()) => Cell::number(value, "all images are as far away"),
                Err(why) => Cell::of(Value::Absent(why.clone())),
            };
            for attack in &envelope.attacks {
                let gain = admitted.clone().map(|()| attack.gain.clone());
                rows.push(view.row([
                    Cell::text(envelope.norm.symbol()),
                    Cell::text(analysis.names.get(&attack.attack)),
                    number(attack.local),
                    number(attack.trapezoid),
                    Cell::share(&gain, &format!("condition {}", attack.attack)),
                    Cell::integer(envelope.distances.len() as u64),
                    Cell::integer(envelope.held as u64),
                ]));
            }
        }
    }
    Table::new(
        "optimality",
        "Minimum-norm attacks beside the best of all",
        "1: the attack found the envelope itself; 0: it found nothing. AttackBench's sum is the same by the trapezoid rule of its code, for comparison with its tables. Gain over the best: images that the attack breaks at any size and the first attack of the norm does not. Images that no attack broke are left out: the measure is not defined for them. Both numbers change when an attack is added to the run.",
        columns(ATTACKED, own),
        rows,
    )
}

/// The envelopes of a view, of all attacks on its model.
fn own_envelopes(view: &View<'_>) -> Vec<Envelope> {
    let own = view.analysis.matrix(&view.model.name);
    own.map_or_else(Vec::new, |own| envelopes(own, view.policy))
}

/// One row a norm and attack: the mean over the models and branch policies that have it.
fn global(analysis: &Analysis) -> Table {
    let mut found: BTreeMap<(Norm, AttackSpec), Vec<f64>> = BTreeMap::new();
    for view in views(analysis) {
        // A mean is over models under the same attacks.
        let alike = |envelope: &Envelope| view.answers(&Quantity::Ball(envelope.norm)).is_ok();
        for envelope in own_envelopes(&view).into_iter().filter(alike) {
            for attack in envelope.attacks {
                let each = found.entry((envelope.norm, attack.attack)).or_default();
                each.extend(attack.local);
            }
        }
    }
    let mut ranked: Vec<_> = found.into_iter().filter(|(_, each)| each.len() > 1).collect();
    let mean = |each: &[f64]| each.iter().sum::<f64>() / each.len() as f64;
    ranked.sort_by(|((a, _), one), ((b, _), two)| a.cmp(b).then(mean(two).total_cmp(&mean(one))));
    let rows = ranked.iter().map(|((norm, attack), each)| {
        vec![
            Cell::text(norm.symbol()),
            Cell::text(analysis.names.get(attack)),
            Cell::number(Some(mean(each)), ""),
            Cell::integer(each.len() as u64),
        ]
    });
    Table::new(
        "global_optimality",
        "Minimum-norm attacks over all models",
        "The mean of the local optimality over models and readings.",
        vec![
            Column::text("norm", "Norm"),
            Column::text("attack", "Attack"),
            Column::new("global", "Global optimality", "", Kind::Number(3)),
            Column::integer("readings", "Readings"),
        ],
        rows.collect(),
    )
}

/// One row a model and branch policy with attacks in two norms or more.
fn unions(analysis: &Analysis) -> Table {
    let of = |view: &View<'_>| union(view.analysis.matrix(&view.model.name)?, view.policy);
    let found: Vec<_> = views(analysis)
        .filter_map(|view| Some((view, of(&view)?)))
        .collect();
    let balls: BTreeMap<Norm, f64> = (found.iter())
        .flat_map(|(_, union)| union.balls.iter().map(|(norm, radius, _)| (*norm, *radius)))
        .collect();
    let heads = balls.iter().map(|(norm, radius)| {
        Column::share(
            norm.name(),
            format!("{} at {}", norm.symbol(), norm.size(*radius)),
        )
    });
    let rows = found.iter().map(|(view, union)| {
        let share = |quantity: &Quantity, share: &Estimate, what: &str| {
            let known = view.answers(quantity).map(|_| share.clone());
            Cell::share(&known, &format!("no attack within {what}{}", view.policy.read()))
        };
        let each =
            balls.iter().map(
                |(norm, radius)| match union.balls.iter().find(|(own, ..)| own == norm) {
                    Some((.., own)) => share(&Quantity::Ball(*norm), own, &norm.size(*radius)),
                    None => Cell::absent("not attacked in this norm"),
                },
            );
        view.row(each.chain([share(&Quantity::Balls, &union.all, "any of the balls")]))
    });
    Table::new(
        "unions",
        "Correct in every ball of several norms",
        "An image counts when no attack of the run broke it inside the ball; in the last column inside none of the balls.",
        columns(ATTACKED, heads.chain([Column::share("union", "In all of them")])),
        rows.collect(),
    )
}
