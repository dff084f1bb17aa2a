//! What an attack works on: some images, the model they are to fool, and the account of what
//! was spent on each of them.

use super::account::{Account, PassCount};
use super::allowance::Granted;
use super::gradient::gradient;
use super::lanes::{self, FilledTape, filled, whole_lanes};
use super::objective::margin;
use super::scale;
use super::stream::TorchStream;
use super::{Classifier, Objective};
use crate::error::{Error, Result};
use rlnet_suites::Branch;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use tch::{Kind, Tensor, no_grad_guard};

/// What the rounding of a network's layers may change of a difference of two logits, as a share of the
/// largest logit: sixteen roundings (own choice; of networks of the verification competition logits were
/// seen to move by 3e-7 of their size).
const ROUNDING: f64 = 1.0 / (1 << 20) as f64;

/// Where a run's random draws come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draws {
    /// Keyed by (seed, attack, restart, image, iteration): no draw depends on the batch.
    Keyed(u64),
    /// libtorch's CPU generator, seeded per batch, as the AutoAttack reference draws: for
    /// one-to-one comparison with it only.
    Stream(u64),
}

/// Loss, logits and input gradient of each image at one point.
#[derive(Debug)]
pub struct Slope {
    /// `[N]`.
    pub loss: Tensor,
    /// `[N, classes]`.
    pub logits: Tensor,
    /// `[N, 3, H, W]`.
    pub gradient: Tensor,
}

/// Images to be perturbed and the model to be fooled.
pub struct Target<'a> {
    model: &'a dyn Classifier,
    /// Whose word counts on a finished attack: the model itself, where `model` is that in less precision.
    judge: &'a dyn Classifier,
    /// The branches that have to be fooled by the same point.
    branches: Vec<Branch>,
    /// `[N, 3, H, W]`, in `[0, 1]`: the centres of the balls.
    pub images: Tensor,
    /// `[N]` int64.
    pub labels: Tensor,
    /// The images' positions in the test set: the keys of their random draws.
    pub indices: Vec<u32>,
    /// Where random draws come from.
    pub draws: Draws,
    /// Passes averaged for a verdict or a gradient.
    eot: u32,
    /// Images that go through the model at a time, about.
    batch: i64,
    /// The class that each image is to be taken for, `[N]`; without, any wrong one will do.
    goals: Option<Tensor>,
    /// Passes that an image may cost.
    most: Option<usize>,
    /// Each image's place in the account, here and (`[N]` int64) on the model's device.
    rows: Vec<usize>,
    places: Tensor,
    spent: Rc<RefCell<Account>>,
    /// The number of classes, once it was seen.
    classes: Rc<Cell<Option<i64>>>,
}

impl<'a> Target<'a> {
    /// A batch of images `[N, 3, H, W]` in `[0, 1]` with labels `[N]` (int64) on the model's
    /// device; `indices` are their positions in the test set.
    pub fn new(
        model: &'a dyn Classifier,
        branch: Branch,
        images: &Tensor,
        labels: &Tensor,
        indices: &[u32],
        seed: u64,
    ) -> Self {
        let n = indices.len();
        let places = Tensor::arange(n as i64, (Kind::Int64, images.device()));
        Self {
            model,
            judge: model,
            branches: vec![branch],
            images: images.detach(),
            labels: labels.shallow_clone(),
            indices: indices.to_vec(),
            draws: Draws::Keyed(seed),
            eot: 1,
            batch: n.max(1) as i64,
            goals: None,
            most: None,
            rows: (0..n).collect(),
            spent: Rc::new(RefCell::new(Account {
                count: PassCount::none(n),
                unusable: places.zeros_like(),
            })),
            places,
            classes: Rc::default(),
        }
    }

    /// The same target, to be fooled in every one of these branches by one point: losses are
    /// summed over them, and the logits of an image are those of the branch that holds out
    /// best. (For a defence that picks a branch at random this follows the expectation
    /// exactly, where sampling it would only estimate it.)
    pub fn through(mut self, branches: &[Branch]) -> Self {
        self.branches = branches.to_vec();
        self
    }

