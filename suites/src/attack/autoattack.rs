//! AutoAttack: the union of other attacks.

use super::AttackSpec;
use super::apgd::{APGD_CE, APGD_DLR, APGD_T};
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
    check: |spec| {
        if spec.norm() == Norm::L1 && version(spec) != Version::Rand {
            return Err(SuiteError::value(
                "attack parameter",
                "norm=l1",
                "autoattack runs Square, which has no L1 form; ask for its other attacks one by one, or for \
                 version=rand, which has no Square",
            ));
        }
        Ok(())
    },
    ..AttackEntry::of::<AutoAttack>()
};

fn version(spec: &AttackSpec) -> Version {
    spec.read()
        .map_or(Version::Standard, |own: AutoAttack| own.version)
}

/// The attacks of a version, in the reference's order.
fn parts(spec: &AttackSpec) -> Result<Vec<AttackSpec>, SuiteError> {
    let five = [("restarts", "5")];
    let averaged = [("eot", "20")];
    let parts: &[(&'static AttackEntry, &[(&str, &str)])] = match version(spec) {
        Version::Standard => &[(&APGD_CE, &[]), (&APGD_T, &[]), (&FAB_T, &[]), (&SQUARE, &[])],
        Version::Plus => &[
            (&APGD_CE, &five),
            (&APGD_DLR, &five),
            (&FAB, &five),
            (&SQUARE, &[]),
            (&APGD_T, &[]),
            (&FAB_T, &[]),
        ],
        Version::Rand => &[(&APGD_CE, &averaged), (&APGD_DLR, &averaged)],
    };
    let own = ["norm", "eps", "reference_rng"].map(|name| (name, spec.params()[name].as_str()));
    let part = |(entry, changes): &(&'static AttackEntry, &[(&str, &str)])| {
        AttackSpec::of(entry, own.iter().chain(*changes).copied())
    };
    parts.iter().map(part).collect()
}
