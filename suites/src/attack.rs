//! Attacks by name, with every parameter's default and range: `pgd:steps=20,eps=8/255`.

use crate::epsilon::Epsilon;
use crate::error::{SuiteError, suggest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a parameter's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A whole number, 1 or more.
    Count,
    /// A size in `[0, 1]` pixel units, best written as a fraction of 255.
    Size,
    /// One of a few words.
    Word(&'static [&'static str]),
}

/// One parameter of an attack.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name after the colon.
    pub name: &'static str,
    /// What it may be.
    pub kind: ParamKind,
    /// What it is when not written.
    pub default: &'static str,
    /// One line for `rlnet attack show`.
    pub help: &'static str,
}

/// One attack of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct AttackEntry {
    /// The field's short name.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// Its parameters, all optional.
    pub params: &'static [Param],
    /// Bumped by hand when results change: part of every cell's identity.
    pub version: u32,
}

const EPS: Param = Param {
    name: "eps",
    kind: ParamKind::Size,
    default: "8/255",
    help: "radius of the Linf ball around the image, in [0,1] pixel units",
};

/// Every attack that can be asked for.
pub const CATALOGUE: &[AttackEntry] = &[
    AttackEntry {
        name: "fgsm",
        title: "Fast gradient sign method, one step of eps, no random start",
        source: "Goodfellow et al., ICLR 2015, arXiv 1412.6572",
        params: &[EPS],
        version: 1,
    },
    AttackEntry {
        name: "pgd",
        title: "Projected gradient descent in the Linf ball, last iterate, each image on its own",
        source: "Madry et al., ICLR 2018, arXiv 1706.06083; defaults of RLNet's evaluation",
        params: &[
            EPS,
            Param {
                name: "alpha",
                kind: ParamKind::Size,
                default: "2/255",
                help: "size of one sign step",
            },
            Param {
                name: "steps",
                kind: ParamKind::Count,
                default: "20",
                help: "number of steps",
            },
            Param {
                name: "restarts",
                kind: ParamKind::Count,
                default: "1",
                help: "independent random starts; an image counts as broken when any breaks it",
            },
            Param {
                name: "start",
                kind: ParamKind::Word(&["uniform", "zero"]),
                default: "uniform",
                help: "where the first step begins: uniform in the ball (keyed per image) or at the image",
            },
        ],
        version: 1,
    },
];

/// An attack with all its parameters. Written with the defaults left out, stored in full.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttackSpec {
    name: &'static str,
    params: BTreeMap<&'static str, String>,
}

impl AttackSpec {
    /// The attack's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The catalogue's entry.
    pub fn entry(&self) -> &'static AttackEntry {
        CATALOGUE
            .iter()
            .find(|entry| entry.name == self.name)
            .expect("a spec is only ever made from the catalogue")
    }

    /// Every parameter with its value.
    pub fn params(&self) -> &BTreeMap<&'static str, String> {
        &self.params
    }

    /// A size parameter; 0 when this attack has no such parameter.
    pub fn size(&self, name: &str) -> f64 {
        self.params
            .get(name)
            .and_then(|text| text.parse::<Epsilon>().ok())
            .map_or(0.0, |eps| eps.value())
    }

    /// A count parameter; 1 when this attack has no such parameter.
    pub fn count(&self, name: &str) -> usize {
        self.params
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(1)
    }

    /// A word parameter; empty when this attack has no such parameter.
    pub fn word(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The same attack with one parameter changed.
    ///
    /// # Errors
    /// When the attack has no such parameter or the value is out of range.
    pub fn with(&self, name: &str, value: &str) -> Result<Self, SuiteError> {
        let mut changed = self.clone();
        changed.set(name, value)?;
        Ok(changed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SuiteError> {
        let entry = self.entry();
        let param = entry
            .params
            .iter()
            .find(|param| param.name == name)
            .ok_or_else(|| {
                SuiteError::value(
                    "attack parameter",
                    name,
                    format!(
                        "{} has no such parameter; {}",
                        entry.name,
                        suggest(name, entry.params.iter().map(|p| p.name))
                    ),
                )
            })?;
        let fits = match param.kind {
            ParamKind::Count => value.parse::<usize>().is_ok_and(|n| n >= 1),
            ParamKind::Size => {
                value.parse::<Epsilon>()?;
                true
            }
            ParamKind::Word(words) => words.contains(&value),
        };
        if !fits {
            let want = match param.kind {
                ParamKind::Count => "a whole number, 1 or more".to_owned(),
                ParamKind::Size => "a size such as 8/255".to_owned(),
                ParamKind::Word(words) => format!("one of: {}", words.join(", ")),
            };
            return Err(SuiteError::value(
                "attack parameter",
                format!("{name}={value}"),
                format!("{} takes {want}", entry.name),
            ));
        }
        self.params.insert(param.name, value.to_owned());
        Ok(())
    }

    /// The attack without its radius: attacks that differ only in `eps` form one curve.
    pub fn family(&self) -> String {
        let rest: Vec<String> = self
            .params
            .iter()
            .filter(|(name, value)| **name != "eps" && !self.is_default(name, value))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        join(self.name, &rest)
    }

    fn is_default(&self, name: &str, value: &str) -> bool {
        self.entry()
            .params
            .iter()
            .any(|param| param.name == name && param.default == value)
    }
}

fn join(name: &str, params: &[String]) -> String {
    if params.is_empty() {
        name.to_owned()
    } else {
        format!("{name}:{}", params.join(","))
    }
}

impl fmt::Display for AttackSpec {
    /// The full form, every parameter written: two attacks are equal when their texts are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self
            .params
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        f.write_str(&join(self.name, &all))
    }
}

impl FromStr for AttackSpec {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let (name, params) = text.split_once(':').unwrap_or((text, ""));
        let entry = CATALOGUE
            .iter()
            .find(|entry| entry.name == name.trim())
            .ok_or_else(|| {
                SuiteError::value(
                    "attack",
                    name,
                    format!("not known; {}", suggest(name, CATALOGUE.iter().map(|e| e.name))),
                )
            })?;
        let mut spec = Self {
            name: entry.name,
            params: entry
                .params
                .iter()
                .map(|param| (param.name, param.default.to_owned()))
                .collect(),
        };
        for part in params.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| SuiteError::value("attack parameter", part, "write it as name=value"))?;
            spec.set(key.trim(), value.trim())?;
        }
        Ok(spec)
    }
}

impl Serialize for AttackSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttackSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_filled_and_the_text_is_canonical() {
        let a: AttackSpec = "pgd:steps=7".parse().expect("pgd");
        let b: AttackSpec = "pgd:eps=8/255,steps=7,alpha=2/255".parse().expect("pgd");
        assert_eq!(a, b);
        assert_eq!(
            a.to_string(),
            "pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=7"
        );
        assert_eq!(a.family(), "pgd:steps=7");
        assert_eq!(a.count("steps"), 7);
    }

    #[test]
    fn what_is_not_in_the_catalogue_is_refused_with_a_suggestion() {
        for (text, hint) in [
            ("pdg", "did you mean `pgd`"),
            ("pgd:step=3", "did you mean `steps`"),
            ("pgd:steps=0", "1 or more"),
            ("pgd:start=middle", "uniform, zero"),
            ("pgd:eps=-1", "negative"),
        ] {
            let error = text.parse::<AttackSpec>().expect_err(text).to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
