//! The evidence of a run in one file: its rows with the examples of a few drawn images.

use super::Prepared;
use super::execute::wanted;
use crate::error::{Error, Result, reporting};
use crate::eval::{Saved, examples, saved};
use crate::files::{create_folder, scratch};
use rlnet_reports::bundle::{self, ORIGINALS, Sample, Statement};
use rlnet_suites::{Cell, CellSpec, Plan};
use std::fs;
use std::path::Path;

/// What goes into a bundle.
#[derive(Debug)]
pub struct Request<'a> {
    /// The run directory.
    pub run: &'a Path,
    /// Only evaluations of these names, and what they need.
    pub only: Option<&'a str>,
    /// Images that are drawn.
    pub images: usize,
    /// The division that it enters.
    pub division: &'a str,
    /// What its makers say.
    pub statement: Statement,
}

/// What was packed.
#[derive(Debug)]
pub struct Packed {
    /// Evaluations.
    pub cells: usize,
    /// The drawn images.
    pub sample: Sample,
}

impl Request<'_> {
    /// Writes the bundle.
    ///
    /// # Errors
    /// When the run has no finished evaluation, its adversarial images were not kept, the data set is not at hand, or
    /// the file cannot be written.
    pub fn pack(self, data_dir: &Path, out: &Path) -> Result<Packed> {
        let plan = self.plan()?;
        let staging = scratch()?;
        let folder = staging.path();
        let run = bundle::stage(self.run, &plan, folder).map_err(reporting)?;
        let cells = run
            .records
            .iter()
            .filter(|record| is_evaluation(&record.cell))
            .count();
        let data = run.plan.images().filter(|_| cells > 0).ok_or_else(|| {
            Error::Missing(format!(
                "{}: no evaluation is finished, so there is nothing to bundle; finish one first (rlnet run)",
                self.run.display()
            ))
        })?;
        let loaded = Prepared::load_test(&data.dataset, data_dir, data.test, data.images.as_ref())?;
        if loaded.checksum != data.checksum {
            return Err(Error::Usage(format!(
                "{}: it was measured on other images of {} than are found now (--data-dir); a bundle shows some of them",
                self.run.display(),
                data.dataset
            )));
        }
        let images = bundle::draw(&run, self.images).map_err(reporting)?;
        let place = |image: &u32| loaded.test.indices.iter().position(|known| known == image);
        let places = images
            .iter()
            .map(place)
            .collect::<Option<Vec<usize>>>()
            .ok_or_else(|| {
                Error::Missing(format!(
                    "{}: its rows name images that {} does not have",
                    self.run.display(),
                    data.dataset
                ))
            })?;
        create_folder(&folder.join("sample"))?;
        examples::write_strip(
            &folder.join(ORIGINALS),
            &loaded.test.select(&places).loaded()?.images,
            loaded.size,
        )?;
        for record in bundle::attacked(&run) {
            let kept = self.run.join("cells").join(&record.cell.id.0).join(saved::FILE);
            if !kept.is_file() {
                return Err(Error::Missing(format!(
                    "{}: {} kept no adversarial images, and a bundle shows some of every attack; run it again without \
                     --discard-images (save_images = false in the suite), or leave it out with --only",
                    kept.display(),
                    record.cell.name
                )));
            }
            let chosen = Saved::read(&kept)?.select(&images).ok_or_else(|| {
                Error::reading(
                    &kept,
                    format!("it lacks images that {} has rows of", record.cell.name),
                )
            })?;
            chosen.write(&folder.join(bundle::examples(&record.cell.id)))?;
        }
        let sample = Sample {
            images,
            size: loaded.size as u32,
        };
        let program = super::provenance::program();
        bundle::seal(
            folder,
            program.trim(),
            self.division,
            self.statement,
            sample.clone(),
        )
        .map_err(reporting)?;
        bundle::archive(folder, out).map_err(reporting)?;
        Ok(Packed { cells, sample })
    }

    /// The plan, as far as it goes into the bundle.
    fn plan(&self) -> Result<Plan> {
        let file = self.run.join("plan.json");
        let bytes = fs::read(&file).map_err(|error| {
            Error::reading(
                &file,
                format!("{error}; name the folder that rlnet run or rlnet eval wrote"),
            )
        })?;
        let mut plan: Plan = serde_json::from_slice(&bytes).map_err(|error| Error::reading(&file, error))?;
        if self.only.is_some() {
            let kept: Vec<Cell> = wanted(&plan, self.only)?.into_iter().cloned().collect();
            let evaluated =
                |name: &String| kept.iter().any(|cell| cell.model == *name && is_evaluation(cell));
            plan.baseline = plan.baseline.filter(evaluated);
            plan.cells = kept;
        }
        Ok(plan)
    }
}

fn is_evaluation(cell: &Cell) -> bool {
    matches!(cell.spec, CellSpec::Evaluate(_))
}
