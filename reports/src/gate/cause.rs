//! What may have moved a number: weights, attack, data or arithmetic, told apart by what
//! identifies each of them, and, where all of that is equal, by the rows themselves.

use super::Side;
use super::check::{Cause, Check};
use super::pairs::{self, twins};
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::prediction_matrix::{ConditionPredictions, PredictionMatrix};
use crate::model::Model;
use rlnet_suites::{AttackSpec, CellRecord, CellSpec, Condition, Gate};
use serde::Serialize;
use std::collections::BTreeMap;

/// Clean margins that move by no more than this are the same network computed in another
/// order: single precision has 1.2e-7, a few hundred layers of sums a thousand times that.
const ROUNDING: f32 = 1e-3;

/// Something that identifies a run and differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of cause it is.
    pub cause: Cause,
    /// What differs, older and newer.
    pub what: String,
}

/// Everything that differs between two runs besides answers.
pub(super) fn changes(old: &Side, new: &Side) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    for (i, model) in old.runs.models.iter().enumerate() {
        let Some(j) = new.runs.models.iter().position(|other| other.name == model.name) else {
            continue;
        };
        let other = &new.runs.models[j];
        let mut found = weights(old, new, model, other);
        found.extend(labels(&old.matrices[i], &new.matrices[j]));
        found.extend(attacks(model, other));
        let twins: BTreeMap<AttackSpec, AttackSpec> = twins(model, other)
            .into_iter()
            .filter_map(|(a, b)| Some((a, b?)))
            .collect();
        for (condition, _) in &model.planned {
            let twin = match condition {
                Condition::Attack(attack) => twins.get(attack).cloned().map(Condition::Attack),
                _ => None,
            };
            let now = twin.as_ref().unwrap_or(condition);
            found.extend(cells(old, new, (model, condition), (other, now)));
        }
        for change in found {
            if !all.contains(&change) {
                all.push(change);
            }
        }
    }
    let (was, is) = (&old.runs.headline, &new.runs.headline);
    if was != is {
        let name = |spec: &Option<AttackSpec>| match spec {
            Some(spec) => spec.to_string(),
            None => "no attack".to_owned(),
        };
        all.push(Change {
            cause: Cause::Attack,
            what: format!("AdvA is of {}, was of {}", name(is), name(was)),
        });
    }
    all.sort_by_key(|change| change.cause);
    all
}

/// What may have moved one number.
pub(super) fn explain(old: &Side, new: &Side, check: &Check) -> Vec<(Cause, String)> {
    let question = &check.question;
    let place = |side: &Side| {
        side.runs
            .models
            .iter()
            .position(|model| model.name == question.model)
    };
    let (Some(i), Some(j)) = (place(old), place(new)) else {
        return Vec::new();
    };
    let (before, after) = (&old.runs.models[i], &new.runs.models[j]);
    let mut found = labels(&old.matrices[i], &new.matrices[j]);
    found.extend(weights(old, new, before, after));
    for (a, b) in question.conditions.0.iter().zip(&question.conditions.1) {
        found.extend(attack(a, b));
        found.extend(cells(old, new, (before, a), (after, b)));
    }
    found.dedup();
    found.sort_by_key(|change| change.cause);
    // A machine's threads move single answers; they are only named when nothing heavier is.
    let heavy = found.iter().any(|change| change.cause < Cause::Numerics);
    let mut causes: Vec<(Cause, String)> = Vec::new();
    for change in found {
        let light = change.cause == Cause::Numerics;
        match causes.iter_mut().find(|(cause, _)| *cause == change.cause) {
            _ if heavy && light => {}
            Some((_, said)) if !said.contains(&change.what) => *said = format!("{said}, {}", change.what),
            Some(_) => {}
            None => causes.push((change.cause, change.what)),
        }
    }
    // The rows know more than the names: the same weights that answer clean images as before
    // leave only the attack.
    if !heavy && let Some(change) = by_rows(&old.matrices[i], &new.matrices[j], check) {
        causes.insert(0, (change.cause, change.what));
        causes.dedup_by(|b, a| a.0 == b.0 && b.1.is_empty());
    }
    if causes.is_empty() {
        causes.push((
            Cause::Unknown,
            "weights, attack, data and machine are the same: suspect a changed algorithm whose version was not bumped".into(),
        ));
    }
    causes
}

