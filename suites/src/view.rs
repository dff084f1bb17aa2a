//! The roles of training images in a step.

use crate::words::words;

words! {
    /// A role that training images play in a step.
    pub enum View, "view" {
        /// Cropped and flipped.
        Clean = "clean",
        /// Cropped, flipped and mixed by AugMix.
        Augmix = "augmix",
        /// Cropped, flipped and attacked.
        Adversarial = "adversarial",
    }
}
