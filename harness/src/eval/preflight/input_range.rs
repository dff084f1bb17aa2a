//! Does a model expect images in `[0, 1]`? It is given others, and its right answers are counted.

use super::{BATCH, Examinee, Finding, Found, Weight, spread};
use crate::attack::lanes::whole_lanes;
use crate::error::Result;
use rlnet_reports::format::percent;
use rlnet_reports::metrics::paired_tests::sign_test;
use std::collections::BTreeSet;
use tch::{Device, Kind, Tensor};

/// What models expect that do not take images in `[0, 1]`, each with the mean that is subtracted and
/// the deviation that is divided by: bytes; many tutorials' 0.5; about those of natural images (ImageNet's).
const RANGES: [(&str, f64, f64); 3] = [
    ("values from 0 to 255", 0.0, 1.0 / 255.0),
    ("values from -1 to 1", 0.5, 0.5),
    ("normalised images", 0.45, 0.225),
];

/// Images a forward pass.
const CHUNK: i64 = 64;

/// A two-sided p-value of the paired sign test below which more right answers are worth a warning (own
/// choice: a warning costs little).
const WORTH_SAYING: f64 = 0.3;

/// The range in which a model does best, where that is not `[0, 1]`.
///
/// A few images say which ranges may do better, all images by how much. Three in eight of the images more
/// (of 16 or more) refuse the model; one in ten, and not by chance, is a warning. Right answers must be of
/// three classes (of both where there are two): else always giving one class explains them. (Own choices.)
///
/// # Errors
/// When the model cannot take the images.
pub(super) fn examine(of: &Examinee<'_>) -> Result<Option<Found>> {
    let n = of.images.size()[0] as usize;
    let few = Tensor::from_slice(&spread(n, BATCH.min(n)));
    let own_few = right(of, &few, 0.0, 1.0)?;
    let count = |right: &[bool]| right.iter().filter(|right| **right).count();
    let all = Tensor::arange(n as i64, (Kind::Int64, Device::Cpu));
    let labels = Vec::<i64>::try_from(of.labels.to_device(Device::Cpu))?;
    let mut own: Option<Vec<bool>> = None;
    let mut best: Option<(usize, Found)> = None;
    for (range, mean, deviation) in RANGES {
        // Of so few images two may be chance.
        if count(&right(of, &few, mean, deviation)?) + 2 < count(&own_few) {
            continue;
        }
        let own = match &own {
            Some(own) => own,
            None => own.insert(right(of, &all, 0.0, 1.0)?),
        };
        let other = right(of, &all, mean, deviation)?;
        let kinds: BTreeSet<i64> = labels
            .iter()
            .zip(&other)
            .filter_map(|(label, right)| right.then_some(*label))
            .collect();
        let gained = own
            .iter()
            .zip(&other)
            .filter(|(own, other)| !**own && **other)
            .count();
        let lost = own
            .iter()
            .zip(&other)
            .filter(|(own, other)| **own && !**other)
            .count();
        let more = gained.saturating_sub(lost);
        if kinds.len() < of.classes.clamp(2, 3)
            || more == 0
            || best.as_ref().is_some_and(|(most, _)| more <= *most)
        {
            continue;
        }
        let weight = if labels.len() >= 16 && 8 * more >= 3 * labels.len() {
            Weight::Refuses
        } else if 10 * more >= labels.len() && sign_test(gained as u64, lost as u64) < WORTH_SAYING {
            Weight::Warns
        } else {
            continue;
        };
        let share = |right: &[bool]| percent(count(right) as f64 / labels.len() as f64);
        let found = Found::new(Finding::InputRange);
        let said = format!(
            "{} ({} % of {} images right, {} % given {range})",
            found.said,
            share(own),
            labels.len(),
            share(&other)
        );
        best = Some((
            more,
            Found {
                said,
                weight,
                ..found
            },
        ));
    }
    Ok(best.map(|(_, found)| found))
}

/// Which of the images at `rows` the model has right, shifted and scaled.
fn right(of: &Examinee<'_>, rows: &Tensor, mean: f64, deviation: f64) -> Result<Vec<bool>> {
    let mut right = Vec::new();
    for rows in rows.split(CHUNK, 0) {
        let rows = rows.to_device(of.images.device());
        let images = (of.images.index_select(0, &rows) - mean) / deviation;
        let said = whole_lanes(of.model, &images, of.branch)?.argmax(1, false);
        let same = said.eq_tensor(&of.labels.index_select(0, &rows));
        let same = Vec::<i64>::try_from(same.to_device(Device::Cpu).to_kind(Kind::Int64))?;
        right.extend(same.into_iter().map(|same| same != 0));
    }
    Ok(right)
}