    /// The same target, whose finished attacks are judged by the network that `model` was made of in less precision.
    pub fn judged_by(self, judge: &'a dyn Classifier) -> Self {
        Self { judge, ..self }
    }

    /// The same images on the same account, with other draws and at least so many passes a
    /// verdict.
    pub(super) fn drawing(&self, draws: Draws, passes: u32) -> Self {
        Self {
            model: self.model,
            judge: self.judge,
            branches: self.branches.clone(),
            images: self.images.shallow_clone(),
            labels: self.labels.shallow_clone(),
            indices: self.indices.clone(),
            draws,
            eot: self.eot.max(passes),
            batch: self.batch,
            goals: self.goals.as_ref().map(Tensor::shallow_clone),
            most: self.most,
            rows: self.rows.clone(),
            places: self.places.shallow_clone(),
            spent: Rc::clone(&self.spent),
            classes: Rc::clone(&self.classes),
        }
    }

    /// The same target, of whose images about so many go through the model at a time: memory, not results.
    pub fn in_passes_of(self, images: usize) -> Self {
        Self {
            batch: images.max(1) as i64,
            ..self
        }
    }

    /// The same target, each image of which may cost so many passes in all (see [`super::allowance`]).
    pub(super) fn at_most(self, most: Option<usize>) -> Self {
        Self { most, ..self }
    }

    /// The same target, whose images count as fooled when they are taken for these classes `[N]`.
    pub(super) fn towards(self, goals: Tensor) -> Self {
        Self {
            goals: Some(goals),
            ..self
        }
    }

    /// The classes that the images are to be taken for, where not any will do.
    pub(super) fn goals(&self) -> Option<&Tensor> {
        self.goals.as_ref()
    }

    /// Whether the reference is replayed: its random stream, its batches and its slips.
    pub(super) fn replays(&self) -> bool {
        matches!(self.draws, Draws::Stream(_))
    }

