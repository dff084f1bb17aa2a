//! The corruptions of CIFAR-10-C-bar, all in 0..255, all for square images.
//!
//! A severity is a real level; an amount with the maximum m is level * m / 10. Five of the ten have
//! levels for 224x224 too (ImageNet-C-bar): those outputs are checked by properties only.

pub(super) mod blue_noise_sample;
pub(super) mod brownish_noise;
pub(super) mod checkerboard_cutout;
pub(super) mod circular_motion_blur;
pub(super) mod inverse_sparkles;
pub(super) mod lines;
pub(super) mod pinch_and_twirl;
pub(super) mod ripple;
pub(super) mod sparkles;
pub(super) mod transverse_chromatic_abberation;

use crate::job::Job;
use crate::{ParameterSet, RandomSource, Result};

/// The level of the job's severity, from those for 32x32 and those for 224x224.
fn level(job: &Job<'_>, cifar: [f64; 5], imagenet: Option<[f64; 5]>) -> Result<f64> {
    if job.width != job.height || job.width < 8 || !job.width.is_multiple_of(2) {
        return Err(job.refuse("C-bar needs a square image with an even side of 8 pixels or more"));
    }
    let levels = match job.set {
        ParameterSet::Cifar => Some(cifar),
        ParameterSet::TinyImagenet => None,
        ParameterSet::Imagenet => imagenet,
    };
    let set = job.set.name();
    let none = || job.refuse(format!("the {set} set has no parameters for it; choose cifar"));
    levels.map(|levels| levels[job.severity.index()]).ok_or_else(none)
}

/// The seed of a generator inside a corruption.
fn inner_seed(rng: &mut dyn RandomSource) -> u32 {
    rng.below(1 << 32) as u32
}
