//! The wrong classes that targeted attacks aim at, in the order in which they try them.

use super::Target;
use super::active::ActiveRows;
use super::ball::{dual, length};
use super::objective::{class, true_class_last};
use crate::error::Result;
use rlnet_suites::attack::{Norm, TargetOrder};
use tch::{Kind, Tensor};

/// Classes whose linearised distance is asked for, the likeliest wrong ones (MALT's authors' constant).
const TRIED: i64 = 100;

/// For each image of a batch the classes to try in turn; rows that were not asked about are zero.
pub(super) struct Targets {
    /// `[N, K]` int64.
    pub(super) classes: Tensor,
    /// Their places in the order of the clean logits, from 1: `[N, K]` int64.
    pub(super) ranks: Tensor,
    /// Which of them have not been tried before, `[N, K]` bool.
    pub(super) fresh: Tensor,
}

impl Targets {
    /// For the standing images at most `count` classes by one order, or by both: those of MALT's, then those
    /// of the logits' order that are not among them. `clean` are the batch's clean logits `[N, classes]`.
    ///
    /// MALT's order is that of the linearised distance `(z_y - z_c) / |grad(z_c - z_y)|` in the dual norm
    /// (Melamed et al., arXiv 2407.02240): one forward pass, and a backward pass a class. A class that no
    /// gradient leads to is the last.
    pub(super) fn of(
        active: &ActiveRows<'_>,
        clean: &Tensor,
        norm: Norm,
        order: TargetOrder,
        count: usize,
    ) -> Result<Self> {
        let likeliest = likeliest_wrong(&active.gather(clean), &active.labels);
        let wrong = likeliest.size()[1];
        let count = wrong.min(count as i64);
        let by_logits = Tensor::arange(count, (Kind::Int64, likeliest.device()))
            .expand([active.len() as i64, count], false);
        let (places, fresh) = match order {
            TargetOrder::Logits => (by_logits.copy(), by_logits.ge(0)),
            TargetOrder::Malt | TargetOrder::Both => {
                let tried = likeliest.narrow(1, 0, wrong.min(TRIED));
                let near = nearest_first(active, &tried, norm)?;
                let near = near.narrow(1, 0, count.min(near.size()[1]));
                let new = near.ge(0);
                if order == TargetOrder::Malt || near.size()[1] == wrong {
                    (near, new)
                } else {
                    let again = near
                        .unsqueeze(2)
                        .eq_tensor(&by_logits.unsqueeze(1))
                        .any_dim(1, false);
                    (
                        Tensor::cat(&[&near, &by_logits], 1),
                        Tensor::cat(&[new, again.logical_not()], 1),
                    )
                }
            }
        };
        Ok(Self {
            classes: active.spread(&likeliest.gather(1, &places, false)),
            ranks: active.spread(&(places + 1)),
            fresh: active.spread(&fresh),
        })
    }
}

impl Targets {
    /// What stands at one place: classes, ranks and whether they are fresh, each `[N]`.
    pub(super) fn at(&self, place: i64) -> [Tensor; 3] {
        [&self.classes, &self.ranks, &self.fresh].map(|all| all.select(1, place))
    }
}

/// The places of some classes `[M, K]` in the order of their linearised distances, the nearest first.
fn nearest_first(active: &ActiveRows<'_>, tried: &Tensor, norm: Norm) -> Result<Tensor> {
    Ok(distances(active, tried, norm)?.argsort_stable(true, 1, false))
}

/// The linearised distances `[M, K]` of some classes `[M, K]`.
fn distances(target: &Target<'_>, tried: &Tensor, norm: Norm) -> Result<Tensor> {
    let mut made = target.in_batches(&[tried], |part, rows| {
        Ok(vec![distances_at_once(part, &rows[0], norm)?])
    })?;
    Ok(made.remove(0))
}

fn distances_at_once(target: &Target<'_>, tried: &Tensor, norm: Norm) -> Result<Tensor> {
    let mut distances = Vec::new();
    target.slopes_of(
        &target.images,
        |logits| {
            let each = tried.unbind(1).into_iter();
            each.map(|other| class(logits, &other) - class(logits, &target.labels))
                .collect()
        },
        |gap, gradient| {
            let steepness = length(&gradient, dual(norm));
            let distance = -gap / &steepness;
            let leads = steepness.gt(0.0).logical_and(&distance.isfinite());
            distances.push(distance.masked_fill(&leads.logical_not(), f64::INFINITY));
        },
    )?;
    Ok(Tensor::stack(&distances, 1))
}

