//! Random noise.

use super::entry::{Access, AttackEntry, figure};
use super::param::{from_word, parameters};
use super::shared::{BASE, EOT, EPS, NORM_2, Norm, count, word};
use crate::words::words;

words! {
    /// How noise is drawn.
    pub enum NoiseKind, "kind" {
        /// Uniform in the ball.
        Uniform = "uniform",
        /// A Gaussian direction scaled to the sphere.
        Gaussian = "gaussian",
    }
}

from_word!(NoiseKind);

parameters! {
    /// Random points of the ball.
    Noise {
        /// Norm of the ball.
        norm: Norm = NORM_2,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// How a point is drawn.
        kind: NoiseKind = word(
            NoiseKind::WORDS,
            "uniform in the ball, or a Gaussian direction scaled to the sphere",
        ),
        /// Points drawn for an image, at most.
        draws: usize = count("10", "draws an image; it counts as broken when any breaks it"),
    } and [EOT, BASE]
}

/// Random noise.
pub static NOISE: AttackEntry = AttackEntry {
    name: "noise",
    display: "noise",
    title: "Random noise of norm eps, no gradient: a baseline that every attack must beat",
    source: "Carlini et al. 2019, On evaluating adversarial robustness, arXiv 1902.06705",
    access: Access::Nothing,
    passes: |spec| figure(spec, |own: &Noise| own.draws as f64),
    ..AttackEntry::of::<Noise>()
};
