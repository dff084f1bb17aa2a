//! Signs that an evaluation is not to be trusted, each with a name.
//!
//! After the checklists of Athalye et al. (ICML 2018), Carlini et al. (arXiv 1902.06705) and
//! AutoAttack's flags: an iterated attack is no weaker than one step, a larger radius no
//! weaker than a smaller one, an attack never helps, and a perturbation stays in its ball.
//! Differences are only flagged beyond chance: a paired one-sided test at 1 %.

use crate::error::ReportError;
use crate::metrics::answers::by_image;
use crate::metrics::paired::McNemar;
use crate::metrics::reading::Reading;
use crate::parquet;
use crate::runs::{Model, Runs};
use polars::prelude::*;
use rlnet_suites::{AttackSpec, Condition};
use serde::Serialize;

/// A p-value below which "weaker than it should be" is not chance. Two-sided, so that
/// together with the sign of the difference the test is at 1 %.
const BEYOND_CHANCE: f64 = 0.02;

/// One sign of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// Short name.
    pub code: &'static str,
    /// The model.
    pub model: String,
    /// What was seen and what it may mean.
    pub message: String,
}

/// Looks for all of them.
///
/// # Errors
/// When a query fails.
pub fn flags(runs: &Runs) -> Result<Vec<Flag>, ReportError> {
    let mut flags = Vec::new();
    for model in &runs.models {
        let attacks: Vec<AttackSpec> = model
            .measured
            .iter()
            .filter_map(|condition| match condition {
                Condition::Attack(spec) => Some(spec.clone()),
                _ => None,
            })
            .collect();
        for branch in &model.branches {
            let reading = Reading::Fixed(*branch);
            order(model, reading, &attacks, &mut flags)?;
        }
        for attack in &attacks {
            flags.extend(outside_the_ball(model, attack)?);
        }
    }
    Ok(flags)
}

/// Every pair of conditions of which one must be no weaker than the other.
fn order(
    model: &Model,
    reading: Reading,
    attacks: &[AttackSpec],
    flags: &mut Vec<Flag>,
) -> Result<(), ReportError> {
    let mut pairs: Vec<(&'static str, Condition, Condition)> = Vec::new();
    for attack in attacks {
        let strong = Condition::Attack(attack.clone());
        if model.measured.contains(&Condition::Clean) {
            pairs.push(("attack-helps", Condition::Clean, strong.clone()));
        }
        for other in attacks {
            let weak = Condition::Attack(other.clone());
            let no_fewer_steps = attack.count("steps") >= other.count("steps");
            let same_radius = (attack.size("eps") - other.size("eps")).abs() < 1e-9;
            if same_radius && other.name() == "fgsm" && attack.name() == "pgd" {
                pairs.push(("steps-weaken", weak, strong.clone()));
            } else if attack.name() == other.name()
                && no_fewer_steps
                && attack.size("eps") > other.size("eps") + 1e-9
            {
                pairs.push(("radius-weakens", weak, strong.clone()));
            }
        }
    }
    let answers = by_image(model, reading)?;
    for (code, weak, strong) in pairs {
        let (Some(under_strong), Some(under_weak)) = (answers.get(&strong), answers.get(&weak)) else {
            continue;
        };
        let test = McNemar::of(under_strong, under_weak);
        if test.only_this > test.only_other && test.p < BEYOND_CHANCE {
            flags.push(Flag {
                code,
                model: model.name.clone(),
                message: format!(
                    "through the {}, more images are right under {strong} than under {weak} ({} against {} of {} images that differ, p = {:.1e}); the stronger condition should never help: suspect masked gradients or a badly tuned attack",
                    reading.label(),
                    test.only_this,
                    test.only_other,
                    test.only_this + test.only_other,
                    test.p
                ),
            });
        }
    }
    Ok(())
}

/// A perturbation larger than the attack's radius.
fn outside_the_ball(model: &Model, attack: &AttackSpec) -> Result<Option<Flag>, ReportError> {
    let eps = attack.size("eps");
    if eps <= 0.0 {
        return Ok(None);
    }
    let query = || {
        let frame = model
            .rows
            .clone()
            .lazy()
            .filter(col("condition").eq(lit(attack.to_string())))
            .select([
                // One part in 10^5 for single-precision pixels.
                col("norm")
                    .gt(lit((eps + 1e-5) as f32))
                    .cast(DataType::UInt32)
                    .sum()
                    .cast(DataType::UInt32)
                    .alias("outside"),
            ])
            .collect()?;
        PolarsResult::Ok(
            parquet::u32s(&frame, "outside")?
                .first()
                .copied()
                .unwrap_or_default(),
        )
    };
    let outside = query().map_err(|error| ReportError::make(format!("the radii of {attack}"), error))?;
    Ok((outside > 0).then(|| Flag {
        code: "outside-the-ball",
        model: model.name.clone(),
        message: format!("{outside} perturbations of {attack} are larger than its radius; its accuracy is too low to be compared"),
    }))
}