/// The wrong classes of each image, the likeliest first: `[N, classes - 1]`.
fn likeliest_wrong(logits: &Tensor, labels: &Tensor) -> Tensor {
    let wrong = true_class_last(logits, labels);
    let order = wrong.argsort_stable(true, 1, true);
    order.narrow(1, 0, logits.size()[1] - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::reference_models::{ReferenceModel, list};

    /// An image of which, in single precision, a ReLU near zero is open on some processors and closed on others (class 8,
    /// Linf: the reference has 0.010398; double precision, and processors without AVX-512, 0.0104001).
    const AT_A_RELU: i64 = 32;

    /// Distances of MALT's own function to 1e-4, and its order, in Linf and L2; the formula's in L1.
    #[test]
    #[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
    fn linearised_distances_and_orders_are_the_references() {
        const N: usize = 40;
        let bench = ReferenceModel::open("robust", (0..N as u32).collect());
        let target = bench.target();
        let logits = target.logits(&target.images).expect("logits");
        let active = ActiveRows::right(&target, &logits);
        let rows = Vec::<i64>::try_from(active.rows()).expect("rows");
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let entry = &bench.numbers[format!("targets_{norm}")];
            let likeliest = likeliest_wrong(&active.gather(&logits), &active.labels);
            let found = distances(&active, &likeliest, norm).expect("distances");
            let both = Targets::of(&active, &logits, norm, TargetOrder::Malt, 9).expect("targets");
            let by_logits = Targets::of(&active, &logits, norm, TargetOrder::Logits, 9).expect("targets");
            for (place, &row) in rows.iter().enumerate() {
                let theirs = &entry["distance"][row as usize];
                for rank in 0..9 {
                    let class = likeliest.int64_value(&[place as i64, rank]);
                    let want = theirs[class as usize].as_f64().expect("a distance");
                    let ours = found.double_value(&[place as i64, rank]);
                    let most = if row == AT_A_RELU { 1e-2 } else { 1e-4 };
                    assert!(
                        (ours / want - 1.0).abs() < most,
                        "{norm} {row} {class}: {ours} for {want}"
                    );
                }
                for (key, ours) in [("order_malt", &both), ("order_logits", &by_logits)] {
                    let ours = Vec::<f64>::try_from(ours.classes.get(row).to_kind(Kind::Double));
                    assert_eq!(
                        ours.expect("classes"),
                        list(&entry[key][row as usize]),
                        "{norm} {key} {row}"
                    );
                }
            }
        }
    }

    /// Few targets by both orders: MALT's first, and of the logits' those that are not among them.
    #[test]
    fn both_orders_try_no_class_twice() {
        use crate::attack::toy::{Linear, images, target};
        let mut model = Linear::random(9, 3 * 4 * 4);
        // Steep classes are nearer than their logits say.
        let steepness = Tensor::from_slice(&[1.0_f32, 3.0, 0.5, 2.0, 1.0, 4.0, 0.7, 1.5, 2.5]);
        model.weights = &model.weights * steepness.unsqueeze(1);
        let (x, y) = images(&model, 12, 4, 4);
        let target = target(&model, &x, &y, 0, 12);
        let logits = target.logits(&x).expect("logits");
        let active = ActiveRows::right(&target, &logits);
        let of = |order| Targets::of(&active, &logits, Norm::L2, order, 3).expect("targets");
        let (malt, logits, both) = (
            of(TargetOrder::Malt),
            of(TargetOrder::Logits),
            of(TargetOrder::Both),
        );
        let mut more = 0;
        for row in 0..12 {
            let row_of = |all: &Tensor| Vec::<i64>::try_from(all.get(row)).expect("classes");
            let fresh = Vec::<bool>::try_from(both.fresh.get(row)).expect("flags");
            let tried: Vec<i64> = row_of(&both.classes)
                .into_iter()
                .zip(fresh)
                .filter(|(_, new)| *new)
                .map(|(c, _)| c)
                .collect();
            let mut want = row_of(&malt.classes);
            want.extend(
                row_of(&logits.classes)
                    .into_iter()
                    .filter(|class| !row_of(&malt.classes).contains(class)),
            );
            assert_eq!(tried, want);
            more += tried.len() - 3;
        }
        assert!(more > 0, "both orders were the same");
    }
}
