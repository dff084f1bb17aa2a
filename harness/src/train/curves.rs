//! Training curves, gathered epoch by epoch.

use rlnet_suites::CurvePoint;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Sums of an epoch's values, weighted by images. They stay on the device until they are asked
/// for: reading one waits for all the work before it.
#[derive(Debug, Default)]
pub struct EpochMeans {
    sums: BTreeMap<String, (Tensor, f64)>,
}

impl EpochMeans {
    /// Adds a mean (a tensor of one value) over `images` images.
    pub fn add(&mut self, metric: &str, value: &Tensor, images: f64) {
        let term = value.detach().to_kind(Kind::Double) * images;
        match self.sums.get_mut(metric) {
            Some((sum, weight)) => {
                // The sum of an interrupted epoch comes back on the host.
                *sum = &*sum + term;
                *weight += images;
            }
            None => {
                self.sums.insert(metric.to_owned(), (term, images));
            }
        }
    }

    /// The epoch's mean of one metric so far.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        let (sum, weight) = self.sums.get(metric)?;
        (*weight > 0.0).then(|| sum.double_value(&[]) / weight)
    }

    /// The sums so far, as the bits of (sum, images): JSON's decimals may lose the last one.
    pub fn to_bits(&self) -> BTreeMap<String, (u64, u64)> {
        let bits = |(sum, weight): &(Tensor, f64)| (sum.double_value(&[]).to_bits(), weight.to_bits());
        self.sums
            .iter()
            .map(|(name, sums)| (name.clone(), bits(sums)))
            .collect()
    }

    /// Sums as [`to_bits`](Self::to_bits) gave them.
    pub fn from_bits(bits: &BTreeMap<String, (u64, u64)>) -> Self {
        let sums = |(sum, weight): &(u64, u64)| (Tensor::from(f64::from_bits(*sum)), f64::from_bits(*weight));
        Self {
            sums: bits
                .iter()
                .map(|(name, bits)| (name.clone(), sums(bits)))
                .collect(),
        }
    }

    /// One point a metric.
    pub fn points(&self, epoch: u32) -> Vec<CurvePoint> {
        let point = |metric: &String| {
            Some(CurvePoint {
                epoch,
                metric: metric.clone(),
                value: self.mean(metric)?,
            })
        };
        self.sums.keys().filter_map(point).collect()
    }
}
