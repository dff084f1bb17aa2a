//! Blur: values mixed with their neighbours.

pub(super) mod defocus;
pub(super) mod gaussian;
pub(super) mod glass;
pub(super) mod motion;
pub(super) mod zoom;
