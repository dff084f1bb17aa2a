//! The embedded data sets: textured shapes, drawn, not downloaded.
//!
//! They let every part of the program run and be tested with no files and no network. In `shapes`
//! an image's class is the form of its main object; position, size, turn, colours, textures, light,
//! clutter and noise vary and say nothing about the class. In `textures`, which stands in wherever
//! another data set than the suite's is needed, the class is how the object is painted, and its form
//! says nothing. Low-contrast, small and cluttered images are
//! part of the draw, so that a small network stays short of 100 % and corruptions and attacks have
//! something to take away. Image `i` of a split depends on (seed, split, i) alone.

mod form;
mod paint;

use rayon::prelude::*;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::dataset::SHAPES;
use sha1::{Digest, Sha1};

use super::{Dataset, LoadOptions, Split};
use form::{FORMS, Placed};
use paint::{Colour, Paint, TEXTURES};

/// Side of the images in pixels.
pub const SIDE: usize = SHAPES.side as usize;
/// Training images of the default set.
pub const TRAIN: usize = SHAPES.train as usize;
/// Test images of the default set.
pub const TEST: usize = SHAPES.test as usize;
/// Samples a side and pixel for the edges of forms.
const SUPERSAMPLING: usize = 3;
/// Largest turn of a form either way, in radians (about 30 degrees). With full turns a network
/// of width 8 learns too little from a few thousand images for anything to be compared.
const TURN: f64 = 0.5;
/// Least distance of object and ground in RGB space, each channel in `[0, 1]`.
const CONTRAST: f64 = 0.45;

/// What the class of an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The form of its object: ten classes.
    Form,
    /// How its object is painted: five classes.
    Texture,
}

impl Class {
    /// The name of the set with these classes.
    fn set(self) -> &'static str {
        match self {
            Self::Form => "shapes",
            Self::Texture => "textures",
        }
    }

    fn names(self) -> Vec<String> {
        match self {
            Self::Form => FORMS.iter().map(|form| form.name.to_owned()).collect(),
            Self::Texture => TEXTURES.map(str::to_owned).to_vec(),
        }
    }

    /// Checksum of the default set, so that the test images alone can be drawn under its name.
    fn checksum(self) -> &'static str {
        match self {
            Self::Form => "9c5361ea76c99106bfd8166a5ef3031df0c24600",
            Self::Texture => "9c74930d242516437c3dd0afd7ee44d547979af2",
        }
    }
}

/// The set that the name `shapes` or `textures` stands for: [`TRAIN`] and [`TEST`] images of seed 0,
/// or of each split those that are needed.
pub fn default_dataset(class: Class, options: LoadOptions) -> Dataset {
    let train = match options.test_only {
        true => 0,
        false => options.train.map_or(TRAIN, |n| n.min(TRAIN)),
    };
    let test = options.test.map_or(TEST, |n| n.min(TEST));
    if (train, test) == (TRAIN, TEST) {
        return generate(class, TRAIN, TEST, 0);
    }
    Dataset {
        train_len: TRAIN,
        checksum: class.checksum().to_owned(),
        ..generate(class, train, test, 0)
    }
}

/// Draws `train` and `test` images from `seed`. Labels go round, so as many consecutive images as
/// there are classes hold every class once.
pub fn generate(class: Class, train: usize, test: usize, seed: u64) -> Dataset {
    let (train, test) = (
        split(class, "train", train, seed),
        split(class, "test", test, seed),
    );
    let mut sha1 = Sha1::new();
    for split in [&train, &test] {
        sha1.update((split.len() as u64).to_le_bytes());
        sha1.update(&split.images);
    }
    Dataset {
        name: class.set().to_owned(),
        classes: class.names(),
        size: SIDE,
        provenance: format!(
            "{} drawn from seed {seed}: {} training and {} test images",
            class.set(),
            train.len(),
            test.len()
        ),
        train_len: train.len(),
        train,
        test,
        tree: None,
        // Measured on the default set, all channels alike by symmetry of the draw, and rounded.
        mean: [0.5; 3],
        std: [0.27; 3],
        checksum: format!("{:x}", sha1.finalize()),
    }
}

