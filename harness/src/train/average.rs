//! Averages of weights over a training: exponential after every step, or stochastic weight averaging after
//! every epoch (Izmailov et al., UAI 2018). What is validated, kept and handed on is the average, with the running
//! statistics of every bank estimated anew, under the mask in force: those of the last weights do not fit it.

use super::passes::Passes;
use super::stage::{StageInput, views};
use super::state::StageState;
use super::step::{Step, fills_norms};
use crate::data::epoch;
use crate::error::Result;
use crate::nn::Network;
use crate::nn::checkpoint::Tensors;
use crate::nn::layers::MOMENTUM;
use rlnet_suites::objective::Average;
use rlnet_suites::view::View;
use rlnet_suites::{NormBanks, TrainSpec};
use std::cell::RefCell;
use std::sync::Arc;
use tch::{Tensor, no_grad_guard};

/// Training images from which running statistics are estimated anew.
const ESTIMATED_FROM: usize = 2048;

/// The average of a network's trainable tensors.
#[derive(Debug, Default)]
pub struct WeightAverage {
    /// In the order of the network's trainable tensors; none before the first update.
    tensors: Vec<Tensor>,
    /// Updates so far.
    pub updates: u64,
}

impl WeightAverage {
    /// After a step, done to the share `place` of the training.
    pub fn after_step(&mut self, spec: &TrainSpec, network: &Network, place: f64) {
        if spec.average == Average::Ema && place >= spec.average_from {
            // Young averages forget faster: the first weights are still far from good ones.
            let young = (1.0 + self.updates as f64) / (10.0 + self.updates as f64);
            self.update(network, 1.0 - spec.average_decay.min(young));
        }
    }

    /// After an epoch.
    pub fn after_epoch(&mut self, spec: &TrainSpec, network: &Network, epoch: u32) {
        let place = f64::from(epoch) / f64::from(spec.epochs.max(1));
        if spec.average == Average::Swa && place >= spec.average_from {
            self.update(network, 1.0 / (self.updates as f64 + 1.0));
        }
    }

    /// Moves the average by a share of the way to the present weights.
    fn update(&mut self, network: &Network, share: f64) {
        let _guard = no_grad_guard();
        let now = network.params().trainable();
        if self.updates == 0 {
            self.tensors = now.iter().map(|tensor| tensor.detach().copy()).collect();
        }
        for (average, now) in self.tensors.iter_mut().zip(&now) {
            let _ = average.g_add_(&((now - &*average) * share));
        }
        self.updates += 1;
    }

    /// Puts it into a checkpoint.
    pub fn save(&self, tensors: &mut Tensors, network: &Network) {
        for (param, average) in trainable(network).zip(&self.tensors) {
            tensors.put(format!("average/{}", param.name), average);
        }
    }

    /// Takes it from a checkpoint, after `updates` updates.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub fn load(&mut self, tensors: &Tensors, network: &Network, updates: u64) -> Result<()> {
        self.updates = updates;
        if updates > 0 {
            let stored = |param: &crate::nn::params::Param| {
                let stored = tensors.get(&format!("average/{}", param.name), &param.tensor.size())?;
                Ok(stored.to_device(network.params().device()))
            };
            self.tensors = trainable(network).map(stored).collect::<Result<_>>()?;
        }
        Ok(())
    }
}

fn trainable(network: &Network) -> impl Iterator<Item = &crate::nn::params::Param> {
    network.params().iter().filter(|param| param.trainable)
}

/// Runs `work` with the average in the network's place, and puts the network's own weights and statistics back.
/// Where nothing is averaged yet, with the network as it is.
///
/// # Errors
/// Those of `work`, or when libtorch refuses.
pub fn with_average<T>(
    input: &StageInput<'_>,
    state: &mut StageState,
    work: impl FnOnce(&mut StageState) -> Result<T>,
) -> Result<T> {
    if state.average.updates == 0 {
        return work(state);
    }
    let own: Vec<Tensor> = state
        .network
        .params()
        .iter()
        .map(|param| param.tensor.detach().copy())
        .collect();
    let averages: Vec<&Tensor> = state.average.tensors.iter().collect();
    put(trainable(&state.network).map(|param| &param.tensor), averages);
    estimate_statistics(input, state)?;
    let result = work(state);
    put(
        state.network.params().iter().map(|param| &param.tensor),
        own.iter().collect(),
    );
    result
}

fn put<'a>(places: impl Iterator<Item = &'a Tensor>, values: Vec<&Tensor>) {
    let _guard = no_grad_guard();
    for (place, value) in places.zip(values) {
        place.shallow_clone().copy_(value);
    }
}

/// The share that a step's passes leave of what a running statistic was: each role that goes through its bank takes a
/// tenth, and so does the inner attack's start where the loss looks at it.
fn left_of(spec: &TrainSpec, name: &str) -> f64 {
    let of_bank = |view: &&View| {
        let branch = spec.norm.branch_of(**view);
        spec.norm == NormBanks::Single || name.contains(&format!(".{branch}.running_"))
    };
    let starts = spec.start_consistency > 0.0 && of_bank(&&View::Adversarial);
    let roles = spec.views.iter().filter(of_bank).count() + usize::from(starts);
    (1.0 - MOMENTUM).powi(roles as i32)
}

