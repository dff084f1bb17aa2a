//! An attack with the values of its parameters, as text and parsed.

use super::certify::CERTIFY;
use super::entry::{Access, AttackEntry};
use super::param::{FromValue, Param, ParamKind, Parameters, Role, Value};
use super::shared::{Arithmetic, BranchChoice, Goal, Loss, Norm, Start, Surrogate};
use super::square::SQUARE;
use super::{adaptive, all, old_words};
use crate::error::{SuiteError, suggest};
use crate::plan::TEACHER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Side of the largest images that networks are built for.
const LARGEST_SIDE: u64 = 512;

/// The smallest radius that single precision can tell from none, with room: values near 1 are 6e-8 apart.
const LEAST: f64 = 1e-6;

/// An attack with all its parameters. Written with the defaults left out, stored in full.
#[derive(Clone)]
pub struct AttackSpec {
    entry: &'static AttackEntry,
    /// In the order of the entry's parameters.
    values: Vec<Value>,
    /// The same as texts, by name.
    texts: BTreeMap<&'static str, String>,
}

impl AttackSpec {
    /// An attack with some parameters set, the others at their defaults.
    ///
    /// # Errors
    /// When the attack has no such parameter or a value is out of range.
    pub fn of<'a>(
        entry: &'static AttackEntry,
        params: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, SuiteError> {
        let mut given: Vec<Option<Value>> = vec![None; entry.params.len()];
        for (name, text) in params {
            old_words::refuse(name, text)?;
            let place = Param::find(name, entry)?;
            given[place] = Some(entry.params[place].parse(text, entry)?);
        }
        // The norm decides the other defaults.
        let place = entry.params.iter().position(|param| param.role == Role::Norm);
        let norm = match place {
            None => Norm::Linf,
            Some(place) => {
                let param = entry.params[place];
                let default = || param.parse(param.preset.under(Norm::Linf), entry);
                let value = given[place].clone().map_or_else(default, Ok)?;
                Norm::from_value(&value).unwrap_or(Norm::Linf)
            }
        };
        let settled = entry.params.iter().zip(given).map(|(param, given)| match given {
            Some(value) => Ok(value),
            None => param.parse(param.preset.under(norm), entry),
        });
        let values = settled.collect::<Result<Vec<_>, _>>()?;
        let texts = entry.params.iter().zip(&values);
        let texts = texts.map(|(param, value)| (param.name, value.text())).collect();
        Ok(Self { entry, values, texts })
    }

    /// The attack's name.
    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    /// Whether it proves, and does not attack.
    pub fn is_certificate(&self) -> bool {
        self.name() == CERTIFY.name
    }

