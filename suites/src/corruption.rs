//! The names of the corruptions.

use crate::error::SuiteError;

/// The 15 corruptions of the benchmark, in the paper's order (Hendrycks and Dietterich, ICLR 2019).
pub const BENCHMARK: [&str; 15] = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
];

/// The four held-out corruptions, never part of the headline mCE.
pub const EXTRA: [&str; 4] = ["speckle_noise", "gaussian_blur", "spatter", "saturate"];

/// The words for several of them at once.
pub const GROUPS: [&str; 4] = ["benchmark", "extra", "all", "none"];

/// The corruptions of a group, by its word.
pub fn group(word: &str) -> Option<Vec<&'static str>> {
    match word {
        "benchmark" => Some(BENCHMARK.to_vec()),
        "extra" => Some(EXTRA.to_vec()),
        "all" => Some([&BENCHMARK[..], &EXTRA[..]].concat()),
        "none" => Some(Vec::new()),
        _ => None,
    }
}

/// Checks a name.
///
/// # Errors
/// When it is none of the 19, with the nearest name.
pub fn check_corruption(name: &str) -> Result<(), SuiteError> {
    let mut all = BENCHMARK.iter().chain(&EXTRA).copied();
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
