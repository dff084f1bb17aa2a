//! The state of a stage between epochs, or between two steps of one: all that a resume needs
//! to go on exactly.

use super::average::WeightAverage;
use super::curves::EpochMeans;
use super::hysteresis::Indicators;
use super::optimizer::Optimizer;
use super::passes::Passes;
use super::score::Scores;
use super::snl::Slopes;
use crate::error::{Error, Result};
use crate::nn::checkpoint::Tensors;
use crate::nn::{Network, ReluMask};
use rlnet_suites::CurvePoint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Tensor, no_grad_guard};

/// The tensor of the inner attack's patterns.
const PATTERN: &str = "pattern";

/// The scalars of the state, kept in the checkpoint's header.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageHeader {
    /// Identity of the cell; a checkpoint of another cell is refused.
    pub cell: String,
    /// Epochs done.
    pub epoch: u32,
    /// The epoch whose weights are the best so far; 0 before any.
    pub best_epoch: u32,
    /// Its score, to the bit: a later epoch may tie with it.
    #[serde(serialize_with = "bits", deserialize_with = "from_bits")]
    pub best_score: f64,
    /// Curves so far, to the bit.
    #[serde(serialize_with = "curve_bits", deserialize_with = "from_curve_bits")]
    pub curves: Vec<CurvePoint>,
    /// Wall seconds so far.
    pub seconds: f64,
    /// How often the stage was resumed.
    pub resumed: u32,
    /// Steps done of the epoch after `epoch`.
    #[serde(default)]
    pub steps: usize,
    /// The sums of that epoch's means.
    #[serde(default)]
    pub means: BTreeMap<String, (u64, u64)>,
    /// Updates made by the optimiser, where the next one depends on their number.
    #[serde(default)]
    pub updates: u64,
    /// Updates of the units' indicators.
    #[serde(default)]
    pub indicated: u64,
    /// Updates of the average of weights.
    #[serde(default)]
    pub averaged: u64,
    /// The lasso's weight of a stage `snl`, its bits, and the fewest ReLUs it left so far.
    #[serde(default)]
    pub lasso: (u64, u64),
    /// Whether the stage ended before its last epoch: its mask is final.
    #[serde(default)]
    pub finished: bool,
    /// The epoch in which it was found to overfit, which ended it.
    #[serde(default)]
    pub overfitted: Option<u32>,
    /// Passes so far; none where a checkpoint from before they were counted is gone on from.
    #[serde(default)]
    pub passes: Option<Passes>,
    /// Checksum of the tensors (blake3): a damaged checkpoint must not be gone on from.
    #[serde(default)]
    pub checksum: String,
}

fn bits<S: Serializer>(value: &f64, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_u64(value.to_bits())
}

fn from_bits<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bits(u64),
        // Checkpoints from before the bits were kept.
        Decimal(f64),
    }
    Ok(match Written::deserialize(from)? {
        Written::Bits(bits) => f64::from_bits(bits),
        Written::Decimal(value) => value,
    })
}

fn curve_bits<S: Serializer>(points: &[CurvePoint], to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(
        points
            .iter()
            .map(|point| (point.epoch, &point.metric, point.value.to_bits())),
    )
}

fn from_curve_bits<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<CurvePoint>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bits(u32, String, u64),
        // Checkpoints from before the bits were kept.
        Point(CurvePoint),
    }
    let written = Vec::<Written>::deserialize(from)?.into_iter();
    Ok(written
        .map(|point| match point {
            Written::Bits(epoch, metric, bits) => CurvePoint {
                epoch,
                metric,
                value: f64::from_bits(bits),
            },
            Written::Point(point) => point,
        })
        .collect())
}

/// What an epoch has gathered before its end.
#[derive(Debug, Default)]
pub struct Partial {
    /// Steps done.
    pub steps: usize,
    /// Means of losses and accuracies.
    pub means: EpochMeans,
    /// Scores of the mask stage.
    pub scores: Scores,
    /// The patterns that inner attacks start from (LIET).
    pub pattern: Option<Tensor>,
}

/// A stage in flight.
pub struct StageState {
    /// The scalars.
    pub header: StageHeader,
    /// The network being trained, with the mask in force.
    pub network: Network,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The average of the weights, where the stage hands one on.
    pub average: WeightAverage,
    /// The units' slopes, of a stage `snl`.
    pub slopes: Option<Slopes>,
    /// The units' indicators, of a mask stage that searches with them.
    pub indicators: Option<Indicators>,
    /// Weights of the best epoch, in the order of the network's tensors.
    pub best: Vec<Tensor>,
    /// The mask of the best epoch, where the mask changes and it is not the last that is kept.
    pub best_mask: Option<ReluMask>,
    /// The mask of the epoch before this one, for the lag-2 distance.
    pub previous_mask: Option<ReluMask>,
    /// The running average of the scores, when they are averaged.
    pub scores: Option<Vec<Vec<f64>>>,
    /// The epoch in flight, where it was interrupted.
    pub partial: Option<Partial>,
}

impl StageState {
    /// Remembers the network's present weights as the best, of an epoch that ends.
    pub fn keep_best(&mut self, epoch: u32, score: f64) {
        let _guard = no_grad_guard();
        self.header.best_epoch = epoch;
        self.header.best_score = score;
        self.best = self
            .network
            .params()
            .iter()
            .map(|param| param.tensor.detach().copy())
            .collect();
        // A mask that was put in force before is one that changes from epoch to epoch.
        self.best_mask = self.previous_mask.as_ref().map(|_| self.network.mask().clone());
    }

