//! Linear and second-order cone programs, as Clarabel's interior point method takes them.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettings, DefaultSolution, DefaultSolver, IPSolver, SupportedConeT};

/// A sparse matrix as it is written, column after column.
#[derive(Debug)]
pub(crate) struct Columns {
    starts: Vec<usize>,
    places: Vec<usize>,
    numbers: Vec<f64>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            starts: vec![0],
            places: Vec::new(),
            numbers: Vec::new(),
        }
    }
}

impl Columns {
    /// Puts a number into the column that is being written, below those that it has.
    pub(crate) fn put(&mut self, row: usize, number: f64) {
        if number != 0.0 {
            self.places.push(row);
            self.numbers.push(number);
        }
    }

    /// Ends the column.
    pub(crate) fn end(&mut self) {
        self.starts.push(self.places.len());
    }

    /// The columns that were ended: rows and numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, f64)>> {
        self.starts.windows(2).map(|ends| {
            let of = ends[0]..ends[1];
            let places = self.places[of.clone()].iter().copied();
            places.zip(self.numbers[of].iter().copied())
        })
    }
}

/// Looks for the variables `v` with the least `cost v` among those for which `below - matrix v` lies in the cones. What
/// comes back is the solver's word, with its status.
pub(crate) fn solve(
    cost: &[f64],
    matrix: &Columns,
    below: &[f64],
    cones: &[SupportedConeT<f64>],
) -> DefaultSolution<f64> {
    let (rows, variables) = (below.len(), cost.len());
    let matrix = CscMatrix::new(
        rows,
        variables,
        matrix.starts.clone(),
        matrix.places.clone(),
        matrix.numbers.clone(),
    );
    let settings = DefaultSettings {
        verbose: false,
        ..DefaultSettings::default()
    };
    let no_curve = CscMatrix::zeros((variables, variables));
    let mut solver = DefaultSolver::new(&no_curve, cost, &matrix, below, cones, settings);
    solver.solve();
    solver.solution
}
