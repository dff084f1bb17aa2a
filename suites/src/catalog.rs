//! The suites that come with the program.

macro_rules! catalogue {
    ($($name:literal)+) => {
        &[$(($name, include_str!(concat!("../catalog/", $name, ".toml")))),+]
    };
}

/// Stages of every kind with the method's settings, for tests; the suites of the catalogue have recipes of their own.
#[cfg(test)]
pub(crate) const STAGES: &str = include_str!("../../tests/fixtures/stages.toml");

/// Name and text of every suite of the catalogue: `catalog/NAME.toml`, and one line here.
pub const CATALOGUE: &[(&str, &str)] = catalogue![
    "demo"
    "cifar10-small"
    "cifar10-seeds"
    "paper-cifar10"
    "paper-cifar100"
    "paper-tiny-imagenet"
    "paper-ablation-norm"
    "paper-ablation-temperature"
    "paper-ablation-losses"
    "first-norm"
    "first-mask"
    "first-senet"
    "sweep-reduction"
    "check-shift"
    "check-adaptive"
    "ablation-inner-attack"
    "augmentation"
    "sweep-eps"
    "certified"
    "nightly"
    "robustbench-linf"
    "robustbench-corruptions"
    "attackbench"
    "official"
    "official-parity"
    "baselines"
    "ablation-allocation"
    "ablation-mask-source"
    "mask-arena"
    "recipe"
    "question-transformer"
    "study-b23"
    "study-b24"
    "study-b28"
    "imagenet-c"
    "imagenet-small"
];

/// The text of a suite of the catalogue.
pub fn find(name: &str) -> Option<&'static str> {
    CATALOGUE
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}
