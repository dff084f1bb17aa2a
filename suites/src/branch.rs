//! Norm branches: which bank of batch norm a forward pass goes through.

use crate::view::View;
use crate::words::words;

words! {
    /// One bank of batch norm (the paper's λ: `clean` is λ = 0, `adversarial` is λ = 1).
    pub enum Branch, "branch" {
        /// The only bank of a single-norm network, and of any imported model.
        Single = "single",
        /// Clean images (and AugMix images, unless the network is triple-norm).
        Clean = "clean",
        /// AugMix images of a triple-norm network.
        Natural = "natural",
        /// Adversarial images.
        Adversarial = "adversarial",
        /// Statistics of the clean bank with scales and shifts of the adversarial one: which of
        /// the two carries robustness (Zhang et al. 2024, arXiv 2403.19150)?
        CleanWithAdversarialAffine = "clean-with-adversarial-affine",
        /// Statistics of the adversarial bank with scales and shifts of the clean one.
        AdversarialWithCleanAffine = "adversarial-with-clean-affine",
    }
}

impl Branch {
    /// Its banks: that of the statistics first, then scales and shifts.
    pub fn parts(self) -> (Self, Self) {
        match self {
            Self::CleanWithAdversarialAffine => (Self::Clean, Self::Adversarial),
            Self::AdversarialWithCleanAffine => (Self::Adversarial, Self::Clean),
            bank => (bank, bank),
        }
    }

    /// The branches that mix the banks of two others. They are evaluated only when they are named.
    pub const MIXED: [Self; 2] = [Self::CleanWithAdversarialAffine, Self::AdversarialWithCleanAffine];

    /// The banks a network must have for it.
    pub fn banks(self) -> impl Iterator<Item = Self> {
        let (statistics, affine) = self.parts();
        [statistics, affine].into_iter()
    }
}

words! {
    /// How many banks of batch norm a network has.
    pub enum NormBanks, "norm" {
        /// One bank for every image.
        Single = "single",
        /// Clean and AugMix images through one, adversarial images through the other (RLNet).
        Dual = "dual",
        /// One bank a role.
        Triple = "triple",
    }
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
