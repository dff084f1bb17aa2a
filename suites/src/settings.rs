//! The keys of a suite: what each may be, what it is when left out, and what it means.
//!
//! A section is declared once, with [`section!`] (a stage's settings with `stage_settings!` in
//! [`crate::train`]). The fields of its struct, its reader, ranges, the JSON Schema
//! ([`crate::schema`]), the explanations ([`crate::explain`]) and the options of `rlnet train` all
//! come from that declaration.

use crate::bounds::Bounds;
use crate::error::{SuiteError, suggest};
use crate::suite::{Data, Evaluation, Network, Suite, Train};
use crate::train::{ImportedMask, StageSettings, When};
use serde::Serialize;
use std::fmt;
use toml::Value;

/// A section of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The top of the file.
    Suite,
    /// `[data]`.
    Data,
    /// `[network]`.
    Network,
    /// `[training]`, and `with` of every `[[train]]`.
    Stage,
    /// `[[train]]`.
    Train,
    /// `imported` of a `[[train]]`.
    Imported,
    /// `[evaluation]`.
    Evaluation,
    /// `[slurm]`.
    Slurm,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second (none: no end).
    Whole(u64, Option<u64>),
    /// A number within bounds.
    Number(Bounds),
    /// One of a few words.
    Words(&'static [&'static str]),
    /// A list of some of a few words.
    WordList(&'static [&'static str]),
    /// A list of numbers within bounds.
    Numbers(Bounds),
    /// A list of whole numbers from the first to the second.
    Wholes(u64, u64),
    /// The name of a mode.
    Mode,
    /// A list of the reference's defects, by name or number.
    Quirks,
    /// An attack: `pgd:steps=20`.
    Attack,
    /// A list of attacks, some with a number of images.
    Attacks,
    /// `benchmark`, `all`, `none` or a list of names.
    Corruptions,
    /// A number of ReLUs or a reduction.
    Budget,
    /// A list of names of stages.
    Names,
    /// Another section.
    Inner(Section),
    /// A list of sections.
    List(Section),
    /// Tables of changes, by name.
    Changes,
}

impl Kind {
    /// Whether its values are lists of texts or numbers.
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::WordList(_) | Self::Numbers(_) | Self::Wholes(..) | Self::Quirks
        )
    }
}

/// A default, as it would be written in a suite.
type Written = fn() -> Result<Value, SuiteError>;

/// What a key is when it is left out.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// It may not be left out.
    Required,
    /// No value of its own: what happens then, in words.
    Described(&'static str),
    /// This value.
    Value(Written),
    /// The value of the first row that the stage belongs to.
    ByStage(&'static [(&'static [When], Written)]),
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Written| value().map_or_else(|error| error.to_string(), |value| shown(&value));
        match self {
            Self::Required => Ok(()),
            Self::Described(words) => f.write_str(words),
            Self::Value(value) => f.write_str(&text(value)),
            Self::ByStage([(_, value)]) => f.write_str(&text(value)),
            Self::ByStage(rows) => {
                let rows = rows.iter().map(|(stages, value)| {
                    let stages: Vec<&str> = stages.iter().map(|when| when.name()).collect();
                    format!("{} ({})", text(value), stages.join(", "))
                });
                f.write_str(&rows.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is when left out.
    pub default: Fallback,
    /// What it means, and where its default comes from.
    pub help: &'static str,
}

/// The keys of a section, in order.
pub fn of(section: Section) -> &'static [Setting] {
    match section {
        Section::Suite => Suite::SETTINGS,
        Section::Data => Data::SETTINGS,
        Section::Network => Network::SETTINGS,
        Section::Stage => StageSettings::SETTINGS,
        Section::Train => Train::SETTINGS,
        Section::Imported => ImportedMask::SETTINGS,
        Section::Evaluation => Evaluation::SETTINGS,
        Section::Slurm => crate::Slurm::SETTINGS,
    }
}

/// A key by its name.
///
/// # Errors
/// When the section has no such key, with the nearest one.
pub fn find(section: Section, key: &str) -> Result<&'static Setting, SuiteError> {
    let known = of(section);
    known.iter().find(|setting| setting.key == key).ok_or_else(|| {
        let hint = suggest(key, known.iter().map(|setting| setting.key));
        SuiteError::value("key", key, format!("no such setting here; {hint}"))
    })
}

