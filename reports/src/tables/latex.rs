//! A table as LaTeX, with booktabs rules and intervals in small print.

use super::{Kind, Table};

pub(super) fn write(table: &Table) -> String {
    let columns: String = table
        .columns
        .iter()
        .map(|column| if column.kind == Kind::Text { 'l' } else { 'r' })
        .collect();
    let head: Vec<String> = table
        .columns
        .iter()
        .map(|column| escape(&column.title()))
        .collect();
    let mut text = format!(
        "% needs \\usepackage{{booktabs}}\n\\begin{{table}}[t]\n\\centering\\small\n\\caption{{{}. {}}}\n\\label{{tab:{}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{} \\\\\n\\midrule\n",
        escape(&table.title),
        escape(&table.caption),
        table.id,
        head.join(" & "),
    );
    for row in &table.rows {
        let cells = row.iter().zip(&table.columns).map(|(cell, column)| {
            let (number, interval) = cell.shown(column.kind);
            // A line that starts with `[` after `\\` would be read as its argument.
            let number = escape(&number);
            if interval.is_empty() {
                number
            } else {
                format!("{number} {{\\scriptsize {}}}", escape(&interval))
            }
        });
        text.push_str(&format!("{} \\\\\n", cells.collect::<Vec<_>>().join(" & ")));
    }
    text.push_str("\\bottomrule\n\\end{tabular}\n\\end{table}\n");
    text
}

/// What LaTeX would take for a command, and the few signs beyond ASCII that reports use.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // Marks code elsewhere; a quotation mark here.
            '`' => {}
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("$<$"),
            '>' => escaped.push_str("$>$"),
            '\u{221e}' => escaped.push_str("$\\infty$"),
            '\u{d7}' => escaped.push_str("$\\times$"),
            '\u{b5}' => escaped.push_str("$\\mu$"),
            '\u{2212}' => escaped.push_str("$-$"),
            '\u{2013}' => escaped.push_str("--"),
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
    fn nothing_a_suite_is_named_breaks_a_document() {
        assert_eq!(
            escape("a_b & 5% {x} \\y"),
            "a\\_b \\& 5\\% \\{x\\} \\textbackslash{}y"
        );
        assert_eq!(escape("\u{2212}0.5 \u{d7} <1"), "$-$0.5 $\\times$ $<$1");
    }
}
