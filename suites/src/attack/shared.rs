//! Parameters that many attacks have, and the types of their values.

use super::param::{FromValue, Param, ParamKind, Preset, Role, Value, from_word};
use crate::branch::Branch;
use crate::epsilon::Epsilon;
use crate::error::SuiteError;
use crate::plan::{OTHER_BUDGET, TEACHER};
use crate::words::words;
use std::fmt;

words! {
    /// The norm a perturbation is measured in.
    pub enum Norm, "norm" {
        /// Largest absolute change of a value.
        Linf = "linf",
        /// Euclidean length.
        L2 = "l2",
        /// Sum of absolute changes.
        L1 = "l1",
        /// Number of changed values.
        L0 = "l0",
    }
}

impl Norm {
    /// Whether radii are written as fractions of 255.
    pub fn in_steps(self) -> bool {
        self == Self::Linf
    }

    /// As formulas write it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Linf => "L\u{221e}",
            Self::L2 => "L2",
            Self::L1 => "L1",
            Self::L0 => "L0",
        }
    }

    /// A size in this norm as people write it: `8/255`, `0.5`.
    pub fn size(self, value: f64) -> String {
        let plain = |x: f64| {
            let text = format!("{x:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        if self.in_steps() {
            format!("{}/255", plain(255.0 * value))
        } else {
            plain(value)
        }
    }
}

words! {
    /// Where the first step begins.
    pub enum Start, "start" {
        /// Uniformly drawn in the ball, keyed by image.
        Uniform = "uniform",
        /// At the image.
        Zero = "zero",
    }
}

words! {
    /// What an attack maximises.
    pub enum Loss, "loss" {
        /// Cross entropy.
        CrossEntropy = "ce",
        /// Difference of logits ratio (Croce and Hein, ICML 2020).
        Dlr = "dlr",
        /// Largest wrong logit minus the true one.
        Margin = "margin",
        /// The same of probabilities (arXiv 2411.15210).
        ProbabilityMargin = "pm",
        /// KL divergence to the teacher's logits.
        KlTeacher = "kl-teacher",
    }
}

impl Loss {
    /// The fewest classes that it is defined for.
    pub fn fewest_classes(self) -> usize {
        match self {
            Self::Dlr => 3,
            Self::CrossEntropy | Self::Margin | Self::ProbabilityMargin | Self::KlTeacher => 2,
        }
    }
}

words! {
    /// The arithmetic of the network that is followed.
    pub enum Arithmetic, "precision" {
        /// Single precision.
        Fp32 = "fp32",
        /// Sixteen-bit brain floating point.
        Bf16 = "bf16",
    }
}

words! {
    /// The order in which target classes are tried.
    pub enum TargetOrder, "order" {
        /// By the clean logits, the largest first.
        Logits = "logits",
        /// By linearised distance, the smallest first (MALT, arXiv 2407.02240).
        Malt = "malt",
        /// MALT's, then those of the logits' order that are not among them.
        Both = "both",
    }
}

from_word!(Norm, Start, Loss, Arithmetic, TargetOrder);

/// What an image is to be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Any wrong class.
    Any,
    /// The likeliest wrong class of the clean image.
    Second,
    /// This class.
    Class(usize),
}

impl Goal {
    /// What a text means.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Any),
            "second" => Some(Self::Second),
            class => class.parse().ok().map(Self::Class),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.pad("any"),
            Self::Second => f.pad("second"),
            Self::Class(class) => write!(f, "{class}"),
        }
    }
}

impl FromValue for Goal {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Goal(goal) => Some(*goal),
            _ => None,
        }
    }
}

/// The branches whose gradient an attack follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchChoice {
    /// The one that is evaluated.
    Same,
    /// All at once.
    All,
    /// This one.
    One(Branch),
}

impl FromValue for BranchChoice {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Word("same") => Some(Self::Same),
            Value::Word("all") => Some(Self::All),
            Value::Word(name) => name.parse().ok().map(Self::One),
            _ => None,
        }
    }
}

/// The network whose gradient an attack follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surrogate {
    /// The evaluated network.
    Own,
    /// The same weights with every ReLU.
    AllRelu,
    /// The same weights without ReLUs.
    Linear,
    /// Its teacher.
    Teacher,
    /// Another student of its teacher, with another budget.
    OtherBudget,
    /// The model of this name.
    Named(String),
}

