//! Can a robust accuracy be trusted? The checklist of gradient masking, item by item.
//!
//! After Athalye et al. (ICML 2018), Carlini et al. (arXiv 1902.06705) and AutoAttack's flags: a
//! network whose gradients lead nowhere looks robust to attacks that follow them, and then a
//! larger radius, more steps, one step instead of many, no gradient at all or another
//! network's gradient do better than they should. Only differences beyond chance count:
//! paired tests by image (McNemar), all pairs of the report together (Bonferroni).

use crate::format::{self, AttackNames};
use crate::metrics::accuracy_count::{ByImage, by_image};
use crate::metrics::attack_pairs::{Tested, pairs};
use crate::metrics::bits::Answers;
use crate::metrics::blind::Blind;
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::metrics::stronger_attack::Stronger;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::attack::Norm;
use rlnet_suites::{AttackSpec, Branch, Condition};
use serde::Serialize;

/// A p-value below which "weaker than it should be" is not chance, over all pairs of a report
/// together (Bonferroni). Two-sided, so that with the sign of the difference it is 1 %.
pub const BEYOND_CHANCE: f64 = 0.02;

/// The share of images whose gradient may be exactly zero when clean, or never of use to an attack (own
/// choice: one in a hundred).
pub const ZERO_GRADIENTS: f64 = 0.01;

/// How far the loss may end below its highest step, as a share of its rise (own choice): PGD's
/// last steps swing about a maximum.
pub const SLACK: f64 = 0.1;

/// By how much another attack may beat the headline before that is a sign of trouble, and not
/// only of a better tuned attack (own choice: robust networks lose some points from PGD to
/// AutoAttack).
pub const BEATEN: f64 = 0.05;

/// The preflight's codes that say nothing about gradients: other classes than the data's, and last bits
/// that depend on the batch.
const BESIDE: [&str; 2] = ["classes", "batch-bits"];

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemStatus {
    /// As an honest robust accuracy answers.
    Pass,
    /// Not so.
    Fail,
    /// A figure to be known; it decides nothing.
    Told,
    /// Its conditions were not measured.
    NotRun,
}

impl ItemStatus {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Told => "for information",
            Self::NotRun => "not run",
        }
    }
}

/// One item of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Short name, as a flag's when it fails.
    pub code: &'static str,
    /// What is asked.
    pub asks: &'static str,
    /// What became of it.
    pub state: ItemStatus,
    /// The figure.
    pub figure: String,
    /// What the figure names by itself.
    pub names: FigureNames,
}

/// What a figure names by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FigureNames {
    /// Nothing: it is read beside the item's question and the branch.
    Nothing,
    /// All that it is about: it is a whole sentence.
    Everything,
}

/// The end of the checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiagnosisVerdict {
    /// Every item that must run has run, and none failed.
    Trustworthy,
    /// An item that must run has not.
    NotDiagnosed,
    /// An item failed.
    Suspicious,
}

impl DiagnosisVerdict {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trustworthy => "trustworthy",
            Self::NotDiagnosed => "not diagnosed",
            Self::Suspicious => "suspicious",
        }
    }
}

/// The checklist of one model, attacked and read through one branch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The model.
    pub model: String,
    /// The branch.
    pub branch: Branch,
    /// The items, always the same ones.
    pub items: Vec<Item>,
    /// What follows.
    pub verdict: DiagnosisVerdict,
    /// The attack whose number is to be quoted, where that is not the headline.
    pub stronger: Option<Stronger>,
}

impl Diagnosis {
    /// Whether somebody asked for it: gradients were probed, or an attack was unbounded.
    pub fn was_asked(&self) -> bool {
        let asked = ["gradients-vanish", "unbounded-survives"];
        let mut items = self.items.iter();
        items.any(|item| asked.contains(&item.code) && item.state != ItemStatus::NotRun)
    }
}

