//! The suffix `-wN` of the name of an architecture of any width.

use crate::error::Problem;

/// The width in a suffix `wN`; `default` without one.
pub(super) fn width(family: &str, suffix: Option<&str>, default: u64) -> Result<u64, Problem> {
    let Some(suffix) = suffix else {
        return Ok(default);
    };
    suffix
        .strip_prefix('w')
        .and_then(|digits| digits.parse().ok())
        .filter(|width| (1..=1024).contains(width))
        .ok_or_else(|| {
            Problem::from(format!(
                "write {family}, or {family}-wN with a width N from 1 to 1024"
            ))
        })
}
