//! libjpeg-turbo's 4:2:0: 2x2 averages down, "fancy" triangle interpolation up.

/// Averages 2x2 samples of a `(wide, tall)` plane, of which `height` rows are image, into
/// `small`. The rounding bias alternates 1, 2 along the row.
#[inline(always)]
pub(super) fn halve(plane: &[u8], (wide, tall): (usize, usize), height: usize, small: &mut [u8]) {
    let stride = wide / 2;
    let rows = height.div_ceil(2);
    for (y, out) in small.chunks_exact_mut(stride).take(rows).enumerate() {
        let upper = plane[2 * y * wide..][..wide].as_chunks::<4>().0;
        let lower = plane[(2 * y + 1) * wide..][..wide].as_chunks::<4>().0;
        for (out, (upper, lower)) in out.as_chunks_mut().0.iter_mut().zip(upper.iter().zip(lower)) {
            let (a, b) = (upper.map(u16::from), lower.map(u16::from));
            let sums = [a[0] + a[1] + b[0] + b[1] + 1, a[2] + a[3] + b[2] + b[3] + 2];
            *out = sums.map(|sum| (sum >> 2) as u8);
        }
    }
    // Below the image the codec repeats averaged rows, not rows of the image.
    for y in rows..tall / 2 {
        small.copy_within((rows - 1) * stride..rows * stride, y * stride);
    }
}

/// Enlarges `small` to the `(width, height)` corner of `plane`, which has `wide` columns. `mixed` holds a row of
/// `small` and two values more.
#[inline(always)]
pub(super) fn double(
    small: &[u8],
    stride: usize,
    (width, height): (usize, usize),
    mixed: &mut [u16],
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
        let mixed = &mut mixed[..columns + 2];
        for (mixed, (&near, &far)) in mixed[1..].iter_mut().zip(near.iter().zip(far)) {
            *mixed = 3 * u16::from(near) + u16::from(far);
        }
        // The first and the last stand for what would be beyond them.
        (mixed[0], mixed[columns + 1]) = (mixed[1], mixed[columns]);
        let around = mixed.iter().zip(&mixed[1..]).zip(&mixed[2..]);
        for (out, ((left, this), right)) in out.as_chunks_mut().0.iter_mut().zip(around) {
            *out = [left + 8, right + 7].map(|beside| ((3 * this + beside) >> 4) as u8);
        }
    }
}
