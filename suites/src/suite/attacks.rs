//! The attacks of a suite: singly, by groups, on some images only.

use crate::attack::{self, AttackSpec};
use crate::error::SuiteError;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use toml::Value;

/// A list of attacks, written singly, by the name of a group, or with the number of images they
/// are made on: `{ attack = "autoattack", images = 1000 }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Attacks {
    list: Vec<ListedAttack>,
}

/// An attack of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ListedAttack {
    attack: AttackSpec,
    images: Option<u32>,
    /// Whether it came with others by the name of a group: such a one may fit no model.
    grouped: bool,
}

impl Attacks {
    /// Each attack, and the number of test images (from the front) it is made on; none: all.
    pub fn iter(&self) -> impl Iterator<Item = (&AttackSpec, Option<u32>)> {
        self.list.iter().map(|listed| (&listed.attack, listed.images))
    }

    /// The attacks alone.
    pub fn specs(&self) -> Vec<AttackSpec> {
        self.iter().map(|(attack, _)| attack.clone()).collect()
    }

    /// The attacks that are listed by their own names, not by a group.
    pub fn by_name(&self) -> impl Iterator<Item = &AttackSpec> {
        let named = self.list.iter().filter(|listed| !listed.grouped);
        named.map(|listed| &listed.attack)
    }

    /// The attacks that are not made on all images.
    pub fn limits(&self) -> BTreeMap<AttackSpec, u32> {
        let limited = self.iter();
        limited
            .filter_map(|(attack, images)| Some((attack.clone(), images?)))
            .collect()
    }

    /// The list as it would be written, with another attack and number of images in place of each.
    ///
    /// # Errors
    /// Those of `change`.
    pub(crate) fn written(
        &self,
        change: impl Fn(&AttackSpec, Option<u32>) -> Result<(AttackSpec, Option<u32>), SuiteError>,
    ) -> Result<Vec<Value>, SuiteError> {
        let mut list: Vec<Value> = Vec::new();
        for listed in &self.list {
            let (attack, images) = change(&listed.attack, listed.images)?;
            let text = Value::from(attack.to_string());
            let entry = match (images, listed.grouped) {
                (None, false) => text,
                (images, grouped) => {
                    let images = images.map(|images| ("images".to_owned(), Value::from(i64::from(images))));
                    let grouped = grouped.then(|| ("grouped".to_owned(), Value::from(true)));
                    let attack = ("attack".to_owned(), text);
                    Value::Table([attack].into_iter().chain(images).chain(grouped).collect())
                }
            };
            if !list.contains(&entry) {
                list.push(entry);
            }
        }
        Ok(list)
    }
}

impl Serialize for Attacks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let list = self.written(|attack, images| Ok((attack.clone(), images)));
        list.map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// An attack with its number of images.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnSome {
    attack: String,
    images: Option<u32>,
    /// What only [`Attacks::written`] writes.
    #[serde(default)]
    grouped: bool,
}

impl TryFrom<Value> for Attacks {
    type Error = SuiteError;
    fn try_from(value: Value) -> Result<Self, SuiteError> {
        const FORM: &str = "write a list of attacks, each as \"pgd:steps=20\", or as { attack = \"autoattack\", \
                            images = 1000 } where it is made on the first so many images only";
        let wrong = |value: &Value| SuiteError::value("attacks", value, FORM);
        let items = value.as_array().ok_or_else(|| wrong(&value))?;
        let mut list: Vec<ListedAttack> = Vec::new();
        for item in items {
            let some = match item {
                Value::String(text) => OnSome {
                    attack: text.clone(),
                    images: None,
                    grouped: false,
                },
                Value::Table(table) => {
                    let some: OnSome = table.clone().try_into().map_err(|error: toml::de::Error| {
                        SuiteError::value("attack", item, format!("{}; {FORM}", error.message()))
                    })?;
                    if some.images.is_none() && !some.grouped {
                        let why = format!("images is missing; {FORM}");
                        return Err(SuiteError::value("attack", item, why));
                    }
                    if some.images == Some(0) {
                        let why = "an attack is made on 1 image or more; leave it out instead";
                        return Err(SuiteError::value("images", 0, why));
                    }
                    some
                }
                other => return Err(wrong(other)),
            };
            let members = attack::group(&some.attack)?;
            let grouped = some.grouped || members.len() > 1;
            for attack in members {
                match list.iter_mut().find(|known| known.attack == attack) {
                    Some(known) => known.grouped &= grouped,
                    None => list.push(ListedAttack {
                        attack,
                        images: some.images,
                        grouped,
                    }),
                }
            }
        }
        Ok(Self { list })
    }
}
