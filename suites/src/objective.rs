//! What a stage minimises, by the names the reference gives its modes.

use crate::error::{SuiteError, suggest};
use crate::view::View;
use crate::words::words;
use serde::Deserialize;

words! {
    /// The loss of the attention term (weight beta).
    #[derive(Default)]
    pub enum Pram, "pram" {
        /// Attention transfer, what the reference code runs: mean square over channels, unit
        /// length an image, mean squared difference.
        #[default]
        Attention = "attention",
        /// SENet's formula, norms over the whole batch: `1/2 Σ ‖s/‖s‖ - t/‖t‖‖`.
        SenetBatch = "senet-batch",
        /// SENet's formula, norms an image, then the mean over images.
        SenetImage = "senet-image",
    }
}

words! {
    /// What the inner attack of training maximises.
    #[derive(Default)]
    pub enum Inner, "inner" {
        /// `kl` where there is a teacher, else `ce`.
        #[default]
        Auto = "auto",
        /// Cross entropy to the labels.
        Ce = "ce",
        /// KL to the teacher's clean logits (RSLAD).
        Kl = "kl",
    }
}

words! {
    /// Where the inner attack of training starts.
    #[derive(Default)]
    pub enum InnerStart, "inner_start" {
        /// Where the attack says.
        #[default]
        Own = "own",
        /// At the image plus or minus what the network takes for its class, a part of it replaced by noise (LIET, ICCV
        /// 2025); the attack then maximises the smoothed loss.
        LabelInformation = "label-information",
    }
}

words! {
    /// How a smoothed label's share is spread.
    #[derive(Default)]
    pub enum Smoothing, "smoothing" {
        /// Evenly over all classes.
        #[default]
        Even = "even",
        /// Over the other classes, in proportions that are drawn anew for every image and loss (LIET, ICCV 2025).
        Random = "random",
    }
}

words! {
    /// How the mask stage scores a unit.
    #[derive(Default)]
    pub enum Score, "score" {
        /// Difference of the unit's activation, in its present state, to the teacher's (the
        /// reference). A dropped unit scores higher than a kept one, so part of the mask flips with
        /// period 2 (defect B28).
        #[default]
        Own = "own",
        /// The same, averaged over epochs with weight 0.9 on the past: fewer flips, not none (on
        /// CIFAR-10 at 5x still more of the mask moves in one epoch than in two).
        Averaged = "averaged",
        /// Difference of the unit's input to the teacher's activation: every unit is scored as if
        /// it were dropped, whatever its state.
        Preactivation = "preactivation",
        /// As `preactivation`, times the share of the images of the adversarial role on which the
        /// certified loss's intervals leave the unit's sign known: the most unstable and least
        /// significant units become linear (linearity grafting: Chen et al., ICML 2022).
        Unstable = "unstable",
        /// What the loss changes by, to first order, as the unit goes from ReLU to identity or back (Taylor importance:
        /// Molchanov et al., CVPR 2019).
        Taylor = "taylor",
        /// A trained indicator with hysteresis, over the whole network (AutoReP: Peng et al., ICCV 2023).
        Hysteresis = "hysteresis",
        /// Blocks of units are taken away for good, the least missed of several drawn by lot, over the whole network (block
        /// coordinate descent: Rakhlin et al., 2025, arXiv 2511.11781).
        CoordinateDescent = "coordinate-descent",
        /// None: the units stay those drawn at random before the first epoch (a control: the same
        /// training, no search).
        Random = "random",
    }
}

words! {
    /// The arithmetic of a training stage. Verdicts of an evaluation are always in `fp32`.
    #[derive(Default)]
    pub enum Precision, "precision" {
        /// Single precision throughout.
        #[default]
        Fp32 = "fp32",
        /// Convolutions on CUDA round their inputs to TF32, which is what PyTorch does by default;
        /// no difference on a CPU.
        Tf32 = "tf32",
        /// As `tf32`, and the inner attack runs in bfloat16: its gradients are used by their sign.
        Bf16 = "bf16",
    }
}

words! {
    /// How the learning rate falls.
    #[derive(Default)]
    pub enum Schedule, "schedule" {
        /// By a factor of ten at each milestone.
        #[default]
        Steps = "steps",
        /// Along half a cosine, to zero.
        Cosine = "cosine",
        /// In a line up to `lr` at the end of the warm-up, and down to zero, a rate a step (Smith and
        /// Topin, 2018, in the form of Wong et al., ICLR 2020).
        OneCycle = "one-cycle",
        /// PyTorch's OneCycleLR with its defaults, a rate an epoch: along half a cosine from lr/25 to lr in three tenths of
        /// the epochs, and down to lr/250,000; the momentum runs from 0.95 to 0.85 and back.
        OneCycleCosine = "one-cycle-cosine",
    }
}

words! {
    /// Which average of the weights a stage hands on.
    #[derive(Default)]
    pub enum Average, "average" {
        /// None: the weights of the selected epoch.
        #[default]
        None = "none",
        /// Exponential, after every step.
        Ema = "ema",
        /// Equal weights of the ends of epochs (stochastic weight averaging).
        Swa = "swa",
    }
}

