//! Correlation with a kernel, row by row: the inner loop of every two-dimensional blur.
//!
//! A padded image lies in memory row by row, so a kernel's tap is one offset, and a row of
//! results is a sum of shifted lines. The order of addition is the order of the taps.

use super::wide::wide;

/// A tap: its offset in a padded image, and its weight.
pub(crate) type Tap = (isize, f64);

/// `out[i]` becomes the sum over `taps` of weight times `padded[start + offset + i]`.
pub(crate) fn lines(padded: &[f64], start: usize, taps: &[Tap], out: &mut [f64]) {
    let n = out.len();
    let line = |(offset, weight): Tap| (&padded[start.wrapping_add_signed(offset)..][..n], weight);
    // A few at a time, so that sums stay in registers.
    let (fours, rest) = taps.as_chunks::<4>();
    wide(
        #[inline(always)]
        || {
            out.fill(0.0);
            for &four in fours {
                add(out, four.map(line));
            }
            for &tap in rest {
                add(out, [line(tap)]);
            }
        },
    );
}

#[inline(always)]
fn add<const K: usize>(out: &mut [f64], lines: [(&[f64], f64); K]) {
    // Equal lengths, known here, so that no check is left in the loop.
    let n = out.len();
    let lines = lines.map(|(line, weight)| (&line[..n], weight));
    for (i, out) in out.iter_mut().enumerate() {
        let mut sum = *out;
        for (line, weight) in lines {
            sum += weight * line[i];
        }
        *out = sum;
    }
}
