//! The settings of a suite as a JSON Schema (`rlnet suite schema`).

use crate::attack::certify::CERTIFY;
use crate::attack::{self, adaptive, diagnosis};
use crate::bounds::Bounds;
use crate::dialect::Quirk;
use crate::objective::MODES;
use crate::settings::Kind::{self, *};
use crate::settings::{Fallback, Section, of};
use serde_json::{Value, json};

/// The JSON Schema (draft 2020-12) of a suite, for editors: Even Better TOML and taplo read it.
pub fn json_schema() -> Value {
    let mut schema = object(Section::Suite);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("RLNet suite, schema 1");
    schema
}

fn object(section: Section) -> Value {
    let properties = of(section).iter().map(|setting| {
        let mut shape = shape(setting.kind);
        let default = match setting.default {
            Fallback::Required => String::new(),
            default => format!(" Default: {default}."),
        };
        shape["description"] = json!(format!("{}.{default}", setting.help));
        let value = match setting.default {
            Fallback::Value(value) => Some(value),
            Fallback::ByStage([(_, value)]) => Some(*value),
            _ => None,
        };
        if let Some(value) = value.and_then(|value| value().ok())
            && let Ok(value) = serde_json::to_value(value)
        {
            shape["default"] = value;
        }
        (setting.key.to_owned(), shape)
    });
    let properties: serde_json::Map<String, Value> = properties.collect();
    let required: Vec<&str> = of(section)
        .iter()
        .filter(|setting| matches!(setting.default, Fallback::Required))
        .map(|setting| setting.key)
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn shape(kind: Kind) -> Value {
    let words = |words: &[&str]| json!({"type": "string", "enum": words});
    match kind {
        Text => json!({"type": "string"}),
        Attack => {
            let groups = [adaptive::GROUP, diagnosis::GROUP, diagnosis::GROUP_L2];
            let named = adaptive::ATTACKS.iter().map(|named| named.name);
            let known = attack::all().map(|entry| entry.name).chain([CERTIFY.name]);
            let names: Vec<String> = known.chain(named).chain(groups).map(regex_of).collect();
            json!({"type": "string", "pattern": format!("^({})(:.*)?$", names.join("|"))})
        }
        Flag => json!({"type": "boolean"}),
        Whole(least, None) => json!({"type": "integer", "minimum": least}),
        Whole(least, Some(most)) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Number(bounds) => number(bounds),
        Words(known) => words(known),
        WordList(known) => json!({"type": "array", "items": words(known)}),
        Numbers(bounds) => json!({"type": "array", "items": number(bounds)}),
        Wholes(least, most) => json!({"type": "array", "items": shape(Whole(least, Some(most)))}),
        Mode => words(&MODES.map(|mode| mode.name)),
        Quirks => {
            let names = Quirk::ALL.iter().flat_map(|quirk| [quirk.name(), quirk.number()]);
            json!({"type": "array", "items": words(&names.collect::<Vec<_>>())})
        }
        Attacks => json!({"type": "array", "items": {"anyOf": [
            shape(Attack),
            {
                "type": "object",
                "properties": {"attack": shape(Attack), "images": shape(Whole(1, None))},
                "required": ["attack", "images"],
                "additionalProperties": false,
            },
        ]}}),
        Corruptions => {
            let names = crate::corruption::names_and_sequences();
            let groups = crate::corruption::GROUPS;
            let names: Vec<&str> = names.iter().map(String::as_str).chain(groups).collect();
            json!({"anyOf": [
                words(&groups),
                {"type": "array", "items": words(&names)},
            ]})
        }
        Budget => json!({"type": "string", "pattern": "^([0-9]+|[0-9.]+[kKxX×])$"}),
        Names => json!({"type": "array", "items": {"type": "string"}}),
        Inner(section) => object(section),
        List(section) => json!({"type": "array", "items": object(section)}),
        Changes => json!({"type": "object", "additionalProperties": {"type": "object"}}),
    }
}

/// A name in a regular expression.
fn regex_of(name: &str) -> String {
    name.replace('+', "\\+")
}

fn number(bounds: Bounds) -> Value {
    let key = |out: bool, inside: &'static str, outside: &'static str| if out { outside } else { inside };
    json!({
        "type": "number",
        (key(bounds.above, "minimum", "exclusiveMinimum")): bounds.least,
        (key(bounds.below, "maximum", "exclusiveMaximum")): bounds.most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CATALOGUE;

    /// As much of JSON Schema as `json_schema` uses, without `pattern`.
    fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("{at}: {why}: {value}"));
        if let Some(choices) = schema["anyOf"].as_array() {
            return match choices.iter().any(|choice| check(choice, value, at).is_ok()) {
                true => Ok(()),
                false => wrong("none of the forms"),
            };
        }
        if schema["enum"]
            .as_array()
            .is_some_and(|words| !words.contains(value))
        {
            return wrong("not one of the words");
        }
        let fits = match schema["type"].as_str().expect("a type") {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("unknown type {other}"),
        };
        if !fits {
            return wrong("another type");
        }
        let number = value.as_f64().unwrap_or_default();
        let bound = |key: &str| schema[key].as_f64();
        let outside = [
            bound("minimum").is_some_and(|least| number < least),
            bound("maximum").is_some_and(|most| number > most),
            bound("exclusiveMinimum").is_some_and(|least| number <= least),
            bound("exclusiveMaximum").is_some_and(|most| number >= most),
        ];
        if outside.contains(&true) {
            return wrong("out of range");
        }
        for (place, item) in value.as_array().into_iter().flatten().enumerate() {
            check(&schema["items"], item, &format!("{at}[{place}]"))?;
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            if value.get(key.as_str().expect("a name")).is_none() {
                return wrong(&format!("{key} is missing"));
            }
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{key}");
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(schema), _) => check(schema, inner, &at)?,
                (None, Value::Null) => {}
                (None, Value::Object(more)) => check(&Value::Object(more.clone()), inner, &at)?,
                (None, _) => return Err(format!("{at}: unknown key")),
            }
        }
        Ok(())
    }

    #[test]
    fn the_schema_knows_every_attack_and_every_default_that_is_a_value() {
        let schema = json_schema();
        let evaluation = &schema["properties"]["evaluation"]["properties"];
        let pattern = evaluation["headline"]["pattern"].as_str().expect("a pattern");
        for entry in attack::CATALOGUE {
            let alternative = regex_of(entry.name);
            let found = pattern.split(['(', '|', ')']).any(|known| known == alternative);
            assert!(found, "{} is not in {pattern}", entry.name);
        }
        assert!(pattern.contains("autoattack\\+"), "{pattern}");
        assert_eq!(
            evaluation["batch"]["default"],
            json!(crate::suite::EVALUATION_BATCH)
        );
        assert_eq!(evaluation["severities"]["default"], json!([1, 2, 3, 4, 5]));
        assert_eq!(evaluation["attacks"]["default"], Value::Null);
    }

    #[test]
    fn every_suite_of_the_catalogue_follows_the_schema_and_mistakes_do_not() {
        let schema = json_schema();
        let json = |text: &str| -> Value {
            let table: toml::Table = toml::from_str(text).expect("TOML");
            serde_json::to_value(table).expect("JSON")
        };
        for (name, text) in CATALOGUE {
            check(&schema, &json(text), name).expect("a valid suite");
        }
        let demo = crate::catalog::STAGES;
        for (from, to) in [
            ("severities = [1, 3, 5]", "severities = [1, 3, 6]"),
            ("corruptions = \"benchmark\"", "corruptions = \"bench\""),
            ("stage = \"mask\"", "stage = \"masc\""),
            ("with.epochs = 12", "with.epoch = 12"),
            ("batch = 32", "batch = \"32\""),
            ("budget = \"5x\"", "budgets = \"5x\""),
            ("dataset = \"shapes\"", ""),
            ("train = 4000", "train = 1"),
            ("with.lr = 0.03", "with.lr = 0"),
            ("with.lr = 0.03", "with.milestones = [0.5, -1.0]"),
            ("with.lr = 0.03", "with.momentum = 1"),
            ("with.lr = 0.03", "with.temperature = 0.0"),
            ("with.epochs = 12", "with.epochs = 4000000000"),
        ] {
            assert!(demo.contains(from), "{from}");
            assert!(
                check(&schema, &json(&demo.replacen(from, to, 1)), "demo").is_err(),
                "{to}"
            );
        }
    }
}
