//! One training step of any stage: the roles' forward passes, the inner attack, the losses.

use super::certified;
use super::curves::EpochMeans;
use super::dialect;
use super::loss::{self, distillation, jensen_shannon, mean, pram, smooth_cross_entropy};
use super::optimizer::Optimizer;
use super::passes::Passes;
use super::score::Scores;
use super::snl::Slopes;
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::nn::layers::Mode;
use crate::nn::{Forward, Network, Taps};
use rlnet_suites::TrainSpec;
use rlnet_suites::objective::Score;
use rlnet_suites::train::Stage;
use rlnet_suites::view::View;
use std::cell::RefCell;
use tch::{Kind, Tensor, no_grad_guard};

/// Everything a step works on.
pub struct Step<'a> {
    /// What the stage does.
    pub spec: &'a TrainSpec,
    /// The network being trained.
    pub network: &'a Network,
    /// The frozen all-ReLU teacher of stages `mask` and `student`.
    pub teacher: Option<&'a Network>,
    /// The units' slopes, of a stage `snl`.
    pub slopes: Option<&'a Slopes>,
    /// 1-based epoch, part of every random key.
    pub epoch: u32,
    /// Learning rate of this epoch.
    pub lr: f64,
    /// Share of the training that is done, in [0, 1).
    pub done: f64,
    /// The patterns that inner attacks start from (LIET), once they are drawn.
    pub pattern: RefCell<Option<Tensor>>,
    /// Where passes are counted.
    pub passes: &'a Passes,
}

/// Whether a batch of `n` images gives every role images, and every batch norm two values a channel or
/// more: of one value there is no variance. `shapes` are the layers', `[C, H, W]`.
pub fn fills_norms(spec: &TrainSpec, shapes: &[[u64; 3]], n: usize) -> bool {
    let smallest = shapes.iter().map(|[_, h, w]| h * w).min().unwrap_or(1);
    spec.views.iter().all(|view| {
        let images = dialect::place(spec, *view, n).1.unsigned_abs();
        images > 0 && images * smallest > 1
    })
}

/// Why a stage cannot train in batches of `n` images.
pub fn too_small(n: usize) -> String {
    format!(
        "a batch of {n} images is too small: each view that a stage trains on needs an image of it, and each batch norm \
         two values a channel, which the smallest maps of this network do not have; train in larger batches or on \
         more images"
    )
}

/// The error of a stage that went astray in an epoch, with what is left of it.
pub fn diverged(spec: &TrainSpec, epoch: u32, what: &str) -> Error {
    let kept = match epoch {
        1 => "there is no epoch before it to go back to".to_owned(),
        _ => format!("the checkpoint of epoch {} is kept", epoch - 1),
    };
    Error::Diverged(format!(
        "training of stage {} diverged: {what} in epoch {epoch} (learning rate {}); {kept}. Lower `lr` or the \
         attack's strength",
        spec.stage.name(),
        spec.lr_at(epoch)
    ))
}

/// One role's student pass and what it is judged against.
struct Role {
    view: View,
    images: Tensor,
    output: Forward,
    labels: Tensor,
    /// Teacher's logits on the clean view, through its clean branch.
    target: Option<Tensor>,
    /// Logits where the inner attack started, where the loss compares them with those where it ended.
    at_start: Option<Tensor>,
    /// What intervals say of the ball, where the stage trains with them.
    bounds: Option<certified::Bounds>,
}

impl Role {
    /// Passes through the network: its images, where intervals are sent too, the centres and radii of the boxes, and
    /// where the attack's start is looked at, that.
    fn passes(&self) -> i64 {
        let beside = if self.bounds.is_some() { 2 } else { 0 } + i64::from(self.at_start.is_some());
        self.labels.size()[0] * (1 + beside)
    }
}

