//! The suites that come with the program.

/// Name and text of every suite of the catalogue.
pub const CATALOGUE: &[(&str, &str)] = &[
    ("demo", include_str!("../catalog/demo.toml")),
    ("cifar10-small", include_str!("../catalog/cifar10-small.toml")),
    ("official", include_str!("../catalog/official.toml")),
    ("official-parity", include_str!("../catalog/official-parity.toml")),
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
