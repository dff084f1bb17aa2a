//! Attacks by name, with every parameter's default and range: `pgd:steps=20,eps=8/255`.
//!
//! Each attack has a file with its parameters as a type and its entry in the registry; whatever is
//! said of an attack anywhere (rank, cost, names, tables, help) derives from that entry.

pub mod adaptive;
pub mod alma;
pub mod apgd;
pub mod autoattack;
mod catalogue;
pub mod certify;
pub mod cw;
pub mod cw_linf;
pub mod ddn;
pub mod deepfool;
pub mod diagnosis;
mod entry;
pub mod fab;
pub mod fgsm;
pub mod fmn;
pub mod headline;
mod inside;
pub mod linear_region;
pub mod mifgsm;
pub mod noise;
pub(crate) mod old_words;
pub mod overflow;
mod param;
pub mod pdgd;
pub mod pgd;
pub mod pma;
pub mod radius;
mod shared;
pub mod sigma_zero;
mod spec;
pub mod square;
pub mod superdeepfool;

pub use catalogue::{CATALOGUE, all, register};
pub use entry::{Access, AttackEntry};
pub use inside::{is_inside, is_same_radius};
pub use param::{FromValue, Param, ParamKind, Parameters, Preset, Role, Value};
pub(crate) use shared::PASSES;
pub use shared::{Arithmetic, BranchChoice, Goal, Loss, Norm, Start, Surrogate, TargetOrder, usual_radius};
pub use spec::AttackSpec;

use crate::error::SuiteError;

/// An attack with some parameters, by their names and texts.
fn attack_of(entry: &'static AttackEntry, params: &[(&str, &str)]) -> Result<AttackSpec, SuiteError> {
    AttackSpec::of(entry, params.iter().copied())
}

/// The attacks of a group, each with its name and what it asks.
pub fn members(group: &str) -> Option<&'static [adaptive::NamedAttack]> {
    match group {
        adaptive::GROUP => Some(adaptive::ATTACKS),
        diagnosis::GROUP => Some(diagnosis::ATTACKS),
        diagnosis::GROUP_L2 => Some(diagnosis::ATTACKS_L2),
        _ => None,
    }
}

