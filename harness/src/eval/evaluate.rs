//! Test images through a condition and every branch, to one outcome row each.

use super::augmented::augmix_images;
use super::corrupted::CorruptedImages;
use super::examples::{COUNT, to_bytes};
use super::judge::judge;
use super::made::Made;
use super::networks::Networks;
use super::saved::Saved;
use crate::attack::target::whole_lanes;
use crate::attack::{self, Classifier, Target, autoattack, ball};
use crate::data::{Split, images_to_tensor};
use crate::error::{Error, Result};
use crate::progress::Progress;
use rlnet_suites::attack::Norm;
use rlnet_suites::{AttackSpec, Branch, Condition, Outcome};
use std::collections::BTreeSet;
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
    /// Images of the attack that are there already; no row depends on it.
    pub made: &'a Made,
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
        let before = input.branches.iter();
        let before: Vec<Before> = before
            .map(|&branch| batch.before(condition, branch, input))
            .collect::<Result<_>>()?;
        let shared = batch.shared(condition, &before, input)?;
        for (slot, &branch) in input.branches.iter().enumerate() {
            let before = &before[slot];
            let seen = batch.under(condition, branch, before, shared.as_ref(), input)?;
            rows[slot].extend(batch.judge(&seen, before, condition, branch, input)?);
            if let Some(saved) = &mut saved {
                let made = (&seen.images, &seen.spent);
                saved.push(condition, branch, &batch.indices, &batch.classes, made);
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
            // Shown to another branch its images are right and wrong otherwise than where they were made.
            if spec.name() == "autoattack" && spec.follows_itself() {
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

/// What a branch says of a batch as it is.
struct Before {
    /// `[N, classes]`.
    logits: Tensor,
    /// Places of the images that are attacked: those that the branch has right, under an attack.
    attacked: Vec<usize>,
}

/// Images as a model sees them under a condition, and what making them cost.
#[derive(Debug)]
struct Seen {
    /// `[N, 3, H, W]`; an image that is not attacked is there as it is.
    images: Tensor,
    /// The norm its perturbations are measured in.
    norm: Norm,
    spent: attack::Spent,
}

impl Seen {
    /// Puts images `[M, 3, H, W]` at `places`, with what they cost.
    fn put(&mut self, places: &[usize], images: &Tensor, spent: &attack::Spent) {
        let rows = numbers(places, self.images.device());
        self.images = self.images.index_copy(0, &rows, images);
        for (row, &place) in places.iter().enumerate() {
            self.spent.forwards[place] = spent.forwards[row];
            self.spent.backwards[place] = spent.backwards[row];
            self.spent.broken_by[place] = spent.broken_by[row];
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

    /// What a branch says of the images before any attack. An image that it has wrong is broken
    /// already and is not attacked: robust is what is right before and after, and an attack could
    /// only put it right.
    fn before(&self, condition: &Condition, branch: Branch, input: &EvaluationInput<'_>) -> Result<Before> {
        let _guard = no_grad_guard();
        let logits = averaged(input.networks.model(), &self.images, branch, passes(condition))?;
        let width = logits.size()[1] as usize;
        if let Some(place) = self.classes.iter().position(|&label| usize::from(label) >= width) {
            return Err(Error::Input(format!(
                "the model gives {width} logits, but image {} has label {}",
                self.indices[place], self.classes[place]
            )));
        }
        let attacked = match condition {
            Condition::Attack(_) => self.right(&floats(&logits), width),
            _ => Vec::new(),
        };
        Ok(Before { logits, attacked })
    }

    /// Places of the images that logits, `width` of each image, have right.
    fn right(&self, logits: &[f32], width: usize) -> Vec<usize> {
        let rows = logits.chunks_exact(width.max(1)).zip(&self.classes);
        let right = rows.map(|(row, &label)| judge(row, label).prediction == label);
        right
            .enumerate()
            .filter_map(|(place, right)| right.then_some(place))
            .collect()
    }

    /// The images of an attack that does not follow the branch it is judged on, made once for all
    /// branches: of every image that one of them has right.
    fn shared(
        &self,
        condition: &Condition,
        before: &[Before],
        input: &EvaluationInput<'_>,
    ) -> Result<Option<Seen>> {
        let Condition::Attack(spec) = condition else {
            return Ok(None);
        };
        let Some(&first) = input.branches.first() else {
            return Ok(None);
        };
        if ["", "same"].contains(&spec.word("through")) {
            return Ok(None);
        }
        let branches = input.networks.through(spec, first)?;
        let attacked: BTreeSet<usize> = before
            .iter()
            .flat_map(|before| before.attacked.iter().copied())
            .collect();
        let attacked: Vec<usize> = attacked.into_iter().collect();
        self.attack(spec, &branches, &attacked, input).map(Some)
    }

    /// The images under a condition, as a branch is shown them.
    fn under(
        &self,
        condition: &Condition,
        branch: Branch,
        before: &Before,
        shared: Option<&Seen>,
        input: &EvaluationInput<'_>,
    ) -> Result<Seen> {
        match (condition, shared) {
            (Condition::Attack(_), Some(shared)) => Ok(self.only(shared, &before.attacked)),
            (Condition::Attack(spec), None) => {
                let branches = input.networks.through(spec, branch)?;
                self.attack(spec, &branches, &before.attacked, input)
            }
            _ => Ok(self.untouched(Norm::Linf)),
        }
    }

    /// The images as they are: wrong from the start, as far as an attack goes.
    fn untouched(&self, norm: Norm) -> Seen {
        let mut spent = attack::Spent::none(self.indices.len());
        spent.broken_by.fill(Some("clean"));
        Seen {
            images: self.images.shallow_clone(),
            norm,
            spent,
        }
    }

    /// Of some images those at `places`, the others as they are.
    fn only(&self, seen: &Seen, places: &[usize]) -> Seen {
        let mut some = self.untouched(seen.norm);
        let images = seen
            .images
            .index_select(0, &numbers(places, self.images.device()));
        let of = |all: &[u32]| places.iter().map(|&place| all[place]).collect();
        let spent = attack::Spent {
            forwards: of(&seen.spent.forwards),
            backwards: of(&seen.spent.backwards),
            broken_by: places.iter().map(|&place| seen.spent.broken_by[place]).collect(),
        };
        some.put(places, &images, &spent);
        some
    }

    /// The images at `places` attacked, the others as they are.
    fn attack(
        &self,
        spec: &AttackSpec,
        branches: &[Branch],
        places: &[usize],
        input: &EvaluationInput<'_>,
    ) -> Result<Seen> {
        let followed = input.networks.followed(spec, branches)?;
        let mut seen = self.untouched(spec.norm());
        let places = &self.remember(branches, places, input.made, &mut seen);
        if places.is_empty() {
            return Ok(seen);
        }
        let rows = numbers(places, self.images.device());
        let images = self.images.index_select(0, &rows);
        let labels = self.labels.index_select(0, &rows);
        let indices: Vec<u32> = places.iter().map(|&place| self.indices[place]).collect();
        let target =
            Target::new(followed, branches[0], &images, &labels, &indices, input.seed).through(branches);
        let teacher = input.networks.taught(spec, &images)?;
        if let Some(taught) = &teacher {
            let (classes, own) = (taught.size()[1], target.classes()?);
            if classes != own {
                return Err(Error::Input(format!(
                    "{spec}: the teacher gives {classes} logits and the model {own}; name a teacher of the same \
                     classes, or use loss=ce"
                )));
            }
        }
        let made = attack::run(spec, &target, teacher.as_ref())?;
        seen.put(places, &made, &target.spent());
        Ok(seen)
    }

    /// Puts those of the images at `places` into `seen` that were made before through the branches
    /// that are followed; gives the places of the others.
    fn remember(&self, followed: &[Branch], places: &[usize], made: &Made, seen: &mut Seen) -> Vec<usize> {
        let indices: Vec<u32> = places.iter().map(|&place| self.indices[place]).collect();
        let Some(known) = made.find(followed, &indices, self.images.device()) else {
            return places.to_vec();
        };
        let there: Vec<usize> = known.places.iter().map(|&place| places[place]).collect();
        let spent = attack::Spent {
            broken_by: vec![None; there.len()],
            forwards: known.forwards,
            backwards: known.backwards,
        };
        seen.put(&there, &known.images, &spent);
        let missing = places.iter().filter(|place| !there.contains(place));
        missing.copied().collect()
    }

    /// One row an image.
    fn judge(
        &self,
        seen: &Seen,
        before: &Before,
        condition: &Condition,
        branch: Branch,
        input: &EvaluationInput<'_>,
    ) -> Result<Vec<Outcome>> {
        let _guard = no_grad_guard();
        let model = input.networks.model();
        let passes = passes(condition);
        let width = before.logits.size()[1] as usize;
        let mut logits = floats(&before.logits);
        // Clean and corrupted images are whole bytes; an adversarial one is judged again as
        // the 8-bit image that could be stored or sent.
        let mut rounded = logits.clone();
        let mut forwards = vec![passes; self.indices.len()];
        if !before.attacked.is_empty() {
            let rows = numbers(&before.attacked, self.images.device());
            let made = seen.images.index_select(0, &rows);
            let ask = |images: &Tensor| Ok::<_, Error>(floats(&averaged(model, images, branch, passes)?));
            for (all, said) in [
                (&mut logits, ask(&made)?),
                (&mut rounded, ask(&eight_bits(&made))?),
            ] {
                for (said, &place) in said.chunks_exact(width).zip(&before.attacked) {
                    all[place * width..][..width].copy_from_slice(said);
                }
            }
            for &place in &before.attacked {
                forwards[place] += passes + seen.spent.forwards[place];
            }
        }
        let norms = floats(&ball::length(&(&seen.images - &self.images), seen.norm));
        let mut rows = Vec::with_capacity(self.indices.len());
        for (place, row) in logits.chunks_exact(width).enumerate() {
            let label = self.classes[place];
            let verdict = judge(row, label);
            rows.push(Outcome {
                image: self.indices[place],
                branch,
                condition: condition.clone(),
                label,
                prediction: verdict.prediction,
                rounded: judge(&rounded[place * width..][..width], label).prediction,
                margin: verdict.margin,
                loss: verdict.loss,
                norm: norms[place],
                forwards: forwards[place],
                backwards: seen.spent.backwards[place],
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

/// Places of a batch as an index.
fn numbers(places: &[usize], device: Device) -> Tensor {
    let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    Tensor::from_slice(&places).to_device(device)
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
    fn only_what_is_right_is_attacked_and_a_branch_sees_its_own() {
        let batch = Batch {
            images: Tensor::zeros([4, 3, 1, 1], (Kind::Float, Device::Cpu)),
            labels: Tensor::from_slice(&[0_i64; 4]),
            indices: vec![5, 6, 7, 8],
            classes: vec![0; 4],
        };
        // Right, wrong, not a number, right by the lower of two equal classes.
        let logits = [2.0, 1.0, 1.0, 2.0, f32::NAN, 0.0, 1.0, 1.0];
        assert_eq!(batch.right(&logits, 2), [0, 3]);

        let made = Seen {
            images: Tensor::ones([4, 3, 1, 1], (Kind::Float, Device::Cpu)),
            norm: Norm::Linf,
            spent: attack::Spent {
                forwards: vec![7; 4],
                backwards: vec![5; 4],
                broken_by: vec![None; 4],
            },
        };
        let some = batch.only(&made, &[0, 3]);
        assert_eq!(floats(&some.images.select(1, 0)), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(some.spent.forwards, [7, 0, 0, 7]);
        assert_eq!(some.spent.backwards, [5, 0, 0, 5]);
        assert_eq!(some.spent.broken_by, [None, Some("clean"), Some("clean"), None]);
        assert_eq!(floats(&batch.images.sum(Kind::Float)), [0.0]);
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
