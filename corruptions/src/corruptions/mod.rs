//! The registry of corruptions. To add one, add its file and one line here.
//!
//! A corruption must not know files, data sets, threads, or which random source it draws from.

mod bar;
mod blur;
mod digital;
pub(crate) mod noise;
pub(crate) mod weather;

use crate::entry::Entry;

macro_rules! registry {
    ($($(#[$about:meta])* $family:ident $(+ [$($shared:ident),*])? {
        $($(#[$doc:meta])* $variant:ident = $module:ident::$file:ident),* $(,)?
    })*) => {
        /// A corruption.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Corruption { $($($(#[$doc])* $variant,)*)* }

        /// A benchmark's set of corruptions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Family { $($(#[$about])* $family,)* }

        impl Corruption {
            /// All of them, family after family.
            pub const ALL: [Self; [$($(Self::$variant,)*)*].len()] = [$($(Self::$variant,)*)*];

            /// The family that it belongs to, the first one of two.
            pub fn family(self) -> Family {
                match self { $($(Self::$variant)|* => Family::$family,)* }
            }
        }

        impl Family {
            /// All of them.
            pub const ALL: [Self; [$(Self::$family,)*].len()] = [$(Self::$family,)*];

            /// Its corruptions: in the order of the paper, those that it shares with another family first.
            pub const fn corruptions(self) -> &'static [Corruption] {
                match self {
                    $(Self::$family => &[$($(Corruption::$shared,)*)? $(Corruption::$variant,)*],)*
                }
            }
        }

        /// The row of `corruption`.
        pub(crate) const fn entry(corruption: Corruption) -> &'static Entry {
            match corruption { $($(Corruption::$variant => &$module::$file::ENTRY,)*)* }
        }
    };
}

registry! {
    /// The fifteen of CIFAR-10-C, Tiny-ImageNet-C and ImageNet-C (Hendrycks and Dietterich, ICLR
    /// 2019): noise, blur, weather, digital.
    C {
        /// Additive normal noise.
        GaussianNoise = noise::gaussian,
        /// Photon counting.
        ShotNoise = noise::shot,
        /// Salt and pepper, drawn for every channel value.
        ImpulseNoise = noise::impulse,
        /// A disk-shaped lens.
        DefocusBlur = blur::defocus,
        /// Pixels displaced at random, as behind frosted glass.
        GlassBlur = blur::glass,
        /// A camera that moves in a straight line.
        MotionBlur = blur::motion,
        /// A camera that moves towards its subject.
        ZoomBlur = blur::zoom,
        /// Falling snow.
        Snow = weather::snow,
        /// Ice crystals on the lens.
        Frost = weather::frost,
        /// A plasma-fractal haze.
        Fog = weather::fog,
        /// A higher HSV value.
        Brightness = weather::brightness,
        /// A lower contrast.
        Contrast = digital::contrast,
        /// A random affine map and small local displacements.
        ElasticTransform = digital::elastic,
        /// Reduced and enlarged by box filters.
        Pixelate = digital::pixelate,
        /// JPEG compression.
        JpegCompression = digital::jpeg,
    }
    /// The four extra corruptions of the same paper, meant for validation and never part of a
    /// headline mean.
    CExtra {
        /// Noise in proportion to the value.
        SpeckleNoise = noise::speckle,
        /// A Gaussian blur.
        GaussianBlur = blur::gaussian,
        /// Drops of water or mud on the lens.
        Spatter = weather::spatter,
        /// A lower or higher HSV saturation.
        Saturate = digital::saturate,
    }
    /// The ten of CIFAR-10-C-bar (Mintun, Kirillov and Xie, NeurIPS 2021), chosen to be unlike those
    /// of CIFAR-10-C.
    CBar {
        /// Pixels sampled by blue noise, the others black.
        BlueNoiseSample = bar::blue_noise_sample,
        /// Low-frequency noise in each channel.
        BrownishNoise = bar::brownish_noise,
        /// Grey squares of a turned checkerboard.
        CheckerboardCutout = bar::checkerboard_cutout,
        /// A camera that turns about its axis.
        CircularMotionBlur = bar::circular_motion_blur,
        /// White outside of one large spark.
        InverseSparkles = bar::inverse_sparkles,
        /// Grey lines in about one direction.
        Lines = bar::lines,
        /// Nine disks pinched and turned.
        PinchAndTwirl = bar::pinch_and_twirl,
        /// Rows and columns displaced by sine waves.
        Ripple = bar::ripple,
        /// Five white sparks.
        Sparkles = bar::sparkles,
        /// Channels enlarged by different factors.
        TransverseChromaticAbberation = bar::transverse_chromatic_abberation,
    }
    /// The ten of ImageNet-C-bar (of the same paper), at 224 pixels; five of them are in CIFAR-10-C-bar too.
    CBarImagenet + [BlueNoiseSample, BrownishNoise, CheckerboardCutout, InverseSparkles, Sparkles] {
        /// The bottom of rippled water.
        CausticRefraction = bar::caustic_refraction,
        /// Grey rings around a point.
        CocentricSineWaves = bar::cocentric_sine_waves,
        /// Grey clouds.
        PerlinNoise = bar::perlin_noise,
        /// Coloured swirls.
        PlasmaNoise = bar::plasma_noise,
        /// One grey wave.
        SingleFrequencyGreyscale = bar::single_frequency_greyscale,
    }
}
