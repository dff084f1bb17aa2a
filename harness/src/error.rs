//! The one error of the harness: what failed, and who has to act.
//!
//! A variant says what kind of failure it is, and the exit code follows from the variant. The text says
//! what was being done, with which file or value, what was wrong, and what to do.

use crate::data::DataError;
use crate::trace::{cause, first_line};
use rlnet_reports::ReportError;
use rlnet_suites::SuiteError;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option, an argument or a setting is wrong, or contradicts another one.
    #[error("{0}")]
    Usage(String),
    /// A suite, or one value of its vocabulary, is wrong.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// A data set is missing, damaged or not what it should be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Corrupted images, or the textures they are made with, are missing, damaged or of another data set.
    #[error("{0}")]
    Corrupted(String),
    /// A model, a checkpoint or a mask cannot be used.
    #[error("{0}")]
    Model(String),
    /// A model does not fit the data, the attack or the other network it is used with.
    #[error("{0}")]
    Incompatible(String),
    /// A run, a cell or an object store lacks what was named.
    #[error("{0}")]
    Missing(String),
    /// A file cannot be read.
    #[error("reading {}: {why}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The place that was chosen for results cannot be used.
    #[error("writing to {}: {why}", .path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// An object store or a cluster refuses: a wrong address, no permission.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be written (disk full, no permission); the next one could not be written either.
    #[error("writing {}: {why}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said, and what to do.
        why: String,
    },
    /// A file cannot be locked.
    #[error("locking {}: {why}; the run directory must be on a file system with locks", .path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The memory of the device (or of the machine) is full. Smaller work would have fitted, so other
    /// processes may take what this one had claimed.
    #[error("{0}")]
    OutOfMemory(String),
    /// A training stage diverged.
    #[error("{0}")]
    Diverged(String),
    /// libtorch failed.
    #[error("{0}")]
    Torch(String),
    /// Cells of a run failed.
    #[error("{0}")]
    Failed(String),
    /// A comparison found a difference: files, predictions or a gate.
    #[error("{0}")]
    Differs(String),
    /// An object store, a cluster or another process does not answer, or not as it should.
    #[error("{0}")]
    External(String),
    /// A report could not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A defect of this program.
    #[error("internal: {0}")]
    Internal(String),
    /// A worker process ended with this error.
    #[error("{why}")]
    Worker {
        /// Its exit code.
        code: u8,
        /// Its text.
        why: String,
    },
    /// The work was stopped on request, and the same command continues it.
    #[error("{0}")]
    Stopped(String),
    /// An error, and what else went wrong beside it.
    #[error("{first}\n{second}")]
    Both {
        /// The error that decides the exit code.
        first: Box<Error>,
        /// The other one.
        second: Box<Error>,
    },
}

/// What is wrong with a value, or with the content of a file. The caller adds which one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Exit code of work that failed.
pub const FAILED: u8 = 1;
/// Exit code of bad usage or bad input.
pub const BAD_INPUT: u8 = 2;
/// Exit code of a run that was stopped on request: not done, not failed.
pub const STOPPED: u8 = 3;
/// Exit code of a process that found no memory.
pub const OUT_OF_MEMORY: u8 = 4;

