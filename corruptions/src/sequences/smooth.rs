//! motion_blur, gaussian_blur, brightness: one parameter that grows from frame to frame.

use super::entry::{Draws, Entry, Frame, from_middle};
use crate::job::{Job, Scratch};
use crate::kernels::gaussian::{Border, Gaussian, Storage};
use crate::kernels::unit::{byte, unit};
use crate::kernels::{hsv, motion};

pub(super) static MOTION_BLUR: Entry = Entry::deterministic("motion_blur", 21, motion_blur);
pub(super) static GAUSSIAN_BLUR: Entry = Entry::deterministic("gaussian_blur", 31, gaussian_blur);
pub(super) static BRIGHTNESS: Entry = Entry::deterministic("brightness", 31, brightness);

/// The camera moves along a line that turns from -180 to 0 degrees.
fn motion_blur<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    let size = (job.width, job.height);
    Box::new(move |frame, _, out| {
        out.copy_from_slice(job.pixels);
        let angle = 9.0 * from_middle(frame, 20);
        motion::blur(out, size, 3, (6.0, 1.8), angle, &mut scratch.kernel);
    })
}

/// Sigma grows from 0.3 by 0.015 a frame.
fn gaussian_blur<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    let plan = scratch.plan(&job, || {
        let sigma = |frame: usize| 0.3 + 0.015 * frame as f64;
        let blur = |frame| Gaussian::new(sigma(frame), 7.0, Border::Replicate, job.stack);
        (0..GAUSSIAN_BLUR.frames).map(blur).collect::<Vec<_>>()
    });
    let [image] = scratch.doubles.take([job.pixels.len()]);
    let (kernel, size) = (&mut scratch.kernel, (job.width, job.height));
    Box::new(move |frame, _, out| {
        for (value, &x) in image.iter_mut().zip(job.pixels) {
            *value = unit(x);
        }
        plan[frame].apply(image, size, 3, Storage::Double, kernel);
        for (out, value) in out.iter_mut().zip(&*image) {
            *out = byte(*value);
        }
    })
}

/// The HSV value, from 0.225 less to 0.225 more.
fn brightness<'a>(job: Job<'a>, _: &mut Draws<'_>, _: &'a mut Scratch) -> Frame<'a> {
    Box::new(move |frame, _, out| {
        let amount = from_middle(frame, 15) * 1.5 / 100.0;
        hsv::map(job.pixels, out, |[_, _, v]| *v = (*v + amount).clamp(0.0, 1.0));
    })
}
