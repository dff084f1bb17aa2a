//! MI-FGSM (Dong et al., CVPR 2018): `g <- mu g + grad / mean|grad|`, a sign step along `g`.

use super::ball::Ball;
use super::pgd::Settings;
use super::scale;
use super::target::Target;
use super::{Attack, Objective};
use crate::error::Result;
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::mifgsm::Mifgsm;
use tch::{Kind, Tensor};

impl Attack for Mifgsm {
    fn run(&self, _: &AttackSpec, target: &Target<'_>, objective: &Objective) -> Result<Tensor> {
        let settings = Settings::new(self.norm, self.eps, self.alpha, self.steps);
        let mut points = target.images.shallow_clone();
        let mut accumulated = points.zeros_like();
        let ball = Ball::new(&target.images, settings.eps, settings.norm);
        for _ in 0..settings.steps {
            let gradient = scale::unit(&target.slope(&points, objective)?.gradient);
            let size = gradient
                .abs()
                .mean_dim([1_i64, 2, 3].as_slice(), true, Kind::Float);
            accumulated = accumulated * self.momentum + gradient / scale::nonzero(&size);
            points = settings.step(&points, &accumulated, &ball);
        }
        Ok(points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{Classifier, run};
    use rlnet_suites::Branch;
    use tch::Device;

    fn list(tensor: &Tensor) -> Vec<f64> {
        let flat = tensor.to_kind(Kind::Double).reshape([-1]);
        Vec::try_from(flat).expect("values")
    }

    /// `logits = (a x^2, 0)`: a gradient that shrinks and turns with the point, so that momentum
    /// goes on where the gradient would turn back.
    struct Bowl;

    const BOWL: [f64; 3] = [40.0, -25.0, 90.0];

    impl Classifier for Bowl {
        fn logits(&self, images: &Tensor, _: Branch) -> Result<Tensor> {
            let flat = images.flatten(1, -1) - 0.5;
            let weights = Tensor::from_slice(&BOWL.map(|a| a as f32));
            let first = (flat.square() * weights).sum_dim_intlist(1, true, Kind::Float);
            Ok(Tensor::cat(&[&first, &first.zeros_like()], 1))
        }
        fn branches(&self) -> &[Branch] {
            &[Branch::Single]
        }
        fn device(&self) -> Device {
            Device::Cpu
        }
    }

    #[test]
    fn momentum_by_hand() {
        let clean = [0.52, 0.47, 0.51];
        let images = Tensor::from_slice(&clean.map(|x| x as f32)).reshape([1, 3, 1, 1]);
        let labels = Tensor::from_slice(&[0_i64]);
        let target = Target::new(&Bowl, Branch::Single, &images, &labels, &[0], 0);
        let made = run(
            &"mifgsm:eps=16/255,alpha=3/255,steps=6,momentum=0.9"
                .parse()
                .expect("mifgsm"),
            &target,
            None,
        );
        let (mut x, mut g) = (clean, [0.0; 3]);
        let (mut turned, alpha, eps) = (false, 3.0 / 255.0, 16.0 / 255.0);
        for _ in 0..6 {
            let first: f64 = (0..3).map(|i| BOWL[i] * (x[i] - 0.5_f64).powi(2)).sum();
            // Cross entropy of class 0 of (z, 0) has the slope -sigmoid(-z).
            let slope = -1.0 / (1.0 + first.exp());
            let gradient: Vec<f64> = (0..3).map(|i| slope * 2.0 * BOWL[i] * (x[i] - 0.5)).collect();
            let size = gradient.iter().map(|g| g.abs()).sum::<f64>() / 3.0;
            for i in 0..3 {
                g[i] = 0.9 * g[i] + gradient[i] / size;
                turned |= g[i] * gradient[i] < 0.0;
                x[i] = (x[i] + alpha * g[i].signum()).clamp(clean[i] - eps, clean[i] + eps);
            }
        }
        assert!(turned, "the momentum never went against the gradient");
        for (made, expected) in list(&made.expect("mifgsm")).into_iter().zip(x) {
            assert!((made - expected).abs() < 1e-5, "{made}, {expected}");
        }
    }
}