impl Surrogate {
    /// The surrogates that are not the name of a model, each with its word.
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Own, "self"),
        (Self::AllRelu, "all-relu"),
        (Self::Linear, "linear"),
        (Self::Teacher, TEACHER),
        (Self::OtherBudget, OTHER_BUDGET),
    ];

    /// What a word means.
    pub fn named(word: &str) -> Self {
        let known = Self::WORDS.into_iter().find(|(_, known)| *known == word);
        known.map_or_else(|| Self::Named(word.to_owned()), |(surrogate, _)| surrogate)
    }

    /// The name of a network that has to be there beside the evaluated one.
    pub fn other(&self) -> Option<&str> {
        match self {
            Self::Own | Self::AllRelu | Self::Linear => None,
            Self::Teacher => Some(TEACHER),
            Self::OtherBudget => Some(OTHER_BUDGET),
            Self::Named(name) => Some(name),
        }
    }

    /// Whether it is the evaluated model with another mask.
    pub fn is_relaxed(&self) -> bool {
        matches!(self, Self::AllRelu | Self::Linear)
    }
}

impl fmt::Display for Surrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(known, _)| known == self);
        match (word, self) {
            (Some((_, word)), _) => f.pad(word),
            (None, Self::Named(name)) => f.pad(name),
            (None, _) => Ok(()),
        }
    }
}

const fn norm(words: &'static [&'static str]) -> Param {
    Param {
        name: "norm",
        role: Role::Norm,
        kind: ParamKind::Word(words),
        preset: Preset::Always(words[0]),
        neutral: true,
        help: "the ball's norm",
    }
}

pub(super) const NORM: Param = norm(&["linf", "l2", "l1"]);
pub(super) const NORM_2: Param = norm(&["linf", "l2"]);
pub(super) const NORM_L2_FIRST: Param = norm(&["l2", "linf"]);
pub(super) const NORM_LINF: Param = norm(&["linf"]);
pub(super) const NORM_L2: Param = norm(&["l2"]);
pub(super) const NORM_L2_L1: Param = norm(&["l2", "l1"]);
pub(super) const NORM_L0: Param = norm(&["l0"]);

/// The radius of the usual ball in a norm; none in L0, in which no attack has a ball.
pub fn usual_radius(norm: Norm) -> Option<f64> {
    let text = EPS.preset.under(norm);
    (norm != Norm::L0).then(|| text.parse::<Epsilon>().ok().map(|eps| eps.value()))?
}

/// Radii of the standard threat models on CIFAR (RobustBench; L1: Croce and Hein, ICML 2021).
pub(super) const EPS: Param = Param {
    name: "eps",
    role: Role::Eps,
    kind: ParamKind::Size,
    preset: Preset::ByNorm(["8/255", "0.5", "12"]),
    neutral: false,
    help: "radius of the ball around the image, images in [0,1]",
};

pub(super) const ALPHA: Param = Param {
    name: "alpha",
    role: Role::StepSize,
    kind: ParamKind::Size,
    preset: Preset::ByNorm(["2/255", "0.1", "2"]),
    neutral: false,
    help: "size of one step, in the ball's norm",
};

/// A count of the attack's own. The macro that declares parameters gives it its field's name.
pub(super) const fn count(default: &'static str, help: &'static str) -> Param {
    Param {
        name: "",
        role: Role::Own,
        kind: ParamKind::Count,
        preset: Preset::Always(default),
        neutral: false,
        help,
    }
}

/// A number of the attack's own.
pub(super) const fn number(default: &'static str, help: &'static str) -> Param {
    Param {
        kind: ParamKind::Number,
        ..count(default, help)
    }
}

/// Words of the attack's own; the first is the default.
pub(super) const fn word(words: &'static [&'static str], help: &'static str) -> Param {
    Param {
        kind: ParamKind::Word(words),
        ..count(words[0], help)
    }
}

pub(super) const fn steps(default: &'static str, help: &'static str) -> Param {
    Param {
        name: "steps",
        role: Role::Steps,
        ..count(default, help)
    }
}

