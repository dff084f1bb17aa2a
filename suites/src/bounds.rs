//! The least and the most that a number may be, as checks and as people read them.

use std::fmt;

/// The numbers that a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The least.
    pub least: f64,
    /// Whether the least itself is left out.
    pub above: bool,
    /// The most.
    pub most: f64,
    /// Whether the most itself is left out.
    pub below: bool,
}

impl Bounds {
    /// From the first to the second, both among them.
    pub const fn from_to(least: f64, most: f64) -> Self {
        Self {
            least,
            above: false,
            most,
            below: false,
        }
    }

    /// More than 0, and at most this.
    pub const fn positive(most: f64) -> Self {
        Self {
            above: true,
            ..Self::from_to(0.0, most)
        }
    }

    /// From 0 on, and less than this.
    pub const fn under(most: f64) -> Self {
        Self {
            below: true,
            ..Self::from_to(0.0, most)
        }
    }

    /// Between 0 and 1, both left out.
    pub const fn share() -> Self {
        Self {
            below: true,
            ..Self::positive(1.0)
        }
    }

    /// Whether a number is among them; NaN never is.
    pub fn hold(&self, number: f64) -> bool {
        let low = if self.above {
            number > self.least
        } else {
            number >= self.least
        };
        let high = if self.below {
            number < self.most
        } else {
            number <= self.most
        };
        low && high
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.least, self.most);
        match (self.above, self.below) {
            (false, false) => write!(f, "a number from {least} to {most}"),
            (true, false) => write!(f, "a number more than {least}, at most {most}"),
            (false, true) => write!(f, "a number from {least} on, less than {most}"),
            (true, true) => write!(f, "a number between {least} and {most}, both left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_in_or_out_as_they_are_told_and_nan_is_nowhere() {
        let of = |bounds: Bounds| [-1.0, 0.0, 0.5, 1.0, 2.0].map(|number| bounds.hold(number));
        assert_eq!(of(Bounds::from_to(0.0, 1.0)), [false, true, true, true, false]);
        assert_eq!(of(Bounds::positive(1.0)), [false, false, true, true, false]);
        assert_eq!(of(Bounds::under(1.0)), [false, true, true, false, false]);
        assert_eq!(of(Bounds::share()), [false, false, true, false, false]);
        for bounds in [Bounds::from_to(0.0, f64::MAX), Bounds::positive(1.0)] {
            assert!(!bounds.hold(f64::NAN) && !bounds.hold(f64::INFINITY));
        }
    }
}
