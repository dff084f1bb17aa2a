//! AutoAttack (Croce and Hein, ICML 2020): the union of its attacks, each on the images that
//! the earlier ones left, always from the original image.

use super::active::ActiveRows;
use super::target::Target;
use super::{Attack, Objective, dispatch};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::autoattack::{AutoAttack, AutoAttackPlus};
use tch::{Tensor, no_grad_guard};

impl Attack for AutoAttack {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        union(&spec.parts()?, target)
    }
}

impl Attack for AutoAttackPlus {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, _: &Objective) -> Result<Tensor> {
        union(&spec.parts()?, target)
    }
}

/// Points `[N, 3, H, W]`: of each broken image the adversarial of the attack that broke it,
/// of the others the image itself. The target's account names what broke each.
fn union(stages: &[AttackSpec], target: &Target<'_>) -> Result<Tensor> {
    let clean = target.logits(&target.images)?;
    target.broken(&target.fooled(&clean), "clean");
    let mut active = ActiveRows::right(target, &clean);
    for stage in stages {
        if active.is_empty() {
            break;
        }
        let made = dispatch(stage, &active, None)?;
        let _guard = no_grad_guard();
        let fooled = active.verdict(&made)?;
        active.broken(&fooled, stage.name());
        active.settle(&fooled, &made);
    }
    Ok(active.into_points())
}

