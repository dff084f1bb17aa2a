//! The registry of the perturbation sequences of CIFAR-10-P (Hendrycks and Dietterich, ICLR 2019): short
//! films in which an image changes a little from frame to frame. To add one, add its file and a line
//! here.

mod batch;
mod entry;
mod geometry;
mod noise;
mod smooth;
mod tilt;
mod weather;

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};
pub use batch::SequenceBatch;
pub(crate) use entry::Draws;
use entry::Entry;

/// Pixels along a side: the parameters are published for no other size.
pub(crate) const SIDE: usize = 32;

macro_rules! registry {
    ($($(#[$doc:meta])* $variant:ident = $entry:expr,)*) => {
        /// A perturbation sequence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Sequence { $($(#[$doc])* $variant,)* }

        impl Sequence {
            /// The fourteen of CIFAR-10-P, then six with stronger noise.
            pub const ALL: [Self; [$(Self::$variant,)*].len()] = [$(Self::$variant,)*];

            fn entry(self) -> &'static Entry {
                match self { $(Self::$variant => &$entry,)* }
            }
        }
    };
}

registry! {
    /// Normal noise, new in every frame.
    GaussianNoise = noise::GAUSSIAN[0],
    /// Photon counting, new in every frame.
    ShotNoise = noise::SHOT[0],
    /// A camera whose direction of movement turns.
    MotionBlur = smooth::MOTION_BLUR,
    /// A camera that moves towards its subject.
    ZoomBlur = geometry::ZOOM_BLUR,
    /// Snow whose direction turns.
    Snow = weather::SNOW,
    /// From darker to brighter.
    Brightness = smooth::BRIGHTNESS,
    /// From left to right.
    Translate = geometry::TRANSLATE,
    /// Turned about the centre.
    Rotate = geometry::ROTATE,
    /// Turned about a horizontal and a vertical axis.
    Tilt = tilt::ENTRY,
    /// Reduced and enlarged.
    Scale = geometry::SCALE,
    /// Noise in proportion to the value, new in every frame.
    SpeckleNoise = noise::SPECKLE[0],
    /// A Gaussian blur that grows.
    GaussianBlur = smooth::GAUSSIAN_BLUR,
    /// Water that runs down.
    Spatter = weather::SPATTER,
    /// Sheared.
    Shear = geometry::SHEAR,
    /// Stronger normal noise.
    GaussianNoise2 = noise::GAUSSIAN[1],
    /// The strongest normal noise.
    GaussianNoise3 = noise::GAUSSIAN[2],
    /// Fewer photons.
    ShotNoise2 = noise::SHOT[1],
    /// The fewest photons.
    ShotNoise3 = noise::SHOT[2],
    /// Stronger noise in proportion to the value.
    SpeckleNoise2 = noise::SPECKLE[1],
    /// The strongest noise in proportion to the value.
    SpeckleNoise3 = noise::SPECKLE[2],
}

impl Sequence {
    /// The ten that CIFAR papers average: those of the published script, which has spatter where the
    /// paper has snow.
    pub const CIFAR_TEN: [Self; 10] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Spatter,
        Self::Brightness,
        Self::Translate,
        Self::Rotate,
        Self::Tilt,
        Self::Scale,
    ];

    /// The ten of the paper's headline (on ImageNet-P).
    pub const PAPER_TEN: [Self; 10] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Snow,
        Self::Brightness,
        Self::Translate,
        Self::Rotate,
        Self::Tilt,
        Self::Scale,
    ];

    /// The fourteen of CIFAR-10-P.
    pub fn published() -> &'static [Self] {
        &Self::ALL[..14]
    }

    /// The name in papers, and the file name: `gaussian_noise`; stronger noise is `gaussian_noise_2`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Number of frames.
    pub fn frames(self) -> usize {
        self.entry().frames
    }

    /// True for those that draw no random number.
    pub fn is_deterministic(self) -> bool {
        self.entry().deterministic
    }

    /// Whether metrics compare every frame with the first one, which is the image itself, instead of with
    /// the one before it. (The script finds "noise" in the name.)
    pub fn is_noise(self) -> bool {
        self.name().contains("noise")
    }

    /// The frame that is the image itself, if one is.
    pub fn clean_frame(self) -> Option<usize> {
        match self {
            Self::MotionBlur
            | Self::Snow
            | Self::Spatter
            | Self::Brightness
            | Self::Tilt
            | Self::GaussianBlur => None,
            Self::Translate => Some(7),
            Self::Rotate | Self::Scale | Self::Shear => Some(15),
            _ => Some(0),
        }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Sequence {
    type Err = Error;

    /// ```
    /// use rlnet_corruptions::Sequence;
    /// assert_eq!("tilt".parse::<Sequence>()?.frames(), 31);
    /// assert!("tlit".parse::<Sequence>().is_err());
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| Error::UnknownName {
            what: "sequence",
            name: name.to_owned(),
            known: "those of CIFAR-10-P: gaussian_noise, shot_noise, motion_blur, zoom_blur, snow, brightness, \
                    translate, rotate, tilt, scale, speckle_noise, gaussian_blur, spatter, shear; stronger \
                    noise: gaussian_noise_2 to speckle_noise_3",
        })
    }
}

impl serde::Serialize for Sequence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
