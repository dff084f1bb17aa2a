//! The attack inside a training step: where it starts, what it maximises, and the smoothing of labels.

use super::certified;
use super::liet;
use super::loss::Smooth;
use super::passes::Counted;
use super::step::Step;
use crate::attack::pgd::{Settings, descend, uniform_start};
use crate::attack::{Classifier, Objective, uniform};
use crate::error::Result;
use rlnet_suites::objective::{Inner, InnerStart, Precision, Smoothing};
use rlnet_suites::view::View;
use tch::{Kind, Tensor, no_grad_guard};

impl Step<'_> {
    /// Where the inner attack on these images starts and where it ends: of the frozen branch of adversarial images, in
    /// eval mode (the reference). `target` are the teacher's logits of the images.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub(super) fn attack(
        &self,
        images: &Tensor,
        labels: &Tensor,
        target: Option<Tensor>,
        indices: &[u32],
    ) -> Result<(Tensor, Tensor)> {
        let spec = self.spec;
        let branch = self.network.spec().norm.branch_of(View::Adversarial);
        let kind = match spec.precision {
            Precision::Bf16 => Some(Kind::BFloat16),
            Precision::Fp32 | Precision::Tf32 => None,
        };
        let frozen = Counted {
            model: &self.network.freeze_branch(branch, kind),
            passes: self.passes,
        };
        let settings = Settings::of(&spec.attack);
        let settings = match &spec.certified.0 {
            Some(bounded) => certified::inner(bounded, settings, self.done),
            None => settings,
        };
        let key = [u64::from(self.epoch)];
        let from_labels = spec.inner_start == InnerStart::LabelInformation;
        let start = if from_labels {
            let pattern = self.pattern_of(&frozen, images)?;
            liet::start(images, labels, &pattern, (settings.eps, spec.seed), &key, indices)
        } else {
            uniform_start(images, settings.start, spec.seed, "train", &key, indices)
        };
        // Distillation attacks the distillation loss (RSLAD), TRADES the distance to its own clean predictions,
        // anything else the labels: LIET the smoothed ones.
        let target = match spec.inner {
            Inner::Auto | Inner::Kl if target.is_none() && spec.trades > 0.0 => {
                let _guard = no_grad_guard();
                Some(frozen.logits(images, branch)?)
            }
            Inner::Auto | Inner::Kl => target,
            Inner::Ce => None,
        };
        let objective = match target {
            Some(teacher) => Objective::Distillation {
                teacher,
                temperature: spec.temperature,
            },
            // The divergence from fixed probabilities is the cross entropy to them, less a constant.
            None if from_labels && spec.label_smoothing > 0.0 => Objective::Distillation {
                teacher: self
                    .smooth("inner", indices)
                    .targets(labels, self.classes(), Kind::Float)
                    .clamp_min(f64::from(f32::MIN_POSITIVE))
                    .log(),
                temperature: 1.0,
            },
            None => Objective::CrossEntropy(labels.shallow_clone()),
        };
        let attacked = descend(&frozen, branch, images, &start, &objective, settings)?;
        Ok((start, attacked))
    }

    /// How the labels of these images are smoothed in the loss that `purpose` names.
    pub(super) fn smooth(&self, purpose: &str, indices: &[u32]) -> Smooth {
        let share = self.spec.label_smoothing;
        match self.spec.smoothing {
            Smoothing::Random if share > 0.0 => {
                let device = self.network.params().device();
                let shape = [indices.len() as i64, self.classes()];
                let shape = Tensor::empty(shape, (Kind::Float, device));
                let (key, seed) = ([u64::from(self.epoch)], self.spec.seed);
                let drawn = uniform(&shape, 1.0, seed, &format!("smoothing {purpose}"), &key, indices);
                Smooth::Among(share, (drawn + 1.0) / 2.0)
            }
            Smoothing::Even | Smoothing::Random => Smooth::Even(share),
        }
    }

    /// The patterns in use; drawn of the network as it is where there are none.
    fn pattern_of(&self, frozen: &dyn Classifier, images: &Tensor) -> Result<Tensor> {
        if let Some(pattern) = self.pattern.borrow().as_ref() {
            return Ok(pattern.shallow_clone());
        }
        let classes = self.classes();
        let each: Vec<u32> = (0..classes as u32).collect();
        let branch = self.network.spec().norm.branch_of(View::Adversarial);
        let pattern = liet::pattern(frozen, branch, classes, images, &self.smooth("pattern", &each))?;
        *self.pattern.borrow_mut() = Some(pattern.shallow_clone());
        Ok(pattern)
    }

    fn classes(&self) -> i64 {
        self.network.spec().classes as i64
    }
}
