//! The one place where the gradient of an image is taken.

use crate::error::Result;
use tch::Tensor;

/// The gradient of a number with respect to points that ask for one. It is zero where the number
/// does not depend on them: where a model cuts its output from its input (`detach`, `round`
/// through integers, a constant), libtorch has no gradient to give, and an attack that follows
/// none stays at its random start. `again` keeps the graph for another number of the same pass.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn gradient(of: &Tensor, points: &Tensor, again: bool) -> Result<Tensor> {
    if of.requires_grad() {
        let gradient = Tensor::f_run_backward(&[of], &[points], again, false)?.remove(0);
        // A weight of the model may ask for gradients where the image is cut off.
        if gradient.defined() {
            return Ok(gradient);
        }
    }
    Ok(points.detach().zeros_like())
}
