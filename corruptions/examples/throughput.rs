//! Seconds for each corruption: five severities over 10,000 images of 32x32, all cores.
//!
//! `cargo run -p rlnet-corruptions --example throughput [-- IMAGES [SIZE [FILE [CORRUPTION]]]]` where
//! FILE holds the images as RGB bytes; without it (or with `-`), they are drawn.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use rlnet_corruptions::{Corruption, Generator, KeyedRng, ParameterSet, Sequence, Severity};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let side = arguments.next().map_or(Ok(32), |text| text.parse())?;
    let images = match arguments.next() {
        Some(file) if file != "-" => std::fs::read(file)?,
        _ => drawn(count, side),
    };
    let only = arguments
        .next()
        .map(|name| name.parse::<Corruption>())
        .transpose()?;
    let mut out = vec![0; images.len()];
    let generator = Generator::new(rlnet_corruptions::Options {
        stack: rlnet_corruptions::Stack::Modern,
        ..Default::default()
    });
    let mut total = 0.0;
    let size = (side, side);
    let set = ParameterSet::for_size(side, side)?;
    for corruption in Corruption::ALL
        .into_iter()
        .filter(|&c| c.is_defined_for(set) && only.is_none_or(|name| name == c))
    {
        // What is computed once a process (frost's pictures, tables of noise) is no image's cost.
        let one = images.len().min(3 * side * side);
        for severity in Severity::ALL {
            let batch = generator.batch(corruption, severity);
            batch.run(&images[..one], size, &mut out[..one])?;
        }
        let (start, before) = (Instant::now(), cpu_seconds());
        for severity in Severity::ALL {
            generator
                .batch(corruption, severity)
                .run(&images, size, &mut out)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        total += seconds;
        let each = |seconds: f64| 1e6 * seconds / (5 * count) as f64;
        let (wall, cpu) = (each(seconds), each(cpu_seconds() - before));
        println!("{corruption:<18} {seconds:7.2} s  {wall:7.1} us an image, {cpu:7.1} us of a core");
    }
    if size == (32, 32) && only.is_none() {
        total += sequences(&generator, &images)?;
    }
    println!("{:<18} {total:7.2} s", "total");
    Ok(())
}

/// Seconds for whole sequences of a tenth of the images, part by part.
fn sequences(generator: &Generator, images: &[u8]) -> rlnet_corruptions::Result<f64> {
    let part = 64 * 3072;
    let images = &images[..(images.len() / 10)
        .max(3072)
        .next_multiple_of(3072)
        .min(images.len())];
    let mut total = 0.0;
    for &sequence in Sequence::published() {
        let mut out = vec![0; sequence.frames() * part];
        let batch = generator.sequences(sequence);
        batch.run(&images[..3072], (32, 32), &mut out[..sequence.frames() * 3072])?;
        let (start, before) = (Instant::now(), cpu_seconds());
        for images in images.chunks(part) {
            batch.run(images, (32, 32), &mut out[..sequence.frames() * images.len()])?;
        }
        let seconds = start.elapsed().as_secs_f64();
        total += seconds;
        let each = |seconds: f64| 1e6 * seconds / (images.len() / 3072) as f64;
        let (wall, cpu) = (each(seconds), each(cpu_seconds() - before));
        let name = format!("p/{sequence}");
        println!("{name:<18} {seconds:7.2} s  {wall:7.1} us a sequence, {cpu:7.1} us of a core");
    }
    Ok(total)
}

/// Smooth images with some noise, so that no path is idle.
fn drawn(count: usize, side: usize) -> Vec<u8> {
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
    images
}

/// Processor seconds of all threads so far, which a busy machine does not lengthen; 0 where the
/// system has no /proc.
fn cpu_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
