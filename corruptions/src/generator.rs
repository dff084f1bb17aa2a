//! Corrupts images, one at a time or a batch at once.

use rayon::prelude::*;

use crate::corruptions::entry;
use crate::entry::Entry;
use crate::image::bytes;
use crate::job::{Job, Scratch};
use crate::{
    Corruption, Error, Image, KeyedRng, ParameterSet, RandomSource, Result, Severity, Stack, Textures,
};

/// Version of the algorithms. Raised by hand whenever any output byte changes, so that
/// stored results can be told apart.
pub const VERSION: u32 = 2;

/// The choices that change bytes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which libraries to imitate.
    pub stack: Stack,
    /// Which frost textures to lay over the image.
    pub textures: Textures,
    /// Which published severity numbers; `None` chooses by image size and refuses other sizes.
    pub parameters: Option<ParameterSet>,
}

/// Corrupts images under fixed [`Options`].
///
/// ```
/// use rlnet_corruptions::{Corruption, Generator, Options, Severity, Stack};
///
/// let generator = Generator::new(Options { stack: Stack::Modern, ..Options::default() });
/// let noise = generator.batch(Corruption::ShotNoise, Severity::new(5)?).seed(7);
/// let images = vec![100; 2 * 32 * 32 * 3];
/// let mut out = vec![0; images.len()];
/// noise.run(&images, (32, 32), &mut out)?;
/// // Image 1 alone is image 1 of the batch.
/// let mut alone = vec![0; 32 * 32 * 3];
/// noise.indices(&[1]).run(&images[..32 * 32 * 3], (32, 32), &mut alone)?;
/// assert_eq!(alone, out[32 * 32 * 3..]);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Generator {
    options: Options,
}

/// Everything about a [`Generator`] that can change a byte, for a record of provenance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Description {
    /// [`VERSION`].
    pub version: u32,
    /// `release` or `modern`.
    pub stack: String,
    /// Name of the parameter set, or `by-size`.
    pub parameters: String,
    /// Which frost textures.
    pub textures: String,
    /// Which JPEG codec's arithmetic.
    pub jpeg: String,
    /// How warp coordinates are handled in elastic_transform.
    pub warp: String,
    /// How motion blur goes from 16 to 8 bits.
    pub motion_blur: String,
}

impl Generator {
    /// A generator with these choices.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Its choices.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Everything about this generator that can change a byte.
    pub fn describe(&self) -> Description {
        let jpeg = match self.options.stack {
            Stack::Release => "ijg-9, DCT-scaled chroma, accurate integer",
            Stack::Modern => "libjpeg-turbo, fancy upsampling, accurate integer",
        };
        Description {
            version: VERSION,
            stack: self.options.stack.name().to_owned(),
            parameters: self
                .options
                .parameters
                .map_or("by-size", ParameterSet::name)
                .to_owned(),
            textures: self.options.textures.describe(),
            jpeg: jpeg.to_owned(),
            warp: "opencv-4, quantised to 1/32 pixel".to_owned(),
            motion_blur: "imagemagick-6 q16, truncated".to_owned(),
        }
    }

    /// Corrupts one image with draws from `rng`.
    ///
    /// # Errors
    /// When the corruption is not defined for images of this size, or the size has no published
    /// parameters and [`Options`] chooses none.
    ///
    /// ```
    /// use rlnet_corruptions::{Corruption, Generator, Image, NumpyRng, Options, ParameterSet, Severity};
    /// // 48x48 is no published size, so choose the parameters.
    /// let image = Image::from_raw(48, 48, vec![90; 48 * 48 * 3])?;
    /// let severity = Severity::new(2)?;
    /// let by_size = Generator::default();
    /// assert!(by_size.corrupt(&image, Corruption::Snow, severity, &mut NumpyRng::new(0)).is_err());
    /// let parameters = Some(ParameterSet::TinyImagenet);
    /// let tiny = Generator::new(Options { parameters, ..Options::default() });
    /// let snowy = tiny.corrupt(&image, Corruption::Snow, severity, &mut NumpyRng::new(0))?;
    /// assert_eq!((snowy.width(), snowy.height()), (48, 48));
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn corrupt(
        &self,
        image: &Image,
        corruption: Corruption,
        severity: Severity,
        rng: &mut dyn RandomSource,
    ) -> Result<Image> {
        let size = (image.width(), image.height());
        let mut data = vec![0; image.data().len()];
        let job = self.job(image.data(), size, corruption, severity)?;
        apply(entry(corruption), &job, rng, &mut Scratch::default(), &mut data)?;
        Image::from_raw(size.0, size.1, data)
    }

    /// Corrupts one image as [`Batch::run`] does at index `index` under `seed`.
    ///
    /// # Errors
    /// As [`Self::corrupt`].
    ///
    /// ```
    /// use rlnet_corruptions::{Corruption, Generator, Image, Severity};
    /// let generator = Generator::default();
    /// let image = Image::from_raw(32, 32, vec![90; 3072])?;
    /// let severity = Severity::new(4)?;
    /// let noisy = |index| generator.corrupt_keyed(&image, Corruption::ImpulseNoise, severity, 7, index);
    /// // The same key gives the same noise, another position in the data set gives other noise.
    /// assert_eq!(noisy(417)?, noisy(417)?);
    /// assert_ne!(noisy(417)?, noisy(418)?);
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn corrupt_keyed(
        &self,
        image: &Image,
        corruption: Corruption,
        severity: Severity,
        seed: u64,
        index: u64,
    ) -> Result<Image> {
        let mut rng = keyed(seed, corruption, severity, index);
        self.corrupt(image, corruption, severity, &mut rng)
    }

