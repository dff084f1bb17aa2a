//! The one error type of the vocabulary.

/// Why a suite, a name or a number was refused. Every message says what was read, where,
/// what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// A TOML file could not be understood; `message` carries line and column.
    #[error("{file}: {message}")]
    File {
        /// The file (or catalogue name) being read.
        file: String,
        /// What is wrong, with line and column, and what to do.
        message: String,
    },
    /// A single value is not in the vocabulary.
    #[error("{what} `{value}`: {message}")]
    Value {
        /// What kind of value was expected (`attack`, `reduction`, ...).
        what: &'static str,
        /// What was written.
        value: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl SuiteError {
    /// An error about one value.
    pub fn value(what: &'static str, value: impl ToString, message: impl Into<String>) -> Self {
        Self::Value {
            what,
            value: value.to_string(),
            message: message.into(),
        }
    }
}

/// "did you mean `x`?" when a known name is close to what was written, else the list. Capitals,
/// hyphens and underscores do not count.
pub fn suggest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let close = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&plain(written), &plain(name)), *name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    match close {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("one of: {}", known.join(", ")),
    }
}

/// A name without what people write differently.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['-', '_'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_gets_the_nearest_name_and_nonsense_gets_the_list() {
        assert_eq!(suggest("pdg", ["fgsm", "pgd"]), "did you mean `pgd`?");
        assert_eq!(suggest("quaternion", ["fgsm", "pgd"]), "one of: fgsm, pgd");
        assert_eq!(
            suggest("CIFAR-10", ["cifar100", "cifar10"]),
            "did you mean `cifar10`?"
        );
    }
}
