//! The questions that a gate's rules ask of two runs.

use super::Side;
use super::check::{Limits, Question};
use crate::format;
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::measured_on::said;
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use rlnet_suites::attack::is_same_radius;
use rlnet_suites::corruption::{BENCHMARK, EXTRA};
use rlnet_suites::gate::{GateMetric, Rule};
use rlnet_suites::{AttackSpec, Condition, Gate};
use std::collections::BTreeSet;

/// A number of both runs.
struct Number {
    /// Its name; where the runs measured it on different conditions, what is compared.
    measure: String,
    /// The conditions behind it in the older run, as far as they are compared.
    before: Vec<Condition>,
    /// The same in the newer run.
    after: Vec<Condition>,
    /// Why a part of it, or all of it, cannot be compared.
    lost: Option<String>,
}

/// All questions, and why some that the older run can answer cannot be asked of the newer.
pub(super) fn questions(old: &Side, new: &Side, gate: &Gate) -> (Vec<Question>, Vec<String>) {
    let (mut questions, mut missing) = (Vec::new(), Vec::new());
    for rule in &gate.rule {
        for (model, matrix) in old.runs.models.iter().zip(&old.matrices) {
            if !rule.models.is_empty() && !rule.models.contains(&model.name) {
                continue;
            }
            let found = new.runs.models.iter().position(|other| other.name == model.name);
            let Some(at) = found else {
                missing.push(format!("model `{}` is no longer evaluated", model.name));
                continue;
            };
            let pair = (matrix, &new.matrices[at]);
            for number in numbers(rule, old, new, model, &new.runs.models[at]) {
                for policy in policies(rule, model) {
                    ask(&mut questions, &mut missing, pair, (model, policy), &number, rule);
                }
                missing.extend(number.lost.map(|why| format!("{}, {why}", model.name)));
            }
        }
    }
    let mut known = BTreeSet::new();
    missing.retain(|why| known.insert(why.clone()));
    // One number may be named by two rules: it is tested once, under the first.
    let mut seen: Vec<(String, BranchPolicy, Vec<Condition>)> = Vec::new();
    questions.retain(|question: &Question| {
        let key = (
            question.model.clone(),
            question.policy,
            question.conditions.0.clone(),
        );
        let new = !seen.contains(&key);
        seen.push(key);
        new
    });
    // The oracle reads clean images through the clean branch: the same answers again would
    // only cost the other questions some of the level.
    let mut distinct: Vec<Question> = Vec::new();
    for question in questions {
        let twin = |other: &Question| {
            other.model == question.model
                && other.conditions == question.conditions
                && (&other.old, &other.new) == (&question.old, &question.new)
        };
        if !distinct.iter().any(twin) {
            distinct.push(question);
        }
    }
    let questions = distinct;
    (questions, missing)
}

fn ask(
    questions: &mut Vec<Question>,
    missing: &mut Vec<String>,
    matrices: (&PredictionMatrix, &PredictionMatrix),
    (model, policy): (&Model, BranchPolicy),
    number: &Number,
    rule: &Rule,
) {
    let Number {
        measure,
        before,
        after,
        ..
    } = number;
    let Some(old) = shares(matrices.0, policy, before).filter(|_| !before.is_empty()) else {
        return;
    };
    let Some(new) = shares(matrices.1, policy, after).filter(|_| !after.is_empty()) else {
        missing.push(format!(
            "{}, {}, {measure}: measured before, now missing or unfinished",
            model.name,
            policy.label()
        ));
        return;
    };
    let (mut images, mut a, mut b) = (Vec::new(), Vec::new(), Vec::new());
    for (i, image) in matrices.0.images.iter().enumerate() {
        let place = matrices.1.images.binary_search(image).ok();
        if let (Some(old), Some(new)) = (old[i], place.and_then(|place| new[place])) {
            images.push(*image);
            a.push(old);
            b.push(new);
        }
    }
    if images.is_empty() {
        missing.push(format!(
            "{}, {}, {measure}: no image was answered by both runs",
            model.name,
            policy.label()
        ));
        return;
    }
    let answered = [&old, &new].map(|shares| shares.iter().flatten().count());
    let [was, is] = answered;
    if images.len() < was {
        missing.push(format!(
            "{}, {measure}: measured on {was} images before and on {is} now; only {} are the same",
            model.name,
            images.len()
        ));
    }
    let measure = match answered.iter().all(|count| *count == images.len()) {
        true => measure.clone(),
        false => format!(
            "{measure} on the {} images of both ({was} before, {is} now)",
            images.len()
        ),
    };
    questions.push(Question {
        model: model.name.clone(),
        policy,
        measure,
        conditions: (before.clone(), after.clone()),
        images,
        old: a,
        new: b,
        limits: Limits {
            drop: rule.max_drop,
            rise: rule.max_rise,
        },
    });
}

/// Each image's share of right answers over some conditions.
fn shares(
    matrix: &PredictionMatrix,
    policy: BranchPolicy,
    conditions: &[Condition],
) -> Option<Vec<Option<f64>>> {
    let mut sums: Vec<Option<f64>> = vec![Some(0.0); matrix.images.len()];
    for condition in conditions {
        for (sum, right) in sums.iter_mut().zip(matrix.right(policy, condition)?) {
            *sum = sum
                .zip(right)
                .map(|(sum, right)| sum + f64::from(u8::from(right)));
        }
    }
    let n = conditions.len().max(1) as f64;
    Some(sums.into_iter().map(|sum| sum.map(|sum| sum / n)).collect())
}

