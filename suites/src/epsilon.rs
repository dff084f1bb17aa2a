//! Perturbation budgets, kept as the fraction that was written.

use crate::error::SuiteError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A non-negative size in pixel units of `[0, 1]`. `8/255` stays `8/255` in every file, so
/// that 0.031 and 0.03137 are never mistaken for each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epsilon {
    text: String,
    value: f64,
}

impl Epsilon {
    /// The value as a number.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// `n/255`.
    pub fn of_255(n: f64) -> Self {
        Self {
            text: format!("{n}/255"),
            value: n / 255.0,
        }
    }
}

impl FromStr for Epsilon {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let bad = |why: &str| {
            SuiteError::value(
                "size",
                text,
                format!("{why}; write a fraction such as 8/255, or a number such as 0.5"),
            )
        };
        let number = |part: &str| {
            part.trim()
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| bad("not a number"))
        };
        let value = match text.split_once('/') {
            Some((above, below)) => {
                let below = number(below)?;
                if below <= 0.0 {
                    return Err(bad("division by zero or less"));
                }
                number(above)? / below
            }
            None => number(text)?,
        };
        if value < 0.0 {
            return Err(bad("negative"));
        }
        let text = text.chars().filter(|c| !c.is_whitespace()).collect();
        Ok(Self { text, value })
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Epsilon {
    type Error = SuiteError;
    fn try_from(text: String) -> Result<Self, SuiteError> {
        text.parse()
    }
}

impl From<Epsilon> for String {
    fn from(eps: Epsilon) -> Self {
        eps.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_keep_their_text_and_bad_ones_say_why() {
        let eps: Epsilon = "8/255".parse().expect("a fraction");
        assert_eq!(eps.to_string(), "8/255");
        assert!((eps.value() - 8.0 / 255.0).abs() < 1e-15);
        for bad in ["", "8/0", "-1/255", "eight", "nan"] {
            assert!(bad.parse::<Epsilon>().is_err(), "{bad}");
        }
    }
}
