//! A store in a folder and cells for the tests.

use super::Store;
use crate::run::RunDirectory;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::{Cell, CellRecord, Provenance, Suite, catalog};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// A store in a folder.
pub(super) fn store(folder: &Path) -> Arc<Store> {
    let url = Url::from_directory_path(folder).expect("a URL");
    Arc::new(Store::open(&url).expect("a store"))
}

/// The cells of the demo.
pub(super) fn cells() -> Vec<Cell> {
    let text = catalog::find("demo").expect("the demo");
    let suite = Suite::parse(text, "demo", &[]).expect("a suite");
    suite.plan(&PlanContext::unread(&suite)).expect("a plan").cells
}

/// Finishes a cell whose one file has this text.
pub(super) fn finish(directory: &RunDirectory, cell: &Cell, text: &str) {
    let work = directory.work(&cell.id).expect("a folder");
    fs::write(work.join("train.parquet"), text).expect("written");
    let mut record = CellRecord {
        cell: cell.clone(),
        model: None,
        rows: 0,
        provenance: Provenance {
            machine: text.to_owned(),
            ..Provenance::default()
        },
    };
    directory.finish(&mut record, &[]).expect("a finished cell");
}
