//! How strong a corruption is: one of five levels.

use crate::{Error, Result};

/// A severity, 1 to 5. Not a scale: some published rows get *easier* as it rises
/// (CIFAR glass_blur 3 is easier than 1), so nothing may rely on monotone error.
///
/// ```
/// use rlnet_corruptions::Severity;
/// assert_eq!(Severity::new(3)?.get(), 3);
/// assert!(Severity::new(0).is_err());
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Severity(u8);

impl Severity {
    /// All five, in order.
    pub const ALL: [Self; 5] = [Self(1), Self(2), Self(3), Self(4), Self(5)];

    /// The severity `level`.
    ///
    /// # Errors
    /// When `level` is not 1 to 5.
    pub fn new(level: u8) -> Result<Self> {
        if (1..=5).contains(&level) {
            Ok(Self(level))
        } else {
            Err(Error::Severity(level))
        }
    }

    /// 1 to 5.
    pub fn get(self) -> u8 {
        self.0
    }

    /// 0 to 4.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0 - 1)
    }
}

impl TryFrom<u8> for Severity {
    type Error = Error;

    fn try_from(level: u8) -> Result<Self> {
        Self::new(level)
    }
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> Self {
        severity.get()
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
