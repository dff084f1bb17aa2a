//! One training step of any stage: the roles' forward passes, the inner attack, the losses.

use super::curves::EpochMeans;
use super::loss::{attention_transfer, cross_entropy, distillation, mean};
use super::score::Scores;
use super::sgd::Sgd;
use crate::attack::Objective;
use crate::attack::pgd::{Settings, descend, uniform_start};
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::nn::layers::Mode;
use crate::nn::{Forward, Network};
use rlnet_suites::TrainSpec;
use rlnet_suites::train::{Stage, View};
use tch::{Kind, Tensor, no_grad_guard};

/// Everything a step works on.
pub struct Step<'a> {
    /// What the stage does.
    pub spec: &'a TrainSpec,
    /// The network being trained.
    pub network: &'a Network,
    /// The frozen all-ReLU teacher of stages `mask` and `student`.
    pub teacher: Option<&'a Network>,
    /// 1-based epoch, part of every random key.
    pub epoch: u32,
    /// Learning rate of this epoch.
    pub lr: f64,
}

/// How many leading images of a batch play the clean (and AugMix) role. The rest are
/// attacked; without an adversarial role every image is clean. (Reference: floor(B / 2).)
pub fn clean_count(spec: &TrainSpec, batch: usize) -> usize {
    if spec.is_robust() { batch / 2 } else { batch }
}

/// One role's student pass and what it is judged against.
struct Role {
    view: View,
    output: Forward,
    labels: Tensor,
    /// Teacher's logits on the clean view, through its clean branch.
    target: Option<Tensor>,
}

