//! How long a run may still take: its cells weighed by what cells of their kind took before, or by
//! their arithmetic, and the weights corrected by the speed of this run.

use rlnet_suites::CellId;
use std::collections::BTreeMap;

/// Seconds for which what was measured before counts as much as what this run shows.
const TRUST: f64 = 60.0;

/// A cell to finish.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Its id.
    pub id: CellId,
    /// Its name, by which a process says what it works on.
    pub name: String,
    /// Whether it is trained: then how far a process is with it is how far the cell is. Of an
    /// evaluation a process has a piece.
    pub is_trained: bool,
    /// Wall seconds it may take with a machine to itself; nothing when none of its kind was measured.
    pub seconds: Option<f64>,
    /// Multiply-accumulates it asks for, at most; 0 where nobody knows.
    pub macs: f64,
}

impl Load {
    /// Whether its time can be told from measured cells or from its arithmetic.
    pub fn is_weighed(&self) -> bool {
        self.seconds.is_some() || self.macs > 0.0
    }
}

/// The time left, from weights and from how far the cells are.
#[derive(Debug, Clone)]
pub struct Eta {
    weights: Vec<f64>,
    /// Work a second to begin with; nothing when no cell's kind was measured.
    expected: Option<f64>,
    /// How far each cell was when it was first seen.
    first: BTreeMap<usize, f64>,
}

impl Eta {
    /// For cells that `workers` share: one worker takes the seconds that were measured.
    pub fn new(cells: &[Load], workers: usize) -> Self {
        let known: Vec<f64> = cells.iter().filter_map(|cell| cell.seconds).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        let pace = pace(cells);
        // A cell that is like none measured takes what its arithmetic takes at the pace of those
        // measured; one whose arithmetic is unknown as well is taken for an average one.
        let other = |cell: &Load| match cell.macs * pace {
            seconds if seconds > 0.0 => seconds,
            _ if mean > 0.0 => mean,
            _ => 1.0,
        };
        Self {
            weights: cells
                .iter()
                .map(|cell| cell.seconds.unwrap_or_else(|| other(cell)).max(1e-3))
                .collect(),
            expected: (mean > 0.0).then_some(workers.max(1) as f64),
            first: BTreeMap::new(),
        }
    }

    /// Seconds left after `elapsed` ones, when cell `i` is done to the share `far[i]`. Nothing
    /// when all is done, or when there is nothing yet to go by.
    pub fn left(&mut self, far: &[f64], elapsed: f64) -> Option<f64> {
        let (mut worked, mut left) = (0.0, 0.0);
        for (i, (weight, far)) in self.weights.iter().zip(far).enumerate() {
            // What an earlier run did says nothing about this one's speed.
            let first = *self.first.entry(i).or_insert(*far);
            worked += weight * (far - first).max(0.0);
            left += weight * (1.0 - far);
        }
        let (worked, elapsed) = match self.expected {
            Some(rate) => (worked + TRUST * rate, elapsed + TRUST),
            None => (worked, elapsed),
        };
        (worked > 0.0 && left > 0.0).then(|| left * elapsed / worked)
    }
}

/// Seconds a multiply-accumulate: those of the measured cells; where none was, what makes the
/// mean cell weigh one.
fn pace(cells: &[Load]) -> f64 {
    let counted = || cells.iter().filter(|cell| cell.macs > 0.0);
    let (mut seconds, mut macs) = (0.0, 0.0);
    for cell in counted() {
        if let Some(measured) = cell.seconds {
            seconds += measured;
            macs += cell.macs;
        }
    }
    match macs > 0.0 {
        true => seconds / macs,
        false => counted().count() as f64 / counted().map(|cell| cell.macs).sum::<f64>().max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(seconds: &[Option<f64>]) -> Vec<Load> {
        let load = |(i, seconds): (usize, &Option<f64>)| Load {
            id: CellId(format!("{i:016x}")),
            name: format!("cell-{i}"),
            is_trained: true,
            seconds: *seconds,
            macs: 0.0,
        };
        seconds.iter().enumerate().map(load).collect()
    }

    #[test]
    fn a_long_cell_weighs_more_than_many_short_ones() {
        let mut eta = Eta::new(&loads(&[Some(3000.0), Some(5.0), Some(5.0), None]), 1);
        assert_eq!(eta.left(&[0.0; 4], 0.0), Some(3010.0 + 3010.0 / 3.0));
        // The short ones took what they were said to: the long one is still to come.
        let left = eta.left(&[0.0, 1.0, 1.0, 0.0], 10.0).expect("time left");
        assert!((left - (3000.0 + 3010.0 / 3.0)).abs() < 1e-6, "{left}");
    }

    #[test]
    fn this_run_corrects_what_was_measured() {
        // Half as fast as measured, for long enough to be believed.
        let mut eta = Eta::new(&loads(&[Some(100_000.0)]), 1);
        eta.left(&[0.0], 0.0);
        let left = eta.left(&[0.5], 100_000.0).expect("time left");
        assert!((left / 100_000.0 - 1.0).abs() < 2e-3, "{left}");
        assert_eq!(eta.left(&[1.0], 200_000.0), None);
    }

    #[test]
    fn without_measured_cells_only_this_run_counts_and_what_was_there_does_not() {
        let mut eta = Eta::new(&loads(&[None, None, None, None]), 2);
        // One done, one half done by an earlier run.
        assert_eq!(eta.left(&[1.0, 0.5, 0.0, 0.0], 0.0), None);
        // Half a cell in a minute; two are left.
        assert_eq!(eta.left(&[1.0, 1.0, 0.0, 0.0], 60.0), Some(240.0));
    }

    #[test]
    fn a_cell_like_none_measured_weighs_what_its_arithmetic_does() {
        let mut cells = loads(&[Some(10.0), None, None]);
        for (cell, macs) in cells.iter_mut().zip([1e9, 30e9, 0.0]) {
            cell.macs = macs;
        }
        // At the pace of the first; the last for an average one.
        assert_eq!(
            Eta::new(&cells, 1).left(&[0.0; 3], 0.0),
            Some(10.0 + 300.0 + 10.0)
        );
        // Nothing measured: a tenth of the long cell is three of the short ones.
        cells[0].seconds = None;
        let mut eta = Eta::new(&cells[..2], 1);
        eta.left(&[0.0, 0.0], 0.0);
        let left = eta.left(&[0.0, 0.1], 30.0).expect("time left");
        assert!((left - 280.0).abs() < 1e-6, "{left}");
    }
}
