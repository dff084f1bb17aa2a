//! AutoAttack: the union of other attacks.

use super::AttackSpec;
use super::apgd::{APGD_CE, APGD_DLR, APGD_PM, APGD_T};
use super::entry::AttackEntry;
use super::fab::{FAB, FAB_T};
use super::param::{from_word, parameters};
use super::shared::{BASE, BRANCH, EPS, NORM, Norm, PRECISION, REFERENCE_RNG, SURROGATE, word};
use super::square::SQUARE;
use crate::error::SuiteError;
use crate::words::words;

words! {
    /// Which attacks it is made of.
    pub enum Version, "version" {
        /// APGD-CE, APGD-T, FAB-T, Square.
        Standard = "standard",
        /// Five restarts, and all six.
        Plus = "plus",
        /// APGD-CE and APGD-DLR, each gradient the mean of 20 passes.
        Rand = "rand",
    }
}

from_word!(Version);

parameters! {
    /// The union of other attacks.
    AutoAttack {
        /// Norm of the ball.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Which attacks.
        version: Version = word(
            Version::WORDS,
            "standard: apgd-ce, apgd-t, fab-t, square; plus: five restarts and all six; rand: apgd-ce and apgd-dlr with eot=20",
        ),
    } and [REFERENCE_RNG, BRANCH, SURROGATE, PRECISION, BASE]
}

/// AutoAttack.
pub static AUTOATTACK: AttackEntry = AttackEntry {
    name: "autoattack",
    display: "AutoAttack",
    title: "AutoAttack: the union of its attacks, each on what the earlier ones left",
    source: "Croce and Hein, ICML 2020, arXiv 2003.01690",
    uses: &[&APGD_CE, &APGD_DLR, &APGD_T, &FAB, &FAB_T, &SQUARE],
    rank: 8,
    classes: |spec| {
        let few = "use apgd-ce, fab and square one by one";
        match version(spec) {
            Version::Rand => (3, few),
            Version::Standard | Version::Plus => (4, few),
        }
    },
    passes: |spec| {
        parts(spec)
            .unwrap_or_default()
            .iter()
            .map(AttackSpec::passes)
            .sum()
    },
    effort: |spec| match version(spec) {
        Version::Plus => 3,
        Version::Standard => 2,
        Version::Rand => 1,
    },
    parts,
    ..AttackEntry::of::<AutoAttack>()
};

parameters! {
    /// AutoAttack with the probability margin and with targets by linearised distance.
    AutoAttackPlus {
        /// Norm of the ball.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
    } and [BRANCH, SURROGATE, PRECISION, BASE]
}

/// AutoAttack, stronger: the cheapest and strongest parts first. With the same draws it breaks every image
/// that AutoAttack breaks, since each of AutoAttack's runs is among its own.
pub static AUTOATTACK_PLUS: AttackEntry = AttackEntry {
    name: "autoattack+",
    display: "AutoAttack+",
    title: "AutoAttack with the probability margin and MALT's targets; never weaker on any image",
    source: "this project; see docs/attacks/autoattack-plus.md",
    uses: &[&APGD_PM, &APGD_T, &APGD_CE, &FAB_T, &SQUARE],
    rank: 9,
    classes: |_| (4, "use apgd-pm, fab and square one by one"),
    passes: |spec| {
        let parts = plus_parts(spec).unwrap_or_default();
        parts.iter().map(AttackSpec::passes).sum()
    },
    parts: plus_parts,
    ..AttackEntry::of::<AutoAttackPlus>()
};

fn plus_parts(spec: &AttackSpec) -> Result<Vec<AttackSpec>, SuiteError> {
    let standard = standard(spec.norm()).into_iter().map(|(entry, changes)| {
        let targeted = entry.name == APGD_T.name || entry.name == FAB_T.name;
        (entry, [changes, if targeted { BOTH } else { AS_IS }].concat())
    });
    let first: (&'static AttackEntry, Vec<(&str, &str)>) = (&APGD_PM, Vec::new());
    let mut parts: Vec<_> = std::iter::once(first).chain(standard).collect();
    // The targeted runs break most of what is left: before the runs on cross entropy.
    parts.swap(1, 2);
    let own = ["norm", "eps"].map(|name| (name, spec.params()[name].as_str()));
    let part = |(entry, changes): &(&'static AttackEntry, Vec<(&str, &str)>)| {
        AttackSpec::of(entry, own.iter().chain(changes).copied())
    };
    parts.iter().map(part).collect()
}

fn version(spec: &AttackSpec) -> Version {
    spec.read()
        .map_or(Version::Standard, |own: AutoAttack| own.version)
}

/// An attack, and what is not at its default.
type Part = (&'static AttackEntry, &'static [(&'static str, &'static str)]);

const AS_IS: &[(&str, &str)] = &[];
const FIVE: &[(&str, &str)] = &[("restarts", "5")];
const FIVE_TARGETS: &[(&str, &str)] = &[("targets", "5")];
const BOTH: &[(&str, &str)] = &[("order", "both")];
const AVERAGED: &[(&str, &str)] = &[("eot", "20")];

/// The parts of the standard version; in L1 with other numbers of restarts and targets.
fn standard(norm: Norm) -> Vec<Part> {
    match norm {
        Norm::L1 => vec![
            (&APGD_CE, FIVE),
            (&APGD_T, FIVE_TARGETS),
            (&FAB_T, AS_IS),
            (&SQUARE, AS_IS),
        ],
        _ => vec![
            (&APGD_CE, AS_IS),
            (&APGD_T, AS_IS),
            (&FAB_T, AS_IS),
            (&SQUARE, AS_IS),
        ],
    }
}

/// The attacks of a version, in the reference's order.
fn parts(spec: &AttackSpec) -> Result<Vec<AttackSpec>, SuiteError> {
    let parts: Vec<Part> = match version(spec) {
        Version::Standard => standard(spec.norm()),
        Version::Plus => vec![
            (&APGD_CE, FIVE),
            (&APGD_DLR, FIVE),
            (&FAB, FIVE),
            (&SQUARE, AS_IS),
            (&APGD_T, AS_IS),
            (&FAB_T, AS_IS),
        ],
        Version::Rand => vec![(&APGD_CE, AVERAGED), (&APGD_DLR, AVERAGED)],
    };
    let own = ["norm", "eps", "reference_rng"].map(|name| (name, spec.params()[name].as_str()));
    let part = |(entry, changes): &Part| AttackSpec::of(entry, own.iter().chain(*changes).copied());
    parts.iter().map(part).collect()
}