impl Step<'_> {
    /// Runs the step: losses, backward pass, update, scores, curves. A batch too short to
    /// give every role an image is passed over.
    ///
    /// # Errors
    /// When the loss is no longer a finite number, or libtorch refuses.
    pub fn run(
        &self,
        batch: &Batch,
        sgd: &mut Sgd,
        scores: &mut Scores,
        means: &mut EpochMeans,
    ) -> Result<()> {
        let first = clean_count(self.spec, batch.len());
        if first == 0 || (self.spec.is_robust() && first == batch.len()) {
            return Ok(());
        }
        let device = self.network.params().device();
        let clean = batch.clean_tensor(device);
        let labels = batch.labels_tensor(device);
        let taught = self.teach(&clean);
        let roles = self.roles(batch, &clean, &labels, first, taught.as_ref())?;

        let ce = mean(
            roles
                .iter()
                .map(|role| cross_entropy(&role.output.logits, &role.labels))
                .collect(),
        );
        let mut total = &ce * self.spec.gamma;
        let kl = roles
            .iter()
            .filter_map(|role| {
                let target = role.target.as_ref()?;
                Some(distillation(&role.output.logits, target, self.spec.temperature))
            })
            .collect::<Vec<_>>();
        if !kl.is_empty() {
            let kl = mean(kl);
            means.add("loss/kl", kl.double_value(&[]), batch.len() as f64);
            total += kl * self.spec.alpha;
        }
        if let Some(attention) = self.attention(batch, &roles, taught.as_ref(), first) {
            means.add("loss/attention", attention.double_value(&[]), batch.len() as f64);
            total += attention * self.spec.beta;
        }
        let value = total.double_value(&[]);
        if !value.is_finite() {
            return Err(Error::Work(format!(
                "the loss of stage {} became {value} in epoch {} (learning rate {}): training \
                 diverged; the checkpoint of the last good epoch is kept. Lower `lr` or the \
                 attack's strength",
                self.spec.stage.name(),
                self.epoch,
                self.lr
            )));
        }
        sgd.zero_grad();
        total.backward();
        if let (Stage::Mask, Some(taught)) = (self.spec.stage, &taught) {
            let clean = &roles[0].output.seen.activations;
            scores.add(&taught.seen.activations, clean);
        }
        sgd.step(self.lr);

        means.add("loss/total", value, batch.len() as f64);
        means.add("loss/ce", ce.double_value(&[]), batch.len() as f64);
        for role in &roles {
            let right = role.output.logits.argmax(1, false).eq_tensor(&role.labels);
            let n = role.labels.size()[0] as f64;
            let accuracy = right.sum(Kind::Int64).int64_value(&[]) as f64 / n;
            means.add(&format!("train/accuracy/{}", role.view.name()), accuracy, n);
        }
        Ok(())
    }

    /// Whether the student's features are needed besides its logits.
    fn taps(&self) -> bool {
        self.teacher.is_some() && (self.spec.beta > 0.0 || self.spec.stage == Stage::Mask)
    }

    /// The teacher's pass over all clean views: eval mode, clean branch, constants.
    fn teach(&self, clean: &Tensor) -> Option<Forward> {
        let _guard = no_grad_guard();
        let teacher = self.teacher?;
        let branch = teacher.spec().norm.branch_of(View::Clean);
        Some(teacher.forward(clean, Mode::Eval(branch), self.taps()))
    }

    /// Student passes in the reference's order: clean, AugMix, then the attack in eval mode
    /// and the adversarial pass. Each role is its own forward, with its own batch statistics.
    fn roles(
        &self,
        batch: &Batch,
        clean: &Tensor,
        labels: &Tensor,
        first: usize,
        taught: Option<&Forward>,
    ) -> Result<Vec<Role>> {
        let norm = self.network.spec().norm;
        let (n, h) = (batch.len() as i64, first as i64);
        let (front, back) = ((0, h), (h, n - h));
        let role = |view: View, images: &Tensor, (from, length): (i64, i64), taps: bool| Role {
            view,
            output: self
                .network
                .forward(images, Mode::Train(norm.branch_of(view)), taps),
            labels: labels.narrow(0, from, length),
            target: taught.map(|taught| taught.logits.narrow(0, from, length)),
        };
        let mut roles = vec![role(View::Clean, &clean.narrow(0, 0, h), front, self.taps())];
        if self.spec.views.contains(&View::Augmix) {
            let images = batch.augmix_tensor(clean.device());
            roles.push(role(View::Augmix, &images, front, self.spec.beta > 0.0));
        }
        if self.spec.is_robust() {
            let images = clean.narrow(0, h, n - h);
            let labels = labels.narrow(0, h, n - h);
            let target = taught.map(|taught| taught.logits.narrow(0, h, n - h));
            // Distillation attacks the distillation loss (RSLAD); a teacher attacks the labels.
            let objective = match &target {
                Some(teacher) => Objective::Distillation {
                    teacher: teacher.shallow_clone(),
                    temperature: self.spec.temperature,
                },
                None => Objective::CrossEntropy(labels.shallow_clone()),
            };
            let settings = Settings::of(&self.spec.attack);
            let key = [u64::from(self.epoch)];
            let indices = &batch.indices[first..];
            let seed = self.spec.seed;
            let start = uniform_start(&images, settings.eps, seed, "train", &key, indices);
            let frozen = self.network.freeze();
            let branch = norm.branch_of(View::Adversarial);
            let attacked = descend(&frozen, branch, &images, &start, &objective, settings)?;
            roles.push(role(View::Adversarial, &attacked, back, false));
        }
        Ok(roles)
    }

    /// Mean attention transfer over the clean and AugMix roles; the teacher sees the same
    /// images through its clean branch.
    fn attention(
        &self,
        batch: &Batch,
        roles: &[Role],
        taught: Option<&Forward>,
        first: usize,
    ) -> Option<Tensor> {
        let (teacher, taught) = (self.teacher?, taught?);
        if self.spec.beta == 0.0 {
            return None;
        }
        let front: Vec<Tensor> = taught
            .seen
            .stages
            .iter()
            .map(|map| map.narrow(0, 0, first as i64))
            .collect();
        let terms = roles
            .iter()
            .filter_map(|role| match role.view {
                View::Clean => Some(attention_transfer(&role.output.seen.stages, &front)),
                View::Augmix => {
                    let _guard = no_grad_guard();
                    let images = batch.augmix_tensor(taught.logits.device());
                    let branch = teacher.spec().norm.branch_of(View::Clean);
                    let seen = teacher.forward(&images, Mode::Eval(branch), true).seen;
                    drop(_guard);
                    Some(attention_transfer(&role.output.seen.stages, &seen.stages))
                }
                View::Adversarial => None,
            })
            .collect();
        Some(mean(terms))
    }
}
