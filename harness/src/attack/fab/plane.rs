//! The nearest point of a hyperplane inside the box `[0, 1]`, for each image its own.
//!
//! A point `t` is to reach `{z : w·z = w·t - gap}`. Every value moves against the sign of
//! `w_i gap`, by at most its room `r_i` to the wall, and the moves `m_i` must cover the gap:
//! `sum |w_i| m_i = |gap|`. The shortest moves are `min(λ, r_i)` for Linf, `min(λ|w_i|, r_i)`
//! for L2, and for L1 whole rooms in the order of falling `|w_i|` until the gap is covered
//! (Croce and Hein, ICML 2020, arXiv 1907.02044, section 2). When all rooms together do not
//! cover it, every value goes to its wall.

use rlnet_suites::attack::Norm;
use tch::{Kind, Tensor};

/// Stands for "as far as the walls": more than any room over any gradient that matters.
const FAR: f64 = 1e30;

/// More passes than piecewise linear functions of images were seen to need by far; without a
/// bound a rounding error could go round for ever.
const PASSES: usize = 200;

/// The moves `[N, values]` from `points` onto planes with normals `w` (both `[N, values]`) at
/// signed gaps `[N]`.
pub(super) fn onto(points: &Tensor, w: &Tensor, gap: &Tensor, norm: Norm) -> Tensor {
    let gap = gap.unsqueeze(1);
    let down = w.sign() * gap.sign();
    let size = w.abs();
    // A value that falls has its own size as room, one that rises the rest up to 1.
    let room = points.where_self(&down.gt(0.0), &(1.0 - points));
    let need = gap.abs();
    let moves = match norm {
        Norm::Linf => {
            let step = least_step(&size, &size.ones_like(), &room, &need);
            room.minimum(&step)
        }
        Norm::L2 => {
            let step = least_step(&size, &size, &room, &need);
            room.minimum(&(step * &size))
        }
        Norm::L1 | Norm::L0 => greedy(&size, &room, &need),
    };
    -down * moves
}

fn sum(values: &Tensor) -> Tensor {
    values.sum_dim_intlist([1_i64].as_slice(), true, Kind::Float)
}

/// The `λ` `[N, 1]` with `sum |w_i| min(λ s_i, r_i) = need`.
///
/// The sum grows with `λ`, bending down wherever a value reaches its wall, so Newton's
/// iteration from 0 climbs to the answer and ends exactly there after finitely many steps.
/// An image that is there stays: `λ` depends on nothing but which values are at their walls.
fn least_step(size: &Tensor, speed: &Tensor, room: &Tensor, need: &Tensor) -> Tensor {
    let mut step = need.zeros_like();
    let covers = size * room;
    let slope = size * speed;
    for _ in 0..PASSES {
        let free = (speed * &step).lt_tensor(room);
        let covered = sum(&covers.masked_fill(&free, 0.0));
        let rate = sum(&slope.masked_fill(&free.logical_not(), 0.0));
        let next = (need - covered) / &rate;
        let next = next
            .clamp_max(FAR)
            .where_self(&rate.gt(0.0), &rate.full_like(FAR));
        let further = next.gt_tensor(&step);
        if further.any().int64_value(&[]) == 0 {
            break;
        }
        step = next.where_self(&further, &step);
    }
    step
}

