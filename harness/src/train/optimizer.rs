//! The optimiser of a stage: SGD, or Adam where slopes are learnt.

use super::adam::Adam;
use super::sgd::Sgd;
use crate::error::Result;
use crate::nn::checkpoint::Tensors;
use tch::no_grad_guard;

/// What updates a network.
#[derive(Debug)]
pub enum Optimizer {
    /// The method's.
    Sgd(Sgd),
    /// SNL's.
    Adam(Adam),
}

impl Optimizer {
    /// Forgets the gradients of the last step.
    pub fn zero_grad(&mut self) {
        match self {
            Self::Sgd(sgd) => sgd.zero_grad(),
            Self::Adam(adam) => adam.zero_grad(),
        }
    }

    /// Sets SGD's momentum.
    pub fn set_momentum(&mut self, momentum: f64) {
        if let Self::Sgd(sgd) = self {
            sgd.momentum = momentum;
        }
    }

    /// One update.
    pub fn step(&mut self, lr: f64) {
        match self {
            Self::Sgd(sgd) => sgd.step(lr),
            Self::Adam(adam) => adam.step(lr),
        }
    }

    /// Updates made so far, where the next one depends on them.
    pub fn steps(&self) -> u64 {
        match self {
            Self::Sgd(_) => 0,
            Self::Adam(adam) => adam.steps(),
        }
    }

    /// Puts its tensors into a checkpoint.
    pub fn save(&self, tensors: &mut Tensors) {
        match self {
            Self::Sgd(sgd) => {
                for (name, velocity) in sgd.velocities() {
                    tensors.put(format!("momentum/{name}"), velocity);
                }
            }
            Self::Adam(adam) => {
                for (name, mean, square) in adam.moments() {
                    tensors.put(format!("mean/{name}"), mean);
                    tensors.put(format!("square/{name}"), square);
                }
            }
        }
    }

    /// Takes its tensors from a checkpoint, in place, after `steps` updates.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn load(&mut self, tensors: &Tensors, steps: u64) -> Result<()> {
        let _guard = no_grad_guard();
        match self {
            Self::Sgd(sgd) => {
                for (name, velocity) in sgd.velocities() {
                    let stored = tensors.get(&format!("momentum/{name}"), &velocity.size())?;
                    velocity.shallow_clone().copy_(&stored);
                }
            }
            Self::Adam(adam) => {
                for (name, mean, square) in adam.moments() {
                    let of = |kind: &str| tensors.get(&format!("{kind}/{name}"), &mean.size());
                    mean.shallow_clone().copy_(&of("mean")?);
                    square.shallow_clone().copy_(&of("square")?);
                }
                adam.resume(steps);
            }
        }
        Ok(())
    }
}
