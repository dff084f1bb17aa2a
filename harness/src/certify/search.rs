//! Search for a proof on one image: slopes optimised by gradient (alpha-CROWN, Xu et al., ICLR 2021), then branch
//! and bound over the signs of single units with multipliers for the branches taken (beta-CROWN, Wang et al.,
//! NeurIPS 2021).
//!
//! The bounds before the ReLUs stay those of [`crown::bounds`]; slopes and multipliers are those of the margins'
//! own backward pass, one set for each margin and each branch. A branch fixes the sign of one unit, so its line is
//! exact, and the multiplier of `±z >= 0` enters the unit's coefficient. The next unit is one of the [`CANDIDATES`]
//! with the largest share in the distance between bound and network, `|coefficient| * -l u / (u - l)`: the one
//! whose worse branch has the better bound (filtered smart branching, De Palma et al., arXiv 2104.06718).

use super::crown::{Bound, Bounds, Choice, Layer, backward, chunk};
use super::graph::Graph;
use super::region::Region;
use crate::error::Result;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use tch::{Kind, Tensor, no_grad_guard};

/// Units whose branches are tried before one is chosen.
const CANDIDATES: i64 = 3;
/// Steps of the slopes and multipliers of a branch.
const BRANCH_STEPS: usize = 15;
/// Steps where every unit is decided and only multipliers are left.
const LEAF_STEPS: usize = 300;
/// Branches that are bounded at once.
const AT_ONCE: i64 = 64;
/// First step size, and its factor after each step (those of the authors' tool are 0.1 for slopes, 0.05 for
/// multipliers and 0.98).
const SLOPE_STEP: f64 = 0.1;
const MULTIPLIER_STEP: f64 = 0.05;
const DECAY: f64 = 0.98;

/// One image, its bounds before the ReLUs, and the margins to prove.
#[derive(Debug)]
pub struct Search<'a> {
    graph: &'a Graph,
    region: &'a Region,
    layers: &'a [Layer],
    /// `[T, classes]`.
    margins: Tensor,
    /// Places of the layers' unstable units in a row of all of them.
    spans: Vec<(i64, i64)>,
    /// What a margin has to exceed.
    above: f64,
}

/// What is chosen of all unstable units, `[R, U]` each.
#[derive(Debug)]
struct State {
    slopes: Tensor,
    signs: Tensor,
    multipliers: Tensor,
}

impl State {
    fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            slopes: change(&self.slopes),
            signs: change(&self.signs),
            multipliers: change(&self.multipliers),
        }
    }

    fn cat(states: &[&Self]) -> Self {
        let cat = |of: fn(&Self) -> &Tensor| {
            Tensor::cat(&states.iter().map(|state| of(state)).collect::<Vec<_>>(), 0)
        };
        Self {
            slopes: cat(|state| &state.slopes),
            signs: cat(|state| &state.signs),
            multipliers: cat(|state| &state.multipliers),
        }
    }
}

/// Bounds that were found, `[R]`, and with what.
#[derive(Debug)]
struct Found {
    value: Tensor,
    state: State,
    /// Points where the bounds are taken, `[R, 3, H, W]`: perhaps the network's margin is negative there.
    points: Tensor,
    /// The units' shares in the distance, `[R, U]`.
    scores: Tensor,
}

/// A branch whose bound is not positive yet.
struct Branch {
    bound: f64,
    margin: i64,
    /// `[1, U]` each.
    state: State,
    scores: Tensor,
}

impl Branch {
    /// Whether a unit is left whose sign makes a difference.
    fn can_be_split(&self) -> bool {
        self.scores.numel() > 0 && self.scores.max().double_value(&[]) > 0.0
    }
}

impl PartialEq for Branch {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Branch {}
impl PartialOrd for Branch {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Branch {
    /// The lowest bound first: where a counterexample is, if there is one.
    fn cmp(&self, other: &Self) -> Ordering {
        other.bound.total_cmp(&self.bound)
    }
}

/// How a search ended.
#[derive(Debug)]
pub struct Answer {
    /// A lower bound of every margin `[T]`, positive where it is proven.
    pub bounds: Vec<f64>,
    /// Branches that were bounded.
    pub nodes: u64,
    /// A point `[1, 3, H, W]` at which a margin is not positive.
    pub counterexample: Option<Tensor>,
}

impl Answer {
    /// The least bound.
    pub fn least(&self) -> f64 {
        self.bounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Places of the margins that are not proven.
    pub fn open(&self) -> Vec<usize> {
        (0..self.bounds.len())
            .filter(|&place| self.bounds[place] <= 0.0)
            .collect()
    }

    /// What another search found of some of the margins.
    pub fn take(&mut self, places: &[usize], other: Self) {
        for (&place, bound) in places.iter().zip(other.bounds) {
            self.bounds[place] = self.bounds[place].max(bound);
        }
        self.nodes += other.nodes;
        self.counterexample = other.counterexample;
    }
}

impl<'a> Search<'a> {
    /// For margins `[T, classes]` of one image.
    pub fn new(graph: &'a Graph, region: &'a Region, bounds: &'a Bounds, margins: Tensor) -> Self {
        let mut at = 0;
        let spans = bounds.layers.iter().map(|layer| {
            at += layer.width();
            (at - layer.width(), layer.width())
        });
        Self {
            graph,
            region,
            layers: &bounds.layers,
            margins,
            spans: spans.collect(),
            above: 0.0,
        }
    }