    /// The stream that the reference draws from, where it is replayed.
    pub(super) fn stream(&self) -> Option<TorchStream> {
        match self.draws {
            Draws::Keyed(_) => None,
            Draws::Stream(seed) => Some(TorchStream::new(seed)),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no image is left.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The images at `rows` `[M]` int64, on the same account.
    pub fn take(&self, rows: &Tensor) -> Self {
        let mut places = vec![0_i64; rows.numel()];
        rows.to_device(tch::Device::Cpu)
            .copy_data(&mut places, rows.numel());
        let places = places.into_iter().map(|row| row as usize);
        let (mut indices, mut kept) = (Vec::new(), Vec::new());
        for place in places {
            indices.push(self.indices[place]);
            kept.push(self.rows[place]);
        }
        Self {
            model: self.model,
            judge: self.judge,
            branches: self.branches.clone(),
            images: self.images.index_select(0, rows),
            labels: self.labels.index_select(0, rows),
            indices,
            draws: self.draws,
            eot: self.eot,
            batch: self.batch,
            goals: self.goals.as_ref().map(|goals| goals.index_select(0, rows)),
            most: self.most,
            rows: kept,
            places: self.places.index_select(0, rows),
            spent: Rc::clone(&self.spent),
            classes: Rc::clone(&self.classes),
        }
    }

    /// Number of classes the model tells apart; a question about the model, on no image's account.
    ///
    /// # Errors
    /// When libtorch refuses an operation, or there is no image to ask with.
    pub fn classes(&self) -> Result<i64> {
        let _guard = no_grad_guard();
        let one = self.images.f_narrow(0, 0, 1)?;
        Ok(whole_lanes(self.model, &one, self.branches[0])?.size()[1])
    }

    /// The number of classes, asked for once.
    pub(super) fn known_classes(&self) -> Result<i64> {
        match self.classes.get() {
            Some(classes) => Ok(classes),
            None => {
                self.classes.set(Some(self.classes()?));
                self.known_classes()
            }
        }
    }

    /// Which of some points `[N, 3, H, W]` fool, `[N]` bool: what an attack of several parts or starts asks
    /// about a finished one. It is answered whatever the images have cost.
    ///
    /// # Errors
    /// When libtorch refuses an operation.
    pub(super) fn verdict(&self, points: &Tensor) -> Result<Tensor> {
        let _ = self.charge(self.passes(), 0);
        Ok(self.fooled(&self.answer(self.judge, points)?))
    }

    /// Logits `[N, classes]` of points `[N, 3, H, W]`, one point an image.
    ///
    /// # Errors
    /// When libtorch refuses an operation.
    pub fn logits(&self, points: &Tensor) -> Result<Tensor> {
        let [granted, _] = self.charge(self.passes(), 0);
        if granted.nothing() {
            return Ok(self.unseen()?.logits);
        }
        Ok(granted.logits(self.answer(self.model, points)?, &self.labels))
    }

    /// The same without a charge.
    fn answer(&self, model: &dyn Classifier, points: &Tensor) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let mut best: Option<Tensor> = None;
        for &branch in &self.branches {
            let mut sum = self.pass(model, points, branch)?;
            for _ in 1..self.eot {
                sum += self.pass(model, points, branch)?;
            }
            let logits = sum / f64::from(self.eot);
            best = Some(self.holding_out(best, logits));
        }
        best.ok_or_else(|| Error::Incompatible("an attack needs a branch to go through".into()))
    }

    /// One forward pass. A replay of the reference keeps the reference's batches as they are:
    /// the last bits of a logit decide when an image leaves, and so what is drawn next.
    fn pass(&self, model: &dyn Classifier, points: &Tensor, branch: Branch) -> Result<Tensor> {
        match self.draws {
            Draws::Keyed(_) => lanes::in_batches(model, points, branch, self.batch as usize),
            Draws::Stream(_) => model.logits(points, branch),
        }
    }

    /// The rows that go through the model together: all of them where the reference is replayed.
    fn cuts(&self) -> Vec<Range<i64>> {
        let n = self.len() as i64;
        lanes::cuts(n, if self.replays() { n } else { self.batch })
    }

    /// Passes of points `[N, 3, H, W]` whose gradients can be asked for.
    fn tape(&self, points: &Tensor) -> FilledTape<'_> {
        FilledTape::new(self.model, points, !self.replays())
    }

