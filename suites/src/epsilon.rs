//! Perturbation budgets, kept as the fraction that was written.

use crate::error::SuiteError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A non-negative size in pixel units of `[0, 1]`. It has one text, whatever was written: a
/// fraction of 255 where that is shorter (`8/255` for `8.0/255` and `16/510`), a decimal number
/// otherwise (`0.5`). The text gives back the same number, so that 0.031 and 8/255 are never
/// mistaken for each other.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epsilon(f64);

impl Epsilon {
    /// The value as a number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The shortest numerator of a fraction of 255 that is this very number.
    fn of_255(self) -> Option<String> {
        let written = |digits: usize| format!("{:.digits$}", self.0 * 255.0);
        (0..=6)
            .map(written)
            .find(|n| n.parse().is_ok_and(|n: f64| n / 255.0 == self.0))
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
        // Minus zero is zero.
        Ok(Self(value + 0.0))
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = self.0.to_string();
        match self.of_255() {
            Some(n) if n.len() + "/255".len() < decimal.len() => write!(f, "{n}/255"),
            _ => f.write_str(&decimal),
        }
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
        eps.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sizes_have_one_text_and_bad_ones_say_why() {
        for (written, text) in [
            ("8/255", "8/255"),
            ("8.0/255", "8/255"),
            (" 16 / 510", "8/255"),
            ("0.5/255", "0.5/255"),
            ("0.50", "0.5"),
            ("1", "1"),
            ("0.031", "0.031"),
            ("128/255", "128/255"),
            ("127.5/255", "0.5"),
            ("300/255", "300/255"),
            ("-0", "0"),
            ("1e6", "1000000"),
            ("1/3", "85/255"),
        ] {
            let eps: Epsilon = written.parse().expect(written);
            assert_eq!(eps.to_string(), text);
            let again: Epsilon = text.parse().expect(text);
            assert_eq!(again.value().to_bits(), eps.value().to_bits(), "{written}");
        }
        let eps: Epsilon = "8/255".parse().expect("a fraction");
        assert!((eps.value() - 8.0 / 255.0).abs() < 1e-15);
        for bad in ["", "8/0", "-1/255", "eight", "nan"] {
            assert!(bad.parse::<Epsilon>().is_err(), "{bad}");
        }
    }
}
