//! When Auto-PGD looks back, and what makes it halve a step.

use crate::attack::active::per_row;
use tch::{Kind, Tensor};

/// Share of the steps of a window that must raise the loss (rho of the paper).
const RISES: f64 = 0.75;

/// The lengths of the windows between checkpoints: the first 22 % of the steps, each 3 %
/// shorter than the one before, none below 6 % (Croce and Hein, ICML 2020, section 3.2; the
/// roundings are the reference's).
#[derive(Debug, Clone)]
pub(super) struct Windows {
    window: usize,
    shorter: usize,
    least: usize,
    passed: usize,
}

impl Windows {
    pub(super) fn new(steps: usize) -> Self {
        let share = |part: f64| ((part * steps as f64) as usize).max(1);
        Self {
            window: share(0.22),
            shorter: share(0.03),
            least: share(0.06),
            passed: 0,
        }
    }

    /// One more step is made: the length of the window when it ends here.
    pub(super) fn step(&mut self) -> Option<usize> {
        self.passed += 1;
        if self.passed < self.window {
            return None;
        }
        let ended = self.window;
        self.window = ended.saturating_sub(self.shorter).max(self.least);
        self.passed = 0;
        Some(ended)
    }
}

/// What each image's search did since the last checkpoint, all `[N]`.
#[derive(Debug)]
pub(super) struct History {
    rises: Tensor,
    last_loss: Tensor,
    best_at_check: Tensor,
    halved: Tensor,
}

impl History {
    /// From the losses at the start. The reference compares the first step's loss with zero
    /// instead of the start's (an index that wraps around); `wraps` replays that.
    pub(super) fn new(loss: &Tensor, wraps: bool) -> Self {
        Self {
            rises: loss.zeros_like(),
            last_loss: if wraps { loss.zeros_like() } else { loss.copy() },
            best_at_check: loss.copy(),
            halved: loss.ones_like().to_kind(Kind::Bool),
        }
    }

    pub(super) fn observe(&mut self, loss: &Tensor) {
        self.rises = &self.rises + loss.gt_tensor(&self.last_loss).to_kind(Kind::Float);
        self.last_loss = loss.copy();
    }

    /// Which images must halve their step, after a window: those that rose in too few of its
    /// steps, and those that kept their step at the last checkpoint and have found nothing
    /// better since.
    pub(super) fn check(&mut self, window: usize, best: &Tensor) -> Tensor {
        let too_few = self.rises.le(RISES * window as f64);
        let stalled = self.best_at_check.ge_tensor(best);
        let halve = too_few.logical_or(&stalled.logical_and(&self.halved.logical_not()));
        self.rises = self.rises.zeros_like();
        self.best_at_check = best.copy();
        self.halved = halve.copy();
        halve
    }
}

per_row!(History: rises, last_loss, best_at_check, halved);

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(steps: usize) -> Vec<usize> {
        let mut windows = Windows::new(steps);
        (1..=steps).filter(|_| windows.step().is_some()).collect()
    }

    #[test]
    fn checkpoints_fall_where_the_paper_puts_them() {
        assert_eq!(checks(100), [22, 41, 57, 70, 80, 87, 93, 99]);
        assert_eq!(checks(20), [4, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
        assert_eq!(checks(1), [1]);
    }

    #[test]
    fn the_rule_of_the_checkpoints_worked_by_hand() {
        let row = |values: [f32; 3]| Tensor::from_slice(&values);
        let halves = |tensor: Tensor| Vec::<bool>::try_from(tensor).expect("flags");
        // Image 0 rises in every step, image 1 in three of four (not more than 75 %), image 2
        // in every step of the first window and then never.
        let mut history = History::new(&row([0.0, 0.0, 0.0]), false);
        for losses in [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 1.5, 3.0], [4.0, 1.8, 4.0]] {
            history.observe(&row(losses));
        }
        assert_eq!(
            halves(history.check(4, &row([4.0, 2.0, 4.0]))),
            [false, true, false]
        );
        // Image 1 rises twice in two steps; images 0 and 2 fall once, image 2 without a new
        // best. Image 1 halved at the last check, so a stalled best alone does not halve it.
        for losses in [[5.0, 1.9, 3.0], [6.0, 2.0, 3.5]] {
            history.observe(&row(losses));
        }
        assert_eq!(
            halves(history.check(2, &row([6.0, 2.0, 4.0]))),
            [false, false, true]
        );
        // Every loss rises, but only image 0 finds a better one: image 1 kept its step, so it
        // halves now; image 2 has just halved.
        history.observe(&row([7.0, 2.0 + 1e-3, 3.6]));
        assert_eq!(
            halves(history.check(1, &row([7.0, 2.0, 4.0]))),
            [false, true, false]
        );
        // The wrapped index: the first step's loss 0.5 fell from 1, but is above zero.
        for (wraps, halve) in [(true, false), (false, true)] {
            let mut history = History::new(&row([1.0; 3]), wraps);
            history.observe(&row([0.5; 3]));
            assert_eq!(halves(history.check(1, &row([1.0; 3]))), [halve; 3]);
        }
    }
}
