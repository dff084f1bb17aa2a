//! Where the reference's released code does other than the paper says: one switch a defect.
//!
//! `dialect = "reference"` turns all on; `quirks = ["student-without-skip"]`, or by number
//! `quirks = ["B23"]`, turns on some. Numbers are those of docs/method/dialects.md, which also
//! lists the defects that have no switch, and why.

use crate::error::{SuiteError, suggest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A defect of the reference that training can replay. One that does not concern a stage, its
/// architecture or its norms changes nothing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Quirk {
    /// B1: the shortcuts of a single- or dual-norm ResNet teacher share one norm.
    SharedShortcutNorm,
    /// B2: a mask keeps what scores above the k-th largest score: one unit a layer too few.
    StrictThreshold,
    /// B3: stage outputs of a WRN student are seen through the norm that follows.
    NormedStages,
    /// B4: every stage hands on the epoch of the best clean accuracy on the test images.
    SelectOnTest,
    /// B5: triple norms split a batch in thirds, and distilled stages normalise the AugMix third twice.
    TripleNormThirds,
    /// B7: single norms know no AugMix role; both others see the whole batch.
    SingleNormRoles,
    /// B8: the AugMix view has a crop and flip of its own, its target is of the clean view.
    OwnAugmixCrop,
    /// B14: the first mask is one random map a layer, the same for every channel.
    ReplicatedFirstMask,
    /// B23: ResNet students have no identity skip.
    StudentWithoutSkip,
    /// B24: triple-norm ResNet teachers have no identity skip (and no shared shortcut norm).
    TripleTeacherWithoutSkip,
    /// B25: single-norm students with more than the KL in their loss learn from clean images only.
    SingleNormCleanLoss,
    /// B26: dual-norm students without AugMix learn from the KL alone.
    NoAugmixKlOnly,
    /// B27: triple-norm students learn from the KL, and from the attention of clean images.
    TripleNormKlOnly,
}

impl Quirk {
    /// All of them: what `dialect = "reference"` stands for.
    pub const ALL: [Self; 13] = [
        Self::SharedShortcutNorm,
        Self::StrictThreshold,
        Self::NormedStages,
        Self::SelectOnTest,
        Self::TripleNormThirds,
        Self::SingleNormRoles,
        Self::OwnAugmixCrop,
        Self::ReplicatedFirstMask,
        Self::StudentWithoutSkip,
        Self::TripleTeacherWithoutSkip,
        Self::SingleNormCleanLoss,
        Self::NoAugmixKlOnly,
        Self::TripleNormKlOnly,
    ];

    /// The name in suites.
    pub fn name(self) -> &'static str {
        self.labels().0
    }

    /// The number in the documentation: `B23`.
    pub fn number(self) -> &'static str {
        self.labels().1
    }

    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::SharedShortcutNorm => ("shared-shortcut-norm", "B1"),
            Self::StrictThreshold => ("strict-threshold", "B2"),
            Self::NormedStages => ("normed-stages", "B3"),
            Self::SelectOnTest => ("select-on-test", "B4"),
            Self::TripleNormThirds => ("triple-norm-thirds", "B5"),
            Self::SingleNormRoles => ("single-norm-roles", "B7"),
            Self::OwnAugmixCrop => ("own-augmix-crop", "B8"),
            Self::ReplicatedFirstMask => ("replicated-first-mask", "B14"),
            Self::StudentWithoutSkip => ("student-without-skip", "B23"),
            Self::TripleTeacherWithoutSkip => ("triple-teacher-without-skip", "B24"),
            Self::SingleNormCleanLoss => ("single-norm-clean-loss", "B25"),
            Self::NoAugmixKlOnly => ("no-augmix-kl-only", "B26"),
            Self::TripleNormKlOnly => ("triple-norm-kl-only", "B27"),
        }
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Quirk {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let known = |quirk: &&Self| quirk.name() == text || quirk.number().eq_ignore_ascii_case(text);
        Self::ALL.iter().find(known).copied().ok_or_else(|| {
            let hint = suggest(text, Self::ALL.iter().map(|quirk| quirk.name()));
            SuiteError::value("quirk", text, hint)
        })
    }
}

impl TryFrom<String> for Quirk {
    type Error = SuiteError;
    fn try_from(text: String) -> Result<Self, SuiteError> {
        text.parse()
    }
}

impl From<Quirk> for String {
    fn from(quirk: Quirk) -> Self {
        quirk.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_are_known_by_name_and_by_number() {
        for quirk in Quirk::ALL {
            assert_eq!(quirk.name().parse::<Quirk>().expect("its name"), quirk);
            assert_eq!(quirk.number().parse::<Quirk>().expect("its number"), quirk);
        }
        let error = "student-without-skips".parse::<Quirk>().expect_err("a typo");
        assert!(error.to_string().contains("did you mean"), "{error}");
        // A defect that is not replayed.
        assert!("B9".parse::<Quirk>().is_err());
    }
}
