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
                *sum += term;
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
