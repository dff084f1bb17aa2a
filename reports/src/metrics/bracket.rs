//! Certified <= robust <= attacked: what is proven of a model, what is not broken yet, and what lies between; and
//! whether the two ever contradict each other.
//!
//! An image is certified when every branch that is read is, and attacked until some attack in the same ball breaks
//! one of them. A point that an attack found counts in the ball when its own length says so, whatever the attack was
//! asked for.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::estimate::Estimate;
use crate::metrics::prediction_matrix::{ConditionPredictions, PredictionMatrix};
use rlnet_suites::outcome::Certainty;
use rlnet_suites::{AttackSpec, Branch, Condition};

/// How much longer than the radius a perturbation may seem to be, for rounding.
const ROUNDING: f32 = 1e-7;

/// One certificate beside the attacks in its ball.
#[derive(Debug, Clone, PartialEq)]
pub struct Bracket {
    /// What was asked for.
    pub certificate: AttackSpec,
    /// Images that are certified.
    pub certified: Estimate,
    /// Images that nothing in the run broke in the ball: no attack, and not the search for a proof.
    pub attacked: Estimate,
    /// Images of which neither is known.
    pub open: Estimate,
    /// Attacks that take part beside the search for a proof.
    pub attacks: Vec<AttackSpec>,
    /// Mean number of ReLUs whose sign the ball leaves open, over the images that were bounded; none where none was.
    pub unstable: Option<f64>,
}

/// The brackets of a model under a reading, in the order of the certificates.
pub fn brackets(matrix: &PredictionMatrix, policy: BranchPolicy) -> Vec<Bracket> {
    let certificates = matrix
        .conditions()
        .into_iter()
        .filter_map(|condition| match condition {
            Condition::Certify(spec) => Some((condition, spec)),
            _ => None,
        });
    let found = certificates.filter_map(|(condition, spec)| {
        let seen = matrix.predictions(policy, condition)?;
        let attacks = attacks_in(matrix, spec);
        let tried: Vec<Vec<&ConditionPredictions>> = attacks
            .iter()
            .filter_map(|attack| matrix.predictions(policy, &Condition::Attack(attack.clone())))
            .collect();
        let (mut known, mut certified, mut unbroken, mut open) = (0, 0, 0, 0);
        let (mut unstable, mut bounded) = (0.0, 0_u64);
        for image in 0..matrix.images.len() {
            let answers: Option<Vec<Certainty>> = seen.iter().map(|seen| certainty(seen, image)).collect();
            let Some(answers) = answers else { continue };
            known += 1;
            let proven = answers.iter().all(|answer| *answer == Certainty::Certified);
            let broken = answers.contains(&Certainty::Broken)
                || tried.iter().flatten().any(|seen| breaks(seen, image, spec));
            certified += u64::from(proven);
            unbroken += u64::from(!broken);
            open += u64::from(!broken && !proven);
            for (seen, answer) in seen.iter().zip(&answers) {
                if *answer != Certainty::Broken {
                    unstable += f64::from(seen.unstable[image]);
                    bounded += 1;
                }
            }
        }
        (known > 0).then(|| Bracket {
            certificate: spec.clone(),
            certified: Estimate::of_images(certified, known),
            attacked: Estimate::of_images(unbroken, known),
            open: Estimate::of_images(open, known),
            attacks,
            unstable: (bounded > 0).then(|| unstable / bounded as f64),
        })
    });
    found.collect()
}

/// An image that is certified and broken: one of the two is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Contradiction {
    /// Position in the test set.
    pub image: u32,
    /// The branch.
    pub branch: Branch,
    /// What says that no point of the ball is wrong.
    pub certificate: AttackSpec,
    /// What found one.
    pub attack: AttackSpec,
    /// The length of its perturbation.
    pub norm: f32,
}

/// Every certified image that some attack broke inside the certified ball.
pub fn contradictions(matrix: &PredictionMatrix, branches: &[Branch]) -> Vec<Contradiction> {
    let mut found = Vec::new();
    for condition in matrix.conditions() {
        let Condition::Certify(spec) = condition else {
            continue;
        };
        for &branch in branches {
            let one = |condition: &Condition| {
                let seen = matrix.predictions(BranchPolicy::Fixed(branch), condition)?;
                seen.first().copied()
            };
            let Some(proofs) = one(condition) else { continue };
            for attack in attacks_in(matrix, spec) {
                let Some(seen) = one(&Condition::Attack(attack.clone())) else {
                    continue;
                };
                let broken = (0..matrix.images.len()).filter(|&image| {
                    certainty(proofs, image) == Some(Certainty::Certified) && breaks(seen, image, spec)
                });
                found.extend(broken.map(|image| Contradiction {
                    image: matrix.images[image],
                    branch,
                    certificate: spec.clone(),
                    attack: attack.clone(),
                    norm: seen.norm[image],
                }));
            }
        }
    }
    found
}

/// The attacks whose perturbations of clean images are measured in the certificate's norm.
fn attacks_in(matrix: &PredictionMatrix, certificate: &AttackSpec) -> Vec<AttackSpec> {
    let of = |condition: &Condition| match condition {
        Condition::Attack(spec) if spec.norm() == certificate.norm() && spec.base().is_none() => {
            Some(spec.clone())
        }
        _ => None,
    };
    matrix.conditions().into_iter().filter_map(of).collect()
}

fn certainty(seen: &ConditionPredictions, image: usize) -> Option<Certainty> {
    Some(Certainty::of(seen.right[image]?, seen.margin[image]))
}

/// Whether an attack broke an image inside a certificate's ball.
fn breaks(seen: &ConditionPredictions, image: usize, certificate: &AttackSpec) -> bool {
    let radius = certificate.eps().unwrap_or(0.0) as f32;
    seen.right[image] == Some(false) && seen.norm[image] <= radius * (1.0 + ROUNDING) + ROUNDING
}
