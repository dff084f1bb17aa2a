//! A gate as it is written: what a new run may lose against an older one.

use crate::branch::Branch;
use crate::error::{SuiteError, suggest};
use serde::{Deserialize, Serialize};

/// The gate that comes with the program.
pub const NIGHTLY: &str = include_str!("../gates/nightly.toml");

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateMetric {
    /// Clean accuracy.
    #[serde(rename = "CA")]
    Ca,
    /// Mean accuracy over the benchmark's corruptions.
    #[serde(rename = "NPA")]
    Npa,
    /// Accuracy under the headline attack.
    #[serde(rename = "AdvA")]
    AdvA,
    /// Every attack on its own.
    #[serde(rename = "attacks")]
    Attacks,
    /// Every corruption on its own, mean over severities.
    #[serde(rename = "corruptions")]
    Corruptions,
}

impl GateMetric {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ca => "CA",
            Self::Npa => "NPA",
            Self::AdvA => "AdvA",
            Self::Attacks => "attacks",
            Self::Corruptions => "corruptions",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it looks at.
    pub metric: GateMetric,
    /// `oracle`, `worst`, `each`, or a branch.
    #[serde(default = "oracle")]
    pub readings: Vec<String>,
    /// Models it is about; all when empty.
    #[serde(default)]
    pub models: Vec<String>,
    /// Smallest drop that trips it, points; never when absent.
    pub max_drop: Option<f64>,
    /// Smallest rise that trips it, points; never when absent.
    pub max_rise: Option<f64>,
}

fn oracle() -> Vec<String> {
    vec!["oracle".to_owned()]
}

/// A gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Version of the schema: 1.
    pub schema: u32,
    /// Its name, for summaries.
    pub name: String,
    /// Probability that a run without any change trips it, at most.
    pub level: f64,
    /// Share of clean images, percent, that the same weights may answer otherwise before the
    /// gate trips; never trips when absent.
    pub max_flips: Option<f64>,
    /// Percent of passes that an evaluation of the same weights may cost more than before; passes repeat
    /// exactly, so 0 is a sound limit. Never trips when absent.
    pub max_passes: Option<f64>,
    /// Percent of seconds that an evaluation may take longer on the same machine; never trips when absent.
    pub max_time: Option<f64>,
    /// Percent of memory that an evaluation may take more on the same machine; never trips when absent.
    pub max_memory: Option<f64>,
    /// The rules.
    pub rule: Vec<Rule>,
}

impl Gate {
    /// Reads a gate; `file` names it in errors.
    ///
    /// # Errors
    /// When the text is not a gate, with line and column, or a value is out of range.
    pub fn parse(text: &str, file: &str) -> Result<Self, SuiteError> {
        let bad = |message: String| SuiteError::File {
            file: file.to_owned(),
            message,
        };
        let gate: Self = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        if gate.schema != 1 {
            return Err(bad(format!(
                "schema {} is not known; this version reads 1",
                gate.schema
            )));
        }
        if !(gate.level > 0.0 && gate.level < 1.0) {
            return Err(bad(format!(
                "level {} must lie between 0 and 1, as 0.01",
                gate.level
            )));
        }
        if gate.rule.is_empty() {
            return Err(bad("a gate without a [[rule]] lets everything through".into()));
        }
        for (key, limit) in [
            ("max_flips", gate.max_flips),
            ("max_passes", gate.max_passes),
            ("max_time", gate.max_time),
            ("max_memory", gate.max_memory),
        ] {
            if let Some(limit) = limit.filter(|limit| !(*limit >= 0.0 && limit.is_finite())) {
                return Err(bad(format!("{key} = {limit} must be a percentage of 0 or more")));
            }
        }
        for rule in &gate.rule {
            let name = rule.metric.name();
            for size in [rule.max_drop, rule.max_rise].into_iter().flatten() {
                if !(0.0..=100.0).contains(&size) {
                    return Err(bad(format!(
                        "rule {name}: {size} is no number of points from 0 to 100"
                    )));
                }
            }
            if rule.max_drop.is_none() && rule.max_rise.is_none() {
                return Err(bad(format!("rule {name} has neither max_drop nor max_rise")));
            }
            for reading in &rule.readings {
                let known = ["oracle", "worst", "each"];
                if !known.contains(&reading.as_str()) && reading.parse::<Branch>().is_err() {
                    let all = known
                        .into_iter()
                        .chain(["clean", "natural", "adversarial", "single"]);
                    return Err(bad(format!(
                        "rule {name}: reading `{reading}`: {}",
                        suggest(reading, all)
                    )));
                }
            }
        }
        Ok(gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nightly_gate_is_sound_and_mistakes_are_named() {
        let gate = Gate::parse(NIGHTLY, "nightly").expect("sound");
        assert_eq!((gate.level, gate.rule.len()), (0.01, 5));
        for (from, to, said) in [
            ("schema = 1", "schema = 2", "schema 2"),
            ("level = 0.01", "level = 5", "between 0 and 1"),
            ("max_drop = 0.5", "max_dorp = 0.5", "max_dorp"),
            ("\"oracle\", \"each\"", "\"orakle\"", "did you mean `oracle`"),
            ("max_drop = 1.5", "max_drop = -1", "points"),
            ("max_time = 100", "max_time = -1", "max_time"),
            ("\"CA\"", "\"accuracy\"", "accuracy"),
        ] {
            let error = Gate::parse(&NIGHTLY.replacen(from, to, 1), "g.toml").expect_err(to);
            assert!(error.to_string().contains(said), "{to}: {error}");
        }
    }
}
