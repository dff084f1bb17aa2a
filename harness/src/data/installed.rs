//! Which data sets are on this machine.

use super::{DataError, LoadOptions, NAMES, load_with};
use serde_json::{Value, json};
use std::path::Path;

/// Whether a data set can be used, and what is in it.
pub struct Installed {
    /// Its name.
    pub name: &'static str,
    /// What is in it, or why it cannot be used.
    pub found: Result<Counts, DataError>,
}

/// What is in a data set.
pub struct Counts {
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
    /// Classes.
    pub classes: usize,
    /// Side of its images in pixels.
    pub size: usize,
}

impl Installed {
    /// As JSON.
    pub fn json(&self) -> Value {
        match &self.found {
            Ok(found) => json!({
                "name": self.name, "found": true, "train": found.train, "test": found.test,
                "classes": found.classes, "size": found.size,
            }),
            Err(why) => json!({"name": self.name, "found": false, "why": why.to_string()}),
        }
    }
}

/// Every known data set in a folder. (Training images are counted, not read.)
pub fn installed(folder: &Path) -> Vec<Installed> {
    let options = LoadOptions {
        test_only: true,
        ..LoadOptions::default()
    };
    let counts = |name: &str| {
        let set = load_with(name, folder, options)?;
        Ok(Counts {
            train: set.train_len,
            test: set.test.len(),
            classes: set.classes.len(),
            size: set.size,
        })
    };
    NAMES
        .into_iter()
        .map(|name| Installed {
            name,
            found: counts(name),
        })
        .collect()
}
