//! Where Square starts and which points it tries: section 4 of the paper, in the form of the
//! AutoAttack reference.

use super::sampler::PatchSampler;
use crate::attack::active::PerRow;
use crate::attack::ball::{Ball, length, per_image};
use crate::attack::target::Target;
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor};

/// Keeps a division by a length finite (the constant of the reference).
const TINY: f64 = 1e-12;

/// An L1 projection may end beyond its radius by a rounding; the reference's room for it, as a share.
const L1_ROOM: f64 = 1e-6;

/// The images, their balls, and the proposal of points in them.
pub(super) struct Proposals {
    images: Tensor,
    ball: Ball,
    replays: bool,
    norm: Norm,
    eps: f64,
    channels: i64,
    height: i64,
    width: i64,
    /// The L2 or L1 pattern of the last side asked for.
    pattern: Option<(i64, Tensor)>,
}

impl Proposals {
    pub(super) fn new(target: &Target<'_>, norm: Norm, eps: f64) -> Self {
        let size = target.images.size();
        Self {
            images: target.images.shallow_clone(),
            ball: ball(&target.images, eps, norm).replaying(target.replays()),
            replays: target.replays(),
            norm,
            eps,
            channels: size[1],
            height: size[2],
            width: size[3],
            pattern: None,
        }
    }

    /// The first points. Linf: vertical stripes of width 1, a sign a channel and column. L2 and L1:
    /// a grid of patterns, a sign a channel and patch.
    pub(super) fn start(&mut self, sampler: &mut PatchSampler) -> Tensor {
        let (n, c, device) = (self.images.size()[0], self.channels, self.images.device());
        match self.norm {
            Norm::Linf => {
                let signs = sampler.signs(n, [c, 1, self.width], false, device);
                (&self.images + signs * self.eps).clamp(0.0, 1.0)
            }
            _ => {
                // Five patches across the shorter side.
                let side = (self.height.min(self.width) / 5).max(1);
                let (down, across) = (self.height / side, self.width / side);
                let (top, left) = ((self.height - side * down) / 2, (self.width - side * across) / 2);
                let delta = self.images.zeros_like();
                for row in 0..down {
                    for column in 0..across {
                        let patch = self.patch(side, sampler);
                        let mut place =
                            delta
                                .narrow(2, top + row * side, side)
                                .narrow(3, left + column * side, side);
                        place.copy_(&patch);
                    }
                }
                self.fitted(&delta)
            }
        }
    }

    /// A point beside each of `points`, changed in a patch that covers `share` of the pixels.
    pub(super) fn next(&mut self, points: &Tensor, share: f64, sampler: &mut PatchSampler) -> Tensor {
        let pixels = (self.channels * self.height * self.width) as f64;
        let side = (share * pixels / self.channels as f64).sqrt().round_ties_even() as i64;
        let shorter = self.height.min(self.width);
        match self.norm {
            Norm::Linf => self.next_linf(points, side.clamp(1, shorter), sampler),
            _ => {
                // Odd, so that a pattern has a middle, and inside the image.
                let side = side.max(3) | 1;
                let most = shorter - (1 - shorter % 2);
                self.next_pattern(points, side.min(most), sampler)
            }
        }
    }

    /// A square proposals by 2 eps in each channel, up or down: to a face of the ball.
    fn next_linf(&self, points: &Tensor, side: i64, sampler: &mut PatchSampler) -> Tensor {
        let device = points.device();
        let [tops, lefts] = sampler.corners([self.height - side, self.width - side], device);
        let signs = sampler.signs(points.size()[0], [self.channels, 1, 1], true, device);
        let covered = |first: &Tensor, length: i64| {
            let at = Tensor::arange(length, (Kind::Int64, device)).unsqueeze(0) - first.unsqueeze(1);
            at.ge(0).logical_and(&at.lt(side)).to_kind(Kind::Float)
        };
        let rows = covered(&tops, self.height).reshape([-1, 1, self.height, 1]);
        let columns = covered(&lefts, self.width).reshape([-1, 1, 1, self.width]);
        self.ball
            .project(&(points + rows * (signs * (2.0 * self.eps)) * columns))
    }

