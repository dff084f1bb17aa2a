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
    let mut text = format!("**{}**\n\n{}{}", escape(&table.title), line(&head), line(&rules));
    for row in &rows {
        text.push_str(&line(row));
    }
    text.push_str(&format!("\n{}\n", escape(&table.caption)));
    text
}

/// Text that may hold anything, as it stands in Markdown: what would end a cell or a line, or begin
/// an element of HTML, is escaped.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '|' => escaped.push_str("\\|"),
            '<' if rest
                .peek()
                .is_some_and(|next| next.is_ascii_alphabetic() || "/!?".contains(*next)) =>
            {
                escaped.push_str("&lt;");
            }
            // A backslash before a sign would take the one that is put before the sign.
            '\\' if rest.peek().is_some_and(char::is_ascii_punctuation) => escaped.push_str("\\\\"),
            // A picture or a link.
            '!' if rest.peek() == Some(&'[') => escaped.push_str("\\!"),
            ']' if rest.peek() == Some(&'(') => escaped.push_str("\\]"),
            c if c.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn a_name_cannot_end_a_cell_or_a_line_nor_become_html() {
        assert_eq!(escape("a|b\r\n<img> </a>"), "a\\|b  &lt;img> &lt;/a>");
        assert_eq!(escape("p <0.001"), "p <0.001");
        // Two backslashes are one, and the bar stays escaped.
        assert_eq!(escape("a\\|b"), "a\\\\\\|b");
        assert_eq!(escape("![a](http://b) [c](d)"), "\\![a\\](http://b) [c\\](d)");
        assert_eq!(escape("80.0 [78.1, 81.9] a\\b"), "80.0 [78.1, 81.9] a\\b");
    }
}
