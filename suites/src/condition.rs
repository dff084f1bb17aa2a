//! What an image went through before it was classified.

use crate::attack::AttackSpec;
use crate::corruption::{check_corruption, sequence, sequence_name};
use crate::error::SuiteError;
use rlnet_corruptions::Sequence;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A condition of evaluation. Its text is the `condition` column of every outcome.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Condition {
    /// The test image as it is.
    Clean,
    /// An AugMix view of the test image (no crop, no flip), as 8-bit values.
    AugMix,
    /// A common corruption: `gaussian_noise/3`.
    Corruption {
        /// The paper's name.
        name: String,
        /// 1 to 5.
        severity: u8,
    },
    /// A frame of a perturbation sequence: `p/rotate/12`.
    Frame {
        /// The sequence.
        sequence: Sequence,
        /// Which of its frames, from 0.
        frame: u8,
    },
    /// An attack with all its parameters: `pgd:alpha=2/255,eps=8/255,...`.
    Attack(AttackSpec),
    /// A certificate with all its parameters: `certify:eps=1/255,method=crown,...`.
    Certify(AttackSpec),
}

impl From<AttackSpec> for Condition {
    /// An attack, or a certificate.
    fn from(spec: AttackSpec) -> Self {
        if spec.is_certificate() {
            Self::Certify(spec)
        } else {
            Self::Attack(spec)
        }
    }
}

impl Condition {
    /// The corruption the image goes through, alone or under an attack: name and severity.
    pub fn corruption(&self) -> Option<(&str, u8)> {
        match self {
            Self::Clean | Self::AugMix | Self::Frame { .. } | Self::Certify(_) => None,
            Self::Corruption { name, severity } => Some((name, *severity)),
            Self::Attack(spec) => spec.base(),
        }
    }

    /// Whether images are searched for that the model has wrong.
    pub fn is_attacked(&self) -> bool {
        matches!(self, Self::Attack(_) | Self::Certify(_))
    }

    /// What made the image, by its name among the corruptions of a suite: a corruption, or `p/rotate`.
    pub fn made_by(&self) -> Option<String> {
        match self {
            Self::Frame { sequence, .. } => Some(sequence_name(*sequence)),
            other => other.corruption().map(|(name, _)| name.to_owned()),
        }
    }

    /// Whether a corruption or a sequence is involved.
    pub fn is_corrupted(&self) -> bool {
        self.made_by().is_some()
    }

    /// All frames of a sequence.
    pub fn frames(sequence: Sequence) -> impl Iterator<Item = Self> {
        (0..sequence.frames() as u8).map(move |frame| Self::Frame { sequence, frame })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("clean"),
            Self::AugMix => f.write_str("augmix"),
            Self::Corruption { name, severity } => write!(f, "{name}/{severity}"),
            Self::Frame { sequence, frame } => write!(f, "{}/{frame}", sequence_name(*sequence)),
            Self::Attack(spec) | Self::Certify(spec) => spec.fmt(f),
        }
    }
}

impl FromStr for Condition {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        if text == "clean" {
            return Ok(Self::Clean);
        }
        if text == "augmix" {
            return Ok(Self::AugMix);
        }
        if let Some((name, frame)) = text.rsplit_once('/')
            && let Some(sequence) = sequence(name)
        {
            let last = sequence.frames() - 1;
            let frame = frame.parse().ok().filter(|frame| usize::from(*frame) <= last);
            let wanted = || SuiteError::value("frame", text, format!("{name} has the frames 0 to {last}"));
            return Ok(Self::Frame {
                sequence,
                frame: frame.ok_or_else(wanted)?,
            });
        }
        match text.split_once('/') {
            Some((name, severity)) if !name.contains(':') => {
                check_corruption(name)?;
                let severity: u8 = severity
                    .parse()
                    .ok()
                    .filter(|s| (1..=5).contains(s))
                    .ok_or_else(|| SuiteError::value("severity", severity, "a whole number from 1 to 5"))?;
                Ok(Self::Corruption {
                    name: name.to_owned(),
                    severity,
                })
            }
            _ => AttackSpec::stored(text).map(Self::from),
        }
    }
}

impl TryFrom<String> for Condition {
    type Error = SuiteError;
    fn try_from(text: String) -> Result<Self, SuiteError> {
        text.parse()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for text in [
            "clean",
            "augmix",
            "fog/5",
            "p/translate/15",
            "p/gaussian_noise_2/0",
            "pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=20",
            "certify:eps=1/255,method=crown,nodes=1000,steps=20",
        ] {
            let condition: Condition = text.parse().expect(text);
            assert_eq!(condition.to_string(), text);
        }
        let certificate: Condition = "certify".parse().expect("a certificate");
        assert!(matches!(certificate, Condition::Certify(_)));
        for text in ["fog/6", "p/translate/16", "p/fog/1", "p/rotate"] {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