pub(super) const APGD_STEPS: Param = steps("100", "iterations");

pub(super) const RESTARTS: Param = Param {
    name: "restarts",
    role: Role::Restarts,
    ..count(
        "1",
        "independent random starts; an image counts as broken when any breaks it",
    )
};

pub(super) const TARGETS: Param = Param {
    name: "targets",
    role: Role::Targets,
    ..count("9", "target classes, the likeliest wrong ones first")
};

/// The error of a parameter at zero with which an attack stays where it is.
pub(super) fn never_moves(name: &str, why: &str) -> SuiteError {
    let why = format!("{why} the attack never leaves its start; leave it out for its default");
    SuiteError::value("attack parameter", format!("{name}=0"), why)
}

pub(super) const QUERIES: Param = Param {
    name: "queries",
    role: Role::Queries,
    ..count("5000", "forward passes an image and restart, at most")
};

pub(super) const START: Param = Param {
    name: "start",
    role: Role::Start,
    ..word(
        Start::WORDS,
        "where the first step begins: uniform in the ball (keyed per image) or at the image",
    )
};

const fn neutral(
    name: &'static str,
    role: Role,
    words: &'static [&'static str],
    help: &'static str,
) -> Param {
    Param {
        name,
        role,
        neutral: true,
        ..word(words, help)
    }
}

pub(super) const LOSS: Param = neutral(
    "loss",
    Role::Loss,
    Loss::WORDS,
    "what is maximised: cross entropy, DLR (Croce and Hein 2020), logit margin, probability margin, or KL to \
     the teacher",
);

pub(super) const EARLY_STOP: Param = neutral(
    "early_stop",
    Role::EarlyStop,
    &["false", "true"],
    "whether an image leaves the batch at the first iterate that fools; otherwise the last iterate counts",
);

pub(super) const EOT: Param = Param {
    name: "eot",
    role: Role::Eot,
    neutral: true,
    ..count(
        "1",
        "passes averaged for each gradient and prediction, for randomised models (Athalye et al. 2018)",
    )
};

pub(super) const BRANCH: Param = neutral(
    "branch",
    Role::Branch,
    &[
        "same",
        "clean",
        "natural",
        "adversarial",
        "clean-with-adversarial-affine",
        "adversarial-with-clean-affine",
        "all",
    ],
    "the norm branch whose gradient is followed; the prediction is always the evaluated branch's",
);

pub(super) const SURROGATE: Param = Param {
    kind: ParamKind::Model,
    ..neutral(
        "surrogate",
        Role::Surrogate,
        &["self"],
        "the network whose gradient is followed: self, all-relu or linear (same weights, other mask), \
         teacher, other-budget (a student of the same teacher), or a model's name in the suite",
    )
};

pub(super) const BASE: Param = Param {
    kind: ParamKind::Base,
    ..neutral(
        "base",
        Role::Base,
        &["clean"],
        "the image the ball is around: clean, or a corruption such as fog/3",
    )
};

pub(super) const PRECISION: Param = neutral(
    "precision",
    Role::Precision,
    Arithmetic::WORDS,
    "arithmetic of the network that is followed; the prediction is always fp32's",
);

pub(super) const ORDER: Param = neutral(
    "order",
    Role::Own,
    TargetOrder::WORDS,
    "the order of the targets: by clean logits, by linearised distance (MALT), or both lists",
);

pub(super) const TARGET: Param = Param {
    kind: ParamKind::Goal,
    ..neutral(
        "target",
        Role::Target,
        &["any"],
        "the class to be taken for: any, second (the likeliest wrong one) or its number; what is taken for \
         another class does not count",
    )
};

/// Every attack has it: the macro that declares parameters adds it.
pub(crate) const PASSES: Param = Param {
    kind: ParamKind::Limit,
    ..neutral(
        "passes",
        Role::Passes,
        &["unlimited"],
        "forward and backward passes an image, together, at most; beyond them the attack learns nothing",
    )
};

pub(super) const REFERENCE_RNG: Param = neutral(
    "reference_rng",
    Role::ReferenceRng,
    &["false", "true"],
    "whether AutoAttack's own random stream is replayed, for one-to-one checks; it depends on the batch",
);
