//! `provenance.json`: what an archive is made of, and which of its files are finished.
//!
//! It is written before the first file and after every one, so work that was cut off can be
//! taken up again, and a folder never holds files of two makings.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digest::{folder_md5, md5_of};
use super::source::Source;
use crate::{Corruption, Description, Error, Result};

/// Everything that can change a byte of an archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    pub generator: Description,
    pub source: Source,
    pub images: usize,
    pub width: usize,
    pub height: usize,
    pub images_md5: String,
    pub labels_md5: String,
    /// The order of one continuing stream; absent where files do not depend on each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Vec<Corruption>>,
    /// `int64` for the labels of C-bar; absent for bytes, and for trees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_type: Option<String>,
    /// How the files of a tree of images are stored; absent for arrays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    setup: Setup,
    files: Vec<Finished>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finished {
    name: String,
    md5: String,
}

/// The record of a folder, on disk at all times.
#[derive(Debug)]
pub(super) struct Provenance {
    path: PathBuf,
    record: Record,
}

impl Provenance {
    /// Opens the record of `folder` or starts one. Refuses a folder made in another way, and
    /// one that has any of `names` but no record: those files are somebody else's. A name is
    /// that of an array, without `.npy`, or a folder `fog/3` of images.
    pub fn open<'a>(folder: &Path, setup: Setup, names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let path = folder.join("provenance.json");
        let files = match fs::read(&path) {
            Ok(bytes) => {
                let found: Record = serde_json::from_slice(&bytes).map_err(|error| {
                    let why = format!("not a record of an archive ({error}); choose another folder");
                    Error::archive(&path, why)
                })?;
                let other = differences(&found.setup, &setup);
                if !other.is_empty() {
                    let why = format!(
                        "this folder was made in another way ({}); choose another folder",
                        other.join(", ")
                    );
                    return Err(Error::archive(&path, why));
                }
                found.files
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if let Some(place) = names.map(|name| place(folder, name)).find(|place| place.exists()) {
                    let why = "it is there, but no provenance.json says how it was made; it will not \
                               be overwritten: choose another folder";
                    return Err(Error::archive(&place, why));
                }
                Vec::new()
            }
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let provenance = Self {
            path,
            record: Record { setup, files },
        };
        provenance.save()?;
        Ok(provenance)
    }

    /// The MD5 of a finished file that still has it.
    pub fn finished(&self, name: &str) -> Result<Option<String>> {
        let place = place(self.path.parent().unwrap_or(Path::new(".")), name);
        match self.record.files.iter().find(|file| file.name == name) {
            Some(known) if place.exists() && sum(&place)? == known.md5 => Ok(Some(known.md5.clone())),
            _ => Ok(None),
        }
    }

    /// Records a file that has just been finished.
    pub fn add(&mut self, name: &str, md5: &str) -> Result<()> {
        self.record.files.retain(|file| file.name != name);
        self.record.files.push(Finished {
            name: name.to_owned(),
            md5: md5.to_owned(),
        });
        self.save()
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.record)
            .map_err(|error| Error::archive(&self.path, error.to_string()))?;
        let name = format!("provenance.json.{}.part", std::process::id());
        let temporary = self.path.with_file_name(name);
        fs::write(&temporary, text + "\n").map_err(Error::io(&temporary))?;
        fs::rename(&temporary, &self.path).map_err(Error::io(&self.path))
    }
}

fn place(folder: &Path, name: &str) -> PathBuf {
    if name.contains('/') {
        folder.join(name)
    } else {
        folder.join(format!("{name}.npy"))
    }
}

fn sum(place: &Path) -> Result<String> {
    if place.is_dir() {
        folder_md5(place)
    } else {
        md5_of(place)
    }
}

/// What `folder/provenance.json` says: the settings, and MD5 or level checksum of each finished
/// part by name; nothing where there is no such record.
pub(super) fn read(folder: &Path) -> Option<(Setup, Vec<(String, String)>)> {
    let bytes = fs::read(folder.join("provenance.json")).ok()?;
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    let files = record.files.into_iter().map(|file| (file.name, file.md5));
    Some((record.setup, files.collect()))
}

