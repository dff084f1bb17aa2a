//! Which images two attacks break, of those that are right when clean.

use crate::metrics::bits::Bits;
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::prediction_matrix::PredictionMatrix;
use rlnet_suites::Condition;

/// Which images two attacks break, of those that are right when clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Both break it.
    pub both: u64,
    /// Only the first.
    pub first: u64,
    /// Only the second.
    pub second: u64,
}

/// Of the images that are right when clean, which one condition breaks and which it leaves.
#[derive(Debug, Clone)]
pub struct Broken {
    broken: Bits,
    left: Bits,
}

impl Broken {
    /// Looks at one condition; nothing when it, or the clean images, were not measured.
    pub fn of(matrix: &PredictionMatrix, policy: BranchPolicy, condition: &Condition) -> Option<Self> {
        let clean = matrix.right(policy, &Condition::Clean)?;
        let right = matrix.right(policy, condition)?;
        let is = |wanted: bool| {
            let both = clean.iter().zip(&right);
            Bits::pack(both.map(|(clean, right)| *clean == Some(true) && *right == Some(wanted)))
        };
        Some(Self {
            broken: is(false),
            left: is(true),
        })
    }

    /// How much this and another condition agree.
    pub fn overlap(&self, other: &Self) -> Overlap {
        Overlap {
            both: self.broken.shared(&other.broken),
            first: self.broken.shared(&other.left),
            second: self.left.shared(&other.broken),
        }
    }
}
