//! What a number was measured on: conditions and images. Two numbers stand in one column, one test
//! or one line over time only where this is equal.

use crate::format;
use crate::metrics::estimate::{Known, Unknown};
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::attack::Norm;
use rlnet_suites::corruption::{self, BENCHMARK, C_BAR};
use rlnet_suites::{AttackSpec, Condition, Family, ImageRanges, Sequence};
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
    /// What no attack of a norm broke within a radius, whatever attack it was.
    Ball(Norm),
    /// What no attack broke within the balls of several norms.
    Balls,
    /// What is proven in a certificate's ball, and what no attack broke there.
    Bracket(AttackSpec),
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
            (Self::Ball(norm), Condition::Attack(attack)) => {
                attack.norm() == *norm && finds_distances(attack)
            }
            (Self::Balls, Condition::Attack(attack)) => finds_distances(attack),
            (Self::Bracket(own), Condition::Certify(spec)) => own == spec,
            (Self::Bracket(own), Condition::Attack(attack)) => {
                attack.norm() == own.norm() && attack.base().is_none()
            }
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
        match condition {
            Condition::Attack(attack) if finds_distances(attack) => {
                all.extend([Self::Ball(attack.norm()), Self::Balls]);
            }
            Condition::Certify(spec) => all.push(Self::Bracket(spec.clone())),
            _ => {}
        }
        all
    }
}

/// Whether the length of an attack's perturbations of clean images says how far away the nearest
/// adversarial is at most.
fn finds_distances(attack: &AttackSpec) -> bool {
    attack.base().is_none() && (attack.radius().is_some() || attack.is_minimum_norm())
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

    /// Whether it is the benchmark as papers measure it: every corruption at every severity.
    pub fn is_whole_benchmark(&self) -> bool {
        let all = BENCHMARK.iter().flat_map(|name| {
            (1..=5).map(|severity| Condition::Corruption {
                name: (*name).to_owned(),
                severity,
            })
        });
        self.conditions == all.collect()
    }

    /// Its images as positions and ranges: `0-199`.
    pub fn positions(&self) -> String {
        let all: Vec<String> = self.images.iter().map(u32::to_string).collect();
        let ranges: Option<ImageRanges> = all.join(",").parse().ok();
        ranges.map_or_else(String::new, |ranges| ranges.to_string())
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
pub struct Columns {
    sets: BTreeMap<Quantity, MeasuredOn>,
    /// By model, the kinds of numbers that were measured on something else.
    refused: BTreeMap<String, BTreeMap<Quantity, Unknown>>,
}

impl Columns {
    /// The columns of a report.
    pub fn of(runs: &Runs, matrices: &[PredictionMatrix]) -> Self {
        let mut found: BTreeMap<Quantity, Vec<(&str, MeasuredOn)>> = BTreeMap::new();
        for (model, matrix) in runs.models.iter().zip(matrices) {
            let planned = model.planned.iter().map(|(condition, _)| condition);
            let quantities: BTreeSet<Quantity> = planned.flat_map(Quantity::all_of).collect();
            for quantity in quantities {
                if let Some(set) = MeasuredOn::of(model, matrix, &quantity) {
                    found.entry(quantity).or_default().push((&model.name, set));
                }
            }
        }
        let mut columns = Self::default();
        for (quantity, sets) in found {
            let Some(column) = most(sets.iter().map(|(_, set)| set)).cloned() else {
                continue;
            };
            for (model, own) in sets {
                // What is unfinished has its own reason.
                if own != column && !own.images.is_empty() {
                    let refused = columns.refused.entry(model.to_owned()).or_default();
                    refused.insert(quantity.clone(), unlike(&own, &column));
                }
            }
            columns.sets.insert(quantity, column);
        }
        columns
    }

    /// What a column is about.
    pub fn set(&self, quantity: &Quantity) -> Option<&MeasuredOn> {
        self.sets.get(quantity)
    }

    /// Whether a model's number may stand in its column.
    ///
    /// # Errors
    /// When it was measured on something else; both sets are named.
    pub fn admit(&self, model: &Model, quantity: &Quantity) -> Known<()> {
        let refused = self.refused.get(&model.name);
        match refused.and_then(|refused| refused.get(quantity)) {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }
}

/// Conditions that a reader takes in at once; of larger sets only the difference is told.
const FEW: usize = 6;

/// Why a number does not stand in a column.
fn unlike(own: &MeasuredOn, column: &MeasuredOn) -> Unknown {
    let attacks = |set: &MeasuredOn| {
        let attacks = set.conditions.iter();
        attacks.filter(|condition| condition.is_attacked()).count()
    };
    if own.conditions == column.conditions && own.images.len() == column.images.len() {
        return Unknown::because(format!(
            "measured on other images than the others of this column ({own})"
        ));
    }
    if own.conditions != column.conditions && attacks(own).max(attacks(column)) > FEW {
        let only = |a: &MeasuredOn, b: &MeasuredOn, word: &str| {
            let rest: Vec<&Condition> = a.conditions.difference(&b.conditions).collect();
            (!rest.is_empty()).then(|| format!("{word} {}", said(rest)))
        };
        let parts = [only(column, own, "without"), only(own, column, "with")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        return Unknown::because(format!(
            "measured {}, unlike the others of this column",
            format::list(&parts)
        ));
    }
    Unknown::because(format!("measured on {own}; this column is about {column}"))
}

fn most<'a>(sets: impl Iterator<Item = &'a MeasuredOn> + Clone) -> Option<&'a MeasuredOn> {
    let finished = sets.clone().any(|set| !set.images.is_empty());
    let mut counted: Vec<(usize, &MeasuredOn)> = Vec::new();
    for set in sets.filter(|set| !finished || !set.images.is_empty()) {
        match counted.iter_mut().find(|(_, known)| *known == set) {
            Some((count, _)) => *count += 1,
            None => counted.push((1, set)),
        }
    }
    let rank = |(count, set): &(usize, &MeasuredOn)| (*count, set.conditions.len(), set.images.len());
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

    /// Of many attacks only those are named that one set has and the other has not.
    #[test]
    fn sets_that_differ_are_told_by_their_difference_where_they_are_large() {
        let set = |steps: &[u32]| MeasuredOn {
            conditions: steps
                .iter()
                .map(|steps| format!("pgd:steps={steps}").parse().expect("a condition"))
                .collect(),
            images: vec![0, 1],
        };
        let pgd = |steps| format!("pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps={steps}");
        let why = |own: &[u32], column: &[u32]| unlike(&set(own), &set(column)).to_string();
        assert_eq!(
            why(&[1], &[1, 2]),
            format!(
                "measured on {}, 2 images; this column is about {} and {}, 2 images",
                pgd(1),
                pgd(1),
                pgd(2)
            )
        );
        assert_eq!(
            why(&[1, 2, 3, 4, 5, 6, 9], &[1, 2, 3, 4, 5, 6, 7]),
            format!(
                "measured without {} and with {}, unlike the others of this column",
                pgd(7),
                pgd(9)
            )
        );
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
        assert_eq!(most([&small, &large].into_iter()), Some(&large));
        assert_eq!(most([&small, &large, &small].into_iter()), Some(&small));
        // What is unfinished decides nothing while something is finished.
        let none = set(&["fog/1"], 0);
        assert_eq!(most([&none, &none, &large].into_iter()), Some(&large));
    }
}
