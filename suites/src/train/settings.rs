//! The settings of a training stage: one table for `[training]`, for `with` of a `[[train]]`, for the
//! resolved cell, and for the options of `rlnet train`.

use super::{Allocation, Budget, Certified, Dialect, ImportedMask, Select, Stage};
use crate::attack::AttackSpec;
use crate::bounds::Bounds;
use crate::branch::NormBanks;
use crate::dialect::Quirk;
use crate::error::SuiteError;
use crate::objective::{
    Augmentation, Average, Dropped, Granularity, Inner, InnerStart, ModeName, Pram, Precision, Schedule,
    Score, Smoothing, is_default,
};
use crate::settings::{Fallback, Kind::*, Setting, written};
use crate::view::View;
use serde::{Deserialize, Serialize};
use toml::Table;

/// The largest batch that is accepted: no memory holds more at once.
pub(crate) const LARGEST_BATCH: u64 = 100_000;
/// The most epochs that are accepted; SNL's search ends by itself long before.
const MOST_EPOCHS: u64 = 100_000;
/// Weights of a loss: the reference's largest is 1000.
const WEIGHT: Bounds = Bounds::from_to(0.0, 1e6);

/// Attention roles of a stage that names no mode: the reference's headline.
const ATTENTION: [View; 2] = [View::Clean, View::Augmix];

/// The inner attack of a stage that names none: the paper's.
pub(crate) const INNER_ATTACK: &str = "pgd:steps=7";

/// Share of the past in an exponential average of weights.
const AVERAGE_DECAY: f64 = 0.999;

/// Temperature of distillation, also in the inner attack (the reference).
pub const TEMPERATURE: f64 = 4.0;

/// What the default of a setting may depend on.
pub(crate) struct StageCase {
    /// The stage.
    pub stage: Stage,
    /// Whether it has an adversarial role.
    pub robust: bool,
    /// Whether it builds on a stage `snl`.
    pub after_snl: bool,
}

/// The stages that a default is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A stage `teacher`.
    Teacher,
    /// A stage `mask`.
    Mask,
    /// A stage `student`, unless it builds on a stage `snl`.
    Student,
    /// The same without an adversarial role.
    PlainStudent,
    /// A stage `snl`.
    Snl,
    /// A stage `student` that builds on a stage `snl`.
    AfterSnl,
    /// Any stage without an adversarial role.
    Plain,
    /// Every stage.
    Always,
}

impl When {
    /// The stages in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Mask => "mask",
            Self::Student => "student",
            Self::PlainStudent => "student without attacks",
            Self::Snl => "snl",
            Self::AfterSnl => "student after snl",
            Self::Plain => "without attacks",
            Self::Always => "otherwise",
        }
    }

    fn holds(self, case: &StageCase) -> bool {
        let student = case.stage == Stage::Student;
        match self {
            Self::Teacher => case.stage == Stage::Teacher,
            Self::Mask => case.stage == Stage::Mask,
            Self::Student => student && !case.after_snl,
            Self::PlainStudent => student && !case.after_snl && !case.robust,
            Self::Snl => case.stage == Stage::Snl,
            Self::AfterSnl => student && case.after_snl,
            Self::Plain => !case.robust,
            Self::Always => true,
        }
    }
}

