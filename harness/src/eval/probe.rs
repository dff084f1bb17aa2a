//! Are there gradients to follow? Measured at the clean images and along PGD's steps, so that
//! the reports can tell a robust network from one that hides its gradients (Athalye et al.,
//! ICML 2018; the flags of AutoAttack).

use super::networks::Networks;
use crate::attack::ball::Ball;
use crate::attack::pgd::{Settings, uniform_start};
use crate::attack::{Objective, Target};
use crate::data::{Split, images_to_tensor};
use crate::error::Result;
use rlnet_suites::{AttackSpec, Branch, GradientProbe};
use tch::{Device, Kind, Tensor};

/// The attack whose loss is followed; the catalogue's defaults.
const FOLLOWED: &str = "pgd";

/// Sums over images.
struct Sums {
    zero: u64,
    nan: u64,
    /// Wrong, with the true class in third place: the DLR loss is then constant. `None` with
    /// fewer than three classes.
    third: Option<u64>,
    loss: Vec<f64>,
}

/// Through each branch, over all images: `gradient/zero`, `gradient/nan` and
/// `gradient/dlr-constant` are shares of images (step 0); `loss` is the mean cross entropy
/// after each step of PGD, step 0 being its random start. Names end in the branch.
///
/// # Errors
/// When the model cannot take the images.
pub fn probe(
    networks: &Networks,
    test: &Split,
    branches: &[Branch],
    batch: usize,
    seed: u64,
) -> Result<Vec<GradientProbe>> {
    let settings = Settings::of(&FOLLOWED.parse::<AttackSpec>()?);
    let mut points = Vec::new();
    for &branch in branches {
        let mut sums = Sums {
            zero: 0,
            nan: 0,
            third: None,
            loss: vec![0.0; settings.steps + 1],
        };
        for from in (0..test.len()).step_by(batch.max(1)) {
            let part = test.slice(from, batch.min(test.len() - from))?;
            add(&mut sums, networks, &part, branch, settings, seed)?;
        }
        let n = test.len().max(1) as f64;
        let mut say = |step: usize, metric: &str, value: f64| {
            points.push(GradientProbe {
                step: step as u32,
                metric: format!("{metric}/{branch}"),
                value,
            });
        };
        say(0, "gradient/zero", sums.zero as f64 / n);
        say(0, "gradient/nan", sums.nan as f64 / n);
        if let Some(third) = sums.third {
            say(0, "gradient/dlr-constant", third as f64 / n);
        }
        for (step, loss) in sums.loss.iter().enumerate() {
            say(step, "loss", loss / n);
        }
    }
    Ok(points)
}

fn add(
    sums: &mut Sums,
    networks: &Networks,
    part: &Split,
    branch: Branch,
    settings: Settings,
    seed: u64,
) -> Result<()> {
    let device = networks.device();
    let images = images_to_tensor(&part.images, part.len(), part.size, device);
    let labels: Vec<i64> = part.labels.iter().map(|&label| i64::from(label)).collect();
    let labels = Tensor::from_slice(&labels).to_device(device);
    let objective = Objective::CrossEntropy(labels.shallow_clone());
    let target = Target::new(networks.model(), branch, &images, &labels, &part.indices, seed);
    let slope = target.slope_of(&images, |logits| objective.per_image(logits))?;
    for largest in floats(
        &slope
            .gradient
            .abs()
            .flatten(1, -1)
            .amax([1_i64].as_slice(), false),
    )? {
        sums.zero += u64::from(largest == 0.0);
        sums.nan += u64::from(!largest.is_finite());
    }
    if slope.logits.size()[1] >= 3 {
        let third = slope.logits.sort(1, true).1.select(1, 2);
        let constant = floats(&third.eq_tensor(&labels).to_kind(Kind::Float))?;
        let constant = constant.iter().filter(|flag| **flag > 0.5).count() as u64;
        sums.third = Some(sums.third.unwrap_or(0) + constant);
    }
    let ball = Ball::new(&images, settings.eps, settings.norm);
    let mut points = uniform_start(&images, settings.eps, seed, "pgd", &[0], &part.indices);
    for step in 0..=settings.steps {
        let slope = target.slope(&points, &objective)?;
        sums.loss[step] += floats(&slope.loss)?.into_iter().map(f64::from).sum::<f64>();
        points = settings.step(&points, &slope.gradient, &ball);
    }
    Ok(())
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(Vec::<f32>::try_from(
        tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous(),
    )?)
}
