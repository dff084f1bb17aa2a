//! Verdicts of other verifiers, beside a certificate's rows.

use crate::deployed::vnnlib::{Said, results};
use crate::error::{Error, Result};
use crate::files;
use rlnet_suites::external::ExternalEvaluation;
use rlnet_suites::outcome::Certainty;
use rlnet_suites::{Branch, CellRecord, CellSpec, Condition, Outcome};
use std::collections::BTreeMap;
use std::path::Path;

/// How the verdicts of a file stand beside a certificate's own.
#[derive(Debug)]
pub struct Beside {
    /// What a run keeps of them: the images that are proven there and open here.
    pub kept: ExternalEvaluation,
    /// Images that both prove, or both know to be broken.
    pub agree: usize,
    /// Images that the other verifier says are broken and that are open here: it shows no point, so they stay open.
    pub claimed: usize,
}

/// Reads verdicts of a branch's images, and holds them against the rows of a certificate.
///
/// # Errors
/// When the cell is of no certificate in the same ball, has not these images, or says the opposite of an image.
pub fn beside(
    file: &Path,
    (record, rows): (&CellRecord, &[Outcome]),
    branch: Branch,
    source: &str,
) -> Result<Beside> {
    let certificate = match &record.cell.spec {
        CellSpec::Evaluate(spec) => match spec.conditions.as_slice() {
            [Condition::Certify(certificate)] => Some(certificate),
            _ => None,
        },
        CellSpec::Train(_) => None,
    };
    let certificate = certificate.ok_or_else(|| {
        Error::Usage(format!(
            "{}: verdicts of other verifiers stand beside a cell of a certificate",
            record.cell.name
        ))
    })?;
    let own: BTreeMap<u32, &Outcome> = rows
        .iter()
        .filter(|row| row.branch == branch)
        .map(|row| (row.image, row))
        .collect();
    let said = results(file)?;
    let mut found = Beside {
        kept: ExternalEvaluation {
            cell: record.cell.id.clone(),
            source: source.to_owned(),
            checksum: files::checksum(file)?,
            images: said.len() as u32,
            broken: Vec::new(),
            proven: Vec::new(),
        },
        agree: 0,
        claimed: 0,
    };
    for (eps, image, said) in said {
        let refused = |why: &str| Error::reading(file, format!("image {image}: {why}"));
        if certificate.norm().name() != "linf" || certificate.eps() != Some(eps.value()) {
            return Err(refused(&format!(
                "its ball has the radius {eps}, the cell is of {}",
                certificate.short()
            )));
        }
        let row = own
            .get(&image)
            .ok_or_else(|| refused(&format!("the cell has no row of it through branch {branch}")))?;
        match (Certainty::of(row.prediction == row.label, row.margin), said) {
            (Certainty::Certified, Said::Broken) | (Certainty::Broken, Said::Proven) => {
                return Err(Error::Differs(format!(
                    "image {image}, branch {branch}: {source} says the opposite of {}, so one of the two is wrong",
                    record.cell.name
                )));
            }
            (Certainty::Certified, Said::Proven) | (Certainty::Broken, Said::Broken) => found.agree += 1,
            (Certainty::Open, Said::Proven) => found.kept.proven.push((image, branch)),
            (Certainty::Open, Said::Broken) => found.claimed += 1,
            (_, Said::Nothing) => {}
        }
    }
    Ok(found)
}
