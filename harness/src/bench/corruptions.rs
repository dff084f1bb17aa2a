//! Corruptions, which the CPU makes.

use super::{Clock, Rate};
use crate::error::{Error, Result};
use rlnet_corruptions::random::KeyedRng;
use rlnet_corruptions::{Family, Generator, Options, Severity};
use tch::Device;

/// Images of a call.
const IMAGES: usize = 256;

/// Images a second of the fifteen corruptions at severity 3, together and of the slowest, on all threads.
///
/// # Errors
/// When a corruption fails.
pub fn corruptions(seconds: f64) -> Result<Vec<Rate>> {
    let clock = Clock {
        device: Device::Cpu,
        seconds: seconds / 4.0,
    };
    let mut rng = KeyedRng::new(0, "bench", &[]);
    let images: Vec<u8> = (0..IMAGES * 32 * 32 * 3).map(|_| rng.below(256) as u8).collect();
    let mut out = vec![0; images.len()];
    let generator = Generator::new(Options::default());
    let severity = Severity::new(3).map_err(|error| Error::Internal(error.to_string()))?;
    let (mut all, mut slowest) = (0.0, ("", 0.0));
    let corruptions = Family::C.corruptions();
    for &corruption in corruptions {
        let taken = clock.time(|| {
            let batch = generator.batch(corruption, severity);
            batch
                .run(&images, (32, 32), &mut out)
                .map_err(|error| Error::Internal(error.to_string()))
        })?;
        all += taken;
        if taken > slowest.1 {
            slowest = (corruption.name(), taken);
        }
    }
    let count = IMAGES * corruptions.len();
    let what = format!("the {} corruptions, severity 3, all cores", corruptions.len());
    Ok(vec![
        Rate::new(None, what, count as f64 / all, "images/s"),
        Rate::new(
            None,
            format!("{}, the slowest of them", slowest.0),
            IMAGES as f64 / slowest.1,
            "images/s",
        ),
    ])
}
