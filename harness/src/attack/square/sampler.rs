//! What Square draws: signs, positions, orientations.

use crate::attack::active::PerRow;
use crate::attack::stream::TorchStream;
use crate::attack::target::Target;
use rlnet_corruptions::random::KeyedRng;
use tch::{Device, Tensor};

/// Where the draws come from.
pub(super) enum PatchSampler {
    /// One generator an image, in the order of the images still searched for.
    Keyed(Vec<KeyedRng>),
    /// The reference's stream: positions and orientations are the whole batch's.
    Stream(TorchStream),
}

impl PatchSampler {
    /// Each image's generator for one restart.
    pub(super) fn keyed(target: &Target<'_>, restart: u64) -> Self {
        let rng = |row| target.rng("square", &[restart], row);
        Self::Keyed((0..target.len()).map(rng).collect())
    }

    /// Signs `[images, shape...]`; with `shared` the reference draws one image's for all.
    pub(super) fn signs(&mut self, images: i64, shape: [i64; 3], shared: bool, device: Device) -> Tensor {
        let [c, h, w] = shape;
        match self {
            Self::Keyed(rngs) => {
                let each = (c * h * w) as usize;
                let mut values = Vec::with_capacity(rngs.len() * each);
                for rng in rngs {
                    let mut word = 0;
                    values.extend((0..each).map(|i| {
                        if i % 64 == 0 {
                            word = rng.next_u64();
                        }
                        if word >> (i % 64) & 1 == 1 { 1.0_f32 } else { -1.0 }
                    }));
                }
                Tensor::from_slice(&values)
                    .reshape([images, c, h, w])
                    .to_device(device)
            }
            Self::Stream(stream) => {
                let drawn = if shared { 1 } else { images };
                (stream.rand(&[drawn, c, h, w], device) * 2.0 - 1.0).sign()
            }
        }
    }

    /// Upper left corners of patches, rows and columns, each `[images]` or `[1]` int64. The
    /// rooms are the largest positions; the reference never reaches them.
    pub(super) fn corners(&mut self, rooms: [i64; 2], device: Device) -> [Tensor; 2] {
        match self {
            Self::Keyed(rngs) => {
                let (mut tops, mut lefts) = (Vec::new(), Vec::new());
                for rng in rngs {
                    tops.push(rng.below(rooms[0] as u64 + 1) as i64);
                    lefts.push(rng.below(rooms[1] as u64 + 1) as i64);
                }
                [tops, lefts].map(|values| Tensor::from_slice(&values).to_device(device))
            }
            Self::Stream(stream) => rooms.map(|room| {
                let place = (room as f32 * stream.unit()) as i64;
                Tensor::from_slice(&[place]).to_device(device)
            }),
        }
    }

    /// Which patches are turned by a right angle, `[images]` or `[1]` bool.
    pub(super) fn turns(&mut self, device: Device) -> Tensor {
        let turns: Vec<bool> = match self {
            Self::Keyed(rngs) => rngs.iter_mut().map(|rng| rng.next_u64() >> 63 == 1).collect(),
            Self::Stream(stream) => vec![stream.unit() > 0.5],
        };
        Tensor::from_slice(&turns).to_device(device)
    }
}

impl PerRow for PatchSampler {
    fn keep(&mut self, rows: &Tensor) {
        if let Self::Keyed(rngs) = self {
            rngs.keep(rows);
        }
    }
}
