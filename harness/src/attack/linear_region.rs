//! The linear-region attack (after Croce and Hein, GCPR 2018, arXiv 1811.11493; Croce, Rauber and Hein, IJCV 2020,
//! arXiv 1903.11359), from the points at which Auto-PGD ends.
//!
//! Where the pattern of its ReLUs is fixed a network is linear, and the gradient of a margin is its whole linear form
//! there. Two patterns that meet agree on their border, so a border is where two such forms are equal: it can be
//! written down without looking into the network. A program finds the point of the ball, the box and the known borders
//! with the highest margin (linear for Linf and L1, a second-order cone for L2). There the network is asked: either the
//! margin rose, and the walk goes on from this point and its pattern, or the point lies beyond a border that was not
//! known, and its piece becomes one more side of the region.
//!
//! A piece that says less at the walk's own point than is true there is no border of this region and is dropped: the
//! margin of a deep network is not concave. So the walk looks within a box round its point, which halves after each
//! failure and doubles after each success: small enough, a box meets few patterns.

use super::active::ActiveRows;
use super::ball::{Ball, dual};
use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective, apgd, scale};
use crate::error::Result;
use crate::program::{Columns, solve};
use clarabel::solver::{SolverStatus, SupportedConeT};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::apgd::{APGD_PM, Apgd};
use rlnet_suites::attack::linear_region::LinearRegion;
use tch::{Device, Kind, Tensor};

/// Pieces that are kept beside the one of the walk's own point (own choice: each is a row of the program).
const KEPT: usize = 12;

/// What counts as no rise, as a share of what the margin can change by in the ball: above the solver's tolerance.
const NOTHING: f64 = 1e-6;

/// The smallest box to look in, as a share of the radius.
const NEAREST: f64 = 1e-3;

impl Attack for LinearRegion {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let mut active = ActiveRows::right(target, &target.logits(&target.images)?);
        if !active.is_empty() {
            let first = Apgd {
                norm: self.norm,
                eps: self.eps,
                steps: self.steps,
                restarts: 1,
            };
            let objective = objective.select(active.rows());
            // With the draws of `apgd-pm`: what that breaks falls here too.
            let ends = apgd::one_run(&first, APGD_PM.name, &mut active, &objective, &|_| vec![0])?;
            walk(self, &mut active, ends)?;
        }
        Ok(active.into_points())
    }
}

/// Walks from some points `[M, 3, H, W]` of the standing images.
fn walk(own: &LinearRegion, active: &mut ActiveRows<'_>, mut points: Tensor) -> Result<()> {
    let mut walks = Vec::new();
    for program in 0..=own.programs {
        if active.is_empty() {
            break;
        }
        let seen = active.slope_of(&points, |logits| margin(logits, &active.labels))?;
        let fooled = active.fooled(&seen.logits);
        active.write_where(&fooled, &points);
        let heights = rows(&seen.loss).concat();
        let pieces = (heights.into_iter())
            .zip(rows(&(&points - &active.images)))
            .zip(rows(&scale::finite(&seen.gradient)));
        let pieces = pieces.map(|((height, at), slope)| (Piece::new(height, &at, slope), at));
        if program == 0 {
            let images = rows(&active.images).into_iter();
            let walk = |(image, (piece, at))| Walk::new(image, at, piece, own.eps);
            walks = images.zip(pieces).map(walk).collect();
        } else {
            for (walk, (piece, at)) in walks.iter_mut().zip(pieces) {
                walk.observe(at, piece, own);
            }
        }
        let stands = rows(&fooled).concat().into_iter().map(|fooled| fooled == 0.0);
        let next = walks.iter().zip(stands);
        let next: Vec<Option<Vec<f64>>> = next
            .map(|(walk, stands)| if stands { walk.next(own) } else { None })
            .collect();
        let gone: Vec<bool> = next.iter().map(Option::is_none).collect();
        let device = points.device();
        active.leave(&Tensor::from_slice(&gone).to_device(device), &mut [&mut walks]);
        let next: Vec<f64> = next.into_iter().flatten().flatten().collect();
        let next = Tensor::from_slice(&next).to_kind(Kind::Float).to_device(device);
        let ball = Ball::new(&active.images, own.eps, own.norm);
        points = ball.project(&(&active.images + next.reshape(active.images.size())));
    }
    Ok(())
}

