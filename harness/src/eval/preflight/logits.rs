//! What can be read from logits alone. A class may be left out with -inf or a large negative number: no
//! check may lose its sight by that, so nothing here is measured against the largest of all numbers.

use crate::attack::objective::left_out;
use tch::{Kind, Tensor};

/// A relative difference of logits that rounding cannot explain (AutoAttack's own threshold, for
/// logits of about 1).
const DIFFERENT: f64 = 1e-4;

/// Whether a logit is NaN or plus infinity, or an image has no finite one.
pub(super) fn undefined(logits: &Tensor) -> bool {
    let wrong = logits.isnan().logical_or(&logits.isposinf());
    let nothing = logits.isfinite().any_dim(1, false).logical_not();
    any(&wrong) || any(&nothing)
}

/// Whether all logits that are not left out lie in `[0, 1]`. Of a sigmoid they need not sum to one;
/// logits do not all lie there by chance, but those of a quantised model may, as whole numbers.
pub(super) fn are_probabilities(logits: &Tensor) -> bool {
    let seen = logits.isfinite().logical_and(&left_out(logits).logical_not());
    let inside = logits.ge(0.0).logical_and(&logits.le(1.0));
    let outside = seen.logical_and(&inside.logical_not());
    let broken = seen.logical_and(&logits.frac().ne(0.0));
    any(&seen) && !any(&outside) && any(&broken)
}

/// Whether two sets of logits `[N, classes]` of the same images differ by more than rounding: each
/// element against its own size, the two largest finite logits of its row and the typical row, so that
/// logits may be of any scale. Finite against not finite is a difference.
pub(super) fn differ(one: &Tensor, other: &Tensor) -> bool {
    let (finite, as_well) = (one.isfinite(), other.isfinite());
    let equal = equal(one, other);
    let both = finite.logical_and(&as_well);
    if any(&both.logical_or(&equal).logical_not()) {
        return true;
    }
    let known = one.masked_fill(&both.logical_not(), f64::NEG_INFINITY);
    let top = known.topk(known.size()[1].min(2), 1, true, true).0;
    let row = top
        .masked_fill(&top.isfinite().logical_not(), 0.0)
        .abs()
        .amax([1_i64].as_slice(), true);
    let zero = both.logical_not();
    let (one, other) = (one.masked_fill(&zero, 0.0), other.masked_fill(&zero, 0.0));
    let scale = one.abs().maximum(&row).maximum(&row.median());
    any(&(&one - other).abs().gt_tensor(&(scale * DIFFERENT)))
}

/// Whether two sets of logits are the same numbers.
pub(super) fn are_equal(one: &Tensor, other: &Tensor) -> bool {
    !any(&equal(one, other).logical_not())
}

fn equal(one: &Tensor, other: &Tensor) -> Tensor {
    let neither = one.isnan().logical_and(&other.isnan());
    one.eq_tensor(other).logical_or(&neither)
}

fn any(flags: &Tensor) -> bool {
    flags.to_kind(Kind::Bool).any().int64_value(&[]) != 0
}
