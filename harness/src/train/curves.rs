//! Training curves, gathered epoch by epoch.

use rlnet_suites::CurvePoint;
use std::collections::BTreeMap;

/// Sums of an epoch's values, weighted by images.
#[derive(Debug, Default)]
pub struct EpochMeans {
    sums: BTreeMap<String, (f64, f64)>,
}

impl EpochMeans {
    /// Adds a mean over `images` images.
    pub fn add(&mut self, metric: &str, value: f64, images: f64) {
        let (sum, weight) = self.sums.entry(metric.to_owned()).or_default();
        *sum += value * images;
        *weight += images;
    }

    /// The epoch's mean of one metric so far.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        let (sum, weight) = self.sums.get(metric)?;
        (*weight > 0.0).then(|| sum / weight)
    }

    /// One point a metric.
    pub fn points(&self, epoch: u32) -> Vec<CurvePoint> {
        self.sums
            .iter()
            .filter(|(_, (_, weight))| *weight > 0.0)
            .map(|(metric, (sum, weight))| CurvePoint {
                epoch,
                metric: metric.clone(),
                value: sum / weight,
            })
            .collect()
    }
}