    /// Prepares to corrupt many images at once; see [`Batch`].
    pub fn batch(&self, corruption: Corruption, severity: Severity) -> Batch<'_> {
        Batch {
            generator: self,
            corruption,
            severity,
            seed: 0,
            indices: None,
        }
    }

    fn job<'a>(
        &'a self,
        pixels: &'a [u8],
        (width, height): (usize, usize),
        corruption: Corruption,
        severity: Severity,
    ) -> Result<Job<'a>> {
        let set = match self.options.parameters {
            Some(set) => set,
            None => ParameterSet::for_size(width, height)?,
        };
        Ok(Job {
            name: corruption.name(),
            pixels,
            width,
            height,
            severity,
            set,
            stack: self.options.stack,
            textures: &self.options.textures,
        })
    }
}

/// Many images to corrupt at once, in parallel and with keyed draws.
///
/// Image `i` draws from a generator keyed by the seed, the corruption's name, the severity and
/// the image's index, its position in the data set. So its bytes depend neither on the batch it is
/// in nor on the number of threads.
#[derive(Debug, Clone, Copy)]
#[must_use = "a batch does nothing until `run`"]
pub struct Batch<'a> {
    generator: &'a Generator,
    corruption: Corruption,
    severity: Severity,
    seed: u64,
    indices: Option<&'a [u64]>,
}

impl<'a> Batch<'a> {
    /// The seed of all draws; 0 unless set.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The index of every image, in any order; 0, 1, 2 and so on unless set.
    pub fn indices(self, indices: &'a [u64]) -> Self {
        let indices = Some(indices);
        Self { indices, ..self }
    }

    /// Corrupts `images` (N x height x width x 3 bytes) into `out` (as many bytes). `size` is
    /// `(width, height)`. It allocates nothing per image.
    ///
    /// # Errors
    /// When the buffers and the indices do not agree, and as [`Generator::corrupt`].
    pub fn run(&self, images: &[u8], size: (usize, usize), out: &mut [u8]) -> Result<()> {
        let stride = bytes(size.0, size.1)?;
        let count = self.indices.map_or(images.len() / stride, <[u64]>::len);
        if Some(images.len()) != count.checked_mul(stride) || out.len() != images.len() {
            return Err(Error::Batch(format!(
                "{count} images of {}x{} need {stride} bytes each; the input has {} bytes and the output {}",
                size.0,
                size.1,
                images.len(),
                out.len(),
            )));
        }
        let job = self.generator.job(images, size, self.corruption, self.severity)?;
        // Long enough that a work item outweighs its hand-over, short enough to balance.
        let run = (16_384 / stride).max(1);
        images
            .par_chunks(stride * run)
            .zip(out.par_chunks_mut(stride * run))
            .enumerate()
            .try_for_each_init(Scratch::default, |scratch, (chunk, (images, out))| {
                let pairs = images.chunks(stride).zip(out.chunks_mut(stride));
                for (position, (pixels, out)) in (chunk * run..).zip(pairs) {
                    let index = self.indices.map_or(position as u64, |indices| indices[position]);
                    let mut rng = keyed(self.seed, self.corruption, self.severity, index);
                    apply(
                        entry(self.corruption),
                        &Job { pixels, ..job },
                        &mut rng,
                        scratch,
                        out,
                    )?;
                }
                Ok(())
            })
    }
}

fn apply(
    entry: &Entry,
    job: &Job<'_>,
    rng: &mut dyn RandomSource,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<()> {
    match (entry.noise_table, rng.as_keyed()) {
        (Some(table), Some(rng)) => {
            table(job).draw(job.pixels, rng, out);
            Ok(())
        }
        _ => (entry.run)(job, rng, scratch, out),
    }
}

fn keyed(seed: u64, corruption: Corruption, severity: Severity, index: u64) -> KeyedRng {
    KeyedRng::new(seed, corruption.name(), &[u64::from(severity.get()), index])
}

/// Corrupts one image under default [`Options`]: the release stack, procedural frost
/// textures, parameters by image size.
///
/// # Errors
/// As [`Generator::corrupt`].
///
/// ```
/// use rlnet_corruptions::{Corruption, Image, NumpyRng, Severity, corrupt};
/// let image = Image::from_raw(32, 32, (0..3072).map(|i| i as u8).collect())?;
/// // The reference scripts after np.random.seed(12345).
/// let noisy = corrupt(
///     &image, Corruption::GaussianNoise, Severity::new(1)?, &mut NumpyRng::new(12345),
/// )?;
/// assert_eq!(noisy.width(), 32);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn corrupt(
    image: &Image,
    corruption: Corruption,
    severity: Severity,
    rng: &mut dyn RandomSource,
) -> Result<Image> {
    Generator::default().corrupt(image, corruption, severity, rng)
}
