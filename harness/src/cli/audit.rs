//! `rlnet audit`: is a bundle what it says?

use crate::error::{Error, Result, reporting};
use crate::eval::model_source::{Adaptation, ModelSource};
use crate::files::{scratch, write_json};
use crate::request::{Global, cells, channels, heading, output_file};
use crate::run::audit::{Given, audit};
use crate::run::compatibility::ModelFile;
use crate::run::provenance::program;
use crate::terminal::{outln, print_json};
use clap::Args;
use rlnet_reports::bundle::{Audit as Record, Verdict, audit_file, inspect, unpack};
use std::path::{Path, PathBuf};

/// Check a bundle: its files, its rows, its tables, and what the models say of the examples in it
///
/// Example: rlnet audit cifar10-small.zip --model model.safetensors
///
/// Example: rlnet audit theirs.zip --model python.pt --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26 --record
///
/// Exit codes: 0 nothing was found, 1 there is a finding, 2 the file is no bundle. A check that cannot run (a model
/// whose file is not named, data that are not at hand) is reported as `not checked`, which is no finding. Python and TorchScript models are
/// code that runs: use only files from people you trust.
#[derive(Debug, Args)]
pub struct Audit {
    /// The bundle that rlnet bundle wrote
    bundle: PathBuf,
    /// A model of the bundle, found by its checksum: a file, a cell's folder, RUN:NAME or socket:PATH. NAME=FILE takes
    /// the file for this model whatever its checksum. Repeat the option for more models
    #[arg(long = "model", value_name = "FILE", help_heading = heading::MODEL)]
    models: Vec<String>,
    /// Mean of each channel, of models that expect normalised images: as it was for rlnet eval
    #[arg(long, value_name = "R,G,B", value_parser = channels, requires = "std", help_heading = heading::MODEL)]
    mean: Option<[f64; 3]>,
    /// Standard deviation of each channel
    #[arg(long, value_name = "R,G,B", value_parser = channels, requires = "mean", help_heading = heading::MODEL)]
    std: Option<[f64; 3]>,
    /// Use only the first N logits, as it was for rlnet eval
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), help_heading = heading::MODEL)]
    logits: Option<u32>,
    /// Also keep the result beside the bundle (NAME.audit.json), where rlnet board looks for it
    #[arg(long, help_heading = heading::OUTPUT)]
    record: bool,
}

impl Audit {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let place = audit_file(&self.bundle);
        if self.record {
            output_file::check("--record", &place, &[&self.bundle])?;
        }
        let given = self
            .models
            .iter()
            .map(|text| self.model(text))
            .collect::<Result<Vec<Given>>>()?;
        let folder = scratch()?;
        let bundle = unpack(&self.bundle, folder.path()).map_err(reporting)?;
        let inspection = inspect(&bundle).map_err(reporting)?;
        let mut checks = inspection.checks;
        if let Some(analysis) = &inspection.analysis {
            let device = global.open_device()?;
            checks.extend(audit(
                &bundle,
                &analysis.runs.runs[0],
                &given,
                &global.data_dir(),
                device,
            )?);
        }
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        let (findings, skipped) = (count(Verdict::Finding), count(Verdict::NotChecked));
        let record = Record {
            bundle: bundle.checksum,
            program: program().trim().to_owned(),
            clean: findings == 0,
            checks,
        };
        if self.record {
            write_json(&place, &record)?;
        }
        if global.json {
            print_json(&record);
        } else {
            outln!("{}\nblake3 {}\n", self.bundle.display(), record.bundle);
            for check in &record.checks {
                outln!("{:<10} {:<12} {}", check.what, check.verdict.name(), check.detail);
            }
            outln!(
                "\n{findings} findings; {skipped} of {} checks could not be made",
                record.checks.len()
            );
        }
        match findings {
            0 => Ok(()),
            _ => Err(Error::Differs(format!(
                "{}: {findings} of {} checks have findings; the bundle does not support its numbers",
                self.bundle.display(),
                record.checks.len()
            ))),
        }
    }

    /// A model by its text, `FILE` or `NAME=FILE`.
    fn model(&self, text: &str) -> Result<Given> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) if !Path::new(text).exists() => (Some(name.to_owned()), file),
            _ => (None, text),
        };
        let path = match file.strip_prefix("socket:") {
            Some(socket) => PathBuf::from(socket),
            None => cells::model_file(Path::new(file))?,
        };
        let source = ModelSource {
            adaptation: Adaptation {
                normalisation: self.mean.zip(self.std),
                logits: self.logits,
            },
            ..ModelSource::from(path)
        };
        Ok((name, ModelFile::read(source, None)?))
    }
}
