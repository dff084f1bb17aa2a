//! Bilinear sampling with zero outside of the image.

/// Two samples of an axis and their weights.
#[derive(Clone, Copy)]
pub(crate) struct Taps {
    /// The first sample; the other one follows.
    pub first: isize,
    pub weight: [f64; 2],
}

impl Taps {
    /// The taps at coordinate `at`.
    pub fn new(at: f64) -> Self {
        let below = at.floor();
        Self {
            first: below as isize,
            weight: [1.0 - at + below, 1.0 - (below + 1.0) + at],
        }
    }
}

/// The pixel (`y`, `x`) of an `n` x `n` image.
pub(crate) fn pixel<T: Copy + Default>(image: &[[T; 4]], n: usize, y: isize, x: isize) -> [T; 4] {
    let inside = |i: isize| (i as usize) < n;
    if inside(y) && inside(x) {
        image[y as usize * n + x as usize]
    } else {
        [T::default(); 4]
    }
}
