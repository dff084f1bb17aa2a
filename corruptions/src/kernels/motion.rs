//! ImageMagick's motion blur (6.9, 16-bit quanta, no HDRI).
//!
//! A one-sided Gaussian along a line, sampled at whole pixels. Bytes become 16-bit quanta
//! (v * 257); the sum is rounded to a quantum; the quantum goes back to eight bits by
//! division, which truncates. A build with HDRI, or ImageMagick 7, may round instead.

use super::correlate;
use crate::job::Pool;

/// Blurs `bytes` (height x width x channels) in place along `angle` degrees.
pub(crate) fn blur(
    bytes: &mut [u8],
    (width, height): (usize, usize),
    channels: usize,
    (radius, sigma): (f64, f64),
    angle: f64,
    pool: &mut Pool<f64>,
) {
    let taps = taps(radius, sigma, angle);
    let reach = |axis: fn(&Tap) -> isize| {
        let low = taps.iter().map(axis).min().unwrap_or(0).min(0);
        let high = taps.iter().map(axis).max().unwrap_or(0).max(0);
        ((-low) as usize, high as usize)
    };
    let ((left, right), (up, down)) = (reach(|t| t.x), reach(|t| t.y));
    let stride = width * channels;
    let padded_stride = (left + width + right) * channels;
    let [padded, sums] = pool.take([padded_stride * (up + height + down), stride]);
    let inside = |y: usize| (up + y) * padded_stride;
    for (y, source) in bytes.chunks_exact(stride).enumerate() {
        let row = &mut padded[inside(y)..][..padded_stride];
        let (before, rest) = row.split_at_mut(left * channels);
        let (line, after) = rest.split_at_mut(stride);
        for (out, &value) in line.iter_mut().zip(source) {
            *out = f64::from(value) * 257.0;
        }
        for pixel in before.chunks_exact_mut(channels) {
            pixel.copy_from_slice(&line[..channels]);
        }
        for pixel in after.chunks_exact_mut(channels) {
            pixel.copy_from_slice(&line[stride - channels..]);
        }
    }
    for y in 0..up {
        padded.copy_within(inside(0)..inside(1), y * padded_stride);
    }
    for y in height..height + down {
        padded.copy_within(inside(height - 1)..inside(height), inside(y));
    }
    let offset = |tap: &Tap| tap.y * padded_stride as isize + tap.x * channels as isize;
    let offsets: Vec<correlate::Tap> = taps.iter().map(|tap| (offset(tap), tap.weight)).collect();
    for (y, out) in bytes.chunks_exact_mut(stride).enumerate() {
        let start = (up + y) * padded_stride + left * channels;
        correlate::lines(padded, start, &offsets, sums);
        for (out, sum) in out.iter_mut().zip(&*sums) {
            // No sum of weights that add up to 1 leaves the range by as much as a half.
            let quantum = (sum + 0.5) as i32;
            *out = (quantum / 257) as u8;
        }
    }
}

struct Tap {
    x: isize,
    y: isize,
    weight: f64,
}

fn taps(radius: f64, sigma: f64, angle: f64) -> Vec<Tap> {
    let width = 2 * radius.ceil() as usize + 1;
    let weight = |i: usize| (-((i * i) as f64) / (2.0 * sigma * sigma)).exp();
    let scale = (2.0 * std::f64::consts::PI).sqrt() * sigma;
    let total: f64 = (0..width).map(|i| weight(i) / scale).sum();
    let (sin, cos) = angle.to_radians().sin_cos();
    let (x, y) = (width as f64 * cos, width as f64 * sin);
    let length = x.hypot(y);
    let offset = |i: usize, along: f64| (i as f64 * along / length - 0.5).ceil() as isize;
    (0..width)
        .map(|i| Tap {
            x: offset(i, x),
            y: offset(i, y),
            weight: weight(i) / scale / total,
        })
        .collect()
}
