//! Random draws of attacks, one generator an image.

use super::target::{Draws, Target};
use crate::data::upload;
use rayon::prelude::*;
use rlnet_corruptions::random::KeyedRng;
use tch::{Device, Kind, Tensor};

impl Target<'_> {
    /// The generator of one image (by its row) for a purpose.
    pub fn rng(&self, purpose: &str, key: &[u64], row: usize) -> KeyedRng {
        let seed = match self.draws {
            Draws::Keyed(seed) | Draws::Stream(seed) => seed,
        };
        let mut full = key.to_vec();
        full.push(u64::from(self.indices[row]));
        KeyedRng::new(seed, purpose, &full)
    }

    /// Values uniform in `[-scale, scale)` of the images' shape. `key` tells apart what would
    /// otherwise be the same draw (restart, target class, iteration).
    pub fn uniform(&self, scale: f64, purpose: &str, key: &[u64]) -> Tensor {
        self.uniform_each(scale, purpose, &|_| key.to_vec())
    }

    /// As [`Target::uniform`], with a key for each row.
    pub(super) fn uniform_each(&self, scale: f64, purpose: &str, key: RowKey<'_>) -> Tensor {
        match self.draws {
            Draws::Keyed(seed) => uniform_each(&self.images, scale, seed, purpose, key, &self.indices),
            Draws::Stream(_) => {
                let drawn = Tensor::rand(self.images.size(), (Kind::Float, Device::Cpu));
                ((drawn * 2.0 - 1.0) * scale).to_device(self.images.device())
            }
        }
    }

    /// Standard normal values of the images' shape.
    pub fn normal(&self, purpose: &str, key: &[u64]) -> Tensor {
        self.normal_each(purpose, &|_| key.to_vec())
    }

    /// As [`Target::normal`], with a key for each row.
    pub(super) fn normal_each(&self, purpose: &str, key: RowKey<'_>) -> Tensor {
        match self.draws {
            Draws::Keyed(_) => {
                let each = self.images.numel() / self.len().max(1);
                let mut values = Vec::with_capacity(self.images.numel());
                for row in 0..self.len() {
                    let mut rng = self.rng(purpose, &key(row), row);
                    values.extend((0..each).map(|_| rng.normal() as f32));
                }
                let host = Tensor::from_slice(&values).reshape(self.images.size());
                upload(&host, self.images.device())
            }
            Draws::Stream(_) => {
                Tensor::randn(self.images.size(), (Kind::Float, Device::Cpu)).to_device(self.images.device())
            }
        }
    }
}

/// What tells apart a row's draws beside purpose and image.
pub(super) type RowKey<'a> = &'a (dyn Fn(usize) -> Vec<u64> + Sync);

/// Values uniform in `[-scale, scale)` in the shape of `images`, keyed by
/// `(seed, purpose, key..., image)`.
pub fn uniform(
    images: &Tensor,
    scale: f64,
    seed: u64,
    purpose: &str,
    key: &[u64],
    indices: &[u32],
) -> Tensor {
    uniform_each(images, scale, seed, purpose, &|_| key.to_vec(), indices)
}

fn uniform_each(
    images: &Tensor,
    scale: f64,
    seed: u64,
    purpose: &str,
    key: RowKey<'_>,
    indices: &[u32],
) -> Tensor {
    let per_image = images.numel() / indices.len().max(1);
    let mut values = vec![0.0_f32; images.numel()];
    let rows = values
        .par_chunks_exact_mut(per_image.max(1))
        .zip(indices)
        .enumerate();
    rows.for_each(|(place, (row, &index))| {
        let mut full_key = key(place);
        full_key.push(u64::from(index));
        let mut rng = KeyedRng::new(seed, purpose, &full_key);
        // Two 32-bit draws a word: 24 bits are all an f32 can hold.
        for pair in row.chunks_mut(2) {
            let word = rng.next_u64();
            for (value, half) in pair.iter_mut().zip([word >> 32, word & 0xffff_ffff]) {
                let unit = half as f64 / (1_u64 << 32) as f64;
                *value = (scale * (2.0 * unit - 1.0)) as f32;
            }
        }
    });
    upload(
        &Tensor::from_slice(&values).reshape(images.size()),
        images.device(),
    )
}