impl Item {
    /// An item passes by pairs in AdvA's norm: those of another say nothing of it, unless they fail.
    fn in_norm(self, norm: Option<Norm>, pairs: &[&Tested<'_>]) -> Self {
        let elsewhere = |norm: Norm| {
            !pairs
                .iter()
                .any(|pair| matches!(pair.strong, Condition::Attack(spec) if spec.norm() == norm))
        };
        match norm {
            Some(norm) if self.state == ItemStatus::Pass && elsewhere(norm) => Self {
                state: ItemStatus::NotRun,
                figure: format!(
                    "no two conditions to compare in {}, the norm of AdvA",
                    norm.symbol()
                ),
                ..self
            },
            _ => self,
        }
    }
}

/// Items decided by pairs of conditions, of which the second must be no weaker: code and
/// question.
const PAIRED: [(&str, &str); 7] = [
    ("attack-helps", "Does every attack do harm?"),
    ("radius-weakens", "Does a larger radius do no less harm?"),
    (
        "effort-weakens",
        "Do more steps, starts or queries do no less harm?",
    ),
    ("steps-weaken", "Do many steps do no less harm than one?"),
    (
        "black-box-wins",
        "Does an attack without gradients do no more harm than the best white-box one?",
    ),
    (
        "transfer-wins",
        "Do attacks made on other networks or branches do no more harm than the best white-box one?",
    ),
    (
        "noise-wins",
        "Does random noise do no more harm than any white-box attack?",
    ),
];

/// Items without which there is no verdict. Transfers need networks that not every model has,
/// and the DLR loss needs three classes.
const NEEDED: [&str; 11] = [
    "headline-beaten",
    "attack-helps",
    "radius-weakens",
    "effort-weakens",
    "steps-weaken",
    "black-box-wins",
    "noise-wins",
    "unbounded-survives",
    "gradients-unusable",
    "gradients-vanish",
    "loss-falls",
];

fn message(pair: &Tested<'_>, policy: BranchPolicy) -> String {
    format!(
        "through the {}, more images are right under {} than under {} ({} against {} of {} images that differ, p = {:.1e}); the stronger condition should never help: suspect masked gradients or a badly tuned attack",
        policy.label(),
        pair.strong,
        pair.weak,
        pair.wrong_way,
        pair.right_way,
        pair.wrong_way + pair.right_way,
        pair.p
    )
}

/// The checklist of every model and branch.
pub fn diagnoses(runs: &Runs, matrices: &[PredictionMatrix]) -> Vec<Diagnosis> {
    let mut all: Vec<(&Model, &PredictionMatrix, Branch, ByImage)> = Vec::new();
    for (model, matrix) in runs.models.iter().zip(matrices) {
        for branch in &model.branches {
            all.push((
                model,
                matrix,
                *branch,
                by_image(matrix, BranchPolicy::Fixed(*branch)),
            ));
        }
    }
    let tested = all.iter().map(|(.., branch, answers)| pairs(answers, *branch));
    let tested: Vec<Vec<Tested<'_>>> = tested.collect();
    let count: usize = tested.iter().map(Vec::len).sum();
    let limit = BEYOND_CHANCE / count.max(1) as f64;
    let names = AttackNames::of(&runs.attacks());
    all.iter()
        .zip(&tested)
        .map(|((model, matrix, branch, answers), tested)| {
            let policy = BranchPolicy::Fixed(*branch);
            let headline = runs.headline.as_ref();
            let stronger = headline.and_then(|headline| Stronger::find(headline, matrix, policy));
            let mut items = vec![examined(model), beaten(runs, answers, stronger.as_ref(), &names)];
            let pairs = PAIRED.iter();
            let norm = headline.map(AttackSpec::norm);
            items.extend(pairs.map(|(code, asks)| {
                let own: Vec<&Tested<'_>> = tested.iter().filter(|pair| pair.code == *code).collect();
                paired(code, asks, &own, limit, policy).in_norm(norm, &own)
            }));
            items.push(unbounded(model, answers));
            items.push(followed(matrix, policy, &names));
            items.extend(probed(model, *branch));
            Diagnosis {
                model: model.name.clone(),
                branch: *branch,
                verdict: verdict(&items),
                items,
                stronger,
            }
        })
        .collect()
}

fn verdict(items: &[Item]) -> DiagnosisVerdict {
    if items.iter().any(|item| item.state == ItemStatus::Fail) {
        return DiagnosisVerdict::Suspicious;
    }
    let missing = |item: &&Item| item.state == ItemStatus::NotRun && NEEDED.contains(&item.code);
    match items.iter().find(missing) {
        Some(_) => DiagnosisVerdict::NotDiagnosed,
        None => DiagnosisVerdict::Trustworthy,
    }
}

/// An item decided by its pairs.
fn paired(
    code: &'static str,
    asks: &'static str,
    own: &[&Tested<'_>],
    limit: f64,
    policy: BranchPolicy,
) -> Item {
    let worst = own.iter().min_by(|a, b| a.p.total_cmp(&b.p));
    let (state, figure) = match worst {
        None => (ItemStatus::NotRun, "no two conditions to compare".to_owned()),
        Some(pair) if pair.p < limit => (ItemStatus::Fail, message(pair, policy)),
        Some(pair) => {
            let against = own
                .iter()
                .map(|pair| pair.wrong_way.saturating_sub(pair.right_way));
            let n = own.len();
            let said = format!(
                "{n} {}, none beyond chance; at most {} of {} images the wrong way",
                if n == 1 { "pair" } else { "pairs" },
                against.max().unwrap_or(0),
                pair.images
            );
            (ItemStatus::Pass, said)
        }
    };
    let names = if state == ItemStatus::Fail {
        FigureNames::Everything
    } else {
        FigureNames::Nothing
    };
    Item {
        code,
        asks,
        state,
        figure,
        names,
    }
}

/// What the preflight found of the model and its surrogates, refused or not, but for what says nothing
/// about gradients.
fn examined(model: &Model) -> Item {
    let beside = |finding: &&String| finding.split(": ").any(|part| BESIDE.contains(&part));
    let found = model.allowed.iter().chain(&model.warnings);
    let found: Vec<&str> = found.filter(|found| !beside(found)).map(String::as_str).collect();
    let (state, figure) = match found.as_slice() {
        [] if model.measured.is_empty() => (ItemStatus::NotRun, "not evaluated yet".to_owned()),
        [] => (ItemStatus::Pass, "it found nothing".to_owned()),
        found => (
            ItemStatus::Fail,
            format!("its preflight found {}", found.join("; ")),
        ),
    };
    Item {
        code: "preflight",
        asks: "Did the preflight find the model fit to be attacked?",
        names: match state {
            ItemStatus::Fail => FigureNames::Everything,
            _ => FigureNames::Nothing,
        },
        state,
        figure,
    }
}

/// Whether AdvA is the least that the run's attacks of its norm leave within its radius.
fn beaten(runs: &Runs, answers: &ByImage, stronger: Option<&Stronger>, names: &AttackNames) -> Item {
    let headline = runs.headline.clone().map(Condition::Attack);
    let measured = headline.is_some_and(|headline| answers.contains_key(&headline));
    let (state, figure) = match stronger {
        Some(found) => {
            let gain = found.headline.value - found.left.value;
            let fails = gain >= BEATEN && found.p < BEYOND_CHANCE;
            let said = format!("{} points less: {}", format::percent(gain), found.said(names));
            (if fails { ItemStatus::Fail } else { ItemStatus::Told }, said)
        }
        None if measured => (ItemStatus::Pass, "no attack of the run leaves fewer".to_owned()),
        None => (
            ItemStatus::NotRun,
            "the attack called AdvA was not measured".to_owned(),
        ),
    };
    Item {
        code: "headline-beaten",
        asks: "Does no other attack of this norm and radius leave fewer images right than AdvA's?",
        state,
        figure,
        names: FigureNames::Nothing,
    }
}

/// What an attack leaves that may make any image at all.
fn unbounded(model: &Model, answers: &ByImage) -> Item {
    let free = answers.iter().filter(
        |(condition, _)| matches!(condition, Condition::Attack(spec) if spec.must_break_everything()),
    );
    let share = |(condition, answers): (&Condition, &Answers)| {
        let (right, known) = (answers.right(), answers.known());
        (condition.clone(), right as f64 / known.max(1) as f64, known)
    };
    let least = free.map(share).min_by(|a, b| a.1.total_cmp(&b.1));
    let chance = 1.0 / f64::from(model.classes.max(1));
    let (state, figure) = match least {
        None => (ItemStatus::NotRun, "no search of radius 0.5 or more".to_owned()),
        Some((condition, share, n)) => {
            let reached = if share == 0.0 {
                "nothing is left".to_owned()
            } else {
                format!(
                    "{} % of {n} images are left, where guessing has {} %",
                    format::percent(share),
                    format::percent(chance)
                )
            };
            let state = if share <= chance {
                ItemStatus::Pass
            } else {
                ItemStatus::Fail
            };
            (state, format!("under {condition} {reached}"))
        }
    };
    Item {
        code: "unbounded-survives",
        asks: "Does an attack that may make any image leave no more than guessing?",
        state,
        figure,
        names: FigureNames::Nothing,
    }
}

/// Whether attacks had gradients to follow, on all images: the worst of them.
fn followed(matrix: &PredictionMatrix, policy: BranchPolicy, names: &AttackNames) -> Item {
    let conditions = matrix.conditions().into_iter();
    let all = conditions.filter_map(|condition| match condition {
        Condition::Attack(spec) if spec.needs_gradients() => Blind::of(matrix, policy, spec),
        _ => None,
    });
    let worst = all.max_by(|a, b| a.share().total_cmp(&b.share()));
    let (state, figure) = match worst {
        None => (ItemStatus::NotRun, "no attack asked for gradients".to_owned()),
        Some(blind) if blind.images.is_empty() => {
            (ItemStatus::Pass, "on every image of every attack".to_owned())
        }
        Some(blind) if blind.share() <= ZERO_GRADIENTS => (ItemStatus::Told, blind.said(names)),
        Some(blind) => (ItemStatus::Fail, blind.said(names)),
    };
    Item {
        code: "gradients-unusable",
        asks: "Had the attacks gradients that they could follow?",
        state,
        figure,
        names: FigureNames::Nothing,
    }
}

/// The items of the probe: gradients at the clean images, the DLR loss, the loss along PGD.
fn probed(model: &Model, branch: Branch) -> [Item; 3] {
    let find = |metric: &str| {
        let name = format!("{metric}/{branch}");
        let points = model.probe.iter().filter(move |point| point.metric == name);
        points.map(|point| point.value).collect::<Vec<f64>>()
    };
    let not_run = || (ItemStatus::NotRun, "gradients were not probed".to_owned());
    let gradients = match (find("gradient/zero").first(), find("gradient/nan").first()) {
        (Some(&zero), Some(&nan)) => {
            let state = if nan > 0.0 || zero > ZERO_GRADIENTS {
                ItemStatus::Fail
            } else {
                ItemStatus::Pass
            };
            let figure = format!(
                "zero on {} % of clean images, not a number on {} %",
                format::percent(zero),
                format::percent(nan)
            );
            (state, figure)
        }
        _ => not_run(),
    };
    let dlr = match find("gradient/dlr-constant").first() {
        Some(share) => (
            ItemStatus::Told,
            format!(
                "constant on {} % of clean images (already wrong, the true class third)",
                format::percent(*share)
            ),
        ),
        None => not_run(),
    };
    let losses = find("loss");
    let loss = match losses.as_slice() {
        [first, .., last] => {
            let highest = losses.iter().copied().fold(*first, f64::max);
            let rises = last > first && *last >= highest - SLACK * (highest - first);
            let figure = format!(
                "mean loss {first:.3} at the start, {last:.3} after {} steps, {highest:.3} at its highest",
                losses.len() - 1
            );
            (if rises { ItemStatus::Pass } else { ItemStatus::Fail }, figure)
        }
        _ => not_run(),
    };
    let item = |code, asks, (state, figure): (ItemStatus, String)| Item {
        code,
        asks,
        state,
        figure,
        names: FigureNames::Nothing,
    };
    [
        item("gradients-vanish", "Are there gradients to follow?", gradients),
        item("dlr-constant", "Where is the DLR loss blind?", dlr),
        item("loss-falls", "Does the loss rise along PGD's steps?", loss),
    ]
}
