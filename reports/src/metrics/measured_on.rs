//! What a number was measured on: conditions and images. Two numbers stand in one column, one test
//! or one line over time only where this is equal.

use crate::format;
use crate::metrics::estimate::{Known, Unknown};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::corruption::{self, BENCHMARK, C_BAR};
use rlnet_suites::{Condition, Family, Sequence};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A kind of number that every model has one of: what a column of a table holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// The mean over the benchmark's corruptions.
    Npa,
    /// The mean over the ten of C-bar.
    Bar,
    /// The mean over the severities of one corruption.
    Corruption(String),
    /// The frames of one sequence.
    Sequence(Sequence),
    /// Accuracy under one condition.
    Accuracy(Condition),
}

impl Quantity {
    /// Whether a condition takes part in it.
    pub fn includes(&self, condition: &Condition) -> bool {
        match (self, condition) {
            (Self::Npa, Condition::Corruption { name, .. }) => BENCHMARK.contains(&name.as_str()),
            (Self::Bar, Condition::Corruption { name, .. }) => C_BAR.contains(&name.as_str()),
            (Self::Corruption(own), Condition::Corruption { name, .. }) => own == name,
            (Self::Sequence(own), Condition::Frame { sequence, .. }) => own == sequence,
            (Self::Accuracy(own), condition) => own == condition,
            _ => false,
        }
    }

    /// All quantities that a condition takes part in.
    fn all_of(condition: &Condition) -> Vec<Self> {
        if let Condition::Frame { sequence, .. } = condition {
            return vec![Self::Sequence(*sequence)];
        }
        let mut all = vec![Self::Accuracy(condition.clone())];
        if let Condition::Corruption { name, .. } = condition {
            all.push(Self::Corruption(name.clone()));
            all.extend(
                [Self::Npa, Self::Bar]
                    .into_iter()
                    .filter(|mean| mean.includes(condition)),
            );
        }
        all
    }
}

/// Conditions, and the images that were answered under all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeasuredOn {
    /// The conditions, with the severity of a corruption and all parameters of an attack.
    pub conditions: BTreeSet<Condition>,
    /// Positions in the official test set, ascending; none while the cells are unfinished.
    pub images: Vec<u32>,
}

impl MeasuredOn {
    /// What a model's number of this kind is measured on; nothing where it plans none.
    pub fn of(model: &Model, matrix: &PredictionMatrix, quantity: &Quantity) -> Option<Self> {
        let planned = model.planned.iter().map(|(condition, _)| condition);
        let conditions: BTreeSet<Condition> = planned
            .filter(|condition| quantity.includes(condition))
            .cloned()
            .collect();
        let images = matrix.answered(&conditions);
        (!conditions.is_empty()).then_some(Self { conditions, images })
    }

    /// Its conditions in words: `fog at severities 1 and 5`.
    pub fn said(&self) -> String {
        said(&self.conditions)
    }
}

impl fmt::Display for MeasuredOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.images.len();
        let images = if count == 1 { "image" } else { "images" };
        write!(f, "{}, {} {images}", self.said(), format::thousands(count as u64))
    }
}

/// Conditions in words: corruptions of equal severities together, all fifteen of the benchmark by
/// that name, other conditions one by one.
pub fn said<'a>(conditions: impl IntoIterator<Item = &'a Condition>) -> String {
    let mut severities: BTreeMap<&str, BTreeSet<u8>> = BTreeMap::new();
    let mut parts: Vec<String> = Vec::new();
    let mut sequences: BTreeSet<Sequence> = BTreeSet::new();
    for condition in conditions {
        match condition {
            Condition::Corruption { name, severity } => {
                severities.entry(name).or_default().insert(*severity);
            }
            Condition::Frame { sequence, .. } => {
                sequences.insert(*sequence);
            }
            other => parts.push(other.to_string()),
        }
    }
    parts.extend(
        sequences
            .into_iter()
            .map(|sequence| format!("the sequence {sequence}")),
    );
    let mut groups: BTreeMap<BTreeSet<u8>, Vec<&str>> = BTreeMap::new();
    for (name, levels) in severities {
        groups.entry(levels).or_default().push(name);
    }
    for (levels, mut names) in groups {
        let mut of: Vec<String> = Vec::new();
        if BENCHMARK.iter().all(|name| names.contains(name)) {
            names.retain(|name| !BENCHMARK.contains(name));
            of.push("the 15 corruptions of the benchmark".to_owned());
        }
        for (family, title) in [(Family::CBar, "C-bar"), (Family::CBarImagenet, "ImageNet-C-bar")] {
            let ten = corruption::of_family(family);
            if ten.iter().all(|name| names.contains(name)) {
                names.retain(|name| !ten.contains(name));
                of.push(format!("the 10 of {title}"));
            }
        }
        of.extend(names.into_iter().map(str::to_owned));
        let word = if levels.len() == 1 {
            "severity"
        } else {
            "severities"
        };
        let levels: Vec<String> = levels.iter().map(u8::to_string).collect();
        parts.push(format!(
            "{} at {word} {}",
            format::list(&of),
            format::list(&levels)
        ));
    }
    format::list(&parts)
}

