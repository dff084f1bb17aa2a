//! The slice of sections: the page has every one of them, and one more needs one line.

use crate::synthetic::{plan, write_run};
use rlnet_reports::glossary::Term;
use rlnet_reports::sections::{Content, Place, SECTIONS, Section, Show, shown};
use rlnet_reports::tables::{Cell, Column, Table};
use rlnet_reports::{Analysis, Format, Runs, html};

const DUMMY: Section = Section {
    id: "dummy",
    place: Place::Numbers,
    show: Show::Table(one_row),
    terms: &[Term::new("dummyness", "How much of a dummy it is.")],
};

fn one_row(_: &Analysis) -> Table {
    let columns = vec![Column::text("name", "dummyness")];
    Table::new(
        "dummy",
        "A dummy",
        "Nothing.",
        columns,
        vec![vec![Cell::text("x")]],
    )
}

fn analysis() -> Analysis {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(folder.path(), &plan(&[]), |_| true);
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    Analysis::of(runs).expect("an analysis")
}

#[test]
fn a_full_page_has_every_section_and_its_terms() {
    let analysis = analysis();
    // Every section has a row, whatever the runs have.
    let full: Vec<Section> = (SECTIONS.iter())
        .map(|section| Section {
            show: Show::Table(one_row),
            ..*section
        })
        .collect();
    let shown = shown(&analysis, &full, true).expect("sections");
    assert_eq!(shown.len(), SECTIONS.len());
    let page = html::page(&analysis, &shown, &Format::ALL).expect("a page");
    for section in SECTIONS {
        let id = format!("id=\"table-{}\"", section.id);
        assert!(page.contains(&id), "{id}");
        for term in section.terms {
            assert!(page.contains(&format!("<dt>{}</dt>", term.name)), "{}", term.name);
        }
    }
}

#[test]
fn a_section_that_is_registered_once_is_on_the_page_with_its_glossary_entry() {
    let analysis = analysis();
    let with = [SECTIONS, &[DUMMY]].concat();
    let contents = shown(&analysis, &with, true).expect("sections");
    let page = html::page(&analysis, &contents, &Format::ALL).expect("a page");
    for part in [
        "id=\"table-dummy\"",
        "<dt>dummyness</dt>",
        "title=\"How much of a dummy it is.\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Figures and tables bear the names of their sections: these are the names of their files.
    for (section, content) in &contents {
        let id = match content {
            Content::Table(table) => table.id,
            Content::Figure(figure) => figure.id,
        };
        assert_eq!(id, section.id);
    }
}
