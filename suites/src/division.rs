//! Divisions: the rules that a bundle of results is held to. A division is a TOML file in `suites/divisions/`; the
//! numbers of one division are measured alike, so that they can be ranked.

use crate::attack::AttackSpec;
use crate::error::{SuiteError, suggest};
use serde::Deserialize;
use std::sync::LazyLock;

const FILES: [&str; 3] = [
    include_str!("../divisions/open.toml"),
    include_str!("../divisions/closed.toml"),
    include_str!("../divisions/closed-small.toml"),
];

/// The rules of a division. What is absent may be anything.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Division {
    /// Version of the schema: 1.
    pub schema: u32,
    /// Its name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Data sets that it is about; any when empty.
    #[serde(default)]
    pub datasets: Vec<String>,
    /// Test images, from the first; with an attack and nothing here, all of them.
    #[serde(default)]
    pub images: Option<u32>,
    /// The attack whose accuracy is robust accuracy. With it come clean images, the benchmark's fifteen corruptions at
    /// severities 1 to 5, every branch, every cell finished, no preflight finding allowed by hand, seed 0.
    #[serde(default)]
    pub attack: Option<AttackSpec>,
    /// Whether other images than the data set's own training images may have been trained on.
    pub extra_data: bool,
    /// Images whose adversarial examples a bundle must hold, at least.
    pub sample: usize,
}

/// Every division, `open` first.
pub fn divisions() -> &'static [Division] {
    static ALL: LazyLock<Vec<Division>> = LazyLock::new(|| {
        // The texts are part of the program, and a test reads every one of them.
        FILES
            .iter()
            .filter_map(|text| toml::from_str(text).ok())
            .collect()
    });
    &ALL
}

/// A division by its name.
///
/// # Errors
/// When there is none of that name.
pub fn find(name: &str) -> Result<&'static Division, SuiteError> {
    divisions()
        .iter()
        .find(|division| division.name == name)
        .ok_or_else(|| {
            let known = divisions().iter().map(|division| division.name.as_str());
            SuiteError::value("division", name, suggest(name, known))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_division_reads_and_is_found_by_its_name() {
        assert_eq!(divisions().len(), FILES.len());
        for text in FILES {
            let read: Division = toml::from_str(text).expect("a division");
            assert_eq!((find(&read.name).expect("by name"), read.schema), (&read, 1));
        }
        let error = find("close").expect_err("not known").to_string();
        assert!(error.contains("closed"), "{error}");
    }
}
