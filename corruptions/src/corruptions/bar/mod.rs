//! The corruptions of CIFAR-10-C-bar and ImageNet-C-bar, all in 0..255, all for square images.
//!
//! A severity is a real level; an amount with the maximum m is level * m / 10. Five corruptions have
//! levels for both 32x32 and 224x224.

pub(super) mod blue_noise_sample;
pub(super) mod brownish_noise;
pub(super) mod caustic_refraction;
pub(super) mod checkerboard_cutout;
pub(super) mod circular_motion_blur;
pub(super) mod cocentric_sine_waves;
pub(super) mod inverse_sparkles;
pub(super) mod lines;
pub(super) mod perlin_noise;
pub(super) mod pinch_and_twirl;
pub(super) mod plasma_noise;
pub(super) mod ripple;
pub(super) mod single_frequency_greyscale;
pub(super) mod sparkles;
pub(super) mod transverse_chromatic_abberation;

use crate::job::Job;
use crate::{ParameterSet, RandomSource, Result};

/// The levels of five severities, for the sizes that a corruption is published for.
#[derive(Clone, Copy)]
struct Levels {
    cifar: Option<[f64; 5]>,
    imagenet: Option<[f64; 5]>,
}

impl Levels {
    const fn cifar(levels: [f64; 5]) -> Self {
        Self {
            cifar: Some(levels),
            imagenet: None,
        }
    }

    const fn imagenet(levels: [f64; 5]) -> Self {
        Self {
            cifar: None,
            imagenet: Some(levels),
        }
    }

    const fn both(cifar: [f64; 5], imagenet: [f64; 5]) -> Self {
        Self {
            cifar: Some(cifar),
            imagenet: Some(imagenet),
        }
    }
}

/// The level of the job's severity.
fn level(job: &Job<'_>, levels: Levels) -> Result<f64> {
    if job.width != job.height || job.width < 8 || !job.width.is_multiple_of(2) {
        return Err(job.refuse("C-bar needs a square image with an even side of 8 pixels or more"));
    }
    let chosen = match job.set {
        ParameterSet::Cifar => levels.cifar,
        ParameterSet::TinyImagenet => None,
        ParameterSet::Imagenet => levels.imagenet,
    };
    chosen.map(|levels| levels[job.severity.index()]).ok_or_else(|| {
        let known = match (levels.cifar, levels.imagenet) {
            (Some(_), Some(_)) => "cifar and imagenet have",
            (Some(_), None) => "cifar (32 pixels) has",
            _ => "imagenet (224 pixels) has",
        };
        job.refuse(format!(
            "the {} set has no parameters for it; of the sets, {known} some",
            job.set.name()
        ))
    })
}

/// The seed of a generator inside a corruption.
fn inner_seed(rng: &mut dyn RandomSource) -> u32 {
    rng.below(1 << 32) as u32
}