/// Answers of unchanged weights to unchanged clean images that flip: a reason of its own.
pub(super) fn flips(old: &Side, new: &Side, gate: &Gate) -> Vec<String> {
    let Some(limit) = gate.max_flips else {
        return Vec::new();
    };
    let mut reasons = Vec::new();
    for (i, model) in old.runs.models.iter().enumerate() {
        let Some(j) = new.runs.models.iter().position(|other| other.name == model.name) else {
            continue;
        };
        let same = weights(old, new, model, &new.runs.models[j]).is_empty()
            && labels(&old.matrices[i], &new.matrices[j]).is_empty()
            && old.matrices[i].images == new.matrices[j].images;
        let policy = BranchPolicy::Oracle;
        let (before, after) = (
            old.matrices[i].right(policy, &Condition::Clean),
            new.matrices[j].right(policy, &Condition::Clean),
        );
        let (true, Some(before), Some(after)) = (same, before, after) else {
            continue;
        };
        let flipped = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        if flipped > 0 && 100.0 * flipped as f64 / before.len() as f64 + 1e-9 >= limit {
            reasons.push(format!(
                "{}: changed numerics: {flipped} of {} clean images are answered otherwise by the same weights",
                model.name,
                before.len()
            ));
        }
    }
    reasons
}

fn labels(old: &PredictionMatrix, new: &PredictionMatrix) -> Vec<Change> {
    let changed = old.images.iter().zip(&old.labels).filter(|(image, label)| {
        let place = new.images.binary_search(image).ok();
        place.is_some_and(|place| new.labels[place] != **label)
    });
    let changed = changed.count();
    let change = (changed > 0).then(|| Change {
        cause: Cause::Data,
        what: format!("{changed} images have another label"),
    });
    change.into_iter().collect()
}

fn training<'a>(side: &'a Side, model: &Model) -> Option<&'a CellRecord> {
    let mut records = side.runs.runs[model.run].records.iter();
    records.find(|record| record.cell.name == model.name && matches!(record.cell.spec, CellSpec::Train(_)))
}

/// The weights of a model: the checksum of its file; of an imported model, its cell's parent.
pub(super) fn weights(old: &Side, new: &Side, before: &Model, after: &Model) -> Vec<Change> {
    let identity = |side: &Side, model: &Model| match training(side, model) {
        Some(record) => {
            let file = record.provenance.files.get("model.safetensors");
            file.cloned()
                .unwrap_or_else(|| format!("cell {}", record.cell.id))
        }
        None => {
            let cell = side.runs.runs[model.run].plan.cells.iter();
            let mut cells = cell.filter(|cell| cell.model == model.name);
            let parents = cells.find_map(|cell| cell.parents.first());
            parents.map_or_else(String::new, |id| format!("import {id}"))
        }
    };
    let (a, b) = (identity(old, before), identity(new, after));
    if a == b {
        return Vec::new();
    }
    let recipes = (training(old, before), training(new, after));
    let same_recipe = matches!(recipes, (Some(a), Some(b)) if a.cell.id == b.cell.id);
    let note = if same_recipe {
        " from the same recipe: its training is not reproducible here"
    } else {
        ""
    };
    vec![Change {
        cause: Cause::Model,
        what: format!("weights of {} {} to {}{note}", before.name, short(&a), short(&b)),
    }]
}

fn attack(old: &Condition, new: &Condition) -> Option<Change> {
    (old != new).then(|| Change {
        cause: Cause::Attack,
        what: format!("attack {old} to {new}"),
    })
}

/// Attacks on a model that were made otherwise, are no longer made, or are new.
fn attacks(before: &Model, after: &Model) -> Vec<Change> {
    let (mut found, mut known) = (Vec::new(), Vec::new());
    let mut say = |what: String| {
        found.push(Change {
            cause: Cause::Attack,
            what,
        });
    };
    for (was, is) in twins(before, after) {
        match &is {
            Some(is) if *is == was => {}
            Some(is) => say(format!("attack {was} to {is}")),
            None => say(format!("attack {was} is no longer made")),
        }
        known.extend(is);
    }
    for attack in pairs::attacks(after) {
        if !known.contains(&attack) {
            say(format!("attack {attack} is new"));
        }
    }
    found
}

