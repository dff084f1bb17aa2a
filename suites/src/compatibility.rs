//! Whether an attack fits a network: the one check, of a suite's plan and of a single evaluation.

use crate::attack::{Arithmetic, AttackSpec, BranchChoice};
use crate::branch::Branch;

/// What an attack needs to know of a network before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFacts {
    /// Its name in messages.
    pub name: String,
    /// Its norm branches; `single` alone where it has one bank.
    pub branches: Vec<Branch>,
    /// Whether its ReLUs and its arithmetic can be changed: not those of a TorchScript file.
    pub is_editable: bool,
    /// Whether gradients can be asked for: not those of a model that answers with logits only.
    pub has_gradients: bool,
    /// Whether it computes in a ring, where large values wrap around.
    pub wraps: bool,
    /// The number of classes it tells apart, where that is known.
    pub classes: Option<usize>,
}

impl NetworkFacts {
    /// Whether it has a branch, or all banks that the branch mixes.
    pub fn has(&self, branch: Branch) -> bool {
        branch.banks().all(|bank| self.branches.contains(&bank))
    }

    /// Those of some branches that it has; all of its own where it has none of them.
    pub fn evaluated(&self, requested: Option<&[Branch]>) -> Vec<Branch> {
        let own: Vec<Branch> = requested
            .unwrap_or_default()
            .iter()
            .copied()
            .filter(|branch| self.has(*branch))
            .collect();
        if own.is_empty() {
            self.branches.clone()
        } else {
            own
        }
    }

    fn is_single(&self) -> bool {
        self.branches == [Branch::Single]
    }
}

