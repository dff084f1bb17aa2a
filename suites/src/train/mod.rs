//! What a training cell does: stage, budget, settings. Fully resolved; the defaults are RLNet's
//! (arXiv 2402.05521 and its reference code).

mod budget;
pub mod certified;
mod settings;

pub use budget::{Allocation, Budget};
pub use certified::Certified;
pub(crate) use settings::{Choices, INNER_ATTACK, LARGEST_BATCH, StageCase};
pub use settings::{StageSettings, TEMPERATURE, TrainSpec, When};

use crate::branch::NormBanks;
use crate::dialect::Quirk;
use crate::objective::{Granularity, Schedule, Score};
use crate::settings::{Kind, section};
use crate::view::View;
use crate::words::words;
use serde::{Deserialize, Deserializer, Serialize};

words! {
    /// The three stages of the method, and SNL's search.
    pub enum Stage, "stage" {
        /// Trains an all-ReLU (AR) network.
        Teacher = "teacher",
        /// Finds which ReLUs to keep while distilling into a fresh partial-ReLU (PR) network.
        Mask = "mask",
        /// Trains the PR network with its mask frozen.
        Student = "student",
        /// Finds which ReLUs to keep as SNL does (Cho et al., ICML 2022): from the teacher's weights,
        /// a slope a unit, a lasso on the slopes.
        Snl = "snl",
    }
}

impl Stage {
    /// Whether its result is a mask for a student.
    pub fn is_search(self) -> bool {
        matches!(self, Self::Mask | Self::Snl)
    }
}

words! {
    /// Whose method a stage trains: the paper's, or that of the code released with it.
    pub enum Dialect, "dialect", renamed ["fixed" => "paper", "parity" => "reference"] {
        /// What the paper describes (default).
        Paper = "paper",
        /// What the reference code does, its defects replayed.
        Reference = "reference",
    }
}

impl Dialect {
    /// The dialect of a stored file, which may have a word of an earlier version.
    fn stored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let renamed = Self::RENAMED.iter().find(|(old, _)| *old == text);
        let today = renamed.map_or(text.as_str(), |(_, new)| new);
        today.parse().map_err(serde::de::Error::custom)
    }
}

words! {
    /// Which epoch's weights a training cell hands on. Measured on the held-out tenth of the
    /// training set, never on the test set.
    pub enum Select, "select" {
        /// The last epoch.
        Last = "last",
        /// Best clean accuracy through the clean branch (the reference's rule, there on the test set).
        Clean = "clean",
        /// Best mean of clean accuracy (clean branch) and adversarial accuracy (adversarial branch).
        Mean = "mean",
        /// Best adversarial accuracy through the adversarial branch, then best clean accuracy.
        Adversarial = "adversarial",
    }
}

/// PyTorch's OneCycleLR: the rate rises in this share of the epochs,
const CYCLE_RISES: f64 = 0.3;
/// from its peak divided by the first to its peak, and falls to what it began with divided by the second;
const CYCLE_DIVISORS: [f64; 2] = [25.0, 1e4];
/// the momentum falls and rises between these.
const CYCLE_MOMENTUM: [f64; 2] = [0.85, 0.95];

/// Half a cosine from one value to another.
fn anneal(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
}

section! {
    /// A mask in a file, as `rlnet export MODEL --format mask` writes it.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    pub struct ImportedMask {
        path: String, Kind::Text, (required),
            "where the mask is (rlnet export --format mask); no part of a cell's identity";
        blake3: String, Kind::Text, (required),
            "its checksum, 64 hexadecimal digits: what the mask is";
    }
}

impl TrainSpec {
    /// The learning rate of a 1-based epoch: divided by 10 for every milestone strictly
    /// passed (reference: 150, 180 and 210 of 240 epochs), or along a cosine that would be zero
    /// after the last epoch. Where it changes within an epoch, that of the middle.
    pub fn lr_at(&self, epoch: u32) -> f64 {
        self.lr_in(epoch, 0.5)
    }

