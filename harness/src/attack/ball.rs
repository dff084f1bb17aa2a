//! Balls around images: lengths, projections, directions of steepest ascent.

use super::scale;
use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor, no_grad_guard};

/// Keeps a division by a length finite, as PyTorch attack code does.
const TINY: f64 = 1e-10;

/// Share of the values that an L1 step moves: the largest 1 % of the gradient
/// (Tramer and Boneh, NeurIPS 2019, "sparse L1 descent").
const L1_SHARE: f64 = 0.01;

/// Rounds of the L1 projection, at most: halving alone would end in so many.
const ROUNDS: usize = 60;

/// How close to the radius an L1 projection ends, as a share of it.
const CLOSE: f64 = 1e-9;

/// The length of each perturbation `[N, ...]`, `[N]`.
pub fn length(delta: &Tensor, norm: Norm) -> Tensor {
    let flat = delta.flatten(1, -1);
    let over = [1_i64];
    match norm {
        Norm::Linf => flat.abs().amax(over.as_slice(), false),
        Norm::L2 => flat
            .square()
            .sum_dim_intlist(over.as_slice(), false, flat.kind())
            .sqrt(),
        Norm::L1 => flat.abs().sum_dim_intlist(over.as_slice(), false, flat.kind()),
        Norm::L0 => flat
            .not_equal(0.0)
            .sum_dim_intlist(over.as_slice(), false, flat.kind()),
    }
}

/// The norm in which a gradient's length says how far a linear function moves for a step of unit length.
pub fn dual(norm: Norm) -> Norm {
    match norm {
        Norm::Linf => Norm::L1,
        Norm::L2 => Norm::L2,
        Norm::L1 | Norm::L0 => Norm::Linf,
    }
}

/// A value an image `[N]` shaped to multiply `[N, 3, H, W]`.
pub fn per_image(values: &Tensor) -> Tensor {
    values.reshape([-1, 1, 1, 1])
}

/// The intersection of the balls around some images with the box `[0, 1]`.
#[derive(Debug)]
pub struct Ball {
    images: Tensor,
    eps: Radius,
    norm: Norm,
    /// For Linf the intersection is a box again: its lowest and highest corners.
    corners: Option<(Tensor, Tensor)>,
    /// Whether L1 projections have the reference's last bits.
    replays: bool,
}

/// One radius for all images, or one each.
#[derive(Debug)]
enum Radius {
    Same(f64),
    /// `[N]`.
    Each(Tensor),
}

impl Ball {
    /// Around images `[N, 3, H, W]` in `[0, 1]`.
    pub fn new(images: &Tensor, eps: f64, norm: Norm) -> Self {
        let _guard = no_grad_guard();
        Self {
            images: images.shallow_clone(),
            eps: Radius::Same(eps),
            norm,
            corners: (norm == Norm::Linf)
                .then(|| ((images - eps).clamp_min(0.0), (images + eps).clamp_max(1.0))),
            replays: false,
        }
    }

    /// As [`Ball::new`], a radius `[N]` for each image.
    pub fn each(images: &Tensor, eps: &Tensor, norm: Norm) -> Self {
        let _guard = no_grad_guard();
        let wide = per_image(eps);
        Self {
            images: images.shallow_clone(),
            eps: Radius::Each(eps.shallow_clone()),
            norm,
            corners: (norm == Norm::Linf)
                .then(|| ((images - &wide).clamp_min(0.0), (images + &wide).clamp_max(1.0))),
            replays: false,
        }
    }

    /// The same; in a replay of the AutoAttack reference with L1 projections in its arithmetic, to the last bit.
    #[must_use]
    pub(super) fn replaying(self, replays: bool) -> Self {
        Self { replays, ..self }
    }

