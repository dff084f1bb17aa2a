//! Steps in a series of nightly numbers: the best piecewise-constant fit, its number of segments
//! chosen by an information criterion, found exactly by dynamic programming (Auger and
//! Lawrence, Bulletin of Mathematical Biology 1989).
//!
//! The criterion is the Bayesian one, corrected for short series (McQuarrie and Tsai,
//! Regression and Time Series Model Selection, 1998), with three parameters a step: the new
//! level, and two for its place, which costs more than a level does (Zhang and Siegmund,
//! Biometrics 2007, arrive at three times log n a step).

/// A stretch of equal level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// First night of it.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// Its mean.
    pub level: f64,
}

/// Fewest nights in which steps are looked for: with fewer, the criterion finds none.
pub const FEWEST: usize = 9;

/// Most segments a series is cut into.
const MOST: usize = 16;

/// Cuts a series into segments of equal level. `resolution` is the smallest difference that the
/// numbers can show (one image): noise is never taken to be smaller.
pub fn segments(values: &[f64], resolution: f64) -> Vec<Segment> {
    let n = values.len();
    if n == 0 {
        return Vec::new();
    }
    let most = if n < FEWEST { 1 } else { (n / 3).min(MOST) };
    let fits = fits(values, most);
    let floor = resolution.max(f64::MIN_POSITIVE).powi(2);
    let score = |segments: usize| {
        let rest = fits.squares[segments][n] / n as f64 + floor;
        n as f64 * rest.ln() + penalty(n, segments)
    };
    let best = (1..=most).min_by(|a, b| score(*a).total_cmp(&score(*b)));
    let mut found = Vec::new();
    let mut end = n;
    for segments in (1..=best.unwrap_or(1)).rev() {
        let start = fits.from[segments][end];
        found.push(Segment {
            start,
            end,
            level: values[start..end].iter().sum::<f64>() / (end - start) as f64,
        });
        end = start;
    }
    found.reverse();
    found
}

/// What the criterion takes for `segments` levels, their steps and the noise.
fn penalty(n: usize, segments: usize) -> f64 {
    let (n, p) = (n as f64, (3 * segments - 1) as f64);
    let room = n - p - 2.0;
    if segments == 1 {
        // Also where the correction has no room: one level is always to be had.
        return p * n.ln() * if room > 0.0 { n / room } else { 1.0 };
    }
    if room > 0.0 {
        p * n.ln() * n / room
    } else {
        f64::INFINITY
    }
}

/// Best fits of the first values by a number of segments.
struct Fits {
    /// Sum of squares left, by segments and values covered.
    squares: Vec<Vec<f64>>,
    /// Where the last segment begins.
    from: Vec<Vec<usize>>,
}

fn fits(values: &[f64], most: usize) -> Fits {
    let n = values.len();
    // Prefix sums about the first value give any stretch's sum of squares in one step.
    let (mut sums, mut squares) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    for (i, value) in values.iter().enumerate() {
        let z = value - values[0];
        sums[i + 1] = sums[i] + z;
        squares[i + 1] = squares[i] + z * z;
    }
    let left = |start: usize, end: usize| {
        let sum: f64 = sums[end] - sums[start];
        (squares[end] - squares[start] - sum * sum / (end - start) as f64).max(0.0)
    };
    let mut fits = Fits {
        squares: vec![vec![f64::INFINITY; n + 1]; most + 1],
        from: vec![vec![0; n + 1]; most + 1],
    };
    fits.squares[0][0] = 0.0;
    for segments in 1..=most {
        for end in segments..=n {
            for start in segments - 1..end {
                let total = fits.squares[segments - 1][start] + left(start, end);
                if total < fits.squares[segments][end] {
                    (fits.squares[segments][end], fits.from[segments][end]) = (total, start);
                }
            }
        }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roughly normal noise of standard deviation 1, keyed.
    fn bell(seed: u64, index: usize) -> f64 {
        let mut state =
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index as u64 + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
        let mut uniform = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = state;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        // Twelve uniforms have variance 1.
        (0..12).map(|_| uniform()).sum::<f64>() - 6.0
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        // Ten standard deviations down on night 20 of 30, and up again on night 26.
        let level = |i| if (20..26).contains(&i) { 0.68 } else { 0.73 };
        for seed in 0..20 {
            let series: Vec<f64> = (0..30).map(|i| level(i) + 0.005 * bell(seed, i)).collect();
            let found = segments(&series, 0.0005);
            let starts: Vec<usize> = found.iter().map(|segment| segment.start).collect();
            assert_eq!(starts, [0, 20, 26], "seed {seed}: {found:?}");
            assert!((found[1].level - 0.68).abs() < 0.007);
        }
    }

    #[test]
    fn the_latest_night_alone_can_be_a_step() {
        let mut series = vec![0.8; 12];
        series[11] = 0.75;
        let starts: Vec<usize> = segments(&series, 0.0005)
            .iter()
            .map(|segment| segment.start)
            .collect();
        assert_eq!(starts, [0, 11]);
        // One image of 2,000 is no step.
        series[11] = 0.8005;
        assert_eq!(segments(&series, 0.0005).len(), 1);
    }

    #[test]
    fn quiet_series_have_few_false_steps() {
        let false_steps = (0..200).filter(|seed| {
            let series: Vec<f64> = (0..30).map(|i| 0.7 + 0.005 * bell(1000 + seed, i)).collect();
            segments(&series, 0.0005).len() > 1
        });
        let false_steps = false_steps.count();
        // The criterion is no test of a level; measured over series of 8 to 30 nights, it finds
        // a step in fewer than one quiet series in a hundred.
        assert!(false_steps <= 6, "{false_steps} of 200");
    }

    #[test]
    fn short_and_empty_series_have_no_steps() {
        assert!(segments(&[], 0.001).is_empty());
        assert_eq!(segments(&[0.1, 0.9, 0.1], 0.001).len(), 1);
    }
}
