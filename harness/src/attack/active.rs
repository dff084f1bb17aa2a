//! The rows of a batch that an attack still works on, and what it hands on of each image.
//!
//! Attacks work in rounds (steps, restarts, targets, parts), each on what the rounds before left. Which
//! rows these are, how values move between them and the batch, and who leaves is known here alone: an
//! attack sees the images that stand as one [`Target`].

use super::{Objective, Target};
use crate::error::Result;
use std::ops::Deref;
use tch::{Device, Kind, Tensor};

/// What a search knows of each image it still works on, one row an image.
pub(super) trait PerRow {
    /// Keeps these rows `[K]` int64, and no others.
    fn keep(&mut self, rows: &Tensor);
}

/// Of a search's state, the fields that have a row an image.
macro_rules! per_row {
    ($name:ty: $($field:ident),+ $(,)?) => {
        impl $crate::attack::active::PerRow for $name {
            fn keep(&mut self, rows: &tch::Tensor) {
                $($crate::attack::active::PerRow::keep(&mut self.$field, rows);)+
            }
        }
    };
}
pub(super) use per_row;

impl PerRow for Tensor {
    fn keep(&mut self, rows: &Tensor) {
        *self = self.index_select(0, rows);
    }
}

impl PerRow for Objective {
    fn keep(&mut self, rows: &Tensor) {
        *self = self.select(rows);
    }
}

impl<T: PerRow> PerRow for Option<T> {
    fn keep(&mut self, rows: &Tensor) {
        if let Some(known) = self {
            known.keep(rows);
        }
    }
}

impl<T: Clone> PerRow for Vec<T> {
    fn keep(&mut self, rows: &Tensor) {
        let mut places = vec![0_i64; rows.numel()];
        rows.to_device(Device::Cpu).copy_data(&mut places, rows.numel());
        *self = places.iter().map(|&row| self[row as usize].clone()).collect();
    }
}

/// The images of a batch that still stand: a [`Target`] of them, on the batch's account.
pub(super) struct ActiveRows<'a> {
    standing: Target<'a>,
    /// Their rows in the batch, `[M]` int64.
    rows: Tensor,
    /// What is handed on of each image of the batch, `[N, 3, H, W]`.
    points: Tensor,
}

impl<'a> Deref for ActiveRows<'a> {
    type Target = Target<'a>;

    fn deref(&self) -> &Self::Target {
        &self.standing
    }
}

impl<'a> ActiveRows<'a> {
    /// All of a batch. Until something is written each image stands for itself.
    pub(super) fn all(batch: &Target<'a>) -> Self {
        let rows = every_row(batch);
        Self {
            standing: batch.take(&rows),
            rows,
            points: batch.images.copy(),
        }
    }

    /// Those that these logits `[N, classes]` of the batch classify rightly.
    pub(super) fn right(batch: &Target<'a>, logits: &Tensor) -> Self {
        let mut rows = Self::all(batch);
        rows.leave(&batch.fooled(logits), &mut []);
        rows
    }

    /// The same rows for a search of its own: who leaves it stays here; what it writes is written here.
    pub(super) fn again(&self) -> Self {
        Self {
            standing: self.standing.take(&every_row(self)),
            rows: self.rows.shallow_clone(),
            points: self.points.shallow_clone(),
        }
    }

    /// Their rows in the batch, `[M]` int64.
    pub(super) fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// Which images of the batch still stand, `[N]` bool.
    pub(super) fn flags(&self) -> Tensor {
        let none = Tensor::zeros([self.points.size()[0]], (Kind::Bool, self.rows.device()));
        none.index_fill(0, &self.rows, 1)
    }

    /// The standing rows `[M, ...]` of the batch's values `[N, ...]`.
    pub(super) fn gather(&self, values: &Tensor) -> Tensor {
        values.index_select(0, &self.rows)
    }

    /// Puts values `[M, ...]` in their places among the batch's `[N, ...]`.
    pub(super) fn scatter(&self, values: &Tensor, batch: &Tensor) {
        let _ = batch.shallow_clone().index_copy_(0, &self.rows, values);
    }

