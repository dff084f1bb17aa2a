//! Names of corruptions and of their families.

use std::fmt;
use std::str::FromStr;

use crate::corruptions::{Corruption, Family, entry};
use crate::{Error, ParameterSet, Result};

impl Corruption {
    /// The name in papers, and the file name: `gaussian_noise`.
    pub const fn name(self) -> &'static str {
        entry(self).name
    }

    /// Whether its severities are published for images of this size: those of C-bar are for one size or
    /// for two.
    ///
    /// ```
    /// use rlnet_corruptions::{Corruption, ParameterSet};
    /// assert!(Corruption::Ripple.is_defined_for(ParameterSet::Cifar));
    /// assert!(!Corruption::Ripple.is_defined_for(ParameterSet::Imagenet));
    /// ```
    pub fn is_defined_for(self, set: ParameterSet) -> bool {
        let has = |family: Family| family.corruptions().contains(&self);
        let bar = match set {
            ParameterSet::Cifar => has(Family::CBar),
            ParameterSet::TinyImagenet => false,
            ParameterSet::Imagenet => has(Family::CBarImagenet),
        };
        bar || has(Family::C) || has(Family::CExtra)
    }

    /// True for those that draw no random number: their published files can be regenerated
    /// byte for byte.
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
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.into_iter().map(Self::name);
            Error::UnknownCorruption {
                name: name.to_owned(),
                suggestion: names
                    .min_by_key(|known| strsim::levenshtein(name, known))
                    .unwrap_or_default(),
            }
        })
    }
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

impl Family {
    /// `c`, `c-extra`, `c-bar` or `imagenet-c-bar`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::CExtra => "c-extra",
            Self::CBar => "c-bar",
            Self::CBarImagenet => "imagenet-c-bar",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Family {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| Error::UnknownName {
            what: "family of corruptions",
            name: name.to_owned(),
            known: "c, c-extra, c-bar, imagenet-c-bar",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_papers_and_parse_back() {
        let names = |family: Family| -> Vec<_> { family.corruptions().iter().map(|c| c.name()).collect() };
        assert_eq!(
            names(Family::C).join(" "),
            "gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost \
             fog brightness contrast elastic_transform pixelate jpeg_compression"
        );
        assert_eq!(
            names(Family::CExtra).join(" "),
            "speckle_noise gaussian_blur spatter saturate"
        );
        assert_eq!(
            names(Family::CBar).join(" "),
            "blue_noise_sample brownish_noise checkerboard_cutout circular_motion_blur inverse_sparkles lines \
             pinch_and_twirl ripple sparkles transverse_chromatic_abberation"
        );
        assert_eq!(
            names(Family::CBarImagenet).join(" "),
            "blue_noise_sample brownish_noise checkerboard_cutout inverse_sparkles sparkles caustic_refraction \
             cocentric_sine_waves perlin_noise plasma_noise single_frequency_greyscale"
        );
        for corruption in Corruption::ALL {
            assert_eq!(corruption.name().parse::<Corruption>().ok(), Some(corruption));
            assert!(corruption.family().corruptions().contains(&corruption));
        }
        for family in Family::ALL {
            assert_eq!(family.name().parse::<Family>().ok(), Some(family));
        }
    }
}