    /// Puts the best weights, and their mask, into the network.
    ///
    /// # Errors
    /// When the mask is not this network's.
    pub fn restore_best(&mut self) -> Result<()> {
        let _guard = no_grad_guard();
        for (param, best) in self.network.params().iter().zip(&self.best) {
            param.tensor.shallow_clone().copy_(best);
        }
        if let Some(mask) = self.best_mask.take() {
            self.network.set_mask(mask)?;
        }
        Ok(())
    }

    /// Writes the checkpoint, atomically.
    ///
    /// # Errors
    /// When the disk refuses; the last checkpoint is untouched.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = Tensors::default();
        tensors.put_network("param/", &self.network);
        self.optimizer.save(&mut tensors);
        self.average.save(&mut tensors, &self.network);
        if let Some(slopes) = &self.slopes {
            slopes.save(&mut tensors);
        }
        if let Some(indicators) = &self.indicators {
            indicators.save(&mut tensors);
        }
        for (param, best) in self.network.params().iter().zip(&self.best) {
            tensors.put(format!("best/{}", param.name), best);
        }
        tensors.put_mask("mask/", self.network.mask());
        if let Some(mask) = &self.previous_mask {
            tensors.put_mask("previous_mask/", mask);
        }
        if let Some(mask) = &self.best_mask {
            tensors.put_mask("best_mask/", mask);
        }
        for (layer, scores) in self.scores.iter().flatten().enumerate() {
            tensors.put_scores(format!("score/{layer:03}"), scores);
        }
        let mut header = self.header.clone();
        (header.steps, header.means) = (0, BTreeMap::new());
        header.updates = self.optimizer.steps();
        header.averaged = self.average.updates;
        if let Some(indicators) = &self.indicators {
            header.indicated = indicators.updates();
        }
        if let Some(slopes) = &self.slopes {
            header.lasso = (slopes.lasso.to_bits(), slopes.fewest);
        }
        if let Some(partial) = &self.partial {
            header.steps = partial.steps;
            header.means = partial.means.to_bits();
            for (layer, scores) in partial.scores.values().iter().enumerate() {
                tensors.put_scores(format!("partial_score/{layer:03}"), scores);
            }
            if let Some(pattern) = &partial.pattern {
                tensors.put(PATTERN, pattern);
            }
        }
        header.checksum = tensors.checksum();
        tensors.save(path, &header)
    }

    /// Reads a checkpoint of this cell into the network and optimiser.
    ///
    /// # Errors
    /// When the file is damaged or belongs to another cell.
    pub fn load(&mut self, path: &Path) -> Result<()> {
        let (tensors, header): (Tensors, StageHeader) = Tensors::load(path)?;
        if header.cell != self.header.cell {
            return Err(Error::reading(
                path,
                format!(
                    "it is a checkpoint of cell {}, this is cell {}; delete it to start over",
                    header.cell, self.header.cell
                ),
            ));
        }
        if !header.checksum.is_empty() && header.checksum != tensors.checksum() {
            return Err(Error::reading(path, "its checksum is wrong: the file is damaged"));
        }
        let _guard = no_grad_guard();
        tensors.get_network("param/", &self.network)?;
        self.optimizer.load(&tensors, header.updates)?;
        self.average.load(&tensors, &self.network, header.averaged)?;
        let layers = self.network.layers().len();
        if header.best_epoch > 0 {
            self.best = self
                .network
                .params()
                .iter()
                .map(|param| {
                    let stored = tensors.get(&format!("best/{}", param.name), &param.tensor.size())?;
                    Ok(stored.to_device(param.tensor.device()))
                })
                .collect::<Result<_>>()?;
        }
        self.network.set_mask(tensors.get_mask("mask/", layers)?)?;
        if let Some(slopes) = &mut self.slopes {
            slopes.load(&tensors)?;
            (slopes.lasso, slopes.fewest) = (f64::from_bits(header.lasso.0), header.lasso.1);
            if !header.finished {
                slopes.rule(&mut self.network);
            }
        }
        if let Some(indicators) = &mut self.indicators {
            indicators.load(&tensors, header.indicated)?;
        }
        if tensors.has("previous_mask/000") {
            self.previous_mask = Some(tensors.get_mask("previous_mask/", layers)?);
        }
        if tensors.has("best_mask/000") {
            self.best_mask = Some(tensors.get_mask("best_mask/", layers)?);
        }
        if tensors.has("score/000") {
            let layer = |layer| tensors.get_scores(&format!("score/{layer:03}"));
            self.scores = Some((0..layers).map(layer).collect::<Result<_>>()?);
        }
        if header.steps > 0 {
            let values = (0..layers)
                .map(|layer| format!("partial_score/{layer:03}"))
                .filter(|name| tensors.has(name))
                .map(|name| tensors.get_scores(&name))
                .collect::<Result<Vec<_>>>()?;
            let (shapes, device) = (self.network.layer_shapes(), self.network.params().device());
            let (classes, side) = (
                self.network.spec().classes as i64,
                self.network.spec().image_size as i64,
            );
            let pattern = tensors
                .has(PATTERN)
                .then(|| tensors.get(PATTERN, &[classes, 3, side, side]));
            self.partial = Some(Partial {
                steps: header.steps,
                means: EpochMeans::from_bits(&header.means),
                scores: Scores::from_values(&values, &shapes, device),
                pattern: pattern.transpose()?.map(|pattern| pattern.to_device(device)),
            });
        }
        self.header = header;
        Ok(())
    }
}
