//! Quantisation: the example tables of the JPEG standard, scaled by quality.

#[cfg(test)]
use super::dct::LANES;
use super::dct::Lanes;

/// ITU-T T.81, table K.1.
#[rustfmt::skip]
const LUMA: [u32; 64] = [
    16, 11, 10, 16,  24,  40,  51,  61,
    12, 12, 14, 19,  26,  58,  60,  55,
    14, 13, 16, 24,  40,  57,  69,  56,
    14, 17, 22, 29,  51,  87,  80,  62,
    18, 22, 37, 56,  68, 109, 103,  77,
    24, 35, 55, 64,  81, 104, 113,  92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103,  99,
];

/// ITU-T T.81, table K.2.
#[rustfmt::skip]
const CHROMA: [u32; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// A scaled table.
pub(super) struct Table {
    steps: [i32; 64],
    /// 1 / (8 step): the forward transform leaves coefficients scaled by 8. A product with
    /// it, corrected below, replaces a division.
    inverse: [f32; 64],
}

impl Table {
    pub fn luma(quality: u32) -> Self {
        Self::scaled(&LUMA, quality)
    }

    pub fn chroma(quality: u32) -> Self {
        Self::scaled(&CHROMA, quality)
    }

    /// The IJG scaling: 50 leaves the table as it is, 100 makes it all ones.
    fn scaled(base: &[u32; 64], quality: u32) -> Self {
        let quality = quality.clamp(1, 100);
        let scale = if quality < 50 {
            5000 / quality
        } else {
            200 - 2 * quality
        };
        let steps = base.map(|entry| ((entry * scale + 50) / 100).clamp(1, 255) as i32);
        let inverse = steps.map(|step| 1.0 / (8 * step) as f32);
        Self { steps, inverse }
    }

    /// Quantises and dequantises the coefficient in row `y` and column `x` of many blocks; coefficients are scaled by
    /// 8. The magnitude is rounded to the nearest step, halves up.
    #[inline(always)]
    pub fn coarsen(&self, y: usize, x: usize, values: &mut Lanes) {
        let (step, inverse) = (self.steps[8 * y + x], self.inverse[8 * y + x]);
        for value in values {
            // Exact: the numerator is below 2^15, so it is a number of single precision, and the quotient q is at
            // least 1 / (16 step) away from an integer, which is more than its two roundings (q 2^-23) can do.
            let quotient = ((value.abs() + 4 * step) as f32 + 0.5) * inverse;
            // Adding 2^23 rounds to a whole number, whose lower bits are the number: a cast would look for what no
            // integer holds.
            let level = ((quotient - 0.5 + 8_388_608.0).to_bits() & 0x7f_ffff) as i32;
            *value = value.signum() * level * step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_50_is_the_standard_and_100_is_all_ones() {
        assert_eq!(Table::luma(50).steps.map(|step| step as u32), LUMA);
        assert_eq!(Table::chroma(100).steps, [1; 64]);
        assert_eq!(Table::luma(1).steps, [255; 64]);
    }

    #[test]
    fn the_product_is_the_division() {
        for quality in [7, 25, 50, 80, 100] {
            let table = Table::luma(quality);
            for value in -9000..9000 {
                let mut lanes = [[value; LANES]; 64];
                for (i, lanes) in lanes.iter_mut().enumerate() {
                    table.coarsen(i / 8, i % 8, lanes);
                }
                for ([got, ..], step) in lanes.iter().zip(table.steps) {
                    let level = (value.abs() + 4 * step) / (8 * step);
                    assert_eq!(*got, value.signum() * level * step, "{value} by {step}");
                }
            }
        }
    }
}