/// Declares [`StageSettings`] (what somebody wrote) and [`TrainSpec`] (nothing left to default). A
/// setting is one entry: name, type, kind, defaults by stage (the first row that holds), meaning.
macro_rules! stage_settings {
    (
        chosen {$($(#[$chosen_meta:meta])* $chosen:ident: $chosen_type:ty,)+}
        shorthand {$short:ident: $short_type:ty, $short_kind:expr, $short_help:literal;}
        settings {$(
            $(#[$meta:meta])*
            $key:ident: $type:ty, $kind:expr, [$($($when:ident)|+ => $value:expr),+], $help:literal;
        )+}
    ) => {
        /// Settings of a stage, as written; what is absent comes from `[training]`, then from the method.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct StageSettings {
            #[doc = $short_help]
            pub $short: Option<$short_type>,
            $(#[doc = $help] pub $key: Option<$type>,)+
        }

        /// One training cell, with nothing left to default.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct TrainSpec {
            $($(#[$chosen_meta])* pub $chosen: $chosen_type,)+
            $(#[doc = $help] $(#[$meta])* pub $key: $type,)+
        }

        /// What a stage is beside its settings.
        pub(crate) struct Choices {
            $(pub $chosen: $chosen_type,)+
        }

        impl StageSettings {
            pub(crate) const SETTINGS: &'static [Setting] = &[
                Setting {
                    key: stringify!($short),
                    kind: $short_kind,
                    default: Fallback::Described("none"),
                    help: $short_help,
                },
                $(Setting {
                    key: stringify!($key),
                    kind: $kind,
                    default: Fallback::ByStage(&[
                        $((&[$(When::$when),+], || written::<$type>($value)),)+
                    ]),
                    help: $help,
                },)+
            ];

            /// These settings, and where they say nothing, those of a wider section.
            pub(crate) fn or(self, wider: Self) -> Self {
                Self {
                    $short: self.$short.or(wider.$short),
                    $($key: self.$key.or(wider.$key),)+
                }
            }

            /// These settings, and where they say nothing, those of the method.
            pub(crate) fn fill(self, choices: Choices, case: &StageCase) -> Result<TrainSpec, SuiteError> {
                $(let $key = match self.$key {
                    Some(value) => value,
                    $(None if [$(When::$when),+].iter().any(|when| when.holds(case)) => $value,)+
                    None => return Err(without_default(stringify!($key))),
                };)+
                Ok(TrainSpec {
                    $($chosen: choices.$chosen,)+
                    $($key,)+
                })
            }
        }

        impl TrainSpec {
            /// Every setting as it is written under `with` in a suite, those at their defaults too.
            ///
            /// # Errors
            /// When a number cannot be written as TOML: a seed of 2^63 or more.
            pub fn settings(&self) -> Result<Table, SuiteError> {
                let mut table = Table::new();
                $(table.insert(stringify!($key).to_owned(), written(&self.$key)?);)+
                // Quirks are written one by one, or all of them by the dialect.
                let one_by_one = self.dialect == Dialect::Paper && !self.quirks.is_empty();
                table.remove(if one_by_one { "dialect" } else { "quirks" });
                Ok(table)
            }
        }
    };
}

stage_settings! {
    chosen {
        /// Which stage.
        stage: Stage,
        /// Whether a student takes nothing of its second parent, a search, but the units it keeps.
        #[serde(default, skip_serializing_if = "is_default")]
        units_only: bool,
        /// Architecture, as in `rlnet model list`.
        arch: String,
        /// Banks of batch norm.
        norm: NormBanks,
        /// Image roles in a step; the loss is the mean over them.
        views: Vec<View>,
        /// ReLUs to keep (stages `mask` and `snl`, and a student without a mask stage).
        budget: Option<Budget>,
        /// How the budget is shared (stage `mask`).
        allocation: Allocation,
        /// The mask of a student that takes it from a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        imported: Option<Box<ImportedMask>>,
    }
    shorthand {
        mode: ModeName, Mode,
            "a named combination of loss terms; gamma, alpha, beta, attention, inner and trades, if also set, override it";
    }
    settings {
        epochs: u32, Whole(1, Some(MOST_EPOCHS)),
            [Teacher | Student => 240, Mask => 150, Snl => 2000, AfterSnl => 100],
            "passes over the training images, at most in a stage snl (the reference's README; SNL's code)";
        batch: usize, Whole(6, Some(LARGEST_BATCH)), [Always => 128],
            "images a step, shared between the roles (the reference)";
        lr: f64, Number(Bounds::positive(1000.0)),
            [Teacher | Mask => 0.05, Student => 0.01, Snl | AfterSnl => 0.001],
            "learning rate before any milestone (the reference's README; SNL's code)";
        #[serde(default, skip_serializing_if = "is_default")]
        schedule: Schedule, Words(Schedule::WORDS), [AfterSnl => Schedule::Cosine, Always => Schedule::Steps],
            "how the rate falls: at milestones, along half a cosine to zero, or up and then down, in lines or along cosines";
        #[serde(default, skip_serializing_if = "is_default")]
        warmup: f64, Number(Bounds::under(1.0)), [Always => 0.0],
            "share of the training in which the rate rises from zero in a line (Goyal et al., 2017); the reference has none";
        // Milestones 150, 180, 210 of 240 epochs; the mask stage's 150 epochs never pass one.
        milestones: Vec<f64>, Numbers(Bounds::from_to(0.0, 1.0)),
            [Teacher | Student => vec![0.625, 0.75, 0.875], Always => Vec::new()],
            "shares of the epochs after which the rate is divided by 10 (the reference: 150, 180, 210 of 240)";
        momentum: f64, Number(Bounds::under(1.0)), [Always => 0.9],
            "momentum of SGD (the reference); one-cycle-cosine has its own";
        #[serde(default, skip_serializing_if = "is_default")]
        nesterov: bool, Flag, [Always => false],
            "Nesterov's momentum (PyTorch's form); the reference has none";
        weight_decay: f64, Number(Bounds::from_to(0.0, 1.0)), [Snl => 0.0, Always => 5e-4],
            "L2 penalty on every parameter, norms and biases too (the reference)";
        // SENet's natural fine-tuning weighs the labels less (README: 0.1 on CIFAR-10).
        gamma: f64, Number(WEIGHT),
            [Teacher | Snl | AfterSnl => 1.0, PlainStudent => 0.1, Always => 0.5],
            "weight of the cross entropy (the reference's commands)";
        alpha: f64, Number(WEIGHT), [Teacher => 0.0, Snl | AfterSnl => 1.0, Always => 0.5],
            "weight of the distillation (the reference's commands)";
        beta: f64, Number(WEIGHT), [Student => 1000.0, Always => 0.0],
            "weight of the attention transfer, a mean over entries of unit vectors (the reference)";
        #[serde(default = "attention", skip_serializing_if = "is_headline")]
        attention: Vec<View>, WordList(View::WORDS), [Always => ATTENTION.to_vec()],
            "roles whose features are compared with the teacher's (the reference's headline)";
        #[serde(default, skip_serializing_if = "is_default")]
        pram: Pram, Words(Pram::WORDS), [Always => Pram::Attention],
            "form of the attention term; `attention` is what the reference runs";
        #[serde(default, skip_serializing_if = "is_default")]
        inner: Inner, Words(Inner::WORDS), [Always => Inner::Auto],
            "what the inner attack maximises; auto: KL to the teacher where there is one (RSLAD, Zi et al., ICCV 2021)";
        #[serde(default, skip_serializing_if = "is_default")]
        trades: f64, Number(WEIGHT), [Always => 0.0],
            "weight of TRADES' term KL_T(adversarial || clean) (Zhang et al., ICML 2019), which replaces the mean over \
             roles; teachers with one bank only, 0 is off";
        #[serde(default, skip_serializing_if = "is_default")]
        certified: Certified, Text, [Always => Certified::default()],
            "loss over interval bounds in place of the adversarial role's cross entropy: ibp:eps=1/255, \
             sabr:eps=2/255,lambda=0.1, mtl-ibp:eps=2/255,alpha=0.01 (docs/certify.md)";
        #[serde(default, skip_serializing_if = "is_default")]
        jsd: f64, Number(WEIGHT), [Always => 0.0],
            "weight of AugMix's Jensen-Shannon consistency, 0 is off; the reference has none";
        #[serde(default, skip_serializing_if = "is_default")]
        lasso: f64, Number(WEIGHT), [Snl => 1e-5, Always => 0.0],
            "first weight of the slopes' lasso of a stage snl (SNL's code)";
        #[serde(default, skip_serializing_if = "is_default")]
        augmentation: Augmentation, Words(Augmentation::WORDS), [Always => Augmentation::Augmix],
            "what makes the images of the role augmix (docs/method/augmentation.md)";
        #[serde(default, skip_serializing_if = "is_default")]
        cutout: usize, Whole(0, Some(1024)), [Always => 0],
            "side in pixels of a square that is set to zero in each training image, 0 is off (DeVries and Taylor, 2017)";
        #[serde(default, skip_serializing_if = "is_default")]
        label_smoothing: f64, Number(Bounds::under(1.0)), [Always => 0.0],
            "share of a label that is spread over all classes (Szegedy et al., CVPR 2016), not in inner attacks";
        #[serde(default, skip_serializing_if = "is_default")]
        smoothing: Smoothing, Words(Smoothing::WORDS), [Always => Smoothing::Even],
            "how a smoothed label's share is spread";
        #[serde(default, skip_serializing_if = "is_default")]
        inner_start: InnerStart, Words(InnerStart::WORDS), [Always => InnerStart::Own],
            "where the inner attack starts";
        #[serde(default, skip_serializing_if = "is_default")]
        start_consistency: f64, Number(WEIGHT), [Always => 0.0],
            "weight, at the last epoch, of the Jensen-Shannon divergence between the predictions where the inner attack starts \
             and where it ends; it grows in a line (LIET, ICCV 2025: 100)";
        #[serde(default, skip_serializing_if = "is_default")]
        average: Average, Words(Average::WORDS), [Always => Average::None],
            "average of the weights that is validated and handed on, its batch-norm statistics estimated anew";
        #[serde(default = "average_decay", skip_serializing_if = "is_usual_decay")]
        average_decay: f64, Number(Bounds::under(1.0)), [Always => AVERAGE_DECAY],
            "share of the past in an exponential average (Gowal et al., 2020: 0.995; FastAT Benchmark: 0.999)";
        #[serde(default, skip_serializing_if = "is_default")]
        average_from: f64, Number(Bounds::under(1.0)), [Always => 0.0],
            "share of the training after which averaging begins";
        #[serde(default, skip_serializing_if = "is_default")]
        score: Score, Words(Score::WORDS), [Always => Score::Own],
            "how the mask stage scores units; `own` is the reference's";
        #[serde(default, skip_serializing_if = "is_default")]
        granularity: Granularity, Words(Granularity::WORDS), [Always => Granularity::Unit],
            "what a mask keeps or drops as one";
        #[serde(default, skip_serializing_if = "is_default")]
        dropped: Dropped, Words(Dropped::WORDS), [Always => Dropped::Identity],
            "what a dropped unit computes in a stage student; affine: a x + b, with two trained numbers for each channel \
             (linearity grafting: Chen et al., ICML 2022)";
        temperature: f64, Number(Bounds::positive(1000.0)), [Always => TEMPERATURE],
            "temperature of distillation, also in the inner attack (the reference)";
        #[serde(deserialize_with = "crate::attack::old_words::attack")]
        attack: AttackSpec, Attack, [Always => INNER_ATTACK.parse()?],
            "the inner attack, also used for validation: PGD-7 at 8/255, step 2/255 (the paper)";
        select: Select, Words(Select::WORDS),
            [Mask | Snl => Select::Last, Plain => Select::Clean, Always => Select::Mean],
            "which epoch is kept, by accuracy on held-out images";
        #[serde(default, skip_serializing_if = "is_default")]
        stop_at_overfitting: bool, Flag, [Always => false],
            "whether the stage ends, with the weights of the epoch before, once its network withstands one step of an attack \
             and no longer ten (catastrophic overfitting, Wong et al., ICLR 2020), on held-out images";
        #[serde(deserialize_with = "Dialect::stored")]
        dialect: Dialect, Words(Dialect::WORDS), [Always => Dialect::Paper],
            "what the paper describes, or the reference code's defects replayed";
        #[serde(default, skip_serializing_if = "is_default")]
        precision: Precision, Words(Precision::WORDS), [Always => Precision::Fp32],
            "arithmetic of training: tf32 rounds what enters convolutions on CUDA, bf16 the inner attack too";
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        quirks: Vec<Quirk>, Quirks, [Always => Vec::new()],
            "defects of the reference to replay, by name or number (docs/method/dialects.md)";
        seed: u64, Whole(0, None), [Always => 0],
            "seed of initialisation, order, augmentation and attack starts";
    }
}

impl StageSettings {
    /// With what its mode stands for, where that is not spelled out beside it.
    pub(crate) fn with_mode(mut self) -> Self {
        if let Some(ModeName(mode)) = self.mode {
            self.gamma.get_or_insert(mode.gamma);
            self.alpha.get_or_insert(mode.alpha);
            self.beta.get_or_insert(mode.beta);
            self.attention.get_or_insert_with(|| mode.attention.to_vec());
            self.inner.get_or_insert(mode.inner);
            self.trades.get_or_insert(mode.trades);
        }
        self
    }
}

impl TrainSpec {
    /// What it has of the keys of `[[train]]` itself, as they are written in a suite: architecture,
    /// banks, roles, and units to keep. Names of other stages are not among them.
    ///
    /// # Errors
    /// As [`TrainSpec::settings`].
    pub fn own_keys(&self) -> Result<Table, SuiteError> {
        let mut table = Table::new();
        table.insert("arch".to_owned(), written(&self.arch)?);
        table.insert("norm".to_owned(), written(self.norm)?);
        table.insert("views".to_owned(), written(&self.views)?);
        if let Some(budget) = self.budget {
            table.insert("budget".to_owned(), written(budget)?);
        }
        if self.draws_mask() {
            table.insert("allocation".to_owned(), written(self.allocation)?);
        }
        if let Some(imported) = &self.imported {
            table.insert("imported".to_owned(), written(imported)?);
        }
        Ok(table)
    }
}

/// Every setting ends its rows with one that holds for any stage, which a test sees to.
fn without_default(key: &str) -> SuiteError {
    SuiteError::value("setting", key, "it has no default in this stage; write it")
}

fn average_decay() -> f64 {
    AVERAGE_DECAY
}

fn is_usual_decay(decay: &f64) -> bool {
    *decay == AVERAGE_DECAY
}

fn attention() -> Vec<View> {
    ATTENTION.to_vec()
}

fn is_headline(views: &[View]) -> bool {
    views == ATTENTION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_default_in_every_stage() {
        for stage in Stage::ALL {
            for (robust, after_snl) in [(true, false), (false, false), (true, true), (false, true)] {
                let choices = Choices {
                    stage: *stage,
                    units_only: false,
                    arch: String::new(),
                    norm: NormBanks::Dual,
                    views: Vec::new(),
                    budget: None,
                    allocation: Allocation::Sensitivity,
                    imported: None,
                };
                let case = StageCase {
                    stage: *stage,
                    robust,
                    after_snl,
                };
                StageSettings::default()
                    .fill(choices, &case)
                    .expect("a default that its own setting takes");
            }
        }
    }
}
