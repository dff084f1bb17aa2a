//! Accuracy against the share of ReLUs kept: the students of one teacher that differ in nothing
//! else, and the knee, up to which little is lost against that teacher.

use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::compare::{Comparison, Found, Measure, compare};
use crate::metrics::estimate::Estimate;
use crate::metrics::paired_tests::Difference;
use crate::model::Model;
use crate::runs::Runs;
use rlnet_suites::train::Stage;
use rlnet_suites::{Cell, CellId, CellSpec};

/// What may be lost against the reference before a network counts as fallen: two points.
pub const MARGIN: f64 = 0.02;

/// Networks of one kind with fewer and fewer ReLUs.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// What the networks' names have in common.
    pub name: String,
    /// The network they are compared with: the all-ReLU teacher where it was evaluated, else the
    /// network that keeps most.
    pub reference: String,
    /// Whether the reference is the teacher.
    pub from_teacher: bool,
    /// The networks, most ReLUs first; the teacher is one of them.
    pub points: Vec<SweepPoint>,
    /// One line a measure and reading.
    pub lines: Vec<SweepLine>,
}

/// A network of a sweep.
#[derive(Debug, Clone)]
pub struct SweepPoint {
    /// Its place among the report's models.
    pub model: usize,
    /// Its name.
    pub name: String,
    /// All ReLUs divided by those kept.
    pub reduction: f64,
    /// ReLUs kept.
    pub kept: u64,
}

/// One measure, read in one way.
#[derive(Debug, Clone)]
pub struct SweepLine {
    /// CA, NPA or AdvA.
    pub measure: Measure,
    /// How it is read.
    pub policy: BranchPolicy,
    /// Per point of the sweep, the share and its paired difference to the reference; absent
    /// where it was not measured. The reference has no difference.
    pub values: Vec<Option<(Estimate, Option<Difference>)>>,
    /// Where it falls.
    pub knee: Knee,
}

/// Where accuracy falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Knee {
    /// The largest reduction before the first that has fallen, and that first one (points of
    /// the sweep).
    Between(usize, usize),
    /// The first reduction has fallen.
    BeforeFirst(usize),
    /// No reduction has fallen; the last point.
    BeyondLast(usize),
    /// Not every point is measured.
    Unknown,
}

impl SweepLine {
    /// Whether a point has fallen: more than the margin is lost, and that is not chance (the
    /// paired 95 % interval leaves out no loss at all).
    pub fn fallen(difference: &Difference) -> bool {
        difference.value < -MARGIN && difference.high < 0.0
    }

    /// Between which points the knee lies, by the differences' 95 % intervals: the last point
    /// before the first whose interval reaches beyond the margin (0: the reference), and the last
    /// before the first whose whole interval lies there (nothing: beyond the last point). The
    /// knee itself always lies between the two. Nothing when a point is not measured.
    pub fn knee_range(&self) -> Option<(usize, Option<usize>)> {
        let known: Option<Vec<_>> = self.values.iter().map(Option::as_ref).collect();
        let known = known?;
        let last_before = |fallen: fn(&Difference) -> bool| {
            let first = known
                .iter()
                .position(|(_, found)| found.as_ref().is_some_and(fallen));
            first.map(|at| at.saturating_sub(1))
        };
        let low = last_before(|found| found.low < -MARGIN);
        let high = last_before(|found| found.high < -MARGIN);
        Some((low.unwrap_or(known.len().checked_sub(1)?), high))
    }

    fn find_knee(values: &[Option<(Estimate, Option<Difference>)>]) -> Knee {
        let mut last = None;
        for (i, value) in values.iter().enumerate() {
            match value {
                None => return Knee::Unknown,
                Some((_, Some(difference))) if Self::fallen(difference) => {
                    return last.map_or(Knee::BeforeFirst(i), |last| Knee::Between(last, i));
                }
                Some((_, None)) => {}
                Some(_) => last = Some(i),
            }
        }
        last.map_or(Knee::Unknown, Knee::BeyondLast)
    }
}

