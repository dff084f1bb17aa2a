//! Forms are the network's, and whatever a program says holds at every point.

use super::{Exact, Program, Sign};
use crate::certify::crown::{Bounds, Intermediate, bounds, margins};
use crate::certify::search::{Search, values};
use crate::certify::tests::{patchwork, points, tiny};
use crate::certify::{Graph, Region, rounding};
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::attack::Norm;
use tch::{Device, Kind, Tensor};

/// A network, a region of one image, and the margins against all other classes.
struct Case {
    graph: Graph,
    region: Region,
    rows: Tensor,
    bounds: Bounds,
}

impl Case {
    fn new(graph: Graph, image: &Tensor, eps: f64, norm: Norm) -> Self {
        let region = Region::new(image, eps, norm).expect("a region");
        let label = graph
            .forward(image)
            .expect("logits")
            .argmax(1, false)
            .int64_value(&[0]);
        let targets: Vec<i64> = (0..graph.classes()).filter(|class| *class != label).collect();
        let rows = margins(graph.classes(), label, &targets, (Kind::Float, Device::Cpu));
        let bounds = bounds(&graph, &region, &rows, Intermediate::Linear).expect("bounds");
        Self {
            graph,
            region,
            rows,
            bounds,
        }
    }

    fn exact(&self) -> Exact<'_> {
        Exact::new(&self.graph, &self.region, &self.bounds, &self.rows, 0.0).expect("forms")
    }

    /// For each point `[N, ...]` the values before the unstable units and the margins, in double precision.
    fn seen(&self, points: &Tensor) -> Vec<(Vec<f64>, Vec<f64>)> {
        let double = self.graph.in_kind(Kind::Double);
        let points = points.to_kind(Kind::Double);
        let layers = self.bounds.layers.iter().map(|layer| {
            let before = double.value(&points, double.nodes()[layer.at].inputs[0]);
            before
                .expect("values")
                .flatten(1, -1)
                .index_select(1, &layer.unstable)
        });
        let units = Tensor::cat(&layers.collect::<Vec<_>>(), 1);
        let logits = double.forward(&points).expect("logits");
        let margins = logits.matmul(&self.rows.to_kind(Kind::Double).tr());
        let of = |all: &Tensor, place: i64| values(&all.get(place)).expect("numbers");
        (0..points.size()[0])
            .map(|place| (of(&units, place), of(&margins, place)))
            .collect()
    }

    /// Points as perturbations.
    fn moved(&self, points: &Tensor) -> Vec<Vec<f64>> {
        let wide = self.region.in_kind(Kind::Double);
        let moved = (points.to_kind(Kind::Double) - wide.centre()) / wide.radius();
        (0..points.size()[0])
            .map(|place| values(&moved.get(place).flatten(0, -1)).expect("numbers"))
            .collect()
    }
}

/// Where descent of the second margin ends from some points.
fn descended(case: &Case, points: &Tensor) -> Tensor {
    let mut points = points.shallow_clone();
    for step in 0..30 {
        let xs = points.detach().set_requires_grad(true);
        let sum = case
            .graph
            .forward(&xs)
            .expect("logits")
            .matmul(&case.rows.get(1))
            .sum(Kind::Float);
        let slope = &Tensor::run_backward(&[sum], &[&xs], false, false)[0];
        points = case
            .region
            .inside(&(xs.detach() - slope.sign() * case.region.radius() * 0.5 * 0.9_f64.powi(step)));
    }
    points
}

