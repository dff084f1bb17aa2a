//! How numbers and names are written, the same everywhere in a report.

use rlnet_suites::AttackSpec;
use rlnet_suites::attack::{Role, Start};
use std::collections::BTreeMap;

/// A share in percent: `78.4`.
pub fn percent(share: f64) -> String {
    // Rounded first, so that no `-0.0` is ever printed.
    let tenths = (share * 1000.0).round() / 10.0;
    format!("{:.1}", if tenths == 0.0 { 0.0 } else { tenths })
}

/// A difference of shares in points, with its sign: `+3.2`.
pub fn points(difference: f64) -> String {
    let text = percent(difference);
    match text.strip_prefix('-') {
        Some(size) => format!("\u{2212}{size}"),
        None if text == "0.0" => text,
        None => format!("+{text}"),
    }
}

/// A number with so many decimals; nothing is called minus zero.
pub fn number(x: f64, decimals: usize) -> String {
    let text = format!("{x:.decimals$}");
    match text.strip_prefix('-') {
        Some(size) if size.chars().all(|c| matches!(c, '0' | '.')) => size.to_owned(),
        _ => text,
    }
}

/// A whole number with its thousands apart: `73,728`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of something whose plural ends in s: `1 cell`, `73,728 images`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n as u64), if n == 1 { "" } else { "s" })
}

