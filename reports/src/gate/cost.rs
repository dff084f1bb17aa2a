//! What a run costs against the older one: passes exactly, time and memory within wide limits.

use super::Side;
use super::cause::weights;
use rlnet_suites::{CellRecord, CellSpec, Gate};

/// Cells that took less, seconds, are not timed: starting up is most of it.
const TIMED: f64 = 10.0;

/// A cost that a gate limits.
struct Cost {
    what: &'static str,
    limit: Option<f64>,
    of: fn(&CellRecord) -> f64,
    /// Whether it repeats exactly, on any machine, as long as the weights are the same.
    exact: bool,
}

/// Why evaluations cost more than the gate allows, one line each.
pub(super) fn rises(old: &Side, new: &Side, gate: &Gate) -> Vec<String> {
    let costs = [
        Cost {
            what: "forward and backward passes",
            limit: gate.max_passes,
            of: |record| (record.provenance.forwards + record.provenance.backwards) as f64,
            exact: true,
        },
        Cost {
            what: "seconds",
            limit: gate.max_time,
            of: |record| {
                if record.provenance.seconds < TIMED {
                    0.0
                } else {
                    record.provenance.seconds
                }
            },
            exact: false,
        },
        Cost {
            what: "MB of memory",
            limit: gate.max_memory,
            of: |record| record.provenance.peak_memory as f64 / 1e6,
            exact: false,
        },
    ];
    let mut reasons = Vec::new();
    for (was, is) in pairs(old, new) {
        for cost in &costs {
            let Some(limit) = cost.limit else { continue };
            let (before, now) = ((cost.of)(was), (cost.of)(is));
            let alike = if cost.exact {
                same_weights(old, new, &was.cell.model)
            } else {
                same_machine(was, is)
            };
            let percent = 100.0 * (now / before - 1.0);
            if alike && before > 0.0 && percent > limit {
                reasons.push(format!(
                    "{}: {before:.0} {} before, {now:.0} now: {percent:.1} % more, the gate allows {limit} %",
                    is.cell.name, cost.what
                ));
            }
        }
    }
    reasons
}

/// Evaluations of both runs with as many rows, by name.
fn pairs<'a>(old: &'a Side, new: &'a Side) -> Vec<(&'a CellRecord, &'a CellRecord)> {
    let later = new.runs.records();
    let twin = |was: &CellRecord| {
        let mut same = later.iter().map(|(_, is)| *is);
        same.find(|is| is.cell.name == was.cell.name && is.rows == was.rows)
    };
    let earlier = old.runs.records().into_iter().map(|(_, was)| was);
    earlier
        .filter(|was| matches!(was.cell.spec, CellSpec::Evaluate(_)))
        .filter_map(|was| Some((was, twin(was)?)))
        .collect()
}

fn same_weights(old: &Side, new: &Side, model: &str) -> bool {
    let both = old.runs.model(model).zip(new.runs.model(model));
    both.is_some_and(|(was, is)| weights(old, new, was, is).is_empty())
}

/// Whether times can be compared: one machine, device and number of threads, nothing resumed or reused.
fn same_machine(was: &CellRecord, is: &CellRecord) -> bool {
    let (was, is) = (&was.provenance, &is.provenance);
    let key = |of: &rlnet_suites::Provenance| (of.machine.clone(), of.device.clone(), of.threads);
    key(was) == key(is) && was.resumed + is.resumed == 0 && was.images_of == is.images_of
}
