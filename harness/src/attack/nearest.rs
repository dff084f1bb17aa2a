//! The nearest adversarial of each image seen so far: what a minimum-norm attack hands on.

use super::active::ActiveRows;
use super::ball::{length, per_image};
use super::scale;
use super::target::Target;
use crate::error::{Error, Result};
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor, no_grad_guard};

/// Sizes of the two largest logits that are ordinary, and the one that others are brought to (own choice): tolerances and
/// soft functions of logits are made for such ones.
const ORDINARY: (f64, f64) = (1e-2, 1e3);
const BROUGHT_TO: f64 = 8.0;

/// One point an image: its nearest adversarial, or the clean image while none is known.
#[derive(Debug)]
pub(super) struct Nearest {
    /// `[N, 3, H, W]`, in the box.
    pub(super) points: Tensor,
    /// `[N]`: their distances from the images; 0 for an image that the model gets wrong
    /// without any attack, infinite while nothing was found.
    pub(super) distance: Tensor,
    norm: Norm,
    /// `[N]`: what logits are multiplied by where constants stand beside them, a power of two.
    unit: Tensor,
}

impl Nearest {
    /// The clean images' verdicts, the rows that are to be attacked (the ones that the model gets right),
    /// and the clean logits `[N, classes]`.
    ///
    /// # Errors
    /// When the model knows fewer than two classes, or libtorch refuses an operation.
    pub(super) fn of_clean<'a>(target: &Target<'a>, norm: Norm) -> Result<(Self, ActiveRows<'a>, Tensor)> {
        let _guard = no_grad_guard();
        let logits = if target.is_empty() {
            Tensor::zeros([0, 2], (Kind::Float, target.images.device()))
        } else {
            target.logits(&target.images)?
        };
        let classes = logits.size()[1];
        if classes < 2 {
            return Err(Error::Incompatible(format!(
                "a minimum-norm attack looks for the nearest other class, but the model gives {classes} \
                 logit an image; evaluate a model with two classes or more"
            )));
        }
        let right = target.fooled(&logits).logical_not();
        let clean = Self {
            points: target.images.copy(),
            distance: right.to_kind(logits.kind()).masked_fill(&right, f64::INFINITY),
            norm,
            unit: unit(&logits),
        };
        Ok((clean, ActiveRows::right(target, &logits), logits))
    }

    /// The nearest adversarials `[N, 3, H, W]` that `run` offers, which sees the images that the model gets
    /// right, if there are any.
    ///
    /// # Errors
    /// When the model knows fewer than two classes, or the search fails.
    pub(super) fn search(
        target: &Target<'_>,
        norm: Norm,
        run: impl FnOnce(&ActiveRows<'_>, &mut Self) -> Result<()>,
    ) -> Result<Tensor> {
        let (mut nearest, active, _) = Self::of_clean(target, norm)?;
        if !active.is_empty() {
            run(&active, &mut nearest)?;
        }
        Ok(nearest.points)
    }

    /// Takes the points `[M, 3, H, W]` of the standing rows that fool (`[M]` bool) and are nearer than what
    /// was known. Gives the points' distances `[M]`.
    pub(super) fn offer(&mut self, rows: &ActiveRows<'_>, points: &Tensor, fooled: &Tensor) -> Tensor {
        let _guard = no_grad_guard();
        let distance = length(&(points - &rows.images), self.norm);
        let known = self.known(rows);
        let better = distance.lt_tensor(&known).logical_and(fooled);
        let kept = rows.gather(&self.points);
        rows.scatter(&points.where_self(&per_image(&better), &kept), &self.points);
        rows.scatter(&distance.where_self(&better, &known), &self.distance);
        distance
    }

    /// What the logits of the standing rows are multiplied by, `[M, 1]`, before an attack's constants meet them: 1 for logits
    /// of an ordinary size.
    pub(super) fn unit(&self, rows: &ActiveRows<'_>) -> Tensor {
        rows.gather(&self.unit).unsqueeze(1)
    }

    /// The smallest distances `[M]` known of the standing rows, infinite where none is.
    pub(super) fn known(&self, rows: &ActiveRows<'_>) -> Tensor {
        rows.gather(&self.distance)
    }
}

/// A power of two `[N]` for clean logits `[N, classes]`, so that no attack depends on what a model's logits are multiplied by.
fn unit(logits: &Tensor) -> Tensor {
    let largest = logits.topk(2, 1, true, true).0.nan_to_num(0.0, 0.0, 0.0);
    let size = length(&largest, Norm::Linf);
    let is_ordinary = size.ge(ORDINARY.0).logical_and(&size.le(ORDINARY.1));
    // Below this, one over it is no number of single precision.
    let by = scale::of(&largest).clamp_min(2.0_f64.powi(-120));
    size.ones_like().where_self(&is_ordinary, &(BROUGHT_TO / by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_brought_to_an_ordinary_size_and_ordinary_ones_stay() {
        let rows = [
            [3.0_f32, -1.0, 2.5],
            [-900.0, -950.0, -999.0],
            [3e-6, 1e-6, -8e-6],
            [2e7, 1.9e7, f32::NEG_INFINITY],
            // A class that is left out tells nothing of the others' size.
            [5.0, 4.0, -1e9],
            [0.0, 0.0, 0.0],
            [1e-38, 1e-39, 0.0],
        ];
        let logits = Tensor::from_slice(rows.as_flattened()).reshape([-1, 3]);
        let found = Vec::<f64>::try_from(unit(&logits).to_kind(Kind::Double)).expect("numbers");
        for (place, (row, unit)) in rows.iter().zip(&found).enumerate() {
            let (mantissa, size) = (unit.log2().fract(), unit * f64::from(row[0].abs()));
            assert_eq!(mantissa, 0.0, "{row:?}: {unit} is no power of two");
            match place {
                0 | 1 | 4 => assert_eq!(*unit, 1.0, "{row:?}"),
                2 | 3 => assert!((8.0..16.0).contains(&size), "{row:?}: {size}"),
                _ => assert!(unit.is_finite(), "{row:?}"),
            }
        }
    }
}
