//! Auto-PGD's steps in L1 (Croce and Hein, ICML 2021, arXiv 2103.01208, section 3): they move
//! few values, fewer as the best perturbation becomes sparser.

use crate::attack::active::per_row;
use crate::attack::ball::per_image;
use tch::{Kind, Tensor};

/// How much sparser the next steps are than the best perturbation, and by how much a step
/// shrinks (algorithm 1).
const SPARSER: f64 = 1.5;

/// Steps between two checks, as a share of all.
const EVERY: f64 = 0.04;

/// The smallest step, as a share of the first.
const LEAST: f64 = 0.1;

/// A perturbation that lost a twentieth of its values counts as sparser.
const SAME: f64 = 0.95;

/// How sparse the next step of each image is.
#[derive(Debug)]
pub(super) struct Sparsity {
    /// Non-zero values of the best perturbation at the last check, `[N]`.
    before: Tensor,
    /// Steps between two checks, and those made since the last.
    every: usize,
    passed: usize,
    /// Whether roundings are the reference's.
    replays: bool,
}

fn nonzero(delta: &Tensor) -> Tensor {
    delta
        .not_equal(0.0)
        .flatten(1, -1)
        .sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
}

impl Sparsity {
    pub(super) fn new(start: &Tensor, images: &Tensor, steps: usize, replays: bool) -> Self {
        Self {
            before: nonzero(&(start - images)),
            every: ((EVERY * steps as f64) as usize).max(1),
            passed: 0,
            replays,
        }
    }

    /// The signs of the largest values of each gradient, of length `length` `[N, 1, 1, 1]` in L1.
    pub(super) fn step_along(&self, gradient: &Tensor, length: &Tensor) -> Tensor {
        let gradient = gradient.nan_to_num(0.0, None, None);
        let flat = gradient.flatten(1, -1);
        let size = flat.abs();
        let values = size.size()[1];
        let kept = if self.replays {
            // A share of all in single precision, which may round to one value more or less.
            (1.0_f64 - &self.before / values as f64 / SPARSER) * values as f64
        } else {
            values as f64 - &self.before / SPARSER
        };
        let count = (values - kept.to_kind(Kind::Int64)).clamp(1, values);
        // The longest list that any image needs; what each takes of it is its own.
        let sorted = size.topk(count.max().int64_value(&[]), 1, true, true).0;
        let least = sorted.gather(1, &(count - 1).unsqueeze(1), false);
        let signs = flat.sign() * size.ge_tensor(&least).to_kind(flat.kind());
        let count = per_image(&nonzero(&signs).clamp_min(1.0));
        let signs = signs.reshape(gradient.size());
        if self.replays {
            return length * signs / count;
        }
        signs / count * length
    }

    /// After a step, at a check: `size` is eps again where the best perturbation (`delta`)
    /// has become sparser, and a third smaller where not. Tells who goes back to the best
    /// point.
    pub(super) fn step(&mut self, delta: &Tensor, size: &mut Tensor, eps: &Tensor) -> Option<Tensor> {
        self.passed += 1;
        if self.passed < self.every {
            return None;
        }
        self.passed = 0;
        let now = nonzero(delta);
        let sparser = (&now / &self.before).lt(SAME);
        let shrunk = (&*size / SPARSER).maximum(&(eps * LEAST)).minimum(eps);
        *size = eps.where_self(&sparser, &shrunk);
        self.before = now;
        Some(sparser)
    }
}

per_row!(Sparsity: before);
