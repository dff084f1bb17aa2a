//! Which networks a figure draws: all where they are few, else those that tell most. Every
//! figure draws the same ones, in the same colours; tables always have all.

use super::canvas::PALETTE;
use crate::analysis::Analysis;
use crate::format;
use crate::summary::subject;

/// Networks that a reader can tell apart in one figure: as many as there are colours. Bars have
/// nothing else, and more lines than these cover each other.
const MOST: usize = PALETTE.len();

/// The networks that are drawn.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    /// Their places among the report's models, ascending.
    pub models: Vec<usize>,
    /// Their names.
    pub names: Vec<String>,
    /// All of the report's models.
    pub all: usize,
}

impl Chosen {
    /// The baseline and the report's subject, the ends of every sweep, the networks in no sweep,
    /// and what lies between the ends.
    pub fn of(analysis: &Analysis) -> Self {
        let models = &analysis.runs.models;
        let all = models.len();
        if all <= MOST {
            return Self {
                models: (0..all).collect(),
                names: models.iter().map(|model| model.name.clone()).collect(),
                all,
            };
        }
        let place = |name: &str| models.iter().position(|model| model.name == name);
        let baseline = analysis.runs.baseline.as_deref().and_then(place);
        let about = subject(analysis).and_then(|model| place(&model.name));
        let sweeps = analysis.sweeps.iter().map(|sweep| {
            let students = sweep.points.iter().skip(usize::from(sweep.from_teacher));
            ends_first(&students.map(|point| point.model).collect::<Vec<_>>())
        });
        let sweeps: Vec<Vec<usize>> = sweeps.collect();
        let swept: Vec<usize> = sweeps.concat();
        // What is not even trained has nothing to draw.
        let there = |at: &usize| models[*at].record.is_some() || !models[*at].measured.is_empty();
        let others = (0..all).filter(|model| !swept.contains(model) && there(model));
        let turns = |from: usize, to: usize| {
            let sweeps = &sweeps;
            (from..to).flat_map(move |turn| sweeps.iter().filter_map(move |sweep| sweep.get(turn).copied()))
        };
        let first = baseline.into_iter().chain(about);
        let mut chosen: Vec<usize> = Vec::new();
        for model in first.chain(turns(0, 2)).chain(others).chain(turns(2, all)) {
            if chosen.len() < MOST && !chosen.contains(&model) {
                chosen.push(model);
            }
        }
        chosen.sort_unstable();
        Self {
            names: chosen.iter().map(|at| models[*at].name.clone()).collect(),
            models: chosen,
            all,
        }
    }

    /// Whether some are left out.
    pub fn some(&self) -> bool {
        self.models.len() < self.all
    }

    /// The end of a caption, where some are left out.
    pub fn said(&self) -> String {
        if !self.some() {
            return String::new();
        }
        format!(
            " Drawn are {} of {} networks: {}; tables have all.",
            self.models.len(),
            self.all,
            format::list(&self.names)
        )
    }
}

/// First, last, middle, then the middles of the halves, and so on.
fn ends_first(all: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let last = all.len().saturating_sub(1);
    let mut parts = 1;
    while order.len() < all.len() {
        for part in 0..=parts {
            let at = part * last / parts;
            if !order.contains(&at) && at < all.len() {
                order.push(at);
            }
        }
        parts *= 2;
    }
    order.into_iter().map(|at| all[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::ends_first;

    #[test]
    fn ends_come_before_what_lies_between() {
        assert_eq!(ends_first(&[10, 11, 12, 13, 14]), [10, 14, 12, 11, 13]);
        assert_eq!(ends_first(&[7]), [7]);
        assert!(ends_first(&[]).is_empty());
        let mut all = ends_first(&(0..11).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..11).collect::<Vec<_>>());
    }
}
