//! Enums whose variants are words of suites, files and the command line.

/// Declares an enum with one word a variant, written and read as that word everywhere. A word that
/// is not known gets a suggestion. A variant may have a second word, `"word" or "other"`.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident, $what:literal $(, renamed [$($old:literal => $new:literal),+])? {
            $($(#[$doc:meta])* $variant:ident = $word:literal $(or $alias:literal)?,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The words of the variants, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Words of earlier versions, each with today's.
            pub(crate) const RENAMED: &'static [(&'static str, &'static str)] = &[$($(($old, $new)),+)?];

            /// The word for it in suites, files and on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// A second word that is read as well, in capitals or not; empty where there is none.
            const fn alias(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($alias)?),)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::error::SuiteError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let called = |known: &&Self| {
                    known.name() == text || (!text.is_empty() && known.alias().eq_ignore_ascii_case(text))
                };
                Self::ALL.iter().find(called).copied().ok_or_else(|| {
                    let renamed = Self::RENAMED.iter().find(|(old, _)| *old == text);
                    let hint = match renamed {
                        Some((_, new)) => format!("it is now called `{new}`"),
                        None => $crate::error::suggest(text, Self::WORDS.iter().copied()),
                    };
                    $crate::error::SuiteError::value($what, text, hint)
                })
            }
        }

        $crate::words::serde_as_text!($name);
    };
}

/// Writes and reads a type as its text: `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {serde_as_text, words};

#[cfg(test)]
mod tests {
    use crate::branch::NormBanks;

    #[test]
    fn a_word_is_written_as_it_is_read_and_a_typo_gets_a_suggestion() {
        for (banks, word) in NormBanks::ALL.iter().zip(NormBanks::WORDS) {
            assert_eq!(serde_json::json!(banks), *word);
            assert_eq!(word.parse::<NormBanks>().as_ref(), Ok(banks));
        }
        let error = serde_json::from_str::<NormBanks>("\"duall\"").expect_err("a typo");
        assert!(error.to_string().contains("did you mean `dual`?"), "{error}");
    }
}