    /// The learning rate inside a 1-based epoch, of which a share is done.
    pub fn lr_in(&self, epoch: u32, done: f64) -> f64 {
        let place = (f64::from(epoch.saturating_sub(1)) + done) / f64::from(self.epochs.max(1));
        let rises = place < self.warmup;
        match self.schedule {
            _ if rises => self.lr_of_epoch(epoch) * place / self.warmup,
            Schedule::OneCycle => self.lr * (1.0 - place) / (1.0 - self.warmup),
            _ => self.lr_of_epoch(epoch),
        }
    }

    /// The momentum of a 1-based epoch.
    pub fn momentum_at(&self, epoch: u32) -> f64 {
        let [least, most] = CYCLE_MOMENTUM;
        match self.schedule {
            Schedule::OneCycleCosine => self.cycle(epoch, [most, least, most]),
            _ => self.momentum,
        }
    }

    /// A value that runs along half cosines through three, from the first epoch by the peak to the last.
    fn cycle(&self, epoch: u32, [first, peak, last]: [f64; 3]) -> f64 {
        let (at, epochs) = (f64::from(epoch.saturating_sub(1)), f64::from(self.epochs));
        let (turn, end) = (CYCLE_RISES * epochs - 1.0, epochs - 1.0);
        match at <= turn {
            true => anneal(first, peak, at / turn.max(1e-9)),
            false => anneal(
                peak,
                last,
                ((at - turn.max(0.0)) / (end - turn.max(0.0)).max(1e-9)).min(1.0),
            ),
        }
    }

    fn lr_of_epoch(&self, epoch: u32) -> f64 {
        if self.schedule == Schedule::OneCycleCosine {
            let [rise, fall] = CYCLE_DIVISORS;
            return self.cycle(epoch, [self.lr / rise, self.lr, self.lr / rise / fall]);
        }
        if self.schedule == Schedule::OneCycle {
            return self.lr;
        }
        if self.schedule == Schedule::Cosine {
            let done = f64::from(epoch.saturating_sub(1)) / f64::from(self.epochs.max(1));
            return self.lr * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
        }
        let passed = self
            .milestones
            .iter()
            .filter(|fraction| (f64::from(self.epochs) * **fraction).round() < f64::from(epoch))
            .count();
        self.lr * 0.1_f64.powi(passed as i32)
    }

    /// Whether a defect of the reference is replayed.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Whether a defect of the reference concerns this stage, its network and its roles: where it
    /// does not, its switch changes nothing.
    pub fn concerns(&self, quirk: Quirk) -> bool {
        let (resnet, wrn) = (self.arch.starts_with("resnet"), self.arch.starts_with("wrn"));
        let (single, dual, triple) = (
            self.norm == NormBanks::Single,
            self.norm == NormBanks::Dual,
            self.norm == NormBanks::Triple,
        );
        let (teacher, search) = (self.stage == Stage::Teacher, self.stage == Stage::Mask);
        let distilled = !teacher && self.stage != Stage::Snl;
        let augmix = self.views.contains(&View::Augmix);
        let robust = self.is_robust();
        match quirk {
            Quirk::SharedShortcutNorm => teacher && resnet && !triple,
            Quirk::StrictThreshold | Quirk::ReplicatedFirstMask => {
                search && self.granularity == Granularity::Unit
            }
            Quirk::NormedStages => distilled && wrn,
            Quirk::SelectOnTest => self.stage != Stage::Snl,
            Quirk::TripleNormThirds => triple && augmix && (robust || distilled),
            Quirk::SingleNormRoles => single && robust,
            Quirk::OwnAugmixCrop => augmix,
            Quirk::StudentWithoutSkip => distilled && resnet,
            Quirk::TripleTeacherWithoutSkip => teacher && resnet && triple,
            Quirk::SingleNormCleanLoss => {
                distilled && single && robust && (self.gamma > 0.0 || self.beta > 0.0)
            }
            Quirk::NoAugmixKlOnly => distilled && dual && robust && !augmix,
            Quirk::TripleNormKlOnly => distilled && triple && robust,
        }
    }