/// Every sweep of three or more reductions.
pub fn sweeps(found: &Found<'_>) -> Vec<Sweep> {
    let runs = found.runs;
    let mut groups: Vec<(Kind, Vec<usize>)> = Vec::new();
    for (index, model) in runs.models.iter().enumerate() {
        let Some(kind) = Kind::of(runs, model) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, members)) => members.push(index),
            None => groups.push((kind, vec![index])),
        }
    }
    let sweep = |(kind, members): (Kind, Vec<usize>)| sweep(found, &kind, &members);
    groups.into_iter().filter_map(sweep).collect()
}

/// What the members of a sweep share: the teacher, and every setting of student and mask but
/// the number of ReLUs.
#[derive(Debug, PartialEq)]
struct Kind {
    teacher: CellId,
    student: String,
    mask: String,
}

impl Kind {
    fn of(runs: &Runs, model: &Model) -> Option<Self> {
        let cell = model.trained.as_ref()?;
        if model.spec()?.stage != Stage::Student || model.repeats().is_some() {
            return None;
        }
        // A student that draws its own units has no mask stage.
        let mask = match cell.parents.get(1) {
            Some(id) => {
                let mut cells = runs.runs[model.run].plan.cells.iter();
                without_budget(cells.find(|other| other.id == *id)?)?
            }
            None => String::new(),
        };
        Some(Self {
            teacher: cell.parents.first()?.clone(),
            student: without_budget(cell)?,
            mask,
        })
    }
}

fn without_budget(cell: &Cell) -> Option<String> {
    let CellSpec::Train(spec) = &cell.spec else {
        return None;
    };
    let mut spec = spec.clone();
    spec.budget = None;
    serde_json::to_string(&spec).ok()
}

fn sweep(found: &Found<'_>, kind: &Kind, members: &[usize]) -> Option<Sweep> {
    let runs = found.runs;
    let point = |index: usize| {
        let model = &runs.models[index];
        let record = model.record.as_ref()?;
        Some(SweepPoint {
            model: index,
            name: model.name.clone(),
            reduction: record.total() as f64 / record.kept().max(1) as f64,
            kept: record.kept(),
        })
    };
    let mut points: Vec<SweepPoint> = members.iter().filter_map(|index| point(*index)).collect();
    points.sort_by(|a, b| a.reduction.total_cmp(&b.reduction));
    points.dedup_by(|a, b| a.kept == b.kept);
    if points.len() < 3 {
        return None;
    }
    let name = common_name(points.iter().map(|point| point.name.as_str()));
    let made = |model: &Model| model.trained.as_ref().is_some_and(|cell| cell.id == kind.teacher);
    let teacher = runs.models.iter().position(made).and_then(point);
    let from_teacher = teacher.is_some();
    if let Some(teacher) = teacher {
        points.insert(0, teacher);
    }
    let reference = points[0].name.clone();
    Some(Sweep {
        name: if name.is_empty() { reference.clone() } else { name },
        lines: lines(found, &points),
        reference,
        from_teacher,
        points,
    })
}

fn lines(found: &Found<'_>, points: &[SweepPoint]) -> Vec<SweepLine> {
    let branches = &found.runs.models[points[1].model].branches;
    let policies: &[BranchPolicy] = match branches.len() {
        0 | 1 => &[BranchPolicy::Oracle],
        _ => &[BranchPolicy::Oracle, BranchPolicy::Worst],
    };
    let mut lines = Vec::new();
    for policy in policies {
        let compared: Vec<Vec<Comparison>> = points[1..]
            .iter()
            .map(|point| compare(found, *policy, point.model, points[0].model))
            .collect();
        for measure in [Measure::Ca, Measure::Npa, Measure::AdvA] {
            let found = |all: &Vec<Comparison>| all.iter().find(|found| found.measure == measure).cloned();
            let compared: Vec<Option<Comparison>> = compared.iter().map(found).collect();
            let first = compared
                .iter()
                .flatten()
                .next()
                .map(|found| (found.baseline.clone(), None));
            let rest = compared
                .iter()
                .map(|found| found.clone().map(|found| (found.this, Some(found.difference))));
            let values: Vec<_> = std::iter::once(first).chain(rest).collect();
            if values.iter().flatten().count() > 1 {
                lines.push(SweepLine {
                    measure,
                    policy: *policy,
                    knee: SweepLine::find_knee(&values),
                    values,
                });
            }
        }
    }
    lines
}

