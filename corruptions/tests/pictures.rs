//! Reading pictures and frost photographs.

#![allow(clippy::unwrap_used)]

use std::fs;

mod support;

use rlnet_corruptions::picture::{Filter, Preparation, Rectangle};
use rlnet_corruptions::{Error, Image, KeyedRng, RandomSource, Textures};
use support::{formula_of, hash};

type Size = (usize, usize);

/// Width and height before and after, and hashes of what Pillow 13.0.0 makes of the formula image with the
/// filters bilinear, bicubic and Lanczos (tests/peers/pillow.py in the repository).
#[rustfmt::skip]
const RESIZED: [(Size, Size, [&str; 3]); 8] = [
    ((64, 64), (32, 32), ["ada759f4132aeac9", "3b2a321ed8ba82c3", "2d6b956b6a17f5ef"]),
    ((61, 37), (256, 155), ["867609e0e8622f6c", "3d80ac5b117d117f", "9272c8e9f6b74901"]),
    ((50, 40), (23, 57), ["63cda6c2c33e51cb", "6777038c51c4a71c", "f0a93578254aed73"]),
    ((97, 96), (96, 97), ["45b97ef45d3ac477", "5b450af632c60e2c", "674ba5afab14b72e"]),
    ((40, 30), (40, 11), ["55e466e07d0ff204", "7ec572fb93e77d9d", "631d11bff6521f24"]),
    ((33, 7), (5, 7), ["440c173dab5424d7", "03420ed51739e7c6", "5a8c267d3c02d67a"]),
    ((300, 9), (7, 300), ["c888e77a6d385452", "4ed7a058c7c4299d", "7a5c7aa388b67e44"]),
    ((5, 5), (1, 1), ["eeddcbede7009cae", "eeddcbede7009cae", "400cb876aa5f7ea1"]),
];

#[test]
fn pictures_are_resized_as_pillow_resizes_them() {
    for ((width, height), (to_width, to_height), hashes) in RESIZED {
        let image = formula_of(width, height);
        for (filter, expected) in Filter::ALL.into_iter().zip(hashes) {
            let made = image.resized(to_width, to_height, filter).unwrap();
            assert_eq!(
                hash(made.data()),
                expected,
                "{width}x{height} to {to_width}x{to_height}, {filter}"
            );
        }
    }
}

#[test]
fn crops_and_flips_move_pixels_and_nothing_else() {
    let image = formula_of(11, 8);
    let part = Rectangle {
        left: 3,
        top: 2,
        width: 5,
        height: 4,
    };
    let cropped = image.cropped(part).unwrap();
    for y in 0..4 {
        let row = &image.data()[3 * ((y + 2) * 11 + 3)..][..15];
        assert_eq!(cropped.data()[15 * y..][..15], *row);
    }
    // Halves are rounded to even: (11 - 4) / 2 = 3.5 becomes 4.
    let centre = image.centre_cropped(4).unwrap();
    let same = image
        .cropped(Rectangle {
            left: 4,
            top: 2,
            width: 4,
            height: 4,
        })
        .unwrap();
    assert_eq!(centre, same);
    let flipped = image.clone().flipped();
    assert_eq!(flipped.data()[..3], image.data()[30..33]);
    assert_eq!(flipped.flipped(), image);
    assert!(image.cropped(Rectangle { left: 7, ..part }).is_err());
    let error = image.centre_cropped(9).unwrap_err().to_string();
    assert!(error.contains("11 x 8") && error.contains("9 x 9"), "{error}");
}

/// What a network sees is the middle of the whole resized picture, though only that part is computed.
#[test]
fn a_prepared_picture_is_the_centre_of_the_resized_one() {
    for (width, height) in [(90, 61), (61, 90), (64, 64), (31, 200)] {
        let image = formula_of(width, height);
        for filter in Filter::ALL {
            let (short, long) = (width.min(height), width.max(height));
            let long = 48 * long / short;
            let (w, h) = if width <= height { (48, long) } else { (long, 48) };
            let usual = Preparation {
                resize: Some(48),
                crop: Some(40),
                filter,
            };
            let expected = image.resized(w, h, filter).unwrap().centre_cropped(40).unwrap();
            assert_eq!(
                usual.apply(&image).unwrap(),
                expected,
                "{width}x{height} {filter}"
            );
        }
    }
    assert_eq!(
        Preparation::default().apply(&formula_of(9, 5)).unwrap(),
        formula_of(9, 5)
    );
}

