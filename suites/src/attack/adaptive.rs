//! Attacks made for networks with norm branches and masks, by name.
//!
//! An attacker who knows the defence chooses the branch, attacks all branches at once, and
//! follows easier networks with the same weights (Tramer et al., NeurIPS 2020: an evaluation
//! must be adapted to the defence). Each name stands for an attack of the catalogue with some
//! parameters set; further ones may follow: `agnostic:eps=4/255`.

/// An attack with a name of its own.
#[derive(Debug, Clone, Copy)]
pub struct NamedAttack {
    /// The name.
    pub name: &'static str,
    /// What it stands for.
    pub spec: &'static str,
    /// What it asks, and what an honest robust accuracy answers.
    pub asks: &'static str,
}

impl NamedAttack {
    /// What it stands for, with further parameters.
    pub(super) fn with(&self, params: &str) -> String {
        let joint = if self.spec.contains(':') { "," } else { ":" };
        format!("{}{joint}{params}", self.spec)
    }
}

/// The group of all of them.
pub const GROUP: &str = "adaptive";

/// The attacks of the group.
pub const ATTACKS: &[NamedAttack] = &[
    NamedAttack {
        name: "white-box",
        spec: "pgd:steps=50,early_stop=true",
        asks: "each branch on its own",
    },
    NamedAttack {
        name: "branch-choice",
        spec: "pgd:steps=50,early_stop=true",
        asks: "the attacker chooses the branch: white-box, read as worst of branches: an image counts only if every branch holds",
    },
    NamedAttack {
        name: "agnostic",
        spec: "pgd:steps=50,early_stop=true,branch=all",
        asks: "one perturbation against all branches",
    },
    NamedAttack {
        name: "random-branch",
        spec: "pgd:steps=50,early_stop=true,branch=all",
        asks: "the defender draws a branch for each image: agnostic, whose summed losses are EOT over the draw, exactly; read as random branch",
    },
    NamedAttack {
        name: "cross-clean",
        spec: "pgd:steps=50,branch=clean",
        asks: "made on the clean branch: must not beat the white-box attack of another branch",
    },
    NamedAttack {
        name: "cross-adversarial",
        spec: "pgd:steps=50,branch=adversarial",
        asks: "made on the adversarial branch: must not beat the white-box attack of another branch",
    },
    NamedAttack {
        name: "swap-clean",
        spec: "pgd:steps=50,branch=clean-with-adversarial-affine",
        asks: "made on clean statistics with adversarial scales and shifts: must not beat white-box",
    },
    NamedAttack {
        name: "swap-adversarial",
        spec: "pgd:steps=50,branch=adversarial-with-clean-affine",
        asks: "made on adversarial statistics with clean scales and shifts: must not beat white-box",
    },
    NamedAttack {
        name: "teacher-transfer",
        spec: "pgd:steps=50,surrogate=teacher",
        asks: "made on the all-ReLU teacher: must be weaker than white-box",
    },
    NamedAttack {
        name: "budget-transfer",
        spec: "pgd:steps=50,surrogate=other-budget",
        asks: "made on a student of the same teacher with another budget: must be weaker than white-box",
    },
    NamedAttack {
        name: "all-relu-transfer",
        spec: "pgd:steps=50,surrogate=all-relu",
        asks: "made on the same weights with every ReLU: must be weaker than white-box",
    },
    NamedAttack {
        name: "linear-transfer",
        spec: "pgd:steps=50,surrogate=linear",
        asks: "made on the same weights without ReLUs: must be weaker than white-box",
    },
    NamedAttack {
        name: "loss-dlr",
        spec: "pgd:steps=50,early_stop=true,loss=dlr",
        asks: "another loss: must find about what cross entropy finds",
    },
    NamedAttack {
        name: "loss-margin",
        spec: "pgd:steps=50,early_stop=true,loss=margin",
        asks: "another loss: must find about what cross entropy finds",
    },
    NamedAttack {
        name: "loss-kl-teacher",
        spec: "pgd:steps=50,early_stop=true,loss=kl-teacher",
        asks: "the loss of the training's inner attack: networks trained against it can look better under it",
    },
    NamedAttack {
        name: "joint",
        spec: "pgd:steps=50,early_stop=true,base=gaussian_noise/3",
        asks: "an attack on a naturally corrupted image: both shifts at once",
    },
];

/// The attack of a name.
pub fn find(name: &str) -> Option<&'static NamedAttack> {
    ATTACKS.iter().find(|named| named.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{AttackSpec, group};

    #[test]
    fn names_stand_for_attacks_and_take_further_parameters() {
        let all = group("adaptive:eps=4/255").expect("the group");
        assert_eq!(all.len(), ATTACKS.len());
        assert!(all.iter().all(|attack| attack.params()["eps"] == "4/255"));
        let one: AttackSpec = "agnostic".parse().expect("a name");
        assert_eq!(
            one,
            "pgd:early_stop=true,steps=50,branch=all"
                .parse()
                .expect("in full")
        );
        assert!(
            "agnostik"
                .parse::<AttackSpec>()
                .expect_err("a typo")
                .to_string()
                .contains("agnostic")
        );
    }
}
