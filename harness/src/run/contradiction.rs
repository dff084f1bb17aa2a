//! The standing check of the whole harness: no image that is certified may be broken by an attack of the run.

use super::directory::RunDirectory;
use crate::error::{Error, Result};
use crate::eval::saved;
use rlnet_reports::Runs;
use rlnet_reports::metrics::PredictionMatrix;
use rlnet_reports::metrics::bracket::contradictions;
use rlnet_suites::{CellSpec, Condition, Plan};

/// The most contradictions that a message names.
const SHOWN: usize = 3;

/// Compares the rows of every certificate with those of every attack in its ball. A plan without certificates is not
/// looked at.
///
/// # Errors
/// With the images of which both is said, and where the images lie that the attack found.
pub fn check(directory: &RunDirectory, plan: &Plan) -> Result<()> {
    let certifies = |spec: &CellSpec| match spec {
        CellSpec::Evaluate(spec) => matches!(spec.conditions[0], Condition::Certify(_)),
        CellSpec::Train(_) => false,
    };
    if !plan.cells.iter().any(|cell| certifies(&cell.spec)) {
        return Ok(());
    }
    let runs = Runs::load(&[directory.root().to_owned()])?;
    let mut found = Vec::new();
    for model in &runs.models {
        let matrix = PredictionMatrix::of(model)?;
        for one in contradictions(&matrix, &model.branches) {
            let cell = model.cell_of(&Condition::Attack(one.attack.clone()));
            let file = cell
                .map(|id| directory.cell(id).join(saved::FILE))
                .filter(|file| file.is_file());
            let kept = match file {
                Some(file) => format!("the image lies in {}", file.display()),
                None => "the image was not kept (evaluation.save_images, --discard-images)".to_owned(),
            };
            found.push(format!(
                "{}, image {}, branch {}: {} is proven, and {} broke it at {}; {kept}",
                model.name,
                one.image,
                one.branch,
                one.certificate.short(),
                one.attack.short(),
                one.certificate.norm().size(f64::from(one.norm)),
            ));
        }
    }
    match found.len() {
        0 => Ok(()),
        count => Err(Error::Differs(format!(
            "{count} certified images were broken by attacks inside the certified ball, so a proof or a verdict of this \
             program is wrong; please report it with these images. {}",
            found[..count.min(SHOWN)].join(". ")
        ))),
    }
}
