//! How wide a ring a network needs: verdicts that change, and the layer that overflows first, ring by ring.

use super::classifier::{FixedPointModel, product_layers, product_loads};
use crate::error::Result;
use crate::eval::judge::judge;
use crate::eval::verdict::floats;
use crate::nn::Network;
use rlnet_suites::{Branch, FixedPoint};
use serde::Serialize;
use tch::{Tensor, no_grad_guard};

/// Verdicts that a ring may change: 0.1 %.
pub const TOLERATED: f64 = 0.001;

/// Rings narrower than the first that a product does not fit into.
const NARROWER: u32 = 8;

/// Images of one pass.
const BATCH: i64 = 64;

/// What the products of a layer need.
#[derive(Debug, Clone, Serialize)]
pub struct LayerWidth {
    /// The layer.
    pub layer: String,
    /// The largest magnitude of its products over the images.
    pub largest: f64,
    /// Bits of the narrowest ring that they fit into.
    pub bits: u32,
}

/// What a ring does to verdicts.
#[derive(Debug, Clone, Serialize)]
pub struct RingWidth {
    /// Its size.
    pub bits: u32,
    /// Images whose class is not that of floating point.
    pub changed: usize,
    /// Images with their own class.
    pub right: usize,
    /// The first layer whose products do not fit, if one does not.
    pub overflows_at: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Widths {
    /// Images.
    pub images: usize,
    /// Images that floating point has right.
    pub right: usize,
    /// Layers in execution order.
    pub layers: Vec<LayerWidth>,
    /// Rings from the widest on.
    pub rings: Vec<RingWidth>,
    /// The narrowest ring such that it and every wider one change no more verdicts than are tolerated.
    pub smallest: Option<u32>,
}

/// Tries rings from one that every product fits into to narrower ones; `fixed` says all but their size.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn widths(
    mut load: impl FnMut() -> Result<Network>,
    fixed: FixedPoint,
    branch: Branch,
    images: &Tensor,
    labels: &[u16],
) -> Result<Widths> {
    let _guard = no_grad_guard();
    let names = product_layers(&load()?);
    let twin = load()?.into_frozen();
    let parts = || {
        (0..images.size()[0])
            .step_by(BATCH as usize)
            .map(|from| images.narrow(0, from, BATCH.min(images.size()[0] - from)))
    };
    let classes = |logits: &dyn Fn(&Tensor) -> Tensor| -> Vec<u16> {
        let mut all = Vec::new();
        for part in parts() {
            let logits = logits(&part);
            let width = logits.size()[1] as usize;
            all.extend(
                floats(&logits)
                    .chunks_exact(width)
                    .map(|row| judge(row, 0).prediction),
            );
        }
        all
    };
    let mut largest = vec![0.0_f64; names.len()];
    for part in parts() {
        let loads = floats(&product_loads(&twin, &part, branch).amax([0_i64].as_slice(), false));
        for (largest, load) in largest.iter_mut().zip(loads) {
            *largest = largest.max(f64::from(load));
        }
    }
    let layers: Vec<LayerWidth> = names
        .into_iter()
        .zip(largest)
        .map(|(layer, largest)| LayerWidth {
            layer,
            largest,
            bits: bits_for(largest, fixed.frac),
        })
        .collect();
    let floating = classes(&|part| twin.logits(part, branch));
    let right = |said: &[u16]| {
        said.iter()
            .zip(labels)
            .filter(|(said, label)| said == label)
            .count()
    };
    let widest = layers.iter().map(|layer| layer.bits).max().unwrap_or(64);
    let (from, to) = (
        (widest + 1).min(64),
        widest.saturating_sub(NARROWER).max(2 * fixed.frac + 1).max(8),
    );
    let mut rings = Vec::new();
    for bits in std::iter::once(64).chain((to..=from.min(63)).rev()) {
        let model = FixedPointModel::new(load()?, FixedPoint { bits, ..fixed });
        let said = classes(&|part| model.ring_logits(part, branch));
        let first = layers.iter().find(|layer| layer.bits > bits);
        rings.push(RingWidth {
            bits,
            changed: said.iter().zip(&floating).filter(|(a, b)| a != b).count(),
            right: right(&said),
            overflows_at: first.map(|layer| layer.layer.clone()),
        });
    }
    let tolerated = |ring: &&RingWidth| ring.changed as f64 <= TOLERATED * labels.len() as f64;
    Ok(Widths {
        images: labels.len(),
        right: right(&floating),
        smallest: rings.iter().take_while(tolerated).last().map(|ring| ring.bits),
        layers,
        rings,
    })
}

/// Bits of the narrowest ring with room for products of this magnitude with twice so many fraction bits.
fn bits_for(largest: f64, frac: u32) -> u32 {
    let whole = (largest * 2_f64.powi(2 * frac as i32)).max(1.0);
    whole.log2().floor() as u32 + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_wide_enough_exactly_when_the_product_is_below_its_half() {
        for (largest, frac, bits) in [(1.0, 4, 10), (0.99, 4, 9), (127.9, 0, 8), (128.0, 0, 9)] {
            assert_eq!(bits_for(largest, frac), bits, "{largest}");
        }
    }
}
