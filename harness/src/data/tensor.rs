//! Host buffers to tensors: the only file of the room that knows libtorch.

use tch::{Device, Tensor};

use super::Batch;
use super::augment::to_chw;

/// `n` stored images (N x H x W x 3, `u8`) as an `f32` tensor N x 3 x size x size in `[0, 1]` on
/// `device`.
///
/// The division by 255 is made on the host: a GPU multiplies by the reciprocal instead, which
/// is another number in the last bit, and test images must be the same on every device.
///
/// # Panics
/// If `images` is not `n * size * size * 3` long.
pub fn images_to_tensor(images: &[u8], n: usize, size: usize, device: Device) -> Tensor {
    assert_eq!(images.len(), n * size * size * 3);
    let mut pixels = vec![0.0; images.len()];
    let bytes = (size * size * 3).max(1);
    for (image, out) in images.chunks_exact(bytes).zip(pixels.chunks_exact_mut(bytes)) {
        to_chw(image, out);
    }
    views_to_tensor(&pixels, size, device)
}

/// Views (n x 3 x size x size, as in [`Batch`]) as a tensor of that shape on `device`.
///
/// # Panics
/// If `views` holds no whole number of images.
pub fn views_to_tensor(views: &[f32], size: usize, device: Device) -> Tensor {
    let side = size as i64;
    let count = (views.len() / (size * size * 3).max(1)) as i64;
    upload(&Tensor::from_slice(views).view([count, 3, side, side]), device)
}

/// A host tensor on `device`. To a GPU it goes through page-locked memory, so that the copy
/// queues behind the work in flight instead of waiting for it.
pub fn upload(host: &Tensor, device: Device) -> Tensor {
    match device {
        // tch's `pin_memory` has libtorch warn of its argument at every call.
        Device::Cuda(_) => host
            .internal_pin_memory(device)
            .to_device_(device, host.kind(), true, false),
        _ => host.to_device(device),
    }
}

impl Batch {
    /// Clean views, n x 3 x size x size, on `device`.
    pub fn clean_tensor(&self, device: Device) -> Tensor {
        views_to_tensor(&self.clean, self.size, device)
    }

    /// AugMix views, m x 3 x size x size, on `device`.
    pub fn augmix_tensor(&self, device: Device) -> Tensor {
        views_to_tensor(&self.augmix, self.size, device)
    }

    /// Labels, n, `i64`, on `device`.
    pub fn labels_tensor(&self, device: Device) -> Tensor {
        upload(&Tensor::from_slice(&self.labels), device)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn channels_come_first_and_bytes_become_fractions() {
        // Two images of 2 x 2.
        let images: Vec<u8> = (0..24).map(|i| i * 10).collect();
        let tensor = images_to_tensor(&images, 2, 2, Device::Cpu);
        assert_eq!(tensor.size(), [2, 3, 2, 2]);
        let values: Vec<f32> = Vec::try_from(tensor.reshape([-1])).unwrap();
        // Image 1, green, row 1, column 0 is byte 12 + 2 * 3 + 1.
        assert_eq!(values[12 + 4 + 2], 190.0 / 255.0);
    }

    #[test]
    fn no_images_make_an_empty_tensor() {
        assert_eq!(images_to_tensor(&[], 0, 32, Device::Cpu).size(), [0, 3, 32, 32]);
    }
}