/// A value as it is written in a suite.
pub(crate) fn written<T: Serialize>(value: T) -> Result<Value, SuiteError> {
    Value::try_from(value).map_err(|error| SuiteError::value("setting", error, "cannot be written as TOML"))
}

/// A value as people read it: texts without quotes, lists with commas.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Declares a section: a line a key, with its type, its kind, its default and its meaning. The
/// default is `(required)`, `(= VALUE)`, `(none "in words")` for an `Option` or an empty list, or
/// `(later = VALUE)` for an `Option` that is filled where it is used.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($key:ident: $type:ty, $kind:expr, ($($default:tt)*), $help:literal;)+
            $(@private $extra:ident: $extra_type:ty;)?
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $(#[doc = $help] pub $key: $type,)+
            $($extra: $extra_type,)?
        }

        impl $name {
            pub(crate) const SETTINGS: &'static [$crate::settings::Setting] = &[$(
                $crate::settings::Setting {
                    key: stringify!($key),
                    kind: $kind,
                    default: $crate::settings::fallback!($type, $($default)*),
                    help: $help,
                },
            )+];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Written {
                    $($key: Option<$type>,)+
                }
                let written = Written::deserialize(deserializer)?;
                Ok(Self {
                    $($key: $crate::settings::filled!(D, written, $key, $($default)*),)+
                    $($extra: Default::default(),)?
                })
            }
        }
    };
}

/// The default of a key in the table.
macro_rules! fallback {
    ($type:ty, required) => {
        $crate::settings::Fallback::Required
    };
    ($type:ty, none $words:literal) => {
        $crate::settings::Fallback::Described($words)
    };
    ($type:ty, later = $value:expr) => {
        $crate::settings::Fallback::Value(|| $crate::settings::written($value))
    };
    ($type:ty, = $value:expr) => {
        $crate::settings::Fallback::Value(|| $crate::settings::written::<$type>($value))
    };
}

/// The value of a key that was read, or its default.
macro_rules! filled {
    ($reader:ident, $written:ident, $key:ident, required) => {
        match $written.$key {
            Some(value) => value,
            None => {
                return Err(<$reader::Error as serde::de::Error>::missing_field(stringify!(
                    $key
                )))
            }
        }
    };
    ($reader:ident, $written:ident, $key:ident, = $value:expr) => {
        $written.$key.unwrap_or_else(|| $value)
    };
    ($reader:ident, $written:ident, $key:ident, $($rest:tt)*) => {
        $written.$key.unwrap_or_default()
    };
}

pub(crate) use {fallback, filled, section};

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/method/rlnet.md explains the settings of a stage: all of them, and no others.
    #[test]
    fn the_docs_name_every_setting_of_a_stage_with_its_defaults() {
        let docs = include_str!("../../docs/method/rlnet.md");
        for setting in of(Section::Stage) {
            let row = docs
                .lines()
                .find(|line| line.starts_with("| ") && line.contains(&format!("`{}`", setting.key)));
            assert!(
                row.is_some(),
                "docs/method/rlnet.md has no row for `{}`",
                setting.key
            );
        }
        let table = docs.lines().filter(|line| line.starts_with("| default of `"));
        let expected = of(Section::Stage)
            .iter()
            .filter(|setting| matches!(setting.default, Fallback::ByStage(rows) if rows.len() > 1))
            .map(|setting| format!("| default of `{}` | {} |", setting.key, setting.default));
        assert_eq!(
            table.collect::<Vec<_>>().join("\n"),
            expected.collect::<Vec<_>>().join("\n"),
            "write these lines in docs/method/rlnet.md"
        );
    }

    #[test]
    fn a_default_that_depends_on_the_stage_says_on_which() {
        let lr = find(Section::Stage, "lr").expect("a setting");
        assert_eq!(
            lr.default.to_string(),
            "0.05 (teacher, mask); 0.01 (student); 0.001 (snl, student after snl)"
        );
        let error = find(Section::Stage, "lrr").expect_err("a typo").to_string();
        assert!(error.contains("did you mean `lr`?"), "{error}");
    }
}
