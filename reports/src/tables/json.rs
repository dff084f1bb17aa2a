//! A table as JSON: every number with its counts, its interval and its trace.

use super::{Cell, Table, Value};
use serde_json::{Map, json};

pub(super) fn write(table: &Table) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = table
        .rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(&table.columns);
            let fields: Map<String, serde_json::Value> = cells
                .map(|(cell, column)| (column.key.clone(), field(cell)))
                .collect();
            fields.into()
        })
        .collect();
    let columns: Vec<serde_json::Value> = table
        .columns
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
