//! What a step makes of a training image.

use serde::{Deserialize, Serialize};

/// A role that training images play in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// Cropped and flipped.
    Clean,
    /// Cropped, flipped and mixed by AugMix.
    Augmix,
    /// Cropped, flipped and attacked.
    Adversarial,
}

impl View {
    /// The name used in files and curves.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Augmix => "augmix",
            Self::Adversarial => "adversarial",
        }
    }
}