/// What the cells behind one condition differ in: data, algorithms, machine.
fn cells(old: &Side, new: &Side, a: (&Model, &Condition), b: (&Model, &Condition)) -> Vec<Change> {
    let record = |side: &'_ Side, (model, condition): (&Model, &Condition)| -> Option<CellRecord> {
        let id = model.cell_of(condition)?;
        let mut records = side.runs.runs[model.run].records.iter();
        records.find(|record| record.cell.id == *id).cloned()
    };
    let (Some(before), Some(after)) = (record(old, a), record(new, b)) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    let mut differ = |cause, what: &str, a: &str, b: &str| {
        if a != b {
            let what = format!("{what} {} to {}", shown(a), shown(b));
            changes.push(Change { cause, what });
        }
    };
    let (x, y) = (&before.cell.data, &after.cell.data);
    // The checksum says which images they are, whatever their folder is called; how many of them
    // were used is in the rows.
    if x.checksum != y.checksum {
        differ(Cause::Data, "data set", &x.dataset, &y.dataset);
        differ(Cause::Data, "checksum of the data", &x.checksum, &y.checksum);
    }
    let of_images = matches!(a.1, Condition::Corruption { .. } | Condition::Frame { .. });
    let cause = match a.1 {
        Condition::Attack(_) | Condition::Certify(_) => Cause::Attack,
        Condition::AugMix | Condition::Corruption { .. } | Condition::Frame { .. } => Cause::Data,
        Condition::Clean => Cause::Numerics,
    };
    let versions = |record: &CellRecord| format!("{:?}", record.cell.versions);
    differ(
        cause,
        "versions of the algorithms",
        &versions(&before),
        &versions(&after),
    );
    if let (CellSpec::Evaluate(x), CellSpec::Evaluate(y)) = (&before.cell.spec, &after.cell.spec)
        && a.1 != &Condition::Clean
    {
        differ(cause, "seed", &x.seed.to_string(), &y.seed.to_string());
    }
    let (x, y) = (&before.provenance, &after.provenance);
    if of_images {
        differ(
            Cause::Data,
            "how corruptions are made,",
            &x.corruptions,
            &y.corruptions,
        );
    }
    differ(Cause::Numerics, "device", &x.device, &y.device);
    differ(Cause::Numerics, "libtorch", &x.libtorch, &y.libtorch);
    differ(
        Cause::Numerics,
        "threads",
        &x.threads.to_string(),
        &y.threads.to_string(),
    );
    differ(Cause::Numerics, "program", &x.program, &y.program);
    differ(Cause::Numerics, "commit", &x.commit, &y.commit);
    changes
}

/// What the rows say when weights, data and attack have the same names as before.
fn by_rows(old: &PredictionMatrix, new: &PredictionMatrix, check: &Check) -> Option<Change> {
    let question = &check.question;
    let first = |matrix: &PredictionMatrix, condition: &Condition| -> Option<ConditionPredictions> {
        let predictions = matrix.predictions(question.policy, condition)?;
        predictions.first().map(|seen| (*seen).clone())
    };
    let (a, b) = (first(old, &Condition::Clean)?, first(new, &Condition::Clean)?);
    if old.images != new.images {
        return None;
    }
    let steps = a.margin.iter().zip(&b.margin).map(|(a, b)| (a - b).abs());
    let moved = steps.fold(0.0_f32, f32::max);
    let condition = question.conditions.0.first()?;
    let attacked = condition.is_attacked();
    if moved <= ROUNDING && attacked {
        let (x, y) = (
            first(old, condition)?,
            first(new, question.conditions.1.first()?)?,
        );
        let mean = |seen: &ConditionPredictions| {
            let sum: f64 = seen.norm.iter().map(|norm| f64::from(*norm)).sum();
            255.0 * sum / seen.norm.len().max(1) as f64
        };
        let passes = |seen: &ConditionPredictions| seen.backwards as f64 / seen.norm.len().max(1) as f64;
        return Some(Change {
            cause: Cause::Attack,
            what: format!(
                "clean images are answered as before, so the attack behaves otherwise under the same name: mean perturbation {:.2}/255 to {:.2}/255, backward passes an image {:.1} to {:.1}",
                mean(&x),
                mean(&y),
                passes(&x),
                passes(&y)
            ),
        });
    }
    (moved > 0.0 && moved <= ROUNDING).then(|| Change {
        cause: Cause::Numerics,
        what: format!("clean margins moved by up to {moved:.1e}"),
    })
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "(none)" } else { text }
}

/// The first letters of a checksum.
fn short(identity: &str) -> String {
    let letters = identity.chars().take(12).collect::<String>();
    if identity.contains(' ') {
        identity.to_owned()
    } else {
        letters
    }
}