/// Running means and variances of every bank that training uses: means over batches of each role's images.
fn estimate_statistics(input: &StageInput<'_>, state: &StageState) -> Result<()> {
    let (spec, network) = (input.spec, &state.network);
    let uncounted = Passes::default();
    let step = Step {
        spec,
        network,
        teacher: input.teacher,
        slopes: state.slopes.as_ref(),
        epoch: state.header.epoch + 1,
        lr: 0.0,
        done: f64::from(state.header.epoch) / f64::from(spec.epochs),
        pattern: RefCell::default(),
        passes: state.header.passes.as_ref().unwrap_or(&uncounted),
    };
    let statistics = network.params().iter().filter(|param| !param.trainable);
    let (statistics, left): (Vec<&Tensor>, Vec<f64>) = statistics
        .map(|param| (&param.tensor, left_of(spec, &param.name)))
        .unzip();
    let mut sums: Vec<Tensor> = statistics.iter().map(|tensor| tensor.zeros_like()).collect();
    let batches = ESTIMATED_FROM.div_ceil(spec.batch);
    let mut seen = 0.0;
    for batch in epoch(Arc::clone(&input.train), views(spec, step.epoch)).take(batches) {
        let batch = batch?;
        if !fills_norms(spec, &network.layer_shapes(), batch.len()) {
            continue;
        }
        let before: Vec<Tensor> = statistics.iter().map(|tensor| tensor.copy()).collect();
        step.pass(&batch)?;
        let _guard = no_grad_guard();
        for (((sum, now), before), left) in sums.iter_mut().zip(&statistics).zip(&before).zip(&left) {
            // What was there before is taken out again: what remains is the batch's own. A bank that no role used
            // stays what it was.
            let own = if *left < 1.0 {
                (*now - before * *left) / (1.0 - left)
            } else {
                before.copy()
            };
            let _ = sum.g_add_(&own);
        }
        seen += 1.0;
    }
    if seen > 0.0 {
        let means: Vec<Tensor> = sums.iter().map(|sum| sum / seen).collect();
        put(statistics.into_iter(), means.iter().collect());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::{attempt, network_spec, spec};
    use tch::{Device, Kind};

    fn values(network: &Network) -> Vec<f64> {
        let all: Vec<Tensor> = network
            .params()
            .trainable()
            .iter()
            .map(|tensor| tensor.flatten(0, -1))
            .collect();
        Vec::try_from(Tensor::cat(&all, 0).to_kind(Kind::Double)).expect("values")
    }

    #[test]
    fn stochastic_weight_averaging_is_the_mean_of_the_ends_of_epochs() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |epochs: u32, average: &str, work: &str| {
            let epochs = format!("train.teacher.with.epochs={epochs}");
            let average = format!("training.average={average}");
            let spec = spec(
                "teacher",
                &[
                    &epochs,
                    &average,
                    "training.milestones=[]",
                    "training.select=last",
                ],
            );
            let work = folder.path().join(work);
            std::fs::create_dir(&work).expect("a folder");
            attempt(&spec, &work).expect("trained").network
        };
        let (one, two, swa) = (at(1, "none", "one"), at(2, "none", "two"), at(2, "swa", "swa"));
        let mean = values(&one)
            .into_iter()
            .zip(values(&two))
            .map(|(a, b)| (a + b) / 2.0);
        let worst = mean
            .zip(values(&swa))
            .map(|(want, got)| (want - got).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-6, "{worst}");
        // Its statistics are not those of the last weights, and every variance is one.
        let statistics = |network: &Network, end: &str| -> Vec<f64> {
            let ends = network.params().iter().filter(|param| param.name.ends_with(end));
            ends.map(|param| param.tensor.mean(Kind::Double).double_value(&[]))
                .collect()
        };
        assert_ne!(statistics(&swa, "running_mean"), statistics(&two, "running_mean"));
        assert!(
            statistics(&swa, "running_var")
                .iter()
                .all(|var| *var > 0.0 && *var < 100.0)
        );
    }

    #[test]
    fn an_exponential_average_moves_by_what_its_age_and_decay_say() {
        let spec = spec("teacher", &["training.average=ema", "training.average_decay=0.3"]);
        let network = Network::new(network_spec(&spec), 1, Device::Cpu);
        let fill = |value: f64| {
            let _guard = no_grad_guard();
            for tensor in network.params().trainable() {
                let _ = tensor.shallow_clone().fill_(value);
            }
        };
        let mut average = WeightAverage::default();
        // The first weights are the average; then 2/11 of the past (young), then 3/12, then 0.3.
        let mut want = 1.0;
        for (value, past) in [
            (1.0, 0.1),
            (2.0, 2.0 / 11.0),
            (3.0, 0.25),
            (4.0, 4.0 / 13.0_f64),
            (5.0, 0.3),
        ] {
            fill(value);
            average.after_step(&spec, &network, 0.5);
            want = if value == 1.0 {
                1.0
            } else {
                f64::min(past, 0.3) * want + (1.0 - f64::min(past, 0.3)) * value
            };
            let got = average.tensors[0].flatten(0, -1).double_value(&[0]);
            assert!((got - want).abs() < 1e-6, "{value}: {got} against {want}");
        }
    }
}
