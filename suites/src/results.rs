//! The literature's numbers, each with where it was seen and how. What was not found is
//! absent, never guessed.

use crate::error::SuiteError;
use serde::{Deserialize, Serialize};

/// The files that come with the program.
const FILES: [(&str, &str); 4] = [
    (
        "results-relu.toml",
        include_str!("../published/results-relu.toml"),
    ),
    (
        "results-corruptions.toml",
        include_str!("../published/results-corruptions.toml"),
    ),
    (
        "results-adversarial.toml",
        include_str!("../published/results-adversarial.toml"),
    ),
    (
        "results-claims.toml",
        include_str!("../published/results-claims.toml"),
    ),
];

/// How a number was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// In the paper or its own code.
    Original,
    /// Quoted by somebody else.
    SecondHand,
    /// Worked out from other published numbers.
    Derived,
}

impl Seen {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::SecondHand => "second-hand",
            Self::Derived => "derived",
        }
    }
}

/// Where numbers were seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name within its file.
    pub key: String,
    /// The paper or script.
    pub title: String,
    /// Where in it.
    #[serde(rename = "where")]
    pub place: String,
    /// How.
    pub seen: Seen,
    /// What must be known to read the numbers.
    #[serde(default)]
    pub note: String,
}

/// One published number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The method.
    pub method: String,
    /// The data set, as on the command line.
    pub dataset: String,
    /// The backbone, as on the command line; `uncertain` when the source does not say.
    pub arch: String,
    /// ReLUs kept; absent when all are, or when the source does not say.
    pub relus: Option<u64>,
    /// `CA`, `NPA`, `AdvA ...`, `mCE ...`.
    pub measure: String,
    /// The number, percent.
    pub value: f64,
    /// Delphi latency in seconds, when printed beside it.
    pub seconds: Option<f64>,
    /// Key of its source.
    pub source: String,
}

/// One published claim that belongs to no single network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The method.
    pub method: String,
    /// What is claimed.
    pub claim: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Key of its source.
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    source: Vec<Source>,
    #[serde(default)]
    result: Vec<Published>,
    #[serde(default)]
    claim: Vec<Claim>,
}

/// All published numbers, each with its source.
#[derive(Debug, Clone, Default)]
pub struct Literature {
    /// Numbers of networks.
    pub results: Vec<(Published, Source)>,
    /// Other claims.
    pub claims: Vec<(Claim, Source)>,
}

impl Literature {
    /// Reads the files that come with the program.
    ///
    /// # Errors
    /// When one of them is damaged: a defect of this program, found by its tests.
    pub fn load() -> Result<Self, SuiteError> {
        let mut all = Self::default();
        for (name, text) in FILES {
            all.add(name, text)?;
        }
        Ok(all)
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), SuiteError> {
        let bad = |message: String| SuiteError::File {
            file: name.to_owned(),
            message,
        };
        let file: File = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        if file.schema != 1 {
            return Err(bad(format!(
                "schema {} is not known; this version reads 1",
                file.schema
            )));
        }
        let find = |key: &str| {
            let found = file.source.iter().find(|source| source.key == key);
            found.cloned().ok_or_else(|| bad(format!("no source `{key}`")))
        };
        for result in &file.result {
            if !(0.0..=100.0).contains(&result.value) {
                return Err(bad(format!(
                    "{} of {} is no percentage",
                    result.value, result.method
                )));
            }
            self.results.push((result.clone(), find(&result.source)?));
        }
        for claim in &file.claim {
            self.claims.push((claim.clone(), find(&claim.source)?));
        }
        Ok(())
    }

    /// The numbers that a network can be compared with: its backbone and data set, and a
    /// number of ReLUs within `tolerance` of its own (a share, 0.05 for five percent).
    pub fn like(&self, arch: &str, dataset: &str, relus: u64, tolerance: f64) -> Vec<&(Published, Source)> {
        let near = |theirs: u64| (theirs as f64 / relus.max(1) as f64 - 1.0).abs() <= tolerance;
        let fits = |result: &Published| {
            result.arch == arch && result.dataset == dataset && result.relus.is_some_and(near)
        };
        self.results.iter().filter(|(result, _)| fits(result)).collect()
    }

    /// A method's numbers of one measure on a data set, by ReLUs.
    pub fn curve(&self, method: &str, dataset: &str, measure: &str) -> Vec<(u64, f64)> {
        let of = self.results.iter().map(|(result, _)| result).filter(|result| {
            result.method == method && result.dataset == dataset && result.measure == measure
        });
        let mut points: Vec<(u64, f64)> = of
            .filter_map(|result| Some((result.relus?, result.value)))
            .collect();
        points.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_whole_and_hold_what_was_seen() {
        let all = Literature::load().expect("sound files");
        assert_eq!(all.results.len(), 142 + 33 + 12);
        // SENet's three points on CIFAR-10, second-hand.
        let senet = all.curve("SENet", "cifar10", "CA");
        assert_eq!(senet, [(49_100, 93.6), (82_000, 93.05), (150_000, 94.91)]);
        let near = all.like("resnet18", "cifar100", 50_000, 0.02);
        let methods: Vec<&str> = near.iter().map(|(result, _)| result.method.as_str()).collect();
        assert_eq!(
            methods,
            [
                "SENet",
                "SNL",
                "DeepReDuce",
                "SNIP-style",
                "AutoReP",
                "ReLUPruner"
            ]
        );
        assert_eq!(near[0].1.seen, Seen::SecondHand);
        // RLNet's own tables were not found.
        assert!(all.results.iter().all(|(result, _)| result.method != "RLNet"));
        assert_eq!(all.claims[0].0.value, 11.14);
    }

    #[test]
    fn every_latency_fits_the_cost_model_within_a_tenth_of_its_line() {
        // 0.09 s + 20.9 us per ReLU (SNL's line) against SENet's and SNL's printed latencies.
        let all = Literature::load().expect("sound files");
        let mut checked = 0;
        for (result, _) in &all.results {
            if let (Some(relus), Some(seconds), true) = (
                result.relus,
                result.seconds,
                ["SENet", "SNL"].contains(&result.method.as_str()),
            ) {
                let line = 0.09 + 20.9e-6 * relus as f64;
                // Wide networks have fewer ReLUs per multiply-accumulate: the line is ResNet18's.
                if result.arch == "resnet18" {
                    assert!((seconds / line - 1.0).abs() < 0.21, "{result:?}: {line}");
                    checked += 1;
                }
            }
        }
        assert!(checked >= 12, "{checked}");
    }

    #[test]
    fn a_number_without_a_source_is_refused() {
        let text = "schema = 1\nsource = []\n[[result]]\nmethod = \"x\"\ndataset = \"d\"\narch = \"a\"\nmeasure = \"CA\"\nvalue = 1.0\nsource = \"nowhere\"";
        let error = Literature::default()
            .add("f.toml", text)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("no source `nowhere`"), "{error}");
    }
}
