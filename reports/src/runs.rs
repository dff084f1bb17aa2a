//! Several runs read as one: the models of all of them, measured on the same images.

use crate::error::ReportError;
use crate::model::Model;
use crate::run::Run;
use crate::run_files::UNSTABLE;
use crate::sources;
use polars::prelude::*;
use rlnet_suites::cell::DataSpec;
use rlnet_suites::{
    AttackSpec, Branch, Cell, CellId, CellRecord, CellSpec, Condition, Provenance, ReluCount,
};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// All runs of a report.
#[derive(Debug, Clone)]
pub struct Runs {
    /// The runs, in the order given.
    pub runs: Vec<Run>,
    /// The evaluated models, in the order of the runs and plans.
    pub models: Vec<Model>,
    /// Name of the model that others are compared with.
    pub baseline: Option<String>,
    /// The attack whose accuracy is called AdvA.
    pub headline: Option<AttackSpec>,
    /// What must be known before any number is read.
    pub warnings: Vec<String>,
}

impl Runs {
    /// Reads and joins runs.
    ///
    /// # Errors
    /// When a folder is not a run, a file is damaged, or the runs measured different images.
    pub fn load(dirs: &[PathBuf]) -> Result<Self, ReportError> {
        // Runs are a set, however their folders are typed.
        let mut seen = BTreeSet::new();
        let new = |dir: &&PathBuf| seen.insert(dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf()));
        let dirs = dirs.iter().filter(new);
        let runs: Vec<Run> = dirs.map(|dir| Run::load(dir)).collect::<Result<_, _>>()?;
        if runs.is_empty() {
            return Err(ReportError::Unfit {
                what: "no run".into(),
                message: "name at least one run folder".into(),
            });
        }
        same_images(&runs)?;
        let mut models: Vec<Model> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let mut names: Vec<&str> = Vec::new();
            for cell in &run.plan.cells {
                let evaluated = matches!(cell.spec, CellSpec::Evaluate(_));
                if evaluated && !names.contains(&cell.model.as_str()) {
                    names.push(&cell.model);
                }
            }
            for name in names {
                add_model(&mut models, run, index, name)?;
            }
        }
        let mut baseline = runs
            .iter()
            .find_map(|run| run.plan.baseline.clone())
            .filter(|name| models.iter().any(|model| model.name == *name));
        let warnings = sources::tell_apart(&runs, &mut models, &mut baseline);
        let headline = runs.iter().find_map(|run| run.plan.headline.clone());
        Ok(Self {
            runs,
            models,
            baseline,
            headline,
            warnings: warnings.into_iter().collect(),
        })
    }

    /// A model by name.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// Whether a model's file has this checksum (or the id that is its beginning).
    pub fn is_file_of(&self, model: &Model, checksum: &str) -> bool {
        let run = &self.runs[model.run];
        let trained = run.records.iter().filter(|record| {
            model
                .trained
                .as_ref()
                .is_some_and(|cell| record.cell.id == cell.id)
        });
        let trained = trained.filter_map(|record| record.provenance.files.get("model.safetensors"));
        let external = run.records.iter().filter(|record| {
            model.trained.is_none() && model.planned.iter().any(|(_, id)| *id == record.cell.id)
        });
        let external = external
            .filter_map(|record| record.cell.parents.first())
            .map(|id| &id.0);
        trained
            .chain(external)
            .any(|known| checksum.starts_with(known.as_str()))
    }

    /// Every finished cell with its run, shared cells once.
    pub fn records(&self) -> Vec<(&Run, &CellRecord)> {
        let mut seen: Vec<&CellId> = Vec::new();
        let mut records = Vec::new();
        for run in &self.runs {
            for record in &run.records {
                if !seen.contains(&&record.cell.id) {
                    seen.push(&record.cell.id);
                    records.push((run, record));
                }
            }
        }
        records
    }

    /// Every cell that is not finished, with its run.
    pub fn missing(&self) -> Vec<(&Run, &Cell)> {
        self.runs
            .iter()
            .flat_map(|run| run.missing.iter().map(move |cell| (run, cell)))
            .collect()
    }

    /// Every planned condition, in the plans' order: clean, corruptions, attacks.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut seen = BTreeSet::new();
        let all = self.models.iter().flat_map(|model| &model.planned);
        let new = all.filter(|(condition, _)| seen.insert(condition));
        new.map(|(condition, _)| condition.clone()).collect()
    }

    /// Every planned attack, in the plans' order.
    pub fn attacks(&self) -> Vec<AttackSpec> {
        self.conditions()
            .into_iter()
            .filter_map(|condition| match condition {
                Condition::Attack(spec) => Some(spec),
                _ => None,
            })
            .collect()
    }
}

