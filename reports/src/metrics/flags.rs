//! Signs that an evaluation is not to be trusted, each with a name.
//!
//! Every item of the [diagnosis](super::diagnosis) that fails; a perturbation that leaves its
//! ball; and a network that may be guessing, which makes every other number of it meaningless.

use crate::format;
use crate::metrics::accuracy_count::AccuracyCount;
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::diagnosis::{Diagnosis, FigureNames, ItemStatus};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::attack::is_inside;
use rlnet_suites::{AttackSpec, Condition};
use serde::Serialize;

/// The flag of a network that may be guessing.
pub const AT_CHANCE: &str = "at-chance";

/// The flag of a network that does worse than guessing.
pub const BELOW_CHANCE: &str = "below-chance";

/// One sign of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// Short name.
    pub code: &'static str,
    /// The model.
    pub model: String,
    /// What was seen and what it may mean.
    pub message: String,
    /// The same of several models, without what is each one's own.
    #[serde(skip)]
    pub of_several: Option<String>,
}

/// One sentence about one model, or about all that have the same flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flags {
    /// Short name.
    pub code: &'static str,
    /// The models.
    pub models: String,
    /// What was seen and what it may mean.
    pub message: String,
}

/// Flags, with one sentence where many would say the same.
pub fn together(flags: &[Flag]) -> Vec<Flags> {
    let mut all: Vec<Flags> = Vec::new();
    for flag in flags {
        let alike = |other: &&Flag| other.code == flag.code && other.of_several == flag.of_several;
        let alike: Vec<String> = flags
            .iter()
            .filter(alike)
            .map(|flag| flag.model.clone())
            .collect();
        let said = match &flag.of_several {
            Some(of_several) if alike.len() > 1 => Flags {
                code: flag.code,
                models: format::list(&alike),
                message: of_several.clone(),
            },
            _ => Flags {
                code: flag.code,
                models: flag.model.clone(),
                message: flag.message.clone(),
            },
        };
        if !all.contains(&said) {
            all.push(said);
        }
    }
    all
}

/// Looks for all of them.
pub fn flags(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    tally: &AccuracyCount,
    diagnoses: &[Diagnosis],
) -> Vec<Flag> {
    let mut flags: Vec<Flag> = runs
        .models
        .iter()
        .filter_map(|model| at_chance(model, tally))
        .collect();
    for (model, matrix) in runs.models.iter().zip(matrices) {
        for condition in &model.measured {
            if let Condition::Attack(attack) = condition {
                flags.extend(outside_the_ball(model, matrix, attack));
            }
        }
    }
    for diagnosis in diagnoses {
        let failed = diagnosis
            .items
            .iter()
            .filter(|item| item.state == ItemStatus::Fail);
        for item in failed {
            let flag = Flag {
                code: item.code,
                model: diagnosis.model.clone(),
                message: match item.names {
                    FigureNames::Everything => item.figure.clone(),
                    FigureNames::Nothing => format!(
                        "{} Through the {}: {}",
                        item.asks,
                        BranchPolicy::Fixed(diagnosis.branch).label(),
                        item.figure
                    ),
                },
                of_several: None,
            };
            // What concerns the whole model is an item of each branch.
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
    }
    flags
}

/// A network whose clean accuracy may well be that of guessing, or is worse.
fn at_chance(model: &Model, tally: &AccuracyCount) -> Option<Flag> {
    let classes = model.classes;
    let share = tally
        .accuracy(model, BranchPolicy::Oracle, &Condition::Clean)
        .ok()?;
    let chance = 1.0 / f64::from(classes.max(1));
    let (code, [its, their], question) = if share.high < chance {
        let how = ["it does worse than guessing", "they do worse than guessing"];
        (BELOW_CHANCE, how, "is the class order yours?")
    } else if share.low <= chance {
        let how = [
            "it cannot be told from guessing",
            "they cannot be told from guessing",
        ];
        (AT_CHANCE, how, "was there enough training?")
    } else {
        return None;
    };
    let [value, low, high] = [share.value, share.low, share.high].map(format::percent);
    Some(Flag {
        code,
        model: model.name.clone(),
        message: format!(
            "on clean images {its} among {classes} classes ({value} % [{low}, {high}]), so its other numbers mean nothing: {question}"
        ),
        of_several: Some(format!(
            "on clean images {their} among {classes} classes, so their other numbers mean nothing: {question}"
        )),
    })
}

/// A perturbation larger than the attack's radius.
fn outside_the_ball(model: &Model, matrix: &PredictionMatrix, attack: &AttackSpec) -> Option<Flag> {
    let radius = attack.radius()?;
    let condition = Condition::Attack(attack.clone());
    let fixed = model.branches.iter().map(|branch| BranchPolicy::Fixed(*branch));
    let predictions = fixed
        .filter_map(|policy| matrix.predictions(policy, &condition))
        .flatten();
    let outside: usize = predictions
        .map(|seen| {
            seen.norm
                .iter()
                .filter(|norm| !is_inside(f64::from(**norm), radius))
                .count()
        })
        .sum();
    (outside > 0).then(|| Flag {
        code: "outside-the-ball",
        model: model.name.clone(),
        message: format!("{outside} perturbations of {attack} are larger than its radius; its accuracy is too low to be compared"),
        of_several: None,
    })
}
