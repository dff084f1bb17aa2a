//! Pictures of any size made into the squares that networks take, byte for byte as Pillow and
//! torchvision make them: antialiased resizing, crops and flips.
//!
//! Pillow resamples along rows, rounds to bytes, then along columns, with weights of 22 fraction bits.
//! Reading is [`Image::decode`]: what `Image.open(file).convert("RGB")` gives. Like it (and torchvision's
//! `ImageFolder`), it does not turn a picture by its EXIF orientation.

use std::ops::Range;
use std::str::FromStr;

use crate::{Error, Image, RandomSource, Result};

/// How samples are weighted when a picture is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// A triangle; torchvision's default.
    #[default]
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Three lobes of a windowed sinc.
    Lanczos,
}

impl Filter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bilinear, Self::Bicubic, Self::Lanczos];

    /// `bilinear`, `bicubic` or `lanczos`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }

    /// Samples on either side that it weighs, when nothing is reduced.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let far = x.abs();
        match self {
            Self::Bilinear if far < 1.0 => 1.0 - far,
            Self::Bicubic if far < 1.0 => ((-0.5 + 2.0) * far - (-0.5 + 3.0)) * far * far + 1.0,
            Self::Bicubic if far < 2.0 => (((far - 5.0) * far + 8.0) * far - 4.0) * -0.5,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|filter| filter.name() == name);
        found.ok_or_else(|| Error::UnknownName {
            what: "filter",
            name: name.to_owned(),
            known: "bilinear, bicubic, lanczos",
        })
    }
}

/// A rectangle of a picture: columns `left..left + width`, rows `top..top + height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rectangle {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// What a picture goes through before a network sees it, as torchvision's `Resize(resize)` and
/// `CenterCrop(crop)`.
///
/// ```
/// use rlnet_corruptions::{Image, picture::{Filter, Preparation}};
/// let photograph = Image::from_raw(500, 375, vec![90; 500 * 375 * 3])?;
/// let usual = Preparation { resize: Some(256), crop: Some(224), filter: Filter::Bilinear };
/// let square = usual.apply(&photograph)?;
/// assert_eq!((square.width(), square.height()), (224, 224));
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Preparation {
    /// Side that the shorter side becomes.
    pub resize: Option<usize>,
    /// Side of the square that is cut out of the centre.
    pub crop: Option<usize>,
    /// How it is resized.
    pub filter: Filter,
}

impl Preparation {
    /// Side of the squares that come out, if it does not depend on the picture.
    pub fn side(&self) -> Option<usize> {
        self.crop.or(self.resize)
    }

    /// The picture as a network sees it.
    ///
    /// # Errors
    /// When the picture is smaller than the crop, or a size is too large.
    pub fn apply(&self, image: &Image) -> Result<Image> {
        let resized = match self.resize {
            Some(side) => image.short_side(side),
            None => (image.width(), image.height()),
        };
        let window = match self.crop {
            Some(side) => centre(resized, side)?,
            None => whole(resized),
        };
        image.resampled(
            whole((image.width(), image.height())),
            resized,
            window,
            self.filter,
        )
    }

    /// As [`Self::apply`], by a crop of random size and shape instead, mirrored half the time:
    /// torchvision's `RandomResizedCrop` and `RandomHorizontalFlip`, with draws from `rng`.
    ///
    /// # Errors
    /// When neither side is set, or a size is too large.
    pub fn augment(&self, image: &Image, rng: &mut dyn RandomSource) -> Result<Image> {
        let Some(side) = self.side() else {
            let why = "a random crop needs the side that it is resized to";
            return Err(Error::Batch(why.to_owned()));
        };
        let part = random_part((image.width(), image.height()), rng);
        let made = image.resampled(part, (side, side), whole((side, side)), self.filter)?;
        Ok(if rng.below(2) == 1 { made.flipped() } else { made })
    }
}

