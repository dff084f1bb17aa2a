//! The checklist's conditions: what is measured before a robust accuracy is believed.
//!
//! A network whose gradients lead nowhere looks robust to every attack that follows them
//! (Athalye et al., ICML 2018). The checklist of Carlini et al. (arXiv 1902.06705) says which
//! comparisons show it; these attacks are the conditions to be compared, and the reports
//! compare them.

use super::Norm;
use super::adaptive::NamedAttack;

/// The group of all of them.
pub const GROUP: &str = "diagnosis";

/// The same checklist in L2.
pub const GROUP_L2: &str = "diagnosis-l2";

/// The group in a norm; in L1, where neither noise nor Square is defined, there is none.
pub fn group_in(norm: Norm) -> Option<&'static str> {
    match norm {
        Norm::Linf => Some(GROUP),
        Norm::L2 => Some(GROUP_L2),
        Norm::L1 | Norm::L0 => None,
    }
}

const fn asked(name: &'static str, spec: &'static str, asks: &'static str) -> NamedAttack {
    NamedAttack { name, spec, asks }
}

const RADIUS: &str = "a larger radius must not help the defender";
const EFFORT: &str = "more steps or starts must not help the defender";
const TRANSFER: &str = "made on another network or branch: must not beat the white-box attack";

/// The checklist in one norm: the radii, and what stands before the parameters of PGD at the usual
/// radius, behind an attack's name, and before Square's parameters.
macro_rules! checklist {
    ([$(($name:literal, $spec:literal)),* $(,)?], $pgd:literal, $norm:literal, $square:literal) => {
        &[
            $(asked($name, $spec, RADIUS),)*
            // Linf's ball of radius 1 is every image, whatever the norm.
            asked(
                "unbounded",
                "pgd:eps=1,alpha=0.25,steps=50,early_stop=true",
                "the attack may make any image, so it must break every image",
            ),
            asked("steps-10", concat!($pgd, "steps=10,early_stop=true"), EFFORT),
            asked("steps-50", concat!($pgd, "steps=50,early_stop=true"), EFFORT),
            asked("steps-100", concat!($pgd, "steps=100,early_stop=true"), EFFORT),
            asked("starts-5", concat!($pgd, "restarts=5,early_stop=true"), EFFORT),
            asked("one-step", concat!("fgsm", $norm), "one step must not beat many"),
            asked(
                "auto-ce",
                concat!("apgd-ce", $norm),
                "a tuned step size: must find about what PGD finds",
            ),
            asked(
                "auto-dlr",
                concat!("apgd-dlr", $norm),
                "a loss that does not saturate: must find about what cross entropy finds",
            ),
            asked(
                "black-box",
                concat!($square, "queries=1000"),
                "logits only: must not beat what sees the gradient",
            ),
            asked(
                "random",
                concat!("noise", $norm),
                "no gradient at all: must be weaker than any attack",
            ),
            asked("all-relu", concat!($pgd, "surrogate=all-relu"), TRANSFER),
            asked("linear", concat!($pgd, "surrogate=linear"), TRANSFER),
            asked("teacher", concat!($pgd, "surrogate=teacher"), TRANSFER),
            asked("from-clean", concat!($pgd, "branch=clean"), TRANSFER),
            asked("from-adversarial", concat!($pgd, "branch=adversarial"), TRANSFER),
        ]
    };
}

/// The attacks of the group. Steps of a quarter of the radius: with 20 of them any point of
/// the ball can be reached, and left again.
pub const ATTACKS: &[NamedAttack] = checklist!(
    [
        ("radius-2", "pgd:eps=2/255,alpha=0.5/255,early_stop=true"),
        ("radius-4", "pgd:eps=4/255,alpha=1/255,early_stop=true"),
        ("radius-8", "pgd:eps=8/255,alpha=2/255,early_stop=true"),
        ("radius-16", "pgd:eps=16/255,alpha=4/255,early_stop=true"),
        ("radius-32", "pgd:eps=32/255,alpha=8/255,early_stop=true"),
        ("radius-64", "pgd:eps=64/255,alpha=16/255,early_stop=true"),
    ],
    "pgd:",
    "",
    "square:"
);

/// The same in L2.
pub const ATTACKS_L2: &[NamedAttack] = checklist!(
    [
        (
            "radius-0.125",
            "pgd:norm=l2,eps=0.125,alpha=0.03125,early_stop=true"
        ),
        ("radius-0.25", "pgd:norm=l2,eps=0.25,alpha=0.0625,early_stop=true"),
        ("radius-0.5", "pgd:norm=l2,eps=0.5,alpha=0.125,early_stop=true"),
        ("radius-1", "pgd:norm=l2,eps=1,alpha=0.25,early_stop=true"),
        ("radius-2", "pgd:norm=l2,eps=2,alpha=0.5,early_stop=true"),
        ("radius-4", "pgd:norm=l2,eps=4,alpha=1,early_stop=true"),
    ],
    "pgd:norm=l2,alpha=0.125,",
    ":norm=l2",
    "square:norm=l2,"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{AttackSpec, group};

    #[test]
    fn the_groups_are_the_checklist_and_steps_are_a_quarter_of_the_radius() {
        for (name, attacks, norm) in [(GROUP, ATTACKS, Norm::Linf), (GROUP_L2, ATTACKS_L2, Norm::L2)] {
            assert_eq!(group_in(norm), Some(name));
            let all = group(name).expect("the group");
            assert_eq!(all.len(), attacks.len());
            assert_eq!(all.len(), ATTACKS.len());
            for (i, attack) in all.iter().enumerate() {
                assert!(!all[..i].contains(attack), "{attack} is there twice");
                let unbounded = attacks[i].name == "unbounded";
                assert!(unbounded || attack.norm() == norm, "{attack}");
            }
            let family = all.iter().filter(|attack| attack.name() == "pgd");
            for attack in family {
                let quarter = attack.eps().expect("a radius") / 4.0;
                let step = attack.step_size().expect("a step");
                assert!((step - quarter).abs() < 1e-12, "{attack}");
            }
            let mut names = all.iter().map(AttackSpec::name);
            assert!(
                names.all(|name| ["pgd", "fgsm", "apgd-ce", "apgd-dlr", "square", "noise"].contains(&name))
            );
        }
    }
}
