//! `rlnet suite cost`: the arithmetic of a suite, before a machine is booked.

use crate::error::{Error, Result};
use crate::run::work::{self, Images};
use crate::terminal::{outln, print_json};
use rlnet_suites::{Cell, Plan, dataset};
use serde_json::json;
use std::collections::BTreeMap;

/// Training and test images of a cell's data set.
fn images(cell: &Cell) -> Result<Images> {
    let data = &cell.data;
    let known = dataset::find(&data.dataset)?;
    let (train, test) = (
        data.train.or(known.map(|known| known.train)),
        data.test.or(known.map(|known| known.test)),
    );
    match (train, test) {
        (Some(train), Some(test)) => Ok(Images {
            train: train as usize,
            test: test as usize,
        }),
        _ => Err(Error::Usage(format!(
            "{}: its number of images is not known before it is read; set data.train and data.test",
            data.dataset
        ))),
    }
}

/// What a plan asks for: per kind of work, cells and multiply-accumulates; bytes that stay.
#[derive(Default)]
struct Count {
    kinds: BTreeMap<&'static str, (usize, f64)>,
    kept: f64,
}

impl Count {
    fn of(plan: &Plan) -> Result<Self> {
        let mut count = Self::default();
        for work in work::of(plan, images)? {
            let (cells, macs) = count.kinds.entry(work.kind).or_default();
            *cells += 1;
            *macs += work.macs;
            count.kept += work.kept;
        }
        Ok(count)
    }

    fn macs(&self) -> f64 {
        self.kinds.values().map(|(_, macs)| macs).sum()
    }
}

/// Prints it, in hours at `rate` million million multiply-accumulates a second.
pub fn show(plan: &Plan, rate: f64, json: bool) -> Result<()> {
    if plan.cells.is_empty() {
        return Err(Error::Usage(format!(
            "suite {} trains no model; its cost depends on the model that it evaluates",
            plan.suite
        )));
    }
    if !(rate > 0.0 && rate.is_finite()) {
        return Err(Error::Usage(format!("--rate {rate}: write a number above 0")));
    }
    let count = Count::of(plan)?;
    let hours = |units: f64| units / (rate * 1e12) / 3600.0;
    let total = count.macs();
    if json {
        let kinds = count.kinds.iter().map(|(kind, (cells, units))| {
            json!({"work": kind, "cells": cells, "macs": units, "hours": hours(*units)})
        });
        print_json(
            &json!({"suite": plan.suite, "rate": rate, "macs": total, "hours": hours(total),
                         "images_bytes": count.kept, "work": kinds.collect::<Vec<_>>()}),
        );
        return Ok(());
    }
    for (kind, (cells, units)) in &count.kinds {
        outln!(
            "{kind:<14} {cells:>4} cells {:>12.1} x 10^15 MACs {:>9.2} h",
            units / 1e15,
            hours(*units)
        );
    }
    outln!(
        "{}: at most {:.1} hours at {rate} x 10^12 multiply-accumulates a second",
        plan.suite,
        hours(total)
    );
    if count.kept > 0.0 {
        outln!(
            "adversarial images: {:.1} GB of disk (evaluation.save_images=false keeps none)",
            count.kept / 1e9
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::plan::PlanContext;
    use rlnet_suites::{Suite, catalog};

    #[test]
    fn the_hours_that_suites_name_are_those_counted() {
        let mut seen = 0;
        for (name, text) in catalog::CATALOGUE {
            for sets in [vec![], vec!["scale=h200".to_owned()]] {
                let suite = Suite::parse(text, name, &sets).expect(name);
                // In another precision a GPU has another rate.
                let counted = !suite.train.is_empty() && suite.training.precision.is_none();
                let Some(hours) = suite.gpu_hours.filter(|_| counted) else {
                    continue;
                };
                let context = PlanContext::unread(&suite);
                let work = Count::of(&suite.plan(&context).expect("a plan")).expect("counted");
                let counted = work.macs() / (work::GPU_RATE * 1e12) / 3600.0;
                assert!(
                    (counted / hours - 1.0).abs() < 0.1,
                    "{name} {sets:?}: {hours}, counted {counted:.1}"
                );
                seen += 1;
            }
        }
        assert!(seen >= 20, "{seen}");
    }
}