/// Compares what this program made in `folder` with the checksums it wrote down: each part's
/// name and whether it still has its checksum (`None`: it is gone).
///
/// # Errors
/// When there is no `provenance.json` of this program, or a file cannot be read.
/// ```
/// use rlnet_corruptions::archive::{Dataset, Source, generate_archive, verify_own};
/// use rlnet_corruptions::{Corruption, Generator};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let (images, labels) = (vec![99; 2 * 3072], [3, 8]);
/// let dataset = Dataset { images: &images, labels: &labels, size: (32, 32) };
/// let (generator, source) = (Generator::default(), Source::Keyed { seed: 0 });
/// generate_archive(&generator, &dataset, folder, &[Corruption::Fog], source, &mut |_| {})?;
/// std::fs::write(folder.join("fog.npy"), "damaged").unwrap();
/// let parts = verify_own(folder, &mut |_| {})?;
/// assert!(parts.contains(&("fog".to_owned(), Some(false))));
/// assert!(parts.contains(&("labels".to_owned(), Some(true))));
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn verify_own(
    folder: impl AsRef<Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<(String, Option<bool>)>> {
    let folder = folder.as_ref();
    let (_, files) = read(folder).ok_or_else(|| {
        Error::archive(
            folder,
            "no provenance.json of this program says what its files should be",
        )
    })?;
    files
        .into_iter()
        .map(|(name, md5)| {
            progress(&name);
            let place = place(folder, &name);
            let same = if place.exists() {
                Some(sum(&place)? == md5)
            } else {
                None
            };
            Ok((name, same))
        })
        .collect()
}

/// How the images of `folder` were made, by its `provenance.json`, in a few words:
/// `release stack, frost textures procedural v1, keyed draws of seed 0`. Nothing for a folder
/// this program did not make.
/// ```
/// use rlnet_corruptions::archive::{Dataset, Source, generate_archive, made_by};
/// use rlnet_corruptions::{Corruption, Generator};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let (images, labels) = (vec![99; 2 * 3072], [3, 8]);
/// let dataset = Dataset { images: &images, labels: &labels, size: (32, 32) };
/// let (generator, source) = (Generator::default(), Source::Keyed { seed: 0 });
/// generate_archive(&generator, &dataset, folder, &[Corruption::Fog], source, &mut |_| {})?;
/// assert!(made_by(folder).is_some_and(|how| how.ends_with("keyed draws of seed 0")));
/// assert_eq!(made_by("nowhere"), None);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn made_by(folder: impl AsRef<Path>) -> Option<String> {
    let (setup, _) = read(folder.as_ref())?;
    let draws = match setup.source {
        Source::Keyed { seed } => format!("keyed draws of seed {seed}"),
        Source::Numpy { seed } => format!("a NumPy stream of seed {seed}"),
    };
    let (stack, textures) = (setup.generator.stack, setup.generator.textures);
    let format = setup
        .format
        .map_or_else(String::new, |format| format!(", {format}"));
    Some(format!(
        "{stack} stack, frost textures {textures}, {draws}{format}"
    ))
}

/// The settings that differ, each with both values.
fn differences(found: &Setup, wanted: &Setup) -> Vec<String> {
    let flat = |setup: &Setup| {
        let mut rows = Vec::new();
        flatten("", &serde_json::to_value(setup).unwrap_or_default(), &mut rows);
        rows
    };
    let (found, wanted) = (flat(found), flat(wanted));
    let value = |rows: &[(String, String)], key: &str| {
        let row = rows.iter().find(|row| row.0 == key);
        row.map_or_else(|| "nothing".to_owned(), |row| row.1.clone())
    };
    let mut keys: Vec<_> = found.iter().chain(&wanted).map(|row| &row.0).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| (key, value(&found, key), value(&wanted, key)))
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(key, found, wanted)| format!("{key} is {found} there, {wanted} here"))
        .collect()
}

fn flatten(prefix: &str, value: &serde_json::Value, rows: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, rows);
            }
        }
        leaf => rows.push((prefix.to_owned(), leaf.to_string())),
    }
}
