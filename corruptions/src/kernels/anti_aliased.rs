//! An anti-aliased line, as scikit-image draws it (A. Zingl's algorithm).

/// Calls `visit(row, column, coverage)` for the pixels of the line between two points, each
/// (row, column), in the order of the original.
pub(crate) fn line([mut r, mut c]: [i64; 2], end: [i64; 2], mut visit: impl FnMut(i64, i64, f64)) {
    let (dr, dc) = ((end[0] - r).abs(), (end[1] - c).abs());
    let towards = |from: i64, to: i64| if from < to { 1 } else { -1 };
    let (step_r, step_c) = (towards(r, end[0]), towards(c, end[1]));
    // Single precision in the original; the errors are whole numbers and exact in any.
    let length = if dr + dc == 0 {
        1.0
    } else {
        ((dc * dc + dr * dr) as f64).sqrt() as f32
    };
    let coverage = |error: i64| 1.0 - error.abs() as f64 / f64::from(length);
    let near = |error: i64| (error as f32) < length;
    let mut error = dc - dr;
    loop {
        let (before, column) = (error, c);
        visit(r, c, coverage(error - dc + dr));
        if 2 * before >= -dc {
            if c == end[1] {
                return;
            }
            if near(before + dr) {
                visit(r + step_r, c, coverage(before + dr));
            }
            error -= dr;
            c += step_c;
        }
        if 2 * before <= dr {
            if r == end[0] {
                return;
            }
            if near(dc - before) {
                visit(r, column + step_c, coverage(dc - before));
            }
            error += dc;
            r += step_r;
        }
    }
}
