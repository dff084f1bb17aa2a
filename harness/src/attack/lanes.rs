//! Passes in whole lanes: the bits of an image's logits and gradients do not depend on the images beside it, nor on how
//! many go through a model at a time.

use super::{Classifier, Tape};
use crate::error::Result;
use rlnet_suites::Branch;
use std::ops::Range;
use tch::{Tensor, no_grad_guard};

/// Batches are filled up to a multiple of this many images before they go through a model.
/// Matrix kernels treat the last few rows of an odd batch in another order of summation;
/// with whole lanes an image's logits and gradients are the same bits in every batch
/// (measured for libtorch 2.11 on CPUs with AVX2 and AVX-512; tested).
const LANE: i64 = 8;

/// And to at least so many: for fewer, with one thread, libtorch takes another convolution for
/// 1x1 filters of stride 1 (`ConvParams::use_mkldnn` in its `Convolution.cpp`), which
/// WideResNet, MobileNet and transformers have.
const LEAST: i64 = 16;

/// The rows of `n` images that go through a model together: about `batch` of them, as many each time, in whole lanes
/// but for the last.
pub(super) fn cuts(n: i64, batch: i64) -> Vec<Range<i64>> {
    let up = |value: i64, by: i64| (value + by - 1) / by;
    let passes = up(n, batch.max(LEAST)).max(1);
    let each = up(up(n, passes), LANE) * LANE;
    let starts = (0..passes).map(|pass| pass * each).filter(|from| *from < n);
    starts.map(|from| from..n.min(from + each)).collect()
}

/// A tape over a batch that was filled up to whole lanes.
pub(super) struct FilledTape<'a> {
    tape: Box<dyn Tape + 'a>,
    /// Images of the batch itself.
    images: i64,
}

impl<'a> FilledTape<'a> {
    /// Of images `[N, 3, H, W]`; as they are where a replay keeps the reference's batches.
    pub(super) fn new(model: &'a dyn Classifier, images: &Tensor, fill: bool) -> Self {
        let whole = if fill {
            filled(images)
        } else {
            images.shallow_clone()
        };
        Self {
            tape: model.tape(&whole),
            images: images.size()[0],
        }
    }

    pub(super) fn logits(&mut self, branch: Branch) -> Result<Tensor> {
        Ok(self.tape.logits(branch)?.narrow(0, 0, self.images))
    }

    pub(super) fn gradient(&self, loss: &Tensor, keep: bool) -> Result<Tensor> {
        Ok(self.tape.gradient(loss, keep)?.narrow(0, 0, self.images))
    }
}

/// A batch filled up to whole lanes with copies of its first image.
pub(super) fn filled(points: &Tensor) -> Tensor {
    let n = points.size()[0];
    let whole = n.max(LEAST);
    let missing = whole - n + (LANE - whole % LANE) % LANE;
    if missing == 0 || n == 0 {
        return points.shallow_clone();
    }
    let mut shape = points.size();
    shape[0] = missing;
    let filler = points.detach().narrow(0, 0, 1).expand(&shape, false);
    Tensor::cat(&[points, &filler], 0)
}

/// A model's logits with the batch filled up to whole lanes; differentiable.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn whole_lanes(model: &dyn Classifier, points: &Tensor, branch: Branch) -> Result<Tensor> {
    let n = points.size()[0];
    Ok(model.logits(&filled(points), branch)?.narrow(0, 0, n))
}

/// The same, in passes of about `batch` images; takes no gradient.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn in_batches(model: &dyn Classifier, points: &Tensor, branch: Branch, batch: usize) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let cuts = cuts(points.size()[0], batch as i64);
    if cuts.len() < 2 {
        return whole_lanes(model, points, branch);
    }
    let parts = cuts.iter();
    let parts = parts.map(|part| {
        whole_lanes(
            model,
            &points.narrow(0, part.start, part.end - part.start),
            branch,
        )
    });
    Ok(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_every_row_once_in_equal_parts() {
        for n in [0, 1, 15, 16, 17, 100, 101, 128, 500, 1001] {
            for batch in [1, 16, 100, 128, 4096] {
                let cuts = cuts(n, batch);
                let rows: Vec<i64> = cuts.iter().cloned().flatten().collect();
                assert_eq!(rows, (0..n).collect::<Vec<_>>(), "{n} in {batch}");
                for part in &cuts {
                    assert!(
                        part.end - part.start < batch.max(LEAST) + LANE,
                        "{n} in {batch}: {part:?}"
                    );
                    assert!(
                        part.start % LANE == 0 && part.end > part.start,
                        "{n} in {batch}: {part:?}"
                    );
                }
            }
        }
        assert_eq!(cuts(101, 100), [0..56, 56..101]);
    }
}
