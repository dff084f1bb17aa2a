//! The one error type of the reports.

use std::io;
use std::path::{Path, PathBuf};

/// Why a report could not be made. Every message says what was being done, with which file,
/// what went wrong and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused.
    #[error("cannot {doing} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// `read`, `write`, `create`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there, but is not what it should be.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// A folder is not a run.
    #[error(
        "{} is not a run: it has no plan.json; name the folder that `rlnet run` or `rlnet demo` wrote",
        path.display()
    )]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The runs together cannot be reported.
    #[error("cannot report on {what}: {message}")]
    Unfit {
        /// What was asked for.
        what: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A query, a figure or a page failed: a defect of this program.
    #[error("cannot make {what}: {message} (this is a defect of the report, not of the run)")]
    Make {
        /// The table, figure or page.
        what: String,
        /// What the library said.
        message: String,
    },
}

impl ReportError {
    /// An error of the file system.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// An error about the content of a file.
    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    /// An error while making something.
    pub(crate) fn make(what: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Make {
            what: what.into(),
            message: error.to_string(),
        }
    }
}

/// What to do about the failures that users meet most.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again"
        }
        io::ErrorKind::PermissionDenied => "; choose a folder you may write, or fix its permissions",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a folder on a writable disk",
        _ => "",
    }
}
