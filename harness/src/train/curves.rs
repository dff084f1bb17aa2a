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

    /// The sums so far, as the bits of (sum, images): JSON's decimals may lose the last one.
    pub fn to_bits(&self) -> BTreeMap<String, (u64, u64)> {
        let bits = |(sum, weight): &(f64, f64)| (sum.to_bits(), weight.to_bits());
        self.sums
            .iter()
            .map(|(name, sums)| (name.clone(), bits(sums)))
            .collect()
    }

    /// Sums as [`to_bits`](Self::to_bits) gave them.
    pub fn from_bits(bits: &BTreeMap<String, (u64, u64)>) -> Self {
        let sums = |(sum, weight): &(u64, u64)| (f64::from_bits(*sum), f64::from_bits(*weight));
        Self {
            sums: bits
                .iter()
                .map(|(name, bits)| (name.clone(), sums(bits)))
                .collect(),
        }
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