fn image() -> Tensor {
    let mut rng = KeyedRng::new(3, "images", &[]);
    let values: Vec<f32> = (0..3 * 8 * 8).map(|_| rng.uniform() as f32).collect();
    Tensor::from_slice(&values).reshape([1, 3, 8, 8])
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

const BALLS: [(Norm, f64); 3] = [(Norm::Linf, 0.03), (Norm::Linf, 0.1), (Norm::L2, 0.5)];

/// Convolutions, a skip, shares of ReLUs, max pooling: within what is set aside for rounding, the affine functions of
/// the points and of the units' outputs are the network's own values.
#[test]
fn between_unstable_units_the_network_is_its_forms() {
    for (norm, eps) in BALLS {
        let case = Case::new(patchwork(), &image(), eps, norm);
        let exact = case.exact();
        assert!(exact.units.len() > 5, "{norm} {eps}: {} units", exact.units.len());
        let points = points(&image(), eps, norm, 100);
        for (moved, (before, margins)) in case.moved(&points).iter().zip(case.seen(&points)) {
            let outputs: Vec<f64> = before.iter().map(|z| z.max(0.0)).collect();
            let units = exact.units.iter().map(|unit| &unit.before);
            for (form, wanted) in units.chain(&exact.margins).zip(before.iter().chain(&margins)) {
                let said = form.constant + dot(&form.values, moved) + dot(&form.units, &outputs);
                let off = (said - wanted).abs() / (form.magnitude * rounding(Kind::Double));
                assert!(
                    off < 0.5,
                    "{norm} {eps}: {said} and {wanted}, {off} of what is set aside"
                );
            }
        }
    }
}

/// Every combination of signs of tiny networks: bounds hold at the points of a branch, and only branches without
/// points are closed.
#[test]
fn a_branchs_bound_holds_at_its_points() {
    let (mut empty, mut seen, mut tight) = (0, 0, 0);
    for (norm, eps) in [(Norm::Linf, 0.1), (Norm::L2, 0.1)] {
        for seed in 0..8 {
            let (graph, image, ..) = tiny(seed);
            let case = Case::new(graph, &image, eps, norm);
            let exact = case.exact();
            let points = points(&image, eps, norm, 3000);
            let all = case.seen(&points);
            for pattern in 0..3_u32.pow(exact.units.len().min(5) as u32) {
                let signs =
                    (0..exact.units.len() as u32).map(|unit| match pattern / 3_u32.pow(unit.min(5)) % 3 {
                        1 if unit < 5 => Sign::Positive,
                        2 if unit < 5 => Sign::Negative,
                        _ => Sign::Open,
                    });
                let signs: Vec<Sign> = signs.collect();
                let own = all.iter().filter(|(before, _)| {
                    before.iter().zip(&signs).all(|(z, sign)| match sign {
                        Sign::Open => true,
                        Sign::Positive => *z >= 0.0,
                        Sign::Negative => *z <= 0.0,
                    })
                });
                let least = own.map(|(_, margins)| margins[0]).fold(f64::INFINITY, f64::min);
                let bound = Program::new(&exact, &exact.margins[0], &signs).solve().bound;
                assert!(
                    bound <= least,
                    "{norm}, seed {seed}, {signs:?}: {bound} and {least}"
                );
                empty += u32::from(bound == f64::INFINITY);
                seen += u32::from(least.is_finite());
                tight += u32::from(least.is_finite() && least - bound < 0.02);
            }
        }
    }
    assert!(empty > 20, "{empty} branches are closed for want of points");
    assert!(
        seen > 100 && tight * 4 > seen,
        "{tight} of {seen} bounds are near a point"
    );
}

/// The solver is not believed: multipliers that mean nothing bound nothing wrongly.
#[test]
fn whatever_the_multipliers_the_bound_holds() {
    let mut rng = KeyedRng::new(5, "multipliers", &[]);
    for (norm, eps) in BALLS {
        let case = Case::new(patchwork(), &image(), eps, norm);
        let exact = case.exact();
        let points = points(&image(), eps, norm, 500);
        let least = case
            .seen(&Tensor::cat(&[&points, &descended(&case, &points)], 0))
            .iter()
            .map(|(_, margins)| margins[1])
            .fold(f64::INFINITY, f64::min);
        let open = vec![Sign::Open; exact.units.len()];
        let program = Program::new(&exact, &exact.margins[1], &open);
        let best = program.solve().bound;
        assert!(best <= least, "{norm} {eps}: {best} and {least}");
        for scale in [1e-3, 0.1, 1.0, 10.0] {
            for _ in 0..20 {
                let mut any: Vec<f64> = (0..program.rows()).map(|_| rng.normal() * scale).collect();
                program.cut(&mut any);
                let said = program.least(&any, 1.0);
                assert!(
                    said <= best + 1e-6,
                    "{norm} {eps}: {said} is above {best}, the best of all"
                );
                assert!(program.least(&any, 0.0) <= 0.0, "{norm} {eps}: it has points");
            }
        }
        let broken = vec![f64::NAN; program.rows()];
        assert_eq!(program.least(&broken, 1.0), f64::NEG_INFINITY);
    }
}

/// A program's bound is the best that slopes and multipliers can reach with the same bounds before the ReLUs.
#[test]
fn a_program_is_at_least_as_tight_as_optimised_slopes() {
    let mut tighter = 0;
    for (norm, eps) in BALLS {
        let case = Case::new(patchwork(), &image(), eps, norm);
        let exact = case.exact();
        let root = exact.run(3, &|| true).expect("bounds");
        let slopes = Search::new(&case.graph, &case.region, &case.bounds, case.rows.shallow_clone());
        let slopes = slopes.run(50, 0, &|| true).expect("bounds").bounds;
        for (margin, slopes) in slopes.into_iter().enumerate() {
            let program = Program::new(
                &exact,
                &exact.margins[margin],
                &vec![Sign::Open; exact.units.len()],
            );
            let bound = program.solve().bound;
            // A search that proves a margin stops there.
            assert!(bound >= slopes - 1e-6, "{norm} {eps}: {bound} and {slopes}");
            tighter += u32::from(bound > slopes + 1e-3);
        }
        assert!(root.nodes <= 3);
    }
    assert!(tighter > 0);
}
