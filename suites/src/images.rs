//! Which test images are used, where they are not the first ones.

use crate::error::SuiteError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Positions of images in the official order, each once and ascending: `5000-5511`, `3,7,9-20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRanges(Vec<RangeInclusive<u32>>);

impl ImageRanges {
    /// The positions.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().cloned().flatten()
    }

    /// How many they are, where they are the first ones.
    pub fn first(&self) -> Option<u32> {
        match self.0.as_slice() {
            [only] if *only.start() == 0 => Some(only.end() + 1),
            _ => None,
        }
    }

    /// The last position.
    pub fn last(&self) -> u32 {
        self.0.last().map_or(0, |range| *range.end())
    }
}

impl FromStr for ImageRanges {
    type Err = SuiteError;

    /// Numbers and ranges, parted by commas or white space, in any order.
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let wrong = |part: &str| {
            let hint = "write positions from 0 and ranges of them, both ends included: 5000-5511 or 3,7,9-20";
            SuiteError::value("images", part, hint)
        };
        let parts = text
            .split([',', ' ', '\t', '\n', '\r'])
            .filter(|part| !part.is_empty());
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (from.parse::<u32>().ok()?, to.parse::<u32>().ok()?);
            (from <= to && to < u32::MAX).then_some(from..=to)
        };
        let mut ranges: Vec<RangeInclusive<u32>> = parts
            .map(|part| range(part).ok_or_else(|| wrong(part)))
            .collect::<Result<_, _>>()?;
        if ranges.is_empty() {
            return Err(wrong(text));
        }
        ranges.sort_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
        for range in ranges {
            match merged.last_mut().filter(|last| *range.start() <= last.end() + 1) {
                Some(last) => *last = *last.start()..=(*last.end()).max(*range.end()),
                None => merged.push(range),
            }
        }
        Ok(Self(merged))
    }
}

impl fmt::Display for ImageRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match range.start() == range.end() {
                true => write!(f, "{comma}{}", range.start())?,
                false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

impl Serialize for ImageRanges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageRanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_any_order_and_written_in_one() {
        for (text, canonical) in [
            ("5000-5511", "5000-5511"),
            ("7, 3 9-20", "3,7,9-20"),
            ("1\n2\n0\n2-4\n9", "0-4,9"),
            ("5-9,6", "5-9"),
        ] {
            let ranges: ImageRanges = text.parse().expect(text);
            assert_eq!(ranges.to_string(), canonical);
            assert_eq!(canonical.parse::<ImageRanges>().expect(text), ranges);
        }
        let ranges: ImageRanges = "3,7,9-11".parse().expect("ranges");
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [3, 7, 9, 10, 11]);
        assert_eq!(ranges.last(), 11);
        for bad in ["", "a", "5-3", "-4", "1-2-3", "4294967295", "1.5"] {
            let error = bad.parse::<ImageRanges>().expect_err(bad).to_string();
            assert!(error.contains("5000-5511"), "{error}");
        }
    }
}
