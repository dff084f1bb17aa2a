//! Parameters of attacks: what they are called, what they may be, and their parsed values.

use super::{Goal, Norm, Surrogate, entry::AttackEntry};
use crate::corruption::check_corruption;
use crate::epsilon::Epsilon;
use crate::error::{SuiteError, suggest};

/// What a parameter means to code that knows nothing of the attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Known to the attack alone.
    Own,
    /// The norm of the ball.
    Norm,
    /// The radius of the ball.
    Eps,
    /// The size of a step.
    StepSize,
    /// Iterations.
    Steps,
    /// Independent starts.
    Restarts,
    /// Where the first step begins.
    Start,
    /// Target classes.
    Targets,
    /// Forward passes of an attack without gradients.
    Queries,
    /// What is maximised.
    Loss,
    /// Whether an image leaves at the first iterate that fools.
    EarlyStop,
    /// Passes averaged for a gradient or a prediction.
    Eot,
    /// The branch whose gradient is followed.
    Branch,
    /// The network whose gradient is followed.
    Surrogate,
    /// The arithmetic of that network.
    Precision,
    /// The image that the ball is around.
    Base,
    /// Whether the reference's random stream is replayed.
    ReferenceRng,
    /// The class to be taken for.
    Target,
    /// Forward and backward passes an image, at most.
    Passes,
}

impl Role {
    /// Whether it says how much an attack may do or how hard it tries, and not what it is.
    pub fn is_effort(self) -> bool {
        matches!(
            self,
            Self::Eps | Self::StepSize | Self::Steps | Self::Restarts | Self::Start | Self::Queries
        )
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
    /// `self`, `all-relu`, `linear`, `teacher`, `other-budget`, or a model's name.
    Model,
    /// `any`, `second` or a class.
    Goal,
    /// `unlimited`, or a whole number, 1 or more.
    Limit,
}

/// A parameter's value when none is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The same for every norm.
    Always(&'static str),
    /// For Linf, L2 and L1; other norms have Linf's.
    ByNorm([&'static str; 3]),
}

impl Preset {
    /// The value under a norm.
    pub fn under(self, norm: Norm) -> &'static str {
        match self {
            Self::Always(value) => value,
            Self::ByNorm(values) => values.get(norm as usize).unwrap_or(&values[0]),
        }
    }
}

/// One parameter of an attack.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name after the colon.
    pub name: &'static str,
    /// What it means outside the attack.
    pub role: Role,
    /// What it may be.
    pub kind: ParamKind,
    /// What it is when not written.
    pub preset: Preset,
    /// Left out of texts at its default, which means "as if this parameter did not exist".
    pub neutral: bool,
    /// One line for `rlnet attack show`.
    pub help: &'static str,
}

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of [`ParamKind::Count`].
    Count(usize),
    /// Of [`ParamKind::Size`].
    Size(Epsilon),
    /// Of [`ParamKind::Number`].
    Number(f64),
    /// Of [`ParamKind::Word`].
    Word(&'static str),
    /// Of [`ParamKind::Base`]: the corruption and its severity, nothing for the clean image.
    Base(Option<(String, u8)>),
    /// Of [`ParamKind::Model`].
    Model(Surrogate),
    /// Of [`ParamKind::Goal`].
    Goal(Goal),
    /// Of [`ParamKind::Limit`]: nothing where there is none.
    Limit(Option<usize>),
}

impl Value {
    /// The one text of this value: equal values have equal texts.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Size(size) => size.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Word(word) => (*word).to_owned(),
            Self::Base(None) => "clean".to_owned(),
            Self::Base(Some((name, severity))) => format!("{name}/{severity}"),
            Self::Model(surrogate) => surrogate.to_string(),
            Self::Goal(goal) => goal.to_string(),
            Self::Limit(None) => "unlimited".to_owned(),
            Self::Limit(Some(count)) => count.to_string(),
        }
    }
}

impl ParamKind {
    fn parse(self, text: &str) -> Result<Option<Value>, SuiteError> {
        Ok(match self {
            Self::Count => text.parse().ok().filter(|n| *n >= 1).map(Value::Count),
            Self::Size => Some(Value::Size(text.parse()?)),
            Self::Number => {
                let number = text.parse::<f64>().ok();
                let number = number.filter(|x| x.is_finite() && *x >= 0.0);
                number.map(|x| Value::Number(x + 0.0))
            }
            Self::Word(words) => words.iter().find(|word| **word == text).copied().map(Value::Word),
            Self::Base => match text.split_once('/') {
                None => (text == "clean").then_some(Value::Base(None)),
                Some((name, severity)) => {
                    check_corruption(name)?;
                    let severity = severity.parse().ok().filter(|n| (1..=5).contains(n));
                    severity.map(|severity| Value::Base(Some((name.to_owned(), severity))))
                }
            },
            Self::Model => (!text.is_empty()).then(|| Value::Model(Surrogate::named(text))),
            Self::Goal => Goal::parse(text).map(Value::Goal),
            Self::Limit if text == "unlimited" => Some(Value::Limit(None)),
            Self::Limit => {
                let count = text.parse().ok().filter(|n| *n >= 1);
                count.map(|count| Value::Limit(Some(count)))
            }
        })
    }

