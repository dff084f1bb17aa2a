//! What was seen: one row per test image and condition, and one point per curve and epoch.

use crate::branch::Branch;
use crate::condition::Condition;
use serde::{Deserialize, Serialize};

/// What a network said of one test image, through one branch, under one condition.
/// Every metric of every report is a query over these rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Position in the official test set.
    pub image: u32,
    /// The branch the image was classified (and, for an attack, attacked) through.
    pub branch: Branch,
    /// What the image went through.
    pub condition: Condition,
    /// True class.
    pub label: u16,
    /// Class with the largest logit; ties go to the lower class.
    pub prediction: u16,
    /// Its class once the image is rounded to 8 bits: the same for every image but an
    /// adversarial one.
    pub rounded: u16,
    /// True logit minus the largest other logit: positive when right.
    pub margin: f32,
    /// Cross entropy in nats.
    pub loss: f32,
    /// Length of the perturbation in the attack's norm, images in `[0, 1]`; 0 without an attack.
    pub norm: f32,
    /// Forward passes spent on this image under this condition.
    pub forwards: u32,
    /// Backward passes spent on this image under this condition.
    pub backwards: u32,
}

/// One value of a training curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// 1-based epoch.
    pub epoch: u32,
    /// `loss/total`, `validation/accuracy/clean`, ... (slashes group, as in TensorBoard).
    pub metric: String,
    /// The value.
    pub value: f64,
}