impl Image {
    /// The image at another size, as Pillow's `resize` makes it.
    ///
    /// # Errors
    /// When the size is empty or too large.
    pub fn resized(&self, width: usize, height: usize, filter: Filter) -> Result<Self> {
        let size = (width, height);
        self.resampled(whole((self.width(), self.height())), size, whole(size), filter)
    }

    /// A part of the image.
    ///
    /// # Errors
    /// When the part is empty or not inside of the image.
    pub fn cropped(&self, part: Rectangle) -> Result<Self> {
        self.resampled(
            part,
            (part.width, part.height),
            whole((part.width, part.height)),
            Filter::default(),
        )
    }

    /// The square of this side in the centre, as torchvision's `CenterCrop` cuts it.
    ///
    /// # Errors
    /// When the image is smaller (torchvision would add black).
    pub fn centre_cropped(&self, side: usize) -> Result<Self> {
        self.cropped(centre((self.width(), self.height()), side)?)
    }

    /// Mirrored left to right.
    pub fn flipped(mut self) -> Self {
        let stride = 3 * self.width();
        for row in self.data_mut().chunks_exact_mut(stride) {
            row.as_chunks_mut::<3>().0.reverse();
        }
        self
    }

    /// Width and height when the shorter side becomes `side`, as torchvision's `Resize` rounds them.
    fn short_side(&self, side: usize) -> (usize, usize) {
        let (width, height) = (self.width(), self.height());
        let long = |long: usize, short: usize| ((side * long) as f64 / short as f64) as usize;
        if width <= height {
            (side, long(height, width))
        } else {
            (long(width, height), side)
        }
    }

    /// `window` of what `part` becomes at `size`.
    fn resampled(
        &self,
        part: Rectangle,
        size: (usize, usize),
        window: Rectangle,
        filter: Filter,
    ) -> Result<Self> {
        let (width, height) = (self.width(), self.height());
        let inside = |outer: (usize, usize), part: Rectangle| {
            part.left + part.width <= outer.0 && part.top + part.height <= outer.1
        };
        crate::image::bytes(size.0, size.1)?;
        if !inside((width, height), part) || !inside(size, window) || part.width * part.height == 0 {
            return Err(Error::Degenerate {
                width: part.width,
                height: part.height,
            });
        }
        let columns = Axis::new(
            part.width,
            size.0,
            window.left..window.left + window.width,
            filter,
        );
        let rows = Axis::new(
            part.height,
            size.1,
            window.top..window.top + window.height,
            filter,
        );
        let source =
            |row: usize| &self.data()[3 * ((part.top + row) * width + part.left)..][..3 * part.width];
        let stride = 3 * window.width;
        // Rows are narrowed when they are needed, each once.
        let needed = rows.span();
        let mut narrow = vec![0; needed.len() * stride];
        for (row, out) in needed.clone().zip(narrow.chunks_exact_mut(stride.max(1))) {
            columns.across(source(row), window.left, out);
        }
        let mut data = vec![0; stride * window.height];
        let mut sums = vec![0; stride];
        for (taps, out) in rows.taps.iter().zip(data.chunks_exact_mut(stride.max(1))) {
            let line = |row: usize| &narrow[(row - needed.start) * stride..][..stride];
            match *taps {
                Taps { first, ref weights } if weights.is_empty() => out.copy_from_slice(line(first)),
                Taps { first, ref weights } => {
                    sums.fill(ROUND);
                    for (row, &weight) in (first..).zip(weights) {
                        for (sum, &value) in sums.iter_mut().zip(line(row)) {
                            *sum += i32::from(value) * weight;
                        }
                    }
                    for (out, &sum) in out.iter_mut().zip(&sums) {
                        *out = byte(sum);
                    }
                }
            }
        }
        Self::from_raw(window.width, window.height, data)
    }
}

fn whole((width, height): (usize, usize)) -> Rectangle {
    Rectangle {
        left: 0,
        top: 0,
        width,
        height,
    }
}

/// The square in the centre; halves are rounded to even.
fn centre((width, height): (usize, usize), side: usize) -> Result<Rectangle> {
    if side == 0 || width < side || height < side {
        return Err(Error::Crop { width, height, side });
    }
    let start = |n: usize| ((n - side) as f64 / 2.0).round_ties_even() as usize;
    Ok(Rectangle {
        left: start(width),
        top: start(height),
        width: side,
        height: side,
    })
}

