//! The table of corruptions. Adding one is adding one file and one line here.
//!
//! What a corruption must not know: files, data sets, threads, which random source it
//! draws from.

mod blur;
mod digital;
mod noise;
mod weather;

use std::any::Any;
use std::rc::Rc;

use crate::corruption::Group;
use crate::kernels::channel::Channel;
use crate::{Error, ParameterSet, RandomSource, Result, Severity, Stack, Textures};

/// One corruption: what it is called and how it is made.
pub(crate) struct Entry {
    pub name: &'static str,
    pub group: Group,
    /// True if nothing is drawn at random.
    pub deterministic: bool,
    pub run: fn(&Job<'_>, &mut dyn RandomSource, &mut Scratch, &mut [u8]) -> Result<()>,
    /// For noise that treats every byte on its own: the same law as a table, from which a
    /// keyed source draws. A source that replays a stream takes `run`.
    pub channel: Option<fn(&Job<'_>) -> &'static Channel>,
}

/// One image to corrupt.
pub(crate) struct Job<'a> {
    pub name: &'static str,
    /// `width * height * 3` bytes.
    pub pixels: &'a [u8],
    pub width: usize,
    pub height: usize,
    pub severity: Severity,
    pub set: ParameterSet,
    pub stack: Stack,
    pub textures: &'a Textures,
}

impl Job<'_> {
    /// This job's row of a parameter table: one line a set, one column a severity.
    pub fn pick<T: Copy>(&self, table: &[[T; 5]; 3]) -> T {
        table[self.set.index()][self.severity.index()]
    }

    /// Width times height.
    pub fn area(&self) -> usize {
        self.width * self.height
    }

    pub fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Unsupported {
            corruption: self.name,
            width: self.width,
            height: self.height,
            why: why.into(),
        }
    }
}

/// Working memory of one thread, reused from image to image. Contents are stale: whoever
/// takes a slice writes all of it before reading.
#[derive(Default)]
pub(crate) struct Scratch {
    pub doubles: Pool<f64>,
    pub singles: Pool<f32>,
    pub distances: Pool<f32>,
    pub bytes: Pool<u8>,
    pub shorts: Pool<i16>,
    pub words: Pool<i32>,
    pub counts: Pool<u32>,
    pub flags: Pool<bool>,
    /// For the kernels themselves, so that a corruption can hold slices of the others.
    pub kernel: Pool<f64>,
    plan: Option<(Cell, Rc<dyn Any>)>,
}

/// What a plan depends on: corruption, size, severity, parameter set, stack.
type Cell = (&'static str, usize, usize, Severity, ParameterSet, Stack);

impl Scratch {
    /// What is the same for every image of a cell and size: kernels, maps, tables. Made for
    /// the first image, kept until another cell's plan is asked for.
    pub fn plan<T: 'static>(&mut self, job: &Job<'_>, make: impl FnOnce() -> T) -> Rc<T> {
        let cell = (job.name, job.width, job.height, job.severity, job.set, job.stack);
        if let Some((of, plan)) = &self.plan
            && *of == cell
            && let Ok(plan) = Rc::clone(plan).downcast()
        {
            return plan;
        }
        let plan = Rc::new(make());
        self.plan = Some((cell, Rc::<T>::clone(&plan)));
        plan
    }
}

/// A buffer handed out in pieces.
#[derive(Default)]
pub(crate) struct Pool<T>(Vec<T>);

impl<T: Copy + Default> Pool<T> {
    /// Disjoint slices of these lengths.
    pub fn take<const K: usize>(&mut self, lengths: [usize; K]) -> [&mut [T]; K] {
        let total = lengths.iter().sum();
        if self.0.len() < total {
            self.0.resize(total, T::default());
        }
        let mut rest = self.0.as_mut_slice();
        lengths.map(|length| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(length);
            rest = tail;
            head
        })
    }
}

macro_rules! table {
    ($($(#[$doc:meta])* $variant:ident = $module:ident::$file:ident),* $(,)?) => {
        /// One of the nineteen corruptions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Corruption { $($(#[$doc])* $variant),* }

        impl Corruption {
            /// All nineteen: the benchmark's fifteen in the paper's order, then the extras.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];
        }

        /// The table's row for `corruption`.
        pub(crate) fn entry(corruption: Corruption) -> &'static Entry {
            match corruption { $(Corruption::$variant => &$module::$file::ENTRY),* }
        }
    };
}

table! {
    /// Additive normal noise.
    GaussianNoise = noise::gaussian,
    /// Photon counting.
    ShotNoise = noise::shot,
    /// Salt and pepper, a channel value at a time.
    ImpulseNoise = noise::impulse,
    /// A disk-shaped lens.
    DefocusBlur = blur::defocus,
    /// Pixels copied about behind frosted glass.
    GlassBlur = blur::glass,
    /// A camera moving in a straight line.
    MotionBlur = blur::motion,
    /// A camera moving towards its subject.
    ZoomBlur = blur::zoom,
    /// Falling snow.
    Snow = weather::snow,
    /// Ice crystals on the lens.
    Frost = weather::frost,
    /// A plasma-fractal haze.
    Fog = weather::fog,
    /// A higher HSV value.
    Brightness = weather::brightness,
    /// A flatter image.
    Contrast = digital::contrast,
    /// A random affine map and small local shifts.
    ElasticTransform = digital::elastic,
    /// Box down, box up.
    Pixelate = digital::pixelate,
    /// The lossy part of JPEG.
    JpegCompression = digital::jpeg,
    /// Noise in proportion to the value.
    SpeckleNoise = noise::speckle,
    /// A Gaussian blur.
    GaussianBlur = blur::gaussian,
    /// Drops of water or mud on the lens.
    Spatter = weather::spatter,
    /// A lower or higher HSV saturation.
    Saturate = digital::saturate,
}
