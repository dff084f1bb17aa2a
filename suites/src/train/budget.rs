//! How many ReLUs a mask keeps, and how they are shared among the layers.

use crate::error::SuiteError;
use crate::published::{self, PublishedBudget};
use crate::words::serde_as_text;
use std::fmt;
use std::str::FromStr;

/// Counts above this are no network's, and a double no longer tells them apart.
const MOST_RELUS: f64 = 1e15;

/// How many ReLUs a mask keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// A number of ReLUs: `50k`, `50000`.
    Count(u64),
    /// All ReLUs divided by this: `11.14x`.
    Reduction(f64),
}

impl Budget {
    /// The number of ReLUs to keep of `total`.
    ///
    /// # Errors
    /// When the budget is not between 1 and `total`.
    pub fn resolve(self, total: u64) -> Result<u64, SuiteError> {
        let keep = match self {
            Self::Count(n) => n,
            Self::Reduction(r) => (total as f64 / r).round() as u64,
        };
        if keep == 0 || keep > total {
            return Err(SuiteError::value(
                "budget",
                self,
                format!("keeps {keep} ReLUs, but this network has {total}; write 1 to {total}"),
            ));
        }
        Ok(keep)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) if n % 1000 == 0 => write!(f, "{}k", n / 1000),
            Self::Count(n) => write!(f, "{n}"),
            Self::Reduction(r) => write!(f, "{r}x"),
        }
    }
}

impl Budget {
    /// A reduction, with its `x` or without: `11.14x`, `11.14`.
    ///
    /// # Errors
    /// When it is no number of 1 or more.
    pub fn reduction(text: &str) -> Result<Self, SuiteError> {
        let lower = text.trim().to_lowercase();
        let ratio = lower.strip_suffix('x').or(lower.strip_suffix('×'));
        Self::times(ratio.unwrap_or(&lower), |why| {
            SuiteError::value(
                "reduction",
                text,
                format!("{why}; write how many times fewer ReLUs: 11.14x"),
            )
        })
    }

    fn times(ratio: &str, bad: impl Fn(&str) -> SuiteError) -> Result<Self, SuiteError> {
        let ratio = finite(ratio).ok_or_else(|| bad("not a number"))?;
        if ratio < 1.0 {
            return Err(bad("a reduction below 1 would add ReLUs"));
        }
        Ok(Self::Reduction(ratio))
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

impl FromStr for Budget {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let bad = |why: &str| {
            SuiteError::value(
                "budget",
                text,
                format!("{why}; write a count (50k, 50000) or a reduction (11.14x)"),
            )
        };
        let lower = text.trim().to_lowercase();
        if let Some(ratio) = lower.strip_suffix('x').or(lower.strip_suffix('×')) {
            return Self::times(ratio, bad);
        }
        let (number, unit) = match lower.strip_suffix('k') {
            Some(thousands) => (thousands, 1000.0),
            None => (lower.as_str(), 1.0),
        };
        let count = finite(number).ok_or_else(|| bad("not a number"))? * unit;
        if count < 1.0 {
            return Err(bad("fewer than one ReLU"));
        }
        if count > MOST_RELUS {
            return Err(bad("more ReLUs than any network has"));
        }
        // 82.65k in binary is not quite a whole number.
        let whole = count.round();
        if (count - whole).abs() > 1e-6 * unit {
            return Err(bad(&format!(
                "not a whole number of ReLUs; for {number} times fewer write {number}x"
            )));
        }
        Ok(Self::Count(whole as u64))
    }
}

serde_as_text!(Budget);

/// How a budget is shared among the layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allocation {
    /// SENet's sensitivities of ResNet18, by relative depth: deeper layers keep more (the w18
    /// curve of the published ResNet18 lists).
    Sensitivity,
    /// Sensitivities measured on the teacher and the held-out images.
    Measured,
    /// The same share of every layer (a control).
    Uniform,
    /// The same number of units in every layer, as far as they have them (a control).
    Equal,
    /// A published list by name: its own counts, or its proportions when there is a budget.
    Published(&'static PublishedBudget),
}

impl Allocation {
    const PUBLISHED: &'static str = "published:";

    /// Whether it says how many units to keep, so that no budget is needed.
    pub fn has_counts(self) -> bool {
        matches!(self, Self::Published(_))
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sensitivity => f.write_str("sensitivity"),
            Self::Measured => f.write_str("measured"),
            Self::Uniform => f.write_str("uniform"),
            Self::Equal => f.write_str("equal"),
            Self::Published(list) => write!(f, "{}{}", Self::PUBLISHED, list.name),
        }
    }
}

impl FromStr for Allocation {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        if let Some(name) = text.strip_prefix(Self::PUBLISHED) {
            return Ok(Self::Published(published::find(name)?));
        }
        [Self::Sensitivity, Self::Measured, Self::Uniform, Self::Equal]
            .into_iter()
            .find(|allocation| allocation.to_string() == text)
            .ok_or_else(|| {
                let message = "write sensitivity, measured, uniform, equal, or published:NAME with a name \
                               of `rlnet model budgets`";
                SuiteError::value("allocation", text, message)
            })
    }
}

serde_as_text!(Allocation);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_read_as_people_write_them() {
        for text in [
            "sensitivity",
            "measured",
            "uniform",
            "equal",
            "published:ResNet18_c100_relu50k",
        ] {
            assert_eq!(text.parse::<Allocation>().expect(text).to_string(), text);
        }
        for bad in ["proportional", "published:", "published:ResNet18_relu1k"] {
            assert!(bad.parse::<Allocation>().is_err(), "{bad}");
        }
    }

    #[test]
    fn budgets_read_as_people_write_them() {
        for (text, keep) in [
            ("50k", 50_000),
            ("11.14x", 50_005),
            ("82650", 82_650),
            ("82.65k", 82_650),
            ("0.001k", 1),
            ("1x", 557_056),
        ] {
            let budget: Budget = text.parse().expect(text);
            assert_eq!(budget.resolve(557_056).expect(text), keep, "{text}");
            assert_eq!(budget.to_string().parse::<Budget>().expect(text), budget);
        }
        for (bad, hint) in [
            ("0.5x", "below 1"),
            ("0", "fewer than one"),
            ("-3k", "fewer than one"),
            ("many", "not a number"),
            ("infx", "not a number"),
            ("1e30", "more ReLUs"),
            // A ratio that lost its x was once a count, cut to a whole one.
            ("5.7", "write 5.7x"),
            ("11.14", "write 11.14x"),
            ("5.5555k", "not a whole number"),
        ] {
            let error = bad.parse::<Budget>().expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
        for text in ["11.14x", "11.14", "3", "3X"] {
            let ratio = text.trim_end_matches(['x', 'X']).parse().expect("a number");
            assert_eq!(Budget::reduction(text).expect(text), Budget::Reduction(ratio));
        }
        for bad in ["0.9", "0.9x", "50k", "nan", ""] {
            assert!(Budget::reduction(bad).is_err(), "{bad}");
        }
        assert!(Budget::Count(600_000).resolve(557_056).is_err());
    }
}
