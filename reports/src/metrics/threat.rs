//! What an attack may do: which norm bounds it, and whether it has a radius or looks for the
//! nearest adversarial image. Attacks that this version does not know are taken by their
//! parameters: `norm` (else Linf) and `eps`.

use rlnet_suites::AttackSpec;
use std::fmt;

/// Attacks that look for the smallest perturbation: their rows hold its size, and an image
/// counts as broken at whatever size: DeepFool (Moosavi-Dezfooli et al., CVPR 2016), Carlini
/// and Wagner (S&P 2017), FMN (Pintor et al., NeurIPS 2021), and `radius`. FAB looks for it
/// too, but an image counts as broken within its `eps` only.
const MINIMUM_NORM: [&str; 4] = ["deepfool", "cw", "fmn", "radius"];

/// A norm in which perturbations are measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Norm(pub String);

impl Norm {
    /// The norm of an attack.
    pub fn of(attack: &AttackSpec) -> Self {
        match attack.word("norm") {
            "" => Self("linf".to_owned()),
            word => Self(word.to_lowercase()),
        }
    }

    /// Whether radii are written as fractions of 255.
    pub fn in_steps(&self) -> bool {
        self.0 == "linf"
    }

    /// A size in this norm as people write it: `8/255`, `0.5`.
    pub fn size(&self, value: f64) -> String {
        let plain = |x: f64| {
            let text = format!("{x:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        if self.in_steps() {
            format!("{}/255", plain(255.0 * value))
        } else {
            plain(value)
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self.0.as_str() {
            "linf" => "L\u{221e}",
            "l2" => "L2",
            "l1" => "L1",
            "l0" => "L0",
            other => other,
        })
    }
}

/// Whether an attack looks for the nearest adversarial image.
pub fn is_minimum_norm(attack: &AttackSpec) -> bool {
    MINIMUM_NORM.contains(&attack.name())
}

/// The radius of an attack that has one.
pub fn radius(attack: &AttackSpec) -> Option<f64> {
    let eps = attack.size("eps");
    (eps > 0.0 && !is_minimum_norm(attack)).then_some(eps)
}

/// What an attack is but for how hard it tries: its name and every parameter that is not radius,
/// step, steps, restarts, start or queries.
pub fn kind_of(attack: &AttackSpec) -> (&str, Vec<(&str, &str)>) {
    const EFFORT: [&str; 6] = ["eps", "alpha", "steps", "restarts", "start", "queries"];
    let params = attack.params().iter();
    let rest = params.filter(|(name, _)| !EFFORT.contains(*name));
    let rest = rest.map(|(name, value)| (*name, value.as_str()));
    (attack.name(), rest.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_and_radius_of_the_known_attacks() {
        let pgd: AttackSpec = "pgd:steps=7,eps=4/255".parse().expect("an attack");
        assert_eq!(Norm::of(&pgd), Norm("linf".into()));
        assert!((radius(&pgd).expect("a radius") - 4.0 / 255.0).abs() < 1e-12);
        assert_eq!(Norm::of(&pgd).size(4.0 / 255.0), "4/255");
        assert_eq!(Norm("l2".into()).size(0.5), "0.5");
        let [fab, nearest] = ["fab", "radius"].map(|text| text.parse::<AttackSpec>().expect("an attack"));
        assert!(radius(&fab).is_some() && !is_minimum_norm(&fab));
        assert!(radius(&nearest).is_none() && is_minimum_norm(&nearest));
        let stronger: AttackSpec = "pgd:steps=20".parse().expect("an attack");
        let other: AttackSpec = "fgsm".parse().expect("an attack");
        assert!(kind_of(&pgd) == kind_of(&stronger) && kind_of(&pgd) != kind_of(&other));
    }
}