    /// Its entry in the registry.
    pub fn entry(&self) -> &'static AttackEntry {
        self.entry
    }

    /// Its parameters as the attack reads them; nothing of an attack with other parameters.
    pub fn read<P: Parameters>(&self) -> Option<P> {
        let own = self.entry.params.iter().map(|param| param.name);
        let same = own.eq(P::PARAMS.iter().map(|param| param.name));
        same.then(|| P::from_values(&self.values)).flatten()
    }

    fn value<T: FromValue>(&self, role: Role) -> Option<T> {
        let place = self.entry.params.iter().position(|param| param.role == role)?;
        T::from_value(&self.values[place])
    }

    /// The norm its perturbations are measured in.
    pub fn norm(&self) -> Norm {
        self.value(Role::Norm).unwrap_or(Norm::Linf)
    }

    /// The radius of its ball, as it is written.
    pub fn eps(&self) -> Option<f64> {
        self.value(Role::Eps)
    }

    /// The radius that an image counts as broken in; nothing for an attack that looks for the
    /// smallest perturbation.
    pub fn radius(&self) -> Option<f64> {
        self.eps().filter(|eps| *eps > 0.0 && !self.is_minimum_norm())
    }

    /// The size of a step.
    pub fn step_size(&self) -> Option<f64> {
        self.value(Role::StepSize)
    }

    /// Iterations.
    pub fn steps(&self) -> Option<usize> {
        self.value(Role::Steps)
    }

    /// Independent starts.
    pub fn restarts(&self) -> Option<usize> {
        self.value(Role::Restarts)
    }

    /// Forward passes of an attack without gradients.
    pub fn queries(&self) -> Option<usize> {
        self.value(Role::Queries)
    }

    /// Target classes.
    pub fn targets(&self) -> Option<usize> {
        self.value(Role::Targets)
    }

    /// Where its first step begins, where it can be chosen.
    pub fn start(&self) -> Option<Start> {
        self.value(Role::Start)
    }

    /// What it maximises.
    pub fn loss(&self) -> Loss {
        self.value(Role::Loss).unwrap_or(self.entry.loss)
    }

    /// Passes that a gradient or a prediction is the mean of, at most over its parts.
    pub fn eot(&self) -> usize {
        let parts = (self.entry.parts)(self).unwrap_or_default();
        let parts = parts.iter().map(Self::eot);
        parts.chain(self.value(Role::Eot)).max().unwrap_or(1)
    }

    /// The branches whose gradient it follows.
    pub fn branch(&self) -> BranchChoice {
        self.value(Role::Branch).unwrap_or(BranchChoice::Same)
    }

    /// The network whose gradient it follows.
    pub fn surrogate(&self) -> Surrogate {
        self.value(Role::Surrogate).unwrap_or(Surrogate::Own)
    }

    /// Whether that network is a parameter of the attack.
    pub fn chooses_network(&self) -> bool {
        self.value::<Surrogate>(Role::Surrogate).is_some()
    }

    /// The arithmetic of that network.
    pub fn arithmetic(&self) -> Arithmetic {
        self.value(Role::Precision).unwrap_or(Arithmetic::Fp32)
    }

    /// Whether the reference's random stream is replayed.
    pub fn reference_rng(&self) -> bool {
        self.value(Role::ReferenceRng).unwrap_or(false)
    }

    /// The corruption under the attack, when the ball is not around the clean image.
    pub fn base(&self) -> Option<(&str, u8)> {
        let base = self.values.iter().find_map(|value| match value {
            Value::Base(base) => base.as_ref(),
            _ => None,
        });
        base.map(|(name, severity)| (name.as_str(), *severity))
    }

    /// Parameters that would be left out at their default, and are not at it: what sets this
    /// attack apart from the plain one.
    pub fn extras(&self) -> impl Iterator<Item = (&'static Param, &str)> {
        let params = self.by_name();
        params.filter(|(param, text)| param.neutral && !self.is_default(param, text))
    }

    /// Parameters of its own that are not at their default, beside the norm, the radius, steps, starts and
    /// what [`Self::extras`] gives: they change what it does or how hard it tries.
    pub fn unusual(&self) -> impl Iterator<Item = (&'static Param, &str)> {
        let known = |role: Role| {
            use Role::{Eps, Norm, Restarts, Start, StepSize, Steps};
            matches!(role, Norm | Eps | Steps | Restarts | Start | StepSize)
        };
        let params = self.by_name();
        params.filter(move |(param, text)| {
            !param.neutral && !known(param.role) && !self.is_default(param, text)
        })
    }

    /// Whether it looks for the smallest perturbation.
    pub fn is_minimum_norm(&self) -> bool {
        self.entry.minimum_norm
    }

    /// Whether training can use it as its inner attack: sign steps from one uniform start.
    pub fn can_train(&self) -> bool {
        let plain = self.extras().next().is_none();
        let one_start = self.start() != Some(Start::Zero) && self.restarts().is_none_or(|n| n == 1);
        self.entry.trains && plain && one_start
    }

    /// The attack that takes its place on an image none of whose gradients can be followed: Square in the
    /// same ball, for the same class. Nothing where it looks at no gradient, has Square among its parts, replays
    /// the reference or has a budget of passes; and where there is no such search: of attacks that look for the
    /// smallest perturbation, and in L1.
    pub fn without_gradients(&self) -> Option<Self> {
        let searches = |part: &Self| part.entry().access != Access::Gradients;
        let parts = self.parts().unwrap_or_default();
        self.radius()?;
        let bound = self.reference_rng() || self.most_passes().is_some();
        if searches(self) || parts.iter().any(searches) || bound {
            return None;
        }
        let mut search = Self::of(&SQUARE, std::iter::once(("norm", self.norm().name()))).ok()?;
        for param in SQUARE.params {
            let own = self.texts.get(param.name);
            if let Some(own) = own.filter(|_| matches!(param.role, Role::Eps | Role::Base | Role::Target)) {
                search = search.with(param.name, own).ok()?;
            }
        }
        let search = search.with("eot", &self.eot().to_string()).ok()?;
        (search.goal() == self.goal()).then_some(search)
    }

    /// Whether it needs gradients of the network that it follows: not what looks at logits only.
    pub fn needs_gradients(&self) -> bool {
        self.entry().access == Access::Gradients
    }

    /// Whether it follows or distils from the teacher of the attacked model.
    pub fn needs_teacher(&self) -> bool {
        self.surrogate() == Surrogate::Teacher || self.loss() == Loss::KlTeacher
    }

    /// Whether it follows the attacked network through the branch that is evaluated.
    pub fn follows_itself(&self) -> bool {
        self.branch() == BranchChoice::Same && self.surrogate() == Surrogate::Own
    }

    /// Names of the networks it needs beside the attacked one.
    pub fn networks(&self) -> impl Iterator<Item = String> {
        let other = self.surrogate().other().map(str::to_owned);
        let teacher = self.needs_teacher().then(|| TEACHER.to_owned());
        other.into_iter().chain(teacher)
    }

    /// Name and version of each algorithm that decides the result.
    pub fn versions(&self) -> impl Iterator<Item = (String, u32)> {
        let entries = std::iter::once(self.entry).chain(self.entry.uses.iter().copied());
        entries.map(|entry| (format!("attack/{}", entry.name), entry.version))
    }

    /// The attacks that it is the union of, in order; none for an attack of its own.
    ///
    /// # Errors
    /// When one of them is not defined for the norm.
    pub fn parts(&self) -> Result<Vec<Self>, SuiteError> {
        (self.entry.parts)(self)
    }

    /// Whether it is made of other attacks.
    pub fn is_union(&self) -> bool {
        self.parts().is_ok_and(|parts| !parts.is_empty())
    }

    /// Passes, forward and backward, for an image that nothing breaks early.
    pub fn passes(&self) -> f64 {
        let averaged = self.value::<usize>(Role::Eot).unwrap_or(1);
        let all = (self.entry.passes)(self) * averaged as f64;
        self.most_passes().map_or(all, |most| all.min(most as f64))
    }

    /// Passes, forward and backward together, that an image may cost at most, where that is limited.
    pub fn most_passes(&self) -> Option<usize> {
        self.value::<Option<usize>>(Role::Passes).flatten()
    }

    /// What an image is to be taken for.
    pub fn goal(&self) -> Goal {
        self.value(Role::Target).unwrap_or(Goal::Any)
    }

    /// The fewest classes that it is defined for.
    pub fn fewest_classes(&self) -> usize {
        let own = (self.entry.classes)(self).0;
        own.max(self.loss().fewest_classes())
    }

    /// Why it is not defined for a model with so many classes: the rest of a sentence whose subject is
    /// the model; nothing where it is.
    pub fn lacks_classes(&self, classes: usize) -> Option<String> {
        if let Goal::Class(target) = self.goal()
            && target >= classes
        {
            return Some(format!(
                "has {classes} classes, and {} asks for class {target}; the last is {}",
                self.short(),
                classes.saturating_sub(1)
            ));
        }
        let (own, instead) = (self.entry.classes)(self);
        let (needed, instead) = match self.loss().fewest_classes() {
            of_loss if of_loss > own => (of_loss, "use loss=ce or loss=margin"),
            _ => (own, instead),
        };
        (classes < needed).then(|| {
            format!(
                "has {classes} classes, and {} needs {needed} classes; {instead}",
                self.short()
            )
        })
    }

    /// The text of every parameter's value.
    pub fn params(&self) -> &BTreeMap<&'static str, String> {
        &self.texts
    }

    /// Every parameter with the text of its value, in the order of the names.
    fn by_name(&self) -> impl Iterator<Item = (&'static Param, &str)> {
        self.texts.iter().filter_map(|(name, text)| {
            let param = self.entry.params.iter().find(|param| param.name == *name)?;
            Some((param, text.as_str()))
        })
    }

    /// What it is but for how hard it tries: its name, and every parameter that does not say how
    /// much it may do or for how long.
    pub fn kind(&self) -> (&'static str, Vec<(&'static str, &str)>) {
        let params = self.by_name().filter(|(param, _)| !param.role.is_effort());
        (
            self.name(),
            params.map(|(param, text)| (param.name, text)).collect(),
        )
    }

    /// The same attack with one parameter changed.
    ///
    /// # Errors
    /// When the attack has no such parameter or the value is out of range.
    pub fn with(&self, name: &str, value: &str) -> Result<Self, SuiteError> {
        let place = Param::find(name, self.entry)?;
        let mut changed = self.clone();
        changed.values[place] = self.entry.params[place].parse(value, self.entry)?;
        let text = changed.values[place].text();
        changed.texts.insert(self.entry.params[place].name, text);
        Ok(changed)
    }

    /// The same attack on the evaluated network through the evaluated branch.
    pub fn on_itself(&self) -> Self {
        let followed = [Role::Surrogate, Role::Branch];
        let mut plain = self.clone();
        for (place, param) in self.entry.params.iter().enumerate() {
            let default = param.preset.under(self.norm());
            if let (true, Ok(value)) = (followed.contains(&param.role), param.parse(default, self.entry)) {
                plain.texts.insert(param.name, value.text());
                plain.values[place] = value;
            }
        }
        plain
    }

    /// The attack without its radius: attacks that differ only in `eps` form one curve.
    pub fn family(&self) -> String {
        self.without_defaults(|param| param.role != Role::Eps)
    }

    /// The attack as people write it: no parameter at its default.
    pub fn short(&self) -> String {
        self.without_defaults(|_| true)
    }

    fn without_defaults(&self, shown: impl Fn(&Param) -> bool) -> String {
        let params = self.by_name();
        self.written(params.filter(|(param, text)| shown(param) && !self.is_default(param, text)))
    }

    fn written<'a>(&self, params: impl Iterator<Item = (&'static Param, &'a str)>) -> String {
        let params: Vec<String> = params
            .map(|(param, text)| format!("{}={text}", param.name))
            .collect();
        if params.is_empty() {
            self.name().to_owned()
        } else {
            format!("{}:{}", self.name(), params.join(","))
        }
    }

    fn is_default(&self, param: &Param, text: &str) -> bool {
        param.preset.under(self.norm()) == text
    }

    /// Refuses sizes that no image could be changed by (a radius of 8 where 8/255 was meant) and
    /// values that do not go together. Files that are there are read whatever they say.
    ///
    /// # Errors
    /// When a size is larger than the distance of any two images, in the attack's norm, or what the
    /// attack's own entry refuses.
    pub fn check_sizes(&self) -> Result<(), SuiteError> {
        (self.entry.check)(self)?;
        let values = (3 * LARGEST_SIDE * LARGEST_SIDE) as f64;
        let most = match self.norm() {
            Norm::Linf => 1.0,
            Norm::L2 => values.sqrt(),
            Norm::L1 | Norm::L0 => values,
        };
        for (param, value) in self.entry.params.iter().zip(&self.values) {
            if matches!(param.role, Role::Passes)
                && let Value::Limit(Some(passes)) = value
                && self.needs_gradients()
                && *passes < 2 * self.eot()
            {
                return Err(SuiteError::value(
                    "attack parameter",
                    format!("{}={passes}", param.name),
                    format!(
                        "a step of {} takes {} passes (forward and backward), so it never leaves its start",
                        self.name(),
                        2 * self.eot()
                    ),
                ));
            }
            if param.role == Role::StepSize && f64::from_value(value) == Some(0.0) {
                return Err(SuiteError::value(
                    "attack parameter",
                    format!("{}=0", param.name),
                    format!(
                        "with step size 0 {} never leaves its start; leave it out for {}",
                        self.name(),
                        param.preset.under(self.norm())
                    ),
                ));
            }
            let (ParamKind::Size, Value::Size(size)) = (param.kind, value) else {
                continue;
            };
            if param.role == Role::Eps && size.value() > 0.0 && size.value() < LEAST {
                return Err(SuiteError::value(
                    "attack parameter",
                    format!("{}={}", param.name, self.texts[param.name]),
                    "images are numbers of single precision in [0, 1], which change by 6e-8 at least near 1; write a \
                     radius from 1e-6 on, or 0",
                ));
            }
            if size.value() <= most {
                continue;
            }
            let (name, size) = (param.name, size.value());
            let text = &self.texts[name];
            let hint = match self.norm() {
                Norm::Linf if size <= 255.0 && !text.contains('/') => {
                    format!("for {text} of the 255 steps of a pixel write {name}={text}/255")
                }
                norm => format!("no two images are further apart than {most:.0} in {norm}"),
            };
            return Err(SuiteError::value(
                "attack parameter",
                format!("{name}={text}"),
                format!("images lie in [0, 1]; {hint}"),
            ));
        }
        Ok(())
    }

    /// An attack of a stored file: parameters may have the names of earlier versions, and no size
    /// is too large. What people write is checked more strictly (`from_str`).
    ///
    /// # Errors
    /// When the text names no attack, no parameter of it, or no value of that parameter.
    pub fn stored(text: &str) -> Result<Self, SuiteError> {
        Self::read_text(&old_words::translate(text))
    }

    pub(super) fn read_text(text: &str) -> Result<Self, SuiteError> {
        let (name, params) = text.split_once(':').unwrap_or((text, ""));
        if let Some(named) = adaptive::find(name.trim()) {
            return Self::read_text(&named.with(params));
        }
        let entry = AttackEntry::find(name.trim()).ok_or_else(|| {
            let known = all().map(|entry| entry.name);
            let named = adaptive::ATTACKS.iter().map(|named| named.name);
            let hint = suggest(name, known.chain(named));
            SuiteError::value("attack", name, format!("not known; {hint}"))
        })?;
        let mut given = Vec::new();
        for part in params.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| SuiteError::value("attack parameter", part, "write it as name=value"))?;
            given.push((key.trim(), value.trim()));
        }
        Self::of(entry, given.into_iter())
    }
}

