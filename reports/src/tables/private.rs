//! Private inference: what each network costs under each protocol, and what its reduction buys.

use super::{Cell, Column, Kind, Table, Value};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::glossary::{PI, REDUCTION, RELUS};
use crate::model::Model;
use crate::sections::{Place, Section, Show};
use rlnet_suites::protocol::{DEFAULT, Link, Part, Phase, Workload};
use rlnet_suites::{ModelRecord, Profile};

/// The section.
pub(crate) const BUYS: Section = Section {
    id: "private_inference",
    place: Place::Numbers,
    show: Show::Table(buys),
    terms: &[PI, RELUS, REDUCTION],
};

/// Why a profile's end is not there.
pub(super) const NO_LINEAR: &str =
    "the network's linear layers are not in its record (of an earlier version), or not in the profile";

/// Seconds and bytes of both phases, with linear layers: nothing where these are not known.
pub(crate) fn end_to_end(profile: &Profile, work: &Workload, link: Link) -> Option<(f64, f64)> {
    let known = profile.knows_linear_layers() && !work.linear.is_empty();
    let total = profile.total(work, None);
    known.then(|| (link.seconds(&total), total.bytes()))
}

/// Bytes of the online phase under the protocol that is shown where none is named.
pub(crate) fn online_bytes(record: &ModelRecord) -> Option<f64> {
    let profile = Profile::find(DEFAULT).ok()?;
    let [own, _] = Workload::of(record);
    Some(profile.total(&own, Some(Phase::Online)).bytes())
}

/// The profiles that come with the program: sound, as a test says.
pub(crate) fn profiles() -> Result<Vec<Profile>, ReportError> {
    Profile::all().map_err(|error| ReportError::make("the profiles of protocols", error))
}

fn times(all: f64, own: f64) -> Cell {
    Cell::of(Value::Number(all / own))
}

/// One row a network and protocol.
fn buys(analysis: &Analysis) -> Table {
    let columns = vec![
        Column::text("model", "Model"),
        Column::text("protocol", "Protocol"),
        Column::integer("relus", "ReLUs"),
        Column::new("online_seconds", "Online", "s", Kind::Number(2)),
        Column::new("online_mb", "Online", "MB", Kind::Number(2)),
        Column::integer("rounds", "Rounds"),
        Column::new("offline_seconds", "Offline", "s", Kind::Number(1)),
        Column::new("offline_mb", "Offline", "MB", Kind::Number(1)),
        Column::new("linear_share", "Linear layers", "% of bytes", Kind::Number(0)),
        Column::new("fewer_relus", "Fewer ReLUs", "\u{d7}", Kind::Number(1)),
        Column::new("fewer_online", "Fewer bytes online", "\u{d7}", Kind::Number(2)),
        Column::new("fewer_bytes", "Fewer bytes in all", "\u{d7}", Kind::Number(2)),
        Column::new("faster", "Faster in all", "\u{d7}", Kind::Number(2)),
    ];
    let profiles = profiles().unwrap_or_default();
    let link = analysis.private.link;
    let models = analysis.runs.models.iter();
    let known = models.filter_map(|model| Some((model, model.record.as_ref()?)));
    let rows = known.flat_map(|(model, record)| {
        let works = Workload::of(record);
        profiles
            .iter()
            .map(move |profile| row(model, profile, &works, link))
            .collect::<Vec<_>>()
    });
    let said: Vec<String> = profiles
        .iter()
        .map(|profile| {
            let sources: Vec<String> = profile.sources().collect();
            format!(
                "{}: {}. {} Sources: {}.",
                profile.title,
                profile.security,
                profile.note,
                sources.join("; ")
            )
        })
        .collect();
    Table::new(
        "private_inference",
        "What private inference costs, and what a reduction buys",
        format!(
            "Modelled. Factors compare with the same network with every ReLU. Seconds are computation on the machines of a \
             profile's source and, where rates are given, communication. Link: {}. Kept units must be gathered before the \
             ReLU protocol: a selection costs what all ReLUs cost. {}",
            link.said(),
            said.join(" ")
        ),
        columns,
        rows.collect(),
    )
}

fn row(model: &Model, profile: &Profile, [own, all]: &[Workload; 2], link: Link) -> Vec<Cell> {
    let phase = |work: &Workload, phase| profile.total(work, Some(phase));
    let (online, offline) = (phase(own, Phase::Online), phase(own, Phase::Offline));
    let has_offline = [Part::Linear, Part::Relu]
        .iter()
        .any(|part| profile.cost(own, Phase::Offline, *part).is_some());
    let seconds = |seconds: f64| match profile.knows_seconds() {
        true => Cell::of(Value::Number(seconds)),
        false => Cell::absent("seconds depend on the machine; the profile has none"),
    };
    let number = |value: f64| Cell::of(Value::Number(value));
    let without = || Cell::absent("the protocol has no offline phase, or a dealer has it");
    let ends = end_to_end(profile, own, link).zip(end_to_end(profile, all, link));
    let linear = |bytes: f64| {
        let parts = [Phase::Offline, Phase::Online].map(|phase| profile.cost(own, phase, Part::Linear));
        100.0 * parts.into_iter().flatten().map(|cost| cost.bytes()).sum::<f64>() / bytes
    };
    vec![
        Cell::text(&model.name),
        Cell::text(&profile.title),
        Cell::integer(own.relus),
        seconds(link.seconds(&online)),
        number(online.bytes() / 1e6),
        Cell::integer(online.rounds.round() as u64),
        if has_offline {
            seconds(link.seconds(&offline))
        } else {
            without()
        },
        if has_offline {
            number(offline.bytes() / 1e6)
        } else {
            without()
        },
        Cell::number(ends.map(|(own, _)| linear(own.1)), NO_LINEAR),
        times(all.relus as f64, own.relus.max(1) as f64),
        match online.bytes() {
            0.0 => Cell::absent("the profile has no bytes of this phase"),
            bytes => times(phase(all, Phase::Online).bytes(), bytes),
        },
        Cell::number(ends.map(|(own, all)| all.1 / own.1), NO_LINEAR),
        match (profile.knows_seconds(), ends) {
            (true, Some((own, all))) => times(all.0, own.0),
            _ => Cell::absent("the profile has no seconds, or the linear layers are not known"),
        },
    ]
}
