//! libjpeg-turbo's 4:2:0: 2x2 averages down, "fancy" triangle interpolation up.

/// Averages 2x2 samples of a `(wide, tall)` plane, of which `height` rows are image, into
/// `small`. The rounding bias alternates 1, 2 along the row.
pub(super) fn halve(plane: &[u8], (wide, tall): (usize, usize), height: usize, small: &mut [u8]) {
    let stride = wide / 2;
    let rows = height.div_ceil(2);
    for (y, out) in small.chunks_exact_mut(stride).take(rows).enumerate() {
        let upper = &plane[2 * y * wide..][..wide];
        let lower = &plane[(2 * y + 1) * wide..][..wide];
        let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for (x, (out, (a, b))) in out.iter_mut().zip(pairs).enumerate() {
            let bias = 1 + (x as u32 & 1);
            let sum = [a[0], a[1], b[0], b[1]].into_iter().map(u32::from).sum::<u32>();
            *out = ((sum + bias) >> 2) as u8;
        }
    }
    // Below the image the codec repeats averaged rows, not rows of the image.
    for y in rows..tall / 2 {
        small.copy_within((rows - 1) * stride..rows * stride, y * stride);
    }
}

/// Enlarges `small` to the `(width, height)` corner of `plane`, which has `wide` columns.
pub(super) fn double(
    small: &[u8],
    stride: usize,
    (width, height): (usize, usize),
    plane: &mut [u8],
    wide: usize,
) {
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    for (y, out) in plane.chunks_exact_mut(wide).take(height).enumerate() {
        let line = |row: usize| &small[row * stride..][..columns];
        let near = line(y / 2);
        // Too narrow to interpolate: the codec repeats samples.
        if columns <= 2 {
            for (x, out) in out.iter_mut().take(width).enumerate() {
                *out = near[x / 2];
            }
            continue;
        }
        let far = line(if y % 2 == 0 {
            (y / 2).saturating_sub(1)
        } else {
            (y / 2 + 1).min(rows - 1)
        });
        let mixed = |x: usize| 3 * u32::from(near[x]) + u32::from(far[x]);
        let last = columns - 1;
        for x in 0..columns {
            let this = 3 * mixed(x);
            let left = if x == 0 { mixed(0) } else { mixed(x - 1) };
            let right = if x == last { mixed(last) } else { mixed(x + 1) };
            out[2 * x] = ((this + left + 8) >> 4) as u8;
            out[2 * x + 1] = ((this + right + 7) >> 4) as u8;
        }
    }
}
