//! What there is to say of an attack, in one place: its entry in the registry.

use super::certify::CERTIFY;
use super::param::{Param, Parameters};
use super::shared::Loss;
use super::{AttackSpec, all};
use crate::error::SuiteError;

/// What an attack looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Gradients.
    Gradients,
    /// Logits only.
    Logits,
    /// Nothing: a control, which every attack must beat.
    Nothing,
}

/// One attack: everything that is said of it anywhere derives from this.
#[derive(Clone, Copy)]
pub struct AttackEntry {
    /// The field's short name.
    pub name: &'static str,
    /// The name in reports, as its authors and the field write it.
    pub display: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// Its parameters, all optional.
    pub params: &'static [Param],
    /// Raised by hand when results change: part of every cell's identity.
    pub version: u32,
    /// Attacks that it runs, whose versions count as well.
    pub uses: &'static [&'static AttackEntry],
    /// What it looks at.
    pub access: Access,
    /// Its place among the kinds when AdvA's attack is chosen; the larger the stronger.
    pub rank: u8,
    /// The loss of an attack without a parameter `loss`.
    pub loss: Loss,
    /// Whether it looks for the smallest perturbation: its rows hold its size, and an image counts
    /// as broken at whatever size.
    pub minimum_norm: bool,
    /// Whether it drives values out of the ring that the model computes in.
    pub overflows: bool,
    /// Whether training can use it, with sign steps from one uniform start.
    pub trains: bool,
    /// The attack of which it is one step.
    pub one_step_of: Option<&'static AttackEntry>,
    /// The fewest classes it is defined for, and what to use with fewer.
    pub classes: fn(&AttackSpec) -> (usize, &'static str),
    /// Passes, forward and backward, for an image that nothing breaks early; without `eot`.
    pub passes: fn(&AttackSpec) -> f64,
    /// Further effort beside steps, restarts, targets and queries.
    pub effort: fn(&AttackSpec) -> usize,
    /// The attacks that it is the union of, in order; none for an attack of its own.
    pub parts: fn(&AttackSpec) -> Result<Vec<AttackSpec>, SuiteError>,
    /// Refuses values that do not go together.
    pub check: fn(&AttackSpec) -> Result<(), SuiteError>,
}

impl AttackEntry {
    /// An attack with these parameters that follows gradients, and nothing else to say of it yet.
    pub const fn of<P: Parameters>() -> Self {
        Self {
            name: "",
            display: "",
            title: "",
            source: "",
            params: P::PARAMS,
            version: 1,
            uses: &[],
            access: Access::Gradients,
            rank: 0,
            loss: Loss::CrossEntropy,
            minimum_norm: false,
            overflows: false,
            trains: false,
            one_step_of: None,
            classes: |_| (2, "a model with two classes or more"),
            passes: |_| 0.0,
            effort: |_| 1,
            parts: |_| Ok(Vec::new()),
            check: |_| Ok(()),
        }
    }

    /// The entry of a name; the certificate's too, which is in no list of attacks.
    pub fn find(name: &str) -> Option<&'static Self> {
        all().chain([&CERTIFY]).find(|entry| entry.name == name)
    }
}

impl std::fmt::Debug for AttackEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A figure of an attack's typed parameters; 0 of an attack with others.
pub(super) fn figure<P: Parameters>(spec: &AttackSpec, of: impl Fn(&P) -> f64) -> f64 {
    spec.read().map_or(0.0, |params| of(&params))
}
