//! Adversarial images from elsewhere, as a run keeps what they did: `external/*.json`.

use crate::branch::Branch;
use crate::cell::CellId;
use serde::{Deserialize, Serialize};

/// The folder of a run that holds them.
pub const FOLDER: &str = "external";

/// What images of another party did to a model, beside a cell of an attack with the same ball.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalEvaluation {
    /// The attack's cell.
    pub cell: CellId,
    /// Who made the images and how, as a report names it.
    pub source: String,
    /// Checksum of their file.
    pub checksum: String,
    /// Images of the file.
    pub images: u32,
    /// Those that broke what the attack did not.
    pub broken: Vec<ExternalRow>,
}

/// An image that the attack left and that fell to an image from elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalRow {
    /// Position in the official test set.
    pub image: u32,
    /// The branch it went through.
    pub branch: Branch,
    /// What it is taken for.
    pub prediction: u16,
    /// The same once it is rounded to 8 bits.
    pub rounded: u16,
    /// Length of the perturbation in the attack's norm.
    pub norm: f32,
}
