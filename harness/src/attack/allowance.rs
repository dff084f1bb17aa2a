//! How many passes an image may cost (`passes=1000`): AttackBench's rule (Cinà et al., AAAI 2025). Forward
//! and backward passes count together; what is beyond the limit is answered as if the image stood (the true
//! class, one-hot) and without slope, and costs nothing. The attack goes on and learns nothing more.

use super::target::{Slope, Target};
use crate::error::Result;
use tch::{Kind, Tensor};

/// Which images may pay for a pass, `[N]` bool; nothing where all may.
#[derive(Debug, Default)]
pub(super) struct Granted(Option<Tensor>);

impl Granted {
    /// Of one flag an image.
    pub(super) fn of(flags: &[bool], target: &Target<'_>) -> Self {
        let all = flags.iter().all(|granted| *granted);
        Self((!all).then(|| Tensor::from_slice(flags).to_device(target.images.device())))
    }

    /// Whether no image may.
    pub(super) fn nothing(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|flags| flags.any().int64_value(&[]) == 0)
    }

    /// The logits of those that may; the others stand.
    pub(super) fn logits(&self, logits: Tensor, labels: &Tensor) -> Tensor {
        match &self.0 {
            Some(flags) => logits.where_self(&flags.unsqueeze(1), &standing(&logits, labels)),
            None => logits,
        }
    }

    /// The losses `[N]` or gradients `[N, ...]` of those that may; zero for the others.
    pub(super) fn or_zero(&self, values: Tensor) -> Tensor {
        match &self.0 {
            Some(flags) => {
                let mut shape = vec![1; values.dim()];
                shape[0] = -1;
                values.where_self(&flags.reshape(shape), &values.zeros_like())
            }
            None => values,
        }
    }
}

/// Logits of images that stand.
fn standing(like: &Tensor, labels: &Tensor) -> Tensor {
    like.zeros_like().scatter_value(1, &labels.unsqueeze(1), 1.0)
}

impl Target<'_> {
    /// What is said of images none of which may cost more.
    pub(super) fn unseen(&self) -> Result<Slope> {
        let (n, device) = (self.len() as i64, self.images.device());
        let blank = Tensor::zeros([n, self.known_classes()?], (Kind::Float, device));
        Ok(Slope {
            loss: Tensor::zeros([n], (Kind::Float, device)),
            logits: standing(&blank, &self.labels),
            gradient: self.images.zeros_like(),
        })
    }
}
