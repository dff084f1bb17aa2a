//! RGB to HSV and back, in the order of operations of scikit-image's `color` module.

use super::unit::{byte, unit};

/// Replaces every pixel by what `change` makes of its `(h, s, v)`.
pub(crate) fn map(pixels: &[u8], out: &mut [u8], change: impl Fn(&mut [f64; 3])) {
    for (pixel, out) in pixels.chunks_exact(3).zip(out.chunks_exact_mut(3)) {
        let mut hsv = from_rgb([unit(pixel[0]), unit(pixel[1]), unit(pixel[2])]);
        change(&mut hsv);
        for (out, value) in out.iter_mut().zip(to_rgb(hsv)) {
            *out = byte(value);
        }
    }
}

fn from_rgb([r, g, b]: [f64; 3]) -> [f64; 3] {
    let v = r.max(g).max(b);
    let delta = v - r.min(g).min(b);
    if delta == 0.0 {
        return [0.0, 0.0, v];
    }
    // Later tests win ties, as the masked assignments of the original do.
    let sector = if b == v {
        4.0 + (r - g) / delta
    } else if g == v {
        2.0 + (b - r) / delta
    } else {
        (g - b) / delta
    };
    let turn = sector / 6.0;
    // The remainder by 1, with the sign of the divisor; a turn is between -1/6 and 5/6.
    let h = if turn < 0.0 { turn + 1.0 } else { turn };
    [h, delta / v, v]
}

fn to_rgb([h, s, v]: [f64; 3]) -> [f64; 3] {
    let sector = (h * 6.0) as u8;
    let f = h * 6.0 - f64::from(sector);
    let p = v * (1.0 - s);
    let q = v * (1.0 - f * s);
    let t = v * (1.0 - (1.0 - f) * s);
    match sector % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
