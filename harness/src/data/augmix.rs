//! AugMix (Hendrycks et al., ICLR 2020) with the settings of the published RLNet code.
//!
//! Three chains of one to three operations, chain weights from Dirichlet(1, 1, 1), mixed with the
//! image itself by a weight from Beta(1, 1). The nine operations leave out those that overlap with
//! the test corruptions (colour, contrast, brightness, sharpness). No consistency loss belongs to it.
//!
//! The published code normalises every chain before mixing. Here the mix is made in `[0, 1]` and
//! normalised later, in the network: the weights sum to one and normalisation is affine, so the
//! two are the same function. The scale of translations is the image's side; the published code
//! has the constant 32 there, which its users had to edit for larger images.

pub mod ops;

use rlnet_corruptions::random::KeyedRng;

use super::augment::to_chw;
use ops::Op;

/// Number of chains.
pub const WIDTH: usize = 3;
/// Most operations in a chain; the number is uniform in `1..=MAX_DEPTH`.
pub const MAX_DEPTH: u64 = 3;
/// Upper end of an operation's level, out of 10; the lower end is 0.1.
pub const SEVERITY: f64 = 3.0;

/// Writes the AugMix view of `image` (size x size x 3, already cropped and flipped) to `out`
/// (3 x size x size, `f32` in `[0, 1]`).
///
/// # Panics
/// If either slice is not `size * size * 3` long.
pub fn augmix(image: &[u8], size: usize, rng: &mut KeyedRng, out: &mut [f32]) {
    assert!(image.len() == size * size * 3 && out.len() == image.len());
    let weights = dirichlet(rng);
    // Beta(1, 1) is the uniform distribution.
    let mixed = rng.uniform() as f32;
    let mut chains = vec![0.0_f32; out.len()];
    let mut scratch = vec![0.0_f32; out.len()];
    for weight in weights {
        let mut chain = image.to_vec();
        for _ in 0..=rng.below(MAX_DEPTH) {
            chain = draw_op(rng, size).apply(&chain, size);
        }
        to_chw(&chain, &mut scratch);
        for (sum, &value) in chains.iter_mut().zip(&scratch) {
            *sum += weight * value;
        }
    }
    to_chw(image, &mut scratch);
    for ((out, &own), &chain) in out.iter_mut().zip(&scratch).zip(&chains) {
        // Rounding in the weights can pass 1 by an ulp; what follows relies on [0, 1].
        *out = ((1.0 - mixed) * own + mixed * chain).clamp(0.0, 1.0);
    }
}

/// Dirichlet(1, 1, 1): unit exponentials divided by their sum.
fn dirichlet(rng: &mut KeyedRng) -> [f32; WIDTH] {
    // uniform() is below 1, so the logarithm is finite.
    let draws: [f64; WIDTH] = std::array::from_fn(|_| -(1.0 - rng.uniform()).ln());
    let sum: f64 = draws.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    draws.map(|draw| (draw / sum) as f32)
}

/// One of the nine operations, uniformly, at its own random level and sign.
pub(super) fn draw_op(rng: &mut KeyedRng, size: usize) -> Op {
    let kind = rng.below(9);
    let level = 0.1 + (SEVERITY - 0.1) * rng.uniform();
    let sign = if rng.below(2) == 1 { -1.0 } else { 1.0 };
    // Levels are out of 10; integer parameters are truncated before the sign is put on.
    let shear = sign * level * 0.3 / 10.0;
    let pixels = sign * (level * (size as f64 / 3.0) / 10.0).floor();
    match kind {
        0 => Op::AutoContrast,
        1 => Op::Equalize,
        2 => Op::Posterize {
            bits: 4 - (level * 4.0 / 10.0) as u32,
        },
        3 => Op::Rotate {
            degrees: sign * (level * 30.0 / 10.0).floor(),
        },
        4 => Op::Solarize {
            threshold: 256 - (level * 256.0 / 10.0) as u16,
        },
        5 => Op::ShearX { factor: shear },
        6 => Op::ShearY { factor: shear },
        7 => Op::TranslateX { pixels },
        _ => Op::TranslateY { pixels },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stay_in_the_published_ranges() {
        let mut kinds = [0_u32; 9];
        for index in 0..9_000 {
            let mut rng = KeyedRng::new(0, "ops", &[index]);
            let (kind, fine) = match draw_op(&mut rng, 32) {
                Op::AutoContrast => (0, true),
                Op::Equalize => (1, true),
                Op::Posterize { bits } => (2, bits == 3 || bits == 4),
                Op::Rotate { degrees } => (3, degrees.abs() <= 8.0 && degrees.fract() == 0.0),
                Op::Solarize { threshold } => (4, (180..=254).contains(&threshold)),
                Op::ShearX { factor } => (5, (0.003..0.09).contains(&factor.abs())),
                Op::ShearY { factor } => (6, (0.003..0.09).contains(&factor.abs())),
                Op::TranslateX { pixels } => (7, pixels.abs() <= 3.0 && pixels.fract() == 0.0),
                Op::TranslateY { pixels } => (8, pixels.abs() <= 3.0 && pixels.fract() == 0.0),
            };
            assert!(fine, "operation {kind} of draw {index} is out of range");
            kinds[kind] += 1;
        }
        // Five standard deviations of a binomial with n = 9000, p = 1/9.
        assert!(kinds.iter().all(|&k| k.abs_diff(1000) < 150), "{kinds:?}");
    }

    #[test]
    fn translations_scale_with_the_image() {
        let farthest = |size| {
            (0..2_000)
                .map(|i| match draw_op(&mut KeyedRng::new(0, "ops", &[i]), size) {
                    Op::TranslateX { pixels } => pixels.abs(),
                    _ => 0.0,
                })
                .fold(0.0, f64::max)
        };
        assert_eq!((farthest(32), farthest(64)), (3.0, 6.0));
    }

    #[test]
    fn chain_weights_are_dirichlet() {
        let n = 20_000;
        let (mut sum, mut squares) = ([0.0; WIDTH], 0.0);
        for i in 0..n {
            let w = dirichlet(&mut KeyedRng::new(0, "weights", &[i])).map(f64::from);
            assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            (0..WIDTH).for_each(|k| sum[k] += w[k]);
            squares += w[0] * w[0];
        }
        // Mean 1/3 and second moment 1/6; standard deviation of a weight is sqrt(1/18).
        let bound = 5.0 * (1.0 / 18.0 / n as f64).sqrt();
        assert!(sum.iter().all(|s| (s / n as f64 - 1.0 / 3.0).abs() < bound));
        assert!((squares / n as f64 - 1.0 / 6.0).abs() < bound);
    }

    #[test]
    fn the_view_depends_on_its_key_alone_and_stays_in_range() {
        let image: Vec<u8> = (0..32 * 32 * 3).map(|i| (i * 7 % 256) as u8).collect();
        let view = |key| {
            let mut out = vec![f32::NAN; image.len()];
            augmix(&image, 32, &mut KeyedRng::new(0, "augmix", &[key]), &mut out);
            out
        };
        assert_eq!(view(1), view(1));
        assert_ne!(view(1), view(2));
        assert!((0..100).flat_map(view).all(|v| (0.0..=1.0).contains(&v)));
    }
}
