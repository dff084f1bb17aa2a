//! What must hold for any image, size, parameter set, stack and source.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rlnet_corruptions::{
    Corruption, Error, Generator, Image, KeyedRng, NumpyRng, Options, ParameterSet, RandomSource, Severity,
    Stack, Textures,
};

const SETS: [ParameterSet; 3] = [
    ParameterSet::Cifar,
    ParameterSet::TinyImagenet,
    ParameterSet::Imagenet,
];

fn generator(stack: Stack, parameters: Option<ParameterSet>) -> Generator {
    Generator::new(Options {
        stack,
        textures: Textures::default(),
        parameters,
    })
}

fn at_32() -> Vec<Corruption> {
    let defined = |corruption: &Corruption| corruption.is_defined_for(ParameterSet::Cifar);
    Corruption::ALL.into_iter().filter(defined).collect()
}

/// Smooth colour with some noise, a function of the seed.
fn picture(width: usize, height: usize, seed: u64) -> Image {
    let mut rng = KeyedRng::new(seed, "picture", &[]);
    let (a, b) = (rng.uniform(), rng.uniform());
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let wave = (a * x as f64 + b * y as f64 + f64::from(c)).sin();
                data.push((128.0 + 100.0 * wave + 25.0 * rng.uniform()) as u8);
            }
        }
    }
    Image::from_raw(width, height, data).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Never a panic, never another size; the same key gives the same bytes; what is
    /// refused is refused under every seed.
    #[test]
    fn any_size_gives_its_own_size_or_a_refusal(
        width in 1_usize..=300,
        height in 1_usize..=200,
        set in 0_usize..3,
        which in 0..Corruption::ALL.len(),
        level in 1_u8..=5,
        seed in any::<u64>(),
        modern in any::<bool>(),
    ) {
        let image = picture(width, height, seed);
        let stack = if modern { Stack::Modern } else { Stack::Release };
        let generator = generator(stack, Some(SETS[set]));
        let (corruption, severity) = (Corruption::ALL[which], Severity::new(level).unwrap());
        let make = |seed| generator.corrupt_keyed(&image, corruption, severity, seed, 3);
        match make(seed) {
            Ok(made) => {
                prop_assert_eq!((made.width(), made.height()), (width, height));
                prop_assert_eq!(made, make(seed).unwrap());
            }
            Err(Error::Unsupported { .. }) => prop_assert!(make(seed ^ 1).is_err()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    /// A batch is its images, whatever the order, the subset and the company.
    #[test]
    fn a_batch_is_its_images(
        which in 0..at_32().len(),
        level in 1_u8..=5,
        indices in proptest::collection::vec(0_u64..50, 1..20),
    ) {
        let (corruption, severity) = (at_32()[which], Severity::new(level).unwrap());
        let generator = Generator::default();
        let pictures: Vec<Image> = indices.iter().map(|&i| picture(32, 32, i)).collect();
        let images: Vec<u8> = pictures.iter().flat_map(|p| p.data().to_vec()).collect();
        let mut out = vec![0; images.len()];
        let batch = generator.batch(corruption, severity).seed(9).indices(&indices);
        batch.run(&images, (32, 32), &mut out).unwrap();
        for ((image, &index), made) in pictures.iter().zip(&indices).zip(out.chunks(3072)) {
            let alone = generator
                .corrupt_keyed(image, corruption, severity, 9, index)
                .unwrap();
            prop_assert_eq!(alone.data(), made);
        }
    }
}

#[test]
fn small_and_odd_sizes_are_taken_or_refused_everywhere() {
    let sizes = [(1, 1), (1, 7), (2, 2), (3, 3), (5, 4), (8, 1), (17, 33)];
    for (width, height) in sizes {
        let image = picture(width, height, 5);
        for set in SETS {
            for corruption in Corruption::ALL {
                for severity in Severity::ALL {
                    let made = generator(Stack::Release, Some(set))
                        .corrupt_keyed(&image, corruption, severity, 0, 0);
                    match made {
                        Ok(made) => assert_eq!(made.data().len(), image.data().len()),
                        Err(Error::Unsupported { why, .. }) => assert!(!why.is_empty()),
                        Err(other) => panic!("{corruption} {severity}: {other}"),
                    }
                }
            }
        }
    }
}

/// At the size of a parameter set, what is defined for it changes the image, and what is not says where it
/// is.
#[test]
fn what_is_defined_for_a_set_works_at_its_size() {
    for (set, side) in SETS.into_iter().zip([32, 64, 224]) {
        let image = picture(side, side, 1);
        for corruption in Corruption::ALL {
            let make = |level| {
                let severity = Severity::new(level).unwrap();
                Generator::default().corrupt_keyed(&image, corruption, severity, 0, 0)
            };
            match (make(1), make(5)) {
                (Ok(light), Ok(heavy)) => {
                    assert!(corruption.is_defined_for(set), "{corruption}");
                    assert!(heavy != image && light != heavy, "{corruption}");
                }
                (Err(Error::Unsupported { why, .. }), Err(_)) => {
                    let where_it_is =
                        why.contains("pixels) has some") || why.contains("cifar and imagenet have");
                    assert!(why.contains(set.name()) && where_it_is, "{corruption}: {why}");
                    assert!(!corruption.is_defined_for(set), "{corruption}");
                }
                _ => panic!("{corruption} for one severity of {set:?} only"),
            }
        }
    }
    let count = |set: ParameterSet| {
        Corruption::ALL
            .into_iter()
            .filter(|c| c.is_defined_for(set))
            .count()
    };
    assert_eq!(SETS.map(count), [29, 19, 29]);
}

/// What the formulas of ImageNet-C-bar promise, whatever is drawn: noise is within its amplitude and, on grey,
/// grey where it is one field for all channels; the bottom of still water is the image.
#[test]
fn imagenet_c_bar_keeps_the_bounds_of_its_formulas() {
    let grey = Image::from_raw(224, 224, vec![127; 3 * 224 * 224]).unwrap();
    // At severity 1: 1.96 x 10, half of 12.8 x 3, and what a weight of 0.23 leaves and adds.
    let bounds = [
        (Corruption::SingleFrequencyGreyscale, 107.0, 147.0, true),
        (Corruption::CocentricSineWaves, 107.0, 147.0, true),
        (Corruption::PerlinNoise, 127.0, 157.0, true),
        (
            Corruption::PlasmaNoise,
            127.0 * (1.0 - 30.4 / 255.0) - 31.5,
            143.0,
            false,
        ),
    ];
    for (corruption, low, high, one_field) in bounds {
        for index in 0..4 {
            let made = Generator::default()
                .corrupt_keyed(&grey, corruption, Severity::new(1).unwrap(), 3, index)
                .unwrap();
            let pixels = made.data().as_chunks::<3>().0;
            assert!(
                made.data().iter().all(|&v| (low..=high).contains(&f64::from(v))),
                "{corruption}"
            );
            let is_grey = pixels.iter().all(|[r, g, b]| r == g && g == b);
            assert_eq!(is_grey, one_field, "{corruption}");
        }
    }
}

#[test]
fn deterministic_corruptions_ignore_their_source_and_the_others_do_not() {
    let image = picture(32, 32, 2);
    for corruption in at_32() {
        for severity in Severity::ALL {
            let make = |rng: &mut dyn RandomSource| {
                Generator::default()
                    .corrupt(&image, corruption, severity, rng)
                    .unwrap()
            };
            let (a, b) = (make(&mut NumpyRng::new(1)), make(&mut NumpyRng::new(2)));
            assert_eq!(a == b, corruption.is_deterministic(), "{corruption} {severity}");
        }
    }
    assert_eq!(
        Corruption::ALL
            .into_iter()
            .filter(|c| c.is_deterministic())
            .count(),
        9
    );
}

/// A blue-noise sample, a cutout and an inverse spark leave a share of the pixels as they are that
/// falls with the level.
#[test]
fn c_bar_at_224_keeps_a_plausible_share_of_pixels() {
    let image = picture(224, 224, 3);
    let kept = |corruption, level| {
        let severity = Severity::new(level).unwrap();
        let made = Generator::default()
            .corrupt_keyed(&image, corruption, severity, 0, 0)
            .unwrap();
        let pairs = made.data().chunks(3).zip(image.data().chunks(3));
        pairs.filter(|(a, b)| a == b).count() as f64 / (224.0 * 224.0)
    };
    // The threshold of blue noise is -2.26, then -0.82 standard deviations.
    assert!((kept(Corruption::BlueNoiseSample, 1) - 0.988).abs() < 0.01);
    assert!((kept(Corruption::BlueNoiseSample, 5) - 0.794).abs() < 0.02);
    // Half of the board, 20 and then 60 per cent of its squares.
    assert!((kept(Corruption::CheckerboardCutout, 1) - 0.9).abs() < 0.08);
    assert!((kept(Corruption::CheckerboardCutout, 5) - 0.7).abs() < 0.12);
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    let generator = Generator::default();
    let fog = (Corruption::Fog, Severity::new(1).unwrap());
    let error = generator
        .corrupt_keyed(&picture(48, 48, 0), fog.0, fog.1, 0, 0)
        .unwrap_err();
    assert!(matches!(error, Error::NoParameterSet { .. }), "{error}");
    let mut out = vec![0; 3072];
    for (images, indices) in [(3072, vec![0, 1]), (3071, vec![0]), (0, vec![0])] {
        let images = vec![0; images];
        let batch = generator.batch(fog.0, fog.1).indices(&indices);
        let made = batch.run(&images, (32, 32), &mut out);
        assert!(matches!(made, Err(Error::Batch(_))));
    }
    assert!(matches!(
        Image::from_raw(0, 5, vec![]),
        Err(Error::Degenerate { .. })
    ));
    assert!(matches!(
        Image::from_raw(usize::MAX, 2, vec![]),
        Err(Error::Degenerate { .. })
    ));
    assert!(matches!(
        Image::from_raw(4, 4, vec![0; 64]),
        Err(Error::ImageSize { .. })
    ));
}

/// Noise on flat grey has the moments of its parameter (truncation takes half a level).
#[test]
fn noise_is_as_strong_as_it_says() {
    let grey = Image::from_raw(64, 64, vec![128; 64 * 64 * 3]).unwrap();
    let generator = generator(Stack::Release, Some(ParameterSet::Cifar));
    let x: f64 = 128.0 / 255.0;
    // Severity 3 of the CIFAR set.
    let expected = [
        (Corruption::GaussianNoise, 0.08),
        (Corruption::SpeckleNoise, 0.12 * x),
        (Corruption::ShotNoise, (x / 100.0).sqrt()),
    ];
    for (corruption, sd) in expected {
        let made = generator
            .corrupt_keyed(&grey, corruption, Severity::new(3).unwrap(), 4, 4)
            .unwrap();
        let values = || made.data().iter().map(|&v| f64::from(v));
        let n = made.data().len() as f64;
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        assert!(
            (mean - 127.5).abs() < 5.0 * 255.0 * sd / n.sqrt(),
            "{corruption} {mean}"
        );
        let ratio = variance.sqrt() / (255.0 * sd);
        assert!((ratio - 1.0).abs() < 0.04, "{corruption} {ratio}");
    }
}

#[test]
fn black_stays_black_in_fog() {
    let black = Image::from_raw(32, 32, vec![0; 3072]).unwrap();
    for severity in Severity::ALL {
        let made = Generator::default()
            .corrupt_keyed(&black, Corruption::Fog, severity, 0, 0)
            .unwrap();
        assert_eq!(made, black);
    }
}
