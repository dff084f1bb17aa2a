//! Adversarial images from elsewhere and verdicts of other verifiers, as a run keeps what they did: `external/*.json`.

use crate::branch::Branch;
use crate::cell::CellId;
use serde::{Deserialize, Serialize};

/// The folder of a run that holds them.
pub const FOLDER: &str = "external";

/// What images of another party did to a model, beside a cell of an attack with the same ball; or what another verifier
/// proved of it, beside a cell of a certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalEvaluation {
    /// The cell of the attack, or of the certificate.
    pub cell: CellId,
    /// Who made the images or the verdicts and how, as a report names it.
    pub source: String,
    /// Checksum of their file.
    pub checksum: String,
    /// Images of the file, or its verdicts.
    pub images: u32,
    /// Those that broke what the attack did not.
    pub broken: Vec<ExternalRow>,
    /// Images that are proven and that the certificate left open, each through a branch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proven: Vec<(u32, Branch)>,
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