    /// The same for margins that have to exceed a number, which is taken off all bounds.
    #[must_use]
    pub fn above(mut self, above: f64) -> Self {
        self.above = above;
        self
    }

    fn units(&self) -> i64 {
        self.spans.iter().map(|(_, width)| width).sum()
    }

    fn choices(&self, state: &State) -> Vec<Choice> {
        let choice = |&(from, width): &(i64, i64)| {
            let of = |all: &Tensor| all.narrow(1, from, width);
            Choice {
                slope: of(&state.slopes),
                split: Some((of(&state.signs), of(&state.multipliers))),
            }
        };
        self.spans.iter().map(choice).collect()
    }

    fn bound(&self, margins: &Tensor, state: &State) -> Result<Bound> {
        let start = (self.graph.last(), margins.shallow_clone());
        let found = backward(self.graph, self.region, start, self.layers, &self.choices(state))?;
        Ok(Bound {
            value: found.value - self.above,
            ..found
        })
    }

    /// CROWN's slopes, nothing split.
    fn fresh(&self, rows: i64) -> State {
        let slopes = self.layers.iter().map(Layer::adaptive);
        // A tensor of no layers has no kind.
        let none = Tensor::zeros([0], (self.margins.kind(), self.margins.device()));
        let slopes: Vec<Tensor> = std::iter::once(none).chain(slopes).collect();
        let slopes = Tensor::cat(&slopes, 0);
        let slopes = slopes.unsqueeze(0).repeat([rows, 1]);
        State {
            signs: slopes.zeros_like(),
            multipliers: slopes.zeros_like(),
            slopes,
        }
    }

    /// Bounds with CROWN's slopes, `[T]`.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn crown(&self) -> Result<Vec<f64>> {
        let _guard = no_grad_guard();
        values(
            &self
                .bound(&self.margins, &self.fresh(self.margins.size()[0]))?
                .sound(),
        )
    }

    /// The best bounds of so many steps from a state; 0 steps evaluate it.
    fn optimise(&self, margins: &Tensor, start: State, steps: usize) -> Result<Found> {
        let mut slopes = start.slopes.detach().copy().set_requires_grad(true);
        let mut multipliers = start.multipliers.detach().copy().set_requires_grad(true);
        let branches = start.signs.abs();
        let (mut moments, mut best): (Vec<(Tensor, Tensor)>, Option<Found>) = (Vec::new(), None);
        let (mut slope_step, mut multiplier_step) = (SLOPE_STEP, MULTIPLIER_STEP);
        for step in 0..=steps {
            let state = State {
                slopes: slopes.shallow_clone(),
                signs: start.signs.shallow_clone(),
                multipliers: multipliers.shallow_clone(),
            };
            let last = step == steps;
            let bound = {
                let _guard = last.then(no_grad_guard);
                self.bound(margins, &state)?
            };
            let gradients = if last || self.units() == 0 {
                Vec::new()
            } else {
                let sum = bound.value.sum(bound.value.kind());
                Tensor::run_backward(&[sum], &[&slopes, &multipliers], false, false)
            };
            let _guard = no_grad_guard();
            best = Some(self.better(best, &bound, &state));
            let all_proven = best
                .as_ref()
                .is_some_and(|best| best.value.gt(0.0).all().int64_value(&[]) == 1);
            if gradients.is_empty() || all_proven {
                break;
            }
            moments.resize_with(2, || (slopes.zeros_like(), slopes.zeros_like()));
            let moves = gradients
                .iter()
                .zip(&mut moments)
                .map(|(gradient, moments)| adam(gradient, moments, step as i32 + 1));
            let moves: Vec<Tensor> = moves.collect();
            let next = (slopes.detach() + &moves[0] * slope_step).clamp(0.0, 1.0);
            slopes = next.set_requires_grad(true);
            let next = (multipliers.detach() + &moves[1] * multiplier_step).clamp_min(0.0) * &branches;
            multipliers = next.set_requires_grad(true);
            slope_step *= DECAY;
            multiplier_step *= DECAY;
        }
        best.ok_or_else(|| crate::error::Error::internal("an optimisation of no steps"))
    }

