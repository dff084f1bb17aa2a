//! Between bytes and the unit interval.
//!
//! The scripts divide by 255, work in `[0, 1]`, clip, multiply by 255 and cast, which
//! truncates toward zero: almost every corrupted image is half a grey level too dark, and
//! that is part of the benchmark.

/// `v / 255` for every byte, in double precision.
pub(crate) const UNIT: [f64; 256] = {
    let mut table = [0.0; 256];
    let mut v = 0;
    while v < 256 {
        table[v] = v as f64 / 255.0;
        v += 1;
    }
    table
};

/// `v / 255` for every byte, in single precision. Division in double precision then
/// rounding gives the same 256 values.
pub(crate) const UNIT_F32: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut v = 0;
    while v < 256 {
        table[v] = v as f32 / 255.0;
        v += 1;
    }
    table
};

pub(crate) fn unit(byte: u8) -> f64 {
    UNIT[usize::from(byte)]
}

pub(crate) fn unit_f32(byte: u8) -> f32 {
    UNIT_F32[usize::from(byte)]
}

/// Clip, scale, truncate. Not a number becomes 0.
pub(crate) fn byte(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0) as u8
}

/// The same in single precision, in steps that vectorise: adding 2^23 rounds to a whole
/// number, which is one too many where it is above the value.
#[inline]
pub(crate) fn byte_f32(value: f32) -> u8 {
    const ROUND: f32 = 8_388_608.0;
    let level = value * 255.0;
    // Written so that what is not a number becomes 0.
    let level = if level > 0.0 { level } else { 0.0 };
    let level = if level < 255.0 { level } else { 255.0 };
    let rounded = level + ROUND;
    (rounded.to_bits() - u32::from(rounded - ROUND > level)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_identity_in_both_precisions() {
        for v in 0..=255_u8 {
            assert_eq!(byte(unit(v)), v);
            assert_eq!(byte_f32(unit_f32(v)), v);
            assert_eq!(unit_f32(v), unit(v) as f32);
        }
        assert_eq!((byte(-0.1), byte(1.1), byte(f64::NAN)), (0, 255, 0));
    }

    #[test]
    fn single_precision_truncates_every_value_as_a_cast_does() {
        let plain = |value: f32| (value.clamp(0.0, 1.0) * 255.0) as u8;
        for i in -1_000_000..2_000_000 {
            let value = i as f32 * 1e-6;
            assert_eq!(byte_f32(value), plain(value), "{value}");
        }
        // Around every whole level.
        for level in 0..=256 {
            let value = level as f32 / 255.0;
            for near in [value.next_down(), value, value.next_up()] {
                assert_eq!(byte_f32(near), plain(near), "{near}");
            }
        }
        for odd in [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            -0.0,
            f32::MIN_POSITIVE,
        ] {
            assert_eq!(byte_f32(odd), plain(odd), "{odd}");
        }
    }
}
