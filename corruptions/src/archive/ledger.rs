//! `provenance.json`: what an archive is made of, and which of its files are finished.
//!
//! It is written before the first file and after every one, so work that was cut off can be
//! taken up again, and a folder never holds files of two makings.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Source, verify::md5_of};
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
pub(super) struct Ledger {
    path: PathBuf,
    record: Record,
}

impl Ledger {
    /// Opens the record of `folder` or starts one. Refuses a folder made in another way, and
    /// one that has any of `names` but no record: those files are somebody else's.
    pub fn open<'a>(folder: &Path, setup: Setup, mut names: impl Iterator<Item = &'a str>) -> Result<Self> {
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
                if let Some(name) = names.find(|name| folder.join(format!("{name}.npy")).exists()) {
                    let why = "it is there, but no provenance.json says how it was made; it will not \
                               be overwritten: choose another folder";
                    return Err(Error::archive(&folder.join(format!("{name}.npy")), why));
                }
                Vec::new()
            }
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let ledger = Self {
            path,
            record: Record { setup, files },
        };
        ledger.save()?;
        Ok(ledger)
    }

    /// The MD5 of a finished file that still has it.
    pub fn finished(&self, name: &str) -> Result<Option<String>> {
        let file = self.path.with_file_name(format!("{name}.npy"));
        match self.record.files.iter().find(|file| file.name == name) {
            Some(known) if file.exists() && md5_of(&file)? == known.md5 => Ok(Some(known.md5.clone())),
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
