//! frost: a random crop of a frost photograph, added to the image.
//!
//! Works in 0..255 and truncates. See [`crate::textures`] for the photographs and what
//! stands in for them.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("frost", run);

/// Weight of the image and of the frost.
const PARAMETERS: [[(f64, f64); 5]; 3] = [
    [(1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
    [(1.0, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)],
    [(1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, _: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let (image_weight, frost_weight) = job.pick(&PARAMETERS);
    let textures = job.textures.scaled(job.set);
    // Refused for every draw alike, so that success does not depend on the seed.
    for texture in textures {
        if texture.width < job.width || texture.height < job.height {
            return Err(job.refuse(format!(
                "a frost texture of the {} set is {}x{}",
                job.set.name(),
                texture.width,
                texture.height,
            )));
        }
    }
    let texture = &textures[rng.below(textures.len() as u64) as usize];
    let mut start = |texture: usize, image: usize| rng.randint(0, (texture - image).max(1) as i64) as usize;
    let top = start(texture.height, job.height);
    let left = start(texture.width, job.width);
    let lines = out.chunks_exact_mut(3 * job.width);
    for (y, (line, source)) in lines.zip(job.pixels.chunks_exact(3 * job.width)).enumerate() {
        let frost = &texture.rgb[3 * ((top + y) * texture.width + left)..];
        for ((out, &x), &frost) in line.iter_mut().zip(source).zip(frost) {
            let sum = image_weight * f64::from(x) + frost_weight * f64::from(frost);
            *out = sum.clamp(0.0, 255.0) as u8;
        }
    }
    Ok(())
}
