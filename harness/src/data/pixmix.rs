//! PixMix (Hendrycks et al., CVPR 2022) and Gaussian noise: other views for the augmented role.
//!
//! PixMix starts from the image or one of AugMix's operations on it, and up to four times adds or
//! multiplies another such copy, or a fractal. Settings are those of the authors' CIFAR script
//! (k = 4, beta = 3, severity 3); the fractals are ours ([`super::fractal`]).

use super::augment::to_chw;
use super::augmix::draw_op;
use super::fractal;
use rlnet_corruptions::random::KeyedRng;

/// Most mixings; their number is uniform in `0..=MIXINGS`.
const MIXINGS: u64 = 4;
/// Larger means closer to the image.
const BETA: f64 = 3.0;
/// Largest deviation of Gaussian noise; each image's is uniform up to it. (Training on Gaussian
/// noise: Ford et al., ICML 2019. The range is our choice: it ends at severity 5 of the benchmark's
/// own Gaussian noise on 32 pixels, so this view trains on a test corruption, unlike the others.)
const DEVIATION: f64 = 0.1;

/// Writes the PixMix view of `image` (size x size x 3, already cropped and flipped) to `out`
/// (3 x size x size, `f32` in `[0, 1]`).
///
/// # Panics
/// If either slice is not `size * size * 3` long.
pub fn pixmix(image: &[u8], size: usize, rng: &mut KeyedRng, out: &mut [f32]) {
    assert!(image.len() == size * size * 3 && out.len() == image.len());
    if coin(rng) {
        to_chw(&draw_op(rng, size).apply(image, size), out);
    } else {
        to_chw(image, out);
    }
    let picture = rng.below(fractal::PICTURES);
    let mut other = vec![0.0_f32; out.len()];
    for _ in 0..rng.below(MIXINGS + 1) {
        if coin(rng) {
            to_chw(&draw_op(rng, size).apply(image, size), &mut other);
        } else {
            fractal::picture(picture, size, &mut other);
        }
        let product = coin(rng);
        let (a, b) = weights(rng);
        for (mixed, &other) in out.iter_mut().zip(&other) {
            let value = match product {
                true => multiply(*mixed, other, a, b),
                false => add(*mixed, other, a, b),
            };
            *mixed = value.clamp(0.0, 1.0);
        }
    }
}

/// Writes the image with Gaussian noise to `out`, as [`pixmix`].
///
/// # Panics
/// If either slice is not `size * size * 3` long.
pub fn gaussian(image: &[u8], size: usize, rng: &mut KeyedRng, out: &mut [f32]) {
    assert!(image.len() == size * size * 3 && out.len() == image.len());
    to_chw(image, out);
    let deviation = DEVIATION * rng.uniform();
    for value in out {
        let noisy = f64::from(*value) + deviation * rng.normal();
        *value = noisy.clamp(0.0, 1.0) as f32;
    }
}

fn coin(rng: &mut KeyedRng) -> bool {
    rng.below(2) == 1
}

/// Weights of the image and of what is mixed in: `Beta(3, 1)` and `Beta(1, 3)`, or the image
/// strengthened by a `Beta(1, 3)` and the other taken away with one. Of `u` uniform, `u^(1/b)` is
/// `Beta(b, 1)` and one minus it `Beta(1, b)`.
fn weights(rng: &mut KeyedRng) -> (f32, f32) {
    let mut large = || rng.uniform().powf(1.0 / BETA);
    let (a, b) = (large(), 1.0 - large());
    let (a, b) = if coin(rng) { (a, b) } else { (2.0 - a, -b) };
    (a as f32, b as f32)
}

/// A weighted sum around mid-grey.
fn add(image: f32, other: f32, a: f32, b: f32) -> f32 {
    (a * (image * 2.0 - 1.0) + b * (other * 2.0 - 1.0) + 1.0) / 2.0
}

