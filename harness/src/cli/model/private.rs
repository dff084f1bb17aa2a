//! The part of `rlnet model info` about private inference.

use crate::terminal::outln;
use rlnet_suites::protocol::{Cost, Link, Part, Phase, Workload};
use rlnet_suites::{ModelRecord, Profile};
use serde_json::{Value, json};

const PARTS: [(Phase, Part, &str); 4] = [
    (Phase::Offline, Part::Linear, "offline, linear layers"),
    (Phase::Offline, Part::Relu, "offline, ReLUs"),
    (Phase::Online, Part::Linear, "online, linear layers"),
    (Phase::Online, Part::Relu, "online, ReLUs"),
];

/// What a reduction divides: ReLUs, bytes online, bytes of both phases, and seconds of both where they are known.
fn factors(record: &ModelRecord, profile: &Profile, link: Link) -> [(&'static str, f64); 4] {
    let [own, all] = Workload::of(record);
    let ratio = |of: &dyn Fn(&Workload) -> f64| of(&all) / of(&own);
    let known = |known: bool, value: f64| if known { value } else { f64::NAN };
    let whole = profile.knows_linear_layers();
    [
        ("ReLUs", all.relus as f64 / own.relus.max(1) as f64),
        (
            "bytes online",
            ratio(&|work| profile.total(work, Some(Phase::Online)).bytes()),
        ),
        (
            "bytes in all",
            known(whole, ratio(&|work| profile.total(work, None).bytes())),
        ),
        (
            "seconds in all",
            known(
                whole && profile.knows_seconds(),
                ratio(&|work| link.seconds(&profile.total(work, None))),
            ),
        ),
    ]
}

/// As JSON.
pub(super) fn json(record: &ModelRecord, profile: &Profile, link: Link) -> Value {
    let [own, _] = Workload::of(record);
    let said = |cost: Cost| json!({"cost": cost, "seconds_on_the_link": link.seconds(&cost)});
    let parts: Vec<Value> = PARTS
        .iter()
        .filter_map(|(phase, part, _)| {
            let cost = profile.cost(&own, *phase, *part)?;
            Some(
                json!({"phase": phase, "of": part, "cost": cost, "seconds_on_the_link": link.seconds(&cost)}),
            )
        })
        .collect();
    let factors = factors(record, profile, link).into_iter();
    json!({
        "protocol": profile.name,
        "security": profile.security,
        "link": link,
        "parts": parts,
        "online": said(profile.total(&own, Some(Phase::Online))),
        "all": said(profile.total(&own, None)),
        "fewer": factors.filter(|(_, factor)| factor.is_finite()).collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// As text.
pub(super) fn print(record: &ModelRecord, profile: &Profile, link: Link) {
    let [own, _] = Workload::of(record);
    outln!(
        "private inference, modelled: {} ({}); {}",
        profile.title,
        profile.security,
        link.said()
    );
    outln!("                               seconds      MB down        MB up   rounds    MB stored");
    let rows = PARTS
        .iter()
        .filter_map(|(phase, part, name)| Some((*name, profile.cost(&own, *phase, *part)?)));
    for (name, cost) in rows.chain([("both phases", profile.total(&own, None))]) {
        let seconds = match profile.knows_seconds() || link != Link::default() {
            true => format!("{:.2}", link.seconds(&cost)),
            false => "-".to_owned(),
        };
        outln!(
            "{name:<26} {seconds:>11} {:>12.3} {:>12.3} {:>8.0} {:>12.3}",
            cost.down / 1e6,
            cost.up / 1e6,
            cost.rounds,
            cost.stored / 1e6
        );
    }
    let fewer: Vec<String> = factors(record, profile, link)
        .into_iter()
        .filter(|(_, factor)| factor.is_finite())
        .map(|(name, factor)| format!("{factor:.2}x fewer {name}"))
        .collect();
    outln!("the reduction buys: {}", fewer.join(", "));
    outln!("{}", profile.note);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Arch;

    /// Bytes of the recorded measurements, those included that nothing was fitted to: other widths, other budgets.
    #[test]
    fn profiles_predict_recorded_bytes_within_five_percent() {
        let (mut checked, mut unseen) = (0, 0);
        for profile in Profile::all().expect("profiles") {
            for recorded in &profile.measured {
                let survey = recorded
                    .arch
                    .parse::<Arch>()
                    .expect("known")
                    .survey(recorded.image_size, 10);
                let work = Workload {
                    relus: recorded.relus,
                    relu_layers: if recorded.relus == 0 {
                        0
                    } else {
                        survey.layers.len() as u64
                    },
                    linear: survey.linear,
                };
                let bytes = profile.total(&work, None).bytes();
                let off = bytes / recorded.bytes - 1.0;
                assert!(
                    off.abs() < 0.05,
                    "{} {recorded:?}: {bytes}, {:.1} %",
                    profile.name,
                    100.0 * off
                );
                checked += 1;
                unseen += usize::from(!recorded.fitted);
            }
        }
        assert!(checked >= 13 && unseen >= 7, "{checked} {unseen}");
    }

    /// The original logs say 346 s with every ReLU and both phases, and about 293 s with 50,000.
    #[test]
    fn delphi_end_to_end_is_the_convolutions_whatever_the_relus() {
        let delphi = Profile::find("delphi").expect("a profile");
        let survey = "resnet18".parse::<Arch>().expect("known").survey(32, 10);
        let work = |relus| Workload {
            relus,
            relu_layers: 17,
            linear: survey.linear.clone(),
        };
        let seconds = |relus| delphi.total(&work(relus), None).seconds;
        assert!(
            (seconds(557_056) / 346.0 - 1.0).abs() < 0.02,
            "{}",
            seconds(557_056)
        );
        assert!(
            (seconds(50_000) / 293.0 - 1.0).abs() < 0.02,
            "{}",
            seconds(50_000)
        );
    }
}
