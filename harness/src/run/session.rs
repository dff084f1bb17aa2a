//! A suite as it is run: read, checked, planned on its images, and computed.

use super::corrupted::{Folders, check_size};
use super::heartbeat::Heartbeat;
use super::memory::Need;
use super::{CorruptedSource, Executed, Executor, Participation, Prepared, RunDirectory};
use crate::certify::trace;
use crate::device;
use crate::error::{Error, Result};
use crate::nn::budget::{allocate, whole_channels};
use crate::nn::{Arch, mask_file};
use crate::train::step::{fills_norms, too_small};
use rlnet_suites::objective::Granularity;
use rlnet_suites::{Cell, CellSpec, Condition, LayerRecord, Plan, Suite, SuiteError, TrainSpec, catalog};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Device;

/// A suite's images, and its cells on them.
pub struct Session {
    /// The images.
    pub data: Prepared,
    /// Where corrupted images come from.
    pub corrupted: CorruptedSource,
    /// The cells.
    pub plan: Plan,
}

impl Session {
    /// Loads a suite's images, and plans its cells.
    ///
    /// # Errors
    /// When images are missing or damaged, or the suite asks for something that does not fit.
    pub fn new(suite: &Suite, data_dir: &Path, folders: &Folders) -> Result<Self> {
        let data = Prepared::load_suite(suite, data_dir)?;
        let request = suite.eval_request();
        let corrupted = CorruptedSource::new(suite.evaluation.corrupted(), folders, &request, &data)?;
        let plan = suite.plan(&corrupted.context(&data))?;
        check(suite, &plan, |dataset| Some(data.of_dataset(dataset).size))?;
        Ok(Self {
            data,
            corrupted,
            plan,
        })
    }

    /// What its largest batch needs at least.
    pub fn need(&self) -> Option<Need> {
        let images = [self.data.train.len() as u64, self.data.test.len() as u64];
        Need::of(&self.plan, |dataset| self.data.of_dataset(dataset).size, images)
    }

    /// Computes the cells whose name matches `only`, and what they need, beside other processes.
    ///
    /// # Errors
    /// When cells fail, the disk refuses, or a stop was requested.
    pub fn take_part(
        &self,
        directory: &RunDirectory,
        device: Device,
        part: Participation,
        only: Option<&str>,
    ) -> Result<Executed> {
        let _presence = Heartbeat::show(directory.root(), &device::name(device))?;
        Executor {
            directory,
            data: &self.data,
            corrupted: &self.corrupted,
            device,
            external: BTreeMap::new(),
            allowed: Vec::new(),
            part,
            opened: Default::default(),
            records: Default::default(),
        }
        .run(&self.plan, only)
    }
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

/// Side of images that are not there yet.
const USUAL_SIZE: usize = 32;

/// Checks what only the harness knows, before hours of work: architectures, budgets, masks from
/// files, whether the units of a search on other images fit, and whether the corruptions can take the
/// images. `image_size` gives the side of a data set's images, where it is known.
///
/// # Errors
/// At the line of the suite that the mistake comes from.
pub fn check(suite: &Suite, plan: &Plan, image_size: impl Fn(&str) -> Option<usize>) -> Result<()> {
    for cell in &plan.cells {
        if let CellSpec::Train(spec) = &cell.spec {
            let size = |dataset: &str| image_size(dataset).unwrap_or(USUAL_SIZE);
            check_stage(suite, plan, (cell, spec), &size)?;
        }
    }
    check_certificates(suite, plan, &|dataset| image_size(dataset).unwrap_or(USUAL_SIZE))?;
    let Some(size) = image_size(&suite.data.dataset) else {
        return Ok(());
    };
    check_size(suite.evaluation.corrupted(), &suite.eval_request(), size).map_err(|why| {
        suite
            .wrong_at(&[&["evaluation", "corruptions"]], why.to_string())
            .into()
    })
}

/// Refuses certificates of networks that cannot be bounded.
fn check_certificates(suite: &Suite, plan: &Plan, size: &impl Fn(&str) -> usize) -> Result<()> {
    let mut seen: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for cell in &plan.cells {
        let CellSpec::Evaluate(spec) = &cell.spec else {
            continue;
        };
        if !matches!(spec.conditions[0], Condition::Certify(_)) {
            continue;
        }
        let trained = cell
            .parents
            .first()
            .and_then(|id| plan.cells.iter().find(|cell| cell.id == *id));
        let Some(CellSpec::Train(trained)) = trained.map(|trained| &trained.spec) else {
            continue;
        };
        if !seen.contains_key(trained.arch.as_str()) {
            let arch: Arch = trained.arch.parse()?;
            seen.insert(
                &trained.arch,
                trace::refusal(&arch, size(&cell.data.dataset) as u64),
            );
        }
        if let Some(Some(why)) = seen.get(trained.arch.as_str()) {
            let why = format!(
                "{}: {why}; leave certificates out, or evaluate other models",
                cell.name
            );
            return Err(suite.wrong_at(&[&["evaluation", "certify"]], why).into());
        }
    }
    Ok(())
}

fn check_stage(
    suite: &Suite,
    plan: &Plan,
    (cell, spec): (&Cell, &TrainSpec),
    image_size: &impl Fn(&str) -> usize,
) -> Result<()> {
    let name = cell.name.as_str();
    let wrong = |key: &str, error: String| {
        let settings: [&[&str]; 3] = [&["train", name, key], &["network", key], &["train", name]];
        Error::from(suite.wrong_at(&settings, error))
    };
    let arch: Arch = spec
        .arch
        .parse()
        .map_err(|error: SuiteError| wrong("arch", error.to_string()))?;
    let size = image_size(&cell.data.dataset);
    let layers = arch.survey(size as u64, 10).layers;
    let sizes: Vec<u64> = layers.iter().map(LayerRecord::total).collect();
    let shapes: Vec<[u64; 3]> = layers.iter().map(|layer| layer.shape).collect();
    if !fills_norms(spec, &shapes, spec.batch) {
        return Err(wrong("batch", too_small(spec.batch)));
    }
    // A network is made to see whether it can be bounded: only where bounds are asked for.
    let bounded = spec.certified.0.is_some();
    if let Some(why) = bounded.then(|| trace::refusal(&arch, size as u64)).flatten() {
        return Err(wrong("certified", format!("{name}: {why}; leave certified out")));
    }
    if let Some(imported) = &spec.imported {
        mask_file::verify(Path::new(&imported.path), &imported.blake3)?;
    }
    let search = cell
        .parents
        .last()
        .filter(|_| spec.units_only)
        .and_then(|id| plan.cells.iter().find(|cell| cell.id == *id));
    if let Some(search) = search.filter(|search| image_size(&search.data.dataset) != size) {
        let (of, on) = (image_size(&search.data.dataset), &search.data.dataset);
        return Err(wrong(
            "units",
            format!(
                "the units of {} are of images of {of} pixels ({on}) and do not fit images of {size} ({}); search on \
                 images of one size",
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
        let keep = allocate(&sizes, spec.budget, spec.allocation, Some(&stand_in))
            .map_err(|error| wrong(key, error.to_string()))?;
        if spec.granularity == Granularity::Channel {
            whole_channels(&shapes, &keep).map_err(|error| wrong(key, error.to_string()))?;
        }
    } else if let Some(budget) = spec.budget {
        budget
            .resolve(sizes.iter().sum())
            .map_err(|error| wrong("budget", error.to_string()))?;
    }
    Ok(())
}
