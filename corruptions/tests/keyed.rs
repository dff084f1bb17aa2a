//! The keyed source's own results, frozen: what an image gets under a key must not change
//! unless [`VERSION`] does.

#![allow(clippy::unwrap_used)]

use md5::{Digest, Md5};
use rlnet_corruptions::{Corruption, Generator, Image, Severity, VERSION};

/// First half of the MD5 over the five severities of one 32x32 image, seed 12, index 345,
/// default options, by corruption.
const FROZEN: (u32, [(Corruption, &str); 29]) = (
    2,
    [
        (Corruption::GaussianNoise, "12a9a92a1280b60d"),
        (Corruption::ShotNoise, "8afd4292508e605e"),
        (Corruption::ImpulseNoise, "ec7dcdcedb1cd34c"),
        (Corruption::DefocusBlur, "37a3d3d8f60f84a2"),
        (Corruption::GlassBlur, "ff28deed578cbb74"),
        (Corruption::MotionBlur, "177818bba72b7114"),
        (Corruption::ZoomBlur, "e8c2743951cf66b3"),
        (Corruption::Snow, "d0d737ab94522893"),
        (Corruption::Frost, "584f397993bc8f87"),
        (Corruption::Fog, "2327d19af7ecaa13"),
        (Corruption::Brightness, "c4c1cc434fc9bc94"),
        (Corruption::Contrast, "26f8419d85edaa32"),
        (Corruption::ElasticTransform, "500c1fd0d453ff3a"),
        (Corruption::Pixelate, "83143376ed9c7a2d"),
        (Corruption::JpegCompression, "6fb32cd6924f9294"),
        (Corruption::SpeckleNoise, "7baa5a322c6b5c12"),
        (Corruption::GaussianBlur, "438f148e52f2478f"),
        (Corruption::Spatter, "a745137fa5af50d2"),
        (Corruption::Saturate, "76882715778e9090"),
        (Corruption::BlueNoiseSample, "fb5b70467a1f704a"),
        (Corruption::BrownishNoise, "aa722592f21acdd7"),
        (Corruption::CheckerboardCutout, "5eefff7c48b6f0cb"),
        (Corruption::CircularMotionBlur, "6c542e57ce1ae224"),
        (Corruption::InverseSparkles, "c2479287941e5ac0"),
        (Corruption::Lines, "a90cef92b0bef5c0"),
        (Corruption::PinchAndTwirl, "75693d3127b76f12"),
        (Corruption::Ripple, "fdf278bcfcd26f48"),
        (Corruption::Sparkles, "3d2e3a63640869a2"),
        (Corruption::TransverseChromaticAbberation, "877f091ee9dc57c0"),
    ],
);

fn formula(n: usize) -> Image {
    let values = (0..n * n * 3).map(|i| (i * i / 7 + 3 * i) as u8);
    Image::from_raw(n, n, values.collect()).unwrap()
}

#[test]
fn results_belong_to_their_version() {
    let (version, rows) = FROZEN;
    assert_eq!(version, VERSION, "new results need new hashes here");
    let image = formula(32);
    let mut wrong = Vec::new();
    for (corruption, expected) in rows {
        let mut digest = Md5::new();
        for severity in Severity::ALL {
            let made = Generator::default().corrupt_keyed(&image, corruption, severity, 12, 345);
            digest.update(made.unwrap().data());
        }
        let got = format!("{:x}", digest.finalize())[..16].to_owned();
        if got != expected {
            wrong.push(format!("(Corruption::{corruption:?}, \"{got}\"),"));
        }
    }
    assert!(wrong.is_empty(), "version {VERSION} gives\n{}", wrong.join("\n"));
}
