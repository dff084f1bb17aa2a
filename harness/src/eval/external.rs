//! Adversarial images from elsewhere, shown to an evaluated model: RobustBench's "external evaluation".

use super::networks::Networks;
use super::verdict;
use crate::attack::ball::length;
use crate::data::Split;
use crate::data::images_to_tensor;
use crate::error::{Error, Result};
use crate::files;
use crate::pytorch::TorchFile;
use rlnet_suites::attack::is_inside;
use rlnet_suites::external::{ExternalEvaluation, ExternalRow, FOLDER};
use rlnet_suites::{AttackSpec, CellRecord, Condition, Outcome, io};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Values in single precision may leave the box by this much.
const ROUNDING: f64 = 1e-6;

/// The images of a file.
#[derive(Debug)]
pub struct ExternalImages {
    path: PathBuf,
    /// `[N, 3, H, W]`.
    images: Tensor,
    checksum: String,
}

/// A cell of an attack, its model, and its test set.
pub struct Request<'a> {
    /// What the cell is.
    pub record: &'a CellRecord,
    /// Its rows.
    pub rows: &'a [Outcome],
    /// The attacked model.
    pub networks: &'a Networks,
    /// Passes that a verdict is the mean of.
    pub passes: u32,
    /// The test images.
    pub test: &'a Split,
    /// Who made the images.
    pub source: &'a str,
}

