//! Attacks by name, with every parameter's default and range: `pgd:steps=20,eps=8/255`.

pub mod adaptive;
mod catalogue;
pub mod diagnosis;
pub mod headline;
pub(crate) mod old_words;

pub use catalogue::CATALOGUE;

use crate::corruption::check_corruption;
use crate::epsilon::Epsilon;
use crate::error::{SuiteError, suggest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Side of the largest images that networks are built for.
const LARGEST_SIDE: u64 = 512;

/// The norm a perturbation is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Norm {
    /// Largest absolute change of a value.
    Linf,
    /// Euclidean length.
    L2,
    /// Sum of absolute changes.
    L1,
}

impl Norm {
    /// The name used in specifications.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a parameter's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A whole number, 1 or more.
    Count,
    /// A size in `[0, 1]` pixel units, best written as a fraction of 255.
    Size,
    /// A number, 0 or more.
    Number,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// `clean`, or a corruption with its severity: `fog/3`.
    Base,
    /// `self`, `all-relu`, `linear`, `teacher`, or a model's name.
    Model,
}

/// A parameter's value when none is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The same for every norm.
    Always(&'static str),
    /// For Linf, L2 and L1.
    ByNorm([&'static str; 3]),
}

impl Preset {
    /// The value under a norm.
    pub fn under(self, norm: Norm) -> &'static str {
        match self {
            Self::Always(value) => value,
            Self::ByNorm(values) => values[norm as usize],
        }
    }
}

/// One parameter of an attack.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name after the colon.
    pub name: &'static str,
    /// What it may be.
    pub kind: ParamKind,
    /// What it is when not written.
    pub preset: Preset,
    /// Left out of texts at its default, which means "as if this parameter did not exist".
    pub neutral: bool,
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
    /// Attacks of the catalogue that it runs, whose versions count as well.
    pub uses: &'static [&'static str],
}

