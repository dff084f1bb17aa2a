//! The mask of a stage: how many units of each layer it keeps, the mask before the first epoch, and the mask
//! after each epoch.

use super::coordinate_descent::descended;
use super::hysteresis::Indicators;
use super::score::{Scores, average};
use super::sensitivity::sensitivities;
use super::snl::Slopes;
use super::stage::StageInput;
use super::state::StageState;
use crate::error::{Error, Result};
use crate::nn::budget::{allocate, whole_channels};
use crate::nn::{Network, ReluMask};
use crate::progress::{Progress, announce};
use rlnet_suites::objective::{Granularity, Score};
use rlnet_suites::train::{Allocation, Stage};
use rlnet_suites::{Quirk, TrainSpec};

/// Units to keep in each layer of a mask stage.
pub(super) fn units_to_keep(input: &StageInput<'_>, network: &Network) -> Result<Vec<u64>> {
    let spec = input.spec;
    let measured = match (spec.allocation, input.teacher) {
        (Allocation::Measured, Some(teacher)) => Some(sensitivities(teacher, input.validation)?),
        _ => None,
    };
    let sizes = network.layer_sizes();
    let keep = allocate(&sizes, spec.budget, spec.allocation, measured.as_deref())?;
    if spec.granularity == Granularity::Unit {
        return Ok(keep);
    }
    let whole = whole_channels(&network.layer_shapes(), &keep)?;
    let (kept, budget): (u64, u64) = (whole.iter().sum(), keep.iter().sum());
    if kept != budget {
        announce(&format!(
            "{}: whole channels make up {kept} units, the nearest number to the budget of {budget} that is not above it",
            input.name
        ));
    }
    Ok(whole)
}

/// The mask before any score: units drawn by lot, or all of them.
pub(super) fn first_mask(spec: &TrainSpec, shapes: &[[u64; 3]], keep: &[u64]) -> ReluMask {
    let sizes: Vec<u64> = shapes.iter().map(|shape| shape.iter().product()).collect();
    match spec.granularity {
        _ if spec.score.is_of_all() => ReluMask::full(&sizes),
        Granularity::Channel => ReluMask::random_channels(shapes, keep, spec.seed),
        Granularity::Unit if spec.has(Quirk::ReplicatedFirstMask) => {
            ReluMask::random_maps(shapes, keep, spec.seed)
        }
        Granularity::Unit => ReluMask::random(&sizes, keep, spec.seed),
    }
}

/// The mask that the scores of an epoch ask for.
fn select(spec: &TrainSpec, scores: &[Vec<f64>], shapes: &[[u64; 3]], keep: &[u64]) -> ReluMask {
    match spec.granularity {
        Granularity::Channel => ReluMask::top_channels(scores, shapes, keep),
        Granularity::Unit if spec.has(Quirk::StrictThreshold) => ReluMask::above_threshold(scores, keep),
        Granularity::Unit => ReluMask::top(scores, keep),
    }
}

/// The slopes an `snl` stage starts with.
pub(super) fn slopes_of(spec: &TrainSpec, network: &mut Network) -> Result<Slopes> {
    let total = network.layer_sizes().iter().sum();
    let budget = spec
        .budget
        .ok_or_else(|| Error::Usage("an snl stage needs a budget: 50k, or a reduction: 11.14x".to_owned()))?;
    Ok(Slopes::new(network, budget.resolve(total)?, spec.lasso))
}

/// The indicators that a mask stage with hysteresis starts with.
pub(super) fn indicators_of(spec: &TrainSpec, network: &mut Network) -> Result<Option<Indicators>> {
    match (spec.stage, spec.score, spec.budget) {
        (Stage::Mask, Score::Hysteresis, Some(budget)) => {
            let keep = budget.resolve(network.layer_sizes().iter().sum())?;
            Ok(Some(Indicators::new(network, keep, spec.seed)))
        }
        _ => Ok(None),
    }
}

/// After an epoch of a mask stage: the mask of its scores, and how far it is from the two
/// before it.
pub(super) fn next_mask(
    input: &StageInput<'_>,
    state: &mut StageState,
    scores: &Scores,
    keep: &[u64],
) -> Result<Vec<(String, f64)>> {
    let spec = input.spec;
    let mut measured = Vec::new();
    if spec.stage != Stage::Mask || spec.score == Score::Random {
        return Ok(measured);
    }
    let mask = match (spec.score, &state.indicators) {
        (Score::CoordinateDescent, _) => descended(input, state, keep.iter().sum())?,
        (Score::Hysteresis, Some(indicators)) => indicators.mask(state.header.epoch + 1 == spec.epochs),
        _ => {
            let mut values = scores.values();
            if spec.score == Score::Averaged {
                values = average(state.scores.take(), values);
                state.scores = Some(values.clone());
            }
            select(spec, &values, &state.network.layer_shapes(), keep)
        }
    };
    measured.push(("mask/hamming_lag1".to_owned(), mask.hamming(state.network.mask())));
    if let Some(previous) = &state.previous_mask {
        measured.push(("mask/hamming_lag2".to_owned(), mask.hamming(previous)));
    }
    state.previous_mask = Some(state.network.mask().clone());
    state.network.set_mask(mask)?;
    Ok(measured)
}

/// After an epoch of SNL: how many slopes are left; the mask, once they fit the budget.
pub(super) fn fewer_slopes(
    input: &StageInput<'_>,
    state: &mut StageState,
    progress: &Progress,
) -> Result<Vec<(String, f64)>> {
    let number = state.header.epoch + 1;
    let Some(slopes) = &mut state.slopes else {
        return Ok(Vec::new());
    };
    let met = slopes.after(number);
    let active = slopes.active();
    if met || number == input.spec.epochs {
        if !met {
            progress.note(&format!(
                "{}: {active} slopes are left after the last epoch, more than the budget; the largest are kept",
                input.name
            ));
        }
        state.network.set_mask(slopes.mask())?;
        state.header.finished = true;
    }
    Ok(vec![
        ("snl/active".to_owned(), active as f64),
        ("snl/lasso".to_owned(), slopes.lasso),
    ])
}
