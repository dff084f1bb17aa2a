//! The resolved plan of every suite of the catalogue, pinned: a cell's id decides whether finished work is
//! found again, so a change of a name or a default that moves one must be seen and meant.
//!
//! `RLNET_BLESS=1 cargo test -p rlnet-suites --test plans` writes the files anew.

use rlnet_suites::plan::PlanContext;
use rlnet_suites::{Suite, catalog};
use std::fmt::Write as _;
use std::path::Path;

/// The head of a plan, then one line a cell: id, name, resolved settings.
fn resolved(name: &str, sets: &[String]) -> String {
    let text = catalog::find(name).expect(name);
    let suite = Suite::parse(text, name, sets).expect(name);
    let plan = suite.plan(&PlanContext::unread(&suite)).expect(name);
    let headline = plan.headline.as_ref().map(ToString::to_string);
    let mut out = format!("headline {headline:?}\nbatch {}\n", plan.evaluation_batch);
    for cell in &plan.cells {
        // Parents and versions are in the id.
        let spec = serde_json::to_value(&cell.spec).expect("JSON");
        writeln!(out, "{} {} {spec}", cell.id, cell.name).expect("text");
    }
    out
}

#[test]
fn every_suite_of_the_catalogue_resolves_to_the_pinned_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut moved = Vec::new();
    for (name, _) in catalog::CATALOGUE {
        let (file, now) = (folder.join(format!("{name}.txt")), resolved(name, &[]));
        if std::env::var_os("RLNET_BLESS").is_some() {
            std::fs::write(&file, &now).expect("a file");
        }
        let pinned = std::fs::read_to_string(&file).unwrap_or_default();
        let first = now
            .lines()
            .zip(pinned.lines())
            .find(|(now, pinned)| now != pinned);
        if now != pinned {
            moved.push(format!(
                "{name}: now {:?}, pinned {:?}",
                first.map(|lines| lines.0),
                first.map(|lines| lines.1)
            ));
        }
    }
    assert!(moved.is_empty(), "{}", moved.join("\n"));
}
