//! Corruptions in suites: their names are those of `rlnet-corruptions`.

use crate::error::SuiteError;
use rlnet_corruptions::{Corruption, Family};

/// The 15 corruptions of the benchmark, in the paper's order (Hendrycks and Dietterich, ICLR 2019).
pub const BENCHMARK: [&str; Family::C.corruptions().len()] = names(Family::C.corruptions());

/// The four extra corruptions, never part of the headline mCE.
pub const EXTRA: [&str; Family::CExtra.corruptions().len()] = names(Family::CExtra.corruptions());

/// The ten of CIFAR-10-C-bar, never part of a mean over the benchmark.
pub const C_BAR: [&str; Family::CBar.corruptions().len()] = names(Family::CBar.corruptions());

const fn names<const N: usize>(corruptions: &[Corruption]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = corruptions[at].name();
        at += 1;
    }
    names
}

/// Every corruption, the benchmark's first.
pub fn all() -> impl Iterator<Item = &'static str> + Clone {
    BENCHMARK.into_iter().chain(EXTRA).chain(C_BAR)
}

/// The words for several of them at once.
pub const GROUPS: [&str; 5] = ["benchmark", "extra", "all", "c-bar", "none"];

/// The corruptions of a group, by its word.
pub fn group(word: &str) -> Option<Vec<&'static str>> {
    match word {
        "benchmark" => Some(BENCHMARK.to_vec()),
        "extra" => Some(EXTRA.to_vec()),
        "all" => Some([&BENCHMARK[..], &EXTRA[..]].concat()),
        "c-bar" => Some(C_BAR.to_vec()),
        "none" => Some(Vec::new()),
        _ => None,
    }
}

/// Checks a name.
///
/// # Errors
/// When no corruption has it, with the nearest name.
pub fn check_corruption(name: &str) -> Result<(), SuiteError> {
    let mut all = all();
    if all.clone().any(|known| known == name) {
        return Ok(());
    }
    let hint = crate::error::suggest(name, &mut all);
    Err(SuiteError::value(
        "corruption",
        name,
        format!("not known; {hint}"),
    ))
}
