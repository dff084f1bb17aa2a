//! Seconds for each corruption: five severities over 10,000 images of 32x32, all cores.
//!
//! `cargo run -p rlnet-corruptions --example throughput [-- IMAGES [SIZE]]`

#![allow(clippy::print_stdout)]

use std::time::Instant;

use rlnet_corruptions::{Corruption, Generator, KeyedRng, Severity};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let count = arguments.next().transpose()?.unwrap_or(10_000);
    let side = arguments.next().transpose()?.unwrap_or(32);
    // Smooth images with some noise, so that no path is idle.
    let stride = 3 * side * side;
    let mut images = vec![0; count * stride];
    for (i, image) in images.chunks_exact_mut(stride).enumerate() {
        let mut rng = KeyedRng::new(1, "throughput", &[i as u64]);
        let (a, b, c) = (rng.uniform(), rng.uniform(), rng.uniform());
        for (j, value) in image.iter_mut().enumerate() {
            let (x, y) = ((j / 3 % side) as f64, (j / 3 / side) as f64);
            let wave = (a * x + b * y + c * (j % 3) as f64).sin();
            *value = (128.0 + 90.0 * wave + 20.0 * rng.uniform()) as u8;
        }
    }
    let indices: Vec<u64> = (0..count as u64).collect();
    let mut out = vec![0; images.len()];
    let generator = Generator::default();
    let mut total = 0.0;
    for corruption in Corruption::ALL {
        let start = Instant::now();
        for severity in Severity::ALL {
            let size = (side, side);
            generator.corrupt_batch(&images, size, &indices, corruption, severity, 0, &mut out)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        total += seconds;
        let each = 1e6 * seconds / (5 * count) as f64;
        println!("{corruption:<18} {seconds:7.2} s  {each:7.1} us an image");
    }
    println!("{:<18} {total:7.2} s", "total");
    Ok(())
}
