//! Digital: what processing and storage do.

pub(super) mod contrast;
pub(super) mod elastic;
pub(super) mod jpeg;
pub(super) mod pixelate;
pub(super) mod saturate;
