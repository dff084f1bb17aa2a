//! Arithmetic shared by several corruptions, each piece as the library it imitates does it.

pub(crate) mod affine;
pub(crate) mod anti_aliased;
pub(crate) mod bilinear;
pub(crate) mod correlate;
pub(crate) mod dft;
pub(crate) mod edges;
pub(crate) mod frame;
pub(crate) mod gaussian;
pub(crate) mod hsv;
pub(crate) mod motion;
pub(crate) mod noise_table;
pub(crate) mod phase_noise;
pub(crate) mod rays;
pub(crate) mod spline;
pub(crate) mod unit;
pub(crate) mod warp;
pub(crate) mod wide;
pub(crate) mod zoom;

/// Index `i` into `0..n` mirrored without repeating the edge: `dcb|abcd|cba`.
#[inline]
pub(crate) fn reflect101(i: isize, n: usize) -> usize {
    // Most are inside; a division costs more than the rest.
    if (i as usize) < n {
        return i as usize;
    }
    if n == 1 {
        return 0;
    }
    let period = 2 * (n as isize - 1);
    let i = i.rem_euclid(period);
    i.min(period - i) as usize
}

/// Index `i` into `0..n` mirrored with the edge repeated: `cba|abc|cba`.
#[inline]
pub(crate) fn symmetric(i: isize, n: usize) -> usize {
    if (i as usize) < n {
        return i as usize;
    }
    let period = 2 * n as isize;
    let i = i.rem_euclid(period);
    i.min(period - 1 - i) as usize
}

/// Index `i` into `0..n`, clamped.
pub(crate) fn replicate(i: isize, n: usize) -> usize {
    i.clamp(0, n as isize - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_what_their_names_say() {
        let row = |f: fn(isize, usize) -> usize| (-5..9).map(|i| f(i, 4)).collect::<Vec<_>>();
        assert_eq!(row(reflect101), [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(row(symmetric), [3, 3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0, 0]);
        assert_eq!(row(replicate), [0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3]);
        for f in [reflect101, symmetric, replicate] {
            assert!((-9..9).all(|i| f(i, 1) == 0));
        }
    }
}
