//! A batch of images under a condition: which of them are attacked, what a branch is shown, what the
//! model says of it.

use super::attack_cache::AttackCache;
use super::augmented::augmix_images;
use super::certified::{self, Proof};
use super::input::EvaluationInput;
use super::judge::judge;
use super::verdict::{averaged, eight_bits, floats, passes};
use crate::attack::{self, Target, ball};
use crate::data::images_to_tensor;
use crate::error::{Error, Result};
use rlnet_suites::attack::{BranchChoice, Norm, Surrogate};
use rlnet_suites::{AttackSpec, Branch, Condition, Outcome, Ranking};
use std::collections::{BTreeMap, BTreeSet};
use tch::{Device, Tensor, no_grad_guard};

/// A batch of test images, corrupted when the condition says so.
pub(super) struct Batch {
    pub(super) images: Tensor,
    labels: Tensor,
    pub(super) indices: Vec<u32>,
    pub(super) classes: Vec<u16>,
}

/// What a branch says of a batch as it is.
pub(super) struct Before {
    /// `[N, classes]`.
    logits: Tensor,
    /// Places of the images that are attacked: those that the branch has right, under an attack.
    attacked: Vec<usize>,
}

/// Images as a model sees them under a condition, and what making them cost.
#[derive(Debug)]
pub(super) struct AdversarialBatch {
    /// `[N, 3, H, W]`; an image that is not attacked is there as it is.
    pub(super) images: Tensor,
    /// The norm its perturbations are measured in.
    norm: Norm,
    pub(super) spent: attack::PassCount,
    /// What a certificate proved of the images at places.
    pub(super) proofs: BTreeMap<usize, Proof>,
}

impl AdversarialBatch {
    /// Puts images `[M, 3, H, W]` at `places`, with what they cost.
    fn put(&mut self, places: &[usize], images: &Tensor, spent: &attack::PassCount) {
        let rows = numbers(places, self.images.device());
        self.images = self.images.index_copy(0, &rows, images);
        self.spent.put(places, spent);
    }
}

