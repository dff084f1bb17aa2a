//! What a stage proves of its adversarial role while it trains: losses over interval bounds, at a radius of their own.

use crate::epsilon::Epsilon;
use crate::error::SuiteError;
use crate::words::{serde_as_text, words};
use std::fmt;
use std::str::FromStr;

words! {
    /// A loss over interval bounds.
    pub enum Loss, "certified loss" {
        /// The cross entropy of the worst logits in the ball (Gowal et al., arXiv 1810.12715).
        Ibp = "ibp",
        /// The same in a small box around an attacked point (SABR: Müller et al., ICLR 2023).
        Sabr = "sabr",
        /// The attacked loss and that of `ibp`, mixed (MTL-IBP: De Palma et al., ICLR 2024).
        MtlIbp = "mtl-ibp",
    }
}

impl Loss {
    /// The parameter that it has besides the radius: its name and its default.
    const fn own(self) -> Option<(&'static str, f64)> {
        match self {
            Self::Ibp => None,
            // SABR's as the benchmark of certified training has it for CIFAR-10 at 2/255 (CTBench, ICML 2025). MTL-IBP's is
            // our own: small networks learn little with more.
            Self::Sabr => Some(("lambda", 0.1)),
            Self::MtlIbp => Some(("alpha", 0.01)),
        }
    }
}

/// A loss, its ball, and how the ball grows: `mtl-ibp:eps=2/255,alpha=0.01,warmup=0.5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    /// Which.
    pub loss: Loss,
    /// Radius of the Linf ball, cut to `[0, 1]`.
    pub eps: Epsilon,
    /// `lambda` of SABR, the small box's radius as a share of `eps`; `alpha` of MTL-IBP, the weight of the bound.
    /// In (0, 1]; 1 for IBP.
    pub share: f64,
    /// Share of the training in which the radius rises from zero in a line, in [0, 1).
    pub warmup: f64,
}

/// Half of the epochs, as CTBench has it for CIFAR-10.
const WARMUP: f64 = 0.5;

impl Bounded {
    /// The radius when a share `done` of the training is done.
    pub fn radius(&self, done: f64) -> f64 {
        self.eps.value()
            * if done < self.warmup {
                done / self.warmup
            } else {
                1.0
            }
    }

    /// Whether the radius still rises when a share `done` of the training is done.
    pub fn rises(&self, done: f64) -> bool {
        done < self.warmup
    }
}

/// What a stage proves: `none`, or a loss.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Certified(pub Option<Bounded>);

impl fmt::Display for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bounded) = self.0 else {
            return f.write_str("none");
        };
        write!(f, "{}:eps={}", bounded.loss, bounded.eps)?;
        if let Some((name, usual)) = bounded.loss.own()
            && bounded.share != usual
        {
            write!(f, ",{name}={}", bounded.share)?;
        }
        if bounded.warmup != WARMUP {
            write!(f, ",warmup={}", bounded.warmup)?;
        }
        Ok(())
    }
}

impl FromStr for Certified {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        if text == "none" {
            return Ok(Self::default());
        }
        let bad = |why: String| {
            let usage = "write none, ibp:eps=1/255, sabr:eps=2/255,lambda=0.1 or mtl-ibp:eps=2/255,alpha=0.01, each with \
                         warmup=0.5 if you like";
            SuiteError::value("certified", text, format!("{why}; {usage}"))
        };
        let (loss, parameters) = text.split_once(':').unwrap_or((text, ""));
        let loss: Loss = loss.parse().map_err(|error: SuiteError| bad(error.to_string()))?;
        let own = loss.own();
        let (mut eps, mut share, mut warmup) = (None, own.map_or(1.0, |(_, usual)| usual), WARMUP);
        for parameter in parameters.split(',').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter
                .split_once('=')
                .ok_or_else(|| bad(format!("`{parameter}` is no key=value")))?;
            let number = || {
                let number = value.trim().parse::<f64>().ok();
                number
                    .filter(|number| (0.0..=1.0).contains(number))
                    .ok_or_else(|| bad(format!("{key} = {value} is not between 0 and 1")))
            };
            match key.trim() {
                "eps" => eps = Some(value.parse::<Epsilon>()?),
                "warmup" => warmup = number()?,
                key if own.is_some_and(|(name, _)| name == key) => share = number()?,
                key => return Err(bad(format!("{loss} has no parameter `{key}`"))),
            }
        }
        let eps = eps.ok_or_else(|| bad("the radius eps is missing".to_owned()))?;
        if !(0.0..=1.0).contains(&eps.value()) || eps.value() == 0.0 || share == 0.0 || warmup == 1.0 {
            let why = "eps is above 0 and at most 1, lambda and alpha above 0, warmup below 1";
            return Err(bad(why.to_owned()));
        }
        let bounded = Bounded {
            loss,
            eps,
            share,
            warmup,
        };
        Ok(Self(Some(bounded)))
    }
}

serde_as_text!(Certified);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certified_losses_have_one_text_and_bad_ones_say_why() {
        for (written, text) in [
            ("none", "none"),
            ("ibp:eps=2/255", "ibp:eps=2/255"),
            ("sabr:lambda=0.4,eps=8/255", "sabr:eps=8/255,lambda=0.4"),
            (
                "mtl-ibp:eps=1/255,alpha=0.01,warmup=0.25",
                "mtl-ibp:eps=1/255,warmup=0.25",
            ),
        ] {
            let read: Certified = written.parse().expect(written);
            assert_eq!(read.to_string(), text);
            assert_eq!(text.parse::<Certified>().expect(text), read);
        }
        for (bad, hint) in [
            ("ibp", "eps is missing"),
            ("ibp:eps=0", "above 0"),
            ("ibp:eps=2/255,alpha=0.5", "no parameter `alpha`"),
            ("sabr:eps=2/255,lambda=2", "between 0 and 1"),
            ("mtlibp:eps=2/255", "mtl-ibp"),
        ] {
            let error = bad.parse::<Certified>().expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[test]
    fn the_radius_rises_in_a_line_and_stays() {
        let Certified(Some(bounded)) = "ibp:eps=0.5,warmup=0.25".parse().expect("a loss") else {
            panic!("a loss")
        };
        assert_eq!(
            [0.0, 0.125, 0.25, 1.0].map(|done| bounded.radius(done)),
            [0.0, 0.25, 0.5, 0.5]
        );
        assert!(bounded.rises(0.2) && !bounded.rises(0.25));
    }
}