impl AttackEntry {
    /// The entry of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|entry| entry.name == name)
    }
}

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
        AttackEntry::find(self.name).expect("a spec is only ever made from the catalogue")
    }

    /// The norm its perturbations are measured in.
    pub fn norm(&self) -> Norm {
        match self.word("norm") {
            "l2" => Norm::L2,
            "l1" => Norm::L1,
            _ => Norm::Linf,
        }
    }

    /// The corruption under the attack, when the ball is not around the clean image.
    pub fn base(&self) -> Option<(&str, u8)> {
        let (name, severity) = self.word("base").split_once('/')?;
        Some((name, severity.parse().ok()?))
    }

    /// Parameters that would be left out at their default, and are not at it: what sets this
    /// attack apart from the plain one.
    pub fn extras(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let params = self.params.iter();
        params
            .filter(|(name, value)| self.is_neutral(name) && !self.is_default(name, value))
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether training can use it as its inner attack: sign steps from one uniform start.
    pub fn can_train(&self) -> bool {
        let plain =
            self.extras().next().is_none() && self.word("start") != "zero" && self.count("restarts") == 1;
        ["pgd", "ffgsm"].contains(&self.name) && plain
    }

    /// Whether it needs gradients of the network that it follows: not what looks at logits only.
    pub fn needs_gradients(&self) -> bool {
        !["noise", "square"].contains(&self.name)
    }

    /// Whether it follows or distils from the teacher of the attacked model.
    pub fn needs_teacher(&self) -> bool {
        self.word("surrogate") == "teacher" || self.word("loss") == "kl-teacher"
    }

    /// Whether it follows the attacked network through the branch it is judged on.
    pub fn follows_itself(&self) -> bool {
        ["", "same"].contains(&self.word("branch")) && ["", "self"].contains(&self.word("surrogate"))
    }

    /// Names of the networks it needs beside the attacked one.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        let surrogate = self.word("surrogate");
        let own = ["", "self", "all-relu", "linear", "teacher"].contains(&surrogate);
        let teacher = self.needs_teacher().then_some("teacher");
        (!own).then_some(surrogate).into_iter().chain(teacher)
    }

    /// Name and version of each algorithm that decides the result.
    pub fn versions(&self) -> impl Iterator<Item = (String, u32)> {
        let entry = self.entry();
        let used = entry.uses.iter().filter_map(|name| AttackEntry::find(name));
        std::iter::once(entry)
            .chain(used)
            .map(|entry| (format!("attack/{}", entry.name), entry.version))
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

    /// A number parameter; 0 when this attack has no such parameter.
    pub fn number(&self, name: &str) -> f64 {
        self.params
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0)
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
        // One text for one value, so that equal attacks have equal texts and ids.
        let canonical = match param.kind {
            ParamKind::Count => value
                .parse::<usize>()
                .ok()
                .filter(|n| *n >= 1)
                .map(|n| n.to_string()),
            ParamKind::Size => Some(value.parse::<Epsilon>()?.to_string()),
            ParamKind::Number => value
                .parse::<f64>()
                .ok()
                .filter(|x| x.is_finite() && *x >= 0.0)
                .map(|x| x.to_string()),
            ParamKind::Word(words) => words.contains(&value).then(|| value.to_owned()),
            ParamKind::Base => match value.split_once('/') {
                None => (value == "clean").then(|| value.to_owned()),
                Some((name, severity)) => {
                    check_corruption(name)?;
                    let severity = severity.parse::<u8>().ok();
                    severity
                        .filter(|severity| (1..=5).contains(severity))
                        .map(|severity| format!("{name}/{severity}"))
                }
            },
            ParamKind::Model => (!value.is_empty()).then(|| value.to_owned()),
        };
        let Some(canonical) = canonical else {
            let want = match param.kind {
                ParamKind::Count => "a whole number, 1 or more".to_owned(),
                ParamKind::Size => "a size such as 8/255".to_owned(),
                ParamKind::Number => "a number, 0 or more".to_owned(),
                ParamKind::Word(words) => format!("one of: {}", words.join(", ")),
                ParamKind::Base => "clean, or a corruption and its severity such as fog/3".to_owned(),
                ParamKind::Model => "self, all-relu, linear, teacher or the name of a model".to_owned(),
            };
            return Err(SuiteError::value(
                "attack parameter",
                format!("{name}={value}"),
                format!("{} takes {want}", entry.name),
            ));
        };
        self.params.insert(param.name, canonical);
        Ok(())
    }

    /// The attack without its radius: attacks that differ only in `eps` form one curve.
    pub fn family(&self) -> String {
        self.without_defaults(|name| name != "eps")
    }

    /// The attack as people write it: no parameter at its default.
    pub fn short(&self) -> String {
        self.without_defaults(|_| true)
    }

    fn without_defaults(&self, shown: impl Fn(&str) -> bool) -> String {
        let rest: Vec<String> = self
            .params
            .iter()
            .filter(|(name, value)| shown(name) && !self.is_default(name, value))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        join(self.name, &rest)
    }

    /// Refuses sizes that no image could be changed by: a radius of 8 where 8/255 was meant. Files
    /// that are there are read whatever they say.
    ///
    /// # Errors
    /// When a size is larger than the distance of any two images, in the attack's norm, R-FGSM's
    /// random step leaves nothing of the radius to the gradient's, or a part of AutoAttack has no
    /// such ball.
    pub fn check_sizes(&self) -> Result<(), SuiteError> {
        if self.name == "autoattack" && self.norm() == Norm::L1 && self.word("version") != "rand" {
            return Err(SuiteError::value(
                "attack parameter",
                "norm=l1",
                "autoattack runs Square, which has no L1 form; ask for its other attacks one by one, or for \
                 version=rand, which has no Square",
            ));
        }
        if self.name == "rfgsm" && self.size("alpha") >= self.size("eps") {
            return Err(SuiteError::value(
                "attack parameter",
                format!("alpha={}", self.word("alpha")),
                format!(
                    "the gradient's step of rfgsm is eps - alpha, and eps is {}; name a smaller alpha (Tramer et \
                     al.: half of eps)",
                    self.word("eps")
                ),
            ));
        }
        let values = (3 * LARGEST_SIDE * LARGEST_SIDE) as f64;
        let most = match self.norm() {
            Norm::Linf => 1.0,
            Norm::L2 => values.sqrt(),
            Norm::L1 => values,
        };
        let sizes = self.entry().params.iter();
        for param in sizes.filter(|param| param.kind == ParamKind::Size) {
            let size = self.size(param.name);
            if size > most {
                let value = self.word(param.name);
                let hint = match self.norm() {
                    Norm::Linf if size <= 255.0 && !value.contains('/') => {
                        format!(
                            "for {value} of the 255 steps of a pixel write {}={value}/255",
                            param.name
                        )
                    }
                    norm => format!("no two images are further apart than {most:.0} in {norm}"),
                };
                return Err(SuiteError::value(
                    "attack parameter",
                    format!("{}={value}", param.name),
                    format!("images lie in [0, 1]; {hint}"),
                ));
            }
        }
        Ok(())
    }

    fn is_default(&self, name: &str, value: &str) -> bool {
        let norm = self.norm();
        let mut params = self.entry().params.iter();
        params.any(|param| param.name == name && param.preset.under(norm) == value)
    }

    fn is_neutral(&self, name: &str) -> bool {
        let mut params = self.entry().params.iter();
        params.any(|param| param.name == name && param.neutral)
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
    /// The full form, every parameter written but those that are as if they did not exist:
    /// two attacks are equal when their texts are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self
            .params
            .iter()
            .filter(|(name, value)| !(self.is_neutral(name) && self.is_default(name, value)))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        f.write_str(&join(self.name, &all))
    }
}

