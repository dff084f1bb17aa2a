//! Which random stream an archive is drawn from.

/// Where an archive's random draws come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "rng", rename_all = "kebab-case")]
pub enum Source {
    /// One generator an image, keyed by (seed, corruption, severity, position). Parallel,
    /// and any part of the archive can be made alone.
    Keyed {
        /// The seed.
        seed: u64,
    },
    /// One continuing NumPy stream over corruptions, severities and images in order, as the
    /// reference script draws. Serial, and a file depends on all files before it.
    Numpy {
        /// The seed of `np.random.seed`.
        seed: u32,
    },
}