/// For each kind of number the one set that its column is about: what most models were measured
/// on; of equals the larger set, then the first model's.
#[derive(Debug, Clone, Default)]
pub struct Columns(BTreeMap<Quantity, MeasuredOn>);

impl Columns {
    /// The columns of a report.
    pub fn of(runs: &Runs, matrices: &[PredictionMatrix]) -> Self {
        let mut found: BTreeMap<Quantity, Vec<MeasuredOn>> = BTreeMap::new();
        for (model, matrix) in runs.models.iter().zip(matrices) {
            let planned = model.planned.iter().map(|(condition, _)| condition);
            let quantities: BTreeSet<Quantity> = planned.flat_map(Quantity::all_of).collect();
            for quantity in quantities {
                if let Some(set) = MeasuredOn::of(model, matrix, &quantity) {
                    found.entry(quantity).or_default().push(set);
                }
            }
        }
        let columns = found.into_iter();
        Self(
            columns
                .filter_map(|(quantity, sets)| Some((quantity, most(sets)?)))
                .collect(),
        )
    }

    /// What a column is about.
    pub fn set(&self, quantity: &Quantity) -> Option<&MeasuredOn> {
        self.0.get(quantity)
    }

    /// Whether a model's number may stand in its column.
    ///
    /// # Errors
    /// When it was measured on something else; both sets are named.
    pub fn admit(&self, model: &Model, matrix: &PredictionMatrix, quantity: &Quantity) -> Known<()> {
        let (Some(column), Some(own)) = (self.set(quantity), MeasuredOn::of(model, matrix, quantity)) else {
            return Ok(());
        };
        // What is unfinished has its own reason.
        if own == *column || own.images.is_empty() {
            return Ok(());
        }
        if own.conditions == column.conditions && own.images.len() == column.images.len() {
            return Err(Unknown::because(format!(
                "measured on other images than the others of this column ({own})"
            )));
        }
        Err(Unknown::because(format!(
            "measured on {own}; this column is about {column}"
        )))
    }
}

fn most(sets: Vec<MeasuredOn>) -> Option<MeasuredOn> {
    let finished = sets.iter().any(|set| !set.images.is_empty());
    let mut counted: Vec<(usize, MeasuredOn)> = Vec::new();
    for set in sets.into_iter().filter(|set| !finished || !set.images.is_empty()) {
        match counted.iter_mut().find(|(_, known)| *known == set) {
            Some((count, _)) => *count += 1,
            None => counted.push((1, set)),
        }
    }
    let rank = |(count, set): &(usize, MeasuredOn)| (*count, set.conditions.len(), set.images.len());
    let first = counted.into_iter().rev().max_by_key(rank);
    first.map(|(_, set)| set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_said_as_people_say_them() {
        let of = |texts: &[&str]| {
            let all: Vec<Condition> = texts
                .iter()
                .map(|text| text.parse().expect("a condition"))
                .collect();
            said(&all)
        };
        assert_eq!(of(&["fog/1"]), "fog at severity 1");
        assert_eq!(
            of(&["fog/1", "snow/1", "fog/5", "snow/5"]),
            "fog and snow at severities 1 and 5"
        );
        assert_eq!(
            of(&["clean", "fog/1", "snow/5"]),
            "clean, fog at severity 1 and snow at severity 5"
        );
        let all: Vec<String> = BENCHMARK.iter().map(|name| format!("{name}/3")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(of(&all), "the 15 corruptions of the benchmark at severity 3");
    }

    #[test]
    fn a_column_is_about_what_most_were_measured_on() {
        let set = |texts: &[&str], images: u32| MeasuredOn {
            conditions: texts
                .iter()
                .map(|text| text.parse().expect("a condition"))
                .collect(),
            images: (0..images).collect(),
        };
        let (small, large) = (set(&["fog/1"], 9), set(&["fog/1", "fog/2"], 9));
        assert_eq!(most(vec![small.clone(), large.clone()]), Some(large.clone()));
        assert_eq!(
            most(vec![small.clone(), large.clone(), small.clone()]),
            Some(small)
        );
        // What is unfinished decides nothing while something is finished.
        assert_eq!(
            most(vec![set(&["fog/1"], 0), set(&["fog/1"], 0), large.clone()]),
            Some(large)
        );
    }
}