/// torchvision's `RandomResizedCrop.get_params`: 8 to 100 percent of the area, of a shape between 3:4
/// and 4:3; what fits in after ten attempts, else the largest such part in the centre.
fn random_part((width, height): (usize, usize), rng: &mut dyn RandomSource) -> Rectangle {
    let (narrowest, widest) = (3.0_f64 / 4.0, 4.0_f64 / 3.0);
    for _ in 0..10 {
        let area = (width * height) as f64 * rng.uniform_in(0.08, 1.0);
        let shape = rng.uniform_in(narrowest.ln(), widest.ln()).exp();
        let [w, h] = [area * shape, area / shape].map(|square| square.sqrt().round_ties_even() as usize);
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            return Rectangle {
                top: rng.below((height - h) as u64 + 1) as usize,
                left: rng.below((width - w) as u64 + 1) as usize,
                width: w,
                height: h,
            };
        }
    }
    let shape = width as f64 / height as f64;
    let (w, h) = if shape < narrowest {
        (
            width,
            ((width as f64 / narrowest).round_ties_even() as usize).min(height),
        )
    } else if shape > widest {
        (
            ((height as f64 * widest).round_ties_even() as usize).min(width),
            height,
        )
    } else {
        (width, height)
    };
    Rectangle {
        left: (width - w) / 2,
        top: (height - h) / 2,
        width: w,
        height: h,
    }
}

/// Fraction bits of the weights, and a half.
const PRECISION: u32 = 32 - 8 - 2;
const ROUND: i32 = 1 << (PRECISION - 1);

fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The samples of one output position; no weights where it is the sample itself.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// One axis of a resampling.
struct Axis {
    taps: Vec<Taps>,
}

impl Axis {
    /// The positions of `window` when `from` samples become `to`.
    fn new(from: usize, to: usize, window: Range<usize>, filter: Filter) -> Self {
        if from == to {
            let same = |first| Taps {
                first,
                weights: Vec::new(),
            };
            return Self {
                taps: window.map(same).collect(),
            };
        }
        let scale = from as f64 / to as f64;
        // Reducing widens the filter: that is the antialiasing.
        let wide = scale.max(1.0);
        let support = filter.support() * wide;
        let taps = window.map(|at| {
            let centre = (at as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let narrow = 1.0 / wide;
            let weights = (first..end).map(|i| filter.weight((i as f64 - centre + 0.5) * narrow));
            let weights: Vec<f64> = weights.collect();
            let total: f64 = weights.iter().sum();
            let fixed = |weight: &f64| {
                let weight = if total == 0.0 { *weight } else { weight / total };
                let scaled = weight * f64::from(1 << PRECISION);
                (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
            };
            Taps {
                first,
                weights: weights.iter().map(fixed).collect(),
            }
        });
        Self { taps: taps.collect() }
    }

    /// The samples that any position needs.
    fn span(&self) -> Range<usize> {
        let end = |taps: &Taps| taps.first + taps.weights.len().max(1);
        let first = self.taps.iter().map(|taps| taps.first).min().unwrap_or(0);
        first..self.taps.iter().map(end).max().unwrap_or(first)
    }

    /// Narrows or widens a row of pixels; `left` is the first position of the window.
    fn across(&self, row: &[u8], left: usize, out: &mut [u8]) {
        let pixels = row.as_chunks::<3>().0;
        if self.taps.first().is_some_and(|taps| taps.weights.is_empty()) {
            out.copy_from_slice(&row[3 * left..][..out.len()]);
            return;
        }
        for (out, taps) in out.as_chunks_mut::<3>().0.iter_mut().zip(&self.taps) {
            let mut sums = [ROUND; 3];
            for (pixel, &weight) in pixels[taps.first..].iter().zip(&taps.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            *out = sums.map(byte);
        }
    }
}
