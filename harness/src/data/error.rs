//! Why a data set could not be read: what was read, which file, what is wrong, what to do.

use std::path::PathBuf;

/// Every way reading a data set can fail.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The name is not one of [`NAMES`](super::NAMES).
    #[error("data set `{name}`: there is no such data set; {suggestion}")]
    UnknownName {
        /// What was written.
        name: String,
        /// The nearest known name, or all of them.
        suggestion: String,
    },
    /// None of the folders that could hold the data set is there.
    #[error(
        "data set `{dataset}`: not found; looked for {}. {}, or name the folder that has it with --data-dir or \
         RLNET_DATA (or use `shapes`, which needs no files)",
        list(.looked_for), fetch_hint(.dataset, .looked_for)
    )]
    MissingFolder {
        /// Name of the data set.
        dataset: String,
        /// Every path that was tried.
        looked_for: Vec<PathBuf>,
    },
    /// The folder is there but a file of it is not.
    #[error(
        "data set `{dataset}`: the folder {} has no {}; unpack the official archive again, or \
         name another folder with --data-dir or RLNET_DATA", .folder.display(), .missing.join(", ")
    )]
    MissingFile {
        /// Name of the data set.
        dataset: String,
        /// The folder that was chosen.
        folder: PathBuf,
        /// The files it lacks.
        missing: Vec<String>,
    },
    /// The operating system refused to read a file.
    #[error("reading {}: {source}; check that the file is readable", .file.display())]
    Io {
        /// The file being read.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is shorter or longer than its records.
    #[error(
        "reading {}: {found} bytes, expected {expected}; the file is {}, fetch or unpack it again",
        .file.display(), if found < expected { "cut short" } else { "too long" }
    )]
    Size {
        /// The file being read.
        file: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// The bytes are not the official ones.
    #[error(
        "reading {}: its images and labels have SHA-1 {found}, the official ones {expected}; \
         fetch or unpack the file again; images changed on purpose are read as pictures, with \
         imagefolder:PATH for the data set",
        .file.display()
    )]
    Checksum {
        /// The file being read.
        file: PathBuf,
        /// Official SHA-1, in hex.
        expected: String,
        /// SHA-1 of what was read, in hex.
        found: String,
    },
    /// A record's label is not a class.
    #[error(
        "reading {}: record {record} has {kind} label {label}, valid are 0 to {}; \
         is this file of another data set?", .file.display(), .classes - 1
    )]
    Label {
        /// The file being read.
        file: PathBuf,
        /// Position of the record in the file.
        record: usize,
        /// `fine`, `coarse`, or `class` where there is only one kind.
        kind: &'static str,
        /// The label read.
        label: i64,
        /// Number of classes of that kind.
        classes: usize,
    },
    /// A python-version file does not hold what it should.
    #[error(
        "reading {}: not a CIFAR file of the python version: {problem}; fetch or unpack it \
         again, or use the binary version", .file.display()
    )]
    Pickle {
        /// The file being read.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A picture file is not what a data set needs.
    #[error("reading {}: {problem}", .file.display())]
    Picture {
        /// The file being read.
        file: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A corruption that training images cannot be put through.
    #[error("training image {image} cannot be augmented by a corruption: {problem}")]
    Augment {
        /// Its position in the official order.
        image: u32,
        /// What refuses it.
        problem: String,
    },
    /// A folder of pictures is not laid out as it should be.
    #[error("reading {}: {problem}", .folder.display())]
    Folder {
        /// The folder being read.
        folder: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A line of a text file says something impossible.
    #[error("reading {}, line {line}: {problem}; unpack the official archive again", .file.display())]
    Line {
        /// The file being read.
        file: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// How to get a data set.
fn fetch_hint(dataset: &str, looked_for: &[PathBuf]) -> String {
    let folders = looked_for
        .iter()
        .flat_map(|place| [Some(place.as_path()), place.parent()]);
    let lying = folders
        .flatten()
        .find_map(|folder| super::fetch::lying(dataset, folder));
    match lying {
        Some(file) => format!(
            "`rlnet data fetch {dataset}` checks and unpacks {}",
            file.display()
        ),
        None => format!("`rlnet data fetch {dataset}` gets it from its publisher"),
    }
}

fn list(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    shown.join(", ")
}
