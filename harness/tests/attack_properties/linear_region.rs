//! The linear-region attack where the highest margin in the ball is known.

use crate::toys::{Toy, images, normals, target};
use rlnet::attack::{Classifier, ball, run};
use rlnet::error::Result;
use rlnet_suites::attack::Norm;
use rlnet_suites::{AttackSpec, Branch};
use tch::{Device, Kind, Tensor};

const VALUES: i64 = 3 * 4 * 4;

/// Two ReLUs: the margin of the second class is `along . d - steep |across . d| - height`, `d` the difference from
/// grey. A gradient points across the valley, to one side or the other; what leads to the other class is along it.
struct Valley {
    /// `[values]` each.
    across: Tensor,
    along: Tensor,
    steep: f64,
    height: f64,
}

impl Valley {
    fn new(seed: u64) -> Self {
        Self {
            across: Tensor::from_slice(&normals(seed, "across", VALUES)),
            along: Tensor::from_slice(&normals(seed, "along", VALUES)),
            steep: 20.0,
            height: 0.0,
        }
    }

    /// The most that the margin rises in the ball, far from the walls: `eps min |along - k across|` in the dual norm,
    /// over `|k| <= steep`, which is convex in `k`.
    fn most(&self, eps: f64, norm: Norm) -> f64 {
        let steepness = |k: f64| {
            let slope = (&self.along - &self.across * k).unsqueeze(0);
            ball::length(&slope, ball::dual(norm)).double_value(&[0])
        };
        let (mut low, mut high) = (-self.steep, self.steep);
        for _ in 0..200 {
            let third = (high - low) / 3.0;
            if steepness(low + third) < steepness(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        eps * steepness(low)
    }
}

impl Classifier for Valley {
    fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
        let away = images.flatten(1, -1) - 0.5;
        let side = away.mv(&self.across);
        let wall = (side.relu() + (-&side).relu()) * self.steep;
        Ok(Tensor::stack(&[wall + self.height, away.mv(&self.along)], 1))
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }
}

#[test]
fn it_reaches_what_no_gradient_leads_to_and_no_further() {
    for (norm, eps) in [(Norm::Linf, 0.02), (Norm::L2, 0.1), (Norm::L1, 0.4)] {
        for seed in 0..4 {
            let mut model = Valley::new(seed);
            let grey = Tensor::full([1, 3, 4, 4], 0.5, (Kind::Float, Device::Cpu));
            let label = Tensor::from_slice(&[0_i64]);
            let most = model.most(eps, norm);
            for (share, reached) in [(0.999, true), (1.001, false)] {
                model.height = share * most;
                let broken = |name: &str| {
                    let spec: AttackSpec = format!("{name}:norm={norm},eps={eps}").parse().expect(name);
                    let target = target(&model, &grey, &label, 0, 1);
                    let made = run(&spec, &target, None).expect(name);
                    let away = ball::length(&(&made - &grey), norm).double_value(&[0]);
                    assert!(away <= eps * (1.0 + 1e-5), "{spec}: {away}");
                    target
                        .fooled(&target.logits(&made).expect("logits"))
                        .int64_value(&[0])
                        != 0
                };
                assert_eq!(broken("linear-region"), reached, "{norm}, seed {seed}, {share}");
                assert!(!broken("apgd-pm"), "{norm}, seed {seed}: Auto-PGD needs no help");
            }
        }
    }
}

#[test]
fn it_is_never_weaker_than_its_start() {
    const N: i64 = 40;
    let mut more = 0;
    for (seed, norm, eps) in [
        (1, "linf", "0.02"),
        (2, "l2", "0.1"),
        (3, "l1", "0.5"),
        (4, "linf", "0.03"),
    ] {
        let model = Toy::rectified(seed, 6, VALUES);
        let (images, labels) = images(&model, seed, [N, 3, 4, 4], 0.3);
        let broken = |name: &str| {
            // Few steps leave something to be found.
            let spec: AttackSpec = format!("{name}:norm={norm},eps={eps},steps=5")
                .parse()
                .expect(name);
            let target = target(&model, &images, &labels, 0, N);
            let made = run(&spec, &target, None).expect(name);
            Vec::<bool>::try_from(target.fooled(&target.logits(&made).expect("logits"))).expect("flags")
        };
        let (ours, start) = (broken("linear-region"), broken("apgd-pm"));
        assert!(
            start.iter().zip(&ours).all(|(start, ours)| *ours || !*start),
            "{norm}"
        );
        more += ours
            .iter()
            .zip(&start)
            .filter(|(ours, start)| **ours && !**start)
            .count();
    }
    assert!(more > 0, "the programs found nothing");
}
