//! A table as JSON: every number with its counts, its interval and its trace.

use super::{Cell, Column, Table, Value};
use serde_json::{Map, json};

pub(super) fn write(table: &Table) -> serde_json::Value {
    let rows = table.rows.iter().map(|row| fields(row, &table.columns));
    with_rows(table, &table.columns, rows.collect())
}

/// Everything as text.
pub(super) fn text(table: &Table) -> String {
    let Some(whole) = &table.whole else {
        return format!("{:#}", write(table));
    };
    // Rows are made and written one by one: a tree of all of them would not fit into memory.
    let frame = with_rows(table, whole.columns(), Vec::new());
    let frame = format!("{frame:#}");
    let (before, after) = frame.rsplit_once("\"rows\": []").unwrap_or((&frame, ""));
    let mut text = format!("{before}\"rows\": [");
    let mut comma = "";
    whole.each(&mut |row| {
        text.push_str(comma);
        text.push_str("\n    ");
        text.push_str(&fields(&row, whole.columns()).to_string());
        comma = ",";
    });
    text.push_str("\n  ]");
    text.push_str(after);
    text
}

fn with_rows(table: &Table, columns: &[Column], rows: Vec<serde_json::Value>) -> serde_json::Value {
    let columns: Vec<serde_json::Value> = columns
        .iter()
        .map(|column| json!({"key": column.key, "head": column.head, "unit": column.unit}))
        .collect();
    json!({
        "id": table.id,
        "title": table.title,
        "caption": table.caption,
        "columns": columns,
        "rows": rows,
    })
}

fn fields(row: &[Cell], columns: &[Column]) -> serde_json::Value {
    let cells = row.iter().zip(columns);
    let fields: Map<String, serde_json::Value> = cells
        .map(|(cell, column)| (column.key.clone(), field(cell)))
        .collect();
    fields.into()
}

fn field(cell: &Cell) -> serde_json::Value {
    match &cell.value {
        Value::Text(text) => json!(text),
        Value::Integer(n) => json!(n),
        Value::P(x) | Value::Number(x) => json!(x),
        Value::Absent(why) => json!({"value": null, "why": why}),
        Value::Share(estimate) => with_trace(json!(estimate), &cell.trace),
        Value::Ratio(ratio) => with_trace(json!(ratio), &cell.trace),
        Value::Points(difference) => with_trace(json!(difference), &cell.trace),
    }
}

fn with_trace(mut value: serde_json::Value, trace: &str) -> serde_json::Value {
    if let Some(fields) = value.as_object_mut() {
        fields.insert("trace".into(), json!(trace));
    }
    value
}
