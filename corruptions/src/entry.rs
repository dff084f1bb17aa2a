//! A row of the registry of corruptions.

use crate::job::{Job, Scratch};
use crate::kernels::noise_table::NoiseTable;
use crate::{RandomSource, Result};

type Run = fn(&Job<'_>, &mut dyn RandomSource, &mut Scratch, &mut [u8]) -> Result<()>;

/// One corruption: its name and its algorithm.
pub(crate) struct Entry {
    pub name: &'static str,
    /// True if the corruption draws no random number.
    pub deterministic: bool,
    pub run: Run,
    /// For noise that changes every byte independently: the same distribution as a table, from
    /// which a keyed source draws. A source that replays a stream uses `run`.
    pub noise_table: Option<fn(&Job<'_>) -> &'static NoiseTable>,
}

impl Entry {
    /// A corruption that draws random numbers.
    pub const fn random(name: &'static str, run: Run) -> Self {
        Self {
            name,
            deterministic: false,
            run,
            noise_table: None,
        }
    }

    /// A corruption without random numbers.
    pub const fn deterministic(name: &'static str, run: Run) -> Self {
        Self {
            deterministic: true,
            ..Self::random(name, run)
        }
    }

    /// The same with a table for keyed sources.
    pub const fn with_noise_table(self, table: fn(&Job<'_>) -> &'static NoiseTable) -> Self {
        Self {
            noise_table: Some(table),
            ..self
        }
    }
}
