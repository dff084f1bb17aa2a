//! Normals in bulk: the ziggurat (G. Marsaglia and W. W. Tsang, "The ziggurat method for
//! generating random variables", 2000), in double precision as J. A. Doornik's ZIGNOR (2005)
//! has it: position and layer come from different bits of a word.

use std::sync::LazyLock;

use super::KeyedRng;

const LAYERS: usize = 256;
/// Where the tail begins, and the area of every layer (Marsaglia and Tsang, for 256 layers).
const TAIL: f64 = 3.654_152_885_361_009;
const AREA: f64 = 0.004_928_673_233_974_655;

struct Layers {
    /// Right edges, from the base (a width that holds the tail's area too) to 0 at the top.
    x: [f64; LAYERS + 1],
    /// exp(-x^2 / 2) of them.
    y: [f64; LAYERS + 1],
}

static TABLE: LazyLock<Layers> = LazyLock::new(|| {
    let density = |x: f64| (-0.5 * x * x).exp();
    let mut x = [0.0; LAYERS + 1];
    x[0] = AREA / density(TAIL);
    x[1] = TAIL;
    for i in 2..LAYERS {
        x[i] = (-2.0 * (AREA / x[i - 1] + density(x[i - 1])).ln()).sqrt();
    }
    Layers { x, y: x.map(density) }
});

/// Fills `out` with standard normals.
pub(super) fn fill(rng: &mut KeyedRng, out: &mut [f64]) {
    let table = &*TABLE;
    for value in out {
        *value = draw(rng, table);
    }
}

fn draw(rng: &mut KeyedRng, Layers { x, y }: &Layers) -> f64 {
    loop {
        let word = rng.next_u64();
        let layer = (word & 255) as usize;
        // 53 bits in [-1, 1).
        let u = (word as i64 >> 11) as f64 * (1.0 / (1_u64 << 52) as f64);
        let at = u * x[layer];
        // Inside the layer above: 98.5 per cent of all draws.
        if at.abs() < x[layer + 1] {
            return at;
        }
        if layer == 0 {
            return tail(rng).copysign(u);
        }
        let height = y[layer] + (y[layer + 1] - y[layer]) * rng.uniform();
        if height < (-0.5 * at * at).exp() {
            return at;
        }
    }
}

/// A normal above [`TAIL`] (G. Marsaglia, 1964).
fn tail(rng: &mut KeyedRng) -> f64 {
    loop {
        // 1 - u is in (0, 1].
        let x = -(1.0 - rng.uniform()).ln() / TAIL;
        let y = -(1.0 - rng.uniform()).ln();
        if 2.0 * y > x * x {
            return TAIL + x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::noise_table::normal_below;

    #[test]
    fn every_layer_has_the_same_area_and_the_last_closes_the_top() {
        let Layers { x, y } = &*TABLE;
        for i in 1..LAYERS {
            assert!((x[i] * (y[i + 1] - y[i]) - AREA).abs() < 1e-11, "{i}");
        }
        assert_eq!((x[LAYERS], y[LAYERS]), (0.0, 1.0));
    }

    /// Counts in 200 equally likely cells, and beyond the tail's beginning.
    #[test]
    fn the_draws_are_normal() {
        let n = 2_000_000;
        let mut draws = vec![0.0; n];
        fill(&mut KeyedRng::new(5, "ziggurat", &[]), &mut draws);
        let mut cells = [0.0; 200];
        let (mut left, mut right) = (0.0, 0.0);
        for &z in &draws {
            cells[((normal_below(z) * 200.0) as usize).min(199)] += 1.0;
            left += f64::from(u8::from(z < -TAIL));
            right += f64::from(u8::from(z > TAIL));
        }
        let expected = n as f64 / 200.0;
        let chi2: f64 = cells
            .iter()
            .map(|count| (count - expected).powi(2) / expected)
            .sum();
        // 199 degrees of freedom; five standard deviations.
        assert!(chi2 < 199.0 + 5.0 * (2.0 * 199.0_f64).sqrt(), "{chi2}");
        let tail = n as f64 * normal_below(-TAIL);
        for count in [left, right] {
            assert!((count - tail).abs() < 5.0 * tail.sqrt(), "{count} of {tail}");
        }
    }
}