impl Step<'_> {
    /// Runs the step: losses, backward pass, update, scores, curves. A batch too short
    /// ([`fills_norms`]) is passed over. Nothing here waits for the device, so that a
    /// GPU is never idle; whether the loss is still a number is seen in `means`.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn run(
        &self,
        batch: &Batch,
        optimizer: &mut Optimizer,
        scores: &mut Scores,
        means: &mut EpochMeans,
    ) -> Result<()> {
        if !fills_norms(self.spec, &self.network.layer_shapes(), batch.len()) {
            return Ok(());
        }
        let n = batch.len() as f64;
        let device = self.network.params().device();
        let clean = batch.clean_tensor(device);
        let labels = batch.labels_tensor(device);
        let taught = self.teach(&clean);
        let roles = self.roles(batch, &clean, &labels, taught.as_ref())?;

        let ce = if self.spec.trades > 0.0 {
            self.trades(&roles)
        } else {
            let term = |role: &Role| {
                let (from, length) = dialect::place(self.spec, role.view, batch.len());
                let (from, length) = (from as usize, length as usize);
                let smooth = self.smooth(role.view.name(), &batch.indices[from..from + length]);
                let own = smooth_cross_entropy(&role.output.logits, &role.labels, &smooth);
                match &role.bounds {
                    Some(bounds) => bounds.mixed(own),
                    None => own,
                }
            };
            mean(self.judged(&roles).map(term).collect())
        };
        let mut total = &ce * self.spec.gamma;
        let kl = self
            .judged(&roles)
            .filter_map(|role| {
                let target = role.target.as_ref()?;
                Some(distillation(&role.output.logits, target, self.spec.temperature))
            })
            .collect::<Vec<_>>();
        if !kl.is_empty() {
            let kl = mean(kl);
            means.add("loss/kl", &kl, n);
            total += kl * self.spec.alpha;
        }
        if let Some(jsd) = self.consistency(&roles) {
            means.add("loss/jsd", &jsd, n);
            total += jsd * self.spec.jsd;
        }
        if let Some(apart) = self.start_consistency(&roles) {
            means.add("loss/start_consistency", &apart, n);
            let share = f64::from(self.epoch) / f64::from(self.spec.epochs);
            total += apart * (self.spec.start_consistency * share);
        }
        if let Some(attention) = self.attention(&roles, taught.as_ref()) {
            means.add("loss/attention", &attention, n);
            total += attention * self.spec.beta;
        }
        if let Some(slopes) = self.slopes {
            let lasso = slopes.penalty();
            means.add("loss/lasso", &lasso, n);
            total += lasso;
        }
        optimizer.zero_grad();
        total.backward();
        let learnt = roles.iter().filter(|role| self.learns_from(role.view));
        self.passes.backward(learnt.map(Role::passes).sum());
        let compares = self.spec.stage == Stage::Mask && self.spec.score.compares();
        if let (true, Some(taught)) = (compares, &taught) {
            let seen = &roles[0].output.seen;
            let student = match self.spec.score {
                Score::Preactivation | Score::Unstable => &seen.inputs,
                _ => &seen.activations,
            };
            let known = roles.iter().find_map(|role| role.bounds.as_ref());
            let known = known.filter(|_| self.spec.score == Score::Unstable);
            scores.add(
                &taught.seen.activations,
                student,
                known.map(|bounds| bounds.known.as_slice()),
            );
        }
        optimizer.step(self.lr);

        means.add("loss/total", &total, n);
        means.add("loss/ce", &ce, n);
        for role in &roles {
            let right = role.output.logits.argmax(1, false).eq_tensor(&role.labels);
            let accuracy = right.to_kind(Kind::Double).mean(Kind::Double);
            let n = role.labels.size()[0] as f64;
            means.add(&format!("train/accuracy/{}", role.view.name()), &accuracy, n);
            if let Some(bounds) = &role.bounds {
                means.add("loss/bound", &bounds.loss, n);
                means.add("train/certified", &bounds.certified(), n);
            }
        }
        Ok(())
    }

    /// The roles' forward passes alone, which move the running statistics of their banks.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn pass(&self, batch: &Batch) -> Result<()> {
        let device = self.network.params().device();
        let (clean, labels) = (batch.clean_tensor(device), batch.labels_tensor(device));
        let taught = self.teach(&clean);
        self.roles(batch, &clean, &labels, taught.as_ref()).map(drop)
    }

    /// The roles that cross entropy and distillation see.
    fn judged<'r>(&self, roles: &'r [Role]) -> impl Iterator<Item = &'r Role> {
        let spec = self.spec;
        roles.iter().filter(|role| dialect::is_judged(spec, role.view))
    }

    /// Whether the loss reaches back through a role's pass. (Weights of 0 do: the term is there.)
    fn learns_from(&self, view: View) -> bool {
        let compared = self.teacher.is_some() && self.spec.beta > 0.0;
        dialect::is_judged(self.spec, view) || (compared && self.spec.attention.contains(&view))
    }

    /// What a role's pass must remember: features to compare, activations to score.
    fn taps(&self, view: View) -> Taps {
        if self.teacher.is_none() {
            return Taps::Nothing;
        }
        if self.spec.stage == Stage::Mask && view == View::Clean && self.spec.score.compares() {
            return match self.spec.score {
                Score::Preactivation | Score::Unstable => Taps::Inputs,
                _ => Taps::Activations,
            };
        }
        // The reference's WRN students hand out their features in every pass, which moves
        // running statistics (defect B3).
        let asked = self.network.spec().quirks.normed_stages;
        if asked || (self.spec.beta > 0.0 && self.spec.attention.contains(&view)) {
            Taps::Stages
        } else {
            Taps::Nothing
        }
    }

    /// The teacher's pass over all clean views: eval mode, clean branch, constants.
    fn teach(&self, clean: &Tensor) -> Option<Forward> {
        let _guard = no_grad_guard();
        let teacher = self.teacher?;
        let branch = teacher.spec().norm.branch_of(View::Clean);
        self.passes.teacher(clean.size()[0]);
        Some(teacher.forward(clean, Mode::Eval(branch), self.taps(View::Clean)))
    }

    /// Student passes in the reference's order: clean, AugMix, then the attack in eval mode
    /// and the adversarial pass. Each role is its own forward, with its own batch statistics.
    fn roles(
        &self,
        batch: &Batch,
        clean: &Tensor,
        labels: &Tensor,
        taught: Option<&Forward>,
    ) -> Result<Vec<Role>> {
        let norm = self.network.spec().norm;
        let place = |view| dialect::place(self.spec, view, batch.len());
        let (front, back) = (place(View::Clean), place(View::Adversarial));
        let role = |view: View, images: Tensor, (from, length): (i64, i64)| {
            self.passes.forward(length);
            let mode = Mode::Train(norm.branch_of(view));
            Role {
                view,
                output: self.network.forward(&images, mode, self.taps(view)),
                images,
                labels: labels.narrow(0, from, length),
                target: taught.map(|taught| taught.logits.narrow(0, from, length)),
                bounds: None,
                at_start: None,
            }
        };
        let mut roles = Vec::new();
        if self.spec.views.contains(&View::Clean) {
            roles.push(role(View::Clean, clean.narrow(0, 0, front.1), front));
        }
        if self.spec.views.contains(&View::Augmix) {
            let place = place(View::Augmix);
            let images = batch.augmix_tensor(clean.device()).narrow(0, place.0, place.1);
            let images = dialect::augmix_images(self.spec, self.network.spec(), images);
            roles.push(role(View::Augmix, images, place));
        }
        if self.spec.is_robust() {
            let (from, length) = back;
            let images = clean.narrow(0, from, length);
            let branch = norm.branch_of(View::Adversarial);
            let indices = &batch.indices[from as usize..];
            let own = labels.narrow(0, from, length);
            let target = taught.map(|taught| taught.logits.narrow(0, from, length));
            let (start, attacked) = self.attack(&images, &own, target, indices)?;
            let bounded = self.spec.certified.0.as_ref();
            let at_start = (self.spec.start_consistency > 0.0).then(|| {
                self.passes.forward(length);
                let mode = Mode::Train(branch);
                self.network.forward(&start, mode, Taps::Nothing).logits
            });
            roles.push(match bounded {
                None => Role {
                    at_start,
                    ..role(View::Adversarial, attacked, back)
                },
                Some(bounded) => {
                    let boxes = certified::boxes(bounded, self.done, (&images, &attacked));
                    let (mode, taps) = (Mode::Train(branch), self.taps(View::Adversarial));
                    let known = self.spec.stage == Stage::Mask && self.spec.score == Score::Unstable;
                    let labels = labels.narrow(0, from, length);
                    let seen = self
                        .network
                        .forward_box(&attacked, boxes, &labels, (mode, taps, known));
                    let own = Role {
                        view: View::Adversarial,
                        bounds: Some(certified::Bounds::new(*bounded, &seen.worst, &labels, seen.known)),
                        output: seen.forward,
                        images: attacked,
                        labels,
                        target: taught.map(|taught| taught.logits.narrow(0, from, length)),
                        at_start: None,
                    };
                    self.passes.forward(own.passes());
                    own
                }
            });
        }
        Ok(roles)
    }

    /// TRADES' loss of the clean and the adversarial role, which are the same images.
    fn trades(&self, roles: &[Role]) -> Tensor {
        let (clean, last) = (&roles[0], &roles[roles.len() - 1]);
        loss::trades(
            &clean.output.logits,
            &last.output.logits,
            &clean.labels,
            self.spec.trades,
            self.spec.temperature,
        )
    }

    /// Jensen-Shannon consistency of the clean and AugMix predictions of the same images.
    fn consistency(&self, roles: &[Role]) -> Option<Tensor> {
        let augmix = roles.iter().find(|role| role.view == View::Augmix)?;
        (self.spec.jsd > 0.0).then(|| jensen_shannon(&[&roles[0].output.logits, &augmix.output.logits]))
    }

    /// Jensen-Shannon divergence of the predictions where the inner attack started and where it ended.
    fn start_consistency(&self, roles: &[Role]) -> Option<Tensor> {
        let role = roles.iter().find(|role| role.at_start.is_some())?;
        Some(jensen_shannon(&[role.at_start.as_ref()?, &role.output.logits]))
    }

    /// Mean attention term over the roles asked for. The teacher sees the same images, clean
    /// and AugMix ones through its clean branch, adversarial ones through its adversarial one.
    fn attention(&self, roles: &[Role], taught: Option<&Forward>) -> Option<Tensor> {
        let (teacher, taught) = (self.teacher?, taught?);
        if self.spec.beta == 0.0 {
            return None;
        }
        let term = |role: &Role| {
            let target: Vec<Tensor> = if role.view == View::Clean {
                let n = role.labels.size()[0];
                taught.seen.stages.iter().map(|map| map.narrow(0, 0, n)).collect()
            } else {
                let _guard = no_grad_guard();
                let view = match role.view {
                    View::Adversarial => View::Adversarial,
                    View::Clean | View::Augmix => View::Clean,
                };
                let branch = teacher.spec().norm.branch_of(view);
                self.passes.teacher(role.images.size()[0]);
                teacher
                    .forward(&role.images, Mode::Eval(branch), Taps::Stages)
                    .seen
                    .stages
            };
            pram(self.spec.pram, &role.output.seen.stages, &target)
        };
        let asked = roles
            .iter()
            .filter(|role| self.spec.attention.contains(&role.view));
        let terms: Vec<Tensor> = asked.map(term).collect();
        (!terms.is_empty()).then(|| mean(terms))
    }
}
