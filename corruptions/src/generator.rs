//! From an image to its corrupted image, one at a time or by the batch.

use rayon::prelude::*;

use crate::corruptions::entry;
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
    /// Whose severity numbers; `None` chooses by image size and refuses other sizes.
    pub parameters: Option<ParameterSet>,
}

/// Corrupts images under fixed [`Options`].
///
/// ```
/// use rlnet_corruptions::{Corruption, Generator, Options, Severity, Stack};
///
/// let generator = Generator::new(Options { stack: Stack::Modern, ..Options::default() });
/// let images = vec![100; 2 * 32 * 32 * 3];
/// let mut out = vec![0; images.len()];
/// generator.corrupt_batch(
///     &images, (32, 32), &[0, 1], Corruption::ShotNoise, Severity::new(5)?, 7, &mut out,
/// )?;
/// // Image 1 alone is image 1 of the batch.
/// let mut alone = vec![0; 32 * 32 * 3];
/// generator.corrupt_batch(
///     &images[..32 * 32 * 3], (32, 32), &[1], Corruption::ShotNoise, Severity::new(5)?, 7,
///     &mut alone,
/// )?;
/// assert_eq!(alone, out[32 * 32 * 3..]);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Generator {
    options: Options,
}

/// What a [`Generator`] is, for the provenance record of what it made.
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

    /// [`VERSION`].
    pub fn version() -> u32 {
        VERSION
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
    /// ```
    /// use rlnet_corruptions::{Corruption, Generator, Image, NumpyRng, Options, ParameterSet, Severity};
    /// // 48x48 is no published size, so say whose parameters to use.
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
        let mut data = vec![0; image.data().len()];
        let size = (image.width(), image.height());
        self.apply(
            image.data(),
            size,
            corruption,
            severity,
            rng,
            &mut Scratch::default(),
            &mut data,
        )?;
        Image::from_raw(size.0, size.1, data)
    }

    /// Corrupts one image as [`Self::corrupt_batch`] would at index `index` under `seed`.
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

    /// Corrupts `images` (N x height x width x 3 bytes) into `out` (as many bytes), in
    /// parallel and without allocating per image. `size` is `(width, height)`. Image `i`
    /// draws from a generator keyed by `seed`, the corruption's name, the severity and
    /// `indices[i]`, its position in the data set; `indices` names every image, so a batch
    /// may hold any subset in any order.
    #[expect(clippy::too_many_arguments, reason = "two buffers, a cell and a key")]
    pub fn corrupt_batch(
        &self,
        images: &[u8],
        size: (usize, usize),
        indices: &[u64],
        corruption: Corruption,
        severity: Severity,
        seed: u64,
        out: &mut [u8],
    ) -> Result<()> {
        let stride = bytes(size.0, size.1)?;
        if Some(images.len()) != indices.len().checked_mul(stride) || out.len() != images.len() {
            return Err(Error::Batch(format!(
                "{} indices of {}x{} images need {stride} bytes each; got {} in and {} out",
                indices.len(),
                size.0,
                size.1,
                images.len(),
                out.len(),
            )));
        }
        // Long enough that a work item outweighs its hand-over, short enough to balance.
        let run = (16_384 / stride).max(1);
        images
            .par_chunks(stride * run)
            .zip(out.par_chunks_mut(stride * run))
            .zip(indices.par_chunks(run))
            .try_for_each_init(Scratch::default, |scratch, ((images, out), indices)| {
                let pairs = images.chunks(stride).zip(out.chunks_mut(stride));
                for ((image, out), &index) in pairs.zip(indices) {
                    let mut rng = keyed(seed, corruption, severity, index);
                    self.apply(image, size, corruption, severity, &mut rng, scratch, out)?;
                }
                Ok(())
            })
    }

    #[expect(clippy::too_many_arguments, reason = "private, and each is plain")]
    fn apply(
        &self,
        pixels: &[u8],
        (width, height): (usize, usize),
        corruption: Corruption,
        severity: Severity,
        rng: &mut dyn RandomSource,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<()> {
        let set = match self.options.parameters {
            Some(set) => set,
            None => ParameterSet::for_size(width, height)?,
        };
        let entry = entry(corruption);
        let job = Job {
            name: entry.name,
            pixels,
            width,
            height,
            severity,
            set,
            stack: self.options.stack,
            textures: &self.options.textures,
        };
        match (entry.channel, rng.as_keyed()) {
            (Some(channel), Some(rng)) => channel(&job).send(pixels, rng, out),
            _ => (entry.run)(&job, rng, scratch, out)?,
        }
        Ok(())
    }
}

fn keyed(seed: u64, corruption: Corruption, severity: Severity, index: u64) -> KeyedRng {
    KeyedRng::new(seed, corruption.name(), &[u64::from(severity.get()), index])
}

/// Corrupts one image under default [`Options`]: the release stack, procedural frost
/// textures, parameters by image size.
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
