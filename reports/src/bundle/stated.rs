//! The tables and model cards that a bundle states, and whether its rows say the same.

use crate::analysis::Analysis;
use crate::model_card;
use crate::sections::{Section, Show};
use crate::tables;
use serde_json::Value;
use std::collections::BTreeMap;

/// Tables that are stated.
const TABLES: [Section; 3] = [
    tables::accuracy::MAIN,
    tables::accuracy::CORRUPTIONS,
    tables::attacks::SECTION,
];

/// Fields that tell the rows of a table apart.
const KEYS: [&str; 3] = ["model", "reading", "attack"];

/// Room for another machine's last digits, relative.
const TOLERANCE: f64 = 1e-9;

/// What the rows say: each table and card with the name of its file.
pub(super) fn claims(analysis: &Analysis) -> BTreeMap<String, Value> {
    let tables = TABLES.iter().filter_map(|section| {
        let Show::Table(table) = section.show else {
            return None;
        };
        let table = table(analysis);
        (!table.rows.is_empty()).then(|| (format!("tables/{}.json", section.id), table.json()))
    });
    let cards = model_card::cards(analysis);
    tables
        .chain(
            cards
                .into_iter()
                .map(|card| (format!("cards/{}", card.file), card.json)),
        )
        .collect()
}

/// Every number of a file that is stated and that the rows do not say, in words; and how many numbers were compared.
/// Numbers that only the rows have are new in this version of the program.
pub(super) fn differences(name: &str, stated: &Value, computed: Option<&Value>) -> (Vec<String>, usize) {
    let Some(computed) = computed else {
        return (vec![format!("{name}: the rows give no such table")], 0);
    };
    let (stated, computed) = (numbers(stated), numbers(computed));
    let differ = stated.iter().filter_map(|(key, value)| match computed.get(key) {
        None => Some(format!(
            "{name}: {key} is stated as {value}, and the rows give no such number"
        )),
        Some(own) if (own - value).abs() <= TOLERANCE * (1.0 + own.abs()) => None,
        Some(own) => Some(format!("{name}: {key} is stated as {value}, the rows give {own}")),
    });
    (differ.collect(), stated.len())
}

/// All numbers of a table or a card, by where they stand.
fn numbers(file: &Value) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    match file.get("rows").and_then(Value::as_array) {
        Some(rows) => {
            for row in rows {
                let named = KEYS.iter().filter_map(|key| row.get(key)?.as_str());
                collect(&named.collect::<Vec<_>>().join(", "), row, &mut found);
            }
        }
        None => collect("", file, &mut found),
    }
    found
}

fn collect(at: &str, value: &Value, found: &mut BTreeMap<String, f64>) {
    let join = |key: &str| {
        if at.is_empty() {
            key.to_owned()
        } else {
            format!("{at}: {key}")
        }
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| collect(&join(key), value, found)),
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                collect(&join(&place.to_string()), value, found);
            }
        }
        // Model cards have their numbers as text.
        Value::String(text) => found.extend(text.parse().ok().map(|number| (at.to_owned(), number))),
        Value::Number(number) => found.extend(number.as_f64().map(|number| (at.to_owned(), number))),
        Value::Bool(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_changed_number_is_named_and_a_new_column_is_none() {
        let row = |value: f64| json!({"rows": [{"model": "a", "reading": "worst", "ca": {"value": value, "why": "x"}}]});
        let now =
            json!({"rows": [{"model": "a", "reading": "worst", "ca": {"value": 0.5, "low": 0.4}, "new": 1}]});
        assert_eq!(differences("t", &row(0.5), Some(&now)), (vec![], 1));
        let (found, _) = differences("t", &row(0.75), Some(&now));
        assert_eq!(
            found,
            ["t: a, worst: ca: value is stated as 0.75, the rows give 0.5"]
        );
        assert_eq!(differences("t", &row(0.5), None).0.len(), 1);
        let card = json!({"clean_acc": "61.20"});
        assert_eq!(
            differences("c", &card, Some(&json!({"clean_acc": "61.30"})))
                .0
                .len(),
            1
        );
    }
}
