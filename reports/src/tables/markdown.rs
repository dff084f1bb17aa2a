//! A table as GitHub-flavoured Markdown: also what a terminal prints.

use super::{Kind, Table};

pub(super) fn write(table: &Table) -> String {
    let head: Vec<String> = table
        .columns
        .iter()
        .map(|column| escape(&column.title()))
        .collect();
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(&table.columns).map(|(cell, column)| {
                let (number, interval) = cell.shown(column.kind);
                escape(format!("{number} {interval}").trim_end())
            });
            cells.collect()
        })
        .collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|i| {
            let cells = rows.iter().map(|row| row[i].chars().count());
            cells.chain([head[i].chars().count(), 3]).max().unwrap_or(3)
        })
        .collect();
    let right: Vec<bool> = table
        .columns
        .iter()
        .map(|column| column.kind != Kind::Text)
        .collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(i, cell)| {
            let gap = " ".repeat(widths[i] - cell.chars().count());
            if right[i] {
                format!("{gap}{cell}")
            } else {
                format!("{cell}{gap}")
            }
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rules: Vec<String> = widths
        .iter()
        .zip(&right)
        .map(|(width, right)| {
            if *right {
                format!("{}:", "-".repeat(width - 1))
            } else {
                "-".repeat(*width)
            }
        })
        .collect();
    let mut text = format!("**{}**\n\n{}{}", table.title, line(&head), line(&rules));
    for row in &rows {
        text.push_str(&line(row));
    }
    text.push_str(&format!("\n{}\n", table.caption));
    text
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
