//! The score of every image, as a CSV file for tests of one's own: one row for each model, branch policy and image. Files of
//! several runs together are the trainings of a network, of which [`crate::metrics::OverTrainings`] makes one number.

use crate::error::ReportError;
use crate::files;
use crate::metrics::trainings::{Scores, scores_of};
use crate::metrics::{Measure, PredictionMatrix};
use crate::runs::Runs;
use csv::WriterBuilder;
use std::path::{Path, PathBuf};

/// The file's columns. A score is 1 (right), 0 (wrong) or, for NPA, the share of conditions under which the image was right; it
/// is empty where the image has none.
pub const COLUMNS: [&str; 6] = ["model", "reading", "image", "ca", "npa", "adva"];

/// Writes the file of some runs.
///
/// # Errors
/// When a folder is not a run, a file is damaged, no image has a score, or the file cannot be written.
pub fn write(dirs: &[PathBuf], file: &Path) -> Result<(), ReportError> {
    let failed = |error: csv::Error| ReportError::make(format!("`{}`", file.display()), error);
    let runs = Runs::load(dirs)?;
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(failed)?;
    let mut rows = 0;
    for model in &runs.models {
        let matrix = PredictionMatrix::of(model)?;
        for policy in model.policies() {
            let of = |measure| scores_of(&runs, (model, &matrix), policy, measure).unwrap_or_default();
            let measures = [Measure::Ca, Measure::Npa, Measure::AdvA].map(of);
            for image in &matrix.images {
                let scores = measures.each_ref().map(|scores| text(scores, *image));
                if scores.iter().all(String::is_empty) {
                    continue;
                }
                let [ca, npa, adva] = &scores;
                let names = [&model.name, &policy.label(), &image.to_string()];
                writer
                    .write_record(names.into_iter().chain([ca, npa, adva]))
                    .map_err(failed)?;
                rows += 1;
            }
        }
    }
    if rows == 0 {
        return Err(ReportError::Unfit {
            what: file.display().to_string(),
            message: "no image has a score yet; finish a cell of clean, corrupted or attacked images first"
                .to_owned(),
        });
    }
    let bytes =
        (writer.into_inner()).map_err(|error| ReportError::make(format!("`{}`", file.display()), error))?;
    files::write_atomic(file, &bytes)
}

/// Seven digits are enough for a share of some hundred conditions.
fn text(scores: &Scores, image: u32) -> String {
    scores
        .get(&image)
        .map(|score| (*score as f32).to_string())
        .unwrap_or_default()
}
