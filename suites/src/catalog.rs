//! The suites that come with the program.

/// Name and text of every suite of the catalogue.
pub const CATALOGUE: &[(&str, &str)] = &[
    ("demo", include_str!("../catalog/demo.toml")),
    ("cifar10-small", include_str!("../catalog/cifar10-small.toml")),
    ("paper-cifar10", include_str!("../catalog/paper-cifar10.toml")),
    ("paper-cifar100", include_str!("../catalog/paper-cifar100.toml")),
    (
        "paper-tiny-imagenet",
        include_str!("../catalog/paper-tiny-imagenet.toml"),
    ),
    (
        "paper-ablation-norm",
        include_str!("../catalog/paper-ablation-norm.toml"),
    ),
    (
        "paper-ablation-temperature",
        include_str!("../catalog/paper-ablation-temperature.toml"),
    ),
    (
        "paper-ablation-losses",
        include_str!("../catalog/paper-ablation-losses.toml"),
    ),
    ("first-norm", include_str!("../catalog/first-norm.toml")),
    ("first-mask", include_str!("../catalog/first-mask.toml")),
    ("first-senet", include_str!("../catalog/first-senet.toml")),
    ("sweep-reduction", include_str!("../catalog/sweep-reduction.toml")),
    ("check-shift", include_str!("../catalog/check-shift.toml")),
    ("check-adaptive", include_str!("../catalog/check-adaptive.toml")),
    (
        "ablation-inner-attack",
        include_str!("../catalog/ablation-inner-attack.toml"),
    ),
    ("augmentation", include_str!("../catalog/augmentation.toml")),
    ("sweep-eps", include_str!("../catalog/sweep-eps.toml")),
    ("nightly", include_str!("../catalog/nightly.toml")),
    (
        "robustbench-linf",
        include_str!("../catalog/robustbench-linf.toml"),
    ),
    (
        "robustbench-corruptions",
        include_str!("../catalog/robustbench-corruptions.toml"),
    ),
    ("official", include_str!("../catalog/official.toml")),
    ("official-parity", include_str!("../catalog/official-parity.toml")),
    ("baselines", include_str!("../catalog/baselines.toml")),
    (
        "ablation-allocation",
        include_str!("../catalog/ablation-allocation.toml"),
    ),
    (
        "ablation-mask-source",
        include_str!("../catalog/ablation-mask-source.toml"),
    ),
    ("study-b23", include_str!("../catalog/study-b23.toml")),
    ("study-b24", include_str!("../catalog/study-b24.toml")),
    ("study-b28", include_str!("../catalog/study-b28.toml")),
];

/// The text of a suite of the catalogue.
pub fn find(name: &str) -> Option<&'static str> {
    CATALOGUE
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}
