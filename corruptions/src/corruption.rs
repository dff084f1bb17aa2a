//! The names: nineteen corruptions in five groups.

use std::fmt;
use std::str::FromStr;

use crate::corruptions::{Corruption, entry};
use crate::entry::Group;
use crate::{Error, Result};

impl Corruption {
    /// The fifteen of the benchmark, in the paper's order.
    pub const BENCHMARK: [Self; 15] = {
        let mut fifteen = [Self::GaussianNoise; 15];
        let mut i = 0;
        while i < 15 {
            fifteen[i] = Self::ALL[i];
            i += 1;
        }
        fifteen
    };

    /// The name used in papers and as file name: `gaussian_noise`.
    pub fn name(self) -> &'static str {
        entry(self).name
    }

    /// Its group.
    pub fn group(self) -> Group {
        entry(self).group
    }

    /// True for the eight that draw nothing at random: their published files can be
    /// regenerated to the byte.
    pub fn is_deterministic(self) -> bool {
        entry(self).deterministic
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Corruption {
    type Err = Error;

    /// Parses a name as papers write it.
    ///
    /// ```
    /// use rlnet_corruptions::Corruption;
    /// assert_eq!("fog".parse::<Corruption>()?, Corruption::Fog);
    /// let error = "gausian_noise".parse::<Corruption>().unwrap_err();
    /// assert!(error.to_string().contains("did you mean \"gaussian_noise\""));
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|corruption| corruption.name() == name)
            .ok_or_else(|| {
                let suggestion = Self::ALL
                    .into_iter()
                    .map(Self::name)
                    .min_by_key(|known| distance(name, known))
                    .unwrap_or_default();
                Error::UnknownCorruption {
                    name: name.to_owned(),
                    suggestion,
                }
            })
    }
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl serde::Serialize for Corruption {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Corruption {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_papers_and_parse_back() {
        let names: Vec<_> = Corruption::ALL.into_iter().map(Corruption::name).collect();
        assert_eq!(
            names.join(" "),
            "gaussian_noise shot_noise impulse_noise defocus_blur \
            glass_blur motion_blur zoom_blur snow frost fog brightness contrast elastic_transform \
            pixelate jpeg_compression speckle_noise gaussian_blur spatter saturate"
        );
        for corruption in Corruption::ALL {
            assert_eq!(corruption.name().parse::<Corruption>().ok(), Some(corruption));
        }
        let deterministic = Corruption::ALL.iter().filter(|c| c.is_deterministic());
        assert_eq!(deterministic.count(), 8);
        assert!(Corruption::BENCHMARK.iter().all(|c| c.group() != Group::Extra));
    }
}