/// A result of the harness.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A file that cannot be read.
    pub fn reading(path: &Path, why: impl Display) -> Self {
        Self::Read {
            path: path.to_path_buf(),
            why: why.to_string(),
        }
    }

    /// A file that cannot be written, with the usual cure for a full disk.
    pub fn writing(path: &Path, error: &io::Error) -> Self {
        let cure = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded => {
                "; free some space and run the same command again: finished work is kept"
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "; choose a folder you may write to with --out"
            }
            _ => "",
        };
        Self::Write {
            path: path.to_path_buf(),
            why: format!("{error}{cure}"),
        }
    }

    /// A place for results that cannot be used from the start: bad input, unless the disk is full.
    pub fn unusable(path: &Path, error: &io::Error) -> Self {
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
        Self::Output {
            path: path.to_path_buf(),
            why: format!("{error}; {cure}"),
        }
    }

    /// A lock file that the system does not lock.
    pub fn locking(path: &Path, error: impl Display) -> Self {
        Self::Lock {
            path: path.to_path_buf(),
            why: error.to_string(),
        }
    }

    /// A defect of this program: something that cannot fail did.
    pub fn internal(why: impl Display) -> Self {
        Self::Internal(why.to_string())
    }

    /// A text of libtorch as an error; `who` failed. libtorch gives no code, only a text; this is the one place that
    /// reads it. (Its allocators for CUDA and for the CPU use these words for full memory.)
    pub fn torch(who: &str, text: &str) -> Self {
        let cause = cause(text);
        let line = first_line(&cause);
        if line.contains("out of memory") || line.contains("can't allocate memory") {
            return Self::OutOfMemory(format!(
                "out of memory: {line}; use fewer --jobs, or smaller batches (training.batch, evaluation.batch, \
                 eval --batch), and run the same command again: finished work is kept"
            ));
        }
        Self::Torch(format!("{who}: {cause}"))
    }

    /// This error, and what else went wrong beside it.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::Both {
            first: Box::new(self),
            second: Box::new(other),
        }
    }

    /// Whether the failure concerns one cell only, so that a run computes the other cells all the same: what
    /// was wrong before any work is refused there, so an input that fails later is that of a cell.
    pub fn is_of_one_cell(&self) -> bool {
        match self {
            Self::Usage(_)
            | Self::Suite(_)
            | Self::Data(_)
            | Self::Model(_)
            | Self::Missing(_)
            | Self::Read { .. }
            | Self::Diverged(_)
            | Self::Incompatible(_)
            | Self::Corrupted(_)
            | Self::Torch(_)
            | Self::Failed(_)
            | Self::Differs(_)
            | Self::External(_)
            | Self::Internal(_) => true,
            Self::Report(error) => !matches!(error, ReportError::Io { .. }),
            _ => false,
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Suite(_)
            | Self::Data(_)
            | Self::Corrupted(_)
            | Self::Model(_)
            | Self::Incompatible(_)
            | Self::Missing(_)
            | Self::Read { .. }
            | Self::Output { .. }
            | Self::Refused(_) => BAD_INPUT,
            Self::Write { .. }
            | Self::Lock { .. }
            | Self::Diverged(_)
            | Self::Torch(_)
            | Self::Failed(_)
            | Self::Differs(_)
            | Self::External(_)
            | Self::Report(_)
            | Self::Internal(_) => FAILED,
            Self::OutOfMemory(_) => OUT_OF_MEMORY,
            Self::Stopped(_) => STOPPED,
            Self::Worker { code, .. } => *code,
            Self::Both { first, .. } => first.exit_code(),
        }
    }
}

/// An error of a command that only reports: its input is wrong, unless the disk is full or the program
/// itself is wrong.
pub fn reporting(error: ReportError) -> Error {
    match error {
        ReportError::Io { doing, path, source } if doing != "read" => Error::unusable(&path, &source),
        ReportError::Make { .. } => Error::Report(error),
        other => Error::Missing(other.to_string()),
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Self::torch("libtorch", &error.to_string())
    }
}

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
            assert!(matches!(error, Error::OutOfMemory(_)), "{text}");
            assert!(
                text.starts_with("out of memory: ") && text.contains("--jobs"),
                "{text}"
            );
            assert_eq!((error.exit_code(), text.lines().count()), (OUT_OF_MEMORY, 1));
            assert!(!error.is_of_one_cell());
        }
        let other = Error::from(tch::TchError::Torch("shapes differ\nmore".into()));
        assert!(
            matches!(other, Error::Torch(_)) && other.is_of_one_cell(),
            "{other}"
        );
        assert_eq!(other.exit_code(), FAILED);
    }

    #[test]
    fn the_first_of_two_errors_decides_the_exit_code() {
        let stopped = Error::Stopped("Ctrl-C".into()).and(Error::External("no answer".into()));
        assert_eq!(stopped.exit_code(), STOPPED);
        assert_eq!(stopped.to_string(), "Ctrl-C\nno answer");
    }
}
