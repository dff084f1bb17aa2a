//! Random crop with zero padding and horizontal flip, the training view of CIFAR code everywhere.
//!
//! Settings are those of the published RLNet data path: a crop of the original size out of the
//! image padded by 4 zero pixels on every side, then a flip with probability one half.

use rlnet_corruptions::random::KeyedRng;

/// Zero pixels added on every side before the crop.
pub const PADDING: usize = 4;

/// One drawn crop and flip; the same value can be applied to several images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropFlip {
    /// Top edge of the crop in the padded image, `0..=2 * PADDING`; `PADDING` is no shift.
    pub top: usize,
    /// Left edge of the crop in the padded image, as `top`.
    pub left: usize,
    /// Whether the crop is mirrored left to right.
    pub flip: bool,
}

impl CropFlip {
    /// The view that changes nothing.
    pub const IDENTITY: Self = Self {
        top: PADDING,
        left: PADDING,
        flip: false,
    };

    /// The draw for official image `index` in `epoch`; `view` separates views of one image.
    pub fn draw(seed: u64, view: &str, epoch: u32, index: u32) -> Self {
        let mut rng = KeyedRng::new(seed, view, &[u64::from(epoch), u64::from(index)]);
        let places = 2 * PADDING as u64 + 1;
        Self {
            top: rng.below(places) as usize,
            left: rng.below(places) as usize,
            flip: rng.below(2) == 1,
        }
    }

    /// Writes the view of `image` (size x size x 3) to `out` (same shape).
    ///
    /// # Panics
    /// If either slice is not `size * size * 3` long.
    pub fn apply(&self, image: &[u8], size: usize, out: &mut [u8]) {
        assert!(image.len() == size * size * 3 && out.len() == image.len());
        for (y, row) in out.chunks_exact_mut(size * 3).enumerate() {
            let source_y = (y + self.top).wrapping_sub(PADDING);
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let x = if self.flip { size - 1 - x } else { x };
                let source_x = (x + self.left).wrapping_sub(PADDING);
                if source_y < size && source_x < size {
                    let at = (source_y * size + source_x) * 3;
                    pixel.copy_from_slice(&image[at..at + 3]);
                } else {
                    pixel.fill(0);
                }
            }
        }
    }
}

/// Writes `image` (H x W x 3, `u8`) to `out` (3 x H x W) as `f32` in `[0, 1]`, each byte divided
/// by 255 in single precision, which is what torchvision's `ToTensor` gives.
///
/// # Panics
/// If `out` is not as long as `image`, or that is no multiple of 3.
pub fn to_chw(image: &[u8], out: &mut [f32]) {
    assert!(image.len() == out.len() && image.len().is_multiple_of(3));
    let plane = image.len() / 3;
    for (i, pixel) in image.chunks_exact(3).enumerate() {
        for (channel, &value) in pixel.iter().enumerate() {
            out[channel * plane + i] = f32::from(value) / 255.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 6;

    /// Every byte distinct and none 0.
    fn image() -> Vec<u8> {
        (1..=(SIZE * SIZE * 3) as u8).collect()
    }

    fn view(crop: CropFlip) -> Vec<u8> {
        let mut out = vec![9; SIZE * SIZE * 3];
        crop.apply(&image(), SIZE, &mut out);
        out
    }

    #[test]
    fn the_centre_crop_is_the_image() {
        assert_eq!(view(CropFlip::IDENTITY), image());
    }

    #[test]
    fn a_crop_up_and_left_shifts_down_and_right_and_pads_with_zeros() {
        let shifted = view(CropFlip {
            top: 2,
            left: 3,
            flip: false,
        });
        for y in 0..SIZE {
            for x in 0..SIZE {
                let pixel = &shifted[(y * SIZE + x) * 3..][..3];
                if y < 2 || x < 1 {
                    assert_eq!(pixel, [0, 0, 0]);
                } else {
                    assert_eq!(pixel, &image()[((y - 2) * SIZE + x - 1) * 3..][..3]);
                }
            }
        }
    }

    #[test]
    fn the_flip_mirrors_the_crop() {
        let crop = CropFlip {
            top: 7,
            left: 1,
            flip: false,
        };
        let plain = view(crop);
        let mirrored = view(CropFlip { flip: true, ..crop });
        for y in 0..SIZE {
            for x in 0..SIZE {
                let a = &plain[(y * SIZE + x) * 3..][..3];
                let b = &mirrored[(y * SIZE + SIZE - 1 - x) * 3..][..3];
                assert_eq!(a, b);
            }
        }
    }

    #[test]
    fn draws_cover_every_place_evenly_and_depend_on_every_key() {
        let mut counts = [[0_u32; 9]; 2];
        let mut flips = 0_u32;
        let n = 9_000;
        for index in 0..n {
            let crop = CropFlip::draw(1, "crop", 0, index);
            counts[0][crop.top] += 1;
            counts[1][crop.left] += 1;
            flips += u32::from(crop.flip);
        }
        // Five standard deviations of a binomial with n = 9000: p = 1/9 and p = 1/2.
        assert!(counts.iter().flatten().all(|&c| c.abs_diff(1000) < 150));
        assert!(flips.abs_diff(n / 2) < 240);
        let differs = |a: fn(u32) -> CropFlip| (0..50).any(|i| a(i) != CropFlip::draw(1, "crop", 0, i));
        assert!(differs(|i| CropFlip::draw(2, "crop", 0, i)));
        assert!(differs(|i| CropFlip::draw(1, "other", 0, i)));
        assert!(differs(|i| CropFlip::draw(1, "crop", 1, i)));
    }

    #[test]
    fn chw_puts_channels_first_and_divides() {
        let mut out = [0.0; 6];
        to_chw(&[0, 51, 255, 102, 153, 204], &mut out);
        assert_eq!(out, [0.0, 0.4, 0.2, 0.6, 1.0, 0.8]);
    }
}
