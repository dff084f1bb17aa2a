//! The arithmetic that a two-party protocol computes in: fixed point in the ring of integers modulo 2^bits.
//!
//! Written `fixed:bits=64,frac=18,trunc=floor,relu=exact`. A value x is the integer x 2^frac towards zero, sums and
//! products wrap, and each product, which has 2 frac fraction bits, is truncated to frac of them.

use crate::error::{SuiteError, suggest};
use crate::words::words;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Raised by hand when results of the arithmetic change: part of a deployed model's identity.
pub const FIXED_POINT_VERSION: u32 = 2;

words! {
    /// How a product loses its lower fraction bits.
    pub enum Truncation, "truncation" {
        /// Towards minus infinity, exactly.
        Floor = "floor",
        /// To the nearest, halves up, exactly.
        Nearest = "nearest",
        /// Up with the probability of the bits that are lost (the dealer's protocol of Escudero et al., CRYPTO 2020).
        Probabilistic = "probabilistic",
        /// Each party shifts its own share (SecureML, IEEE S&P 2017): off by one unit at most, and with probability
        /// |x| / 2^bits by 2^(bits - frac).
        Local = "local",
    }
}

/// How a kept unit's sign is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignTest {
    /// Of all bits, exactly.
    Exact,
    /// Of bits `low` to `high` of each share only (HummingBird, MLSys 2024, arXiv 2309.04875).
    HummingBird {
        /// The lowest bit that is looked at.
        low: u32,
        /// The bit above the highest.
        high: u32,
    },
    /// By one comparison of shares without their lower k bits (Circa, NeurIPS 2021, arXiv 2106.08475).
    Circa {
        /// Bits that are dropped.
        k: u32,
        /// Whether a small negative value may pass (`negpass`), and not a small positive one vanish (`poszero`).
        passes: bool,
    },
}

/// The arithmetic of a deployed model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedPoint {
    /// Size of the ring, bits: 8 to 64.
    pub bits: u32,
    /// Fraction bits: 1 or more, and 2 frac < bits.
    pub frac: u32,
    /// How products are truncated.
    pub truncation: Truncation,
    /// How kept units find their sign.
    pub sign: SignTest,
    /// Random draws whose mean logits are the verdict; 1 where nothing is drawn.
    pub draws: u32,
    /// Seed of the draws.
    pub seed: u64,
}

impl FixedPoint {
    /// Whether its results depend on random numbers.
    pub fn is_random(&self) -> bool {
        matches!(self.truncation, Truncation::Probabilistic | Truncation::Local)
            || matches!(
                self.sign,
                SignTest::HummingBird { low: 1.., .. } | SignTest::Circa { .. }
            )
    }

    /// The magnitude that a product must stay below, in units of the values: 2^(bits - 1 - 2 frac).
    pub fn largest_product(&self) -> f64 {
        2_f64.powi(self.bits as i32 - 1 - 2 * self.frac as i32)
    }

    /// A part of a model's name: `fixed64.18-floor`.
    pub fn short_name(&self) -> String {
        let sign = match self.sign {
            SignTest::Exact => String::new(),
            SignTest::HummingBird { low, high } => format!("-hb{low}.{high}"),
            SignTest::Circa { k, .. } => format!("-circa{k}"),
        };
        format!("fixed{}.{}-{}{sign}", self.bits, self.frac, self.truncation)
    }

    fn check(self) -> Result<Self, String> {
        let Self {
            bits,
            frac,
            sign,
            draws,
            ..
        } = self;
        if !(8..=64).contains(&bits) {
            return Err("bits goes from 8 to 64".into());
        }
        if frac == 0 || 2 * frac >= bits {
            return Err(format!(
                "a product has 2 frac fraction bits, which must be fewer than the {bits} of the ring, and frac is 1 or more"
            ));
        }
        match sign {
            SignTest::HummingBird { low, high } if low >= high || high > bits => Err(format!(
                "relu=hummingbird:low..high needs low < high <= bits ({bits})"
            )),
            SignTest::Circa { k, .. } if k + 1 >= bits => Err(format!(
                "relu=circa:k=.. drops at most bits - 2 bits ({})",
                bits - 2
            )),
            _ if draws == 0 => Err("draws is 1 or more".into()),
            _ if draws > 1 && !self.is_random() => {
                Err("draws=.. averages random passes, and this arithmetic draws nothing".into())
            }
            _ => Ok(self),
        }
    }
}

/// SPU's usual choice (FM64, 18 fraction bits), with an exact truncation.
impl Default for FixedPoint {
    fn default() -> Self {
        Self {
            bits: 64,
            frac: 18,
            truncation: Truncation::Floor,
            sign: SignTest::Exact,
            draws: 1,
            seed: 0,
        }
    }
}