fn add_model(models: &mut Vec<Model>, run: &Run, index: usize, name: &str) -> Result<(), ReportError> {
    let trained = run
        .plan
        .cells
        .iter()
        .find(|cell| cell.name == name && matches!(cell.spec, CellSpec::Train(_)));
    let mut planned = Vec::new();
    for cell in run.plan.cells.iter().filter(|cell| cell.model == name) {
        if let CellSpec::Evaluate(spec) = &cell.spec {
            planned.extend(
                spec.conditions
                    .iter()
                    .map(|condition| (condition.clone(), cell.id.clone())),
            );
        }
    }
    // The same network measured by two runs in the same way, in whatever order, is one model.
    let measured_so = |model: &Model| {
        let (theirs, own): (BTreeSet<_>, BTreeSet<_>) =
            (model.planned.iter().collect(), planned.iter().collect());
        theirs == own
    };
    if models
        .iter()
        .any(|other| other.run != index && measured_so(other))
    {
        return Ok(());
    }
    let polars = |error: PolarsError| ReportError::make(format!("the rows of `{name}`"), error);
    let rows = run
        .outcomes
        .clone()
        .lazy()
        .filter(col("model").eq(lit(name)))
        .collect()
        .map_err(polars)?;
    let finished = |id: &CellId| run.records.iter().any(|record| record.cell.id == *id);
    let measured: Vec<Condition> = planned
        .iter()
        .filter(|(_, id)| finished(id))
        .map(|(condition, _)| condition.clone())
        .collect();
    let own: Vec<&CellRecord> = run
        .records
        .iter()
        .filter(|record| record.cell.model == name)
        .collect();
    let record = own.iter().find_map(|record| record.model.clone());
    let findings =
        |of: fn(&Provenance) -> &[String]| each_once(own.iter().flat_map(|record| of(&record.provenance)));
    let told = own
        .iter()
        .map(|record| record.provenance.classes)
        .max()
        .unwrap_or(0);
    let classes = match (told, &record) {
        (0, Some(record)) => record.classes.len() as u32,
        (0, None) => classes_seen(&rows).map_err(polars)?,
        _ => told,
    };
    // Rows say which branches were gone through; before there are any, the network does. Banks
    // keep their order.
    let banks = run.banks(name);
    let mut branches = branches_of(&rows).map_err(polars)?;
    let is_mixed = |branch: &Branch| Branch::MIXED.contains(branch);
    let mixed: Vec<Branch> = branches.iter().copied().filter(is_mixed).collect();
    if let Some(banks) = banks {
        let seen = |branch: &&Branch| branches.is_empty() || branches.contains(branch);
        branches = banks.branches().iter().filter(seen).copied().collect();
    }
    let class_names = match &record {
        Some(record) => record.classes.clone(),
        None => {
            let named = own.iter().map(|record| &record.provenance.class_names);
            named.max_by_key(|names| names.len()).cloned().unwrap_or_default()
        }
    };
    let (mut probe, mut similarity, mut unstable) = (Vec::new(), Vec::new(), Vec::new());
    for record in &own {
        let CellSpec::Evaluate(spec) = &record.cell.spec else {
            continue;
        };
        if spec.probe {
            probe.extend(run.kept(&record.cell, "probe.parquet")?);
        }
        if spec.similarity {
            similarity.extend(run.kept(&record.cell, "similarity.parquet")?);
        }
        if let Some(Condition::Certify(certificate)) = spec.conditions.first() {
            unstable.push((certificate.clone(), run.kept(&record.cell, UNSTABLE)?));
        }
    }
    let taken = models.iter().any(|other| other.name == name);
    models.push(Model {
        name: if taken {
            format!("{name} ({})", run_label(run))
        } else {
            name.to_owned()
        },
        run: index,
        trained: trained.cloned(),
        relus: match &record {
            Some(record) => Some(ReluCount {
                kept: record.kept(),
                total: Some(record.total()),
            }),
            None => run.plan.relus.get(name).copied(),
        },
        record,
        branches,
        mixed,
        allowed: findings(|from| &from.allowed),
        warnings: findings(|from| &from.warnings),
        classes,
        class_names,
        probe,
        similarity,
        unstable,
        planned,
        measured,
        banks,
        rows,
    });
    Ok(())
}

