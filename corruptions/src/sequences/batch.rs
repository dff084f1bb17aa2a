//! Makes the frames of images, one image at a time or many at once.

use std::ops::Range;

use rayon::prelude::*;

use super::{Draws, SIDE, Sequence};
use crate::image::bytes;
use crate::job::{Job, Scratch};
use crate::{Error, Generator, Image, ParameterSet, RandomSource, Result, Severity};

impl Generator {
    /// All frames of an image's sequence, one after the other, with draws from `rng`. With a
    /// [`NumpyRng`](crate::NumpyRng) of a seed they are what the published script gives after
    /// `np.random.seed` (for `gaussian_noise`, `torch.manual_seed`) of that seed.
    ///
    /// # Errors
    /// When the image is not 32x32.
    ///
    /// ```
    /// use rlnet_corruptions::{Generator, Image, NumpyRng, Sequence};
    /// let image = Image::from_raw(32, 32, vec![90; 3072])?;
    /// let frames = Generator::default().sequence(&image, Sequence::Rotate, &mut NumpyRng::new(0))?;
    /// assert_eq!(frames.len(), 31 * 3072);
    /// assert_eq!(frames[15 * 3072..16 * 3072], *image.data());
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn sequence(&self, image: &Image, sequence: Sequence, rng: &mut dyn RandomSource) -> Result<Vec<u8>> {
        let job = self.sequence_job(image.data(), (image.width(), image.height()), sequence)?;
        let mut out = vec![0; sequence.frames() * image.data().len()];
        let mut draws = Draws::Stream(rng);
        let mut scratch = Scratch::default();
        let all = 0..sequence.frames();
        sequence.entry().run(job, all, &mut draws, &mut scratch, &mut out);
        Ok(out)
    }

    /// Prepares to make the sequences of many images at once; see [`SequenceBatch`].
    pub fn sequences(&self, sequence: Sequence) -> SequenceBatch<'_> {
        SequenceBatch {
            generator: self,
            sequence,
            seed: 0,
            indices: None,
            frames: (0, sequence.frames()),
        }
    }

    fn sequence_job<'a>(
        &'a self,
        pixels: &'a [u8],
        (width, height): (usize, usize),
        sequence: Sequence,
    ) -> Result<Job<'a>> {
        let job = Job {
            name: sequence.name(),
            pixels,
            width,
            height,
            severity: Severity::new(sequence.entry().strength)?,
            set: ParameterSet::Cifar,
            stack: self.options().stack,
            textures: &self.options().textures,
        };
        if (width, height) == (SIDE, SIDE) {
            return Ok(job);
        }
        Err(job.refuse("the sequences of CIFAR-10-P are defined for 32x32 images"))
    }
}

/// The sequences of many images, in parallel and with keyed draws.
///
/// Every frame of image `i` draws from a generator keyed by the seed, the sequence's name, the image's
/// index and the frame, and what all its frames share from one without the frame. So its bytes depend
/// neither on the batch nor on the frames asked for.
#[derive(Debug, Clone, Copy)]
#[must_use = "a batch does nothing until `run`"]
pub struct SequenceBatch<'a> {
    generator: &'a Generator,
    sequence: Sequence,
    seed: u64,
    indices: Option<&'a [u64]>,
    frames: (usize, usize),
}

impl<'a> SequenceBatch<'a> {
    /// The seed of all draws; 0 unless set.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The index of every image, in any order; 0, 1, 2 and so on unless set.
    pub fn indices(self, indices: &'a [u64]) -> Self {
        let indices = Some(indices);
        Self { indices, ..self }
    }

    /// Only the frames of this range, cut to those that there are.
    pub fn frames(self, range: Range<usize>) -> Self {
        let end = range.end.min(self.sequence.frames());
        let frames = (range.start.min(end), end);
        Self { frames, ..self }
    }

    /// Makes the frames of `images` (N x 32 x 32 x 3 bytes) into `out` (N x frames x 32 x 32 x 3). It
    /// allocates nothing per frame.
    ///
    /// # Errors
    /// When `size` is not 32x32 or the buffers and the indices do not agree.
    ///
    /// ```
    /// use rlnet_corruptions::{Generator, Sequence};
    /// let (images, generator) = (vec![120; 2 * 3072], Generator::default());
    /// let noise = generator.sequences(Sequence::GaussianNoise).seed(7);
    /// let mut all = vec![0; 2 * 31 * 3072];
    /// noise.run(&images, (32, 32), &mut all)?;
    /// // Frame 5 alone is frame 5 of the sequence.
    /// let mut one = vec![0; 2 * 3072];
    /// noise.frames(5..6).run(&images, (32, 32), &mut one)?;
    /// assert_eq!(one[..3072], all[5 * 3072..6 * 3072]);
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn run(&self, images: &[u8], size: (usize, usize), out: &mut [u8]) -> Result<()> {
        let job = self.generator.sequence_job(images, size, self.sequence)?;
        let stride = bytes(size.0, size.1)?;
        let (first, end) = self.frames;
        let count = self.indices.map_or(images.len() / stride, <[u64]>::len);
        let each = (end - first) * stride;
        if images.len() != count * stride || out.len() != count * each {
            return Err(Error::Batch(format!(
                "{count} images of {} frames need {stride} and {each} bytes each; the input has {} bytes and \
                 the output {}",
                end - first,
                images.len(),
                out.len(),
            )));
        }
        if each == 0 {
            return Ok(());
        }
        // Apart from the corruption of the same name.
        let purpose = format!("p/{}", self.sequence);
        images
            .par_chunks(stride)
            .zip(out.par_chunks_mut(each))
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (at, (pixels, out))| {
                let index = self.indices.map_or(at as u64, |indices| indices[at]);
                let mut draws = Draws::keyed(self.seed, &purpose, index);
                let job = Job { pixels, ..job };
                self.sequence
                    .entry()
                    .run(job, first..end, &mut draws, scratch, out);
            });
        Ok(())
    }
}