impl fmt::Display for SignTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::HummingBird { low, high } => write!(f, "hummingbird:{low}..{high}"),
            Self::Circa { k, passes } => {
                write!(f, "{}:k={k}", if *passes { "circa-negpass" } else { "circa" })
            }
        }
    }
}

impl FromStr for SignTest {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let wrong = |message: String| SuiteError::value("arithmetic", format!("relu={text}"), message);
        match name {
            "exact" if rest.is_empty() => Ok(Self::Exact),
            "hummingbird" => {
                let range = rest.split_once("..").and_then(|(low, high)| {
                    Some(Self::HummingBird {
                        low: low.parse().ok()?,
                        high: high.parse().ok()?,
                    })
                });
                range.ok_or_else(|| wrong("write relu=hummingbird:6..22, the bits that are looked at".into()))
            }
            "circa" | "circa-negpass" => {
                let k = rest.strip_prefix("k=").and_then(|k| k.parse().ok());
                let k =
                    k.ok_or_else(|| wrong(format!("write relu={name}:k=12, the bits that are dropped")))?;
                Ok(Self::Circa {
                    k,
                    passes: name == "circa-negpass",
                })
            }
            _ => Err(wrong(suggest(
                name,
                ["exact", "hummingbird", "circa", "circa-negpass"],
            ))),
        }
    }
}

impl fmt::Display for FixedPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bits,
            frac,
            truncation,
            sign,
            draws,
            seed,
        } = self;
        write!(f, "fixed:bits={bits},frac={frac},trunc={truncation},relu={sign}")?;
        if self.is_random() {
            write!(f, ",draws={draws},seed={seed}")?;
        }
        Ok(())
    }
}

impl FromStr for FixedPoint {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let wrong = |message: String| SuiteError::value("arithmetic", text, message);
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        if name != "fixed" {
            return Err(wrong("write fixed:bits=64,frac=18,trunc=floor,relu=exact".into()));
        }
        let mut fixed = Self::default();
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| wrong(format!("`{setting}` is no setting; write key=value")))?;
            let number = || {
                let number = value.parse::<u32>();
                number.map_err(|_| wrong(format!("{key}={value}: write a whole number")))
            };
            match key {
                "bits" => fixed.bits = number()?,
                "frac" => fixed.frac = number()?,
                "draws" => fixed.draws = number()?,
                "seed" => fixed.seed = u64::from(number()?),
                "trunc" => fixed.truncation = value.parse()?,
                "relu" => fixed.sign = value.parse()?,
                _ => {
                    let known = suggest(key, ["bits", "frac", "trunc", "relu", "draws", "seed"]);
                    return Err(wrong(format!("there is no setting `{key}`; {known}")));
                }
            }
        }
        fixed.check().map_err(wrong)
    }
}

/// What a deployed model was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// Its arithmetic, as [`FixedPoint`] writes it.
    pub arithmetic: String,
    /// Identity of the file of its twin in floating point.
    pub twin: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_is_written() {
        for text in [
            "fixed:bits=64,frac=18,trunc=floor,relu=exact",
            "fixed:bits=32,frac=10,trunc=nearest,relu=exact",
            "fixed:bits=64,frac=18,trunc=local,relu=exact,draws=8,seed=3",
            "fixed:bits=64,frac=16,trunc=floor,relu=hummingbird:6..22,draws=1,seed=0",
            "fixed:bits=40,frac=12,trunc=probabilistic,relu=circa:k=10,draws=2,seed=0",
            "fixed:bits=40,frac=12,trunc=floor,relu=circa-negpass:k=10,draws=1,seed=0",
        ] {
            assert_eq!(text.parse::<FixedPoint>().expect(text).to_string(), text);
        }
        assert_eq!(
            "fixed".parse::<FixedPoint>().expect("defaults"),
            FixedPoint::default()
        );
        assert_eq!(FixedPoint::default().largest_product(), 2_f64.powi(27));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_write() {
        for (text, said) in [
            ("float", "write fixed:"),
            ("fixed:bits=65", "8 to 64"),
            ("fixed:bits=32,frac=16", "2 frac"),
            ("fixed:bitz=32", "did you mean `bits`"),
            ("fixed:trunc=flor", "did you mean `floor`"),
            ("fixed:relu=hummingbird:9..9", "low < high"),
            ("fixed:relu=hummingbird", "6..22"),
            ("fixed:relu=circa:k=63", "at most"),
            ("fixed:draws=4", "draws nothing"),
            ("fixed:frac", "key=value"),
        ] {
            let error = text.parse::<FixedPoint>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
