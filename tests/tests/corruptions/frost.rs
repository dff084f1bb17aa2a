//! The original frost photographs: golden hashes of frost with them, and what is said of them.

use std::fs;

use rlnet_corruptions::{Corruption, Error, Generator, Image, NumpyRng, Options, Severity, Stack};

use rlnet_test_support::reference;

use crate::original_textures;
use crate::support::{formula, hash};

/// 32x32 and 64x64; see `corruptions/tests/golden.rs`.
#[rustfmt::skip]
const GOLDEN: [(usize, [&str; 5]); 2] = [
    (32, ["46dd0b2d363ee125", "ea319f22f913646e", "07f1ef34031f4d25", "7766e23906f0112b", "58f65e3993d6f4b6"]),
    (64, ["204868b10191f98f", "40480e84e4dad3db", "75e2cc6135757960", "00ac740e53063a23", "f40d865b8c0d17b3"]),
];

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn golden_hashes_of_frost() {
    let generator = Generator::new(Options {
        stack: Stack::Modern,
        textures: original_textures(),
        parameters: None,
    });
    for (n, row) in GOLDEN {
        for (severity, expected) in Severity::ALL.into_iter().zip(row) {
            let mut rng = NumpyRng::new(12345);
            let made = generator.corrupt(&formula(n), Corruption::Frost, severity, &mut rng);
            assert_eq!(hash(made.unwrap().data()), expected, "{n} {severity}");
        }
    }
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_original_textures_are_recognised() {
    let textures = original_textures();
    assert!(textures.are_original());
    assert_eq!(textures.describe(), "original, 5 files, MD5 7258f303");
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn a_truncated_photograph_is_refused() {
    let file = fs::read(reference("data/frost/frost5.jpg")).unwrap();
    assert!(matches!(Image::decode(&file[..300]), Err(Error::Decode(_))));
}