fn split(class: Class, name: &str, n: usize, seed: u64) -> Split {
    let (purpose, classes) = (format!("{}.{name}", class.set()), class.names().len());
    let mut images = vec![0; n * SIDE * SIDE * 3];
    images
        .par_chunks_exact_mut(SIDE * SIDE * 3)
        .enumerate()
        .for_each(|(i, image)| {
            let mut rng = KeyedRng::new(seed, &purpose, &[i as u64]);
            draw(class, i % classes, &mut rng, image);
        });
    Split {
        size: SIDE,
        files: None,
        images,
        labels: (0..n).map(|i| (i % classes) as u16).collect(),
        indices: (0..n as u32).collect(),
    }
}

/// Draws one image with this label: ground, clutter, object, light, noise.
fn draw(class: Class, label: usize, rng: &mut KeyedRng, out: &mut [u8]) {
    let ground = Paint::draw(rng);
    let object = loop {
        let paint = match class {
            Class::Form => Paint::draw(rng),
            Class::Texture => Paint::textured(label, rng),
        };
        if distance(paint.base, ground.base) >= CONTRAST {
            break paint;
        }
    };
    let mut layers = Vec::new();
    for _ in 0..rng.below(4) {
        // Too small to be taken for the object: its radius is at least 9.
        let form = &FORMS[rng.below(FORMS.len() as u64) as usize];
        layers.push((place(form, 1.5, 3.5, 0.0, rng), Paint::draw(rng)));
    }
    let form = match class {
        Class::Form => label,
        Class::Texture => rng.below(FORMS.len() as u64) as usize,
    };
    layers.push((place(&FORMS[form], 9.0, 13.0, 1.0, rng), object));

    let (light, angle) = (range(rng, 0.0, 0.35), range(rng, 0.0, std::f64::consts::TAU));
    let (light_x, light_y) = (light * angle.cos(), light * angle.sin());
    let noise = range(rng, 0.01, 0.05);
    let half = SIDE as f64 / 2.0;
    for (i, pixel) in out.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((i % SIDE) as f64, (i / SIDE) as f64);
        let (cx, cy) = (x + 0.5, y + 0.5);
        let mut colour = ground.at(cx, cy);
        for (form, paint) in &layers {
            let cover = coverage(form, x, y);
            if cover > 0.0 {
                let over = paint.at(cx, cy);
                (0..3).for_each(|c| colour[c] += cover * (over[c] - colour[c]));
            }
        }
        let lit = 1.0 + light_x * (cx - half) / half + light_y * (cy - half) / half;
        for (value, channel) in pixel.iter_mut().zip(colour) {
            let v = channel * lit + noise * rng.normal();
            // The cast saturates.
            *value = (v * 255.0 + 0.5) as u8;
        }
    }
}

/// A form of a random radius and turn; `inside` is how far the centre keeps from the border, in
/// radii, so that the object is never cut off by much.
fn place(form: &'static form::Form, low: f64, high: f64, inside: f64, rng: &mut KeyedRng) -> Placed {
    let radius = range(rng, low, high);
    let margin = radius * inside;
    let x = range(rng, margin, SIDE as f64 - margin);
    let y = range(rng, margin, SIDE as f64 - margin);
    Placed::new(form, x, y, radius, range(rng, -TURN, TURN))
}

/// Share of the pixel at column `x`, row `y` that the form covers.
fn coverage(form: &Placed, x: f64, y: f64) -> f64 {
    if !form.may_touch(x, y) {
        return 0.0;
    }
    let step = 1.0 / SUPERSAMPLING as f64;
    let mut hits = 0_u32;
    for i in 0..SUPERSAMPLING {
        for j in 0..SUPERSAMPLING {
            let (dx, dy) = ((j as f64 + 0.5) * step, (i as f64 + 0.5) * step);
            hits += u32::from(form.contains(x + dx, y + dy));
        }
    }
    f64::from(hits) * step * step
}

fn distance(a: Colour, b: Colour) -> f64 {
    let squares = (0..3).map(|c| (a[c] - b[c]) * (a[c] - b[c]));
    squares.sum::<f64>().sqrt()
}

