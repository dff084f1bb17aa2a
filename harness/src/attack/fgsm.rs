//! One step: from the image (FGSM, Goodfellow et al., ICLR 2015), from a random sign step (R-FGSM,
//! Tramer et al., ICLR 2018), from a uniform start (Wong et al., ICLR 2020), or from noise beyond the ball (N-FGSM, de Jorge
//! et al., NeurIPS 2022).

use super::ball::Ball;
use super::pgd::{Settings, start_in_ball, to_the_end};
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::fgsm::{Ffgsm, Fgsm, Nfgsm, Rfgsm};
use tch::{Tensor, no_grad_guard};

impl Attack for Fgsm {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let settings = Settings::new(self.norm, self.eps, self.eps, 1);
        to_the_end(target, target.images.shallow_clone(), objective, &settings)
    }
}

impl Attack for Rfgsm {
    fn run(&self, spec: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let signs = target.uniform(1.0, spec.name(), &[]).sign();
        let start = (&target.images + signs * self.alpha).clamp(0.0, 1.0);
        let settings = Settings::new(self.norm, self.eps, (self.eps - self.alpha).max(0.0), 1);
        to_the_end(target, start, objective, &settings)
    }
}

impl Attack for Ffgsm {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let settings = Settings::new(self.norm, self.eps, self.alpha, 1);
        let start = start_in_ball(target, &settings, &[0]);
        to_the_end(target, start, objective, &settings)
    }
}

impl Attack for Nfgsm {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let settings = Settings::from_noise(self.eps, self.alpha, self.noise);
        let start = start_in_ball(target, &settings, &[0]);
        let point = to_the_end(target, start, objective, &settings)?;
        let ball = Ball::new(&target.images, self.eps, self.norm);
        let _guard = no_grad_guard();
        Ok(ball.project(&point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::pgd::descend;
    use crate::attack::run;
    use crate::attack::toy::{Linear, images, target};
    use rlnet_suites::Branch;
    use rlnet_suites::attack::Norm;
    use tch::Kind;

    fn list(tensor: &Tensor) -> Vec<f64> {
        let flat = tensor.to_kind(Kind::Double).reshape([-1]);
        Vec::try_from(flat).expect("values")
    }

    /// Two classes and a linear model: the sign of the gradient is that of the weights' difference,
    /// everywhere, so each step is known.
    #[test]
    fn one_step_attacks_by_hand() {
        let model = Linear::random(2, 12);
        let (images, labels) = images(&model, 5, 2, 2);
        let target = target(&model, &images, &labels, 0, 5);
        let upwards = list(&(model.weights.get(1) - model.weights.get(0)).sign());
        let labels: Vec<i64> = Vec::try_from(&labels).expect("labels");
        let sign = |i: usize| {
            if labels[i / 12] == 0 {
                upwards[i % 12]
            } else {
                -upwards[i % 12]
            }
        };
        let clean = list(&images);
        let steps = 1.0 / 255.0;

        let signs = list(&target.uniform(1.0, "rfgsm", &[]).sign());
        let made = run(
            &"rfgsm:eps=8/255,alpha=3/255".parse().expect("rfgsm"),
            &target,
            None,
        );
        for (i, made) in list(&made.expect("rfgsm")).into_iter().enumerate() {
            let random = (clean[i] + 3.0 * steps * signs[i]).clamp(0.0, 1.0);
            let expected = (random + 5.0 * steps * sign(i)).clamp(0.0, 1.0);
            assert!(
                (made - expected).abs() < 1e-6,
                "rfgsm, value {i}: {made}, {expected}"
            );
        }

        let whole = Settings::new(Norm::Linf, 8.0 * steps, 0.0, 1);
        let start = list(&start_in_ball(&target, &whole, &[0]));
        let made = run(
            &"ffgsm:eps=8/255,alpha=10/255".parse().expect("ffgsm"),
            &target,
            None,
        );
        for (i, made) in list(&made.expect("ffgsm")).into_iter().enumerate() {
            let stepped = start[i] + 10.0 * steps * sign(i);
            let inside = stepped.clamp(clean[i] - 8.0 * steps, clean[i] + 8.0 * steps);
            let expected = inside.clamp(0.0, 1.0);
            assert!(
                (made - expected).abs() < 1e-6,
                "ffgsm, value {i}: {made}, {expected}"
            );
        }

        // From noise of 16/255 a step of 8/255: in training to the box only, at evaluation projected to the ball as well.
        let noisy: AttackSpec = "nfgsm:eps=8/255".parse().expect("nfgsm");
        let settings = Settings::of(&noisy);
        let drawn = start_in_ball(&target, &settings, &[0]);
        let start = list(&drawn);
        let far = start
            .iter()
            .zip(&clean)
            .map(|(start, clean)| (start - clean).abs());
        assert!((9.0 * steps..=16.0 * steps + 1e-6).contains(&far.fold(0.0, f64::max)));
        let objective = Objective::CrossEntropy(target.labels.shallow_clone());
        let trained = descend(&model, Branch::Single, &images, &drawn, &objective, settings);
        let made = run(&noisy, &target, None).expect("nfgsm");
        let pairs = list(&trained.expect("nfgsm")).into_iter().zip(list(&made));
        for (i, (trained, made)) in pairs.enumerate() {
            let stepped = (start[i] + 8.0 * steps * sign(i)).clamp(0.0, 1.0);
            let inside = stepped.clamp(clean[i] - 8.0 * steps, clean[i] + 8.0 * steps);
            assert!((trained - stepped).abs() < 1e-6, "nfgsm in training, value {i}");
            assert!((made - inside).abs() < 1e-6, "nfgsm, value {i}: {made}, {inside}");
        }
    }
}
