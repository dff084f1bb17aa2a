//! Test images through a condition and every branch, to one outcome row each.

use super::augmented::augmix_images;
use super::corrupted::CorruptedImages;
use super::examples::{COUNT, to_bytes};
use super::judge::judge;
use super::networks::Networks;
use super::saved::Saved;
use crate::attack::target::whole_lanes;
use crate::attack::{self, Classifier, Target, autoattack, ball};
use crate::data::{Split, images_to_tensor};
use crate::error::{Error, Result};
use crate::progress::Progress;
use rlnet_suites::attack::Norm;
use rlnet_suites::{AttackSpec, Branch, Condition, Outcome};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// What is evaluated, and how.
pub struct EvaluationInput<'a> {
    /// The model, and the networks that attacks on it may follow.
    pub networks: &'a Networks,
    /// Test images.
    pub test: &'a Split,
    /// The conditions, in order.
    pub conditions: &'a [Condition],
    /// Branches to go through.
    pub branches: &'a [Branch],
    /// Where corrupted images come from.
    pub corrupted: &'a CorruptedImages,
    /// Images a batch; results do not depend on it.
    pub batch: usize,
    /// Seed of attack starts.
    pub seed: u64,
    /// Whether adversarial images are kept.
    pub save_images: bool,
}

/// A stretch of the images under one of the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Place of the condition.
    pub condition: usize,
    /// The first image.
    pub from: usize,
    /// The image after the last.
    pub to: usize,
}

/// Rows, and what can be looked at.
pub struct Evaluated {
    /// One row per branch and image, in this order.
    pub outcomes: Vec<Outcome>,
    /// The image after the last that was evaluated: before the part's end where it was cut.
    pub to: usize,
    /// The first images under the middle condition, `[N, size, size, 3]` bytes, where the part
    /// has them; an attack's are those made against the last branch (the adversarial one).
    pub examples: Option<Vec<u8>>,
    /// Adversarial images, when they were asked for.
    pub saved: Option<Saved>,
}

/// Test images under a condition.
pub fn count(test: &Split, corrupted: &CorruptedImages, condition: &Condition) -> usize {
    match condition.corruption() {
        Some((name, severity)) => corrupted.count(test, name, severity),
        None => test.len(),
    }
}

/// Evaluates a part, batch by batch, until its end or until `cut` says so after a batch.
/// Images get the same rows in whatever parts they come.
///
/// # Errors
/// When a corruption cannot take these images, an attack is not defined for the model, or
/// libtorch refuses an operation.
pub fn evaluate(
    input: &EvaluationInput<'_>,
    part: Part,
    cut: &dyn Fn() -> bool,
    progress: &Progress,
) -> Result<Evaluated> {
    let condition = &input.conditions[part.condition];
    let mut examples = None;
    let mut saved = input.save_images.then(Saved::default);
    let shown = part.condition == input.conditions.len() / 2;
    let mut rows: Vec<Vec<Outcome>> = vec![Vec::new(); input.branches.len()];
    let mut broken_by = vec![Vec::new(); input.branches.len()];
    let mut at = part.from;
    while at < part.to {
        let n = input.batch.min(part.to - at);
        let batch = Batch::new(input, condition, at, n)?;
        let mut shared = None;
        for (slot, &branch) in input.branches.iter().enumerate() {
            let mut seen = batch.under(condition, branch, input, &mut shared)?;
            rows[slot].extend(batch.judge(&mut seen, condition, branch, input)?);
            if let Some(saved) = &mut saved {
                saved.push(condition, branch, &batch.indices, &batch.classes, &seen.images);
            }
            broken_by[slot].extend(seen.spent.broken_by);
            if shown && at == 0 && slot + 1 == input.branches.len() {
                let count = (n as i64).min(COUNT as i64);
                examples = Some(to_bytes(&seen.images.narrow(0, 0, count)));
            }
        }
        at += n;
        progress.advance(n as u64, || condition);
        if cut() {
            break;
        }
    }
    if let Condition::Attack(spec) = condition {
        for (branch, broken_by) in input.branches.iter().zip(&broken_by) {
            if spec.name() == "autoattack" {
                let line = autoattack::survivors(spec, broken_by)?;
                let images = format!("images {} to {at}", part.from);
                progress.note(&format!("{condition}, branch {branch}, {images}: {line}"));
            }
        }
    }
    Ok(Evaluated {
        outcomes: rows.into_iter().flatten().collect(),
        to: at,
        examples,
        saved,
    })
}

