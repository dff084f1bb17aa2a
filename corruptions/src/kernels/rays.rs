//! A spark: rays of random lengths around a centre, and how bright a pixel is among them.

use std::f64::consts::{PI, TAU};

/// The weight, in `[0, 1]`, of the pixel at (`dy`, `dx`) from the centre of rays with these
/// `lengths`; `exponent` sets how fast the weight falls beyond a ray's length.
pub(crate) fn weight(dy: f64, dx: f64, lengths: &[f64], exponent: f64) -> f64 {
    let count = lengths.len();
    let squared = dy * dy + dx * dx;
    // The scripts take the difference of columns first.
    let turn = (dx.atan2(dy) + PI) / TAU * count as f64;
    let (ray, part) = (turn as usize, turn - turn.trunc());
    let (here, next) = (lengths[ray % count], lengths[(ray + 1) % count]);
    let length = here + part * (next - here);
    let reach = length * length / (squared + 0.0001);
    let reach = if exponent == 1.0 {
        reach
    } else {
        reach.powf(exponent)
    };
    let ridge = 1.0 - (part - 0.5) * (part - 0.5);
    (ridge * reach).clamp(0.0, 1.0)
}