impl AttackSpec {
    /// An attack of a stored file: parameters may have the names of earlier versions, and no size
    /// is too large. What people write is checked more strictly (`from_str`).
    ///
    /// # Errors
    /// When the text names no attack, no parameter of it, or no value of that parameter.
    pub fn stored(text: &str) -> Result<Self, SuiteError> {
        Self::read(&old_words::translate(text))
    }

    fn read(text: &str) -> Result<Self, SuiteError> {
        let (name, params) = text.split_once(':').unwrap_or((text, ""));
        if let Some(named) = adaptive::find(name.trim()) {
            return Self::read(&named.with(params));
        }
        let entry = AttackEntry::find(name.trim()).ok_or_else(|| {
            let known = CATALOGUE.iter().map(|entry| entry.name);
            let hint = suggest(
                name,
                known.chain(adaptive::ATTACKS.iter().map(|named| named.name)),
            );
            SuiteError::value("attack", name, format!("not known; {hint}"))
        })?;
        let mut spec = Self {
            name: entry.name,
            params: BTreeMap::new(),
        };
        for part in params.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| SuiteError::value("attack parameter", part, "write it as name=value"))?;
            let (key, value) = (key.trim(), value.trim());
            old_words::refuse(key, value)?;
            spec.set(key, value)?;
        }
        // The norm decides the other defaults, so it is settled first.
        let norm = entry.params.iter().filter(|param| param.name == "norm");
        for param in norm.chain(entry.params) {
            let default = param.preset.under(spec.norm());
            spec.params
                .entry(param.name)
                .or_insert_with(|| default.to_owned());
        }
        Ok(spec)
    }
}

impl FromStr for AttackSpec {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        check_once(text)?;
        let spec = Self::read(text)?;
        spec.check_sizes()?;
        Ok(spec)
    }
}

/// Refuses a parameter that is written twice, of which one would be lost. What a name stands for
/// may be written over.
fn check_once(text: &str) -> Result<(), SuiteError> {
    let params = text.split_once(':').map_or("", |(_, params)| params);
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in params.split(',').filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        if let Some(first) = seen.insert(name, value) {
            let why = format!("given twice in `{text}`, as {first} and as {value}; leave one out");
            return Err(SuiteError::value("attack parameter", name, why));
        }
    }
    Ok(())
}

/// The attacks of a group, each with its name and what it asks.
pub fn members(group: &str) -> Option<&'static [adaptive::NamedAttack]> {
    match group {
        adaptive::GROUP => Some(adaptive::ATTACKS),
        diagnosis::GROUP => Some(diagnosis::ATTACKS),
        diagnosis::GROUP_L2 => Some(diagnosis::ATTACKS_L2),
        _ => None,
    }
}

/// The attacks that a text names: one, or all of a group (`adaptive` or `diagnosis`, with
/// parameters for all: `adaptive:eps=4/255`).
///
/// # Errors
/// When the text is neither an attack nor a group.
pub fn group(text: &str) -> Result<Vec<AttackSpec>, SuiteError> {
    let (name, params) = text.split_once(':').unwrap_or((text, ""));
    let Some(members) = members(name.trim()) else {
        return Ok(vec![text.parse()?]);
    };
    check_once(text)?;
    let whole = |named: &adaptive::NamedAttack| {
        let attack = AttackSpec::read(&named.with(params))?;
        attack.check_sizes()?;
        Ok(attack)
    };
    members.iter().map(whole).collect()
}

