//! motion_blur, gaussian_blur, brightness: one parameter that grows from frame to frame.

use std::ops::Range;

use super::entry::{Draws, Entry, each, from_middle};
use crate::Result;
use crate::job::{Job, Scratch};
use crate::kernels::gaussian::{Border, Gaussian, Storage};
use crate::kernels::unit::{byte, unit};
use crate::kernels::{hsv, motion};

pub(super) static MOTION_BLUR: Entry = Entry::deterministic("motion_blur", 21, motion_blur);
pub(super) static GAUSSIAN_BLUR: Entry = Entry::deterministic("gaussian_blur", 31, gaussian_blur);
pub(super) static BRIGHTNESS: Entry = Entry::deterministic("brightness", 31, brightness);

/// The camera moves along a line that turns from -180 to 0 degrees.
fn motion_blur(
    job: &Job<'_>,
    frames: Range<usize>,
    _: &mut Draws<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<()> {
    for (frame, out) in each(frames, out) {
        out.copy_from_slice(job.pixels);
        let angle = 9.0 * from_middle(frame, 20);
        motion::blur(
            out,
            (job.width, job.height),
            3,
            (6.0, 1.8),
            angle,
            &mut scratch.kernel,
        );
    }
    Ok(())
}

/// Sigma grows from 0.3 by 0.015 a frame.
fn gaussian_blur(
    job: &Job<'_>,
    frames: Range<usize>,
    _: &mut Draws<'_>,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<()> {
    let plan = scratch.plan(job, || {
        let sigma = |frame: usize| 0.3 + 0.015 * frame as f64;
        let blur = |frame| Gaussian::new(sigma(frame), 7.0, Border::Replicate, job.stack);
        (0..GAUSSIAN_BLUR.frames).map(blur).collect::<Vec<_>>()
    });
    let [image] = scratch.doubles.take([job.pixels.len()]);
    for (frame, out) in each(frames, out) {
        for (value, &x) in image.iter_mut().zip(job.pixels) {
            *value = unit(x);
        }
        plan[frame].apply(
            image,
            (job.width, job.height),
            3,
            Storage::Double,
            &mut scratch.kernel,
        );
        for (out, value) in out.iter_mut().zip(&*image) {
            *out = byte(*value);
        }
    }
    Ok(())
}

/// The HSV value, from 0.225 less to 0.225 more.
fn brightness(
    job: &Job<'_>,
    frames: Range<usize>,
    _: &mut Draws<'_>,
    _: &mut Scratch,
    out: &mut [u8],
) -> Result<()> {
    for (frame, out) in each(frames, out) {
        let amount = from_middle(frame, 15) * 1.5 / 100.0;
        hsv::map(job.pixels, out, |[_, _, v]| *v = (*v + amount).clamp(0.0, 1.0));
    }
    Ok(())
}