/// L1: the values that cover most of the gap for their move go first, each as far as its wall
/// or as the rest of the gap asks.
fn greedy(size: &Tensor, room: &Tensor, need: &Tensor) -> Tensor {
    let order = size.argsort_stable(true, 1, true);
    let size = size.gather(1, &order, false);
    let room = room.gather(1, &order, false);
    let covers = (&size * &room).to_kind(Kind::Double);
    let before = covers.cumsum(1, Kind::Double) - &covers;
    let rest = (need.to_kind(Kind::Double) - before).clamp_min(0.0);
    let moves = (rest / size.clamp_min(1.0 / FAR)).to_kind(Kind::Float);
    let moves = moves.minimum(&room);
    moves.zeros_like().scatter(1, &order, &moves)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `t = (0.5, 0.9, 0)` and `w = (1, -2, 2)`: to raise `w·z`, the first value has room
    /// 0.5, the second 0.9 downwards, the third 1; together they cover 4.3.
    #[test]
    fn projections_worked_by_hand() {
        let t = Tensor::from_slice(&[0.5_f32, 0.9, 0.0]).unsqueeze(0);
        let w = Tensor::from_slice(&[1.0_f32, -2.0, 2.0]).unsqueeze(0);
        let check = |norm, gap: f32, want: [f32; 3]| {
            let moves = onto(&t, &w, &Tensor::from_slice(&[gap]), norm);
            let away = (&moves - Tensor::from_slice(&want)).abs().max();
            assert!(away.double_value(&[]) < 1e-6, "{norm} {gap}: {moves}");
        };
        check(Norm::Linf, -1.3, [0.26, -0.26, 0.26]);
        check(Norm::Linf, -3.0, [0.5, -0.625, 0.625]);
        check(Norm::L2, -1.8, [0.2, -0.4, 0.4]);
        check(Norm::L2, -4.1, [0.46, -0.9, 0.92]);
        check(Norm::L1, -1.3, [0.0, -0.65, 0.0]);
        check(Norm::L1, -3.0, [0.0, -0.9, 0.6]);
        // Down: rooms 0.5, 0.1 and 0; 0.7 at most.
        check(Norm::Linf, 0.15, [-0.05, 0.05, 0.0]);
        check(Norm::Linf, 0.6, [-0.4, 0.1, 0.0]);
        check(Norm::L2, 0.25, [-0.05, 0.1, 0.0]);
        check(Norm::L1, 0.3, [-0.1, 0.1, 0.0]);
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            // Out of reach: every value goes to its wall. At the plane: none moves.
            check(norm, -5.0, [0.5, -0.9, 1.0]);
            check(norm, 0.7, [-0.5, 0.1, 0.0]);
            check(norm, 0.0, [0.0, 0.0, 0.0]);
            let still = onto(&t, &w.zeros_like(), &Tensor::from_slice(&[-1.0_f32]), norm);
            assert_eq!(still.abs().max().double_value(&[]), 0.0);
        }
    }

    /// Each image's answer is its own, and the gap is covered whenever it can be.
    #[test]
    fn rows_do_not_see_each_other() {
        let mut rng = rlnet_corruptions::random::KeyedRng::new(0, "planes", &[]);
        let mut values = |n: usize, scale: f64| {
            let drawn: Vec<f32> = (0..n).map(|_| (scale * rng.uniform()) as f32).collect();
            Tensor::from_slice(&drawn)
        };
        let t = values(40 * 60, 1.0).reshape([40, 60]);
        let w = values(40 * 60, 2.0).reshape([40, 60]) - 1.0;
        let gap = values(40, 24.0) - 12.0;
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let all = onto(&t, &w, &gap, norm);
            let z = &t + &all;
            assert!(z.min().double_value(&[]) > -1e-6 && z.max().double_value(&[]) < 1.0 + 1e-6);
            let walls = t
                .ones_like()
                .where_self(&(&w * gap.unsqueeze(1)).lt(0.0), &t.zeros_like());
            let most = ((walls - &t) * &w)
                .abs()
                .sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
            let covered = (&all * &w).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
            let off = (covered + gap.sign() * gap.abs().minimum(&most)).abs().max();
            assert!(off.double_value(&[]) < 1e-4, "{norm}: {off}");
            for row in [0, 7, 39] {
                let one = onto(
                    &t.narrow(0, row, 1),
                    &w.narrow(0, row, 1),
                    &gap.narrow(0, row, 1),
                    norm,
                );
                assert!(one.equal(&all.narrow(0, row, 1)), "{norm}: row {row}");
            }
        }
    }
}
