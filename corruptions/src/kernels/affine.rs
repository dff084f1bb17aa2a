//! The affine warp of OpenCV 4: coordinates in 1/32 pixel, single-precision weights,
//! border mirrored without repeating the edge.

use super::reflect101;

/// An affine map: `x' = m[0] x + m[1] y + m[2]`, `y' = m[3] x + m[4] y + m[5]`.
pub(crate) type Affine = [f64; 6];

/// The map that takes three points to three points, by elimination with partial pivoting
/// on the six equations in OpenCV's arrangement.
pub(crate) fn through(from: [[f32; 2]; 3], to: [[f32; 2]; 3]) -> Affine {
    let mut rows = [[0.0; 7]; 6];
    for (i, (from, to)) in from.into_iter().zip(to).enumerate() {
        let [x, y] = from.map(f64::from);
        let [u, v] = to.map(f64::from);
        rows[2 * i] = [x, y, 1.0, 0.0, 0.0, 0.0, u];
        rows[2 * i + 1] = [0.0, 0.0, 0.0, x, y, 1.0, v];
    }
    for i in 0..6 {
        let mut pivot = i;
        for j in i + 1..6 {
            if rows[j][i].abs() > rows[pivot][i].abs() {
                pivot = j;
            }
        }
        rows.swap(i, pivot);
        let upper = rows[i];
        let d = -1.0 / upper[i];
        for row in &mut rows[i + 1..] {
            let factor = row[i] * d;
            for (value, upper) in row.iter_mut().zip(upper).skip(i + 1) {
                *value += factor * upper;
            }
        }
    }
    let mut map = [0.0; 6];
    for i in (0..6).rev() {
        let known = (i + 1..6).fold(rows[i][6], |sum, k| sum - rows[i][k] * map[k]);
        map[i] = known / rows[i][i];
    }
    map
}

/// The inverse, in OpenCV's order of operations.
fn inverse(m: &Affine) -> Affine {
    let determinant = m[0] * m[4] - m[1] * m[3];
    let d = if determinant == 0.0 {
        0.0
    } else {
        1.0 / determinant
    };
    let (a, b, c, e) = (m[4] * d, -m[1] * d, -m[3] * d, m[0] * d);
    [a, b, -a * m[2] - b * m[5], c, e, -c * m[2] - e * m[5]]
}

/// Warps an image by `map`. `columns` is working memory for two numbers a column.
pub(crate) fn warp<const C: usize>(
    image: &[[f32; C]],
    (width, height): (usize, usize),
    map: &Affine,
    columns: &mut [[i32; 2]],
    out: &mut [[f32; C]],
) {
    // Ten fraction bits for the parts, five for the position.
    // Adding and taking away 1.5 * 2^52 rounds half to even, without a library call.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    let fixed = |v: f64| (v * 1024.0 + MAGIC - MAGIC) as i32;
    let inverse = inverse(map);
    for (x, column) in columns.iter_mut().enumerate() {
        *column = [0, 3].map(|k| fixed(inverse[k] * x as f64));
    }
    for (y, line) in out.chunks_exact_mut(width).enumerate() {
        let row = [0, 3].map(|k| fixed(inverse[k + 1] * y as f64 + inverse[k + 2]) + 16);
        for (pixel, column) in line.iter_mut().zip(&*columns) {
            let at = |k: usize| row[k].saturating_add(column[k]) >> 5;
            let tap = |position: i32, n: usize| {
                let whole = (position >> 5) as isize;
                let part = (position & 31) as f32 / 32.0;
                let at = [reflect101(whole, n), reflect101(whole + 1, n)];
                (at, [1.0 - part, part])
            };
            let (columns, across) = tap(at(0), width);
            let (rows, down) = tap(at(1), height);
            let value = |j: usize, i: usize| (&image[rows[j] * width + columns[i]], down[j] * across[i]);
            let corners = [value(0, 0), value(0, 1), value(1, 0), value(1, 1)];
            let [a, b, c, d] = corners.map(|(pixel, weight)| pixel.map(|value| value * weight));
            *pixel = std::array::from_fn(|k| a[k] + b[k] + c[k] + d[k]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_takes_the_points_where_they_belong() {
        let from = [[26.0, 26.0], [26.0, 6.0], [6.0, 6.0]];
        let to = [[27.5, 25.0], [24.0, 7.25], [5.0, 6.5]];
        let map = through(from, to);
        for (m, from, to) in [(map, from, to), (inverse(&map), to, from)] {
            for ([x, y], [u, v]) in from.into_iter().zip(to) {
                let (x, y) = (f64::from(x), f64::from(y));
                assert!((m[0] * x + m[1] * y + m[2] - f64::from(u)).abs() < 1e-9);
                assert!((m[3] * x + m[4] * y + m[5] - f64::from(v)).abs() < 1e-9);
            }
        }
    }
}