/// Uniform in `[low, high)`.
fn range(rng: &mut KeyedRng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.uniform()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_depends_on_seed_split_and_position_alone() {
        let small = generate(Class::Form, 20, 10, 0);
        let large = generate(Class::Form, 50, 30, 0);
        assert_eq!(large.train.take(20), small.train);
        assert_eq!(large.test.take(10), small.test);
        assert_eq!(generate(Class::Form, 20, 10, 0).checksum, small.checksum);
        assert_ne!(generate(Class::Form, 20, 10, 1).checksum, small.checksum);
        assert_ne!(small.train.images[..3072], small.test.images[..3072]);
    }

    #[test]
    fn fewer_images_go_under_the_name_of_the_whole() {
        let whole = default_dataset(Class::Form, LoadOptions::default());
        let test = default_dataset(
            Class::Form,
            LoadOptions {
                test_only: true,
                ..LoadOptions::default()
            },
        );
        assert_eq!(whole.checksum, test.checksum);
        assert_eq!(whole.test, test.test);
        assert!(test.train.is_empty());
        assert_eq!(whole.train_len, test.train_len);
        let some = default_dataset(
            Class::Form,
            LoadOptions {
                train: Some(30),
                test: Some(TEST + 1),
                ..LoadOptions::default()
            },
        );
        assert_eq!((&some.checksum, some.train_len), (&whole.checksum, TRAIN));
        assert_eq!((some.train, some.test), (whole.train.take(30), whole.test));
    }

    #[test]
    fn textures_are_another_set_of_another_number_of_classes() {
        let whole = default_dataset(Class::Texture, LoadOptions::default());
        assert_eq!(whole.checksum, Class::Texture.checksum());
        assert_eq!((whole.name.as_str(), whole.classes.len()), ("textures", 5));
        assert_eq!((whole.train.len(), whole.test.len()), (TRAIN, TEST));
        assert_eq!(whole.train.labels[..7], [0, 1, 2, 3, 4, 0, 1]);
        let shapes = generate(Class::Form, 20, 0, 0).train;
        let image = |split: &Split, i: usize| split.images[i * 3072..][..3072].to_vec();
        assert!((0..20).all(|i| image(&whole.train, i) != image(&shapes, i)));
    }

    #[test]
    fn classes_are_balanced() {
        let data = generate(Class::Form, 100, 20, 0);
        for class in 0..10 {
            assert_eq!(data.train.labels.iter().filter(|&&l| l == class).count(), 10);
            assert_eq!(data.test.labels.iter().filter(|&&l| l == class).count(), 2);
        }
        assert_eq!(data.classes.len(), 10);
    }

    #[test]
    fn normalisation_constants_fit_the_pixels() {
        for class in [Class::Form, Class::Texture] {
            let data = generate(class, 1000, 0, 0);
            for channel in 0..3 {
                let pixels = data.train.images.iter().skip(channel).step_by(3);
                let n = pixels.len() as f64;
                let (sum, squares) = pixels.fold((0.0, 0.0), |(sum, squares), &v| {
                    let v = f64::from(v) / 255.0;
                    (sum + v, squares + v * v)
                });
                let mean = sum / n;
                let std = (squares / n - mean * mean).sqrt();
                assert!((mean - data.mean[channel]).abs() < 0.03, "{class:?} mean {mean}");
                assert!((std - data.std[channel]).abs() < 0.03, "{class:?} std {std}");
            }
        }
    }

    #[test]
    fn every_form_is_visible_and_no_two_are_the_same_region() {
        let placed = |form| Placed::new(form, 16.0, 16.0, 12.0, 0.0);
        let areas: Vec<Vec<bool>> = FORMS
            .iter()
            .map(|form| {
                let form = placed(form);
                (0..1024)
                    .map(|i| coverage(&form, (i % 32) as f64, (i / 32) as f64) > 0.5)
                    .collect()
            })
            .collect();
        for (i, a) in areas.iter().enumerate() {
            assert!(a.iter().filter(|&&hit| hit).count() > 80, "{}", FORMS[i].name);
            for b in &areas[i + 1..] {
                assert!(a.iter().zip(b).filter(|(a, b)| a != b).count() > 40);
            }
        }
    }
}