impl Batch {
    pub(super) fn new(
        input: &EvaluationInput<'_>,
        condition: &Condition,
        from: usize,
        n: usize,
    ) -> Result<Self> {
        let part = match (condition, condition.corruption()) {
            (Condition::Frame { sequence, frame }, _) => {
                input.corrupted.frames(input.test, *sequence, *frame, from, n)?
            }
            (_, Some((name, severity))) => input.corrupted.batch(input.test, name, severity, from, n)?,
            (_, None) => input.test.slice(from, n)?,
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
    pub(super) fn before(
        &self,
        condition: &Condition,
        branch: Branch,
        input: &EvaluationInput<'_>,
    ) -> Result<Before> {
        let _guard = no_grad_guard();
        let logits = averaged(
            input.networks.model(),
            &self.images,
            branch,
            (passes(condition), input.batch),
        )?;
        let width = logits.size()[1] as usize;
        if let Some(place) = self.classes.iter().position(|&label| usize::from(label) >= width) {
            return Err(Error::Incompatible(format!(
                "the model gives {width} logits, but image {} has label {}",
                self.indices[place], self.classes[place]
            )));
        }
        let attacked = match condition {
            condition if condition.is_attacked() => self.right(&floats(&logits), width),
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
    pub(super) fn shared(
        &self,
        condition: &Condition,
        before: &[Before],
        input: &EvaluationInput<'_>,
    ) -> Result<Option<AdversarialBatch>> {
        let Condition::Attack(spec) = condition else {
            return Ok(None);
        };
        let Some(&first) = input.branches.first() else {
            return Ok(None);
        };
        if spec.branch() == BranchChoice::Same {
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
    pub(super) fn under(
        &self,
        condition: &Condition,
        branch: Branch,
        before: &Before,
        shared: Option<&AdversarialBatch>,
        input: &EvaluationInput<'_>,
    ) -> Result<AdversarialBatch> {
        match (condition, shared) {
            (Condition::Attack(_), Some(shared)) => Ok(self.only(shared, &before.attacked)),
            (Condition::Attack(spec), None) => {
                let branches = input.networks.through(spec, branch)?;
                self.attack(spec, &branches, &before.attacked, input)
            }
            (Condition::Certify(spec), _) => self.certified(spec, branch, before, input),
            _ => Ok(self.untouched(Norm::Linf)),
        }
    }

    /// The images that a branch has right: attacked first, then bounded where they hold.
    fn certified(
        &self,
        spec: &AttackSpec,
        branch: Branch,
        before: &Before,
        input: &EvaluationInput<'_>,
    ) -> Result<AdversarialBatch> {
        let search = spec.before_proof()?;
        let branches = input.networks.through(&search, branch)?;
        let mut seen = self.attack(&search, &branches, &before.attacked, input)?;
        let logits = {
            let _guard = no_grad_guard();
            averaged(input.networks.model(), &seen.images, branch, (1, input.batch))?
        };
        let width = logits.size()[1] as usize;
        let holding = self.right(&floats(&logits), width);
        let places = before.attacked.iter().filter(|place| holding.contains(place));
        for &place in places {
            let image = self.images.narrow(0, place as i64, 1);
            let (proof, point) =
                certified::prove(spec, branch, (&image, self.classes[place]), input.networks)?;
            seen.spent.backwards[place] += proof.nodes;
            seen.proofs.insert(place, proof);
            // Without a point that breaks it the row is of the image itself, not of where the attack ended.
            let row = numbers(&[place], self.images.device());
            seen.images = seen.images.index_copy(0, &row, &point.unwrap_or(image));
        }
        Ok(seen)
    }

    /// The images as they are: wrong from the start, as far as an attack goes.
    fn untouched(&self, norm: Norm) -> AdversarialBatch {
        let mut spent = attack::PassCount::none(self.indices.len());
        spent.broken_by.fill(Some("clean"));
        AdversarialBatch {
            images: self.images.shallow_clone(),
            norm,
            spent,
            proofs: BTreeMap::new(),
        }
    }

    /// Of some images those at `places`, the others as they are.
    fn only(&self, seen: &AdversarialBatch, places: &[usize]) -> AdversarialBatch {
        let mut some = self.untouched(seen.norm);
        let images = seen
            .images
            .index_select(0, &numbers(places, self.images.device()));
        some.put(places, &images, &seen.spent.select(places));
        some
    }

    /// The images at `places` attacked, the others as they are.
    fn attack(
        &self,
        spec: &AttackSpec,
        branches: &[Branch],
        places: &[usize],
        input: &EvaluationInput<'_>,
    ) -> Result<AdversarialBatch> {
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
        let target = Target::new(followed, branches[0], &images, &labels, &indices, input.seed)
            .through(branches)
            .in_passes_of(input.batch);
        let target = match spec.surrogate() {
            // It may be followed in less precision.
            Surrogate::Own => target.judged_by(input.networks.model()),
            _ => target,
        };
        let teacher = input.networks.taught(spec, &images, input.batch)?;
        if let Some(taught) = &teacher {
            let (classes, own) = (taught.size()[1], target.classes()?);
            if classes != own {
                return Err(Error::Incompatible(format!(
                    "{spec}: the teacher gives {classes} logits and the model {own}; name a teacher of the same \
                     classes, or use loss=ce"
                )));
            }
        }
        let made = attack::run(spec, &target, teacher.as_ref())?;
        let made = attack::search_blind(spec, &target, made)?;
        seen.put(places, &made, &target.spent());
        Ok(seen)
    }

    /// Puts those of the images at `places` into `seen` that were made before through the branches
    /// that are followed; gives the places of the others.
    fn remember(
        &self,
        followed: &[Branch],
        places: &[usize],
        made: &AttackCache,
        seen: &mut AdversarialBatch,
    ) -> Vec<usize> {
        let indices: Vec<u32> = places.iter().map(|&place| self.indices[place]).collect();
        let Some(known) = made.find(followed, &indices, self.images.device()) else {
            return places.to_vec();
        };
        let there: Vec<usize> = known.places.iter().map(|&place| places[place]).collect();
        seen.put(&there, &known.images, &known.spent);
        let missing = places.iter().filter(|place| !there.contains(place));
        missing.copied().collect()
    }

    /// One row an image.
    pub(super) fn judge(
        &self,
        seen: &AdversarialBatch,
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
            let ask = |images: &Tensor| {
                let said = averaged(model, images, branch, (passes, input.batch))?;
                Ok::<_, Error>(floats(&said))
            };
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
            // What was proven of the ball, unless a point of it that was found is wrong.
            let proof = seen.proofs.get(&place).filter(|_| verdict.prediction == label);
            rows.push(Outcome {
                image: self.indices[place],
                branch,
                condition: condition.clone(),
                label,
                prediction: verdict.prediction,
                rounded: judge(&rounded[place * width..][..width], label).prediction,
                margin: proof.map_or(verdict.margin, |proof| proof.margin),
                loss: verdict.loss,
                norm: norms[place],
                forwards: forwards[place],
                backwards: seen.spent.backwards[place],
                unstable: seen.proofs.get(&place).map_or(0, |proof| proof.unstable),
                unusable: seen.spent.unusable[place],
                ranking: match condition {
                    Condition::Frame { .. } => Ranking::of(row),
                    _ => Ranking::default(),
                },
            });
        }
        Ok(rows)
    }
}

/// Places of a batch as an index.
fn numbers(places: &[usize], device: Device) -> Tensor {
    let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    Tensor::from_slice(&places).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

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

        let made = AdversarialBatch {
            images: Tensor::ones([4, 3, 1, 1], (Kind::Float, Device::Cpu)),
            norm: Norm::Linf,
            spent: attack::PassCount {
                forwards: vec![7; 4],
                backwards: vec![5; 4],
                unusable: vec![3; 4],
                broken_by: vec![None; 4],
            },
            proofs: BTreeMap::new(),
        };
        let some = batch.only(&made, &[0, 3]);
        assert_eq!(floats(&some.images.select(1, 0)), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(some.spent.forwards, [7, 0, 0, 7]);
        assert_eq!(some.spent.backwards, [5, 0, 0, 5]);
        assert_eq!(some.spent.unusable, [3, 0, 0, 3]);
        assert_eq!(some.spent.broken_by, [None, Some("clean"), Some("clean"), None]);
        assert_eq!(floats(&batch.images.sum(Kind::Float)), [0.0]);
    }
}
