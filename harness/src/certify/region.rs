//! The images that an attacker may show: a ball around one image, cut to `[0, 1]`.

use crate::error::{Error, Result};
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor, no_grad_guard};

/// How much wider a certified ball is than asked, a value: rounding `x + eps` in single precision moves it by
/// 2^-24 at most.
pub const WIDER: f64 = 1.2e-7;

/// A box, and for L2 the ball inside it too.
#[derive(Debug)]
pub struct Region {
    /// Lowest corner, `[N, 3, H, W]`.
    pub lower: Tensor,
    /// Highest corner.
    pub upper: Tensor,
    /// Centre and radius of the L2 ball.
    pub ball: Option<(Tensor, f64)>,
}

impl Region {
    /// The points of `[0, 1]` nearer than `eps` to images `[N, 3, H, W]`.
    ///
    /// # Errors
    /// For L1, whose balls are not bounded here.
    pub fn new(images: &Tensor, eps: f64, norm: Norm) -> Result<Self> {
        let _guard = no_grad_guard();
        if norm == Norm::L1 {
            return Err(Error::Incompatible(
                "no bounds are known here for balls in l1; use linf or l2".to_owned(),
            ));
        }
        Ok(Self {
            lower: (images - eps).clamp(0.0, 1.0),
            upper: (images + eps).clamp(0.0, 1.0),
            ball: (norm == Norm::L2).then(|| (images.shallow_clone(), eps)),
        })
    }

    /// As [`new`](Self::new), wider by [`WIDER`] a value: whatever an attack's rounding does, its point is inside.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn around(images: &Tensor, eps: f64, norm: Norm) -> Result<Self> {
        let each = (images.numel() as f64 / images.size()[0].max(1) as f64).sqrt();
        Self::new(
            images,
            eps + if norm == Norm::L2 { WIDER * each } else { WIDER },
            norm,
        )
    }

    /// The centre of the box.
    pub fn centre(&self) -> Tensor {
        (&self.lower + &self.upper) * 0.5
    }

    /// Half of the box's sides.
    pub fn radius(&self) -> Tensor {
        (&self.upper - &self.lower) * 0.5
    }

    /// The smallest value of each linear function `[R, 3, H, W]` over the region of one image, and the magnitude
    /// of the sum it comes from. Over the ball cut to the box that is at least its smallest value over either.
    pub(super) fn least(&self, rows: &Tensor) -> (Tensor, Tensor) {
        let sum = |terms: &Tensor| {
            terms
                .flatten(1, -1)
                .sum_dim_intlist([1_i64].as_slice(), false, rows.kind())
        };
        let size = rows.abs();
        let least = sum(&(rows * self.centre() - &size * self.radius()));
        let magnitude = sum(&(&size * self.upper.maximum(&self.lower.abs())));
        let Some((centre, eps)) = &self.ball else {
            return (least, magnitude);
        };
        let inside = sum(&(rows * centre)) - sum(&rows.square()).clamp_min(0.0).sqrt() * *eps;
        (least.maximum(&inside), magnitude)
    }

    /// A point of the region where each linear function is small: its smallest over the box, or over the ball.
    pub(super) fn minimiser(&self, rows: &Tensor) -> Tensor {
        let _guard = no_grad_guard();
        match &self.ball {
            None => self.lower.where_self(&rows.gt(0.0), &self.upper),
            Some((centre, eps)) => {
                let length =
                    rows.square()
                        .flatten(1, -1)
                        .sum_dim_intlist([1_i64].as_slice(), false, rows.kind());
                let length = length.sqrt().clamp_min(1e-12).reshape([-1, 1, 1, 1]);
                (centre - rows / length * *eps).clamp(0.0, 1.0)
            }
        }
    }

    /// The nearest points of the region, roughly: of the box, or of the ball and then of the box, which takes no point
    /// out of the ball.
    pub(super) fn inside(&self, points: &Tensor) -> Tensor {
        let points = match &self.ball {
            None => points.shallow_clone(),
            Some((centre, eps)) => {
                let moved = points - centre;
                let length = (moved.square().flatten(1, -1))
                    .sum_dim_intlist([1_i64].as_slice(), false, points.kind())
                    .sqrt();
                let factor = (*eps / length.clamp_min(1e-12)).clamp_max(1.0);
                centre + moved * factor.reshape([-1, 1, 1, 1])
            }
        };
        points.maximum(&self.lower).minimum(&self.upper)
    }

    /// The same region for a network in another kind.
    #[must_use]
    pub fn in_kind(&self, kind: Kind) -> Self {
        Self {
            lower: self.lower.to_kind(kind),
            upper: self.upper.to_kind(kind),
            ball: self
                .ball
                .as_ref()
                .map(|(centre, eps)| (centre.to_kind(kind), *eps)),
        }
    }

    /// Of one of its images.
    #[must_use]
    pub fn image(&self, place: i64) -> Self {
        let one = |all: &Tensor| all.narrow(0, place, 1);
        Self {
            lower: one(&self.lower),
            upper: one(&self.upper),
            ball: self.ball.as_ref().map(|(centre, eps)| (one(centre), *eps)),
        }
    }
}