/// What names begin with, without what joins the number: `rlnet` of `rlnet-2x` and `rlnet-20x`.
fn common_name<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let shared = |a: &'a str, b: &'a str| {
        let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y);
        &a[..same.map(|(x, _)| x.len_utf8()).sum::<usize>()]
    };
    let common = names.reduce(shared).unwrap_or_default();
    common
        .trim_end_matches(|c: char| c.is_ascii_digit() || "-_.".contains(c))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(difference: Option<(f64, f64)>) -> Option<(Estimate, Option<Difference>)> {
        let difference = difference.map(|(value, high)| Difference {
            value,
            low: 2.0 * value - high,
            high,
            p: 0.5,
            images: 100,
            test: String::new(),
        });
        Some((Estimate::of_images(50, 100), difference))
    }

    #[test]
    fn the_knee_is_the_last_reduction_before_a_loss_that_is_large_and_no_chance() {
        let fine = Some((-0.01, 0.01));
        // Large, but within chance; certain, but small: neither has fallen.
        let (noise, small) = (Some((-0.05, 0.01)), Some((-0.015, -0.005)));
        let fallen = Some((-0.03, -0.01));
        let knee = |differences: &[Option<(f64, f64)>]| {
            let rest = differences.iter().map(|difference| value(*difference));
            let values: Vec<_> = std::iter::once(value(None)).chain(rest).collect();
            SweepLine::find_knee(&values)
        };
        assert_eq!(knee(&[fine, noise, small, fallen, fine]), Knee::Between(3, 4));
        assert_eq!(knee(&[fallen, fine]), Knee::BeforeFirst(1));
        assert_eq!(knee(&[fine, small]), Knee::BeyondLast(2));
        assert_eq!(
            SweepLine::find_knee(&[value(None), None, value(fallen)]),
            Knee::Unknown
        );
    }

    #[test]
    fn the_intervals_of_the_losses_say_between_which_points_the_knee_lies() {
        let range = |differences: &[Option<(f64, f64)>]| {
            let rest = differences.iter().map(|difference| value(*difference));
            let values: Vec<_> = std::iter::once(value(None)).chain(rest).collect();
            let line = SweepLine {
                measure: Measure::Ca,
                policy: BranchPolicy::Oracle,
                knee: SweepLine::find_knee(&values),
                values,
            };
            line.knee_range()
        };
        // Intervals [-0.015, 0.005], [-0.03, -0.01], [-0.06, -0.03].
        let (fine, may_be, certain) = (Some((-0.005, 0.005)), Some((-0.02, -0.01)), Some((-0.045, -0.03)));
        assert_eq!(range(&[fine, may_be, certain]), Some((1, Some(2))));
        assert_eq!(range(&[may_be, fine, may_be]), Some((0, None)));
        assert_eq!(range(&[certain, fine]), Some((0, Some(0))));
        assert_eq!(range(&[fine, fine]), Some((2, None)));
    }

    #[test]
    fn a_sweep_has_the_name_its_networks_share() {
        let name = |names: &[&str]| common_name(names.iter().copied());
        assert_eq!(name(&["rlnet-2x", "rlnet-20x", "rlnet-5x"]), "rlnet");
        assert_eq!(name(&["rlnet-20x", "rlnet-25x"]), "rlnet");
        assert_eq!(name(&["a", "b"]), "");
    }
}