    /// Row by row the better of two.
    fn better(&self, old: Option<Found>, bound: &Bound, state: &State) -> Found {
        let value = bound.sound().detach();
        let new = |value: Tensor| Found {
            value,
            state: state.map(Tensor::detach),
            points: self.region.minimiser(&bound.rows.detach()),
            scores: self.scores(bound),
        };
        let Some(old) = old else {
            return new(value);
        };
        let better = value.gt_tensor(&old.value);
        let new = new(value);
        let pick = |new: &Tensor, old: &Tensor| {
            let shape: Vec<i64> = (0..new.dim())
                .map(|axis| if axis == 0 { -1 } else { 1 })
                .collect();
            new.where_self(&better.reshape(shape), old)
        };
        Found {
            value: pick(&new.value, &old.value),
            state: State {
                slopes: pick(&new.state.slopes, &old.state.slopes),
                signs: old.state.signs,
                multipliers: pick(&new.state.multipliers, &old.state.multipliers),
            },
            points: pick(&new.points, &old.points),
            scores: pick(&new.scores, &old.scores),
        }
    }

    fn scores(&self, bound: &Bound) -> Tensor {
        let zeros = |width: i64| {
            let options = (bound.value.kind(), bound.value.device());
            Tensor::zeros([bound.value.size()[0], width], options)
        };
        let of = |(place, layer): (usize, &Layer)| {
            let found = bound.at_relus.iter().find(|(at, _)| *at == place);
            found.map_or_else(
                || zeros(layer.width()),
                |(_, coefficients)| coefficients.detach().abs() * layer.gap(),
            )
        };
        let parts: Vec<Tensor> = std::iter::once(zeros(0))
            .chain(self.layers.iter().enumerate().map(of))
            .collect();
        Tensor::cat(&parts, 1)
    }

    /// Optimises the slopes of every margin by so many steps, then, for those that stay open, branches until so
    /// many branches have been bounded. `go_on` is asked between them.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn run(&self, steps: usize, nodes: u64, go_on: &dyn Fn() -> bool) -> Result<Answer> {
        let root = self.optimise(&self.margins, self.fresh(self.margins.size()[0]), steps)?;
        let mut answer = Answer {
            bounds: values(&root.value)?,
            nodes: 0,
            counterexample: None,
        };
        let mut open: BinaryHeap<Branch> = BinaryHeap::new();
        let rows: Vec<i64> = (0..self.margins.size()[0]).collect();
        let mut proven = vec![f64::INFINITY; rows.len()];
        self.keep(&root, &rows, &mut open, &mut proven)?;
        if nodes == 0 {
            return Ok(answer);
        }
        answer.counterexample = self.broken(&root, &rows)?;
        // A branch that is decided everywhere and not positive: nothing is left to split.
        let mut stuck: Vec<(i64, f64)> = Vec::new();
        let at_once = AT_ONCE
            .min(chunk(self.graph, 0..=self.graph.last(), self.graph.kind()) / 2)
            .max(1) as usize;
        while answer.counterexample.is_none() && answer.nodes < nodes && !open.is_empty() && go_on() {
            let room = (nodes - answer.nodes).div_ceil(2) as usize;
            let mut taken = Vec::new();
            while taken.len() < at_once.min(room) {
                let Some(branch) = open.pop() else {
                    break;
                };
                if branch.can_be_split() {
                    taken.push(branch);
                } else {
                    stuck.push((branch.margin, branch.bound));
                }
            }
            if taken.is_empty() {
                break;
            }
            let (children, owners) = self.children(&taken)?;
            answer.nodes += owners.len() as u64;
            answer.counterexample = self.broken(&children, &owners)?;
            self.keep(&children, &owners, &mut open, &mut proven)?;
        }
        let unproven: Vec<(i64, f64)> = open
            .iter()
            .map(|branch| (branch.margin, branch.bound))
            .chain(stuck)
            .collect();
        for (margin, bound) in answer.bounds.iter_mut().enumerate() {
            let left = unproven
                .iter()
                .filter(|(of, _)| *of == margin as i64)
                .map(|(_, bound)| *bound);
            *bound = bound.max(left.fold(proven[margin], f64::min));
        }
        Ok(answer)
    }

