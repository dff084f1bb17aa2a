//! AugMix views as test images: augmented as training images are, but never seen.

use crate::data::Split;
use crate::data::augmix::augmix;
use crate::data::tensor::views_to_tensor;
use rayon::prelude::*;
use rlnet_corruptions::random::KeyedRng;
use tch::{Device, Tensor};

/// An AugMix view of every image (not cropped, not flipped), `[N, 3, H, W]`, as 8-bit values in
/// `[0, 1]`: an image that could be stored. Keyed by the image's place in the official test set.
pub fn augmix_images(test: &Split, seed: u64, device: Device) -> Tensor {
    let bytes = (test.size * test.size * 3).max(1);
    let mut views = vec![0.0; test.images.len()];
    views
        .par_chunks_exact_mut(bytes)
        .zip(test.images.par_chunks_exact(bytes))
        .zip(&test.indices)
        .for_each(|((view, image), &index)| {
            let mut rng = KeyedRng::new(seed, "augmix.test", &[u64::from(index)]);
            augmix(image, test.size, &mut rng, view);
            for value in view {
                *value = (*value * 255.0).round() / 255.0;
            }
        });
    views_to_tensor(&views, test.size, device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::load;
    use std::path::Path;

    #[test]
    fn a_view_is_the_images_own_whatever_is_beside_it_and_has_8_bits() {
        let test = load("shapes", Path::new("")).expect("the embedded images").test;
        let (some, one) = (test.take(6), test.slice(4, 1).expect("in memory"));
        let views = augmix_images(&some, 3, Device::Cpu);
        assert_eq!(views.size(), [6, 3, test.size as i64, test.size as i64]);
        assert_eq!(augmix_images(&one, 3, Device::Cpu), views.narrow(0, 4, 1));
        assert_ne!(augmix_images(&some, 4, Device::Cpu), views);
        let bytes = &views * 255.0;
        assert!(f64::try_from((&bytes - bytes.round()).abs().max()).expect("a number") < 1e-4);
        assert!(f64::try_from(views.max()).expect("a number") <= 1.0);
    }
}
