//! What is left to do and how long it may take, from cells of the same kind that were measured: in
//! this run directory and those beside it.

use super::directory::RunDirectory;
use super::eta::Load;
use super::prepare::Prepared;
use super::work::{self, Images};
use crate::bench::Saved;
use rlnet_suites::{Cell, CellId, CellRecord, CellSpec, Condition, NormBanks, Plan, TrainSpec};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// What a cell may take.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Wall seconds.
    pub seconds: f64,
    /// Bytes on the disk.
    pub bytes: f64,
}

impl Images {
    /// Those of loaded data.
    pub fn of(data: &Prepared) -> Self {
        Self {
            train: data.train.len(),
            test: data.test.len(),
        }
    }
}

/// What the measured cells of a kind took together.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    cost: Cost,
    units: f64,
    cells: f64,
}

/// What was measured, by kind of cell.
#[derive(Debug, Default)]
pub struct Measured {
    sums: BTreeMap<String, Sum>,
}

impl Measured {
    /// Reads the records of a run directory and of those beside it.
    pub fn around(out: &Path, images: Images) -> Self {
        let mut measured = Self::default();
        let beside = out.parent().map(|parent| {
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            }
        });
        let mut folders = vec![out.to_path_buf()];
        for entry in beside
            .and_then(|parent| fs::read_dir(parent).ok())
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.path().join("cells").is_dir() && entry.path().file_name() != out.file_name() {
                folders.push(entry.path());
            }
        }
        for folder in folders {
            measured.add_folder(&folder, images);
        }
        measured
    }

    fn add_folder(&mut self, folder: &Path, images: Images) {
        let mut records = Vec::new();
        for entry in fs::read_dir(folder.join("cells")).into_iter().flatten().flatten() {
            let text = fs::read(entry.path().join("cell.json")).unwrap_or_default();
            if let Ok(record) = serde_json::from_slice::<CellRecord>(&text) {
                records.push((record, size(&entry.path())));
            }
        }
        let trained: BTreeMap<CellId, TrainSpec> = records
            .iter()
            .filter_map(|(record, _)| match &record.cell.spec {
                CellSpec::Train(spec) => Some((record.cell.id.clone(), spec.clone())),
                CellSpec::Evaluate(_) => None,
            })
            .collect();
        // One that was shown images of other cells says nothing of what making them takes.
        let measured = |(record, _): &&(CellRecord, _)| record.provenance.images_of.is_empty();
        for (record, bytes) in records.iter().filter(measured) {
            let units = match &record.cell.spec {
                CellSpec::Train(_) => units(&record.cell, None, images),
                CellSpec::Evaluate(_) => record.rows as f64,
            };
            for kind in kinds(&record.cell, |id| trained.get(id)) {
                let sum = self.sums.entry(kind).or_default();
                sum.cost.seconds += record.provenance.seconds;
                sum.cost.bytes += bytes;
                sum.units += units;
                sum.cells += 1.0;
            }
        }
    }

    /// What a cell of a plan may take; nothing when no cell of its kind was measured.
    pub fn cost(&self, cell: &Cell, plan: &Plan, images: Images) -> Option<Cost> {
        let trained = |id: &CellId| {
            plan.cells
                .iter()
                .find(|cell| cell.id == *id)
                .and_then(|cell| match &cell.spec {
                    CellSpec::Train(spec) => Some(spec),
                    CellSpec::Evaluate(_) => None,
                })
        };
        let norm = cell.parents.first().and_then(trained).map(|spec| spec.norm);
        let units = units(cell, norm, images);
        let kinds = kinds(cell, trained);
        let sum = kinds.iter().find_map(|kind| self.sums.get(kind))?;
        if sum.units == 0.0 {
            return None;
        }
        let bytes = match cell.spec {
            // A model is as large after one epoch as after a hundred.
            CellSpec::Train(_) => sum.cost.bytes / sum.cells,
            CellSpec::Evaluate(_) => sum.cost.bytes / sum.units * units,
        };
        Some(Cost {
            seconds: sum.cost.seconds / sum.units * units,
            bytes,
        })
    }
}

/// What is counted: images times epochs, or rows.
fn units(cell: &Cell, norm: Option<NormBanks>, images: Images) -> f64 {
    match &cell.spec {
        CellSpec::Train(spec) => {
            let train = cell.data.train.map_or(images.train, |n| n as usize);
            f64::from(spec.epochs) * train as f64
        }
        CellSpec::Evaluate(spec) => {
            let own = norm.map_or(1, |norm| norm.branches().len());
            let branches = spec.branches.as_ref().map_or(own, Vec::len);
            (spec.conditions.len() * images.test * branches) as f64
        }
    }
}