/// The rows of values `[N, ...]`.
fn rows(values: &Tensor) -> Vec<Vec<f64>> {
    let flat = values.detach().to_device(Device::Cpu).to_kind(Kind::Double);
    let flat = flat.reshape([values.size()[0], -1]).contiguous();
    let mut all = vec![0.0; flat.numel()];
    flat.copy_data(&mut all, flat.numel());
    let each = (flat.size()[1] as usize).max(1);
    all.chunks_exact(each).map(<[f64]>::to_vec).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A margin, largest wrong logit less the true one, as a linear function of the perturbation.
#[derive(Debug, Clone)]
struct Piece {
    /// At the image itself.
    height: f64,
    slope: Vec<f64>,
}

impl Piece {
    /// Of this height at the perturbation `at`.
    fn new(height: f64, at: &[f64], slope: Vec<f64>) -> Self {
        Self {
            height: height - dot(&slope, at),
            slope,
        }
    }

    fn at(&self, point: &[f64]) -> f64 {
        self.height + dot(&self.slope, point)
    }

    /// The most that it can rise by in a ball, were there no box.
    fn span(&self, own: &LinearRegion) -> f64 {
        let sizes = self.slope.iter().map(|slope| slope.abs());
        own.eps
            * match dual(own.norm) {
                Norm::L1 => sizes.sum::<f64>(),
                Norm::L2 => dot(&self.slope, &self.slope).sqrt(),
                Norm::Linf | Norm::L0 => sizes.fold(0.0, f64::max),
            }
    }
}

/// Where an image's walk is.
#[derive(Debug, Clone)]
struct Walk {
    image: Vec<f64>,
    /// The highest point that was met, as a perturbation, and the piece that it is on.
    at: Vec<f64>,
    piece: Piece,
    /// Others, the last one met at the end.
    met: Vec<Piece>,
    /// Half of the side of the box to look in.
    reach: f64,
}

impl Walk {
    fn new(image: Vec<f64>, at: Vec<f64>, piece: Piece, eps: f64) -> Self {
        Self {
            image,
            at,
            piece,
            met: Vec::new(),
            // The whole ball.
            reach: 2.0 * eps,
        }
    }

    /// The piece that was met at a point.
    fn observe(&mut self, at: Vec<f64>, piece: Piece, own: &LinearRegion) {
        let beside = if piece.at(&at) > self.piece.at(&self.at) {
            self.reach = (2.0 * self.reach).min(2.0 * own.eps);
            self.at = at;
            std::mem::replace(&mut self.piece, piece)
        } else {
            self.reach /= 2.0;
            piece
        };
        if self.met.len() == KEPT {
            self.met.remove(0);
        }
        self.met.push(beside);
        let here = self.piece.at(&self.at) - NOTHING * self.piece.span(own);
        let Self { met, at, .. } = self;
        met.retain(|piece| piece.at(at) >= here);
    }

    /// The perturbation that is best by what is known; nothing where that is no better than the walk's own.
    fn next(&self, own: &LinearRegion) -> Option<Vec<f64>> {
        let span = self.piece.span(own);
        if span == 0.0 || !span.is_finite() || self.reach < NEAREST * own.eps {
            return None;
        }
        let pieces: Vec<&Piece> = std::iter::once(&self.piece).chain(&self.met).collect();
        let limits: Vec<[f64; 2]> = (self.image.iter().zip(&self.at))
            .map(|(image, at)| {
                let ball = if own.norm == Norm::Linf {
                    own.eps
                } else {
                    f64::INFINITY
                };
                [
                    (-image).max(at - self.reach).max(-ball),
                    (1.0 - image).min(at + self.reach).min(ball),
                ]
            })
            .collect();
        let best = highest(&pieces, &limits, own, span)?;
        let height = pieces
            .iter()
            .map(|piece| piece.at(&best))
            .fold(f64::INFINITY, f64::min);
        (height > self.piece.at(&self.at) + NOTHING * span).then_some(best)
    }
}

/// The point of a ball, with each value within its limits, at which the lowest of some pieces is highest. Lengths are
/// in radii and heights in `span`s, so that all numbers of the program are near one.
///
/// The variables are the values and, last, the height; in L1 a value is the difference of two, whose sums are bounded.
fn highest(pieces: &[&Piece], limits: &[[f64; 2]], own: &LinearRegion, span: f64) -> Option<Vec<f64>> {
    let (values, rows) = (limits.len(), pieces.len());
    let signs: &[f64] = if own.norm == Norm::L1 {
        &[1.0, -1.0]
    } else {
        &[1.0]
    };
    let mut below: Vec<f64> = pieces.iter().map(|piece| piece.height / span).collect();
    below.extend(limits.iter().map(|[_, high]| high / own.eps));
    below.extend(limits.iter().map(|[low, _]| -low / own.eps));
    let mut cones = vec![SupportedConeT::NonnegativeConeT(below.len())];
    let ball = below.len();
    match own.norm {
        Norm::L2 => {
            below.push(1.0);
            below.resize(ball + 1 + values, 0.0);
            cones.push(SupportedConeT::SecondOrderConeT(1 + values));
        }
        Norm::L1 => {
            below.resize(ball + 2 * values, 0.0);
            below.push(1.0);
            cones.push(SupportedConeT::NonnegativeConeT(2 * values + 1));
        }
        Norm::Linf | Norm::L0 => {}
    }
    let mut matrix = Columns::default();
    for (half, sign) in signs.iter().enumerate() {
        for value in 0..values {
            for (row, piece) in pieces.iter().enumerate() {
                matrix.put(row, -sign * piece.slope[value] * own.eps / span);
            }
            matrix.put(rows + value, *sign);
            matrix.put(rows + values + value, -sign);
            match own.norm {
                Norm::L2 => matrix.put(ball + 1 + value, -1.0),
                Norm::L1 => {
                    matrix.put(ball + half * values + value, -1.0);
                    matrix.put(ball + 2 * values, 1.0);
                }
                Norm::Linf | Norm::L0 => {}
            }
            matrix.end();
        }
    }
    for row in 0..rows {
        matrix.put(row, 1.0);
    }
    matrix.end();
    let variables = signs.len() * values + 1;
    let mut downhill = vec![0.0; variables];
    downhill[variables - 1] = -1.0;
    let found = solve(&downhill, &matrix, &below, &cones);
    if !matches!(found.status, SolverStatus::Solved | SolverStatus::AlmostSolved) {
        return None;
    }
    let value = |place: usize| {
        let halves = signs.iter().enumerate();
        own.eps
            * halves
                .map(|(half, sign)| sign * found.x[half * values + place])
                .sum::<f64>()
    };
    Some((0..values).map(value).collect())
}