fn policies(rule: &Rule, model: &Model) -> Vec<BranchPolicy> {
    let mut all: Vec<BranchPolicy> = Vec::new();
    for name in &rule.readings {
        let named = match name.as_str() {
            "oracle" => vec![BranchPolicy::Oracle],
            "worst" => vec![BranchPolicy::Worst],
            "each" => model
                .branches
                .iter()
                .map(|branch| BranchPolicy::Fixed(*branch))
                .collect(),
            branch => {
                let known = model.branches.iter().filter(|known| known.name() == branch);
                known.map(|branch| BranchPolicy::Fixed(*branch)).collect()
            }
        };
        for policy in named.into_iter().map(|policy| policy.on(&model.branches)) {
            if !all.contains(&policy) {
                all.push(policy);
            }
        }
    }
    all
}

fn numbers(rule: &Rule, old: &Side, new: &Side, before: &Model, after: &Model) -> Vec<Number> {
    let corrupted = |model: &Model, keep: &dyn Fn(&str) -> bool| -> Vec<Condition> {
        let all = model.planned.iter().map(|(condition, _)| condition.clone());
        all.filter(|condition| matches!(condition, Condition::Corruption { name, .. } if keep(name)))
            .collect()
    };
    let both = |name: String, keep: &dyn Fn(&str) -> bool| {
        shared(name, corrupted(before, keep), corrupted(after, keep))
    };
    let number = |measure: String, before: Vec<Condition>, after: Vec<Condition>| Number {
        measure,
        before,
        after,
        lost: None,
    };
    let numbers: Vec<Number> = match rule.metric {
        GateMetric::Ca => vec![number(
            "CA".to_owned(),
            vec![Condition::Clean],
            vec![Condition::Clean],
        )],
        GateMetric::Npa => vec![both("NPA".to_owned(), &|name| BENCHMARK.contains(&name))],
        GateMetric::Corruptions => {
            let names = BENCHMARK.iter().chain(&EXTRA);
            names
                .map(|name| both(format::corruption(name), &|known| known == *name))
                .collect()
        }
        GateMetric::AdvA => {
            let of = |spec: &Option<AttackSpec>| spec.clone().map(Condition::Attack).into_iter().collect();
            let (was, is) = (&old.runs.headline, &new.runs.headline);
            let name = match (was, is) {
                (Some(was), Some(is)) if was != is => format!("AdvA: {}", renamed(was, is, before, after)),
                _ => "AdvA".to_owned(),
            };
            vec![number(name, of(was), of(is))]
        }
        GateMetric::Attacks => {
            let pairs = twins(before, after).into_iter().map(|(attack, twin)| {
                let name = match &twin {
                    Some(twin) if *twin != attack => renamed(&attack, twin, before, after),
                    _ => format::attack(&attack, &attacks(before)),
                };
                let twin = twin.map(Condition::Attack).into_iter().collect();
                number(name, vec![Condition::Attack(attack)], twin)
            });
            pairs.collect()
        }
    };
    numbers
        .into_iter()
        .filter(|number| !number.before.is_empty() || number.lost.is_some())
        .collect()
}

/// A mean over corrupted conditions, over those that both runs have.
fn shared(name: String, before: Vec<Condition>, after: Vec<Condition>) -> Number {
    let kept = before.iter().filter(|condition| after.contains(condition));
    let common: Vec<Condition> = kept.cloned().collect();
    let lost = common.len() < before.len();
    // A number that is gone altogether is said to be missing.
    if after.is_empty() || (!lost && common.len() == after.len()) {
        return Number {
            measure: name,
            before,
            after,
            lost: None,
        };
    }
    let (was, is) = (said(&before), said(&after));
    let lost = lost.then(|| match common.is_empty() {
        true => format!("{name}: measured on {was} before and on {is} now, which cannot be compared"),
        false => format!("{name}: measured on {was} before, and now only on {is}"),
    });
    Number {
        measure: format!("{name} over {} ({was} before, {is} now)", said(&common)),
        before: common.clone(),
        after: common,
        lost,
    }
}

/// Each attack on the older model with the one on the newer that it is compared with: itself,
/// else one of the same name, norm and radius that the older does not have, each used once.
pub(super) fn twins(before: &Model, after: &Model) -> Vec<(AttackSpec, Option<AttackSpec>)> {
    let (before, after) = (attacks(before), attacks(after));
    let mut new: Vec<&AttackSpec> = after.iter().filter(|attack| !before.contains(attack)).collect();
    let mut pairs = Vec::new();
    for attack in &before {
        let twin = match after.contains(attack) {
            true => Some(attack.clone()),
            false => {
                let found = new.iter().position(|other| stands_for(other, attack));
                found.map(|at| new.remove(at).clone())
            }
        };
        pairs.push((attack.clone(), twin));
    }
    pairs
}

/// A measure whose attack is another now: `PGD-20, 8/255, now PGD-2, 8/255`.
fn renamed(was: &AttackSpec, is: &AttackSpec, before: &Model, after: &Model) -> String {
    let (old, new) = (
        format::attack(was, &attacks(before)),
        format::attack(is, &attacks(after)),
    );
    // What the names leave out is written in full.
    match old == new {
        true => format!("{was}, now {is}"),
        false => format!("{old}, now {new}"),
    }
}

pub(super) fn attacks(model: &Model) -> Vec<AttackSpec> {
    let conditions = model.planned.iter().map(|(condition, _)| condition);
    conditions
        .filter_map(|condition| match condition {
            Condition::Attack(spec) => Some(spec.clone()),
            _ => None,
        })
        .collect()
}

/// Whether an attack took another's place: the same by name, norm and radius.
fn stands_for(new: &AttackSpec, old: &AttackSpec) -> bool {
    let same_size = match (new.eps(), old.eps()) {
        (Some(new), Some(old)) => is_same_radius(new, old),
        (new, old) => new == old,
    };
    new.name() == old.name() && new.norm() == old.norm() && same_size
}
