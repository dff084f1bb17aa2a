//! The sequences of CIFAR-10-P: golden hashes of the published script's functions, and what they have to
//! be under keyed draws.

#![allow(clippy::unwrap_used)]

mod support;

use rlnet_corruptions::{Error, Generator, Image, NumpyRng, Options, Sequence, Stack};
use support::{formula, hash};

/// Sequence, hash over all frames in the release stack, in the modern one where it differs. Before each,
/// `np.random.seed(12345)`, and `torch.manual_seed(12345)` for gaussian_noise.
#[rustfmt::skip]
const GOLDEN: [(&str, &str, Option<&str>); 20] = [
    ("gaussian_noise", "0ecc7c2a65398138", None),
    ("gaussian_noise_2", "3510d51a5c61b5dd", None),
    ("gaussian_noise_3", "82c2e4f3b6e7c3e2", None),
    ("shot_noise", "85add91f663b3ea9", None),
    ("shot_noise_2", "ea4037ccea90355b", None),
    ("shot_noise_3", "73727773d33cd194", None),
    ("motion_blur", "af7df170d7f1cda8", None),
    ("zoom_blur", "0fdb1af1d079e88f", Some("96588c57a418a5db")),
    ("snow", "4ad460d3bed1ecee", None),
    ("brightness", "d1bd14e19eb4e296", None),
    ("translate", "23dca9acacb96405", None),
    ("rotate", "00f9af16aa6b7469", Some("e9346d91dd9bdf25")),
    ("tilt", "2e85d4a714d62d1e", None),
    ("scale", "0d8843e45d21f554", Some("bc4424d4ec2913e1")),
    ("speckle_noise", "2a4989846348d51b", None),
    ("speckle_noise_2", "4d1f5de3161bf6a8", None),
    ("speckle_noise_3", "17fe7bf88a9b450e", None),
    ("gaussian_blur", "ade5b4e23c3321a4", None),
    ("spatter", "6f91aaa595e190a4", None),
    ("shear", "8d27f0e2d64d6dad", Some("5d21a5eb0f5a4b11")),
];

fn generator(stack: Stack) -> Generator {
    Generator::new(Options {
        stack,
        ..Options::default()
    })
}

#[test]
fn every_sequence_has_its_golden_hash_in_both_stacks() {
    assert_eq!(GOLDEN.len(), Sequence::ALL.len());
    let image = formula(32);
    let mut wrong = Vec::new();
    for (name, release, modern) in GOLDEN {
        let sequence: Sequence = name.parse().unwrap();
        for (stack, expected) in [
            (Stack::Release, release),
            (Stack::Modern, modern.unwrap_or(release)),
        ] {
            let frames = generator(stack)
                .sequence(&image, sequence, &mut NumpyRng::new(12345))
                .unwrap();
            let got = hash(&frames);
            if got != expected {
                wrong.push(format!("{name} {}: {got}, not {expected}", stack.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Frame 15 of rotate, scale and shear is the input itself in both stacks, and so are the other frames
/// that are said to be clean.
#[test]
fn a_clean_frame_is_the_image() {
    let image = formula(32);
    for stack in [Stack::Release, Stack::Modern] {
        for sequence in Sequence::ALL {
            let frames = generator(stack)
                .sequence(&image, sequence, &mut NumpyRng::new(3))
                .unwrap();
            let clean: Vec<usize> = frames
                .chunks(3072)
                .enumerate()
                .filter_map(|(at, frame)| (frame == image.data()).then_some(at))
                .collect();
            assert_eq!(clean, Vec::from_iter(sequence.clean_frame()), "{sequence}");
        }
    }
}

#[test]
fn frames_made_alone_or_in_a_batch_are_the_same() {
    let images = [formula(32).data(), &vec![77; 3072]].concat();
    let generator = Generator::default();
    for sequence in Sequence::ALL {
        let frames = sequence.frames();
        let batch = generator.sequences(sequence).seed(5).indices(&[40, 7]);
        let mut all = vec![0; 2 * frames * 3072];
        batch.run(&images, (32, 32), &mut all).unwrap();
        let mut part = vec![0; 2 * 3 * 3072];
        batch.frames(9..12).run(&images, (32, 32), &mut part).unwrap();
        for (all, part) in all.chunks(frames * 3072).zip(part.chunks(3 * 3072)) {
            assert_eq!(all[9 * 3072..12 * 3072], *part, "{sequence}");
        }
        let mut alone = vec![0; frames * 3072];
        let single = generator.sequences(sequence).seed(5).indices(&[7]);
        single.run(&images[3072..], (32, 32), &mut alone).unwrap();
        assert_eq!(alone, all[frames * 3072..], "{sequence}");
        let other = generator.sequences(sequence).seed(6).indices(&[7]);
        other.run(&images[3072..], (32, 32), &mut alone).unwrap();
        assert_eq!(
            alone == all[frames * 3072..],
            sequence.is_deterministic(),
            "{sequence}"
        );
    }
}

/// Tables and formulas are one distribution: mean and variance of 30 frames of a grey image, within six
/// standard errors of each other.
#[test]
fn keyed_noise_has_the_moments_of_the_scripts_noise() {
    let image = Image::from_raw(32, 32, vec![140; 3072]).unwrap();
    for sequence in Sequence::ALL.into_iter().filter(|sequence| sequence.is_noise()) {
        let generator = Generator::default();
        let mut keyed = vec![0; 31 * 3072];
        generator
            .sequences(sequence)
            .run(image.data(), (32, 32), &mut keyed)
            .unwrap();
        let stream = generator
            .sequence(&image, sequence, &mut NumpyRng::new(1))
            .unwrap();
        let moments = |bytes: &[u8]| {
            let noisy = bytes[3072..].iter().map(|&x| f64::from(x));
            let n = noisy.len() as f64;
            let mean = noisy.clone().sum::<f64>() / n;
            (mean, noisy.map(|x| (x - mean).powi(2)).sum::<f64>() / n, n)
        };
        let ((a, va, n), (b, vb, _)) = (moments(&keyed), moments(&stream));
        assert!(
            (a - b).abs() < 6.0 * ((va + vb) / n).sqrt(),
            "{sequence}: {a} {b}"
        );
        assert!(
            (va / vb - 1.0).abs() < 6.0 * 2.0 / n.sqrt(),
            "{sequence}: {va} {vb}"
        );
    }
}

#[test]
fn other_sizes_are_refused() {
    let image = formula(64);
    let refused = Generator::default().sequence(&image, Sequence::Tilt, &mut NumpyRng::new(0));
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
}
