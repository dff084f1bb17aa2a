//! The account of an attack: what was spent on each image.

use tch::Tensor;

/// Passes spent on each image, and what broke it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassCount {
    /// Forward passes.
    pub forwards: Vec<u32>,
    /// Backward passes.
    pub backwards: Vec<u32>,
    /// Of these, passes whose gradient could not be followed: zero, not finite, or lost to underflow.
    pub unusable: Vec<u32>,
    /// For an attack made of several: the one that broke the image, `clean` when the image was
    /// wrong from the start. Nothing for an image that held, and for other attacks.
    pub broken_by: Vec<Option<&'static str>>,
}

impl PassCount {
    /// Nothing, on `n` images.
    pub fn none(n: usize) -> Self {
        Self {
            forwards: vec![0; n],
            backwards: vec![0; n],
            unusable: vec![0; n],
            broken_by: vec![None; n],
        }
    }

    /// What was spent on the images at some places.
    #[must_use]
    pub fn select(&self, places: &[usize]) -> Self {
        let of = |all: &[u32]| places.iter().map(|&place| all[place]).collect();
        Self {
            forwards: of(&self.forwards),
            backwards: of(&self.backwards),
            unusable: of(&self.unusable),
            broken_by: places.iter().map(|&place| self.broken_by[place]).collect(),
        }
    }

    /// Puts what was spent on some images at their places.
    pub fn put(&mut self, places: &[usize], spent: &Self) {
        for (row, &place) in places.iter().enumerate() {
            self.forwards[place] = spent.forwards[row];
            self.backwards[place] = spent.backwards[row];
            self.unusable[place] = spent.unusable[row];
            self.broken_by[place] = spent.broken_by[row];
        }
    }

    /// Adds what was spent on the images that come after these.
    pub fn append(&mut self, after: Self) {
        self.forwards.extend(after.forwards);
        self.backwards.extend(after.backwards);
        self.unusable.extend(after.unusable);
        self.broken_by.extend(after.broken_by);
    }
}

/// The account of a target and of all that are taken of it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) count: PassCount,
    /// [`PassCount::unusable`] as it grows on the model's device, `[N]`: a step need not wait for it.
    pub(super) unusable: Tensor,
}
