//! motion_blur: one uniform angle, then ImageMagick's motion blur.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::motion;
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("motion_blur", run);

/// Radius and sigma. CIFAR's severities 3 and 4 give identical bytes: the longer radius
/// only adds weights below 2e-8.
const PARAMETERS: [[(f64, f64); 5]; 3] = [
    [(6.0, 1.0), (6.0, 1.5), (6.0, 2.0), (8.0, 2.0), (9.0, 2.5)],
    [(10.0, 1.0), (10.0, 1.5), (10.0, 2.0), (10.0, 2.5), (12.0, 3.0)],
    [(10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let angle = rng.uniform_in(-45.0, 45.0);
    out.copy_from_slice(job.pixels);
    let size = (job.width, job.height);
    motion::blur(out, size, 3, job.pick(&PARAMETERS), angle, &mut scratch.kernel);
    Ok(())
}