impl Serialize for AttackSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttackSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        check_once(&text).map_err(serde::de::Error::custom)?;
        Self::read(&text).map_err(serde::de::Error::custom)
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
    fn the_norm_decides_the_defaults_that_depend_on_it() {
        let spec: AttackSpec = "apgd-ce:norm=l2".parse().expect("apgd");
        assert_eq!(spec.norm(), Norm::L2);
        assert_eq!(spec.size("eps"), 0.5);
        assert_eq!(spec.to_string(), "apgd-ce:eps=0.5,norm=l2,restarts=1,steps=100");
        let cw: AttackSpec = "cw".parse().expect("cw");
        assert_eq!(cw.norm(), Norm::L2);
    }

    #[test]
    fn every_entry_of_the_catalogue_stands_by_its_own_rules() {
        for entry in CATALOGUE {
            let spec: AttackSpec = entry.name.parse().expect(entry.name);
            for (name, value) in spec.params().clone() {
                spec.with(name, &value).expect(name);
            }
            assert_eq!(spec.to_string().parse::<AttackSpec>().expect("its text"), spec);
            assert_eq!(spec.versions().count(), 1 + entry.uses.len());
        }
    }

    #[test]
    fn rfgsm_needs_something_left_for_its_gradient() {
        let half: AttackSpec = "rfgsm:eps=4/255,alpha=2/255".parse().expect("half of eps");
        assert_eq!(half.size("alpha"), 2.0 / 255.0);
        for text in ["rfgsm:eps=4/255", "rfgsm:alpha=8/255", "rfgsm:eps=0"] {
            let error = text.parse::<AttackSpec>().expect_err(text).to_string();
            assert!(error.contains("eps - alpha"), "{error}");
        }
    }

    #[test]
    fn sizes_that_can_be_meant_pass_and_files_are_read_whatever_they_say() {
        for text in [
            "pgd:eps=1",
            "pgd:norm=l2,eps=128/255",
            "pgd:norm=l2,eps=20",
            "pgd:norm=l1,eps=255",
            "noise:eps=0",
        ] {
            text.parse::<AttackSpec>().expect(text);
        }
        // A name's own parameters may be written over.
        let white: AttackSpec = "white-box:steps=7".parse().expect("a name");
        assert_eq!(white.short(), "pgd:early_stop=true,steps=7");
        let stored: AttackSpec = serde_json::from_str("\"pgd:eps=8\"").expect("of an old run");
        assert_eq!(stored.size("eps"), 8.0);
        for text in [
            "adaptive:eps=8",
            "diagnosis:alpha=2",
            "adaptive:eps=4/255,eps=2/255",
        ] {
            group(text).expect_err(text);
        }
    }

    #[test]
    fn what_is_not_in_the_catalogue_is_refused_with_a_suggestion() {
        for (text, hint) in [
            ("pdg", "did you mean `pgd`"),
            ("pgd:step=3", "did you mean `steps`"),
            ("pgd:steps=0", "1 or more"),
            ("pgd:start=middle", "uniform, zero"),
            ("pgd:eps=-1", "negative"),
            ("pgd:base=fogg/3", "did you mean `fog`"),
            ("pgd:base=fog/6", "fog/3"),
            ("cw:norm=linf", "one of: l2"),
            ("mifgsm:momentum=-1", "0 or more"),
            ("pgd:steps=3,steps=4", "given twice"),
            ("agnostic:eps=4/255, eps=2/255", "given twice"),
            ("pgd:eps=8", "write eps=8/255"),
            ("agnostic:eps=8", "write eps=8/255"),
            ("pgd:alpha=2", "write alpha=2/255"),
            ("pgd:eps=300/255", "further apart than 1 in linf"),
            ("pgd:norm=l2,eps=1000", "further apart than 887 in l2"),
            ("pgd:norm=l1,eps=1e6", "further apart than 786432 in l1"),
        ] {
            let error = text.parse::<AttackSpec>().expect_err(text).to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