    /// One window gets a new pattern and, channel by channel, the (in L2 squared) length that it and a
    /// second window had, with a share of what the ball still has room for (the paper's
    /// algorithm 3). In L1 the reference gives a channel its share of the whole, all channels' number of
    /// times: what is too long the projection makes shorter, and sparser.
    fn next_pattern(&mut self, points: &Tensor, side: i64, sampler: &mut PatchSampler) -> Tensor {
        let (n, c, device) = (points.size()[0], self.channels, points.device());
        let delta = points - &self.images;
        let rooms = [self.height - side, self.width - side];
        let [gaining, losing] = [sampler.corners(rooms, device), sampler.corners(rooms, device)]
            .map(|corners| self.window(&corners, side, n));
        let flat = delta.flatten(2, 3);
        let old = flat.gather(2, &gaining, false);
        let l1 = self.norm == Norm::L1;
        let size = |window: &Tensor| {
            let terms = if l1 { window.abs() } else { window.square() };
            let sum = terms.sum_dim_intlist([2_i64].as_slice(), true, Kind::Float);
            if l1 { sum } else { sum.sqrt() }
        };
        let mask = flat
            .zeros_like()
            .scatter_value(2, &gaining, 1.0)
            .scatter_value(2, &losing, 1.0);
        let whole = length(&flat, self.norm).reshape([-1, 1, 1]);
        let windows = size(&(&flat * mask));
        let patch = self.patch(side, sampler).flatten(2, 3) + &old / (size(&old) + TINY);
        let new = &patch / (size(&patch) + TINY);
        let new = if l1 {
            new * ((self.eps - whole).clamp_min(0.0) / c as f64 + windows) * c
        } else {
            let room = ((self.eps * self.eps) - whole.square()).clamp_min(0.0) / c as f64;
            new * (room + windows.square()).sqrt()
        };
        let moved = flat
            .scatter_value(2, &losing, 0.0)
            .scatter(2, &gaining, &new)
            .reshape(points.size());
        self.fitted(&moved)
    }

    /// The places of a window's pixels in a flattened channel, `[images, channels, side^2]`.
    fn window(&self, corners: &[Tensor; 2], side: i64, images: i64) -> Tensor {
        let along = Tensor::arange(side, (Kind::Int64, self.images.device()));
        let rows = corners[0].reshape([-1, 1, 1]) + along.reshape([1, -1, 1]);
        let columns = corners[1].reshape([-1, 1, 1]) + along.reshape([1, 1, -1]);
        (rows * self.width + columns)
            .reshape([-1, 1, side * side])
            .expand([images, self.channels, side * side], false)
    }

    /// L2: the points at distance eps in these directions, then the box. L1: the nearest points of ball and
    /// box.
    fn fitted(&self, delta: &Tensor) -> Tensor {
        if self.norm == Norm::L1 {
            return self.ball.project_l1(delta);
        }
        let unit = delta / (per_image(&length(delta, Norm::L2)) + TINY);
        (&self.images + unit * self.eps).clamp(0.0, 1.0)
    }

    /// The pattern of a side, turned or not, with a sign a channel: `[images, channels, side,
    /// side]`.
    fn patch(&mut self, side: i64, sampler: &mut PatchSampler) -> Tensor {
        let (n, device) = (self.images.size()[0], self.images.device());
        if self.pattern.as_ref().is_none_or(|(known, _)| *known != side) {
            self.pattern = Some((side, pattern(side, self.norm).to_device(device)));
        }
        let upright = self.pattern.as_ref().map(|(_, pattern)| pattern.shallow_clone());
        let upright = upright.unwrap_or_else(|| unreachable!("made above"));
        let turned = sampler.turns(device).reshape([-1, 1, 1, 1]);
        let eta = upright.transpose(2, 3).where_self(&turned, &upright);
        eta * sampler.signs(n, [self.channels, 1, 1], false, device)
    }
}

impl PerRow for Proposals {
    fn keep(&mut self, rows: &Tensor) {
        self.images.keep(rows);
        self.ball = ball(&self.images, self.eps, self.norm).replaying(self.replays);
    }
}

/// Two opposite pyramids, one above the other, of unit length: `[1, 1, side, side]`.
pub(super) fn pattern(side: i64, norm: Norm) -> Tensor {
    let upper = pyramid(side / 2, side, norm);
    let lower = pyramid(side - side / 2, side, norm);
    let both = Tensor::cat(&[upper, -lower], 0);
    unit(&both, norm).reshape([1, 1, side, side])
}

/// Nested rectangles around the middle, the k-th adding `1 / k^2`, in L1 `1 / k^4`; of unit length.
fn pyramid(height: i64, width: i64, norm: Norm) -> Tensor {
    let power = if norm == Norm::L1 { 4 } else { 2 };
    let layers = (height / 2).max(width / 2) + 1;
    let mut values = Vec::with_capacity((height * width) as usize);
    for row in 0..height {
        for column in 0..width {
            let ring = (row - height / 2).abs().max((column - width / 2).abs());
            let added = (ring..layers).map(|k| 1.0 / ((k + 1) as f32).powi(power));
            values.push(added.fold(0.0_f32, |sum, layer| sum + layer));
        }
    }
    unit(&Tensor::from_slice(&values).reshape([height, width]), norm)
}

fn unit(values: &Tensor, norm: Norm) -> Tensor {
    match norm {
        Norm::L1 => values / values.abs().sum(Kind::Float),
        _ => values / values.square().sum(Kind::Float).sqrt(),
    }
}

fn ball(images: &Tensor, eps: f64, norm: Norm) -> Ball {
    let eps = if norm == Norm::L1 {
        eps * (1.0 - L1_ROOM)
    } else {
        eps
    };
    Ball::new(images, eps, norm)
}
