//! `rlnet attack replay`: stored adversarial images, or images from elsewhere, shown to a model.

use crate::error::{Error, Result, reporting};
use crate::eval::external::{ExternalImages, Kept as _, Request};
use crate::eval::foreign_verdicts::beside;
use crate::eval::saved::{self, Images};
use crate::eval::{Networks, Saved, verdict};
use crate::request::{Global, cells};
use crate::run::compatibility::ModelFile;
use crate::terminal::{outln, print_json};
use clap::Args;
use rlnet_reports::read_records;
use rlnet_suites::{Branch, CellRecord, CellSpec, Outcome};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Show a model the adversarial images an evaluation stored, and compare what it says
///
/// CELL is a cell of an attack; they keep their images unless told not to (--discard-images, or
/// save_images = false in a suite). What the attacked model says is compared with what is
/// stored, image by image, and any difference is an error. It is looked for in the same run; a
/// cell of `rlnet eval` needs its file.
///
/// With --images the images come from elsewhere: an array [N, 3, H, W] of 32-bit floats in [0, 1]
/// (.npy, or .pt saved with torch.save), one image for each of the cell's, in the order of the test
/// set. They must lie in the box and in the attack's ball. What they break is kept in the run
/// (external/), and lowers the attack's accuracy in reports, which name the source.
///
/// With --verdicts CELL is one of a certificate, and the file has the results of another verifier on the properties that
/// `rlnet export --format vnnlib` wrote. What it proves counts as certified in reports, which name the source; a verdict
/// that says the opposite is an error.
///
/// Example: rlnet attack replay out/eval-model/cells/0123456789abcdef --model model.pt
#[derive(Debug, Args)]
pub struct Replay {
    /// The evaluation cell's folder
    cell: PathBuf,
    /// The attacked model's file, or another one's to see how the images transfer to it
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Adversarial images from elsewhere, .npy or .pt
    #[arg(long, value_name = "FILE", requires = "source", requires = "dataset")]
    images: Option<PathBuf>,
    /// Verdicts of another verifier: its results, comma-separated, a line an instance
    #[arg(long, value_name = "FILE", requires = "source", conflicts_with_all = ["images", "model", "dataset"])]
    verdicts: Option<PathBuf>,
    /// The branch that the other verifier was given; needed if the cell has several
    #[arg(long, value_name = "BRANCH", requires = "verdicts")]
    branch: Option<Branch>,
    /// Who made them and how, as reports name it: "MALT, by its authors"
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The data set of the cell
    #[arg(long, value_name = "NAME", requires = "images")]
    dataset: Option<String>,
}

/// A cell of an attack, and the model that it attacked or another one.
struct Opened {
    record: CellRecord,
    rows: Vec<Outcome>,
    networks: Networks,
    /// Whether the model is the attacked one.
    own: bool,
    /// Passes that a verdict is the mean of.
    passes: u32,
}

