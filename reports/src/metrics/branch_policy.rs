//! Readings: through which branch a number is read. A dual-norm network has no single
//! accuracy; the branch is part of the question (OAT, Wang et al., NeurIPS 2020, reads each
//! kind of image through its own branch, which at deployment nobody can promise).

use crate::glossary::{self, Term};
use rlnet_suites::Branch;
use serde::Serialize;

/// A way of reading a network that has several branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BranchPolicy {
    /// Each kind of image through the branch trained for it, as papers print it. It needs an
    /// oracle that knows what was done to the image.
    Oracle,
    /// Everything through one branch: what a deployment can have.
    Fixed(Branch),
    /// An image counts only when every branch is right (for an attack: when the attack made
    /// against each branch fails there). What remains when the attacker picks the branch.
    Worst,
}

impl BranchPolicy {
    /// The readings of a network, in the order of tables. With one branch all are the same.
    pub fn of(branches: &[Branch]) -> Vec<Self> {
        let fixed = branches.iter().map(|branch| Self::Fixed(*branch));
        if branches.len() < 2 {
            return fixed.collect();
        }
        [Self::Oracle]
            .into_iter()
            .chain(fixed)
            .chain([Self::Worst])
            .collect()
    }

    /// The same reading of a network with these branches: with one branch, the oracle and the
    /// worst of branches are that branch. A branch that was asked for by name is never another:
    /// one that mixes two others is not among `branches`, and has its own number.
    pub fn on(self, branches: &[Branch]) -> Self {
        match (self, branches) {
            (Self::Oracle | Self::Worst, [only]) => Self::Fixed(*only),
            _ => self,
        }
    }

    /// For a table's row.
    pub fn label(self) -> String {
        match self {
            Self::Oracle => "oracle".to_owned(),
            Self::Fixed(Branch::Single) => "single branch".to_owned(),
            Self::Fixed(branch) => format!("{branch} branch"),
            Self::Worst => "worst of branches".to_owned(),
        }
    }

    /// For a trace, after what it is about: nothing where there is one branch only.
    pub fn read(self) -> String {
        match self {
            Self::Fixed(Branch::Single) => String::new(),
            other => format!(", {}", other.label()),
        }
    }

    /// For a chart's legend, where room is scarce.
    pub fn short(self) -> String {
        match self {
            Self::Oracle => "oracle".to_owned(),
            Self::Fixed(branch) => branch.name().to_owned(),
            Self::Worst => "worst".to_owned(),
        }
    }

    /// What it means.
    pub fn term(self) -> Term {
        match self {
            Self::Oracle => glossary::ORACLE,
            Self::Fixed(_) => glossary::ONE_BRANCH,
            Self::Worst => glossary::WORST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_branch_answers_for_the_oracle_and_the_worst_but_for_no_other_branch() {
        let one = [Branch::Clean];
        for policy in [BranchPolicy::Oracle, BranchPolicy::Worst] {
            assert_eq!(policy.on(&one), BranchPolicy::Fixed(Branch::Clean));
        }
        for branch in Branch::MIXED {
            assert_eq!(BranchPolicy::Fixed(branch).on(&one), BranchPolicy::Fixed(branch));
        }
    }
}