    /// Keeps what is not proven, and of what is the least bound of each margin.
    fn keep(
        &self,
        found: &Found,
        margins: &[i64],
        open: &mut BinaryHeap<Branch>,
        proven: &mut [f64],
    ) -> Result<()> {
        for (row, bound) in values(&found.value)?.into_iter().enumerate() {
            if bound > 0.0 {
                let least = &mut proven[margins[row] as usize];
                *least = least.min(bound);
            } else {
                let one = |all: &Tensor| all.narrow(0, row as i64, 1);
                let scores = one(&found.scores) * one(&found.state.signs).eq(0.0);
                open.push(Branch {
                    bound,
                    margin: margins[row],
                    state: found.state.map(one),
                    scores,
                });
            }
        }
        Ok(())
    }

    /// A point at which the network's own margin is not positive.
    fn broken(&self, found: &Found, margins: &[i64]) -> Result<Option<Tensor>> {
        let _guard = no_grad_guard();
        let logits = self.graph.forward(&found.points)?;
        let rows = self
            .margins
            .index_select(0, &Tensor::from_slice(margins).to_device(self.margins.device()));
        let margins =
            values(&(logits * rows).sum_dim_intlist([1_i64].as_slice(), false, found.value.kind()))?;
        let worst = margins.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        Ok(worst
            .filter(|(_, margin)| **margin <= 0.0)
            .map(|(row, _)| found.points.narrow(0, row as i64, 1)))
    }

    /// Both sides of a unit of each branch, bounded; and the margins they belong to.
    fn children(&self, taken: &[Branch]) -> Result<(Found, Vec<i64>)> {
        let state = State::cat(&taken.iter().map(|branch| &branch.state).collect::<Vec<_>>());
        let scores = Tensor::cat(&taken.iter().map(|branch| &branch.scores).collect::<Vec<_>>(), 0);
        let count = CANDIDATES.min(self.units());
        let (_, candidates) = scores.topk(count, 1, true, true);
        let owners: Vec<i64> = taken.iter().map(|branch| branch.margin).collect();
        let rows = self
            .margins
            .index_select(0, &Tensor::from_slice(&owners).to_device(self.margins.device()));
        let mut worse = Vec::new();
        if count > 1 {
            let _guard = no_grad_guard();
            for place in 0..count {
                let units = candidates.narrow(1, place, 1);
                let both = [-1.0, 1.0].map(|sign| {
                    self.bound(&rows, &split(&state, &units, sign))
                        .map(|bound| bound.value)
                });
                let [off, on] = both;
                let (off, on) = (off?, on?);
                // A candidate that is decided already would be split for nothing.
                let free = scores.gather(1, &units, false).squeeze_dim(1).gt(0.0);
                let least = off.minimum(&on);
                worse.push(least.where_self(&free, &least.full_like(f64::NEG_INFINITY)));
            }
        }
        let chosen = if worse.is_empty() {
            candidates
        } else {
            candidates.gather(1, &Tensor::stack(&worse, 1).argmax(1, true), false)
        };
        let children = [-1.0, 1.0].map(|sign| split(&state, &chosen, sign));
        let state = State::cat(&[&children[0], &children[1]]);
        let both = Tensor::cat(&[&rows, &rows], 0);
        let left = (scores.gt(0.0).sum(Kind::Int64)).int64_value(&[]) - owners.len() as i64;
        let steps = if left <= 0 { LEAF_STEPS } else { BRANCH_STEPS };
        Ok((
            self.optimise(&both, state, steps)?,
            [owners.as_slice(), &owners].concat(),
        ))
    }
}

/// A state with the sign of one unit a row (`[R, 1]`) fixed.
fn split(state: &State, units: &Tensor, sign: f64) -> State {
    State {
        slopes: state.slopes.shallow_clone(),
        signs: state.signs.scatter_value(1, units, sign),
        multipliers: state.multipliers.shallow_clone(),
    }
}

/// The direction of Adam's step (Kingma and Ba, ICLR 2015), a unit a step.
fn adam(gradient: &Tensor, (mean, square): &mut (Tensor, Tensor), step: i32) -> Tensor {
    *mean = &*mean * 0.9 + gradient * 0.1;
    *square = &*square * 0.999 + gradient.square() * 0.001;
    let (mean, square) = (
        &*mean / (1.0 - 0.9_f64.powi(step)),
        &*square / (1.0 - 0.999_f64.powi(step)),
    );
    mean / (square.sqrt() + 1e-8)
}

/// Bounds of a vector; what is no number bounds nothing.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    let all = Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).to_device(tch::Device::Cpu))?;
    Ok(all
        .into_iter()
        .map(|value| if value.is_nan() { f64::NEG_INFINITY } else { value })
        .collect())
}
