//! A table as CSV (RFC 4180): raw shares in [0, 1], with interval ends and counts beside
//! them. A number that is not there is an empty field.

use super::{Cell, Kind, Table, Value};
use csv::{Terminator, WriterBuilder};

pub(super) fn write(table: &Table) -> Result<String, Box<dyn std::error::Error>> {
    let columns = (table.whole.as_ref()).map_or(&table.columns[..], |whole| whole.columns());
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(columns.iter().flat_map(|column| names(&column.key, column.kind)))?;
    let mut add = |row: &[Cell]| {
        let cells = row.iter().zip(columns);
        writer.write_record(cells.flat_map(|(cell, column)| fields(cell, column.kind)))
    };
    match &table.whole {
        Some(whole) => {
            let mut done = Ok(());
            whole.each(&mut |row| {
                if done.is_ok() {
                    done = add(&row);
                }
            });
            done?;
        }
        None => table.rows.iter().try_for_each(|row| add(row))?,
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
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
    let interval =
        |[value, low, high]: [f64; 3]| [value, low, high].map(|number| number.to_string()).to_vec();
    match &cell.value {
        Value::Text(text) => vec![text.clone()],
        Value::Share(e) => {
            let counts = [e.right, e.answers, e.images].map(|count| count.to_string());
            [interval([e.value, e.low, e.high]), counts.to_vec()].concat()
        }
        Value::Points(d) => [interval([d.value, d.low, d.high]), vec![d.images.to_string()]].concat(),
        Value::Ratio(r) => interval([r.value, r.low, r.high]),
        Value::P(x) | Value::Number(x) => vec![x.to_string()],
        Value::Integer(n) => vec![n.to_string()],
        Value::Absent(_) => vec![String::new(); names("", kind).len()],
    }
}
