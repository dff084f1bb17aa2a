//! translate, rotate, scale, shear, zoom_blur: affine maps as Pillow samples them.
//!
//! The two stacks differ in the centre (torchvision 0.2 turns half a pixel further down and right) and
//! in what a shear is.

use super::entry::{Draws, Entry, Frame, from_middle};
use crate::Stack;
use crate::job::{Job, Scratch};
use crate::kernels::unit::{byte_f32, unit_f32};
use crate::kernels::warp::{Places, Plans, spread, spread_len};

pub(super) static TRANSLATE: Entry = Entry::deterministic("translate", 16, translate);
pub(super) static ROTATE: Entry = Entry::deterministic("rotate", 31, rotate);
pub(super) static SCALE: Entry = Entry::deterministic("scale", 31, scale);
pub(super) static SHEAR: Entry = Entry::deterministic("shear", 31, shear);
pub(super) static ZOOM_BLUR: Entry = Entry::deterministic("zoom_blur", 31, zoom_blur);

/// Frame i is the image i - 7 pixels to the right.
fn translate<'a>(job: Job<'a>, _: &mut Draws<'_>, _: &'a mut Scratch) -> Frame<'a> {
    Box::new(move |frame, _, out| {
        let (right, left) = (3 * frame.saturating_sub(7), 3 * 7_usize.saturating_sub(frame));
        let stride = 3 * job.width;
        for (out, row) in out.chunks_exact_mut(stride).zip(job.pixels.chunks_exact(stride)) {
            out.fill(0);
            out[right..stride - left].copy_from_slice(&row[left..stride - right]);
        }
    })
}

fn rotate<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    static PLANS: Plans<f64> = Plans::new();
    mapped(job, scratch, &PLANS, |frame| {
        (from_middle(frame, 15).to_radians(), 1.0, 0.0)
    })
}

fn scale<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    static PLANS: Plans<f64> = Plans::new();
    mapped(job, scratch, &PLANS, |frame| {
        (0.0, (70 + 2 * frame) as f64 / 100.0, 0.0)
    })
}

fn shear<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    static PLANS: Plans<f64> = Plans::new();
    mapped(job, scratch, &PLANS, |frame| {
        (0.0, 1.0, from_middle(frame, 15).to_radians())
    })
}

/// Frame i is the mean of the image and its first i enlargements.
fn zoom_blur<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    static PLANS: Plans<f64> = Plans::new();
    let plan = PLANS.get(&job, ZOOM_BLUR.frames, |added| {
        affine(&job, (0.0, 1.0 + 0.004 * added as f64, 0.0))
    });
    let [total, pixels] = scratch.singles.take([job.pixels.len(), spread_len(job.area())]);
    spread(job.pixels, pixels);
    let [zoomed] = scratch.bytes.take([job.pixels.len()]);
    for (total, &x) in total.iter_mut().zip(job.pixels) {
        *total = unit_f32(x);
    }
    let mut added = 0;
    Box::new(move |frame, _, out| {
        while added < frame {
            added += 1;
            plan[added].sample(pixels, zoomed);
            for (total, &x) in total.iter_mut().zip(&*zoomed) {
                *total += unit_f32(x);
            }
        }
        for (out, &total) in out.iter_mut().zip(&*total) {
            *out = byte_f32(total / (frame + 1) as f32);
        }
    })
}

/// Every one of 31 frames is one map of the image.
fn mapped<'a>(
    job: Job<'a>,
    scratch: &'a mut Scratch,
    plans: &'static Plans<f64>,
    of: impl Fn(usize) -> Turn,
) -> Frame<'a> {
    let plan = plans.get(&job, 31, |frame| affine(&job, of(frame)));
    let [pixels] = scratch.singles.take([spread_len(job.area())]);
    spread(job.pixels, pixels);
    Box::new(move |frame, _, out| plan[frame].sample(pixels, out))
}

/// As Pillow samples an affine map: black outside, edges clamped, truncated.
fn affine(job: &Job<'_>, turn: Turn) -> Places<f64> {
    let (n, map) = (job.width, map(job, turn));
    Places::new(n, true, 0.0, |x, y| {
        let (x, y, side) = (x as f64 + 0.5, y as f64 + 0.5, n as f64);
        let u = map[0] * x + map[1] * y + map[2];
        let v = map[3] * x + map[4] * y + map[5];
        let inside = u >= 0.0 && u < side && v >= 0.0 && v < side;
        let (u, v) = (u - 0.5, v - 0.5);
        inside.then(|| (u.floor() as i32, v.floor() as i32, u - u.floor(), v - v.floor()))
    })
}

/// A turn by an angle, an enlargement, a shear (radians).
type Turn = (f64, f64, f64);

/// From the centre of a pixel to where it is read: `u = m[0] x + m[1] y + m[2]`,
/// `v = m[3] x + m[4] y + m[5]`.
type Map = [f64; 6];

/// From a pixel to where it is read: a turn by `angle`, an enlargement by `scale`, a shear by `shear`
/// (radians), about the centre.
fn map(job: &Job<'_>, (angle, scale, shear): Turn) -> Map {
    let middle = job.width as f64 / 2.0;
    let (sin, cos) = angle.sin_cos();
    let ([a, b, c, d], centre) = match job.stack {
        Stack::Release => {
            let (sheared_sin, sheared_cos) = (angle + shear).sin_cos();
            let determinant = sheared_cos * cos + sheared_sin * sin;
            let q = (1.0 / scale) / determinant;
            ([sheared_cos, sheared_sin, -sin, cos].map(|m| q * m), middle + 0.5)
        }
        Stack::Modern => {
            let (b, d) = (-cos * shear.tan() - sin, -sin * shear.tan() + cos);
            ([d, -b, -sin, cos].map(|m| m / scale), middle)
        }
    };
    let shift = |x: f64, y: f64| x * -centre + y * -centre + centre;
    [a, b, shift(a, b), c, d, shift(c, d)]
}
