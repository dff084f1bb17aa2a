//! Edges and the distance to them: OpenCV's Canny detector and chamfer transform.

use super::replicate;

/// Marks the edges of a grey image: Canny, 3x3 Sobel with replicated border, gradient
/// magnitude |gx| + |gy|. `magnitude` and `stack` are working memory of one value a pixel
/// (`gradient`: two).
pub(crate) fn canny(
    grey: &[u8],
    (width, height): (usize, usize),
    (low, high): (i32, i32),
    words: [&mut [i32]; 3],
    edge: &mut [bool],
) {
    // tan(22.5 degrees) in 15 fraction bits.
    const TANGENT: i32 = 13573;
    let [gradient, magnitude, stack] = words;
    for y in 0..height {
        let rows = [-1, 0, 1].map(|d| replicate(y as isize + d, height) * width);
        for x in 0..width {
            let columns = [-1, 0, 1].map(|d| replicate(x as isize + d, width));
            let at = |dy: usize, dx: usize| i32::from(grey[rows[dy] + columns[dx]]);
            let (left, right) = (at(0, 0) + at(2, 0), at(0, 2) + at(2, 2));
            let gx = right + 2 * at(1, 2) - left - 2 * at(1, 0);
            let (above, below) = (at(0, 0) + at(0, 2), at(2, 0) + at(2, 2));
            let gy = below + 2 * at(2, 1) - above - 2 * at(0, 1);
            let i = y * width + x;
            gradient[2 * i] = gx;
            gradient[2 * i + 1] = gy;
            magnitude[i] = gx.abs() + gy.abs();
        }
    }
    let weight = |y: isize, x: isize| {
        let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
        if inside {
            magnitude[y as usize * width + x as usize]
        } else {
            0
        }
    };
    // `edge` is filled from strong ridge pixels through weak neighbours. Once a pixel has
    // been judged, its gradient's memory holds the verdict.
    let mut pending = 0;
    edge.fill(false);
    for y in 0..height as isize {
        for x in 0..width as isize {
            let i = y as usize * width + x as usize;
            let m = magnitude[i];
            let (gx, gy) = (gradient[2 * i], gradient[2 * i + 1]);
            let (ax, ay) = (gx.abs() * TANGENT, gy.abs() << 15);
            let ridge = m > low
                && if ay < ax {
                    m > weight(y, x - 1) && m >= weight(y, x + 1)
                } else if ay > ax + (gx.abs() << 16) {
                    m > weight(y - 1, x) && m >= weight(y + 1, x)
                } else {
                    let s = if (gx ^ gy) < 0 { -1 } else { 1 };
                    m > weight(y - 1, x - s) && m > weight(y + 1, x + s)
                };
            gradient[2 * i] = i32::from(ridge);
            if ridge && m > high {
                edge[i] = true;
                stack[pending] = i as i32;
                pending += 1;
            }
        }
    }
    while pending > 0 {
        pending -= 1;
        let i = stack[pending] as usize;
        let (y, x) = (i / width, i % width);
        for y in y.saturating_sub(1)..(y + 2).min(height) {
            for x in x.saturating_sub(1)..(x + 2).min(width) {
                let i = y * width + x;
                if gradient[2 * i] == 1 && !edge[i] {
                    edge[i] = true;
                    stack[pending] = i as i32;
                    pending += 1;
                }
            }
        }
    }
}

/// Distance of every pixel to the nearest edge: 5x5 chamfer, weights 1, 1.4 and 2.1969 in
/// 16 fraction bits, a pass down and a pass up. `padded` has two pixels more on each side.
pub(crate) fn chamfer(edge: &[bool], (width, height): (usize, usize), padded: &mut [i32], out: &mut [f32]) {
    const SIDE: i32 = 65_536;
    const DIAGONAL: i32 = 91_750;
    const KNIGHT: i32 = 143_976;
    // Far, with room for the largest sum along a path.
    const FAR: i32 = i32::MAX / 4;
    let stride = width + 4;
    let s = stride as isize;
    let before = [
        (-2 * s - 1, KNIGHT),
        (-2 * s + 1, KNIGHT),
        (-s - 2, KNIGHT),
        (-s - 1, DIAGONAL),
        (-s, SIDE),
        (-s + 1, DIAGONAL),
        (-s + 2, KNIGHT),
        (-1, SIDE),
    ];
    padded.fill(FAR);
    for y in 0..height {
        for x in 0..width {
            let i = (y + 2) * stride + x + 2;
            padded[i] = if edge[y * width + x] {
                0
            } else {
                let through =
                    |&(offset, weight): &(isize, i32)| padded[i.wrapping_add_signed(offset)] + weight;
                before.iter().map(through).min().unwrap_or(FAR).min(FAR)
            };
        }
    }
    for y in (0..height).rev() {
        for x in (0..width).rev() {
            let i = (y + 2) * stride + x + 2;
            let through = |&(offset, weight): &(isize, i32)| padded[i.wrapping_add_signed(-offset)] + weight;
            let nearest = before.iter().map(through).min().unwrap_or(FAR);
            padded[i] = padded[i].min(nearest);
            out[y * width + x] = padded[i] as f32 / 65_536.0;
        }
    }
}