impl Replay {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        match (&self.images, &self.verdicts, &self.source, &self.dataset) {
            (Some(images), _, Some(source), Some(dataset)) => self.external(images, source, dataset, global),
            (None, Some(verdicts), Some(source), _) => self.verdicts(verdicts, source, global),
            (None, None, Some(_), _) => Err(Error::Usage(
                "--source names who made what --images or --verdicts has; name one of them".into(),
            )),
            _ => self.stored(global),
        }
    }

    /// What the cell holds.
    fn record(&self) -> Result<(CellRecord, Vec<Outcome>)> {
        let path = self.cell.join("cell.json");
        let text = std::fs::read_to_string(&path).map_err(|error| Error::reading(&path, error))?;
        let record: CellRecord = serde_json::from_str(&text)
            .map_err(|error| Error::reading(&path, format!("not a cell: {error}")))?;
        let rows = read_records(&self.cell.join("outcomes.parquet")).map_err(reporting)?;
        Ok((record, rows))
    }

    /// The run that the cell lies in.
    fn run_folder(&self) -> Result<&Path> {
        let folder = self.cell.parent().and_then(Path::parent);
        folder.ok_or_else(|| Error::Missing(format!("{}: it lies in no run", self.cell.display())))
    }

    /// Verdicts of another verifier, kept in the run.
    fn verdicts(&self, file: &Path, source: &str, global: &Global) -> Result<()> {
        let (record, rows) = self.record()?;
        let mut branches: Vec<Branch> = rows.iter().map(|row| row.branch).collect();
        branches.sort_unstable();
        branches.dedup();
        let branch = match (self.branch, branches.as_slice()) {
            (Some(branch), _) => branch,
            (None, &[branch]) => branch,
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|branch| branch.name()).collect();
                let why = format!(
                    "the cell has several branches; name the verifier's with --branch: {}",
                    names.join(", ")
                );
                return Err(Error::Usage(why));
            }
        };
        let found = beside(file, (&record, &rows), branch, source)?;
        let written = found.kept.write(self.run_folder()?)?;
        let (verdicts, proven) = (found.kept.images, found.kept.proven.len());
        if global.json {
            print_json(&json!({
                "condition": record.cell.name,
                "source": source,
                "branch": branch,
                "verdicts": verdicts,
                "agree": found.agree,
                "proven": proven,
                "claimed": found.claimed,
                "kept": written,
            }));
        } else {
            outln!(
                "{}: {verdicts} verdicts of {source}; {} agree, {proven} prove what was open, {} say that it is broken and \
                 show no point\nkept in {}",
                record.cell.name,
                found.agree,
                found.claimed,
                written.display()
            );
        }
        Ok(())
    }

    fn open(&self, global: &Global) -> Result<Opened> {
        let (record, rows) = self.record()?;
        let attacked = (record.cell.parents.first()).ok_or_else(|| {
            Error::reading(
                &self.cell.join("cell.json"),
                "it names no model that was attacked",
            )
        })?;
        let own = self.cell.with_file_name(&attacked.0).join("model.safetensors");
        if self.model.is_none() && !own.exists() {
            return Err(Error::Missing(format!(
                "{}: the attacked model is not in this run; name its file with --model",
                self.cell.display()
            )));
        }
        let other = self.model.as_deref().map(cells::model_file).transpose()?;
        // The parent of a cell of `rlnet eval` is the model file's checksum.
        let compared = match &other {
            None => true,
            Some(file) => ModelFile::read(file.clone(), None)?.id == *attacked,
        };
        let model = other.unwrap_or(own);
        let networks = Networks::load(&model.into(), &[], &BTreeMap::new(), global.open_device()?)?;
        let passes = match &record.cell.spec {
            CellSpec::Evaluate(spec) => spec.conditions.iter().map(verdict::passes).max().unwrap_or(1),
            CellSpec::Train(_) => 1,
        };
        Ok(Opened {
            record,
            rows,
            networks,
            own: compared,
            passes,
        })
    }

    /// Images from elsewhere: what they break, kept in the run.
    fn external(&self, file: &Path, source: &str, dataset: &str, global: &Global) -> Result<()> {
        let opened = self.open(global)?;
        if !opened.own {
            return Err(Error::Usage(
                "images from elsewhere are shown to the attacked model; --model names another one".into(),
            ));
        }
        let images = ExternalImages::read(file)?;
        let data = crate::data::load(dataset, &global.data_dir())?;
        let request = Request {
            record: &opened.record,
            rows: &opened.rows,
            networks: &opened.networks,
            passes: opened.passes,
            test: &data.test,
            source,
        };
        let found = images.evaluate(&request)?;
        let written = found.write(self.run_folder()?)?;
        if global.json {
            print_json(&json!({
                "condition": opened.record.cell.name,
                "source": source,
                "images": found.images,
                "broken": found.broken.len(),
                "kept": written,
            }));
        } else {
            outln!(
                "{}: {} images of {source}; {} break what the attack did not\nkept in {}",
                opened.record.cell.name,
                found.images,
                found.broken.len(),
                written.display()
            );
        }
        Ok(())
    }

    /// What a model says of stored images, beside what was said of them when they were made.
    fn stored(&self, global: &Global) -> Result<()> {
        let cell = &self.cell;
        let images = cell.join(saved::FILE);
        if !images.exists() {
            return Err(Error::Missing(format!(
                "{}: it is not there: the cell is of no attack, kept no images (--discard-images, or save_images = \
                 false in the suite), or left them in an object store; to make them, remove the cell's folder and run the \
                 same without",
                images.display()
            )));
        }
        let saved = Saved::read(&images)?;
        let Opened {
            record,
            rows,
            networks,
            own: compared,
            passes,
        } = self.open(global)?;
        let mut branches = Vec::new();
        let mut differ = 0;
        for Images {
            branch: attacked,
            images,
            ..
        } in saved.images()
        {
            // A single-norm network answers for every branch.
            let branch = if networks.branches().contains(&attacked) {
                attacked
            } else {
                networks.branches()[0]
            };
            let (mut right, mut right_rounded) = (0, 0);
            let said = verdict::predictions(&networks, branch, &images, saved.labels(), passes)?;
            let classes = said
                .into_iter()
                .map(|(whole, rounded)| (whole.prediction, rounded.prediction));
            for (row, verdict) in classes.enumerate() {
                let label = saved.labels()[row];
                right += u32::from(verdict.0 == label);
                right_rounded += u32::from(verdict.1 == label);
                let image = saved.indices()[row];
                let stored = rows
                    .iter()
                    .find(|row| row.image == image && row.branch == attacked);
                differ += usize::from(stored.is_none_or(|row| (row.prediction, row.rounded) != verdict));
            }
            branches.push((attacked, right, right_rounded));
        }
        let n = saved.labels().len();
        let share = |right: u32| 100.0 * f64::from(right) / n.max(1) as f64;
        if global.json {
            print_json(&json!({
                "condition": record.cell.name,
                "images": n,
                "branches": branches.iter().map(|(branch, right, rounded)| json!({
                    "branch": branch.name(),
                    "accuracy": share(*right),
                    "accuracy_8bit": share(*rounded),
                })).collect::<Vec<_>>(),
                "differ": compared.then_some(differ),
            }));
        } else {
            outln!("{}: {n} images", record.cell.name);
            for (branch, right, rounded) in &branches {
                outln!(
                    "  made against {branch}: {:.2} % right, {:.2} % after rounding to 8 bits",
                    share(*right),
                    share(*rounded)
                );
            }
        }
        if compared && differ > 0 {
            return Err(Error::Differs(format!(
                "{differ} of {} predictions differ from those stored in {}: another machine, libtorch or model file",
                n * branches.len(),
                cell.display()
            )));
        }
        Ok(())
    }
}