/// A weighted geometric mean around mid-grey. The floor keeps a black pixel with a negative
/// exponent finite.
fn multiply(image: f32, other: f32, a: f32, b: f32) -> f32 {
    (image * 2.0).powf(a) * (other * 2.0).max(1e-37).powf(b) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    type View = fn(&[u8], usize, &mut KeyedRng, &mut [f32]);

    fn image() -> Vec<u8> {
        (0..32 * 32 * 3).map(|i| (i * 7 % 256) as u8).collect()
    }

    fn drawn(view: View, key: u64) -> Vec<f32> {
        let mut out = vec![f32::NAN; 32 * 32 * 3];
        view(&image(), 32, &mut KeyedRng::new(0, "view", &[key]), &mut out);
        out
    }

    #[test]
    fn views_depend_on_their_key_alone_and_stay_in_range() {
        for view in [pixmix as View, gaussian] {
            assert_eq!(drawn(view, 1), drawn(view, 1));
            assert_ne!(drawn(view, 1), drawn(view, 2));
            let values = (0..100).flat_map(|key| drawn(view, key));
            assert!(values.into_iter().all(|v| (0.0..=1.0).contains(&v)));
        }
    }

    #[test]
    fn mixing_with_no_weight_changes_nothing() {
        for value in [0.0, 0.25, 1.0] {
            assert_eq!(add(value, 0.7, 1.0, 0.0), value);
            assert_eq!(multiply(value, 0.7, 1.0, 0.0), value);
        }
        // Around mid-grey: grey stays grey.
        assert!((add(0.5, 0.5, 0.3, 0.9) - 0.5).abs() < 1e-7);
        assert!((multiply(0.5, 0.5, 0.3, 0.9) - 0.5).abs() < 1e-7);
        assert!(multiply(0.0, 0.0, 1.5, -0.5).is_finite());
    }

    /// Beta(3, 1) has mean 3/4, Beta(1, 3) mean 1/4; standard deviation of both sqrt(3/80).
    #[test]
    fn weights_have_their_means() {
        let n = 20_000;
        let (mut near, mut far) = ((0, 0.0, 0.0), (0, 0.0, 0.0));
        for key in 0..n {
            let (a, b) = weights(&mut KeyedRng::new(0, "weights", &[key]));
            let (side, a, b) = if b >= 0.0 {
                (&mut near, a, b)
            } else {
                (&mut far, a - 1.0, -b)
            };
            side.0 += 1;
            side.1 += f64::from(a);
            side.2 += f64::from(b);
        }
        let bound = 5.0 * (3.0_f64 / 80.0 / (n as f64 / 2.0)).sqrt();
        let off = |sum: f64, count: i32, mean: f64| (sum / f64::from(count) - mean).abs();
        assert!(off(near.1, near.0, 0.75) < bound && off(near.2, near.0, 0.25) < bound);
        assert!(off(far.1, far.0, 0.25) < bound && off(far.2, far.0, 0.25) < bound);
        // Five standard deviations of a fair coin.
        assert!((near.0 - 10_000).abs() < 354, "{}", near.0);
    }

    #[test]
    fn noise_has_the_deviation_of_a_uniform_mixture() {
        // Mid-grey, so that hardly anything is clipped. E[s²] of s uniform up to 0.1 is 0.01 / 3.
        let grey = vec![128_u8; 32 * 32 * 3];
        let (mut sum, mut n) = (0.0, 0.0);
        for key in 0..400 {
            let mut out = vec![0.0; grey.len()];
            gaussian(&grey, 32, &mut KeyedRng::new(0, "noise", &[key]), &mut out);
            sum += out
                .iter()
                .map(|v| f64::from(v - 128.0 / 255.0).powi(2))
                .sum::<f64>();
            n += out.len() as f64;
        }
        // The deviation of an image's s² is 0.01 * sqrt(4/45); five of the mean's over 400.
        assert!((sum / n - 0.01 / 3.0).abs() < 5.0 * 0.01 * (4.0_f64 / 45.0).sqrt() / 20.0);
    }
}
