//! A certificate: no attack, but asked for in the same words, with a ball and an effort.

use super::entry::{AttackEntry, figure};
use super::param::{Param, Preset, from_word, parameters};
use super::pgd::PGD;
use super::shared::{EPS, NORM_2, Norm, count, steps, word};
use super::{AttackSpec, attack_of};
use crate::error::SuiteError;
use crate::words::words;

words! {
    /// How bounds of a network's margins are found, from the cheapest to the tightest.
    pub enum Method, "method" {
        /// Intervals forwards.
        Ibp = "ibp",
        /// Linear bounds of the margins, intervals before the ReLUs.
        CrownIbp = "crown-ibp",
        /// Linear bounds of the margins and of the units before the ReLUs.
        Crown = "crown",
        /// The same, the slopes of the margins' bounds optimised.
        AlphaCrown = "alpha-crown",
        /// The same, and branches over the signs of single ReLUs.
        BetaCrown = "beta-crown",
        /// The same, and where few units are unstable branches that are each bounded by a linear program.
        Exact = "exact",
    }
}
from_word!(Method);

parameters! {
    /// A ball, a method, and how much of it.
    Certify {
        /// Norm of the ball.
        norm: Norm = NORM_2,
        /// Radius of the ball.
        eps: f64 = Param { preset: Preset::ByNorm(["1/255", "0.1", "0"]), ..EPS },
        /// How bounds are found.
        method: Method = Param {
            preset: Preset::Always("alpha-crown"),
            ..word(Method::WORDS, "how bounds are found, from the cheapest to the tightest")
        },
        /// Steps of the slopes.
        steps: usize = steps("20", "steps that optimise the slopes (alpha-crown, beta-crown, exact)"),
        /// Branches.
        nodes: usize = count("1000", "branches that are bounded for an image, at most (beta-crown, exact)"),
    } and []
}

impl Certify {
    /// Passes for an image, forward and backward, roughly, in a network that keeps so many ReLUs: as if nothing broke
    /// early, and intervals left every kept ReLU unstable. Linear bounds then carry two rows for each, through the half
    /// of the network that on average lies below it; and nine rows for the margins.
    fn passes(&self, relus: f64) -> f64 {
        const MARGINS: f64 = 9.0;
        /// PGD, which comes first.
        const SEARCH: f64 = 40.0;
        let slopes = 2.0 * MARGINS * self.steps as f64;
        let bounds = match self.method {
            Method::Ibp => 4.0,
            Method::CrownIbp => 4.0 + MARGINS,
            Method::Crown => relus,
            Method::AlphaCrown => relus + slopes,
            Method::BetaCrown | Method::Exact => relus + slopes + 30.0 * self.nodes as f64,
        };
        SEARCH + bounds
    }
}

/// Kept ReLUs of a network of which nothing is known.
const UNKNOWN: f64 = 500.0;

/// The certificate. It is in no list of attacks.
pub static CERTIFY: AttackEntry = AttackEntry {
    name: "certify",
    display: "Certified",
    title: "Lower bounds of the margins over the whole ball, and branch and bound",
    source: "Gowal et al., arXiv 1810.12715; Zhang et al., NeurIPS 2018; Xu et al., ICLR 2021; Wang et al., NeurIPS 2021",
    version: 3,
    uses: &[&PGD],
    passes: |spec| figure(spec, |own: &Certify| own.passes(UNKNOWN)),
    ..AttackEntry::of::<Certify>()
};

impl AttackSpec {
    /// Passes for an image, as [`passes`](Self::passes); those of a certificate grow with the ReLUs that the network
    /// keeps.
    pub fn passes_keeping(&self, relus: f64) -> f64 {
        self.read::<Certify>()
            .map_or_else(|| self.passes(), |own| own.passes(relus))
    }

    /// The attack that looks for a counterexample before a certificate looks for a proof: PGD in the same ball, 20
    /// steps of a quarter of it.
    ///
    /// # Errors
    /// When it is no certificate, or its ball is none that PGD knows.
    pub fn before_proof(&self) -> Result<Self, SuiteError> {
        let step = format!("{}", self.eps().unwrap_or(0.0) / 4.0);
        let (norm, eps) = (self.norm().name(), &self.params()["eps"]);
        attack_of(
            &PGD,
            &[
                ("norm", norm),
                ("eps", eps),
                ("alpha", &step),
                ("early_stop", "true"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::CATALOGUE;

    #[test]
    fn a_certificate_is_asked_for_like_an_attack_and_is_none() {
        let spec: AttackSpec = "certify:eps=2/255,method=beta-crown"
            .parse()
            .expect("a certificate");
        assert!(spec.is_certificate() && CATALOGUE.iter().all(|entry| entry.name != spec.name()));
        assert_eq!(AttackSpec::headline(std::slice::from_ref(&spec)), None);
        let first = spec.before_proof().expect("an attack");
        assert_eq!((first.eps(), first.norm()), (spec.eps(), Norm::Linf));
        assert_eq!(first.step_size(), Some(spec.eps().expect("a radius") / 4.0));
        let error = "certify:method=crwon"
            .parse::<AttackSpec>()
            .expect_err("no method")
            .to_string();
        assert!(error.contains("crown"), "{error}");
        let l2: AttackSpec = "certify:norm=l2".parse().expect("another ball");
        assert_eq!(l2.eps(), Some(0.1));
    }
}
