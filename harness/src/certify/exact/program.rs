//! A branch's program, and what its solver's multipliers prove.

use super::form::Form;
use super::{Exact, Sign};
use crate::certify::rounding;
use crate::program::{Columns, solve};
use clarabel::solver::SupportedConeT;
use tch::Kind;

/// The least of `cost v + constant` over variables within limits, with `below - matrix v` in the cones.
///
/// Rows: the equations of the units, the triangles (two rows each), the limits (two rows a variable), the ball.
pub(super) struct Program {
    cost: Vec<f64>,
    constant: f64,
    limits: Vec<[f64; 2]>,
    matrix: Columns,
    below: Vec<f64>,
    /// Rows that are equations, and rows before the limits and before the ball.
    equations: usize,
    from: usize,
    ball: usize,
    /// Where the outputs of the open units are among the variables.
    outputs: Vec<(usize, usize)>,
    /// What the margin and the equations were added up from.
    magnitude: f64,
    magnitudes: Vec<f64>,
}

/// What a program says.
pub(super) struct Solved {
    pub(super) bound: f64,
    pub(super) point: Vec<f64>,
    /// How much each unit is worth to decide; 0 for those that are.
    pub(super) scores: Vec<f64>,
}

impl Program {
    pub(super) fn new(exact: &Exact<'_>, margin: &Form, signs: &[Sign]) -> Self {
        let (units, values, count) = (&exact.units, margin.values.len(), exact.units.len());
        let open: Vec<usize> = (0..count).filter(|&unit| signs[unit] == Sign::Open).collect();
        let mut limits = vec![[-1.0, 1.0]; values];
        limits.extend(units.iter().zip(signs).map(|(unit, sign)| match sign {
            Sign::Open => [unit.lower, unit.upper],
            Sign::Positive => [0.0, unit.upper],
            Sign::Negative => [unit.lower, 0.0],
        }));
        limits.extend(open.iter().map(|&unit| [0.0, units[unit].upper]));
        let from = count + 2 * open.len();
        let ball = from + 2 * limits.len();
        let mut below: Vec<f64> = units.iter().map(|unit| unit.before.constant).collect();
        let steep = |unit: usize| units[unit].upper / (units[unit].upper - units[unit].lower);
        below.extend(
            open.iter()
                .flat_map(|&unit| [0.0, -steep(unit) * units[unit].lower]),
        );
        below.extend(limits.iter().flat_map(|[low, high]| [*high, -low]));

        let mut cost = margin.values.clone();
        let mut matrix = Columns::default();
        let limit = |matrix: &mut Columns, variable: usize| {
            matrix.put(from + 2 * variable, 1.0);
            matrix.put(from + 2 * variable + 1, -1.0);
        };
        // What a variable that is a unit's output is worth to the units behind it.
        let behind = |matrix: &mut Columns, output: usize| {
            for (row, unit) in units.iter().enumerate().skip(output + 1) {
                matrix.put(row, -unit.before.units[output]);
            }
        };
        for value in 0..values {
            for (row, unit) in units.iter().enumerate() {
                matrix.put(row, -unit.before.values[value]);
            }
            limit(&mut matrix, value);
            if let Some(ball_of) = &exact.ball {
                matrix.put(ball + 1 + value, -ball_of[value][1]);
            }
            matrix.end();
        }
        for (unit, sign) in signs.iter().enumerate() {
            matrix.put(unit, 1.0);
            let is_on = *sign == Sign::Positive;
            if is_on {
                behind(&mut matrix, unit);
            }
            cost.push(if is_on { margin.units[unit] } else { 0.0 });
            if let Ok(place) = open.binary_search(&unit) {
                matrix.put(count + 2 * place, 1.0);
                matrix.put(count + 2 * place + 1, -steep(unit));
            }
            limit(&mut matrix, values + unit);
            matrix.end();
        }
        for (place, &unit) in open.iter().enumerate() {
            behind(&mut matrix, unit);
            cost.push(margin.units[unit]);
            matrix.put(count + 2 * place, -1.0);
            matrix.put(count + 2 * place + 1, 1.0);
            limit(&mut matrix, values + count + place);
            matrix.end();
        }
        if let Some(ball_of) = &exact.ball {
            below.push(1.0);
            below.extend(ball_of.iter().map(|[away, _]| *away));
        }
        Self {
            cost,
            constant: margin.constant,
            limits,
            matrix,
            below,
            equations: count,
            from,
            ball,
            outputs: open
                .into_iter()
                .enumerate()
                .map(|(place, unit)| (unit, values + count + place))
                .collect(),
            magnitude: margin.magnitude,
            magnitudes: units.iter().map(|unit| unit.before.magnitude).collect(),
        }
    }