/// A p-value: `0.012`, `<0.001`.
pub fn p_value(p: f64) -> String {
    if p < 0.001 {
        "<0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}

/// A time that people can compare: `0.40 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..=9 => format!("{seconds:.2} s"),
        10..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A size in decimal units, as networks count: `59.7 MB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..=999 => format!("{n} B"),
        1_000..=999_999 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..=999_999_999 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A corruption as people write it: `Gaussian noise`.
pub fn corruption(name: &str) -> String {
    match name {
        "gaussian_noise" => "Gaussian noise".to_owned(),
        "gaussian_blur" => "Gaussian blur".to_owned(),
        "jpeg_compression" => "JPEG compression".to_owned(),
        _ => name.replace('_', " "),
    }
}

/// An attack as people write it: `PGD-20, 8/255`. Its step size is told when another attack
/// of the report differs in nothing else.
pub fn attack(spec: &AttackSpec, among: &[AttackSpec]) -> String {
    let plain = attack_name(spec);
    let twins = among.iter().filter(|other| attack_name(other) == plain).count();
    match spec.params().get("alpha") {
        Some(alpha) if twins > 1 => format!("{plain}, step {alpha}"),
        _ => plain,
    }
}

/// The names of a report's attacks, made once: a table of pairs asks for them very often.
#[derive(Debug, Clone, Default)]
pub struct AttackNames(BTreeMap<AttackSpec, String>);

impl AttackNames {
    /// Names attacks as [`attack`] does.
    pub fn of(attacks: &[AttackSpec]) -> Self {
        let mut plain: BTreeMap<String, Vec<&AttackSpec>> = BTreeMap::new();
        for spec in attacks {
            plain.entry(attack_name(spec)).or_default().push(spec);
        }
        let named = plain.into_values().flat_map(|twins| {
            let among: Vec<AttackSpec> = twins.iter().take(2).copied().cloned().collect();
            let names = twins.into_iter().map(|spec| (spec.clone(), attack(spec, &among)));
            names.collect::<Vec<_>>()
        });
        Self(named.collect())
    }

    /// The name of one of them, or of any other attack.
    pub fn get(&self, spec: &AttackSpec) -> String {
        self.0.get(spec).cloned().unwrap_or_else(|| attack_name(spec))
    }
}

fn attack_name(spec: &AttackSpec) -> String {
    let mut name = spec.entry().display.to_owned();
    if let Some(steps) = spec.steps() {
        name.push_str(&format!("-{steps}"));
    }
    if let Some(reach) = spec.reach().filter(|_| spec.falls_short()) {
        name.push_str(&format!(" (steps reach {})", spec.norm().size(reach)));
    }
    if let Some(restarts) = spec.restarts().filter(|restarts| *restarts > 1) {
        name.push_str(&format!(" \u{d7} {restarts} starts"));
    }
    if spec.start() == Some(Start::Zero) {
        name.push_str(", zero start");
    }
    let (norm, mut extras): (Vec<_>, Vec<_>) = spec.extras().partition(|(param, _)| param.role == Role::Norm);
    // In the order in which the attack declares them, as in its help.
    let declared = spec.entry().params;
    extras.sort_by_key(|(param, _)| declared.iter().position(|known| known.role == param.role));
    for (_, norm) in norm {
        name.push_str(&format!(" {}", norm.to_uppercase()));
    }
    if let Some(eps) = spec.params().get("eps") {
        name.push_str(&format!(", {eps}"));
    }
    for (param, value) in spec.unusual() {
        name.push_str(&format!(", {} {value}", param.name.replace('_', " ")));
    }
    for (param, value) in extras {
        name.push_str(&match param.role {
            Role::Branch => format!(", through {value}"),
            Role::Surrogate => format!(", from {value}"),
            Role::Loss => format!(", {value} loss"),
            Role::EarlyStop => ", first hit".to_owned(),
            Role::Base => format!(", on {value}"),
            _ => format!(", {} {value}", param.name),
        });
    }
    name
}

/// `clean, natural and adversarial`.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            (percent(0.78449), percent(-0.0001)),
            ("78.4".into(), "0.0".into())
        );
        assert_eq!(
            (points(0.032), points(-0.005), points(0.0)),
            ("+3.2".into(), "\u{2212}0.5".into(), "0.0".into())
        );
        assert_eq!(
            (number(-0.02, 1), number(-0.06, 1), number(2.125, 2)),
            ("0.0".into(), "-0.1".into(), "2.12".into())
        );
        assert_eq!(
            (thousands(73_728), thousands(999), thousands(1_000_000)),
            ("73,728".into(), "999".into(), "1,000,000".into())
        );
        assert_eq!(
            (p_value(0.0004), p_value(0.0123)),
            ("<0.001".into(), "0.012".into())
        );
        assert_eq!(
            (duration(0.4), duration(200.0), duration(7500.0)),
            ("0.40 s".into(), "3 min 20 s".into(), "2 h 5 min".into())
        );
        assert_eq!(bytes(59_650_000), "59.6 MB");
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_named() {
        let name = |text: &str| attack(&text.parse().expect(text), &[]);
        assert_eq!(name("agnostic"), "PGD-50, 8/255, first hit, through all");
        assert_eq!(name("apgd-ce:norm=l2"), "APGD-CE-100 L2, 0.5");
        assert_eq!(name("joint"), "PGD-50, 8/255, first hit, on gaussian_noise/3");
        assert_eq!(name("autoattack"), "AutoAttack, 8/255");
        assert_eq!(name("square"), "Square, 8/255");
        assert_eq!(name("square:queries=100"), "Square, 8/255, queries 100");
        assert_eq!(name("apgd-t:targets=3"), "APGD-T-100, 8/255, targets 3");
        assert_eq!(
            name("pgd:passes=2"),
            "PGD-20 (steps reach 2/255), 8/255, passes 2"
        );
        assert_eq!(name("noise:norm=l2"), "noise L2, 0.5");
        assert_eq!(name("deepfool"), "DeepFool-50");
        assert_eq!(name("pgd:alpha=0.01/255"), "PGD-20 (steps reach 0.2/255), 8/255");
        assert_eq!(name("bim:steps=3"), "BIM-3 (steps reach 6/255), 8/255");
    }

    #[test]
    fn attacks_that_differ_only_in_step_are_told_apart() {
        let a: AttackSpec = "pgd:steps=20".parse().expect("pgd");
        let b: AttackSpec = "pgd:steps=20,alpha=1/255".parse().expect("pgd");
        assert_eq!(attack(&a, std::slice::from_ref(&a)), "PGD-20, 8/255");
        let all = [a.clone(), b.clone()];
        assert_eq!(attack(&a, &all), "PGD-20, 8/255, step 2/255");
        let names = AttackNames::of(&all);
        assert_eq!(
            [names.get(&a), names.get(&b)],
            [attack(&a, &all), attack(&b, &all)]
        );
        assert_eq!(AttackNames::of(&all[..1]).get(&a), "PGD-20, 8/255");
    }
}
