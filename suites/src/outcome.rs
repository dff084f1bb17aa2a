//! What is measured: one row per test image and condition; training curves; what is measured of a
//! model beside its answers.

use crate::branch::Branch;
use crate::condition::Condition;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// What a network said of one test image, through one branch, under one condition.
/// Every metric of every report is a function of these rows. `C` is the condition, or a shared one
/// where there are millions of rows. (The columns of files are in `reports/src/run_files.rs`.)
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<C = Condition> {
    /// Position in the official test set.
    pub image: u32,
    /// The branch the image was classified (and, for an attack, attacked) through.
    pub branch: Branch,
    /// What the image went through.
    pub condition: C,
    /// True class.
    pub label: u16,
    /// Class with the largest logit; ties go to the lower class.
    pub prediction: u16,
    /// Its class once the image is rounded to 8 bits: the same for every image but an
    /// adversarial one.
    pub rounded: u16,
    /// True logit minus the largest other logit: positive when right.
    pub margin: f32,
    /// Cross entropy in nats.
    pub loss: f32,
    /// Length of the perturbation in the attack's norm, images in `[0, 1]`; 0 without an attack.
    pub norm: f32,
    /// Forward passes spent on this image under this condition.
    pub forwards: u32,
    /// Backward passes spent on this image under this condition; under a certificate the branches bounded.
    pub backwards: u32,
    /// Of the backward passes those whose gradient was zero, not finite or lost to underflow. All of them: the attack had
    /// nothing to follow (see [`Self::is_blind`]). None where it broke the image by itself all the same.
    pub unusable: u32,
    /// Under a certificate the ReLUs whose sign the ball leaves open; else 0.
    pub unstable: u32,
    /// For a frame of a sequence, which classes come first; else none.
    pub ranking: Ranking,
}

impl<C> Outcome<C> {
    /// Whether the attack that followed gradients never got one that it could follow, and did not break the
    /// image: what is said of the image rests on the search without gradients that came after it, if any.
    pub fn is_blind(&self) -> bool {
        self.backwards > 0 && self.unusable >= self.backwards
    }
}

/// Classes in the order of their logits, the largest first; of equal logits the lower class comes first. In a file, their
/// numbers with spaces between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranking(Vec<u16>);

impl Ranking {
    /// Of as many classes all are kept, of more the first [`Self::FIRST`]: the distance of a thousand inverse ranks is
    /// not worth a thousand numbers a frame.
    pub const MOST: usize = 16;
    /// Nothing is kept.
    pub const NONE: Self = Self(Vec::new());
    /// Classes that the top-5 distance looks at.
    pub const FIRST: usize = 5;

    /// What is kept of the order of these logits.
    ///
    /// ```
    /// use rlnet_suites::Ranking;
    /// assert_eq!(Ranking::of(&[0.5, 2.0, 0.5]).to_string(), "1 0 2");
    /// assert_eq!(Ranking::of(&[0.0; 100]).classes(), [0, 1, 2, 3, 4]);
    /// ```
    pub fn of(logits: &[f32]) -> Self {
        let mut order = Self::order(logits);
        if order.len() > Self::MOST {
            order.truncate(Self::FIRST);
        }
        Self(order)
    }

    /// All classes in their order.
    pub fn order(logits: &[f32]) -> Vec<u16> {
        let mut order: Vec<u16> = (0..logits.len() as u16).collect();
        // A negative zero equals a positive one.
        let logit = |class: u16| logits[usize::from(class)] + 0.0;
        order.sort_by(|&a, &b| logit(b).total_cmp(&logit(a)));
        order
    }

    /// The classes that are kept, in their order; none where nothing is.
    pub fn classes(&self) -> &[u16] {
        &self.0
    }
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, class) in self.0.iter().enumerate() {
            let between = if place > 0 { " " } else { "" };
            write!(f, "{between}{class}")?;
        }
        Ok(())
    }
}

impl FromStr for Ranking {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// What a certificate says of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// No point of the ball is classified wrongly.
    Certified,
    /// A point of the ball is, and it was found.
    Broken,
    /// Neither is known.
    Open,
}

impl Certainty {
    /// Of a row under a certificate, whose margin is the proven lower bound of the margins in the whole ball, or of
    /// a broken image the margin at the point that was found.
    pub fn of(right: bool, margin: f32) -> Self {
        match (right, margin > 0.0) {
            (false, _) => Self::Broken,
            (true, true) => Self::Certified,
            (true, false) => Self::Open,
        }
    }
}

/// One value of a training curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// 1-based epoch.
    pub epoch: u32,
    /// `loss/total`, `validation/accuracy/clean`, ... (slashes group, as in TensorBoard).
    pub metric: String,
    /// The value.
    pub value: f64,
}

/// Where a mask keeps ReLUs: the share of channels that one place of one layer keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskShare {
    /// Name of the layer.
    pub layer: String,
    /// Place in the layer's map, row by row from 0.
    pub place: u32,
    /// Share of the channels whose ReLU is kept there, in `[0, 1]`.
    pub kept: f64,
}

/// What is probed of a model's gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientProbe {
    /// Step of the attack that follows the gradients; 0 is the start.
    pub step: u32,
    /// `gradient/zero/BRANCH`, `gradient/nan/BRANCH`, `gradient/dlr-constant/BRANCH` (shares of
    /// the images), `loss/BRANCH` (mean cross entropy, nats).
    pub metric: String,
    /// The value.
    pub value: f64,
}

/// What is measured of one ReLU layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerValue {
    /// Place of the layer, from 1.
    pub layer: u32,
    /// `cosine/BRANCH` and `distance/BRANCH` of a student's activations to its teacher's; `unstable/BRANCH` under a
    /// certificate.
    pub metric: String,
    /// Mean over images.
    pub value: f64,
}
