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
    /// ReLUs of the same network before any was removed.
    #[serde(default)]
    pub relus_total: Option<u64>,
    /// Multiply-accumulates: tells networks of one architecture for images of several sizes apart.
    #[serde(default)]
    pub macs: Option<u64>,
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
    /// Images with their own class by the engine, where the images had labels.
    #[serde(default)]
    pub right: Option<u64>,
    /// The same by the network in floating point.
    #[serde(default)]
    pub right_float: Option<u64>,
}

/// The line `intercept + slope ReLUs` through the bytes of one architecture, by least squares.
#[derive(Debug, Clone)]
pub struct CostLine<'a> {
    /// The first of its measurements: what they have in common.
    pub first: &'a MeasuredCost,
    /// Different numbers of ReLUs.
    pub networks: usize,
    /// Bytes.
    pub intercept: f64,
    /// Bytes a ReLU.
    pub slope: f64,
    /// The largest distance of a measurement from the line, bytes.
    pub residual: f64,
    /// The largest such distance as a share of the measured bytes.
    pub relative_residual: f64,
    /// Mean bytes of the networks with every ReLU left out.
    pub linear: f64,
}

impl<'a> CostLine<'a> {
    /// A line an architecture, engine and kind of mask that was measured at three or more numbers of ReLUs.
    pub fn of(measured: &'a [MeasuredCost]) -> Vec<Self> {
        let mut groups: Vec<Vec<&MeasuredCost>> = Vec::new();
        for found in measured {
            match groups.iter_mut().find(|group| group[0].is_comparable(found)) {
                // Another measurement of the same network says the same again.
                Some(group) if group.iter().any(|known| known.relus == found.relus) => {}
                Some(group) => group.push(found),
                None => groups.push(vec![found]),
            }
        }
        groups
            .iter()
            .filter(|group| group.len() > 2)
            .map(|group| Self::through(group))
            .collect()
    }

    fn through(group: &[&'a MeasuredCost]) -> Self {
        let count = group.len() as f64;
        let mean =
            |of: &dyn Fn(&MeasuredCost) -> f64| group.iter().map(|found| of(found)).sum::<f64>() / count;
        let (x, y) = (mean(&|found| found.relus as f64), mean(&MeasuredCost::bytes));
        let spread = mean(&|found| (found.relus as f64 - x).powi(2));
        let slope = mean(&|found| (found.relus as f64 - x) * (found.bytes() - y)) / spread;
        let intercept = y - slope * x;
        let away = |found: &MeasuredCost| (found.bytes() - intercept - slope * found.relus as f64).abs();
        let largest =
            |of: &dyn Fn(&MeasuredCost) -> f64| group.iter().map(|found| of(found)).fold(0.0, f64::max);
        Self {
            first: group[0],
            networks: group.len(),
            intercept,
            slope,
            residual: largest(&away),
            relative_residual: largest(&|found| away(found) / found.bytes()),
            linear: mean(&|found| found.linear_bytes as f64),
        }
    }
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

    /// Engine, version and protocol.
    pub fn engine_in_words(&self) -> String {
        format!("{} {}, {}", self.engine, self.engine_version, self.protocol)
    }

    /// Whether both differ in nothing but weights and mask.
    fn is_comparable(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            (
                one.engine_in_words(),
                one.security.clone(),
                one.mask.clone(),
                one.arch.clone(),
                one.macs,
            )
        };
        of(self) == of(other)
    }

    /// The measurement among these of the same architecture with every ReLU.
    pub fn whole<'a>(&self, measured: &'a [Self]) -> Option<&'a Self> {
        let is_whole = |found: &&Self| found.relus_total == Some(found.relus) && self.is_comparable(found);
        measured.iter().find(is_whole)
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
