//! A row of the registry of corruptions.

use crate::job::{Job, Scratch};
use crate::kernels::noise_table::NoiseTable;
use crate::{RandomSource, Result};

/// One corruption: its name and its algorithm.
pub(crate) struct Entry {
    pub name: &'static str,
    /// True if the corruption draws no random number.
    pub deterministic: bool,
    pub run: fn(&Job<'_>, &mut dyn RandomSource, &mut Scratch, &mut [u8]) -> Result<()>,
    /// For noise that changes every byte independently: the same distribution as a table, from
    /// which a keyed source draws. A source that replays a stream uses `run`.
    pub noise_table: Option<fn(&Job<'_>) -> &'static NoiseTable>,
}
