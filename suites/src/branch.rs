//! Norm branches: which bank of batch norm a forward pass goes through.

use crate::error::{SuiteError, suggest};
use crate::view::View;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One bank of batch norm (the paper's λ: `clean` is λ = 0, `adversarial` is λ = 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Branch {
    /// The only bank of a single-norm network, and of any imported model.
    Single,
    /// Clean images (and AugMix images, unless the network is triple-norm).
    Clean,
    /// AugMix images of a triple-norm network.
    Natural,
    /// Adversarial images.
    Adversarial,
    /// Statistics of the clean bank with scales and shifts of the adversarial one: which of
    /// the two carries robustness (Zhang et al. 2024, arXiv 2403.19150)?
    #[serde(rename = "clean-with-adversarial-affine")]
    CleanWithAdversarialAffine,
    /// Statistics of the adversarial bank with scales and shifts of the clean one.
    #[serde(rename = "adversarial-with-clean-affine")]
    AdversarialWithCleanAffine,
}

impl Branch {
    /// The name used on the command line, in files and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Clean => "clean",
            Self::Natural => "natural",
            Self::Adversarial => "adversarial",
            Self::CleanWithAdversarialAffine => "clean-with-adversarial-affine",
            Self::AdversarialWithCleanAffine => "adversarial-with-clean-affine",
        }
    }

    /// The banks it is made of: statistics first, then scales and shifts.
    pub fn parts(self) -> (Self, Self) {
        match self {
            Self::CleanWithAdversarialAffine => (Self::Clean, Self::Adversarial),
            Self::AdversarialWithCleanAffine => (Self::Adversarial, Self::Clean),
            bank => (bank, bank),
        }
    }

    /// The branches that mix the banks of two others. They are gone through only when asked for.
    pub const MIXED: [Self; 2] = [Self::CleanWithAdversarialAffine, Self::AdversarialWithCleanAffine];

    /// The banks a network must have for it.
    pub fn banks(self) -> impl Iterator<Item = Self> {
        let (statistics, affine) = self.parts();
        [statistics, affine].into_iter()
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Branch {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let all = [
            Self::Single,
            Self::Clean,
            Self::Natural,
            Self::Adversarial,
            Self::CleanWithAdversarialAffine,
            Self::AdversarialWithCleanAffine,
        ];
        all.into_iter()
            .find(|branch| branch.name() == text)
            .ok_or_else(|| SuiteError::value("branch", text, suggest(text, all.map(Branch::name))))
    }
}

/// How many banks of batch norm a network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormBanks {
    /// One bank for every image.
    Single,
    /// Clean and AugMix images through one, adversarial images through the other (RLNet).
    Dual,
    /// One bank a role.
    Triple,
}

impl NormBanks {
    /// The branches in bank order.
    pub fn branches(self) -> &'static [Branch] {
        match self {
            Self::Single => &[Branch::Single],
            Self::Dual => &[Branch::Clean, Branch::Adversarial],
            Self::Triple => &[Branch::Clean, Branch::Natural, Branch::Adversarial],
        }
    }

    /// The branch that a kind of training image goes through.
    pub fn branch_of(self, view: View) -> Branch {
        match (self, view) {
            (Self::Single, _) => Branch::Single,
            (_, View::Clean) | (Self::Dual, View::Augmix) => Branch::Clean,
            (Self::Triple, View::Augmix) => Branch::Natural,
            (_, View::Adversarial) => Branch::Adversarial,
        }
    }
}