    /// What `of` makes of the images and of `values` (each `[N, ...]`), row by row, put together of as many images at a
    /// time as go through the model.
    pub(super) fn in_batches(
        &self,
        values: &[&Tensor],
        of: impl Fn(&Target<'_>, &[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<Tensor>> {
        let cuts = self.cuts();
        if cuts.len() < 2 {
            let all: Vec<Tensor> = values.iter().map(|value| value.shallow_clone()).collect();
            return of(self, &all);
        }
        let mut parts: Vec<Vec<Tensor>> = Vec::new();
        for part in cuts {
            let rows = Tensor::arange_start(part.start, part.end, (Kind::Int64, self.images.device()));
            let of_part: Vec<Tensor> = values.iter().map(|value| value.index_select(0, &rows)).collect();
            for (place, made) in of(&self.take(&rows), &of_part)?.into_iter().enumerate() {
                match parts.get_mut(place) {
                    Some(part) => part.push(made),
                    None => parts.push(vec![made]),
                }
            }
        }
        Ok(parts.iter().map(|parts| Tensor::cat(parts, 0)).collect())
    }

    fn passes(&self) -> u32 {
        self.eot * self.branches.len() as u32
    }

    /// For each image the logits with the larger margin of the true class, or farther from the goal.
    fn holding_out(&self, before: Option<Tensor>, logits: Tensor) -> Tensor {
        let Some(before) = before else { return logits };
        let weakness = |logits: &Tensor| match &self.goals {
            Some(goals) => -margin(logits, goals),
            None => margin(logits, &self.labels),
        };
        let better = weakness(&logits).lt_tensor(&weakness(&before));
        logits.where_self(&better.unsqueeze(1), &before)
    }

    /// Loss, logits and gradient at points `[N, 3, H, W]`, one point an image.
    ///
    /// # Errors
    /// When libtorch refuses an operation.
    pub fn slope(&self, points: &Tensor, objective: &Objective) -> Result<Slope> {
        match self.draws {
            Draws::Keyed(_) => self.slope_of(points, |logits| objective.exact(logits)),
            Draws::Stream(_) => self.slope_of(points, |logits| objective.per_image(logits)),
        }
    }

    /// As [`Target::slope`], for any loss of the logits, one value an image.
    ///
    /// # Errors
    /// When libtorch refuses an operation.
    pub fn slope_of(&self, points: &Tensor, loss: impl Fn(&Tensor) -> Tensor) -> Result<Slope> {
        let [seen, followed] = self.charge(self.passes(), self.passes());
        if seen.nothing() {
            return self.unseen();
        }
        let mut total: Option<Slope> = None;
        for &branch in &self.branches {
            let slope = self.slope_in(branch, points, &loss)?;
            total = Some(match total {
                None => slope,
                Some(before) => Slope {
                    loss: before.loss + slope.loss,
                    gradient: before.gradient + slope.gradient,
                    logits: self.holding_out(Some(before.logits), slope.logits),
                },
            });
        }
        let slope =
            total.ok_or_else(|| Error::Incompatible("an attack needs a branch to go through".into()))?;
        self.account(&scale::is_usable(&slope.gradient), self.passes());
        Ok(Slope {
            loss: seen.or_zero(slope.loss),
            logits: seen.logits(slope.logits, &self.labels),
            gradient: followed.or_zero(slope.gradient),
        })
    }

    /// Writes down backward passes whose gradients (`usable` `[N]` bool) could not be followed.
    fn account(&self, usable: &Tensor, passes: u32) {
        let _guard = no_grad_guard();
        let lost = usable.logical_not().to_kind(Kind::Int64) * i64::from(passes);
        let _ = self
            .spent
            .borrow_mut()
            .unusable
            .index_add_(0, &self.places, &lost);
    }

    /// The rows `[M]` int64 of the images on which every backward pass was of no use.
    pub(super) fn blind(&self) -> Tensor {
        let spent = self.spent();
        let rows = self.rows.iter().zip(0_i64..);
        let blind = rows
            .filter(|(row, _)| spent.backwards[**row] > 0 && spent.unusable[**row] >= spent.backwards[**row]);
        let blind: Vec<i64> = blind.map(|(_, place)| place).collect();
        Tensor::from_slice(&blind)
            .to_kind(Kind::Int64)
            .to_device(self.images.device())
    }

    /// Takes back that the gradients of these images were of no use: the attack broke them all the same.
    pub(super) fn broke_itself(&self) {
        let _ = self.spent.borrow_mut().unusable.index_fill_(0, &self.places, 0);
    }

    /// The mean over the passes through one branch.
    fn slope_in(&self, branch: Branch, points: &Tensor, loss: impl Fn(&Tensor) -> Tensor) -> Result<Slope> {
        let pass = || -> Result<Slope> {
            let (mut losses, mut all_logits, mut gradients) = (Vec::new(), Vec::new(), Vec::new());
            for part in self.cuts() {
                let n = part.end - part.start;
                let mut tape = self.tape(&points.narrow(0, part.start, n));
                let logits = tape.logits(branch)?;
                let loss = loss(&among(&logits, part.start, self.len() as i64)).narrow(0, part.start, n);
                // A sum, not a mean: each image's gradient is its own whatever the batch.
                gradients.push(tape.gradient(&loss.sum(Kind::Float), false)?);
                losses.push(loss.detach());
                all_logits.push(logits.detach());
            }
            Ok(Slope {
                loss: joined(losses),
                logits: joined(all_logits),
                gradient: joined(gradients),
            })
        };
        let mut slope = pass()?;
        for _ in 1..self.eot {
            let next = pass()?;
            slope.loss += next.loss;
            slope.logits += next.logits;
            slope.gradient += next.gradient;
        }
        if self.eot > 1 {
            let passes = f64::from(self.eot);
            slope.loss /= passes;
            slope.logits /= passes;
            slope.gradient /= passes;
        }
        Ok(slope)
    }

    /// How much of its ring each point's largest product fills, `[N]`, the most of any branch, and the gradient
    /// `[N, 3, H, W]` of that.
    ///
    /// # Errors
    /// When the model computes in no ring, or libtorch refuses an operation.
    pub(super) fn load_slope(&self, points: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut made = self.in_batches(&[points], |part, rows| part.load_slope_at_once(&rows[0]))?;
        let slope = made.remove(1);
        Ok((made.remove(0), slope))
    }

    fn load_slope_at_once(&self, points: &Tensor) -> Result<Vec<Tensor>> {
        let n = points.size()[0];
        let variable = filled(points).detach().set_requires_grad(true);
        let mut sum = Tensor::zeros([variable.size()[0]], (Kind::Float, points.device()));
        for _ in 0..self.eot {
            let mut most: Option<Tensor> = None;
            for &branch in &self.branches {
                let load = self.model.load(&variable, branch)?.ok_or_else(|| {
                    Error::Incompatible(
                        "an overflow attack needs a model in fixed-point arithmetic (--arithmetic)".into(),
                    )
                })?;
                let load = load.amax([1_i64].as_slice(), false);
                most = Some(match most {
                    Some(most) => most.maximum(&load),
                    None => load,
                });
            }
            sum +=
                most.ok_or_else(|| Error::Incompatible("an attack needs a branch to go through".into()))?;
        }
        let load = sum / f64::from(self.eot);
        let slope = gradient(&load.sum(Kind::Float), &variable, false)?;
        let [_, followed] = self.charge(self.passes(), self.passes());
        Ok(vec![
            load.detach().narrow(0, 0, n),
            followed.or_zero(slope.narrow(0, 0, n)),
        ])
    }

    /// Several losses of the same logits, each one value an image, with their gradients:
    /// `visit(loss [N], gradient [N, 3, H, W])` sees one after the other, averaged over the
    /// passes and summed over the branches as by [`Target::slope_of`]. One forward pass of all images at once (see
    /// [`Target::in_batches`]), and one backward pass a loss.
    ///
    /// # Errors
    /// When libtorch refuses an operation.
    pub fn slopes_of(
        &self,
        points: &Tensor,
        losses: impl Fn(&Tensor) -> Vec<Tensor>,
        mut visit: impl FnMut(Tensor, Tensor),
    ) -> Result<()> {
        let [seen, _] = self.charge(self.passes(), 0);
        let mut tape = self.tape(points);
        let mut sums: Vec<Tensor> = Vec::new();
        for &branch in &self.branches {
            for _ in 0..self.eot {
                let each = losses(&tape.logits(branch)?);
                sums = match sums.is_empty() {
                    true => each,
                    false => sums.iter().zip(each).map(|(sum, loss)| sum + loss).collect(),
                };
            }
        }
        let mut usable: Option<Tensor> = None;
        for (place, sum) in sums.iter().enumerate() {
            let loss = sum / f64::from(self.eot);
            let total = loss.sum(Kind::Float);
            let again = place + 1 < sums.len();
            let [_, followed] = self.charge(0, self.passes());
            let gradient = if followed.nothing() {
                self.images.zeros_like()
            } else {
                let gradient = tape.gradient(&total, again)?;
                let own = scale::is_usable(&gradient);
                usable = Some(usable.map_or_else(|| own.shallow_clone(), |any| any.logical_or(&own)));
                followed.or_zero(gradient)
            };
            visit(seen.or_zero(loss.detach()), gradient);
        }
        // One of the gradients is enough to follow.
        if let Some(usable) = &usable {
            self.account(usable, self.passes() * sums.len() as u32);
        }
        Ok(())
    }

    /// Which images (`[N]` bool) these logits get wrong, or take for what they are to be taken for. A NaN
    /// counts as wrong, and as no such class; of equal logits the lower class wins, as in every verdict of
    /// this program.
    pub fn fooled(&self, logits: &Tensor) -> Tensor {
        let largest = logits.amax([1_i64].as_slice(), true);
        // argmax promises no order among equals: the first maximum is looked for.
        let first = logits.ge_tensor(&largest).to_kind(Kind::Int64).argmax(1, false);
        let nan = logits.isnan().any_dim(1, false);
        match &self.goals {
            Some(goals) => first.eq_tensor(goals).logical_and(&nan.logical_not()),
            None => first.not_equal_tensor(&self.labels).logical_or(&nan),
        }
    }

    /// Which images (`[N]` bool) these logits get wrong by more than their rounding: the verdict on the nearest
    /// point of a minimum-norm attack, which lies where two logits are equal, and must hold in exact
    /// arithmetic too. A NaN counts as wrong.
    pub fn surely_fooled(&self, logits: &Tensor) -> Tensor {
        let size = logits
            .nan_to_num(0.0, 0.0, 0.0)
            .abs()
            .amax([1_i64].as_slice(), false);
        let in_doubt = margin(logits, &self.labels).le_tensor(&(size * ROUNDING));
        self.fooled(logits).logical_and(&in_doubt.logical_not())
    }

    /// Passes spent so far, per image of the first target of this account.
    pub fn spent(&self) -> PassCount {
        let spent = self.spent.borrow();
        let mut count = spent.count.clone();
        let mut unusable = vec![0_i64; count.unusable.len()];
        let known = spent.unusable.to_device(tch::Device::Cpu);
        known.copy_data(&mut unusable, count.unusable.len());
        count.unusable = unusable.into_iter().map(|passes| passes as u32).collect();
        count
    }

    /// Writes down which part of an attack broke some of the images (`which` `[N]` bool).
    pub(super) fn broken(&self, which: &Tensor, by: &'static str) {
        let mut spent = self.spent.borrow_mut();
        for (&row, broken) in self.rows.iter().zip(flags(which)) {
            if broken {
                spent.count.broken_by[row] = Some(by);
            }
        }
    }

    /// Charges each image for these passes, as far as it may still pay: who may see the forward ones, and
    /// who may follow the backward ones.
    fn charge(&self, forwards: u32, backwards: u32) -> [Granted; 2] {
        let mut account = self.spent.borrow_mut();
        let spent = &mut account.count;
        let mut granted = [vec![true; self.len()], vec![true; self.len()]];
        for (place, &row) in self.rows.iter().enumerate() {
            let mut left = self.most.unwrap_or(usize::MAX);
            left = left.saturating_sub((spent.forwards[row] + spent.backwards[row]) as usize);
            for (granted, (passes, account)) in granted
                .iter_mut()
                .zip([(forwards, &mut spent.forwards), (backwards, &mut spent.backwards)])
            {
                if passes as usize <= left {
                    account[row] += passes;
                    left -= passes as usize;
                } else {
                    granted[place] = false;
                    left = 0;
                }
            }
        }
        granted.map(|flags| Granted::of(&flags, self))
    }
}

/// Logits of some rows in their places among all `n`: a loss knows of every row, and works row by row.
fn among(logits: &Tensor, from: i64, n: i64) -> Tensor {
    let size = logits.size();
    if size[0] == n {
        return logits.shallow_clone();
    }
    let blank = |rows: i64| Tensor::zeros([rows, size[1]], (logits.kind(), logits.device()));
    Tensor::cat(
        &[blank(from), logits.shallow_clone(), blank(n - from - size[0])],
        0,
    )
}

/// Parts `[M, ...]` of a batch, one after the other.
fn joined(mut parts: Vec<Tensor>) -> Tensor {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(&parts, 0),
    }
}

/// A tensor of flags `[N]` as a list.
fn flags(tensor: &Tensor) -> Vec<bool> {
    let tensor = tensor.to_device(tch::Device::Cpu).to_kind(Kind::Uint8);
    let mut values = vec![0_u8; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values.into_iter().map(|flag| flag != 0).collect()
}
