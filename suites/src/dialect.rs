//! Where the reference's released code does other than the paper says: one switch a defect.
//!
//! `dialect = "reference"` turns all on; `quirks = ["student-without-skip"]`, or by number
//! `quirks = ["B23"]`, turns on some. Numbers are those of docs/method/dialects.md, which also
//! lists the defects that have no switch, and why.

use crate::words::words;

words! {
    /// A defect of the reference that training can replay. One that does not concern a stage, its
    /// architecture or its norms changes nothing there.
    pub enum Quirk, "quirk" {
        /// B1: the shortcuts of a single- or dual-norm ResNet teacher share one norm.
        SharedShortcutNorm = "shared-shortcut-norm" or "B1",
        /// B2: a mask keeps what scores above the k-th largest score: one unit a layer too few.
        StrictThreshold = "strict-threshold" or "B2",
        /// B3: stage outputs of a WRN student are seen through the norm that follows.
        NormedStages = "normed-stages" or "B3",
        /// B4: every stage hands on the epoch of the best clean accuracy on the test images.
        SelectOnTest = "select-on-test" or "B4",
        /// B5: triple norms split a batch in thirds, and distilled stages normalise the AugMix third twice.
        TripleNormThirds = "triple-norm-thirds" or "B5",
        /// B7: single norms know no AugMix role; both others see the whole batch.
        SingleNormRoles = "single-norm-roles" or "B7",
        /// B8: the AugMix view has a crop and flip of its own, its target is of the clean view.
        OwnAugmixCrop = "own-augmix-crop" or "B8",
        /// B14: the first mask is one random map a layer, the same for every channel.
        ReplicatedFirstMask = "replicated-first-mask" or "B14",
        /// B23: ResNet students have no identity skip.
        StudentWithoutSkip = "student-without-skip" or "B23",
        /// B24: triple-norm ResNet teachers have no identity skip (and no shared shortcut norm).
        TripleTeacherWithoutSkip = "triple-teacher-without-skip" or "B24",
        /// B25: single-norm students with more than the KL in their loss learn from clean images only.
        SingleNormCleanLoss = "single-norm-clean-loss" or "B25",
        /// B26: dual-norm students without AugMix learn from the KL alone.
        NoAugmixKlOnly = "no-augmix-kl-only" or "B26",
        /// B27: triple-norm students learn from the KL, and from the attention of clean images.
        TripleNormKlOnly = "triple-norm-kl-only" or "B27",
    }
}

impl Quirk {
    /// The number in the documentation: `B23`.
    pub const fn number(self) -> &'static str {
        self.alias()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_are_known_by_name_and_by_number() {
        for quirk in Quirk::ALL.iter().copied() {
            assert_eq!(quirk.name().parse::<Quirk>().expect("its name"), quirk);
            assert_eq!(quirk.number().parse::<Quirk>().expect("its number"), quirk);
        }
        let error = "student-without-skips".parse::<Quirk>().expect_err("a typo");
        assert!(error.to_string().contains("did you mean"), "{error}");
        // A defect that is not replayed.
        assert!("B9".parse::<Quirk>().is_err());
    }
}
