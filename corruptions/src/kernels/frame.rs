//! Planes with a margin, so that 3x3 and 5x5 neighbourhoods need no border cases.

/// Pixels around the image on each side: what a 5x5 neighbourhood needs.
const MARGIN: usize = 2;

/// The geometry of a plane of one value a pixel, with its margin.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub width: usize,
    pub height: usize,
}

impl Frame {
    /// From a pixel to the one below it.
    pub fn stride(self) -> usize {
        self.width + 2 * MARGIN
    }

    /// Values in a plane.
    pub fn area(self) -> usize {
        self.stride() * (self.height + 2 * MARGIN)
    }

    /// Where row `y` of the image begins.
    pub fn row(self, y: usize) -> usize {
        (y + MARGIN) * self.stride() + MARGIN
    }

    /// The rows above, at and below `y`, each from the column left of the image to the one
    /// right of it.
    pub fn around<T>(self, plane: &[T], y: usize) -> [&[T]; 3] {
        let start = self.row(y) - 1;
        [start - self.stride(), start, start + self.stride()].map(|at| &plane[at..][..self.width + 2])
    }

    /// Fills the innermost ring of the margin from the image by the rule `border`.
    pub fn extend<T: Copy>(self, plane: &mut [T], border: fn(isize, usize) -> usize) {
        let (left, right) = (border(-1, self.width), border(self.width as isize, self.width));
        for y in 0..self.height {
            let row = &mut plane[self.row(y) - 1..][..self.width + 2];
            (row[0], row[self.width + 1]) = (row[1 + left], row[1 + right]);
        }
        let mut copy = |from: usize, to: usize| {
            plane.copy_within(from - 1..from + self.width + 1, to - 1);
        };
        let below = self.height as isize;
        copy(self.row(border(-1, self.height)), self.row(0) - self.stride());
        copy(self.row(border(below, self.height)), self.row(self.height));
    }
}
