//! docs/attacks/README.md has every attack of the registry once, on a page that is there.

use rlnet_suites::attack::{CATALOGUE, adaptive, headline};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_table_of_attacks_is_that_of_the_registry() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/attacks");
    let text = std::fs::read_to_string(folder.join("README.md")).expect("the page");
    let mut listed = Vec::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let Some((_, page)) = cells[2].split_once("](") else {
            // Another table of the page.
            continue;
        };
        assert!(folder.join(page.trim_end_matches(')')).exists(), "{row}");
        listed.extend(cells[1].split('`').skip(1).step_by(2).map(str::to_owned));
    }
    let unique: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(unique.len(), listed.len(), "an attack is listed twice");
    for entry in CATALOGUE {
        assert!(unique.contains(entry.name), "{} is not listed", entry.name);
    }
    for name in unique {
        let known = CATALOGUE.iter().any(|entry| entry.name == name) || adaptive::find(name).is_some();
        assert!(known, "`{name}` is no attack");
    }
}

#[test]
fn the_order_of_the_kinds_of_attacks_is_that_of_the_registry() {
    let text = include_str!("../../docs/attacks/README.md");
    let line = text
        .lines()
        .find(|line| line.starts_with("2. **its kind**: "))
        .expect("the line");
    let kinds = line.trim_start_matches("2. **its kind**: ").trim_end_matches(';');
    let names = |kind: &str| {
        kind.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let documented: Vec<BTreeSet<String>> = kinds.split(';').map(names).collect();
    let known = headline::kinds().into_iter();
    let known: Vec<BTreeSet<String>> = known
        .map(|kind| kind.into_iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(documented, known);
}
