//! Noise drawn from tables (keyed source) against noise drawn by the plain formulas.

#![allow(clippy::unwrap_used)]

use std::f64::consts::PI;

use rlnet_corruptions::{Corruption, Generator, Image, KeyedRng, ParameterSet, RandomSource, Severity};

/// The four that are memoryless.
const NOISES: [Corruption; 4] = [
    Corruption::GaussianNoise,
    Corruption::ShotNoise,
    Corruption::ImpulseNoise,
    Corruption::SpeckleNoise,
];

/// A keyed generator that does not say so: corruptions draw from it by the plain formulas.
struct Plain(KeyedRng);

impl RandomSource for Plain {
    fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0.below(n)
    }

    fn normal(&mut self) -> f64 {
        self.0.normal()
    }

    fn poisson(&mut self, lambda: f64) -> u64 {
        RandomSource::poisson(&mut self.0, lambda)
    }
}

/// How often each byte comes out of `side` x `side` x 3 bytes of `input`.
fn histogram(
    corruption: Corruption,
    severity: Severity,
    input: u8,
    rng: &mut dyn RandomSource,
    side: usize,
) -> [f64; 256] {
    let generator = Generator::new(rlnet_corruptions::Options {
        parameters: Some(ParameterSet::Cifar),
        ..Default::default()
    });
    let image = Image::from_raw(side, side, vec![input; side * side * 3]).unwrap();
    let made = generator.corrupt(&image, corruption, severity, rng).unwrap();
    let mut counts = [0.0; 256];
    for &byte in made.data() {
        counts[usize::from(byte)] += 1.0;
    }
    counts
}

/// True if chi-square is within five standard deviations of its mean.
fn plausible(chi2: f64, freedom: f64) -> bool {
    chi2 <= freedom + 5.0 * (2.0 * freedom).sqrt() + 10.0
}

/// Two samples of one size: sum of (a - b)^2 / (a + b), cells with few draws put together.
fn two_samples(a: &[f64; 256], b: &[f64; 256]) -> (f64, f64) {
    let (mut chi2, mut cells, mut left) = (0.0, 0.0, (0.0, 0.0));
    for (a, b) in a.iter().zip(b) {
        left = (left.0 + a, left.1 + b);
        if left.0 + left.1 >= 40.0 {
            chi2 += (left.0 - left.1).powi(2) / (left.0 + left.1);
            cells += 1.0;
            left = (0.0, 0.0);
        }
    }
    (chi2, f64::max(cells - 1.0, 1.0))
}

#[test]
fn tables_draw_what_the_formulas_draw() {
    for corruption in NOISES {
        for severity in Severity::ALL {
            for input in [0, 1, 2, 17, 100, 128, 201, 254, 255] {
                let key = [u64::from(input)];
                let table = &mut KeyedRng::new(1, "table", &key);
                let formula = &mut Plain(KeyedRng::new(2, "formula", &key));
                let a = histogram(corruption, severity, input, table, 200);
                let b = histogram(corruption, severity, input, formula, 200);
                let (chi2, freedom) = two_samples(&a, &b);
                assert!(
                    plausible(chi2, freedom),
                    "{corruption} {severity} of {input}: {chi2} at {freedom}"
                );
            }
        }
    }
}

/// Simpson's rule over the standard normal's density.
fn normal_between(low: f64, high: f64) -> f64 {
    let (low, high) = (low.clamp(-10.0, 10.0), high.clamp(-10.0, 10.0));
    let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    let steps = 2 * (1 + ((high - low) * 100.0) as usize);
    let h = (high - low) / steps as f64;
    let sum: f64 = (0..=steps)
        .map(|i| {
            let weight = match i {
                0 => 1.0,
                i if i == steps => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * density(low + h * i as f64)
        })
        .sum();
    sum * h / 3.0
}

#[test]
fn gaussian_noise_has_the_integrals_of_its_density() {
    let sigma = 0.08 * 255.0;
    for input in [0_u8, 60, 131, 250] {
        let mut rng = KeyedRng::new(3, "integral", &[u64::from(input)]);
        let severity = Severity::new(3).unwrap();
        let side = 600;
        let counts = histogram(Corruption::GaussianNoise, severity, input, &mut rng, side);
        let n = (side * side * 3) as f64;
        let (mut chi2, mut freedom) = (0.0, -1.0);
        for (k, &count) in counts.iter().enumerate() {
            let edge = |k: usize| (k as f64 - f64::from(input)) / sigma;
            let low = if k == 0 { -10.0 } else { edge(k) };
            let high = if k == 255 { 10.0 } else { edge(k + 1) };
            let expected = n * normal_between(low, high);
            if expected >= 10.0 {
                chi2 += (count - expected).powi(2) / expected;
                freedom += 1.0;
            }
        }
        assert!(
            freedom > 20.0 && plausible(chi2, freedom),
            "{input}: {chi2} at {freedom}"
        );
    }
}

/// Which bytes can come out at all: exact, whatever the draws.
#[test]
fn black_stays_black_and_shots_are_whole_photons() {
    for severity in Severity::ALL {
        let draw = |corruption, input| {
            let mut rng = KeyedRng::new(4, "support", &[u64::from(input)]);
            histogram(corruption, severity, input, &mut rng, 100)
        };
        let all = f64::from(3 * 100 * 100);
        assert_eq!(draw(Corruption::SpeckleNoise, 0)[0], all);
        assert_eq!(draw(Corruption::ShotNoise, 0)[0], all);
        let photons = [500.0, 250.0, 100.0, 75.0, 50.0][usize::from(severity.get() - 1)];
        let levels: Vec<usize> = (0..=photons as u32)
            .map(|count| (f64::from(count) / photons * 255.0) as usize)
            .collect();
        for (byte, count) in draw(Corruption::ShotNoise, 140).into_iter().enumerate() {
            assert!(count == 0.0 || levels.contains(&byte), "{byte}");
        }
        let impulse = draw(Corruption::ImpulseNoise, 77);
        assert_eq!(impulse[0] + impulse[77] + impulse[255], all);
    }
}

/// Neighbours in an image draw on their own: the table's words are not shared between bytes.
#[test]
fn neighbouring_bytes_are_uncorrelated() {
    let image = Image::from_raw(32, 32, vec![128; 3072]).unwrap();
    for corruption in NOISES {
        let (mut product, mut square, mut n) = (0.0, 0.0, 0.0);
        for index in 0..200 {
            let made = Generator::default()
                .corrupt_keyed(&image, corruption, Severity::new(5).unwrap(), 6, index)
                .unwrap();
            let values: Vec<f64> = made.data().iter().map(|&v| f64::from(v)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            for pair in values.windows(2) {
                product += (pair[0] - mean) * (pair[1] - mean);
                square += (pair[0] - mean).powi(2);
                n += 1.0;
            }
        }
        let correlation = product / square;
        assert!(
            correlation.abs() < 5.0 / f64::sqrt(n),
            "{corruption}: {correlation}"
        );
    }
}
