//! caustic_refraction: the image at the bottom of rippled water, lit by it.

use super::{Levels, level};
use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::bilinear::Taps;
use crate::kernels::gaussian::{Border, Gaussian, Storage};
use crate::kernels::unit::unit_f32;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("caustic_refraction", run);

const LEVELS: Levels = Levels::imagenet([2.35, 3.2, 4.9, 6.6, 9.15]);

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let level = level(job, LEVELS)?;
    let n = job.width;
    let smooth = scratch.plan(job, || Gaussian::new(1.0, 4.0, Border::Symmetric, job.stack));
    let time = rng.uniform_in(0.5, 2.0);
    let size = rng.uniform_in(0.75, 1.25) * n as f64;
    let (lens, light) = (level * (0.5 * n as f64) / 10.0, level * 2.0 / 10.0);
    let [water] = scratch.doubles.take([job.area()]);
    for (i, value) in water.iter_mut().enumerate() {
        *value = caustic([i / n, i % n].map(|at| at as f64 / size), time);
    }
    smooth.apply(water, (n, n), 1, Storage::Double, &mut scratch.kernel);
    let [image] = scratch.singles.take([job.pixels.len()]);
    for (value, &x) in image.iter_mut().zip(job.pixels) {
        *value = unit_f32(x);
    }
    let image = image.as_chunks::<3>().0;
    let at = |y: usize, x: usize| if y < n && x < n { water[y * n + x] } else { 0.0 };
    for (i, out) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (y, x) = (i / n, i % n);
        // Rows come first, as in the scripts. Zero outside.
        let down = at(y + 1, x) - at(y.wrapping_sub(1), x);
        let right = at(y, x + 1) - at(y, x.wrapping_sub(1));
        let [dy, dx] = refracted(down, right).map(|part| (part * lens * 1000.0).round_ties_even() / 1000.0);
        let lit = [-right * light, down * light];
        *out = seen(image, n, [y as f64 + dy, x as f64 + dx], lit);
    }
    Ok(())
}

/// Brightness at the bottom of the water, in `[0, 1]`.
fn caustic(point: [f64; 2], time: f64) -> f64 {
    const SHARPNESS: f64 = 0.005;
    #[expect(
        clippy::approx_constant,
        reason = "the script's own digits, which make its bytes"
    )]
    const TAU: f64 = 6.283_185_307_18;
    let p = point.map(|at| at.rem_euclid(1.0) * TAU - 250.0);
    let [mut a, mut b] = p;
    let mut sum = 1.0;
    for wave in 1..=5 {
        let t = time * (1.0 - 3.5 / f64::from(wave));
        (a, b) = (
            p[0] + ((t - a).cos() + (t + b).sin()),
            p[1] + ((t - b).sin() + (t + a).cos()),
        );
        let (u, v) = (
            p[0] / ((a + t).sin() / SHARPNESS),
            p[1] / ((b + t).cos() / SHARPNESS),
        );
        sum += 1.0 / (u * u + v * v).sqrt();
    }
    (1.17 - (sum / 5.0).powf(1.4)).abs().powf(8.0).min(1.0)
}

/// How a ray from above is turned at a surface with this slope: the two parts along the surface of the
/// unit vector that Snell's law gives for an index of refraction of 4.
fn refracted(down: f64, right: f64) -> [f64; 2] {
    const INDEX: f64 = 4.0;
    let length = (down * down + right * right + 1.0).sqrt();
    let [a, b, c] = [down, right, 1.0].map(|part| part / length);
    if c >= 1.0 - 1e-3 {
        return [0.0; 2];
    }
    let turned = (1.0 - (a * a + b * b) / (INDEX * INDEX)).sqrt() - c / INDEX;
    [a * turned, b * turned]
}

/// The pixel at a point, with `lit` added to it. The scripts compute it in single precision, but where one
/// of the samples is outside of the image in double precision.
fn seen(image: &[[f32; 3]], n: usize, [y, x]: [f64; 2], lit: [f64; 2]) -> [u8; 3] {
    let (rows, columns) = (Taps::new(y), Taps::new(x));
    let pixel = |y: isize, x: isize| {
        let inside = (y as usize) < n && (x as usize) < n;
        inside.then(|| image[y as usize * n + x as usize])
    };
    let corners =
        [rows.first, rows.first + 1].map(|y| [pixel(y, columns.first), pixel(y, columns.first + 1)]);
    std::array::from_fn(|c| {
        let [above, below] = corners.map(|pair| {
            let parts = std::array::from_fn(|k| match pair[k] {
                Some(pixel) => Real::Single(pixel[c]) * columns.weight[k],
                None => Real::Double(0.0),
            });
            let [left, right]: [Real; 2] = parts;
            left + right
        });
        let lit = lit.into_iter().fold(
            above * rows.weight[0] + below * rows.weight[1],
            |sum, light| match sum {
                Real::Single(sum) => Real::Single(sum + light as f32),
                Real::Double(sum) => Real::Double(sum + light),
            },
        );
        (lit.double().clamp(0.0, 1.0) * 255.0) as u8
    })
}

/// A number in the precision that NumPy would have it in.
#[derive(Clone, Copy)]
enum Real {
    Single(f32),
    Double(f64),
}

impl Real {
    fn double(self) -> f64 {
        match self {
            Self::Single(value) => f64::from(value),
            Self::Double(value) => value,
        }
    }
}

impl std::ops::Mul<f64> for Real {
    type Output = Self;

    fn mul(self, weight: f64) -> Self {
        match self {
            Self::Single(value) => Self::Single(value * weight as f32),
            Self::Double(value) => Self::Double(value * weight),
        }
    }
}

impl std::ops::Add for Real {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Single(a), Self::Single(b)) => Self::Single(a + b),
            _ => Self::Double(self.double() + other.double()),
        }
    }
}