/// The branches that occur in rows.
fn branches_of(rows: &DataFrame) -> PolarsResult<Vec<Branch>> {
    let seen: BTreeSet<&str> = rows.column("branch")?.str()?.iter().flatten().collect();
    Ok(seen.into_iter().filter_map(|name| name.parse().ok()).collect())
}

/// Texts in their order, each at its first place.
pub(crate) fn each_once<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let new = texts.into_iter().filter(|text| seen.insert(*text));
    new.cloned().collect()
}

/// The classes up to the last that rows have as a label or an answer; two at least.
fn classes_seen(rows: &DataFrame) -> PolarsResult<u32> {
    let last = |name: &str| -> PolarsResult<u32> {
        Ok(rows
            .column(name)?
            .cast(&DataType::UInt32)?
            .u32()?
            .max()
            .unwrap_or(0))
    };
    Ok(last("label")?.max(last("prediction")?).max(1) + 1)
}

fn run_label(run: &Run) -> String {
    let folder = run
        .dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    folder.unwrap_or_else(|| run.plan.suite.clone())
}

/// Models are only comparable, and paired tests only possible, on the same test images: of one
/// checksum, whatever their folder is called, and as many of them.
fn same_images(runs: &[Run]) -> Result<(), ReportError> {
    let mut first: Option<(&Run, &DataSpec)> = None;
    for run in runs {
        let measures = |cell: &&Cell| matches!(cell.spec, CellSpec::Evaluate(_));
        for data in run.plan.cells.iter().filter(measures).map(|cell| &cell.data) {
            let Some((other, known)) = first else {
                first = Some((run, data));
                continue;
            };
            // A limit that leaves no image out is none: the rows say which images were used.
            let images = clean_images(run)?;
            let as_many = data.test == known.test || !images.is_empty() && images == clean_images(other)?;
            if data.checksum != known.checksum || !as_many {
                return Err(unlike((other, known), (run, data)));
            }
        }
    }
    Ok(())
}

/// The images of a run's clean rows.
fn clean_images(run: &Run) -> Result<BTreeSet<u32>, ReportError> {
    let clean = || {
        let rows = run.outcomes.clone().lazy();
        // One column alone: filtering all of them is most of a large report's time.
        let rows = rows
            .filter(col("condition").eq(lit("clean")))
            .select([col("image")])
            .collect()?;
        let images = rows.column("image")?.u32()?.iter().flatten().collect();
        PolarsResult::Ok(images)
    };
    clean().map_err(|error| ReportError::make("the images of the clean rows", error))
}

fn unlike((in_a, a): (&Run, &DataSpec), (in_b, b): (&Run, &DataSpec)) -> ReportError {
    let said = |data: &DataSpec| {
        let checksum = match a.dataset == b.dataset && a.checksum != b.checksum {
            true => format!(" with checksum {}", data.checksum),
            false => String::new(),
        };
        match data.test {
            Some(n) => format!("the first {n} test images of {}{checksum}", data.dataset),
            None => format!("all test images of {}{checksum}", data.dataset),
        }
    };
    ReportError::Unfit {
        what: format!("{} together with {}", in_a.dir.display(), in_b.dir.display()),
        message: format!(
            "they were measured on different images ({}; {}), so their numbers cannot stand in one table; make one report for each",
            said(a),
            said(b)
        ),
    }
}
