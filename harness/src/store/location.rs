//! Where results go: a folder, or an object store and a folder to work in.

use crate::error::{Error, Problem, Result};
use crate::files::cache_folder;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::Url;

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputLocation {
    /// A run directory.
    Folder(PathBuf),
    /// An object store.
    Store(Url),
}

impl OutputLocation {
    /// The folder that work happens in: the run directory; of a store `chosen`, or else a folder
    /// of the store's own under the user's cache. Cells are what their ids say, so it does no harm
    /// when a working folder has others.
    ///
    /// # Errors
    /// When a working folder is chosen for a folder, or there is no cache folder.
    pub fn folder(&self, chosen: Option<&Path>) -> Result<PathBuf> {
        match (self, chosen) {
            (Self::Folder(folder), None) => Ok(folder.clone()),
            (Self::Folder(folder), Some(_)) => Err(Error::Usage(format!(
                "--work-dir is for an --out that is a URL; {} is a folder, and worked in itself",
                folder.display()
            ))),
            (Self::Store(_), Some(chosen)) => Ok(chosen.to_path_buf()),
            (Self::Store(url), None) => match cache_folder() {
                Some(cache) => Ok(cache.join("runs").join(short(url))),
                None => Err(Error::Usage(
                    "there is no home folder to work in ($HOME, $XDG_CACHE_HOME); name one with --work-dir"
                        .into(),
                )),
            },
        }
    }

    /// The folder for what a report needs of a store; reports call a run by its folder's name.
    ///
    /// # Errors
    /// As [`folder`](Self::folder).
    pub fn view(&self) -> Result<PathBuf> {
        let folder = self.folder(None)?;
        Ok(match self {
            Self::Folder(_) => folder,
            Self::Store(url) => folder.join("view").join(last(url)),
        })
    }

    /// The store's URL.
    pub fn url(&self) -> Option<&Url> {
        match self {
            Self::Folder(_) => None,
            Self::Store(url) => Some(url),
        }
    }
}

impl FromStr for OutputLocation {
    type Err = Problem;

    fn from_str(text: &str) -> std::result::Result<Self, Problem> {
        if !text.contains("://") {
            return folder_only(text).map(Self::Folder);
        }
        let url = Url::parse(text).map_err(|error| Problem::from(format!("this is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a URL with a password is seen by others; credentials come from the environment, \
                 as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                    .into(),
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a store's URL ends with its path; options come from the environment".into());
        }
        known_scheme(&url)?;
        Ok(Self::Store(url))
    }
}

impl Display for OutputLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Store(url) => f.write_str(url.as_str()),
        }
    }
}

/// That object stores of this URL's scheme are supported.
#[cfg(feature = "store")]
fn known_scheme(url: &Url) -> std::result::Result<(), Problem> {
    super::connect::scheme(url).map(|_| ())
}

/// That object stores are not part of this program.
#[cfg(not(feature = "store"))]
fn known_scheme(url: &Url) -> std::result::Result<(), Problem> {
    Err(super::no_store::absent(url).into())
}

/// A folder, for options that take no URL.
///
/// # Errors
/// When it is a URL, or nothing: a shell's variable that is not set would be the current folder.
pub fn folder_only(text: &str) -> std::result::Result<PathBuf, Problem> {
    if text.trim().is_empty() {
        return Err("it is empty; name a folder, or . for this one".into());
    }
    if text.contains("://") {
        return Err(
            "this takes a folder; URLs are for --out of rlnet run, and for rlnet report and compare".into(),
        );
    }
    Ok(PathBuf::from(text))
}

/// The last part of a URL, as a name of a folder.
fn last(url: &Url) -> String {
    let whole = url.as_str().trim_end_matches('/');
    let last = whole.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    last.chars().take(40).map(plain).collect()
}

/// A name that people recognise and no other URL has.
fn short(url: &Url) -> String {
    let hash = blake3::hash(url.as_str().trim_end_matches('/').as_bytes());
    format!("{}-{}", last(url), &hash.to_hex()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "store")]
    #[test]
    fn a_url_is_a_store_and_everything_else_a_folder() {
        let place = |text: &str| text.parse::<OutputLocation>();
        assert_eq!(place("out/a:b"), Ok(OutputLocation::Folder("out/a:b".into())));
        assert_eq!(
            place("s3://bucket/a").map(|place| place.to_string()),
            Ok("s3://bucket/a".into())
        );
        for (bad, hint) in [
            ("", "it is empty"),
            (" ", "it is empty"),
            ("s4://bucket", "s4"),
            ("file://relative/a", "file:///"),
            ("memory:///", "memory"),
            ("s3://", "URL"),
            ("s3://key:secret@bucket/a", "environment"),
            ("s3://bucket/a?versionId=1", "environment"),
        ] {
            let error = place(bad).expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[cfg(not(feature = "store"))]
    #[test]
    fn a_program_without_stores_says_so() {
        let error = "s3://bucket/a".parse::<OutputLocation>().expect_err("no store");
        assert!(error.to_string().contains("feature `store`"), "{error}");
    }

    #[cfg(feature = "store")]
    #[test]
    fn stores_have_working_folders_of_their_own() {
        let short = |text: &str| short(&Url::parse(text).expect("a URL"));
        assert_eq!(short("s3://bucket/nights"), short("s3://bucket/nights/"));
        assert!(short("s3://bucket/nights").starts_with("nights-"));
        assert_ne!(short("s3://bucket/nights"), short("s3://other/nights"));
        let place: OutputLocation = "s3://bucket/nights".parse().expect("a place");
        assert_eq!(
            place.folder(Some(Path::new("w"))).expect("a folder"),
            Path::new("w")
        );
        let folder: OutputLocation = "out".parse().expect("a place");
        assert!(folder.folder(Some(Path::new("w"))).is_err());
    }
}