    /// The nearest points inside: exact for Linf and L1; for L2 the radial projection followed
    /// by the box, as AutoAttack and RobustBench do it (the box only shortens a perturbation,
    /// so the result is inside both).
    pub fn project(&self, points: &Tensor) -> Tensor {
        let images = &self.images;
        match (self.norm, &self.corners) {
            (Norm::Linf, Some((lowest, highest))) => points.maximum(lowest).minimum(highest),
            (Norm::L1, _) => self.project_l1(&(points - images)),
            _ => {
                let delta = points - images;
                let away = length(&delta, Norm::L2) + TINY;
                let scale = match &self.eps {
                    Radius::Same(eps) => *eps / away,
                    Radius::Each(eps) => eps / away,
                };
                let scale = scale.clamp_max(1.0);
                (images + delta * per_image(&scale)).clamp(0.0, 1.0)
            }
        }
    }
}

impl Ball {
    /// The nearest points in L1, of perturbations.
    pub(super) fn project_l1(&self, delta: &Tensor) -> Tensor {
        let images = &self.images;
        if self.replays {
            return images + delta + self.change_l1(delta);
        }
        let eps = match &self.eps {
            Radius::Same(eps) => Tensor::from(*eps).to_device(images.device()),
            Radius::Each(eps) => eps.to_kind(Kind::Double),
        };
        images + l1_ball_and_box(delta, images, &eps.reshape([-1, 1]))
    }

    /// What the AutoAttack reference adds to perturbations to project them in L1: the threshold of
    /// `l1_ball_and_box` in single precision, by a bisection among the sorted places where a value reaches the
    /// image or leaves the wall.
    pub(super) fn change_l1(&self, delta: &Tensor) -> Tensor {
        let (x, y) = (self.images.flatten(1, -1), delta.flatten(1, -1));
        let eps = match &self.eps {
            Radius::Same(eps) => Tensor::from(*eps as f32).to_device(x.device()).reshape([1]),
            Radius::Each(eps) => eps.shallow_clone(),
        };
        let sum = |d: &Tensor| d.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
        let size = y.abs();
        // How far the box alone moves a value, and how far to the image it is.
        let out = (1.0_f64 - &x - &y).minimum(&(&x + &y)).clamp_max(0.0);
        let back = -&size;
        let (places, from) = (-Tensor::cat(&[&out, &back], 1)).sort(1, false);
        let columns = places.size()[1];
        let last = places.narrow(1, 0, 1).zeros_like();
        let after = Tensor::cat(&[&places.narrow(1, 1, columns - 1), &last], 1);
        let rates = from.lt(y.size()[1]).to_kind(Kind::Float) * 2.0 - 1.0;
        let rates = rates.cumsum(1, Kind::Float);
        let moved = -sum(&out);
        let spare = eps - sum(&size);
        let reached = moved.unsqueeze(1) + ((&after - &places) * &rates).cumsum(1, Kind::Float);
        let mut low = from.narrow(1, 0, 1).zeros_like();
        let mut high = low.full_like(columns - 1);
        for _ in 0..(columns as f64).log2().ceil() as usize {
            let middle = (&low + &high).floor_divide_scalar(2);
            let short = (reached.gather(1, &middle, false) + spare.unsqueeze(1)).lt(0.0);
            low = middle.where_self(&short, &low);
            high = high.where_self(&short, &middle);
        }
        let at = |all: &Tensor, place: &Tensor| all.gather(1, place, false);
        let rest = -at(&reached, &low) - spare.unsqueeze(1);
        let threshold = rest / at(&rates, &(&low + 1)) + at(&after, &low);
        let shrunk = -(-&out).maximum(&threshold).minimum(&size);
        let too_long = (moved + spare).lt(0.0).unsqueeze(1);
        (y.sign() * shrunk.where_self(&too_long, &out)).reshape(delta.size())
    }
}

/// The direction of unit length along which the loss grows fastest, whatever the gradient's scale; none
/// where the gradient is zero or no number.
pub fn ascent(gradient: &Tensor, norm: Norm) -> Tensor {
    match norm {
        Norm::Linf => scale::finite(gradient).sign(),
        Norm::L2 => {
            let gradient = scale::unit(gradient);
            &gradient / (per_image(&length(&gradient, Norm::L2)) + TINY)
        }
        Norm::L1 | Norm::L0 => {
            let gradient = scale::finite(gradient);
            let flat = gradient.flatten(1, -1);
            let count = ((flat.size()[1] as f64 * L1_SHARE).ceil() as i64).max(1);
            let least = flat.abs().topk(count, 1, true, true).0.narrow(1, count - 1, 1);
            let kept = flat.sign() * flat.abs().ge_tensor(&least).to_kind(flat.kind());
            let sums = kept.abs().sum_dim_intlist([1_i64].as_slice(), true, Kind::Float);
            (kept / (sums + TINY)).reshape(gradient.size())
        }
    }
}

