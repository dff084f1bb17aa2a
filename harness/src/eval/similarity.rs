//! How alike a student's and its teacher's activations are, layer by layer: what a mask took
//! away, seen from inside. The mask stage keeps the ReLUs whose loss changes activations most,
//! so a good mask leaves them alike.

use crate::data::{Split, images_to_tensor};
use crate::error::{Error, Result};
use crate::nn::layers::Mode;
use crate::nn::{Network, Taps};
use rlnet_suites::LayerValue;
use tch::{Kind, Tensor, no_grad_guard};

/// Images at a time: fixed, so that sums do not depend on what else is set.
const BATCH: usize = 64;

/// Through each branch and for each ReLU layer (`layer` is its place, from 1), means over the
/// images, both networks in eval mode on the same branch:
///
/// - `cosine/BRANCH`: cosine of the angle between the two outputs of the layer;
/// - `distance/BRANCH`: length of their difference over the length of the teacher's.
///
/// # Errors
/// When the two networks differ in more than their masks and weights.
pub fn similarity(student: &Network, teacher: &Network, test: &Split) -> Result<Vec<LayerValue>> {
    if student.spec().norm != teacher.spec().norm || student.layer_shapes() != teacher.layer_shapes() {
        return Err(Error::Incompatible(format!(
            "evaluation.similarity compares a student with its teacher layer by layer, but they have \
             {} and {} with other layers or banks of batch norm; leave it out",
            student.spec().arch,
            teacher.spec().arch
        )));
    }
    let _guard = no_grad_guard();
    let device = student.params().device();
    let mut points = Vec::new();
    for &branch in student.spec().norm.branches() {
        let mut sums = vec![(0.0, 0.0); student.layers().len()];
        for from in (0..test.len()).step_by(BATCH) {
            let part = test.slice(from, BATCH.min(test.len() - from))?;
            let images = images_to_tensor(&part.images, part.len(), part.size, device);
            let outputs = |network: &Network| {
                let forward = network.forward(&images, Mode::Eval(branch), Taps::Activations);
                forward.seen.activations
            };
            let layers = outputs(student).into_iter().zip(outputs(teacher));
            for (sum, (own, theirs)) in sums.iter_mut().zip(layers) {
                let (cosine, distance) = compare(&own, &theirs)?;
                *sum = (sum.0 + cosine, sum.1 + distance);
            }
        }
        let n = test.len().max(1) as f64;
        for (layer, (cosine, distance)) in sums.into_iter().enumerate() {
            for (metric, sum) in [("cosine", cosine), ("distance", distance)] {
                points.push(LayerValue {
                    layer: layer as u32 + 1,
                    metric: format!("{metric}/{branch}"),
                    value: sum / n,
                });
            }
        }
    }
    Ok(points)
}

/// Sums over images of cosine and relative distance.
fn compare(own: &Tensor, theirs: &Tensor) -> Result<(f64, f64)> {
    let flat = |map: &Tensor| map.flatten(1, -1).to_kind(Kind::Double);
    let (own, theirs) = (flat(own), flat(theirs));
    let length = |map: &Tensor| {
        let squares = (map * map).sum_dim_intlist([1_i64].as_slice(), false, Kind::Double);
        // An output that is zero everywhere is like nothing, and not NaN.
        squares.sqrt().clamp_min(1e-12)
    };
    let dot = (&own * &theirs).sum_dim_intlist([1_i64].as_slice(), false, Kind::Double);
    let cosine = dot / (length(&own) * length(&theirs));
    let distance = length(&(&own - &theirs)) / length(&theirs);
    Ok((
        f64::try_from(cosine.sum(Kind::Double))?,
        f64::try_from(distance.sum(Kind::Double))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_images_by_hand() {
        // (3, 4) and (4, 3): cosine 24/25, distance sqrt(2)/5. (0, 0) and (0, 2): 0 and 1.
        let own = Tensor::from_slice(&[3.0_f32, 4.0, 0.0, 0.0]).reshape([2, 2, 1, 1]);
        let theirs = Tensor::from_slice(&[4.0_f32, 3.0, 0.0, 2.0]).reshape([2, 2, 1, 1]);
        let (cosine, distance) = compare(&own, &theirs).expect("numbers");
        assert!((cosine - 0.96).abs() < 1e-6, "{cosine}");
        assert!(
            (distance - (2.0_f64.sqrt() / 5.0 + 1.0)).abs() < 1e-6,
            "{distance}"
        );
    }
}