impl ExternalImages {
    /// Reads an array `[N, 3, H, W]` from `.npy`, or from what `torch.save` writes of a tensor.
    ///
    /// # Errors
    /// When the file is of another format or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let refused = |why: String| Error::reading(path, why);
        let images = if path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("npy"))
        {
            Tensor::read_npy(path).map_err(|error| refused(format!("not an array of NumPy ({error})")))?
        } else {
            let file = TorchFile::open(path)?;
            let array = file.tensor().ok_or_else(|| {
                refused(
                    "it holds no single tensor; save the images alone, with torch.save(images, FILE)".into(),
                )
            })?;
            let shape: Vec<i64> = array.shape().iter().map(|side| *side as i64).collect();
            Tensor::from_slice(&file.values(&array)?).reshape(shape)
        };
        let shape = images.size();
        if shape.len() != 4 || shape[1] != 3 || !matches!(images.kind(), Kind::Float | Kind::Double) {
            return Err(refused(format!(
                "it holds {:?} {shape:?}; needed are floats [images, 3, height, width] in [0, 1]",
                images.kind()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            images: images.to_kind(Kind::Float),
            checksum: files::checksum(path)?,
        })
    }

    /// Shows the images to the model, through each branch of the cell.
    ///
    /// # Errors
    /// When they are not those of the cell, or leave the box or the attack's ball.
    pub fn evaluate(&self, request: &Request<'_>) -> Result<ExternalEvaluation> {
        let refused = |why: String| Error::reading(&self.path, why);
        let spec = attack(request.record)?;
        let mut by_branch: BTreeMap<_, BTreeMap<u32, &Outcome>> = BTreeMap::new();
        for row in request.rows {
            by_branch.entry(row.branch).or_default().insert(row.image, row);
        }
        let all = by_branch
            .values()
            .next()
            .map(|rows| rows.keys().copied().collect::<Vec<_>>());
        let indices = all.unwrap_or_default();
        let places: BTreeMap<u32, usize> = request
            .test
            .indices
            .iter()
            .enumerate()
            .map(|(place, index)| (*index, place))
            .collect();
        let places: Option<Vec<usize>> = indices.iter().map(|index| places.get(index).copied()).collect();
        let clean = places.map(|places| request.test.select(&places)).ok_or_else(|| {
            refused("the cell has images that this data set has not; name the cell's with --dataset".into())
        })?;
        let clean = clean.loaded()?;
        let (n, size) = (indices.len() as i64, clean.size as i64);
        if self.images.size() != [n, 3, size, size] {
            return Err(refused(format!(
                "it holds {:?}; the cell has {n} images of 3 x {size} x {size}, in the order of the test set",
                self.images.size()
            )));
        }
        self.inside(
            &spec,
            &images_to_tensor(&clean.images, clean.len(), clean.size, Device::Cpu),
        )?;
        let sizes = length(
            &(&self.images - images_to_tensor(&clean.images, clean.len(), clean.size, Device::Cpu)),
            spec.norm(),
        );
        let mut broken = Vec::new();
        for (branch, rows) in &by_branch {
            let said = verdict::predictions(
                request.networks,
                *branch,
                &self.images,
                &clean.labels,
                request.passes,
            )?;
            for (place, ((whole, rounded), index)) in said.into_iter().zip(&indices).enumerate() {
                let (prediction, rounded) = (whole.prediction, rounded.prediction);
                let Some(row) = rows.get(index) else { continue };
                if row.label != clean.labels[place] {
                    return Err(refused(format!(
                        "image {index} has label {} in the cell and {} in this data set; name the cell's with \
                         --dataset",
                        row.label, clean.labels[place]
                    )));
                }
                if row.prediction == row.label && prediction != row.label {
                    broken.push(ExternalRow {
                        image: *index,
                        branch: *branch,
                        prediction,
                        rounded,
                        norm: sizes.double_value(&[place as i64]) as f32,
                    });
                }
            }
        }
        Ok(ExternalEvaluation {
            cell: request.record.cell.id.clone(),
            source: request.source.to_owned(),
            checksum: self.checksum.clone(),
            images: n as u32,
            broken,
            proven: Vec::new(),
        })
    }

    /// Refuses images that leave the box or the attack's ball around the clean ones.
    fn inside(&self, spec: &AttackSpec, clean: &Tensor) -> Result<()> {
        let refused = |why: String| Error::reading(&self.path, why);
        let first = |flags: &Tensor| -> Option<i64> {
            let rows = flags.nonzero();
            (rows.size()[0] > 0).then(|| rows.int64_value(&[0, 0]))
        };
        let flat = self.images.flatten(1, -1);
        let out = flat.isfinite().all_dim(1, false).logical_not();
        if let Some(row) = first(&out) {
            return Err(refused(format!("image {row} has a value that is no number")));
        }
        let (low, high) = (
            flat.amin([1_i64].as_slice(), false),
            flat.amax([1_i64].as_slice(), false),
        );
        let out = low.lt(-ROUNDING).logical_or(&high.gt(1.0 + ROUNDING));
        if let Some(row) = first(&out) {
            return Err(refused(format!(
                "image {row} has values from {} to {}; images lie in [0, 1]",
                low.double_value(&[row]),
                high.double_value(&[row])
            )));
        }
        let eps = spec.radius().ok_or_else(|| {
            Error::Usage(format!(
                "the cell is of {}, which has no ball to hold images from elsewhere to; name a cell of an attack with eps",
                spec.short()
            ))
        })?;
        let away = length(&(&self.images - clean), spec.norm()).to_kind(Kind::Double);
        let away = Vec::<f64>::try_from(away)?;
        if let Some(row) = away.iter().position(|size| !is_inside(*size, eps)) {
            return Err(refused(format!(
                "image {row} is {} from the clean one in {}, the attack's ball has the radius {}",
                spec.norm().size(away[row]),
                spec.norm(),
                spec.norm().size(eps)
            )));
        }
        Ok(())
    }
}

/// The attack of a cell, around clean images.
fn attack(record: &CellRecord) -> Result<AttackSpec> {
    let spec = match &record.cell.spec {
        rlnet_suites::CellSpec::Evaluate(spec) => match spec.conditions.as_slice() {
            [Condition::Attack(attack)] if attack.base().is_none() => Some(attack.clone()),
            _ => None,
        },
        rlnet_suites::CellSpec::Train(_) => None,
    };
    spec.ok_or_else(|| {
        Error::Usage(format!(
            "{}: images from elsewhere stand beside a cell of one attack on clean images",
            record.cell.name
        ))
    })
}

/// Keeps an evaluation in a run: `external/CELL-CHECKSUM.json`.
pub trait Kept {
    /// Writes it, and says where.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn write(&self, run: &Path) -> Result<PathBuf>;
}

impl Kept for ExternalEvaluation {
    fn write(&self, run: &Path) -> Result<PathBuf> {
        let folder = run.join(FOLDER);
        files::create_folder(&folder)?;
        let path = folder.join(format!("{}-{}.json", self.cell, &self.checksum[..12]));
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| Error::reading(&path, error))?;
        io::write_atomic(&path, &bytes).map_err(|error| Error::writing(&path, &error))?;
        Ok(path)
    }
}
