//! A table as JSON: every number with its counts, its interval and its trace.

use super::{Cell, Column, Table, Value};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, json};

/// The rows that are shown.
pub(super) fn write(table: &Table) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = (table.rows.iter())
        .map(|row| fields(row, &table.columns))
        .collect();
    json!({
        "id": table.id,
        "title": table.title,
        "caption": table.caption,
        "columns": heads(&table.columns),
        "rows": rows,
    })
}

/// Everything as text.
pub(super) fn text(table: &Table) -> serde_json::Result<String> {
    if table.whole.is_some() {
        serde_json::to_string(&Everything(table))
    } else {
        serde_json::to_string_pretty(&write(table))
    }
}

/// A table that is shown in part, with all its rows, made while they are written: a tree of all of them would not fit
/// into memory.
struct Everything<'a>(&'a Table);

impl Serialize for Everything<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(table) = self;
        let columns = (table.whole.as_ref()).map_or(&table.columns[..], |whole| whole.columns());
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("id", table.id)?;
        map.serialize_entry("title", &table.title)?;
        map.serialize_entry("caption", &table.caption)?;
        map.serialize_entry("columns", &heads(columns))?;
        map.serialize_entry("rows", &Rows { table, columns })?;
        map.end()
    }
}

struct Rows<'a> {
    table: &'a Table,
    columns: &'a [Column],
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        let mut done = Ok(());
        if let Some(whole) = &self.table.whole {
            whole.each(&mut |row| {
                if done.is_ok() {
                    done = rows.serialize_element(&fields(&row, self.columns));
                }
            });
        }
        done?;
        rows.end()
    }
}

fn heads(columns: &[Column]) -> Vec<serde_json::Value> {
    (columns.iter())
        .map(|column| json!({"key": column.key, "head": column.head, "unit": column.unit}))
        .collect()
}

fn fields(row: &[Cell], columns: &[Column]) -> serde_json::Value {
    let fields: Map<String, serde_json::Value> = (row.iter().zip(columns))
        .map(|(cell, column)| (column.key.clone(), field(cell)))
        .collect();
    fields.into()
}

fn field(cell: &Cell) -> serde_json::Value {
    match &cell.value {
        Value::Text(text) => json!(text),
        Value::Integer(n) => json!(n),
        Value::P(x) | Value::Number(x) => json!(x),
        Value::Absent(why) => json!({"value": null, "why": why.to_string()}),
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
