//! Few unstable units: branch and bound in which every bound is a linear program, in L2 a second-order cone program.
//!
//! Between unstable units a network is affine: the value before each of them, and each margin, is an affine function
//! ([`Form`]) of the image and of the outputs of the unstable units before it. A program has the image, the value `z`
//! before each unstable unit and the output `y` of each undecided one for variables. An undecided unit lies in its
//! triangle, `y >= 0`, `y >= z` and `y <= u (z - l) / (u - l)` (Ehlers, ATVA 2017); one that is decided is `z >= 0`
//! and `y = z`, or `z <= 0` and `y = 0`. Where all are decided the program is the network. Next is decided the unit
//! whose output is farthest above its ReLU, weighted by the multiplier of its upper line.
//!
//! **Soundness.** The solver is not believed. Its multipliers are cut to their signs, whatever they are, and the least
//! value of the Lagrangian over the box of all variables, a sum of single terms, is a bound (Neumaier and Shcherbina,
//! Math. Program. 99, 2004). A branch without points is proven so by the Lagrangian of no cost: where its least value
//! is positive, a multiple of it is above any number. All of that is in double precision and lowered as other bounds are,
//! by [`rounding`] times the magnitudes of all terms, those of the forms' own sums among them, and by what adding so
//! many numbers one by one may lose.

mod form;
mod program;
#[cfg(test)]
mod tests;

use super::crown::{Bounds, Layer};
use super::graph::Graph;
use super::region::Region;
use super::search::{Answer, values};
use crate::error::Result;
use form::{Form, Forms};
use program::Program;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use tch::{Kind, Tensor, no_grad_guard};

/// The most unstable units, the comparisons of max pooling among them, for which programs are solved (own choice: the
/// time of a program grows with the square of that, docs/certify.md).
pub const UNITS: i64 = 128;

/// An unstable unit.
#[derive(Debug)]
struct Unit {
    lower: f64,
    upper: f64,
    /// Its value before the ReLU.
    before: Form,
}

/// What is decided of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Open,
    Positive,
    Negative,
}

/// One image and the margins to decide.
#[derive(Debug)]
pub struct Exact<'a> {
    graph: &'a Graph,
    region: &'a Region,
    rows: &'a Tensor,
    units: Vec<Unit>,
    margins: Vec<Form>,
    /// In L2: how far the box's centre is from the ball's, and how far a value of 1 moves the image; both in radii.
    ball: Option<Vec<[f64; 2]>>,
}

/// A branch that is not proven.
struct Branch {
    bound: f64,
    margin: usize,
    signs: Vec<Sign>,
    /// The unit to decide; none where all are.
    next: Option<usize>,
}

impl PartialEq for Branch {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Branch {}
impl PartialOrd for Branch {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Branch {
    /// The lowest bound first: where a counterexample is, if there is one.
    fn cmp(&self, other: &Self) -> Ordering {
        other.bound.total_cmp(&self.bound)
    }
}

impl<'a> Exact<'a> {
    /// For the margins `[T, classes]` of one image; `above` is taken off them.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn new(
        graph: &'a Graph,
        region: &'a Region,
        bounds: &Bounds,
        rows: &'a Tensor,
        above: f64,
    ) -> Result<Self> {
        let _guard = no_grad_guard();
        let double = graph.in_kind(Kind::Double);
        let wide = region.in_kind(Kind::Double);
        let layers = bounds.layers.iter().map(|layer| layer.of(&double));
        let layers: Vec<Layer> = layers.collect();
        let forms = Forms {
            graph: &double,
            region: &wide,
            layers: &layers,
        };
        let mut units = Vec::new();
        for layer in &layers {
            let before = forms.before(layer)?;
            let ends = values(&layer.lower)?.into_iter().zip(values(&layer.upper)?);
            let unit = |(before, (lower, upper))| Unit { lower, upper, before };
            units.extend(before.into_iter().zip(ends).map(unit));
        }
        let mut margins = forms.of(double.last(), &rows.to_kind(Kind::Double))?;
        for margin in &mut margins {
            margin.constant -= above;
        }
        let ball = match &wide.ball {
            None => None,
            Some((centre, eps)) => {
                let away = values(&((wide.centre() - centre) / *eps).flatten(0, -1))?;
                let moved = values(&(wide.radius() / *eps).flatten(0, -1))?;
                Some(away.into_iter().zip(moved).map(<[f64; 2]>::from).collect())
            }
        };
        Ok(Self {
            graph,
            region,
            rows,
            units,
            margins,
            ball,
        })
    }

    /// Branches until every margin is proven, a point is found at which one is not positive, or so many branches
    /// have been bounded. `go_on` is asked between them.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn run(&self, nodes: u64, go_on: &dyn Fn() -> bool) -> Result<Answer> {
        let mut answer = Answer {
            bounds: vec![f64::INFINITY; self.margins.len()],
            nodes: 0,
            counterexample: None,
        };
        let mut open: BinaryHeap<Branch> = BinaryHeap::new();
        // Branches that stay as they are.
        let mut left: Vec<Branch> = Vec::new();
        for margin in 0..self.margins.len() {
            let root = Branch {
                bound: f64::NEG_INFINITY,
                margin,
                signs: vec![Sign::Open; self.units.len()],
                next: None,
            };
            if answer.nodes < nodes && answer.counterexample.is_none() && go_on() {
                self.visit(root, &mut answer, &mut open)?;
            } else {
                left.push(root);
            }
        }
        while let Some(branch) = open.pop() {
            let is_over = answer.nodes + 2 > nodes || answer.counterexample.is_some() || !go_on();
            let Some(unit) = branch.next.filter(|_| !is_over) else {
                left.push(branch);
                continue;
            };
            for sign in [Sign::Negative, Sign::Positive] {
                let mut signs = branch.signs.clone();
                signs[unit] = sign;
                let child = Branch { signs, ..branch };
                self.visit(child, &mut answer, &mut open)?;
            }
        }
        for branch in left {
            let least = &mut answer.bounds[branch.margin];
            *least = least.min(branch.bound);
        }
        Ok(answer)
    }

    /// Bounds a branch, of which its parent's bound is known, and looks at the solver's point.
    fn visit(&self, mut branch: Branch, answer: &mut Answer, open: &mut BinaryHeap<Branch>) -> Result<()> {
        let solved = Program::new(self, &self.margins[branch.margin], &branch.signs).solve();
        answer.nodes += 1;
        branch.bound = branch.bound.max(solved.bound);
        if branch.bound > 0.0 {
            let least = &mut answer.bounds[branch.margin];
            *least = least.min(branch.bound);
            return Ok(());
        }
        if answer.counterexample.is_none() {
            answer.counterexample = self.broken(&solved.point)?;
        }
        let units = (0..self.units.len()).filter(|&unit| branch.signs[unit] == Sign::Open);
        branch.next = units.max_by(|a, b| solved.scores[*a].total_cmp(&solved.scores[*b]));
        open.push(branch);
        Ok(())
    }

    /// The image of a perturbation, if a margin of the network is not positive there.
    fn broken(&self, point: &[f64]) -> Result<Option<Tensor>> {
        let _guard = no_grad_guard();
        let centre = self.region.centre();
        let moved = Tensor::from_slice(point)
            .clamp(-1.0, 1.0)
            .to_kind(centre.kind())
            .to_device(centre.device())
            .reshape(centre.size());
        let image = self.region.inside(&(&centre + moved * self.region.radius()));
        let margins = self.graph.forward(&image)?.matmul(&self.rows.tr());
        let least = values(&margins.flatten(0, -1))?
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        Ok((least <= 0.0).then_some(image))
    }
}