words! {
    /// What the augmented role (view `augmix`) is made by.
    #[derive(Default)]
    pub enum Augmentation, "augmentation" {
        /// AugMix without its consistency loss (the method).
        #[default]
        Augmix = "augmix",
        /// Gaussian noise, its deviation uniform up to 0.1 of the range of pixels.
        Gaussian = "gaussian",
        /// PixMix (Hendrycks et al., CVPR 2022), with fractals drawn by formula.
        Pixmix = "pixmix",
        /// One of the four extra corruptions at a random severity, which no benchmark averages.
        Corruption = "corruption",
        /// Nothing beyond crop and flip: a second clean view, cropped and flipped on its own.
        None = "none",
    }
}

impl Score {
    /// Whether it compares activations with the teacher's.
    pub fn compares(self) -> bool {
        matches!(
            self,
            Self::Own | Self::Averaged | Self::Preactivation | Self::Unstable
        )
    }

    /// Whether it begins with all units and takes from the whole network, whatever the layers' shares are.
    pub fn is_of_all(self) -> bool {
        matches!(self, Self::Hysteresis | Self::CoordinateDescent)
    }
}

words! {
    /// What a mask keeps or drops as one.
    #[derive(Default)]
    pub enum Granularity, "granularity" {
        /// Single units.
        #[default]
        Unit = "unit",
        /// Whole channels: as many as fit in the layer's count.
        Channel = "channel",
    }
}

words! {
    /// What a unit computes whose ReLU the mask drops.
    #[derive(Default)]
    pub enum Dropped, "dropped" {
        /// It hands on what it gets (the reference, SNL).
        #[default]
        Identity = "identity",
        /// `a x + b`, where `a` and `b` are trained with the weights, from 1 and 0 (linearity grafting: Chen et al., ICML
        /// 2022). All dropped units of a channel share them; there every unit has its own.
        Affine = "affine",
    }
}

/// A named combination of loss terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    /// Its name.
    pub name: &'static str,
    /// Weight of the cross entropy, mean over roles.
    pub gamma: f64,
    /// Weight of the distillation, mean over roles.
    pub alpha: f64,
    /// Weight of the attention term, mean over `attention`.
    pub beta: f64,
    /// Roles whose features are compared.
    pub attention: &'static [View],
    /// What the inner attack maximises.
    pub inner: Inner,
    /// Weight of TRADES' consistency term; 0 is off.
    pub trades: f64,
}

const CLEAN: &[View] = &[View::Clean];
const BOTH: &[View] = &[View::Clean, View::Augmix];
const ALL: &[View] = &[View::Clean, View::Augmix, View::Adversarial];

const fn mode(name: &'static str, weights: [f64; 3], attention: &'static [View], inner: Inner) -> Mode {
    let [gamma, alpha, beta] = weights;
    Mode {
        name,
        gamma,
        alpha,
        beta,
        attention,
        inner,
        trades: 0.0,
    }
}

/// The modes. Names up to `ce` are the reference's; its weights are those of its commands
/// (gamma = alpha = 0.5 wherever both terms are there, beta = 1000).
pub const MODES: [Mode; 11] = [
    mode("rslad", [0.0, 1.0, 0.0], BOTH, Inner::Kl),
    mode("rslad+ce", [0.5, 0.5, 0.0], BOTH, Inner::Kl),
    mode("rslad+attn", [0.0, 1.0, 1000.0], CLEAN, Inner::Kl),
    mode("rslad+attn+augattn", [0.0, 1.0, 1000.0], BOTH, Inner::Kl),
    mode("rslad+attn+augattn+advattn", [0.0, 1.0, 1000.0], ALL, Inner::Kl),
    mode("rslad+attn+augattn+ce", [0.5, 0.5, 1000.0], BOTH, Inner::Kl),
    mode(
        "rslad+attn+augattn+advattn+ce",
        [0.5, 0.5, 1000.0],
        ALL,
        Inner::Kl,
    ),
    // The reference calls it pgd, kl and ard, and runs the same thing (defect B29).
    mode("ce", [1.0, 0.0, 0.0], BOTH, Inner::Ce),
    // SENet's natural fine-tuning, no attack (reference README, CIFAR-10).
    mode("senet", [0.1, 0.5, 1000.0], CLEAN, Inner::Auto),
    Mode {
        trades: 1.0,
        ..mode("trades-1", [1.0, 0.0, 0.0], CLEAN, Inner::Auto)
    },
    Mode {
        trades: 6.0,
        ..mode("trades-6", [1.0, 0.0, 0.0], CLEAN, Inner::Auto)
    },
];

/// A mode in a suite: its name.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct ModeName(pub &'static Mode);

impl TryFrom<String> for ModeName {
    type Error = SuiteError;
    fn try_from(text: String) -> Result<Self, SuiteError> {
        MODES
            .iter()
            .find(|mode| mode.name == text)
            .map(Self)
            .ok_or_else(|| {
                let hint = suggest(&text, MODES.iter().map(|mode| mode.name));
                SuiteError::value("loss mode", &text, hint)
            })
    }
}

/// For `skip_serializing_if`: settings at their default stay out of a cell's identity, so
/// cells of before the setting existed keep theirs.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