/// Shares of area are uniform between 8 and 100 percent where every shape fits, shapes lie between 3:4 and
/// 4:3, and a picture that is too long gives its centre.
#[test]
fn random_crops_are_drawn_as_torchvision_draws_them() {
    let whole = Preparation {
        resize: None,
        crop: Some(8),
        filter: Filter::Bilinear,
    };
    let image = formula_of(64, 48);
    let made = |index| {
        whole
            .augment(&image, &mut KeyedRng::new(0, "crop", &[index]))
            .unwrap()
    };
    assert_eq!(made(1), made(1));
    let different = (0..20).map(made).collect::<Vec<_>>();
    assert!((1..20).all(|at| different[at] != different[0]));
    // One row of pixels has no part of these shapes but for itself: 40 wide, 1 high.
    let line = formula_of(400, 30);
    assert!(whole.augment(&line, &mut KeyedRng::new(0, "crop", &[3])).is_ok());
    let none = Preparation::default();
    assert!(none.augment(&image, &mut KeyedRng::new(0, "crop", &[0])).is_err());
}

/// Left, top, width and height of parts of a 64x48 picture, and hashes of what Pillow 13.0.0 makes of them: crop, resize
/// to 24x24, mirror.
#[rustfmt::skip]
const PARTS: [([usize; 4], [&str; 3]); 4] = [
    ([7, 5, 33, 27], ["babb980809234ca6", "f8a979f45b6e4f13", "8516d0ca4803f7bc"]),
    ([20, 0, 40, 48], ["05356d8632bee068", "f718ae427819b411", "0b26af2464932959"]),
    ([44, 30, 18, 17], ["3e2f3c1a647ea0c9", "6bd82297880dd377", "431c688a98004179"]),
    ([3, 24, 24, 24], ["e9aab8e217461c61", "e9aab8e217461c61", "e9aab8e217461c61"]),
];

/// Draws these numbers.
struct Scripted {
    uniforms: Vec<f64>,
    whole: Vec<u64>,
}

impl RandomSource for Scripted {
    fn uniform(&mut self) -> f64 {
        self.uniforms.remove(0)
    }

    fn below(&mut self, n: u64) -> u64 {
        assert!(self.whole[0] < n, "{:?} below {n}", self.whole);
        self.whole.remove(0)
    }

    fn normal(&mut self) -> f64 {
        unreachable!("a crop draws no normals")
    }
}

/// torchvision draws share of area and logarithm of shape, then top and left, then whether to mirror.
#[test]
fn random_crops_are_resized_and_mirrored_as_in_pillow() {
    let image = formula_of(64, 48);
    for ([left, top, width, height], hashes) in PARTS {
        let (share, shape) = ((width * height) as f64 / 3072.0, width as f64 / height as f64);
        let (narrowest, widest) = (0.75_f64.ln(), (4.0_f64 / 3.0).ln());
        for (filter, expected) in Filter::ALL.into_iter().zip(hashes) {
            let mut draws = Scripted {
                uniforms: vec![
                    (share - 0.08) / (1.0 - 0.08),
                    (shape.ln() - narrowest) / (widest - narrowest),
                ],
                whole: vec![top as u64, left as u64, 1],
            };
            let preparation = Preparation {
                resize: None,
                crop: Some(24),
                filter,
            };
            let made = preparation.augment(&image, &mut draws).unwrap();
            assert_eq!(
                hash(made.data()),
                expected,
                "{left}, {top}, {width}x{height}, {filter}"
            );
            assert!(draws.uniforms.is_empty() && draws.whole.is_empty());
        }
    }
}

#[test]
fn broken_pictures_are_refused_without_a_panic() {
    for file in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n rest"] {
        assert!(matches!(Image::decode(file), Err(Error::Decode(_))));
    }
    for file in [
        vec![0xff, 0xd8],
        [&[0xff, 0xd8, 0xff, 0xdb][..], &[0; 60]].concat(),
    ] {
        let error = Image::decode(&file).unwrap_err();
        if cfg!(feature = "jpeg") {
            assert!(matches!(error, Error::Decode(_)), "{error}");
        } else {
            // Built without JPEG files: the error names the feature.
            assert!(matches!(error, Error::JpegFeature(_)), "{error}");
            assert!(error.to_string().contains("feature `jpeg`"), "{error}");
        }
    }
}

#[test]
fn altered_or_absent_photographs_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = Textures::from_dir(folder.path()).unwrap_err();
    assert!(error.to_string().contains("frost1.png"), "{error}");
    fs::write(folder.path().join("frost1.png"), b"something else").unwrap();
    let error = Textures::from_dir(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Texture { .. }));
    assert!(error.to_string().contains("MD5"), "{error}");
}

#[test]
fn the_default_textures_are_not_the_originals() {
    assert!(!Textures::default().are_original());
}
