//! Clipped zoom: crop the centre, enlarge it bilinearly, trim to size.
//!
//! Corners are aligned (the first and last samples of crop and enlargement coincide), which
//! is what `scipy.ndimage.zoom` does at order 1; products and sums are in its order.

/// Where one axis of the enlargement samples the image.
pub(crate) struct Axis {
    taps: Vec<Tap>,
}

#[derive(Clone, Copy)]
struct Tap {
    at: [usize; 2],
    weight: [f64; 2],
}

impl Axis {
    /// The axis of `n` samples enlarged by `factor` (at least 1).
    pub fn new(n: usize, factor: f64) -> Self {
        let crop = ((n as f64 / factor).ceil() as usize).clamp(1, n);
        let top = (n - crop) / 2;
        let enlarged = ((crop as f64 * factor).round_ties_even() as usize).max(n);
        let trim = (enlarged - n) / 2;
        let step = if enlarged > 1 {
            (crop - 1) as f64 / (enlarged - 1) as f64
        } else {
            0.0
        };
        let taps = (trim..trim + n)
            .map(|i| {
                let at = i as f64 * step;
                let below = at.floor();
                let upper = 1.0 - (at - below);
                let below = (below as usize).min(crop - 1);
                Tap {
                    at: [top + below, top + (below + 1).min(crop - 1)],
                    weight: [upper, 1.0 - upper],
                }
            })
            .collect();
        Self { taps }
    }
}

/// Calls `visit(output index, pixel)` for every pixel of the zoomed image, row by row.
/// `lines` is working memory for two rows.
pub(crate) fn sample<const C: usize>(
    image: &[[f64; C]],
    (horizontal, vertical): (&Axis, &Axis),
    lines: &mut [[f64; C]],
    mut visit: impl FnMut(usize, [f64; C]),
) {
    let width = horizontal.taps.len();
    let (upper, lower) = lines[..2 * width].split_at_mut(width);
    let mut index = 0;
    for y in &vertical.taps {
        // (value * vertical weight) * horizontal weight, the vertical product once a row.
        for (line, k) in [(&mut *upper, 0), (&mut *lower, 1)] {
            let row = image[y.at[k] * width..][..width].as_flattened();
            for (out, value) in line.as_flattened_mut().iter_mut().zip(row) {
                *out = value * y.weight[k];
            }
        }
        for x in &horizontal.taps {
            let [left, right] = x.at;
            let corners = [upper[left], upper[right], lower[left], lower[right]];
            let [a, b] = x.weight;
            visit(
                index,
                std::array::from_fn(|c| {
                    corners[0][c] * a + corners[1][c] * b + corners[2][c] * a + corners[3][c] * b
                }),
            );
            index += 1;
        }
    }
}