    fn wanted(self) -> String {
        match self {
            Self::Count => "a whole number, 1 or more".to_owned(),
            Self::Size => "a size such as 8/255".to_owned(),
            Self::Number => "a number, 0 or more".to_owned(),
            Self::Word(words) => format!("one of: {}", words.join(", ")),
            Self::Base => "clean, or a corruption and its severity such as fog/3".to_owned(),
            Self::Model => "self, all-relu, linear, teacher, other-budget or the name of a model".to_owned(),
            Self::Goal => "any, second or the number of a class".to_owned(),
            Self::Limit => "unlimited or a whole number, 1 or more".to_owned(),
        }
    }
}

impl Param {
    /// The value that a text means.
    pub(super) fn parse(&self, text: &str, entry: &AttackEntry) -> Result<Value, SuiteError> {
        self.kind.parse(text)?.ok_or_else(|| {
            SuiteError::value(
                "attack parameter",
                format!("{}={text}", self.name),
                format!("{} takes {}", entry.name, self.kind.wanted()),
            )
        })
    }

    /// The place of a name among an attack's parameters.
    pub(super) fn find(name: &str, entry: &AttackEntry) -> Result<usize, SuiteError> {
        let place = entry.params.iter().position(|param| param.name == name);
        place.ok_or_else(|| {
            let known = suggest(name, entry.params.iter().map(|param| param.name));
            let why = format!("{} has no such parameter; {known}", entry.name);
            SuiteError::value("attack parameter", name, why)
        })
    }

    /// The same parameter with another default.
    pub(super) const fn or(self, default: &'static str) -> Self {
        Self {
            preset: Preset::Always(default),
            ..self
        }
    }

    /// The same parameter with a meaning outside the attack.
    pub(super) const fn meaning(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The same parameter with another explanation.
    pub(super) const fn saying(self, help: &'static str) -> Self {
        Self { help, ..self }
    }
}

/// A type that a parsed value can be read as.
pub trait FromValue: Sized {
    /// Nothing when the value is of another kind.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for usize {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Count(count) => Some(*count),
            _ => None,
        }
    }
}

impl FromValue for Option<usize> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Limit(limit) => Some(*limit),
            _ => None,
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Size(size) => Some(size.value()),
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Word("true") => Some(true),
            Value::Word("false") => Some(false),
            _ => None,
        }
    }
}

impl FromValue for Surrogate {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Model(surrogate) => Some(surrogate.clone()),
            _ => None,
        }
    }
}

/// The parameters of an attack as a type: see [`super::parameters`].
pub trait Parameters: Sized {
    /// In the order of the fields, then those that the attack itself does not look at.
    const PARAMS: &'static [Param];

    /// From an attack's values, in the order of [`Self::PARAMS`]; nothing when one is of another kind.
    fn from_values(values: &[Value]) -> Option<Self>;
}

/// Declares the parameters of an attack once: the struct that the attack reads, and the table that
/// texts, defaults, the command line and the docs are made from. `and` names parameters that the
/// attack itself does not look at (the target that it is given has them).
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$told:meta])* $field:ident: $type:ty = $param:expr,)*
    } and [$($more:expr),* $(,)?]) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$told])* pub $field: $type,)*
        }

        impl $crate::attack::Parameters for $name {
            const PARAMS: &'static [$crate::attack::Param] = &[
                $($crate::attack::Param { name: stringify!($field), ..$param },)*
                $($more,)*
                $crate::attack::PASSES,
            ];

            fn from_values(values: &[$crate::attack::Value]) -> Option<Self> {
                let mut values = values.iter();
                Some(Self {
                    $($field: $crate::attack::FromValue::from_value(values.next()?)?,)*
                })
            }
        }
    };
}
pub(crate) use parameters;

/// Lets enums of words be read from a parameter's word.
macro_rules! from_word {
    ($($name:ty),+) => {$(
        impl $crate::attack::FromValue for $name {
            fn from_value(value: &$crate::attack::Value) -> Option<Self> {
                match value {
                    $crate::attack::Value::Word(word) => word.parse().ok(),
                    _ => None,
                }
            }
        }
    )+};
}
pub(crate) use from_word;