    /// Values `[M, ...]` in their places among the batch's, the others zero: `[N, ...]`.
    pub(super) fn spread(&self, values: &Tensor) -> Tensor {
        let mut shape = values.size();
        shape[0] = self.points.size()[0];
        let batch = Tensor::zeros(shape, (values.kind(), values.device()));
        self.scatter(values, &batch);
        batch
    }

    /// A search of the flagged images (`[M]` bool) alone; who leaves it leaves here.
    pub(super) fn only(&mut self, flags: &Tensor, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut part = self.again();
        part.leave(&flags.logical_not(), &mut []);
        if part.is_empty() {
            return Ok(());
        }
        let before = part.flags();
        run(&mut part)?;
        let gone = before.logical_and(&part.flags().logical_not());
        self.leave(&self.gather(&gone), &mut []);
        Ok(())
    }

    /// Hands these points `[M, 3, H, W]` on.
    pub(super) fn write(&self, points: &Tensor) {
        self.scatter(points, &self.points);
    }

    /// Hands on the points `[M, 3, H, W]` of the flagged images (`[M]` bool).
    pub(super) fn write_where(&self, flags: &Tensor, points: &Tensor) {
        let hit = flags.nonzero().squeeze_dim(1);
        let (rows, hits) = (self.rows.index_select(0, &hit), points.index_select(0, &hit));
        let _ = self.points.shallow_clone().index_copy_(0, &rows, &hits);
    }

    /// Images that were fooled (`[M]` bool) leave; their points are handed on.
    pub(super) fn settle(&mut self, fooled: &Tensor, points: &Tensor) {
        self.write_where(fooled, points);
        self.leave(fooled, &mut []);
    }

    /// The flagged images (`[M]` bool) leave, and what is known of each with them.
    pub(super) fn leave(&mut self, gone: &Tensor, state: &mut [&mut dyn PerRow]) {
        let going = gone.logical_not().nonzero().squeeze_dim(1);
        if going.numel() == self.len() {
            return;
        }
        self.rows.keep(&going);
        self.standing = self.standing.take(&going);
        for known in state {
            known.keep(&going);
        }
    }

    /// What is handed on of each image of the batch, `[N, 3, H, W]`.
    pub(super) fn into_points(self) -> Tensor {
        self.points
    }
}

/// The rows of a target, `[N]` int64.
fn every_row(target: &Target<'_>) -> Tensor {
    Tensor::arange(target.len() as i64, (Kind::Int64, target.images.device()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::toy::{Linear, images, target};

    #[test]
    fn who_leaves_takes_its_row_and_leaves_its_point() {
        let model = Linear::random(3, 12);
        let (x, y) = images(&model, 5, 2, 2);
        let batch = target(&model, &x, &y, 0, 5);
        let mut left = ActiveRows::all(&batch);
        let mut state = (
            Tensor::arange(5, (Kind::Int64, Device::Cpu)),
            vec!['a', 'b', 'c', 'd', 'e'],
        );
        let flags = |values: &[bool]| Tensor::from_slice(values);
        let grey = |value: f64| x.full_like(value);
        left.write_where(&flags(&[false, true, false, false, true]), &grey(0.25));
        left.leave(
            &flags(&[false, true, false, false, true]),
            &mut [&mut state.0, &mut state.1],
        );
        let mut inner = left.again();
        inner.settle(&flags(&[true, false, false]), &grey(0.5).narrow(0, 0, 3));
        assert_eq!((inner.len(), left.len()), (2, 3), "the search of its own");
        assert_eq!(state, (Tensor::from_slice(&[0_i64, 2, 3]), vec!['a', 'c', 'd']));
        assert_eq!(inner.indices, [2, 3]);
        assert_eq!(left.flags(), flags(&[true, false, true, true, false]));
        assert_eq!(inner.gather(&x), inner.images);
        inner.write(&grey(0.75).narrow(0, 0, 2));
        let each = Vec::<f64>::try_from(
            left.into_points()
                .select(1, 0)
                .select(1, 0)
                .select(1, 0)
                .to_kind(Kind::Double),
        );
        assert_eq!(each.expect("points"), [0.5, 0.25, 0.75, 0.75, 0.25]);
    }
}