/// Accuracy in percent after each attack, from what broke each image: `clean 53.52, apgd-ce
/// 26.95, ...`.
///
/// # Errors
/// When one of the attacks is not defined for the norm.
pub fn survivors(spec: &AttackSpec, broken_by: &[Option<&'static str>]) -> Result<String> {
    let mut left = broken_by.len();
    let mut parts = Vec::new();
    let names = spec.parts()?;
    for name in std::iter::once("clean").chain(names.iter().map(AttackSpec::name)) {
        left -= broken_by.iter().filter(|by| **by == Some(name)).count();
        parts.push(format!(
            "{name} {:.2}",
            100.0 * left as f64 / broken_by.len().max(1) as f64
        ));
    }
    Ok(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::toy::{Linear, images, target};
    use crate::attack::{Classifier, run};
    use rlnet_suites::Branch;
    use tch::{Device, Kind};

    /// Each image's draws are its own, so the union is exact: what the members break one by
    /// one, and no image does otherwise in a smaller batch.
    #[test]
    fn the_union_is_the_members_together() {
        const N: i64 = 10;
        let model = Linear::random(5, 3 * 4 * 4);
        let (x, labels) = images(&model, N, 4, 4);
        // The first two labels are wrong: clean errors.
        let wrong = Tensor::arange(N, (Kind::Int64, x.device())).lt(2);
        let labels = (labels + wrong.to_kind(Kind::Int64)).remainder(5);
        let alone = || target(&model, &x, &labels, 0, N);
        let fooled = |target: &Target<'_>, points: &Tensor| -> Vec<bool> {
            Vec::try_from(target.fooled(&target.logits(points).expect("logits"))).expect("flags")
        };
        for text in ["autoattack:version=rand,eps=0.02", "autoattack:eps=0.02"] {
            let spec: AttackSpec = text.parse().expect(text);
            let whole = alone();
            let made = run(&spec, &whole, None).expect(text);
            let union = fooled(&whole, &made);
            let broken_by = whole.spent().broken_by;
            assert!(broken_by.iter().map(Option::is_some).eq(union.iter().copied()));
            let mut members = fooled(&whole, &x);
            for stage in spec.parts().expect(text) {
                let target = alone();
                let broken = fooled(&target, &run(&stage, &target, None).expect(text));
                for (any, broken) in members.iter_mut().zip(broken) {
                    *any |= broken;
                }
            }
            assert_eq!(union, members, "{text}");
            let count = union.iter().filter(|&&broken| broken).count();
            assert!(
                (4..10).contains(&count),
                "{text}: {count} of 10 broken shows nothing"
            );
            let part = target(&model, &x, &labels, 3, 4);
            let points = run(&spec, &part, None).expect(text);
            assert_eq!(points, made.narrow(0, 3, 4), "{text}");
            assert_eq!(part.spent().broken_by[..], broken_by[3..7]);
        }
    }

    /// Says one of five classes of every image.
    struct Steadfast(i64);

    impl Classifier for Steadfast {
        fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
            let logits = Tensor::zeros([images.size()[0], 5], (Kind::Float, images.device()));
            Ok(logits.index_fill(1, &Tensor::from(self.0).reshape([1]), 1.0))
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }

    /// An image that only the network in less precision takes for another class goes on to the next stage.
    #[test]
    fn what_breaks_is_the_judges_word() {
        let model = Linear::random(5, 3 * 4 * 4);
        let (x, labels) = images(&model, 10, 4, 4);
        let class = labels.int64_value(&[0]);
        let labels = labels.full_like(class);
        let spec: AttackSpec = "autoattack:version=rand,eps=0.1".parse().expect("rand");
        let broken = |target: &Target<'_>| {
            let _ = run(&spec, target, None).expect("points");
            let by = target.spent().broken_by;
            let clean = by.iter().filter(|by| **by == Some("clean")).count();
            (clean, by.iter().filter(|by| by.is_some()).count() - clean)
        };
        let (clean, attacked) = broken(&target(&model, &x, &labels, 0, 10));
        assert!(attacked > 0, "{clean} {attacked}");
        let steadfast = Steadfast(class);
        let judged = target(&model, &x, &labels, 0, 10).judged_by(&steadfast);
        assert_eq!(broken(&judged), (clean, 0));
    }

    #[test]
    fn survivors_are_counted_stage_by_stage() {
        let spec: AttackSpec = "autoattack:version=rand".parse().expect("rand");
        let broken_by = [
            Some("clean"),
            None,
            Some("apgd-dlr"),
            Some("apgd-ce"),
            Some("apgd-dlr"),
        ];
        assert_eq!(
            survivors(&spec, &broken_by).expect("a line"),
            "clean 80.00, apgd-ce 60.00, apgd-dlr 20.00"
        );
    }

    #[test]
    fn what_is_undefined_is_refused() {
        let model = Linear::random(3, 3 * 2 * 2);
        let (x, labels) = images(&model, 2, 2, 2);
        let spec: AttackSpec = "autoattack".parse().expect("a name");
        let error = run(&spec, &target(&model, &x, &labels, 0, 2), None).expect_err("three classes");
        assert!(error.to_string().contains("4 classes"), "{error}");
    }

    /// Each of AutoAttack's runs is one of AutoAttack+'s, whatever the number of classes is.
    #[test]
    fn autoattack_plus_breaks_what_autoattack_breaks() {
        const N: i64 = 16;
        for (classes, norm, eps) in [
            (5, "linf", 0.012),
            (13, "linf", 0.01),
            (12, "l2", 0.06),
            (5, "l1", 0.2),
        ] {
            let model = Linear::random(classes, 3 * 3 * 4);
            let (x, labels) = images(&model, N, 3, 4);
            let flags = |text: String| -> Vec<bool> {
                let spec: AttackSpec = text.parse().expect("an attack");
                let mut parts = spec.parts().expect("parts");
                for part in &mut parts {
                    for few in [("steps", "12"), ("queries", "30")] {
                        *part = part.with(few.0, few.1).unwrap_or_else(|_| part.clone());
                    }
                }
                let target = target(&model, &x, &labels, 0, N);
                let made = union(&parts, &target).expect("points");
                Vec::try_from(target.fooled(&target.logits(&made).expect("logits"))).expect("flags")
            };
            let plain = flags(format!("autoattack:norm={norm},eps={eps}"));
            let plus = flags(format!("autoattack+:norm={norm},eps={eps}"));
            assert!(
                plain.iter().zip(&plus).all(|(plain, plus)| *plus || !*plain),
                "{plain:?} {plus:?}"
            );
            let broken = plain.iter().filter(|broken| **broken).count();
            assert!(
                (2..16).contains(&broken),
                "{classes} {norm}: {broken} of 16 broken shows nothing"
            );
        }
    }
}
