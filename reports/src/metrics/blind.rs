//! Images at which an attack had no gradient to follow: each was zero, not finite or lost to underflow.
//! That such an image is right says nothing; what is said of it rests on a search without gradients.

use crate::format::{self, AttackNames};
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::prediction_matrix::PredictionMatrix;
use rlnet_suites::{AttackSpec, Condition};

/// Images that are named, at most.
const NAMED: usize = 5;

/// What an attack could not follow through one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// The attack.
    pub attack: AttackSpec,
    /// Positions in the test set of the images at which it never had a gradient to follow, ascending.
    pub images: Vec<u32>,
    /// How many of them are wrong all the same.
    pub wrong: usize,
    /// Images whose gradient was asked for.
    pub of: usize,
}

impl Blind {
    /// The images of an attack that follows gradients, read as `policy` reads it; nothing where it was not
    /// measured, or asked for no gradient.
    pub fn of(matrix: &PredictionMatrix, policy: BranchPolicy, attack: &AttackSpec) -> Option<Self> {
        let seen = matrix.predictions(policy, &Condition::Attack(attack.clone()))?;
        let mut blind = Self {
            attack: attack.clone(),
            images: Vec::new(),
            wrong: 0,
            of: 0,
        };
        for (place, image) in matrix.images.iter().enumerate() {
            let followed = seen.iter().filter_map(|seen| seen.blind[place]);
            let Some(never) = followed.reduce(|a, b| a || b) else {
                continue;
            };
            blind.of += 1;
            if never {
                blind.images.push(*image);
                blind.wrong += usize::from(seen.iter().any(|seen| seen.right[place] == Some(false)));
            }
        }
        (blind.of > 0).then_some(blind)
    }

    /// The share of the images.
    pub fn share(&self) -> f64 {
        self.images.len() as f64 / self.of.max(1) as f64
    }

    /// `2 of 20 images`.
    pub fn count(&self) -> String {
        let count = |n: usize| format::thousands(n as u64);
        format!("{} of {} images", count(self.images.len()), count(self.of))
    }

    /// A sentence's end that names attack, images and what was done instead.
    pub fn said(&self, names: &AttackNames) -> String {
        let mut named: Vec<String> = self.images.iter().take(NAMED).map(u32::to_string).collect();
        if let Some(more @ 1..) = self.images.len().checked_sub(NAMED) {
            named.push(format!("{more} more"));
        }
        let word = if self.images.len() == 1 { "image" } else { "images" };
        let instead = match self.attack.without_gradients() {
            Some(search) => format!(
                "they were attacked without gradients instead ({search}), which broke {}",
                self.wrong
            ),
            None if self.wrong == self.images.len() => "all of them are wrong all the same".to_owned(),
            None => "that they are right says nothing of them".to_owned(),
        };
        format!(
            "the gradient was unusable on {} under {} (zero, not finite or lost to underflow; {word} {}): {instead}",
            self.count(),
            names.get(&self.attack),
            format::list(&named)
        )
    }
}
