//! A row of the table of corruptions.

use crate::job::{Job, Scratch};
use crate::kernels::channel::Channel;
use crate::{RandomSource, Result};

/// The paper's grouping, plus the four extras meant for validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// gaussian, shot, impulse.
    Noise,
    /// defocus, glass, motion, zoom.
    Blur,
    /// snow, frost, fog, brightness.
    Weather,
    /// contrast, elastic, pixelate, jpeg.
    Digital,
    /// speckle_noise, gaussian_blur, spatter, saturate: never part of a headline mean.
    Extra,
}

/// One corruption: what it is called and how it is made.
pub(crate) struct Entry {
    pub name: &'static str,
    pub group: Group,
    /// True if nothing is drawn at random.
    pub deterministic: bool,
    pub run: fn(&Job<'_>, &mut dyn RandomSource, &mut Scratch, &mut [u8]) -> Result<()>,
    /// For noise that treats every byte on its own: the same law as a table, from which a
    /// keyed source draws. A source that replays a stream takes `run`.
    pub channel: Option<fn(&Job<'_>) -> &'static Channel>,
}