/// The nearest perturbations with `sum |d| <= eps` (`[N, 1]` or `[1, 1]`, double) and
/// `images + d` in the box.
///
/// The answer is `d_i = sign(u_i) min(max(|u_i| - t, 0), r_i)` with `r_i` the room to the
/// wall in the direction of `u_i` and one threshold `t >= 0` an image (Croce and Hein, ICML
/// 2021, prop. 2.1). The sum falls with `t`, in straight pieces, from too much to zero, so
/// Newton's method inside a bracket finds `t` in a few rounds, in double precision.
fn l1_ball_and_box(delta: &Tensor, images: &Tensor, eps: &Tensor) -> Tensor {
    let u = delta.flatten(1, -1).to_kind(Kind::Double);
    let x = images.flatten(1, -1).to_kind(Kind::Double);
    let size = u.abs();
    let room = u.gt(0.0).to_kind(Kind::Double) - &x;
    let room = room.abs().minimum(&size);
    let threshold = soft_threshold(&size, &room, eps);
    let shrunk = (&size - &threshold).clamp_min(0.0).minimum(&room);
    (u.sign() * shrunk).to_kind(delta.kind()).reshape(delta.size())
}

/// The smallest `t >= 0` `[N, 1]` with `sum min(max(size_i - t, 0), room_i) <= eps`, in double precision:
/// sizes and rooms `[N, values]`, no room larger than its size.
pub(super) fn soft_threshold(size: &Tensor, room: &Tensor, eps: &Tensor) -> Tensor {
    let sum = |d: &Tensor| d.sum_dim_intlist([1_i64].as_slice(), true, Kind::Double);
    let mut low = Tensor::zeros([size.size()[0], 1], (Kind::Double, size.device()));
    let mut high = size.amax([1_i64].as_slice(), true);
    let mut threshold = low.copy();
    // Inside already, or found: such an image's threshold stays, whatever the others need.
    let mut found = sum(room).le_tensor(eps);
    for _ in 0..ROUNDS {
        if found.all().int64_value(&[]) == 1 {
            break;
        }
        let left = size - &threshold;
        let excess = sum(&left.clamp_min(0.0).minimum(room)) - eps;
        found = found.logical_or(&excess.abs().le_tensor(&(eps * CLOSE)));
        let over = excess.gt(0.0);
        low = threshold.where_self(&over, &low);
        high = high.where_self(&over, &threshold);
        let sloping = left.gt(0.0).logical_and(&left.lt_tensor(room));
        let newton = &threshold + excess / sum(&sloping.to_kind(Kind::Double));
        let inside = newton.gt_tensor(&low).logical_and(&newton.lt_tensor(&high));
        let next = newton.where_self(&inside, &((&low + &high) * 0.5));
        threshold = threshold.where_self(&found, &next);
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).reshape([1, 3, 1, 1])
    }

    fn close(ours: &Tensor, want: &[f32]) {
        let away = (ours.flatten(0, -1) - Tensor::from_slice(want)).abs().max();
        assert!(away.double_value(&[]) < 1e-6, "{ours} for {want:?}");
    }

    #[test]
    fn projections_worked_by_hand() {
        let x = image(&[0.5, 0.9, 0.0]);
        let far = image(&[0.9, 1.3, -0.3]);
        close(&Ball::new(&x, 0.2, Norm::Linf).project(&far), &[0.7, 1.0, 0.0]);
        // delta (0.4, 0.4, -0.3) has length sqrt(0.41); scaled to 0.2, then the box.
        let s = 0.2 / 0.41_f32.sqrt();
        close(
            &Ball::new(&x, 0.2, Norm::L2).project(&far),
            &[0.5 + 0.4 * s, 1.0, 0.0],
        );
        // MemoryGuard (0.5, 0.1, 0): the threshold that leaves 0.3 is 0.2, d = (0.2, 0.1, 0).
        close(&Ball::new(&x, 0.3, Norm::L1).project(&far), &[0.7, 1.0, 0.0]);
        // Inside already: only the box acts.
        close(&Ball::new(&x, 9.0, Norm::L1).project(&far), &[0.9, 1.0, 0.0]);
    }

    #[test]
    fn a_radius_each_is_the_same_ball_image_by_image() {
        let x = Tensor::cat(&[image(&[0.5, 0.9, 0.0]), image(&[0.2, 0.4, 0.6])], 0);
        let far = Tensor::cat(&[image(&[0.9, 1.3, -0.3]), image(&[0.9, -1.0, 0.7])], 0);
        let radii = [0.2_f32, 0.35];
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let both = Ball::each(&x, &Tensor::from_slice(&radii), norm).project(&far);
            for (row, &radius) in radii.iter().enumerate() {
                let one = |all: &Tensor| all.narrow(0, row as i64, 1);
                let alone = Ball::new(&one(&x), f64::from(radius), norm).project(&one(&far));
                assert_eq!(one(&both), alone, "{norm} {row}");
            }
        }
    }

    #[test]
    fn ascent_directions_have_unit_length() {
        let gradient = image(&[3.0, -4.0, 0.0]);
        close(&ascent(&gradient, Norm::Linf), &[1.0, -1.0, 0.0]);
        close(&ascent(&gradient, Norm::L2), &[0.6, -0.8, 0.0]);
        close(&ascent(&gradient, Norm::L1), &[0.0, -1.0, 0.0]);
    }

    /// The conditions of Karush, Kuhn and Tucker, which hold at the nearest point only: one
    /// threshold an image explains every value.
    #[test]
    fn the_l1_projection_is_the_nearest_point() {
        use rlnet_corruptions::random::KeyedRng;
        let mut rng = KeyedRng::new(1, "l1", &[]);
        let (n, each) = (40_usize, 3 * 5 * 4_usize);
        let x: Vec<f32> = (0..n * each)
            .map(|i| if i % 7 == 0 { 1.0 } else { rng.uniform() as f32 })
            .collect();
        let u: Vec<f32> = (0..n * each)
            .map(|i| (rng.normal() * 0.05 * (1 + i / each) as f64) as f32)
            .collect();
        let shape = [n as i64, 3, 5, 4];
        let (images, delta) = (
            Tensor::from_slice(&x).reshape(shape),
            Tensor::from_slice(&u).reshape(shape),
        );
        let eps = 3.0;
        let radius = Tensor::from(eps).reshape([1, 1]);
        let nearest = l1_ball_and_box(&delta, &images, &radius);
        let alone = l1_ball_and_box(&delta.narrow(0, 30, 1), &images.narrow(0, 30, 1), &radius);
        assert_eq!(alone, nearest.narrow(0, 30, 1), "another batch, another point");
        let d = Vec::<f32>::try_from(nearest.flatten(0, -1)).expect("values");
        let mut shortened = 0;
        for image in 0..n {
            let at = image * each..(image + 1) * each;
            let total: f64 = d[at.clone()].iter().map(|d| f64::from(d.abs())).sum();
            let (mut least, mut most) = (0.0_f32, f32::INFINITY);
            for i in at {
                let room = if u[i] > 0.0 { 1.0 - x[i] } else { x[i] };
                let (size, kept) = (u[i].abs(), d[i].abs());
                assert!(kept <= room + 1e-6 && d[i] * u[i] >= 0.0);
                if kept > 0.0 {
                    most = most.min(size - kept + 1e-6);
                }
                if kept < room.min(size) - 1e-6 || (kept == 0.0 && room > 1e-6) {
                    least = least.max(size - kept - 1e-6);
                }
            }
            assert!(least <= most + 1e-6, "image {image}: {least} and {most}");
            if least > 1e-5 {
                shortened += 1;
                assert!((total - eps).abs() < 1e-4, "image {image}: length {total}");
            }
            assert!(total < eps * (1.0 + 1e-6));
        }
        assert!((20..n).contains(&shortened), "{shortened} of {n} needed the ball");
    }
}
