//! Corruptions, severities and branches as they are written on the command line.

use crate::error::{Error, Result};
use crate::run::session::read_suite;
use rlnet_suites::suite::Corruptions;
use rlnet_suites::{Branch, ImageRanges, Suite, SuiteError};
use std::collections::BTreeSet;
use std::path::Path;

/// The corruptions of `--corruptions` and `--names`: a group, or names with commas.
pub fn corruptions(text: &str) -> Result<Vec<String>> {
    let Corruptions(names) = text.parse()?;
    Ok(names)
}

/// Severities as `3`, `1,3,5` or `1-5`.
pub fn severities(text: &str) -> Result<Vec<u8>> {
    let bad = || Error::Usage(format!("--severity {text}: write 3, 1,3,5 or 1-5"));
    let number = |part: &str| {
        part.trim()
            .parse::<u8>()
            .ok()
            .filter(|severity| (1..=5).contains(severity))
            .ok_or_else(bad)
    };
    if let Some((from, to)) = text.split_once('-') {
        let (from, to) = (number(from)?, number(to)?);
        return if from <= to {
            Ok((from..=to).collect())
        } else {
            Err(bad())
        };
    }
    let set: BTreeSet<u8> = text.split(',').map(number).collect::<Result<_>>()?;
    Ok(set.into_iter().collect())
}

/// The branches of `--branch`; nothing for all of the model's.
pub fn branches(text: &str) -> Result<Option<Vec<Branch>>> {
    if text == "all" {
        return Ok(None);
    }
    let names = text.split(',').map(|name| Ok(name.trim().parse::<Branch>()?));
    let set: BTreeSet<Branch> = names.collect::<Result<_>>()?;
    Ok(Some(set.into_iter().collect()))
}

/// Positions of images, or the file that has them.
pub fn images(text: &str) -> std::result::Result<ImageRanges, String> {
    let listed = match Path::new(text).is_file() {
        true => std::fs::read_to_string(text).map_err(|error| format!("reading {text}: {error}"))?,
        false => text.to_owned(),
    };
    listed.parse().map_err(|error: SuiteError| error.to_string())
}

/// A suite with settings changed, on the first so many test images or on those at positions where asked.
///
/// # Errors
/// When the suite is none, or names its images and a number is asked for.
pub fn suite_on(
    name: &str,
    mut sets: Vec<String>,
    (limit, images): (Option<u32>, Option<&ImageRanges>),
) -> Result<Suite> {
    sets.extend(limit.map(|n| format!("data.test={n}")));
    sets.extend(images.map(|images| format!("data.images='{images}'")));
    let suite = read_suite(name, &sets)?;
    match (limit, &suite.data.images) {
        (Some(_), Some(images)) => Err(Error::Usage(format!(
            "--limit: suite {} is measured on the test images {images} (data.images); name others with --images",
            suite.name
        ))),
        _ => Ok(suite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_read_as_written() {
        assert_eq!(severities("1-5").expect("a range"), [1, 2, 3, 4, 5]);
        assert_eq!(severities("1,3").expect("a list"), [1, 3]);
        // A set: the order of writing is none of a cell's identity.
        assert_eq!(severities("3,1,3").expect("a set"), [1, 3]);
        for bad in ["0", "6", "5-1", "", "x"] {
            assert!(severities(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn branches_are_a_set() {
        let read = |text: &str| branches(text).expect(text);
        assert_eq!(read("all"), None);
        let both = Some(vec![Branch::Clean, Branch::Adversarial]);
        assert_eq!(read("clean,adversarial"), both);
        assert_eq!(read("adversarial, clean,adversarial"), both);
    }
}