/// A batch of test images, corrupted when the condition says so.
struct Batch {
    images: Tensor,
    labels: Tensor,
    indices: Vec<u32>,
    classes: Vec<u16>,
}

/// Images as a model sees them under a condition, and what they cost.
#[derive(Debug)]
struct Seen {
    images: Tensor,
    norm: Norm,
    spent: attack::Spent,
}

impl Seen {
    fn shallow_clone(&self) -> Self {
        Self {
            images: self.images.shallow_clone(),
            norm: self.norm,
            spent: self.spent.clone(),
        }
    }
}

impl Batch {
    fn new(input: &EvaluationInput<'_>, condition: &Condition, from: usize, n: usize) -> Result<Self> {
        let part = match condition.corruption() {
            Some((name, severity)) => input.corrupted.batch(input.test, name, severity, from, n)?,
            None => input.test.slice(from, n),
        };
        let device = input.networks.device();
        let labels: Vec<i64> = part.labels.iter().map(|&label| i64::from(label)).collect();
        let images = match condition {
            Condition::AugMix => augmix_images(&part, input.seed, device),
            _ => images_to_tensor(&part.images, part.len(), part.size, device),
        };
        Ok(Self {
            images,
            labels: Tensor::from_slice(&labels).to_device(device),
            indices: part.indices,
            classes: part.labels,
        })
    }

    /// The images under a condition. `shared` holds what does not depend on the branch.
    fn under(
        &self,
        condition: &Condition,
        branch: Branch,
        input: &EvaluationInput<'_>,
        shared: &mut Option<Seen>,
    ) -> Result<Seen> {
        let Condition::Attack(spec) = condition else {
            return Ok(Seen {
                images: self.images.shallow_clone(),
                norm: Norm::Linf,
                spent: attack::Spent::none(self.indices.len()),
            });
        };
        if spec.word("through") == "same" || spec.word("through").is_empty() {
            return self.attack(spec, &[branch], input);
        }
        if shared.is_none() {
            let branches = match spec.word("through") {
                "all" => input.networks.branches().to_vec(),
                name => vec![name.parse()?],
            };
            *shared = Some(self.attack(spec, &branches, input)?);
        }
        shared
            .as_ref()
            .map(Seen::shallow_clone)
            .ok_or_else(|| Error::Work(format!("{spec}: no image was made")))
    }

    fn attack(&self, spec: &AttackSpec, branches: &[Branch], input: &EvaluationInput<'_>) -> Result<Seen> {
        let followed = input.networks.followed(spec, branches)?;
        let first = branches[0];
        let target = Target::new(
            followed,
            first,
            &self.images,
            &self.labels,
            &self.indices,
            input.seed,
        )
        .through(branches);
        let teacher = input.networks.taught(spec, &self.images)?;
        if let Some(taught) = &teacher {
            let (classes, own) = (taught.size()[1], target.classes()?);
            if classes != own {
                return Err(Error::Input(format!(
                    "{spec}: the teacher gives {classes} logits and the model {own}; name a teacher of the same \
                     classes, or use loss=ce"
                )));
            }
        }
        let images = attack::run(spec, &target, teacher.as_ref())?;
        Ok(Seen {
            images,
            norm: spec.norm(),
            spent: target.spent(),
        })
    }

    /// Those of the images at `places` that logits `[M, classes]`, a row for each of them, have right.
    fn right(&self, logits: &Tensor, places: &[usize]) -> Vec<usize> {
        let width = (logits.size()[1] as usize).max(1);
        let all = floats(logits);
        let rows = all.chunks_exact(width).zip(places);
        rows.filter(|(row, place)| {
            let label = self.classes[**place];
            judge(row, label).prediction == label
        })
        .map(|(_, place)| *place)
        .collect()
    }