    /// Whether its units are first drawn at random, layer by layer: those of a mask stage are, and
    /// of a student that has no mask stage.
    pub fn draws_mask(&self) -> bool {
        let counted = self.budget.is_some() || self.allocation.has_counts();
        self.stage == Stage::Mask || (self.stage == Stage::Student && counted)
    }

    /// Whether it scores units by the gradients of their gates.
    pub fn weighs_gates(&self) -> bool {
        self.stage == Stage::Mask && self.score == Score::Taylor
    }

    /// Whether it searches from the teacher's weights and all its ReLUs.
    pub fn starts_from_teacher(&self) -> bool {
        self.stage == Stage::Snl || (self.stage == Stage::Mask && self.score.is_of_all())
    }

    /// Whether any role is adversarial.
    pub fn is_robust(&self) -> bool {
        self.views.contains(&View::Adversarial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CellSpec, Suite, plan::PlanContext};

    /// A stage of the test suite with settings of its own.
    fn planned(stage: &str, sets: &[&str]) -> TrainSpec {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let suite = Suite::parse(crate::catalog::STAGES, "stages", &sets).expect("a suite");
        let plan = suite.plan(&PlanContext::unread(&suite)).expect("a plan");
        let cell = plan.cells.into_iter().find(|cell| cell.name == stage);
        match cell.expect(stage).spec {
            CellSpec::Train(spec) => spec,
            CellSpec::Evaluate(_) => panic!("{stage} is trained"),
        }
    }

    /// The values of PyTorch's OneCycleLR(max_lr=0.1, total_steps=100), epoch from 0: rate, momentum.
    #[test]
    fn one_cycle_with_cosines_is_pytorchs() {
        let spec = planned(
            "teacher",
            &[
                "training.schedule=one-cycle-cosine",
                "train.teacher.with.lr=0.1",
                "train.teacher.with.epochs=100",
            ],
        );
        for (epoch, lr, momentum) in [
            (0, 0.004, 0.95),
            (10, 0.029516, 0.92342),
            (20, 0.078937, 0.87194),
            (29, 0.1, 0.85),
            (40, 0.094030, 0.85597),
            (64, 0.0500002, 0.9),
            (77, 0.022455, 0.92754),
            (90, 0.004024, 0.94598),
            (99, 4e-7, 0.95),
        ] {
            let (got, got_momentum) = (spec.lr_at(epoch + 1), spec.momentum_at(epoch + 1));
            assert!((got - lr).abs() < 6e-7, "epoch {epoch}: {got} against {lr}");
            assert!(
                (got_momentum - momentum).abs() < 6e-6,
                "epoch {epoch}: {got_momentum} against {momentum}"
            );
        }
    }

    /// Which of the switches of `dialect = "reference"` have something to replay.
    #[test]
    fn switches_concern_the_stages_that_the_reference_gets_wrong() {
        let acting = |stage: &str, sets: &[&str]| {
            let spec = planned(stage, &[&["training.dialect=reference"], sets].concat());
            let acting = Quirk::ALL.iter().copied().filter(|quirk| spec.concerns(*quirk));
            acting.map(Quirk::number).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(acting("teacher", &[]), "B1 B4 B8");
        assert_eq!(acting("mask", &[]), "B2 B4 B8 B14 B23");
        assert_eq!(acting("rlnet", &[]), "B4 B8 B23");
        let triple = "network.norm=triple";
        assert_eq!(acting("teacher", &[triple]), "B4 B5 B8 B24");
        assert_eq!(acting("rlnet", &[triple]), "B4 B5 B8 B23 B27");
        assert_eq!(acting("rlnet", &["network.norm=single"]), "B4 B7 B23 B25");
        assert_eq!(acting("rlnet", &["network.arch=wrn-10-1"]), "B3 B4 B8");
        let without = "train.teacher.views=[\"clean\",\"adversarial\"]";
        assert_eq!(acting("rlnet", &[without]), "B4 B23 B26");
    }
}