/// The attacks that a text names: one, or all of a group (`adaptive` or `diagnosis`, with
/// parameters for all: `adaptive:eps=4/255`).
///
/// # Errors
/// When the text is neither an attack nor a group.
pub fn group(text: &str) -> Result<Vec<AttackSpec>, SuiteError> {
    let (name, params) = text.split_once(':').unwrap_or((text, ""));
    let Some(members) = members(name.trim()) else {
        return Ok(vec![text.parse()?]);
    };
    spec::check_once(text)?;
    let whole = |named: &adaptive::NamedAttack| {
        let attack = AttackSpec::read_text(&named.with(params))?;
        attack.check_sizes()?;
        Ok(attack)
    };
    members.iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_filled_and_the_text_is_canonical() {
        let a: AttackSpec = "pgd:steps=7".parse().expect("pgd");
        let b: AttackSpec = "pgd:eps=8/255,steps=7,alpha=2/255".parse().expect("pgd");
        assert_eq!(a, b);
        assert_eq!(
            a.to_string(),
            "pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=7"
        );
        assert_eq!(a.family(), "pgd:steps=7");
        assert_eq!(a.steps(), Some(7));
    }

    #[test]
    fn the_norm_decides_the_defaults_that_depend_on_it() {
        let spec: AttackSpec = "apgd-ce:norm=l2".parse().expect("apgd");
        assert_eq!(spec.norm(), Norm::L2);
        assert_eq!(spec.eps(), Some(0.5));
        assert_eq!(spec.to_string(), "apgd-ce:eps=0.5,norm=l2,restarts=1,steps=100");
        let cw: AttackSpec = "cw".parse().expect("cw");
        assert_eq!(cw.norm(), Norm::L2);
    }

    #[test]
    fn every_entry_of_the_catalogue_stands_by_its_own_rules() {
        for entry in CATALOGUE {
            let spec: AttackSpec = entry.name.parse().expect(entry.name);
            for (name, value) in spec.params().clone() {
                spec.with(name, &value).expect(name);
            }
            assert_eq!(spec.to_string().parse::<AttackSpec>().expect("its text"), spec);
            assert_eq!(spec.versions().count(), 1 + entry.uses.len());
        }
    }

    #[test]
    fn sizes_that_can_be_meant_pass_and_files_are_read_whatever_they_say() {
        for text in [
            "pgd:eps=1",
            "pgd:norm=l2,eps=128/255",
            "pgd:norm=l2,eps=20",
            "pgd:norm=l1,eps=255",
            "noise:eps=0",
            // A parameter that is written twice is one.
            "pgd:steps=3,steps=3",
            "square:passes=1",
            "pgd:passes=2",
            "alma:lr=0,first_distance=0.1",
        ] {
            text.parse::<AttackSpec>().expect(text);
        }
        // A name's own parameters may be written over.
        let white: AttackSpec = "white-box:steps=7".parse().expect("a name");
        assert_eq!(white.short(), "pgd:early_stop=true,steps=7");
        let stored: AttackSpec = serde_json::from_str("\"pgd:eps=8\"").expect("of an old run");
        assert_eq!(stored.eps(), Some(8.0));
        for text in [
            "adaptive:eps=8",
            "diagnosis:alpha=2",
            "adaptive:eps=4/255,eps=2/255",
        ] {
            group(text).expect_err(text);
        }
    }

    #[test]
    fn what_is_not_in_the_catalogue_is_refused_with_a_suggestion() {
        for (text, hint) in [
            ("pgdx", "did you mean `pgd`"),
            ("pgd:step=3", "did you mean `steps`"),
            ("pgd:steps=0", "1 or more"),
            ("pgd:start=middle", "uniform, zero"),
            ("pgd:eps=-1", "negative"),
            ("pgd:base=fogg/3", "did you mean `fog`"),
            ("pgd:base=fog/6", "fog/3"),
            ("cw:norm=linf", "one of: l2"),
            ("mifgsm:momentum=-1", "0 or more"),
            ("pgd:steps=3,steps=4", "given twice"),
            ("agnostic:eps=4/255, eps=2/255", "given twice"),
            ("pgd:eps=8", "write eps=8/255"),
            ("agnostic:eps=8", "write eps=8/255"),
            ("pgd:alpha=2", "write alpha=2/255"),
            ("pgd:eps=300/255", "further apart than 1 in linf"),
            ("pgd:norm=l2,eps=1000", "further apart than 887 in l2"),
            ("pgd:norm=l1,eps=1e6", "further apart than 786432 in l1"),
            ("pgd:alpha=0", "never leaves its start"),
            ("bim:alpha=0/255", "never leaves its start"),
            ("mifgsm:alpha=-0.0", "never leaves its start"),
            ("ffgsm:alpha=0", "never leaves its start"),
            ("fmn:alpha=0", "never leaves its start"),
            ("cw:lr=0", "never leaves its start"),
            ("cw-linf:lr=0", "never leaves its start"),
            ("sigma-zero:lr=0", "never leaves its start"),
            ("alma:lr=0", "never leaves its start"),
            ("ddn:radius=0", "never leaves its start"),
            ("pgd:passes=1", "never leaves its start"),
            ("apgd-ce:passes=3,eot=2", "never leaves its start"),
            ("fab:passes=1", "never leaves its start"),
            ("pgd:eps=1e-300", "from 1e-6 on"),
            ("fgsm:norm=l2,eps=1e-9", "from 1e-6 on"),
            ("cw:c=0", "no weight"),
        ] {
            let error = text.parse::<AttackSpec>().expect_err(text).to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
