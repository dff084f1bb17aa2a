//! Noise: every value changed on its own.

pub(super) mod gaussian;
pub(super) mod impulse;
pub(super) mod shot;
pub(super) mod speckle;