    /// Puts back, of the images at `right`, those that `ask` has wrong as they were: an attack only
    /// put them right.
    fn put_back(
        &self,
        right: &[usize],
        images: &mut Tensor,
        logits: &mut Tensor,
        ask: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        if right.is_empty() {
            return Ok(());
        }
        let numbers = |list: &[usize]| {
            let list: Vec<i64> = list.iter().map(|&number| number as i64).collect();
            Tensor::from_slice(&list).to_device(images.device())
        };
        let before = ask(&self.images.index_select(0, &numbers(right)))?;
        let always = self.right(&before, right);
        let rows = (0..right.len()).filter(|&row| !always.contains(&right[row]));
        let (rows, healed): (Vec<usize>, Vec<usize>) = rows.map(|row| (row, right[row])).unzip();
        let (rows, healed) = (numbers(&rows), numbers(&healed));
        *logits = logits.index_copy(0, &healed, &before.index_select(0, &rows));
        *images = images.index_copy(0, &healed, &self.images.index_select(0, &healed));
        Ok(())
    }

    /// One row an image. Of an image that the model has wrong as it is, and an attack put right,
    /// the adversarial image is the image itself: robust is what is right before and after.
    fn judge(
        &self,
        seen: &mut Seen,
        condition: &Condition,
        branch: Branch,
        input: &EvaluationInput<'_>,
    ) -> Result<Vec<Outcome>> {
        let _guard = no_grad_guard();
        let model = input.networks.model();
        let passes = passes(condition);
        let mut logits = averaged(model, &seen.images, branch, passes)?;
        let width = logits.size()[1] as usize;
        if let Some(position) = self.classes.iter().position(|&label| usize::from(label) >= width) {
            return Err(Error::Input(format!(
                "the model gives {width} logits, but image {} has label {}",
                self.indices[position], self.classes[position]
            )));
        }
        let mut forwards = vec![passes; self.indices.len()];
        let attacked = matches!(condition, Condition::Attack(_));
        if attacked {
            let everywhere: Vec<usize> = (0..self.indices.len()).collect();
            let right = self.right(&logits, &everywhere);
            for &place in &right {
                forwards[place] += passes;
            }
            let ask = |images: &Tensor| averaged(model, images, branch, passes);
            self.put_back(&right, &mut seen.images, &mut logits, ask)?;
        }
        let logits = floats(&logits);
        // Clean and corrupted images are whole bytes; an adversarial one is judged again as
        // the 8-bit image that could be stored or sent.
        let rounded = match attacked {
            true => Some(floats(&averaged(
                model,
                &eight_bits(&seen.images),
                branch,
                passes,
            )?)),
            false => None,
        };
        let norms = floats(&ball::length(&(&seen.images - &self.images), seen.norm));
        let mut rows = Vec::with_capacity(self.indices.len());
        for (position, row) in logits.chunks_exact(width).enumerate() {
            let label = self.classes[position];
            let verdict = judge(row, label);
            let rounded = rounded
                .as_ref()
                .map(|all| judge(&all[position * width..][..width], label));
            rows.push(Outcome {
                image: self.indices[position],
                branch,
                condition: condition.clone(),
                label,
                prediction: verdict.prediction,
                rounded: rounded.map_or(verdict.prediction, |verdict| verdict.prediction),
                margin: verdict.margin,
                loss: verdict.loss,
                norm: norms[position],
                forwards: seen.spent.forwards[position] + forwards[position],
                backwards: seen.spent.backwards[position],
            });
        }
        Ok(rows)
    }
}

/// Passes that a verdict under a condition is the mean of.
pub fn passes(condition: &Condition) -> u32 {
    match condition {
        Condition::Attack(spec) => attack::passes(spec),
        _ => 1,
    }
}

