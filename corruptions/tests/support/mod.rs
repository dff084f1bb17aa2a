//! The formula image of the golden hashes.

use rlnet_corruptions::Image;
use sha2::{Digest, Sha256};

/// The first 16 hexadecimal digits of the SHA-256 of `bytes`.
pub fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// value(y,x,c) = (x (5 + 2c) + y (3 + c) + floor(xy / 4) (c + 1)) mod 256, of `n` x `n` pixels.
#[allow(dead_code, reason = "a test crate needs one of the two")]
pub fn formula(n: usize) -> Image {
    formula_of(n, n)
}

/// The same of any size.
#[allow(dead_code, reason = "a test crate needs one of the two")]
pub fn formula_of(width: usize, height: usize) -> Image {
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            data.extend((0..3).map(|c| (x * (5 + 2 * c) + y * (3 + c) + x * y / 4 * (c + 1)) as u8));
        }
    }
    Image::from_raw(width, height, data).unwrap_or_else(|why| panic!("{why}"))
}
