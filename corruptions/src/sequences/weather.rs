//! snow and spatter: what falls is drawn once; the direction turns, the liquid runs down.

use super::entry::{Draws, Entry, Frame};
use crate::corruptions::weather::snow::grey;
use crate::corruptions::weather::spatter::soak;
use crate::job::{Job, Scratch};
use crate::kernels::gaussian::{Gaussian, Storage};
use crate::kernels::motion;
use crate::kernels::unit::{byte, byte_f32, unit};
use crate::kernels::zoom::{Axis, sample};

pub(super) static SNOW: Entry = Entry::random("snow", 31, snow);
pub(super) static SPATTER: Entry = Entry::random("spatter", 31, spatter);

/// The flakes are those of the first frame, blurred along a line at 4 i - 150 degrees.
fn snow<'a>(job: Job<'a>, draws: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    const KEEP: f64 = 0.85;
    let size = (job.width, job.height);
    let [noise, lines] = scratch.doubles.take([job.area(), 2 * job.width]);
    let [flakes, layer] = scratch.bytes.take([job.area(); 2]);
    draws.once().fill_normal(noise);
    for value in noise.iter_mut() {
        *value = 0.05 + 0.3 * *value;
    }
    let axis = Axis::new(job.width, 2.0);
    sample(
        noise.as_chunks().0,
        (&axis, &axis),
        lines.as_chunks_mut().0,
        |at, [value]| {
            flakes[at] = if value < 0.5 { 0 } else { byte(value) };
        },
    );
    let kernel = &mut scratch.kernel;
    Box::new(move |frame, _, out| {
        layer.copy_from_slice(flakes);
        let angle = 4.0 * frame as f64 - 150.0;
        motion::blur(layer, size, 1, (10.0, 2.0), angle, kernel);
        let opposite = layer.iter().rev();
        for ((out, pixel), (&here, &opposite)) in job.onto(out).zip(layer.iter().zip(opposite)) {
            let rgb = pixel.map(unit);
            let light = f64::from(grey(rgb.map(|x| x as f32), job.stack) * 1.5 + 0.5);
            *out = rgb.map(|x| byte(KEEP * x + (1.0 - KEEP) * x.max(light) + unit(here) + unit(opposite)));
        }
    })
}

/// The liquid moves down one row a frame. Where none is left, the scripts divide 0 by 0 and the whole
/// frame becomes black; so it is here, in about one of seven sequences, for that is the benchmark.
fn spatter<'a>(job: Job<'a>, draws: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    let smooth = scratch.plan(&job, || Gaussian::replicated(1.75, job.stack));
    let size = (job.width, job.height);
    let [liquid] = scratch.doubles.take([job.area()]);
    let [tint] = scratch.singles.take([job.pixels.len()]);
    draws.once().fill_normal(liquid);
    for value in liquid.iter_mut() {
        *value = 0.6 + 0.265 * *value;
    }
    smooth.apply(liquid, size, 1, Storage::Double, &mut scratch.kernel);
    for value in liquid.iter_mut() {
        if *value < 0.7 {
            *value = 0.0;
        }
    }
    let (relief, mut moved) = (&mut scratch.relief, 0);
    Box::new(move |frame, _, out| {
        while moved < frame {
            moved += 1;
            for at in (0..liquid.len()).rev() {
                let above = at.checked_sub(job.width).map_or(0.0, |above| liquid[above]);
                liquid[at] = 0.2 * liquid[at] + 0.8 * above;
            }
        }
        let wet = soak(size, liquid, 0.6, relief, tint);
        for ((out, &x), tint) in out.iter_mut().zip(job.pixels).zip(&*tint) {
            *out = if wet {
                byte_f32(f32::from(x) / 255.0 + tint)
            } else {
                0
            };
        }
    })
}