/// The kinds a cell belongs to, the narrowest first.
fn kinds<'a>(cell: &Cell, trained: impl Fn(&CellId) -> Option<&'a TrainSpec>) -> Vec<String> {
    let data = &cell.data.dataset;
    match &cell.spec {
        CellSpec::Train(spec) => {
            let views: Vec<&str> = spec.views.iter().map(|view| view.name()).collect();
            let narrow = format!(
                "train {} {} {:?} {} on {data}",
                spec.stage.name(),
                spec.arch,
                spec.norm,
                views.join("+")
            );
            vec![format!("{narrow}, {}", spec.attack), narrow]
        }
        CellSpec::Evaluate(spec) => {
            let Some(model) = cell.parents.first().and_then(trained) else {
                return Vec::new();
            };
            let of = format!("of {} on {data}", model.arch);
            match spec.conditions.first() {
                Some(Condition::Corruption { name, .. }) => {
                    vec![format!("{name} {of}"), format!("corrupted {of}")]
                }
                // One cell a sequence, whatever its first frame.
                Some(condition @ Condition::Frame { .. }) => {
                    let name = condition.made_by().unwrap_or_default();
                    vec![format!("{name} {of}"), format!("frames {of}")]
                }
                Some(condition) => vec![format!("{condition} {of}")],
                None => Vec::new(),
            }
        }
    }
}

/// Bytes of a folder's files.
fn size(folder: &Path) -> f64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len() as f64)
        .sum()
}

/// Multiply-accumulates a second of one CPU thread in these networks, where `rlnet bench` measured none: the 4.8e13 of
/// `cifar10-small` take an hour on two.
const CPU_RATE: f64 = 7e9;

/// Seconds that cells take on so many CPU threads: as measured cells of their kind, or else by their
/// arithmetic.
pub fn cpu_seconds(cells: &[Load], threads: usize) -> f64 {
    cells
        .iter()
        .map(|cell| cell.seconds.unwrap_or_else(|| cpu_time(cell.macs, threads)))
        .sum()
}

/// Seconds of so many multiply-accumulates on so many CPU threads.
pub fn cpu_time(macs: f64, threads: usize) -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    let rate = RATE.get_or_init(|| Saved::read().map_or(CPU_RATE, |saved| saved.macs_per_thread));
    macs / (rate * threads.max(1) as f64)
}

/// Some cells of a plan, each with the time it may take.
pub fn loads(cells: &[&Cell], plan: &Plan, out: &Path, images: Images) -> Vec<Load> {
    let measured = Measured::around(out, images);
    let asked = work::of(plan, |cell| {
        Ok(Images {
            train: cell.data.train.map_or(images.train, |n| n as usize),
            ..images
        })
    });
    let macs: BTreeMap<&CellId, f64> = plan
        .cells
        .iter()
        .map(|cell| &cell.id)
        .zip(asked.into_iter().flatten().map(|work| work.macs))
        .collect();
    let load = |cell: &&Cell| Load {
        id: cell.id.clone(),
        name: cell.name.clone(),
        is_trained: matches!(cell.spec, CellSpec::Train(_)),
        seconds: measured.cost(cell, plan, images).map(|cost| cost.seconds),
        macs: macs.get(&cell.id).copied().unwrap_or_default(),
    };
    cells.iter().map(load).collect()
}

/// A cell of a plan with its state, for a dry run.
pub struct Line<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// Whether it is done.
    pub done: bool,
    /// What it may take.
    pub cost: Option<Cost>,
    /// Names of the cells it needs.
    pub needs: Vec<&'a str>,
}

/// The plan's graph: every cell, what it needs, whether it is done and what it may take.
pub fn lines<'a>(plan: &'a Plan, out: &Path, images: Images) -> Vec<Line<'a>> {
    let measured = Measured::around(out, images);
    let name = |id: &CellId| {
        plan.cells
            .iter()
            .find(|cell| cell.id == *id)
            .map(|cell| cell.name.as_str())
    };
    plan.cells
        .iter()
        .map(|cell| Line {
            cell,
            done: RunDirectory::has(out, &cell.id),
            cost: measured.cost(cell, plan, images),
            needs: cell.parents.iter().filter_map(name).collect(),
        })
        .collect()
}
