//! One step: FGSM, R-FGSM and the FGSM of "fast" training.

use super::entry::AttackEntry;
use super::param::{Role, parameters};
use super::pgd::PGD;
use super::shared::{
    ALPHA, BASE, BRANCH, EOT, EPS, LOSS, NORM_2, NORM_LINF, Norm, PRECISION, SURROGATE, number,
};
use crate::error::SuiteError;

parameters! {
    /// One step of eps.
    Fgsm {
        /// Norm of the ball and the step.
        norm: Norm = NORM_2,
        /// Radius of the ball.
        eps: f64 = EPS,
    } and [LOSS, EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

parameters! {
    /// A random sign step, then a gradient step.
    Rfgsm {
        /// Norm of the ball and the step.
        norm: Norm = NORM_LINF,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Size of the random step; the rest of eps is the gradient's.
        alpha: f64 = ALPHA
            .or("4/255")
            .meaning(Role::Own)
            .saying("size of the random sign step, below eps"),
    } and [EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

parameters! {
    /// A step from a uniform start.
    Ffgsm {
        /// Norm of the ball and the step.
        norm: Norm = NORM_LINF,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Size of the step.
        alpha: f64 = ALPHA.or("10/255"),
    } and [EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

parameters! {
    /// A step of eps from noise beyond the ball.
    Nfgsm {
        /// Norm of the ball and the step.
        norm: Norm = NORM_LINF,
        /// Radius of the ball.
        eps: f64 = EPS,
        /// Size of the step.
        alpha: f64 = ALPHA.or("8/255"),
        /// Radius of the noise, in radii of the ball.
        noise: f64 = number("2", "radius of the uniform noise that it starts from, in multiples of eps"),
    } and [EOT, BRANCH, SURROGATE, PRECISION, BASE]
}

/// FGSM.
pub static FGSM: AttackEntry = AttackEntry {
    name: "fgsm",
    display: "FGSM",
    title: "Fast gradient sign method, one step of eps, no random start",
    source: "Goodfellow et al., ICLR 2015, arXiv 1412.6572",
    rank: 1,
    one_step_of: Some(&PGD),
    passes: |_| 2.0,
    ..AttackEntry::of::<Fgsm>()
};

/// R-FGSM.
pub static RFGSM: AttackEntry = AttackEntry {
    name: "rfgsm",
    display: "R+FGSM",
    title: "A random sign step of alpha, then a gradient sign step of eps - alpha",
    source: "Tramer et al., ICLR 2018, arXiv 1705.07204",
    rank: 2,
    passes: |_| 2.0,
    check: |spec| match spec.read::<Rfgsm>() {
        Some(Rfgsm { eps, alpha, .. }) if alpha >= eps => Err(SuiteError::value(
            "attack parameter",
            format!("alpha={}", spec.params()["alpha"]),
            format!(
                "the gradient's step of rfgsm is eps - alpha, and eps is {}; name a smaller alpha (Tramer et \
                 al.: half of eps)",
                spec.params()["eps"]
            ),
        )),
        _ => Ok(()),
    },
    ..AttackEntry::of::<Rfgsm>()
};

/// The FGSM of "fast" training.
pub static FFGSM: AttackEntry = AttackEntry {
    name: "ffgsm",
    display: "FFGSM",
    title: "FGSM from a uniform start with a step beyond eps, projected (\"fast\" training's attack)",
    source: "Wong et al., ICLR 2020, arXiv 2001.03994",
    rank: 2,
    trains: true,
    passes: |_| 2.0,
    ..AttackEntry::of::<Ffgsm>()
};

/// N-FGSM, whose end point training takes as it is.
pub static NFGSM: AttackEntry = AttackEntry {
    name: "nfgsm",
    display: "N-FGSM",
    title: "FGSM from uniform noise beyond the ball; training does not project it, evaluation does",
    source: "de Jorge et al., NeurIPS 2022, arXiv 2202.01181",
    rank: 2,
    trains: true,
    passes: |_| 2.0,
    ..AttackEntry::of::<Nfgsm>()
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::AttackSpec;

    #[test]
    fn rfgsm_needs_something_left_for_its_gradient() {
        let half: AttackSpec = "rfgsm:eps=4/255,alpha=2/255".parse().expect("half of eps");
        assert_eq!(half.read::<Rfgsm>().map(|own| own.alpha), Some(2.0 / 255.0));
        for text in ["rfgsm:eps=4/255", "rfgsm:alpha=8/255", "rfgsm:eps=0"] {
            let error = text.parse::<AttackSpec>().expect_err(text).to_string();
            assert!(error.contains("eps - alpha"), "{error}");
        }
    }
}
