//! snow: thresholded noise, zoomed, blurred along a steep line, laid over a whitened image.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::motion;
use crate::kernels::unit::{byte, unit, unit_f32};
use crate::kernels::zoom::{Axis, sample};
use crate::{RandomSource, Result, Stack};

pub(crate) const ENTRY: Entry = Entry::random("snow", run);

#[derive(Clone, Copy)]
struct Parameters {
    /// Mean and standard deviation of the noise.
    noise: (f64, f64),
    zoom: f64,
    /// Below this there is no flake.
    threshold: f64,
    /// Radius and sigma of the motion blur.
    blur: (f64, f64),
    /// How much of the image is left as it is.
    mix: f64,
}

const fn p(mean: f64, sd: f64, zoom: f64, threshold: f64, radius: f64, sigma: f64, mix: f64) -> Parameters {
    Parameters {
        noise: (mean, sd),
        zoom,
        threshold,
        blur: (radius, sigma),
        mix,
    }
}

const PARAMETERS: [[Parameters; 5]; 3] = [
    [
        p(0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95),
        p(0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9),
        p(0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9),
        p(0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85),
        p(0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8),
    ],
    [
        p(0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.8),
        p(0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.8),
        p(0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.7),
        p(0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.65),
        p(0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.6),
    ],
    [
        p(0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8),
        p(0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7),
        p(0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7),
        p(0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65),
        p(0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55),
    ],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let parameters = job.pick(&PARAMETERS);
    let (mean, sd) = parameters.noise;
    let [noise, lines] = scratch.doubles.take([job.area(), 2 * job.width]);
    let [layer] = scratch.bytes.take([job.area()]);
    rng.fill_normal(noise);
    for value in noise.iter_mut() {
        *value = mean + sd * *value;
    }
    let flake = |value: f64| {
        if value < parameters.threshold {
            0
        } else {
            byte(value)
        }
    };
    if parameters.zoom == 1.0 {
        for (out, value) in layer.iter_mut().zip(&*noise) {
            *out = flake(*value);
        }
    } else {
        let across = Axis::new(job.width, parameters.zoom);
        let down = Axis::new(job.height, parameters.zoom);
        sample(
            noise.as_chunks().0,
            (&across, &down),
            lines.as_chunks_mut().0,
            |at, [value]| {
                layer[at] = flake(value);
            },
        );
    }
    let angle = rng.uniform_in(-135.0, -45.0);
    let size = (job.width, job.height);
    motion::blur(layer, size, 1, parameters.blur, angle, &mut scratch.kernel);

    let (keep, whiten) = (parameters.mix as f32, (1.0 - parameters.mix) as f32);
    let pixels = out.chunks_exact_mut(3).zip(job.pixels.chunks_exact(3));
    let layers = layer.iter().zip(layer.iter().rev());
    for ((out, pixel), (&here, &opposite)) in pixels.zip(layers) {
        let rgb = [pixel[0], pixel[1], pixel[2]].map(unit_f32);
        let light = grey(rgb, job.stack) * 1.5 + 0.5;
        for (out, x) in out.iter_mut().zip(rgb) {
            let base = keep * x + whiten * x.max(light);
            *out = byte(f64::from(base) + unit(here) + unit(opposite));
        }
    }
    Ok(())
}

/// OpenCV's single-precision grey value. The fused form reproduces all stored outputs of the
/// modern stack. The release stack has the order of OpenCV 3 and 4.0 (`RGB2Gray<float>`, SSE2),
/// which starts from blue and rounds every product; its stored images are the same bytes.
pub(crate) fn grey([r, g, b]: [f32; 3], stack: Stack) -> f32 {
    match stack {
        Stack::Release => (b * 0.114 + g * 0.587) + r * 0.299,
        Stack::Modern => b.mul_add(0.114, g.mul_add(0.587, r * 0.299)),
    }
}
