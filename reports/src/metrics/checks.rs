//! Signs that an evaluation is not to be trusted, each with a name.
//!
//! After the checklists of Athalye et al. (ICML 2018), Carlini et al. (arXiv 1902.06705) and
//! AutoAttack's flags: an iterated attack is no weaker than one step, a larger radius no
//! weaker than a smaller one, an attack never helps, and a perturbation stays in its ball.
//! Differences are only flagged beyond chance: paired one-sided tests at 1 % in all. And a
//! network that may be guessing makes every other number of it meaningless.

use crate::metrics::answers::{Tally, by_image};
use crate::metrics::grid::Grid;
use crate::metrics::paired::McNemar;
use crate::metrics::reading::Reading;
use crate::metrics::threat::{Norm, is_minimum_norm, radius, same_kind};
use crate::runs::{Model, Runs};
use crate::words;
use rlnet_suites::{AttackSpec, Condition};
use serde::Serialize;

/// A p-value below which "weaker than it should be" is not chance, over all pairs of a report
/// together (Bonferroni). Two-sided, so that with the sign of the difference it is 1 %.
const BEYOND_CHANCE: f64 = 0.02;

/// The flag of a network that may be guessing.
pub const AT_CHANCE: &str = "at-chance";

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
pub fn flags(runs: &Runs, grids: &[Grid], tally: &Tally) -> Vec<Flag> {
    let mut flags: Vec<Flag> = runs
        .models
        .iter()
        .filter_map(|model| at_chance(model, tally))
        .collect();
    let mut tests: Vec<(f64, Flag)> = Vec::new();
    for (model, grid) in runs.models.iter().zip(grids) {
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
            tests.extend(order((model, grid), reading, &attacks));
        }
        for attack in &attacks {
            flags.extend(outside_the_ball(model, grid, attack));
        }
    }
    let count = tests.len() as f64;
    let beyond = tests.into_iter().filter(|(p, _)| p * count < BEYOND_CHANCE);
    flags.extend(beyond.map(|(_, flag)| flag));
    flags
}

/// A network whose clean accuracy may well be that of guessing.
fn at_chance(model: &Model, tally: &Tally) -> Option<Flag> {
    let classes = model.record.as_ref()?.classes.len();
    let share = tally.accuracy(model, Reading::Oracle, &Condition::Clean).ok()?;
    let chance = 1.0 / classes.max(1) as f64;
    (share.low <= chance).then(|| Flag {
        code: AT_CHANCE,
        model: model.name.clone(),
        message: format!(
            "on clean images it cannot be told from guessing among {classes} classes ({} % [{}, {}]), so its other numbers mean nothing: was it trained long enough?",
            words::percent(share.value),
            words::percent(share.low),
            words::percent(share.high)
        ),
    })
}

/// Every pair of conditions of which one must be no weaker than the other, with the p-value
/// of its being weaker: 1 when it is not.
fn order((model, grid): (&Model, &Grid), reading: Reading, attacks: &[AttackSpec]) -> Vec<(f64, Flag)> {
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
            // Radii in different norms, surrogates and roundings are not ordered.
            let ordered = same_kind(attack, other) && !is_minimum_norm(attack);
            let same_norm = Norm::of(attack) == Norm::of(other);
            if same_radius && same_norm && other.name() == "fgsm" && attack.name() == "pgd" {
                pairs.push(("steps-weaken", weak, strong.clone()));
            } else if ordered && no_fewer_steps && attack.size("eps") > other.size("eps") + 1e-9 {
                pairs.push(("radius-weakens", weak, strong.clone()));
            }
        }
    }
    let answers = by_image(grid, reading);
    let mut tests = Vec::new();
    for (code, weak, strong) in pairs {
        let (Some(under_strong), Some(under_weak)) = (answers.get(&strong), answers.get(&weak)) else {
            continue;
        };
        let test = McNemar::of(under_strong, under_weak);
        let p = if test.only_this > test.only_other {
            test.p
        } else {
            1.0
        };
        let message = format!(
            "through the {}, more images are right under {strong} than under {weak} ({} against {} of {} images that differ, p = {p:.1e}); the stronger condition should never help: suspect masked gradients or a badly tuned attack",
            reading.label(),
            test.only_this,
            test.only_other,
            test.only_this + test.only_other
        );
        let model = model.name.clone();
        tests.push((p, Flag { code, model, message }));
    }
    tests
}

/// A perturbation larger than the attack's radius.
fn outside_the_ball(model: &Model, grid: &Grid, attack: &AttackSpec) -> Option<Flag> {
    // One part in 10^5 for single-precision pixels.
    let eps = (radius(attack)? + 1e-5) as f32;
    let condition = Condition::Attack(attack.clone());
    let fixed = model.branches.iter().map(|branch| Reading::Fixed(*branch));
    let sheets = fixed
        .filter_map(|reading| grid.sheets(reading, &condition))
        .flatten();
    let outside: usize = sheets
        .map(|sheet| sheet.norm.iter().filter(|norm| **norm > eps).count())
        .sum();
    (outside > 0).then(|| Flag {
        code: "outside-the-ball",
        model: model.name.clone(),
        message: format!("{outside} perturbations of {attack} are larger than its radius; its accuracy is too low to be compared"),
    })
}
