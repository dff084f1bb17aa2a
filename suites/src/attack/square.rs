//! The Square attack.

use super::entry::{Access, AttackEntry, figure};
use super::param::parameters;
use super::shared::{BASE, EOT, EPS, NORM, Norm, QUERIES, REFERENCE_RNG, RESTARTS, number};

parameters! {
    /// Random search over square patches.
    Square {
        /// Norm of the ball.
        norm: Norm = NORM,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Forward passes an image and restart, at most.
        queries: usize = QUERIES,
        /// Number of starts.
        restarts: usize = RESTARTS,
        /// Share of the pixels changed at first.
        p: f64 = number("0.8", "share of the pixels changed at first"),
    } and [REFERENCE_RNG, EOT, BASE]
}

/// Square.
pub static SQUARE: AttackEntry = AttackEntry {
    name: "square",
    display: "Square",
    title: "Square attack: random search with logits only, no gradient",
    source: "Andriushchenko et al., ECCV 2020, arXiv 1912.00049",
    access: Access::Logits,
    passes: |spec| figure(spec, |own: &Square| (own.queries * own.restarts) as f64),
    ..AttackEntry::of::<Square>()
};
