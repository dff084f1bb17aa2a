//! The L2 attack of Carlini and Wagner (S&P 2017): Adam on squared distance plus `c` times a
//! hinge of the logit margin, in a space where the box needs no constraint; `c` is searched
//! for each image.

use super::active::ActiveRows;
use super::adam::Adam;
use super::ball::per_image;
use super::nearest::Nearest;
use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::cw::Cw;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Pixels are drawn this much towards grey, so that black and white have a finite tanh
/// argument (the authors' constant).
const INSIDE: f64 = 0.999999;

/// Progress is looked at this many times in a run of Adam, and an image whose loss is not
/// below this share of what it was leaves the run (the authors' constants; they look at the
/// batch's total, which would make results depend on the batch).
const LOOKS: usize = 10;
const PROGRESS: f64 = 0.9999;

/// From this many search steps on, the last one uses the smallest constant that succeeded
/// (the authors' rule), at most the number that follows.
const LONG_SEARCH: usize = 10;
pub(super) const LARGEST: f64 = 1e10;

impl Attack for Cw {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, Norm::L2, |active, nearest| cw(self, active, nearest))
    }
}

/// Runs of Adam, a binary search over the constant of each image.
fn cw(attack: &Cw, active: &ActiveRows<'_>, nearest: &mut Nearest) -> Result<()> {
    let search = attack.search;
    let mut constant = active.rows().to_kind(Kind::Double).full_like(attack.c);
    let mut low = constant.zeros_like();
    let mut high = constant.full_like(f64::INFINITY);
    for step in 0..search {
        if search >= LONG_SEARCH && step + 1 == search {
            constant = high.clamp_max(LARGEST);
        }
        let found = minimise(active, &constant, attack, nearest)?;
        high = constant.where_self(&found, &high);
        low = low.where_self(&found, &constant);
        let middle = (&low + &high) * 0.5;
        constant = middle.where_self(&high.isfinite(), &(&constant * 10.0));
    }
    // Logits so small that no constant weighed enough: on, until one does.
    let mut left = active.again();
    loop {
        let done = high.isfinite().logical_or(&constant.gt(LARGEST));
        left.leave(&done, &mut [&mut high, &mut constant]);
        if left.is_empty() {
            return Ok(());
        }
        let found = minimise(&left, &constant, attack, nearest)?;
        high = constant.where_self(&found, &high);
        constant *= 10.0;
    }
}

/// One run of Adam with constants `[M]` from the standing images: which of them were adversarial at some
/// step, `[M]` bool.
fn minimise(
    rows: &ActiveRows<'_>,
    constants: &Tensor,
    settings: &Cw,
    nearest: &mut Nearest,
) -> Result<Tensor> {
    let found = nearest.distance.isnan();
    let mut active = rows.again();
    let mut constant = constants.to_kind(Kind::Float);
    let mut w = inverse(&active.images);
    let (mut start, mut adam) = (image_of(&w), Adam::new(&w));
    let mut before = constant.full_like(f64::INFINITY);
    let look = settings.steps.div_ceil(LOOKS);
    for step in 0..settings.steps {
        let points = image_of(&w);
        let slope = active.slope_of(&points, |logits| {
            (settings.kappa - margin(logits, &active.labels)).clamp_min(0.0)
        })?;
        let _guard = no_grad_guard();
        let away = &points - &start;
        let fooled = active.surely_fooled(&handicapped(&slope.logits, &active.labels, settings.kappa));
        let _ = nearest.offer(&active, &points, &fooled);
        active.scatter(&active.gather(&found).logical_or(&fooled), &found);
        // (Weighed here, not in the loss: a large constant would make a slope that is lost to underflow
        // look like one to follow.)
        let slope_of_both = slope.gradient * per_image(&constant) + &away * 2.0;
        let gradient = slope_in_space(&slope_of_both, &w);
        w -= adam.step(&gradient).0 * settings.lr;
        if step % look == 0 {
            let loss = slope.loss * &constant
                + away
                    .square()
                    .sum_dim_intlist([1_i64, 2, 3].as_slice(), false, Kind::Float);
            let stalled = loss.le_tensor(&(&before * PROGRESS)).logical_not();
            before = loss;
            active.leave(
                &stalled,
                &mut [&mut w, &mut start, &mut adam, &mut constant, &mut before],
            );
            if active.is_empty() {
                break;
            }
        }
    }
    Ok(rows.gather(&found))
}

/// Logits with the true class's raised by the margin asked for: what still fools them fools
/// with that margin.
fn handicapped(logits: &Tensor, labels: &Tensor, kappa: f64) -> Tensor {
    let raise = Tensor::full(
        [labels.numel() as i64, 1],
        kappa,
        (logits.kind(), logits.device()),
    );
    logits.scatter_add(1, &labels.unsqueeze(1), &raise)
}

/// The hyperbolic tangent from exactly rounded operations only. libtorch's own may give the
/// last values of a batch to another routine, and so other bits to an image that is one of
/// them. A sixteenth of the argument goes through Lambert's continued fraction, then four
/// doublings `tanh 2a = 2 t / (1 + t^2)`; beyond 9 the nearest f32 is 1.
fn tanh(w: &Tensor) -> Tensor {
    let a = w.clamp(-9.0, 9.0) / 16.0;
    let square = a.square();
    let fraction: Tensor = &square / 9.0 + 7.0;
    let fraction: Tensor = &square / fraction + 5.0;
    let fraction: Tensor = &square / fraction + 3.0;
    let fraction: Tensor = &square / fraction + 1.0;
    let mut t = a / fraction;
    for _ in 0..4 {
        let below: Tensor = t.square() + 1.0;
        t = (&t + &t) / below;
    }
    t
}

/// The `w` of images, value by value for the same reason.
pub(super) fn inverse(images: &Tensor) -> Tensor {
    let flat = images.to_device(Device::Cpu).to_kind(Kind::Double).contiguous();
    let mut values = vec![0.0_f64; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    for value in &mut values {
        *value = ((*value * 2.0 - 1.0) * INSIDE).atanh();
    }
    Tensor::from_slice(&values)
        .to_kind(images.kind())
        .reshape(images.size())
        .to_device(images.device())
}

/// The images `(1 + tanh w) / 2`.
pub(super) fn image_of(w: &Tensor) -> Tensor {
    (tanh(w) + 1.0) * 0.5
}

/// A gradient with respect to images as one with respect to their `w`.
pub(super) fn slope_in_space(gradient: &Tensor, w: &Tensor) -> Tensor {
    let inner = (1.0 - tanh(w).square()) * 0.5;
    let gradient: Tensor = gradient * inner;
    gradient.nan_to_num(0.0, 0.0, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tangent_is_right_and_the_same_for_every_value_of_a_batch() {
        let w: Vec<f32> = (-4000..=4000).map(|i| i as f32 * 0.0025).collect();
        let all = tanh(&Tensor::from_slice(&w));
        for (place, w) in w.iter().enumerate() {
            let ours = all.double_value(&[place as i64]);
            assert!((ours - f64::from(*w).tanh()).abs() < 3e-7, "tanh {w}: {ours}");
        }
        for place in [0, 1, 4001, 7999] {
            let alone = tanh(&Tensor::from_slice(&w[place..=place]));
            assert_eq!(alone.double_value(&[0]), all.double_value(&[place as i64]));
        }
    }
}
