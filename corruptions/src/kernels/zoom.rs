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

/// Calls `visit(output index, value)` for every value of the zoomed image, row by row.
/// `lines` is working memory for two rows.
pub(crate) fn sample(
    image: &[f64],
    (horizontal, vertical): (&Axis, &Axis),
    channels: usize,
    lines: &mut [f64],
    mut visit: impl FnMut(usize, f64),
) {
    let stride = horizontal.taps.len() * channels;
    let (upper, lower) = lines[..2 * stride].split_at_mut(stride);
    let mut index = 0;
    for y in &vertical.taps {
        // (value * vertical weight) * horizontal weight, the vertical product once a row.
        for (line, k) in [(&mut *upper, 0), (&mut *lower, 1)] {
            for (out, value) in line.iter_mut().zip(&image[y.at[k] * stride..]) {
                *out = value * y.weight[k];
            }
        }
        for x in &horizontal.taps {
            let [left, right] = x.at.map(|at| at * channels);
            for c in 0..channels {
                let sum = upper[left + c] * x.weight[0]
                    + upper[right + c] * x.weight[1]
                    + lower[left + c] * x.weight[0]
                    + lower[right + c] * x.weight[1];
                visit(index, sum);
                index += 1;
            }
        }
    }
}
