//! What real engines sent: the files of `tests/peers/private_inference.py`.

use crate::error::ReportError;
use rlnet_suites::protocol::Workload;
use serde::Deserialize;
use std::path::Path;

/// What private inference is costed with.
#[derive(Debug, Clone, Default)]
pub struct PrivateInference {
    /// The network link.
    pub link: rlnet_suites::protocol::Link,
    /// Measurements, in the order of their files.
    pub measured: Vec<MeasuredCost>,
}

/// One plan, computed by two parties of an engine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MeasuredCost {
    /// The engine.
    pub engine: String,
    /// Its version.
    pub engine_version: String,
    /// The protocol, as the engine's options call it.
    pub protocol: String,
    /// Who must be trusted, and with what.
    pub security: String,
    /// How masks were computed: `gather`, or `select`.
    pub mask: String,
    /// Checksum of the model's file.
    pub model: String,
    /// Architecture.
    pub arch: String,
    /// Branch.
    pub branch: String,
    /// Kept ReLUs.
    pub relus: u64,
    /// Bytes both ways of the network without its ReLUs.
    pub linear_bytes: u64,
    /// Bytes both ways that its ReLUs add.
    pub relu_bytes: i64,
    /// Messages of the server.
    pub messages_from_server: u64,
    /// Messages of the client.
    pub messages_from_client: u64,
    /// Images.
    pub images: u64,
    /// Largest difference of a logit from the network in floating point.
    pub largest_logit_error: f64,
    /// Images with the class that the network in floating point gives.
    pub same_class: u64,
}

#[derive(Deserialize)]
struct File {
    format: String,
    version: u32,
    measurements: Vec<MeasuredCost>,
}

impl MeasuredCost {
    /// Reads a file of measurements.
    ///
    /// # Errors
    /// When it cannot be read, or is of another format or version.
    pub fn read(path: &Path) -> Result<Vec<Self>, ReportError> {
        let unfit = |message: String| ReportError::Unfit {
            what: path.display().to_string(),
            message,
        };
        let text = std::fs::read_to_string(path).map_err(|error| unfit(error.to_string()))?;
        let file: File = serde_json::from_str(&text).map_err(|error| {
            unfit(format!(
                "it is no file of measurements ({error}); tests/peers/private_inference.py writes one with --json"
            ))
        })?;
        if (file.format.as_str(), file.version) != ("rlnet-private-inference", 1) {
            return Err(unfit(format!(
                "its format is {} of version {}; this version reads rlnet-private-inference of version 1",
                file.format, file.version
            )));
        }
        Ok(file.measurements)
    }

    /// The name of the profile that models it.
    pub fn profile(&self) -> String {
        format!("{}-{}", self.engine.to_lowercase(), self.protocol)
    }

    /// Bytes both ways.
    pub fn bytes(&self) -> f64 {
        self.linear_bytes as f64 + self.relu_bytes as f64
    }

    /// What was computed, of a network that keeps these ReLUs in these layers: a plan that selects computes them all.
    pub fn computed(&self, kept: &Workload, all: &Workload) -> Workload {
        match self.mask.as_str() {
            "select" => all.clone(),
            _ => kept.clone(),
        }
    }
}
