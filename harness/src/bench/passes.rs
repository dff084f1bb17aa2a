//! Passes through a model.

use super::{Clock, Rate, noise};
use crate::attack::Classifier;
use crate::attack::lanes::in_batches;
use crate::error::Result;
use tch::Kind;

/// Images a second forward, and forward and back to the image, through a model's last branch.
///
/// # Errors
/// When the model fails.
pub fn passes(
    clock: Clock,
    name: &str,
    model: &dyn Classifier,
    batch: usize,
    side: i64,
) -> Result<Vec<Rate>> {
    let images = noise(batch, side, clock.device);
    let branch = model.branches()[model.branches().len() - 1];
    let rate = |what, seconds| Rate::new(Some(name), what, batch as f64 / seconds, "images/s");
    let forward = clock.time(|| in_batches(model, &images, branch, batch).map(drop))?;
    let mut rates = vec![rate("forward", forward)];
    if model.has_gradients() {
        let both = clock.time(|| {
            let mut tape = model.tape(&images);
            let sum = tape.logits(branch)?.sum(Kind::Float);
            tape.gradient(&sum, false).map(drop)
        })?;
        rates.push(rate("forward and backward to the image", both));
    }
    Ok(rates)
}