    /// Rows that have a multiplier.
    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.below.len()
    }

    pub(super) fn solve(&self) -> Solved {
        let values = self.limits.len() - self.equations - self.outputs.len();
        let mut cones = vec![
            SupportedConeT::ZeroConeT(self.equations),
            SupportedConeT::NonnegativeConeT(self.ball - self.equations),
        ];
        if self.below.len() > self.ball {
            cones.push(SupportedConeT::SecondOrderConeT(self.below.len() - self.ball));
        }
        // Costs of about one.
        let span: f64 = (self.cost.iter().zip(&self.limits))
            .map(|(cost, [low, high])| (cost * low).abs().max((cost * high).abs()))
            .sum();
        let span = if span > 0.0 && span.is_finite() { span } else { 1.0 };
        let cost: Vec<f64> = self.cost.iter().map(|cost| cost / span).collect();
        let found = solve(&cost, &self.matrix, &self.below, &cones);
        let mut multipliers: Vec<f64> = found.z.iter().map(|z| z * span).collect();
        self.cut(&mut multipliers);
        let least = if self.least(&multipliers, 0.0) > 0.0 {
            f64::INFINITY
        } else {
            self.least(&multipliers, 1.0)
        };
        let x = &found.x;
        let mut scores = vec![0.0; self.equations];
        for (place, &(unit, output)) in self.outputs.iter().enumerate() {
            let above = x[output] - x[values + unit].max(0.0);
            let weight = multipliers[self.equations + 2 * place + 1];
            scores[unit] = above.max(0.0) * weight;
        }
        Solved {
            bound: least,
            point: x[..values].to_vec(),
            scores,
        }
    }

    /// Multipliers of the cones' duals, whatever these were; none of the limits, which the box of the variables stands for.
    pub(super) fn cut(&self, multipliers: &mut [f64]) {
        for multiplier in &mut multipliers[self.equations..self.from] {
            *multiplier = multiplier.max(0.0);
        }
        multipliers[self.from..self.ball].fill(0.0);
        if let [first, rest @ ..] = &mut multipliers[self.ball..] {
            let length = rest.iter().map(|z| z * z).sum::<f64>().sqrt();
            // More than its own rounding.
            *first = first.max(length * (1.0 + 1e-9));
        }
    }

    /// The least value over the limits of `share * (cost v + constant) - multipliers (below - matrix v)`, and not above
    /// it whatever was rounded.
    pub(super) fn least(&self, multipliers: &[f64], share: f64) -> f64 {
        let mut sum = share * self.constant;
        let mut size = share * (self.constant.abs() + self.magnitude);
        for (multiplier, below) in multipliers.iter().zip(&self.below) {
            sum -= multiplier * below;
            size += (multiplier * below).abs();
        }
        for (multiplier, magnitude) in multipliers.iter().zip(&self.magnitudes) {
            size += multiplier.abs() * magnitude;
        }
        for ((column, cost), [low, high]) in self.matrix.iter().zip(&self.cost).zip(&self.limits) {
            let (mut rate, mut rates) = (share * cost, share * cost.abs());
            for (row, number) in column {
                rate += multipliers[row] * number;
                rates += (multipliers[row] * number).abs();
            }
            sum += (rate * low).min(rate * high);
            size += rates * low.abs().max(high.abs());
        }
        let added = (self.below.len() + self.cost.len()) as f64 * f64::EPSILON;
        let least = sum - size * (rounding(Kind::Double) + added);
        if least.is_nan() { f64::NEG_INFINITY } else { least }
    }
}
