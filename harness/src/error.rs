//! The one error of the harness: what failed, and whose turn it is to act.

use crate::trace::{cause, first_line};
use rlnet_suites::SuiteError;
use std::fmt::Display;
use std::path::Path;

/// An error with everything a user needs in its text: what was being done, with which file
/// or value, what was wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad usage or bad input: exit code 2.
    #[error("{0}")]
    Input(String),
    /// The work itself failed (diverged training, ...): exit code 1.
    #[error("{0}")]
    Work(String),
    /// A file could not be written (disk full, no permission): exit code 1. Nothing that comes
    /// after could be written either.
    #[error("{0}")]
    Disk(String),
    /// The memory of the device (or the machine) is full: exit code 1. A smaller share of the work
    /// would have fitted, so what was claimed is left to others.
    #[error("{0}")]
    Memory(String),
    /// The work was stopped on request and can be gone on with: exit code 3.
    #[error("{0}")]
    Stopped(String),
}

/// The exit code of a run that was stopped on request: not done, not failed.
pub const STOPPED: u8 = 3;

/// A result of the harness.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error about reading a file.
    pub fn reading(path: &Path, why: impl Display) -> Self {
        Self::Input(format!("reading {}: {why}", path.display()))
    }

    /// An error about writing a file, with the usual cure for a full disk.
    pub fn writing(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let cure = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded => {
                "; free some space and run the same command again: finished work is kept"
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "; choose a folder you may write to with --out"
            }
            _ => "",
        };
        Self::Disk(format!("writing {}: {error}{cure}", path.display()))
    }

    /// An error about a place for results that cannot be used from the start: bad input, unless the
    /// disk is full.
    pub fn unusable(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let cure = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded => {
                return Self::writing(path, error);
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a place you may write to",
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                "a file is where a folder would have to be; choose another place"
            }
            _ => "choose another place",
        };
        Self::Input(format!("writing to {}: {error}; {cure}", path.display()))
    }

    /// What a text of libtorch says, if it is that memory is full. (Its allocators for CUDA and for
    /// the CPU say so in these words.)
    pub fn memory(text: &str) -> Option<Self> {
        let cause = cause(text);
        let line = first_line(&cause);
        let full = line.contains("out of memory") || line.contains("can't allocate memory");
        full.then(|| {
            Self::Memory(format!(
                "{NO_MEMORY}{line}; use fewer --jobs, or smaller batches (training.batch, evaluation.batch, \
                 eval --batch), and run the same command again: finished work is kept"
            ))
        })
    }

    /// This error, and what else went wrong beside it.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let both = |text: String| format!("{text}\n{other}");
        match self {
            Self::Input(text) => Self::Input(both(text)),
            Self::Work(text) => Self::Work(both(text)),
            Self::Disk(text) => Self::Disk(both(text)),
            Self::Memory(text) => Self::Memory(both(text)),
            Self::Stopped(text) => Self::Stopped(both(text)),
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Work(_) | Self::Disk(_) | Self::Memory(_) => 1,
            Self::Stopped(_) => STOPPED,
        }
    }
}

impl From<SuiteError> for Error {
    fn from(error: SuiteError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<rlnet_reports::ReportError> for Error {
    fn from(error: rlnet_reports::ReportError) -> Self {
        match error {
            rlnet_reports::ReportError::Io { .. } => Self::Disk(error.to_string()),
            _ => Self::Work(error.to_string()),
        }
    }
}

/// An error of a command that does nothing but report: what it was given is at fault, unless the disk
/// is full or the program itself is wrong.
pub fn reporting(error: rlnet_reports::ReportError) -> Error {
    use rlnet_reports::ReportError::{Io, Make};
    match &error {
        Io { doing, path, source } if *doing != "read" => Error::unusable(path, source),
        Make { .. } => Error::Work(error.to_string()),
        _ => Error::Input(error.to_string()),
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let text = error.to_string();
        Self::memory(&text).unwrap_or_else(|| Self::Work(format!("libtorch: {}", cause(&text))))
    }
}

/// How every [`Error::Memory`] begins.
pub const NO_MEMORY: &str = "out of memory: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_memory_is_no_bug_and_no_failure_of_the_cell() {
        for said in [
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB\nException raised",
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
        ] {
            let error = Error::from(tch::TchError::Torch(said.into()));
            let text = error.to_string();
            assert!(matches!(error, Error::Memory(_)), "{text}");
            assert!(text.starts_with(NO_MEMORY) && text.contains("--jobs"), "{text}");
            assert_eq!((error.exit_code(), text.lines().count()), (1, 1));
        }
        let other = Error::from(tch::TchError::Torch("shapes differ\nmore".into()));
        assert!(matches!(other, Error::Work(_)), "{other}");
    }
}
