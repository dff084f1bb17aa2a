//! AutoAttack (Croce and Hein, ICML 2020): the union of its attacks, each on the images that
//! the earlier ones left, always from the original image.

use super::dispatch;
use super::target::Target;
use crate::error::{Error, Result};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Norm;
use tch::{Tensor, no_grad_guard};

/// The attacks of a version, in the reference's order.
///
/// # Errors
/// When one of them is not defined for the norm.
pub fn stages(spec: &AttackSpec) -> Result<Vec<AttackSpec>> {
    let l1 = spec.norm() == Norm::L1;
    let texts: &[&str] = match spec.word("version") {
        "plus" => &[
            "apgd-ce:restarts=5",
            "apgd-dlr:restarts=5",
            "fab:restarts=5",
            "square",
            "apgd-t",
            "fab-t",
        ],
        "rand" => &["apgd-ce:eot=20", "apgd-dlr:eot=20"],
        // In L1 more starts and fewer targets (Croce and Hein, ICML 2021).
        _ if l1 => &["apgd-ce:restarts=5", "apgd-t:targets=5", "fab-t", "square"],
        _ => &["apgd-ce", "apgd-t", "fab-t", "square"],
    };
    let mut stages = Vec::new();
    for text in texts {
        let separator = if text.contains(':') { ',' } else { ':' };
        let norm = spec.norm();
        let stage: AttackSpec = format!("{text}{separator}norm={norm}").parse()?;
        let eps = spec.params().get("eps").map_or("", String::as_str);
        stages.push(stage.with("eps", eps)?.with("compat", spec.word("compat"))?);
    }
    Ok(stages)
}

/// Points `[N, 3, H, W]`: of each broken image the adversarial of the attack that broke it,
/// of the others the image itself. The target's account names what broke each.
pub(super) fn autoattack(spec: &AttackSpec, target: &Target<'_>) -> Result<Tensor> {
    let stages = stages(spec)?;
    let clean = target.logits(&target.images)?;
    let (classes, needed) = (clean.size()[1], if spec.word("version") == "rand" { 3 } else { 4 });
    if classes < needed {
        return Err(Error::Input(format!(
            "autoattack: its DLR losses need {needed} classes, this model has {classes}; \
             use apgd-ce, fab and square one by one"
        )));
    }
    let wrong = target.fooled(&clean);
    target.broken(&wrong, "clean");
    let kept = target.images.copy();
    let mut rows = wrong.logical_not().nonzero().squeeze_dim(1);
    for stage in &stages {
        let active = target.take(&rows);
        if active.is_empty() {
            break;
        }
        let passes = active.passes().max(stage.count("eot") as u32);
        let active = active.drawing(active.draws, passes);
        let made = dispatch(stage, &active, None)?;
        let _guard = no_grad_guard();
        let fooled = active.fooled(&active.logits(&made)?);
        active.broken(&fooled, stage.name());
        let hit = fooled.nonzero().squeeze_dim(1);
        let _ = kept.shallow_clone().index_copy_(
            0,
            &rows.index_select(0, &hit),
            &made.index_select(0, &hit),
        );
        rows = rows.index_select(0, &fooled.logical_not().nonzero().squeeze_dim(1));
    }
    Ok(kept)
}

/// Accuracy in percent after each attack, from what broke each image: `clean 53.52, apgd-ce
/// 26.95, ...`.
///
/// # Errors
/// When one of the attacks is not defined for the norm.
pub fn survivors(spec: &AttackSpec, broken_by: &[Option<&'static str>]) -> Result<String> {
    let mut left = broken_by.len();
    let mut parts = Vec::new();
    let names = stages(spec)?;
    for name in std::iter::once("clean").chain(names.iter().map(AttackSpec::name)) {
        left -= broken_by.iter().filter(|by| **by == Some(name)).count();
        parts.push(format!(
            "{name} {:.2}",
            100.0 * left as f64 / broken_by.len().max(1) as f64
        ));
    }
    Ok(parts.join(", "))
}