/// What a model says of stored images `[N, 3, H, W]`: each image's class as it is and
/// rounded to 8 bits, by the mean of so many passes.
///
/// # Errors
/// When the model cannot take the images.
pub fn replay(
    networks: &Networks,
    branch: Branch,
    images: &Tensor,
    labels: &[u16],
    passes: u32,
) -> Result<Vec<(u16, u16)>> {
    const BATCH: i64 = 128;
    let _guard = no_grad_guard();
    let mut said = Vec::with_capacity(labels.len());
    for from in (0..labels.len() as i64).step_by(BATCH as usize) {
        let n = BATCH.min(labels.len() as i64 - from);
        let batch = images.narrow(0, from, n).to_device(networks.device());
        let whole = averaged(networks.model(), &batch, branch, passes)?;
        let rounded = averaged(networks.model(), &eight_bits(&batch), branch, passes)?;
        let width = whole.size()[1] as usize;
        let (whole, rounded) = (floats(&whole), floats(&rounded));
        for (row, &label) in labels[from as usize..][..n as usize].iter().enumerate() {
            if usize::from(label) >= width {
                return Err(Error::Input(format!(
                    "the model gives {width} logits, but an image has label {label}"
                )));
            }
            let said_of = |all: &[f32]| judge(&all[row * width..][..width], label).prediction;
            said.push((said_of(&whole), said_of(&rounded)));
        }
    }
    Ok(said)
}

/// Logits `[N, classes]`, the mean of so many passes: a randomised model gives others each time.
fn averaged(model: &dyn Classifier, images: &Tensor, branch: Branch, passes: u32) -> Result<Tensor> {
    let first = whole_lanes(model, images, branch)?;
    if passes <= 1 {
        return Ok(first);
    }
    let add = |sum: Tensor, _| Ok::<Tensor, Error>(sum + whole_lanes(model, images, branch)?);
    Ok((1..passes).try_fold(first, add)? / f64::from(passes))
}

/// Images as 8 bits a value can hold them.
fn eight_bits(images: &Tensor) -> Tensor {
    (images * 255.0).round() / 255.0
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut values = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn an_image_that_an_attack_put_right_is_put_back() {
        let batch = Batch {
            images: Tensor::zeros([4, 3, 1, 1], (Kind::Float, Device::Cpu)),
            labels: Tensor::from_slice(&[0_i64; 4]),
            indices: vec![5, 6, 7, 8],
            classes: vec![0; 4],
        };
        // Under the attack all but the second are right; as they were, all but the last.
        let mut images = Tensor::ones([4, 3, 1, 1], (Kind::Float, Device::Cpu));
        let mut logits = Tensor::from_slice(&[2.0_f32, 1.0, 1.0, 2.0, 2.0, 1.0, 2.0, 1.0]).reshape([4, 2]);
        let right = batch.right(&logits, &[0, 1, 2, 3]);
        assert_eq!(right, [0, 2, 3]);
        let asked = Cell::new(0);
        let ask = |images: &Tensor| {
            asked.set(images.size()[0]);
            Ok(Tensor::from_slice(&[3.0_f32, 0.0, 3.0, 0.0, 0.0, 3.0]).reshape([3, 2]))
        };
        batch
            .put_back(&right, &mut images, &mut logits, ask)
            .expect("put back");
        assert_eq!(asked.get(), 3);
        assert_eq!(floats(&logits), [2.0, 1.0, 1.0, 2.0, 2.0, 1.0, 0.0, 3.0]);
        assert_eq!(floats(&images.select(1, 0)), [1.0, 1.0, 1.0, 0.0]);
    }

    /// Odd passes say one class and even ones, more loudly, the other.
    struct Fickle(Cell<u32>);

    impl Classifier for Fickle {
        fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
            self.0.set(self.0.get() + 1);
            let row = match self.0.get() % 2 {
                1 => [1.0_f32, 0.0],
                _ => [0.0, 3.0],
            };
            Ok(Tensor::from_slice(&row)
                .unsqueeze(0)
                .expand([images.size()[0], 2], false))
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }

    #[test]
    fn a_randomised_model_is_judged_by_the_mean_of_its_passes() {
        let images = Tensor::zeros([1, 3, 1, 1], (Kind::Float, Device::Cpu));
        let said = |condition: &str| {
            let condition: Condition = condition.parse().expect("a condition");
            let model = Fickle(Cell::new(0));
            let logits = averaged(&model, &images, Branch::Single, passes(&condition)).expect("logits");
            (model.0.get(), floats(&logits))
        };
        assert_eq!(said("clean"), (1, vec![1.0, 0.0]));
        assert_eq!(said("pgd:steps=3"), (1, vec![1.0, 0.0]));
        assert_eq!(said("pgd:eot=4"), (4, vec![0.5, 1.5]));
        assert_eq!(said("autoattack:version=rand"), (20, vec![0.5, 1.5]));
    }
}
