//! A table as CSV (RFC 4180): raw shares in [0, 1], with interval ends and counts beside
//! them. A number that is not there is an empty field.

use super::{Cell, Kind, Table, Value};

pub(super) fn write(table: &Table) -> String {
    let mut text = String::new();
    let columns = table
        .whole
        .as_ref()
        .map_or(&table.columns[..], |whole| whole.columns());
    let head = columns.iter().flat_map(|column| names(&column.key, column.kind));
    push(&mut text, &head.collect::<Vec<_>>());
    let mut add = |row: &[Cell]| {
        let cells = row.iter().zip(columns);
        let fields = cells.flat_map(|(cell, column)| fields(cell, column.kind));
        push(&mut text, &fields.collect::<Vec<_>>());
    };
    match &table.whole {
        Some(whole) => whole.each(&mut |row| add(&row)),
        None => table.rows.iter().for_each(|row| add(row)),
    }
    text
}

fn names(key: &str, kind: Kind) -> Vec<String> {
    let ends: &[&str] = match kind {
        Kind::Share => &["", "_low", "_high", "_right", "_answers", "_images"],
        Kind::Ratio => &["", "_low", "_high"],
        Kind::Points => &["", "_low", "_high", "_images"],
        _ => &[""],
    };
    ends.iter().map(|end| format!("{key}{end}")).collect()
}

fn fields(cell: &Cell, kind: Kind) -> Vec<String> {
    match &cell.value {
        Value::Text(text) => vec![text.clone()],
        Value::Share(e) => vec![
            e.value.to_string(),
            e.low.to_string(),
            e.high.to_string(),
            e.right.to_string(),
            e.answers.to_string(),
            e.images.to_string(),
        ],
        Value::Points(d) => vec![
            d.value.to_string(),
            d.low.to_string(),
            d.high.to_string(),
            d.images.to_string(),
        ],
        Value::Ratio(r) => vec![r.value.to_string(), r.low.to_string(), r.high.to_string()],
        Value::P(x) | Value::Number(x) => vec![x.to_string()],
        Value::Integer(n) => vec![n.to_string()],
        Value::Absent(_) => vec![String::new(); names("", kind).len()],
    }
}

fn push(text: &mut String, fields: &[String]) {
    let quoted = fields.iter().map(|field| {
        if field.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    });
    text.push_str(&quoted.collect::<Vec<_>>().join(","));
    text.push_str("\r\n");
}
