//! The Linf attack of Carlini and Wagner (S&P 2017, section VI.C): what a perturbation has beyond a height
//! is penalised, and the height is lowered as long as the image falls; the constant before the margin is
//! doubled where it does not.

use super::active::ActiveRows;
use super::adam::Adam;
use super::ball::{length, per_image};
use super::cw::{self, image_of, inverse, slope_in_space};
use super::nearest::Nearest;
use super::objective::margin;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::cw_linf::CwLinf;
use tch::{Tensor, no_grad_guard};

/// The height below which a search ends, the constant beyond which the search of an image that has an
/// adversarial does, and what is kept of a height (the authors' constants, as the next).
const LOWEST: f64 = 1.0 / 255.0;
const LARGEST: f64 = 20.0;
const LOWER: f64 = 0.9;

/// A loss below this share of the constant will not improve.
const DONE: f64 = 1e-4;

impl Attack for CwLinf {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        Nearest::search(target, Norm::Linf, |rows, nearest| {
            let mut active = rows.again();
            let space = inverse(&target.images);
            let mut constant = nearest.known(&active).full_like(self.c);
            let mut height = constant.ones_like();
            while !active.is_empty() {
                let before = nearest.known(&active).clamp_max(1.0);
                descend(self, &active, &space, &constant, &height, nearest)?;
                let best = nearest.known(&active);
                let found = best.lt_tensor(&before);
                height = (height.minimum(&best) * LOWER).where_self(&found, &height);
                constant = constant.where_self(&found, &(&constant * 2.0));
                // Logits so small that no constant weighed enough: on, until one does.
                let largest = constant
                    .full_like(LARGEST)
                    .masked_fill(&best.isinf(), cw::LARGEST);
                let stuck = found.logical_not().logical_and(&constant.ge_tensor(&largest));
                let over = height.le(LOWEST).logical_or(&stuck);
                active.leave(&over, &mut [&mut constant, &mut height]);
            }
            Ok(())
        })
    }
}

/// Adam from where the last run ended (`space`, of the whole batch), for constants and heights `[M]`.
fn descend(
    attack: &CwLinf,
    rows: &ActiveRows<'_>,
    space: &Tensor,
    constant: &Tensor,
    height: &Tensor,
    nearest: &mut Nearest,
) -> Result<()> {
    let mut active = rows.again();
    let mut w = active.gather(space);
    let (mut adam, mut constant, mut height) = (Adam::new(&w), constant.copy(), height.copy());
    for _ in 0..attack.steps {
        let points = image_of(&w);
        let slope = active.slope_of(&points, |logits| (-margin(logits, &active.labels)).relu())?;
        let _guard = no_grad_guard();
        let fooled = active.fooled(&slope.logits);
        let _ = nearest.offer(&active, &points, &fooled);
        let delta = &points - &active.images;
        let beyond = (delta.abs() - per_image(&height)).clamp_min(0.0);
        let loss = length(&beyond, Norm::L1) + &slope.loss * &constant;
        let outwards = delta.sign() * beyond.gt(0.0).to_kind(delta.kind());
        let gradient = slope.gradient * per_image(&constant) + outwards;
        let next = &w - adam.step(&slope_in_space(&gradient, &w)).0 * attack.lr;
        // (Small logits have small losses: nobody is done who stands.)
        let done = loss.lt_tensor(&(&constant * DONE)).logical_and(&fooled);
        w = w.where_self(&per_image(&done), &next);
        active.scatter(&w, space);
        active.leave(&done, &mut [&mut w, &mut adam, &mut constant, &mut height]);
        if active.is_empty() {
            break;
        }
    }
    Ok(())
}
