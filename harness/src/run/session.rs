//! A suite on its images: read, checked, planned, and taken part in.

use super::corrupted::Folders;
use super::live::Presence;
use super::{CorruptedSource, Executed, Executor, Part, Prepared, RunDirectory};
use crate::device;
use crate::error::{Error, Result};
use crate::nn::budget::allocate;
use crate::nn::mask_file;
use crate::request::Global;
use rlnet_suites::{CellSpec, Plan, Suite, SuiteError, catalog};
use std::collections::BTreeMap;
use std::path::Path;

/// A suite's images, and its cells as they are on them.
pub fn planned(
    suite: &Suite,
    global: &Global,
    folders: &Folders,
) -> Result<(Prepared, CorruptedSource, Plan)> {
    let data = Prepared::load_suite(suite, &global.data_dir())?;
    let corrupted = CorruptedSource::new(
        suite.evaluation.corrupted(),
        folders,
        &suite.eval_request(),
        &data,
    )?;
    let plan = suite.plan(&corrupted.context(&data))?;
    check(suite, &plan, |dataset| data.of_dataset(dataset).size)?;
    Ok((data, corrupted, plan))
}

/// Takes part in the work on the cells whose name matches `only`, and what they need.
pub fn take_part(
    global: &Global,
    (directory, plan): (&RunDirectory, &Plan),
    (data, corrupted): (&Prepared, &CorruptedSource),
    part: Part,
    only: Option<&str>,
) -> Result<Executed> {
    let device = global.open_device()?;
    let _presence = Presence::show(directory.root(), &device::name(device))?;
    Executor {
        directory,
        data,
        corrupted,
        device,
        external: BTreeMap::new(),
        allowed: Vec::new(),
        part,
    }
    .run(plan, only)
}

/// A suite of the catalogue by name, or a file.
pub fn read_suite(name: &str, sets: &[String]) -> Result<Suite> {
    let (file, text) = suite_text(name)?;
    Ok(Suite::parse(&text, &file, sets)?)
}

/// What a suite is called in messages, and its text.
pub fn suite_text(name: &str) -> Result<(String, String)> {
    if let Some(text) = catalog::find(name) {
        return Ok((format!("suite {name}"), text.to_owned()));
    }
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "toml") {
        let known = catalog::CATALOGUE.iter().map(|(name, _)| *name);
        let hint = rlnet_suites::error::suggest(name, known);
        let message = format!("not in the catalogue, and not a .toml file; {hint}");
        return Err(SuiteError::value("suite", name, message).into());
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::reading(path, error))?;
    Ok((name.to_owned(), text))
}

/// What only the harness can check before hours of work: architectures, budgets, masks from files,
/// and whether units of a search on other images fit. `image_size` tells the side of a data set's
/// images. A mistake is reported at the line of the suite that it comes from.
pub fn check(suite: &Suite, plan: &Plan, image_size: impl Fn(&str) -> usize) -> Result<()> {
    for cell in &plan.cells {
        if let CellSpec::Train(spec) = &cell.spec {
            let name = cell.name.as_str();
            let wrong = |key: &str, error: String| {
                let settings: [&[&str]; 3] = [&["train", name, key], &["network", key], &["train", name]];
                Error::from(suite.wrong_at(&settings, error))
            };
            let arch: crate::nn::Arch = spec
                .arch
                .parse()
                .map_err(|error: SuiteError| wrong("arch", error.to_string()))?;
            let size = image_size(&cell.data.dataset);
            let layers = arch.survey(size as u64, 10).layers;
            let sizes: Vec<u64> = layers.iter().map(rlnet_suites::LayerRecord::total).collect();
            if let Some(imported) = &spec.imported {
                mask_file::verify(Path::new(&imported.path), &imported.blake3)?;
            }
            let search = cell.parents.last().filter(|_| spec.units_only);
            let search = search.and_then(|id| plan.cells.iter().find(|cell| cell.id == *id));
            if let Some(search) = search.filter(|search| image_size(&search.data.dataset) != size) {
                let (of, on) = (image_size(&search.data.dataset), &search.data.dataset);
                return Err(wrong(
                    "units",
                    format!(
                        "the units of {} are of images of {of} pixels ({on}) and do not fit images of {size} ({}); \
                         search on images of one size",
                        search.name, cell.data.dataset
                    ),
                ));
            }
            if spec.draws_mask() {
                // What will be measured is not known yet; any weights show whether it fits.
                let stand_in = vec![1.0; sizes.len()];
                let key = if spec.budget.is_some() {
                    "budget"
                } else {
                    "allocation"
                };
                allocate(&sizes, spec.budget, spec.allocation, Some(&stand_in))
                    .map_err(|error| wrong(key, error.to_string()))?;
            } else if let Some(budget) = spec.budget {
                let kept = budget.resolve(sizes.iter().sum());
                kept.map_err(|error| wrong("budget", error.to_string()))?;
            }
        }
    }
    Ok(())
}
