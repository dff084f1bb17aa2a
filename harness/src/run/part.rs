//! One of several parts of a plan, for engines that number their workers.

use super::work::{self, Images};
use crate::error::{Problem, Result};
use rlnet_suites::{Cell, CellId, Plan};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The `number`-th of `count` parts, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    number: usize,
    count: usize,
}

impl FromStr for Part {
    type Err = Problem;

    fn from_str(text: &str) -> std::result::Result<Self, Problem> {
        let numbers = text.split_once('/').and_then(|(number, count)| {
            Some(Self {
                number: number.trim().parse().ok()?,
                count: count.trim().parse().ok()?,
            })
        });
        numbers
            .filter(|part| (1..=part.count).contains(&part.number))
            .ok_or_else(|| "write I/N with I from 1 to N: 2/8".into())
    }
}

impl Part {
    /// The cells of this part, in their order. Every worker of a plan divides it alike, whatever is done: the longest cell
    /// first, each to the part that has least to do.
    ///
    /// # Errors
    /// When the arithmetic of a cell is not known.
    pub fn of<'a>(self, cells: Vec<&'a Cell>, plan: &Plan, images: Images) -> Result<Vec<&'a Cell>> {
        let asked = work::of(plan, |cell| {
            Ok(Images {
                train: cell.data.train.map_or(images.train, |n| n as usize),
                ..images
            })
        })?;
        let macs: BTreeMap<&CellId, f64> = plan
            .cells
            .iter()
            .map(|cell| &cell.id)
            .zip(asked.iter().map(|work| work.macs))
            .collect();
        let macs = |cell: &Cell| macs.get(&cell.id).copied().unwrap_or_default();
        let mut longest = cells.clone();
        longest.sort_by(|a, b| macs(b).total_cmp(&macs(a)).then_with(|| a.id.cmp(&b.id)));
        let mut parts = vec![(0.0_f64, Vec::new()); self.count];
        for cell in longest {
            let least = parts.iter_mut().min_by(|(a, _), (b, _)| a.total_cmp(b));
            if let Some((load, ids)) = least {
                // A cell without arithmetic takes its time too.
                *load += macs(cell).max(1.0);
                ids.push(&cell.id);
            }
        }
        let (_, mine) = &parts[self.number - 1];
        Ok(cells
            .into_iter()
            .filter(|cell| mine.contains(&&cell.id))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::Suite;
    use rlnet_suites::plan::PlanContext;

    #[test]
    fn parts_have_every_cell_once_and_about_as_much_to_do() {
        let text = rlnet_suites::catalog::find("demo").expect("the demo");
        let suite = Suite::parse(text, "demo", &[]).expect("a suite");
        let plan = suite.plan(&PlanContext::unread(&suite)).expect("a plan");
        let images = Images {
            train: 1000,
            test: 100,
        };
        let all: Vec<&Cell> = plan.cells.iter().collect();
        for count in [1, 2, 3, 7, all.len(), all.len() + 5] {
            let mut seen = Vec::new();
            for number in 1..=count {
                let part: Part = format!("{number}/{count}").parse().expect("a part");
                let mine = part.of(all.clone(), &plan, images).expect("cells");
                assert!(count > all.len() || !mine.is_empty(), "{number}/{count}");
                seen.extend(mine.iter().map(|cell| cell.id.clone()));
            }
            assert_eq!(seen.len(), all.len(), "{count}");
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), all.len(), "{count}");
        }
        for wrong in ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
