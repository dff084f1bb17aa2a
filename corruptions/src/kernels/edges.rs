//! Edges and the distance to them: OpenCV's Canny detector and chamfer transform.

use super::frame::Frame;
use super::replicate;

/// Working memory of [`canny`]: planes of a [`Frame`].
pub(crate) struct Gradients<'a> {
    pub x: &'a mut [i16],
    pub y: &'a mut [i16],
    pub magnitude: &'a mut [i16],
    /// Positions whose neighbours are still to be looked at.
    pub pending: &'a mut [u32],
}

/// What Canny says of a pixel.
pub(crate) const WEAK: u8 = 1;
pub(crate) const EDGE: u8 = 2;

/// Marks the edges of a grey image with [`EDGE`]: Canny, 3x3 Sobel with replicated border,
/// gradient magnitude |gx| + |gy| between `low` and `high`.
pub(crate) fn canny(
    frame: Frame,
    grey: &mut [u8],
    (low, high): (i16, i16),
    gradients: Gradients<'_>,
    edges: &mut [u8],
) {
    let Gradients {
        x: across,
        y: down,
        magnitude,
        pending,
    } = gradients;
    frame.extend(grey, replicate);
    // Nothing counts as an edge beyond the border.
    magnitude.fill(0);
    edges.fill(0);
    for y in 0..frame.height {
        let [above, here, below] = frame.around(grey, y);
        let at = frame.row(y);
        let outs = across[at..]
            .iter_mut()
            .zip(&mut down[at..])
            .zip(&mut magnitude[at..]);
        let windows = above.windows(3).zip(here.windows(3)).zip(below.windows(3));
        for (((gx, gy), m), ((a, b), c)) in outs.zip(windows) {
            let value = |byte: u8| i16::from(byte);
            let sum = |p: u8, q: u8, r: u8| value(p) + 2 * value(q) + value(r);
            *gx = sum(a[2], b[2], c[2]) - sum(a[0], b[0], c[0]);
            *gy = sum(c[0], c[1], c[2]) - sum(a[0], a[1], a[2]);
            *m = gx.abs() + gy.abs();
        }
    }
    // From strong ridge pixels through weak neighbours.
    let stride = frame.stride();
    let mut count = 0;
    for y in 0..frame.height {
        for i in frame.row(y)..frame.row(y) + frame.width {
            if magnitude[i] > low && is_ridge(magnitude, i, stride, across[i], down[i]) {
                edges[i] = WEAK;
                if magnitude[i] > high {
                    edges[i] = EDGE;
                    pending[count] = i as u32;
                    count += 1;
                }
            }
        }
    }
    while count > 0 {
        count -= 1;
        let i = pending[count] as usize;
        for row in [i - stride, i, i + stride] {
            for i in [row - 1, row, row + 1] {
                if edges[i] == WEAK {
                    edges[i] = EDGE;
                    pending[count] = i as u32;
                    count += 1;
                }
            }
        }
    }
}

/// True if the magnitude at `i` is a maximum along the gradient.
fn is_ridge(magnitude: &[i16], i: usize, stride: usize, gx: i16, gy: i16) -> bool {
    // tan(22.5 degrees) in 15 fraction bits.
    const TANGENT: i32 = 13573;
    let m = magnitude[i];
    let (gx, gy) = (i32::from(gx), i32::from(gy));
    let (ax, ay) = (gx.abs() * TANGENT, gy.abs() << 15);
    if ay < ax {
        m > magnitude[i - 1] && m >= magnitude[i + 1]
    } else if ay > ax + (gx.abs() << 16) {
        m > magnitude[i - stride] && m >= magnitude[i + stride]
    } else if (gx ^ gy) < 0 {
        m > magnitude[i - stride + 1] && m > magnitude[i + stride - 1]
    } else {
        m > magnitude[i - stride - 1] && m > magnitude[i + stride + 1]
    }
}

/// A pixel side in the units of [`chamfer`].
pub(crate) const SIDE: f32 = 65_536.0;
const DIAGONAL: f32 = 91_750.0;
const KNIGHT: f32 = 143_976.0;
/// As far as [`chamfer`] looks: 61 pixels. Sums of distances and steps up to here are whole
/// numbers below 2^24, which single precision holds exactly.
const FAR: f32 = 61.0 * SIDE;

/// Distance of every pixel to the nearest edge, at most [`FAR`]: 5x5 chamfer, weights 1, 1.4
/// and 2.1969 in 16 fraction bits, a pass down and a pass up.
pub(crate) fn chamfer(frame: Frame, edges: &[u8], distance: &mut [f32]) {
    distance.fill(FAR);
    let stride = frame.stride();
    let least = |a: f32, b: f32| if a < b { a } else { b };
    // The least over the two rows on one side of a row; `near` and `far` begin two columns
    // left of it.
    let through = |near: &[f32], far: &[f32], out: &mut [f32]| {
        for ((out, n), f) in out.iter_mut().zip(near.windows(5)).zip(far.windows(5)) {
            let knight = least(least(n[0], n[4]), least(f[1], f[3])) + KNIGHT;
            let diagonal = least(n[1], n[3]) + DIAGONAL;
            *out = least(*out, least(least(knight, diagonal), n[2] + SIDE));
        }
    };
    for y in 0..frame.height {
        let at = frame.row(y);
        let (before, row) = distance.split_at_mut(at);
        let row = &mut row[..frame.width];
        for (out, &edge) in row.iter_mut().zip(&edges[at..]) {
            *out = if edge == EDGE { 0.0 } else { FAR };
        }
        through(
            &before[at - stride - 2..][..frame.width + 4],
            &before[at - 2 * stride - 2..],
            row,
        );
        let mut left = FAR;
        for out in row {
            left = least(*out, left + SIDE);
            *out = left;
        }
    }
    for y in (0..frame.height).rev() {
        let at = frame.row(y);
        let (row, after) = distance.split_at_mut(at + frame.width);
        let row = &mut row[at..];
        let below = stride - frame.width - 2;
        through(&after[below..][..frame.width + 4], &after[below + stride..], row);
        let mut right = FAR;
        for out in row.iter_mut().rev() {
            right = least(*out, right + SIDE);
            *out = right;
        }
    }
}
