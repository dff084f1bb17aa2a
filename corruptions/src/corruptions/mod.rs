//! The table of corruptions. Adding one is adding one file and one line here.
//!
//! What a corruption must not know: files, data sets, threads, which random source it
//! draws from.

mod blur;
mod digital;
mod noise;
mod weather;

use crate::entry::Entry;

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
