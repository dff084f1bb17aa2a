//! What can go wrong with an object store.

use crate::error::Error;

/// Something that went wrong with a store. The text says what was done, with which URL, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The user has to act: a wrong URL, no permission.
    #[error("{0}")]
    Refused(String),
    /// The network or the store did not answer, or a file on this machine failed.
    #[error("{0}")]
    NoAnswer(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(text) => Self::Refused(text),
            StoreError::NoAnswer(text) => Self::External(text),
        }
    }
}