/// Why an attack does not fit a model that is evaluated on these branches: the rest of a sentence
/// whose subject is the model; nothing where it fits. `surrogate` is the other network whose
/// gradient the attack follows, if it follows one.
pub fn misfit(
    attack: &AttackSpec,
    model: &NetworkFacts,
    surrogate: Option<&NetworkFacts>,
    evaluated: &[Branch],
) -> Option<String> {
    if let Some(why) = model.classes.and_then(|classes| attack.lacks_classes(classes)) {
        return Some(why);
    }
    let followed = surrogate.unwrap_or(model);
    let edits = attack.surrogate().is_relaxed() || attack.arithmetic() == Arithmetic::Bf16;
    if edits && !followed.is_editable {
        return Some(
            "is a TorchScript file, whose ReLUs and arithmetic cannot be changed; evaluate a model.safetensors"
                .to_owned(),
        );
    }
    if attack.needs_gradients() && !followed.has_gradients {
        return Some(
            "answers with logits only, and the attack needs gradients; square and noise do not".to_owned(),
        );
    }
    if attack.entry().overflows && !followed.wraps {
        return Some(
            "computes in floating point, where nothing wraps around; add --arithmetic fixed".to_owned(),
        );
    }
    let branches = match attack.branch() {
        BranchChoice::All if model.is_single() => return Some("has one branch".to_owned()),
        // A single-norm network answers for every branch.
        BranchChoice::Same | BranchChoice::All if followed.is_single() => return None,
        BranchChoice::All => &model.branches,
        BranchChoice::Same => evaluated,
        BranchChoice::One(branch) => &[branch],
    };
    let lacking = branches.iter().find(|branch| !followed.has(**branch))?;
    let names: Vec<&str> = followed.branches.iter().map(|branch| branch.name()).collect();
    let subject = surrogate.map_or(String::new(), |other| {
        format!("cannot follow {}, which ", other.name)
    });
    Some(format!(
        "{subject}has no branch {lacking} (it has {})",
        names.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(name: &str, branches: &[Branch], is_editable: bool) -> NetworkFacts {
        NetworkFacts {
            name: name.to_owned(),
            branches: branches.to_vec(),
            is_editable,
            has_gradients: true,
            wraps: false,
            classes: None,
        }
    }

    #[test]
    fn an_overflow_needs_a_ring() {
        let overflow: AttackSpec = "overflow".parse().expect("overflow");
        let floating = network("net", &[Branch::Single], true);
        let ring = NetworkFacts {
            wraps: true,
            ..floating.clone()
        };
        let found = misfit(&overflow, &floating, None, &floating.branches).expect("a misfit");
        assert!(found.contains("--arithmetic"), "{found}");
        assert_eq!(misfit(&overflow, &ring, None, &ring.branches), None);
    }

    #[test]
    fn a_model_of_logits_only_takes_attacks_that_need_no_gradient() {
        let black_box = NetworkFacts {
            has_gradients: false,
            ..network("api", &[Branch::Single], false)
        };
        for (attack, fits) in [
            ("square", true),
            ("noise", true),
            ("pgd", false),
            ("autoattack", false),
        ] {
            let attack: AttackSpec = attack.parse().expect(attack);
            let found = misfit(&attack, &black_box, None, &[Branch::Single]);
            assert_eq!(found.is_none(), fits, "{attack}: {found:?}");
            // With gradients of a surrogate every attack can be transferred to it.
            let surrogate = network("twin", &[Branch::Single], false);
            assert_eq!(
                misfit(&attack, &black_box, Some(&surrogate), &[Branch::Single]),
                None
            );
        }
    }

    /// DLR divides by the third logit, its targeted form by the fourth too.
    #[test]
    fn a_loss_is_defined_from_its_number_of_classes_on() {
        for (attack, fewest) in [
            ("autoattack", 4),
            ("autoattack:version=plus", 4),
            ("autoattack:norm=l2", 4),
            ("autoattack:version=rand", 3),
            ("apgd-t:norm=l2", 4),
            ("apgd-dlr", 3),
            ("pgd:loss=dlr", 3),
            ("fgsm:loss=dlr", 3),
            ("pgd", 2),
            ("fab-t", 2),
            ("radius", 2),
        ] {
            let spec: AttackSpec = attack.parse().expect(attack);
            for classes in 2..6 {
                let model = NetworkFacts {
                    classes: Some(classes),
                    ..network("net", &[Branch::Single], true)
                };
                let found = misfit(&spec, &model, None, &model.branches);
                assert_eq!(
                    found.is_none(),
                    classes >= fewest,
                    "{attack} {classes}: {found:?}"
                );
                // What is named instead works.
                assert!(found.is_none_or(|why| why.contains("; use ")), "{attack}");
            }
        }
    }

    #[test]
    fn an_attack_fits_by_the_branches_and_the_format_of_what_it_follows() {
        let dual = network("dual", &[Branch::Clean, Branch::Adversarial], true);
        let single = network("single", &[Branch::Single], true);
        let script = network("script", &[Branch::Single], false);
        let cases = [
            ("pgd", &dual, None, ""),
            ("pgd:branch=clean", &dual, None, ""),
            (
                "pgd:branch=clean",
                &single,
                None,
                "has no branch clean (it has single)",
            ),
            ("pgd:branch=all", &single, None, "has one branch"),
            ("pgd:surrogate=other", &dual, Some(&single), ""),
            (
                "pgd:surrogate=other",
                &single,
                Some(&dual),
                "cannot follow dual, which has no branch single",
            ),
            ("pgd:surrogate=all-relu", &script, None, "is a TorchScript file"),
            ("pgd:surrogate=all-relu", &single, None, ""),
        ];
        for (attack, model, surrogate, why) in cases {
            let spec: AttackSpec = attack.parse().expect(attack);
            let found = misfit(&spec, model, surrogate, &model.branches).unwrap_or_default();
            assert!(
                found.starts_with(why) && found.is_empty() == why.is_empty(),
                "{attack}: {found}"
            );
        }
    }

    #[test]
    fn branches_that_a_network_lacks_are_not_evaluated() {
        let dual = network("dual", &[Branch::Clean, Branch::Adversarial], true);
        assert_eq!(dual.evaluated(None), dual.branches);
        assert_eq!(
            dual.evaluated(Some(&[Branch::Clean, Branch::Single])),
            [Branch::Clean]
        );
        assert_eq!(dual.evaluated(Some(&[Branch::Single])), dual.branches);
    }
}
