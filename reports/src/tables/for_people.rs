//! Tables as people read them: where no network has several branches, nothing speaks of branches.
//! Files for programs keep every column.

use super::{Cell, Column, Table, Value};
use crate::glossary::{GAP, ONE_BRANCH, ORACLE, Term, WORST};
use crate::metrics::BranchPolicy;
use rlnet_suites::Branch;
use std::borrow::Cow;

/// Marks around what a text says of branches.
const MARKS: [char; 2] = ['‹', '›'];

/// A text without its marks; without what stands between them where there are no branches.
pub(crate) fn unmarked(text: &str, branches: bool) -> String {
    let mut parts = text.split(MARKS);
    let mut said = parts.next().unwrap_or_default().to_owned();
    while let Some(marked) = parts.next() {
        if branches {
            said.push_str(marked);
        }
        said.push_str(parts.next().unwrap_or_default());
    }
    said
}

/// Whether a term is about networks with several branches.
pub(crate) fn is_of_branches(term: &Term) -> bool {
    [ORACLE, ONE_BRANCH, WORST, GAP].contains(term)
}

/// A table without the columns that name one and the same only branch in every row.
pub(crate) fn for_people(table: &Table) -> Cow<'_, Table> {
    let only = [
        BranchPolicy::Fixed(Branch::Single).label(),
        Branch::Single.name().to_owned(),
    ];
    let is_only = |cell: &Cell| matches!(&cell.value, Value::Text(text) if only.contains(text));
    let mut shown = Cow::Borrowed(table);
    for key in ["reading", "branch"] {
        let at = shown.columns.iter().position(|column| column.key == key);
        if at.is_some_and(|at| shown.rows.iter().all(|row| is_only(&row[at]))) {
            remove_column(shown.to_mut(), key);
        }
    }
    shown
}

/// Takes a column out of a table that has it.
pub(crate) fn remove_column(table: &mut Table, key: &str) {
    if let Some(at) = table.columns.iter().position(|column| column.key == key) {
        table.columns.remove(at);
        for row in &mut table.rows {
            row.remove(at);
        }
    }
}

/// A table of accuracies with its rows as columns: of few models and many corruptions, narrow enough for
/// a terminal. `name` is the heading of the column that names the rows.
pub(crate) fn turned(table: &Table, name: &str) -> Table {
    let words = |row: &[Cell]| -> String {
        let texts = row.iter().filter_map(|cell| match &cell.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join(", ")
    };
    let heads = table.rows.iter().map(|row| Column::share(words(row), words(row)));
    let rows = table
        .columns
        .iter()
        .enumerate()
        .skip_while(|(_, column)| column.kind == super::Kind::Text);
    Table {
        columns: [Column::text("name", name)].into_iter().chain(heads).collect(),
        rows: rows
            .map(|(at, column)| {
                let cells = table.rows.iter().map(|row| row[at].clone());
                [Cell::text(&column.head)].into_iter().chain(cells).collect()
            })
            .collect(),
        ..table.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_said_only_where_there_are_branches() {
        let text = "Accuracy per attack‹ and branch›. One‹ two›‹ three› four";
        assert_eq!(
            unmarked(text, true),
            "Accuracy per attack and branch. One two three four"
        );
        assert_eq!(unmarked(text, false), "Accuracy per attack. One four");
        assert_eq!(unmarked("plain", false), "plain");
    }
}