/// Attacks are equal, and ordered, by name and parameters.
impl Ord for AttackSpec {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.name(), &self.texts).cmp(&(other.name(), &other.texts))
    }
}

impl PartialOrd for AttackSpec {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for AttackSpec {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for AttackSpec {}

impl fmt::Display for AttackSpec {
    /// The full form, every parameter written but those that are as if they did not exist:
    /// two attacks are equal when their texts are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = self.by_name();
        let shown = params.filter(|(param, text)| !(param.neutral && self.is_default(param, text)));
        f.write_str(&self.written(shown))
    }
}

impl fmt::Debug for AttackSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttackSpec({self})")
    }
}

impl FromStr for AttackSpec {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        check_once(text)?;
        let spec = Self::read_text(text)?;
        spec.check_sizes()?;
        Ok(spec)
    }
}

/// Refuses a parameter that is written twice, of which one would be lost. What a name stands for
/// may be written over.
pub(super) fn check_once(text: &str) -> Result<(), SuiteError> {
    let params = text.split_once(':').map_or("", |(_, params)| params);
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in params.split(',').filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        if let Some(first) = seen.insert(name, value).filter(|first| *first != value) {
            let why = format!("given twice in `{text}`, as {first} and as {value}; leave one out");
            return Err(SuiteError::value("attack parameter", name, why));
        }
    }
    Ok(())
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
        Self::read_text(&text).map_err(serde::de::Error::custom)
    }
}
