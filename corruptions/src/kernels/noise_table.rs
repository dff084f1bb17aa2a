//! Tables of noise: noise that replaces every byte by a random one, given that byte alone.
//!
//! Pixels are bytes before and after, so noise that treats every value on its own is fully
//! described by 256 distributions over 256 bytes. They are worked out once, exactly, with the
//! truncation of the scripts; a draw is then one 32-bit word and one look into a table
//! (A. J. Walker's alias method, 1977, in whole numbers). Every probability is within 2^-32
//! of the exact one. Only sources that replay no foreign stream may draw this way.

use std::sync::OnceLock;

use crate::job::Job;
use crate::random::KeyedRng;

/// Fraction bits of a column; eight more bits name the column.
const FRACTION: u32 = 24;

/// The distribution of one byte: `law[k]` is the probability of a result of at most `k`.
pub(crate) type Law = [f64; 256];

/// For each of 256 input bytes, the distribution of the output byte.
pub(crate) struct NoiseTable {
    /// By input byte: columns of 2^24 words each, of which the first `column >> 8` give the
    /// column's own number and the others `column & 255`.
    columns: Box<[[u32; 256]]>,
}

impl NoiseTable {
    /// The table in which input byte `x` has the distribution `law(x)`.
    pub fn new(law: impl Fn(u8) -> Law) -> Self {
        Self {
            columns: (0..=255).map(|x| alias(&shares(&law(x)))).collect(),
        }
    }

    /// Draws an output byte for every one of `bytes`. One word of `rng` serves two bytes.
    pub fn draw(&self, bytes: &[u8], rng: &mut KeyedRng, out: &mut [u8]) {
        let Ok(columns) = <&[[u32; 256]; 256]>::try_from(&*self.columns) else {
            return;
        };
        let draw = |x: u8, word: u32| {
            let column = word >> FRACTION;
            let entry = columns[usize::from(x)][column as usize];
            let own = (word << 8 >> 8) < entry >> 8;
            (if own { column } else { entry }) as u8
        };
        let (pairs, last) = bytes.as_chunks::<2>();
        let (out_pairs, out_last) = out.as_chunks_mut::<2>();
        for (out, &[a, b]) in out_pairs.iter_mut().zip(pairs) {
            let word = rng.next_u64();
            *out = [draw(a, word as u32), draw(b, (word >> 32) as u32)];
        }
        for (out, &x) in out_last.iter_mut().zip(last) {
            *out = draw(x, rng.next_u64() as u32);
        }
    }
}

/// The tables of one corruption: a row a parameter set, a column a severity, each computed at
/// its first use.
pub(crate) struct NoiseTables([[OnceLock<NoiseTable>; 5]; 3]);

impl NoiseTables {
    pub const fn new() -> Self {
        Self([const { [const { OnceLock::new() }; 5] }; 3])
    }

    /// The table of this job's parameters; `law` is evaluated once a process.
    pub fn get(&self, job: &Job<'_>, law: impl Fn(u8) -> Law) -> &NoiseTable {
        job.pick(&self.0.each_ref().map(|row| row.each_ref()))
            .get_or_init(|| NoiseTable::new(law))
    }
}

/// The probabilities in units of 2^-32. Rounding the cumulative distribution, not the
/// probabilities, makes them add up to 2^32 by themselves.
fn shares(law: &Law) -> [u64; 256] {
    let mut below = 0;
    std::array::from_fn(|k| {
        let upto = if k == 255 { 1.0 } else { law[k].clamp(0.0, 1.0) };
        let upto = ((upto * (1_u64 << 32) as f64).round() as u64).max(below);
        upto - std::mem::replace(&mut below, upto)
    })
}

/// Cuts the shares into 256 columns of equal height and at most two bytes each.
fn alias(shares: &[u64; 256]) -> [u32; 256] {
    const HEIGHT: u64 = 1 << FRACTION;
    let mut rest = *shares;
    let mut columns = std::array::from_fn(|k| k as u32);
    let (mut short, mut tall): (Vec<usize>, Vec<usize>) = (0..256).partition(|&k| rest[k] < HEIGHT);
    while let (Some(k), Some(&donor)) = (short.pop(), tall.last()) {
        columns[k] = (rest[k] as u32) << 8 | donor as u32;
        rest[donor] -= HEIGHT - rest[k];
        if rest[donor] < HEIGHT {
            tall.pop();
            short.push(donor);
        }
    }
    // What is left is full: a column that names itself either way.
    columns
}

/// Probability of a standard normal below `z`, to about 1e-15: Marsaglia's series ("Evaluating
/// the normal distribution", 2004), whose terms all have one sign.
pub(crate) fn normal_below(z: f64) -> f64 {
    // Beyond, less than 2^-60 is left.
    if z.abs() > 9.0 {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The law that a table really follows, in units of 2^-32.
    fn followed(columns: &[u32; 256]) -> [u64; 256] {
        let mut shares = [0; 256];
        for (k, &column) in columns.iter().enumerate() {
            let own = u64::from(column >> 8);
            shares[k] += own;
            shares[(column & 255) as usize] += (1 << FRACTION) - own;
        }
        shares
    }

    #[test]
    fn a_table_follows_its_law_to_the_last_unit() {
        let laws: [Law; 4] = [
            [1.0; 256],
            std::array::from_fn(|k| (k + 1) as f64 / 256.0),
            std::array::from_fn(|k| f64::from(k >= 7) * 0.3 + f64::from(k >= 200) * 0.7),
            std::array::from_fn(|k| normal_below((k as f64 - 100.0) / 13.7)),
        ];
        for law in laws {
            let shares = shares(&law);
            assert_eq!(shares.iter().sum::<u64>(), 1 << 32);
            assert_eq!(followed(&alias(&shares)), shares);
            for k in 1..255 {
                let exact = law[k] - law[k - 1];
                assert!(
                    (shares[k] as f64 / (1_u64 << 32) as f64 - exact).abs() <= 1.0 / (1_u64 << 32) as f64
                );
            }
        }
    }

    #[test]
    fn the_normal_distribution_is_the_integral_of_its_density() {
        // Simpson's rule from -9 in steps of 1/512.
        let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let h = 1.0 / 512.0;
        let mut integral = 0.0;
        for i in 0..18 * 512 {
            let z = -9.0 + f64::from(i) * h;
            assert!((normal_below(z) - integral).abs() < 1e-12, "{z}");
            integral += h / 6.0 * (density(z) + 4.0 * density(z + 0.5 * h) + density(z + h));
        }
        assert_eq!((normal_below(f64::INFINITY), normal_below(-40.0)), (1.0, 0.0));
    }
}
