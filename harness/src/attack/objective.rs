//! What an attack maximises, per image.

use tch::{Kind, Tensor};

/// A loss to maximise, one value an image, so that no image's gradient depends on its batch.
#[derive(Debug, Clone, Copy)]
pub enum Objective<'a> {
    /// Cross entropy against labels `[N]`.
    CrossEntropy(&'a Tensor),
    /// `KL(teacher || model)` at a temperature, teacher logits `[N, classes]`: the inner
    /// attack of robust soft-label distillation (Zi et al., RSLAD, ICCV 2021). The factor T²
    /// is left out: a sign step does not see it.
    Distillation {
        /// The teacher's logits, constants.
        teacher: &'a Tensor,
        /// Softens both sides.
        temperature: f64,
    },
}

impl Objective<'_> {
    /// The loss of each image, `[N]`.
    pub fn per_image(&self, logits: &Tensor) -> Tensor {
        match self {
            Self::CrossEntropy(labels) => {
                logits.cross_entropy_loss::<Tensor>(labels, None, tch::Reduction::None, -100, 0.0)
            }
            Self::Distillation { teacher, temperature } => {
                let target = (*teacher / *temperature).log_softmax(1, Kind::Float);
                let log_p = (logits / *temperature).log_softmax(1, Kind::Float);
                (target.exp() * (target - log_p)).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
            }
        }
    }
}
