//! Names that attack parameters had in earlier versions. Stored files are read with them; what
//! people write gets an error that names today's.

use super::AttackSpec;
use crate::error::SuiteError;
use serde::{Deserialize, Deserializer};

/// A parameter that was renamed.
struct Renamed {
    old: &'static str,
    new: &'static str,
    /// Values that were renamed with it, old and new.
    values: &'static [(&'static str, &'static str)],
}

const RENAMED: [Renamed; 4] = [
    Renamed {
        old: "through",
        new: "branch",
        values: &[],
    },
    Renamed {
        old: "on",
        new: "base",
        values: &[],
    },
    Renamed {
        old: "keep",
        new: "early_stop",
        values: &[("last", "false"), ("first", "true")],
    },
    Renamed {
        old: "compat",
        new: "reference_rng",
        values: &[("none", "false"), ("autoattack", "true")],
    },
];

/// Today's name and value of a renamed parameter.
fn today<'a>(key: &str, value: &'a str) -> Option<(&'static str, &'a str)> {
    let renamed = RENAMED.iter().find(|renamed| renamed.old == key)?;
    let value = renamed.values.iter().find(|(old, _)| *old == value);
    Some((renamed.new, value.map_or("", |(_, new)| *new)))
}

/// An attack's text with today's names in place of those of earlier versions.
pub(super) fn translate(text: &str) -> String {
    let Some((name, params)) = text.split_once(':') else {
        return text.to_owned();
    };
    let param = |part: &str| match part.split_once('=') {
        Some((key, value)) => match today(key.trim(), value.trim()) {
            Some((key, "")) => format!("{key}={value}"),
            Some((key, value)) => format!("{key}={value}"),
            None => part.to_owned(),
        },
        None => part.to_owned(),
    };
    let params: Vec<String> = params.split(',').map(param).collect();
    format!("{name}:{}", params.join(","))
}

/// Refuses a parameter by the name it had in earlier versions.
pub(super) fn refuse(key: &str, value: &str) -> Result<(), SuiteError> {
    let Some((new, new_value)) = today(key, value) else {
        return Ok(());
    };
    let new_value = if new_value.is_empty() { value } else { new_value };
    let why = format!("this parameter is now called `{new}`; write {new}={new_value}");
    Err(SuiteError::value("attack parameter", key, why))
}

/// The attack of a stored file.
pub(crate) fn attack<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AttackSpec, D::Error> {
    let text = String::deserialize(deserializer)?;
    AttackSpec::stored(&text).map_err(serde::de::Error::custom)
}

/// The attack of a stored file, where there may be none.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AttackSpec>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let attack = text.map(|text| AttackSpec::stored(&text)).transpose();
    attack.map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_files_are_read_with_old_words_and_people_are_told_the_new_ones() {
        for (old, new) in [
            ("pgd:through=all", "pgd:branch=all"),
            ("pgd:on=fog/3,steps=7", "pgd:base=fog/3,steps=7"),
            ("pgd:keep=first", "pgd:early_stop=true"),
            ("pgd:keep=last", "pgd"),
            (
                "square:compat=autoattack,p=0.80",
                "square:reference_rng=true,p=0.8",
            ),
        ] {
            let read = AttackSpec::stored(old).expect(old);
            assert_eq!(read, new.parse().expect(new));
            let error = old.parse::<AttackSpec>().expect_err(old).to_string();
            let key = new.split([':', '=']).nth(1).filter(|_| new != "pgd");
            assert!(error.contains(key.unwrap_or("early_stop=false")), "{error}");
        }
    }
}
