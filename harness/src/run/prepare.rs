//! A suite's images, loaded, cut to size and split, and what they mean for cells' identities.

use crate::data::{Dataset, Split, holdout, load};
use crate::error::{Error, Result};
use rlnet_corruptions::{Generator, Options};
use rlnet_suites::plan::World;
use std::path::Path;
use std::sync::Arc;

/// The images of a suite.
pub struct Prepared {
    /// Name of the data set.
    pub name: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Side of the images.
    pub size: usize,
    /// Per-channel mean.
    pub mean: [f64; 3],
    /// Per-channel deviation.
    pub std: [f64; 3],
    /// Checksum of the bytes.
    pub checksum: String,
    /// Training images.
    pub train: Arc<Split>,
    /// Held-out images.
    pub validation: Split,
    /// Test images.
    pub test: Split,
}

/// How many images a suite takes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Training images, held-out ones included; all when none.
    pub train: Option<u32>,
    /// Test images; all when none.
    pub test: Option<u32>,
    /// Share held out.
    pub validation: f64,
}

impl Prepared {
    /// Loads a data set and splits it.
    ///
    /// # Errors
    /// When the data is missing, damaged, or smaller than asked for.
    pub fn load(dataset: &str, data_dir: &Path, sizes: Sizes) -> Result<Self> {
        let all: Dataset = load(dataset, data_dir).map_err(|error| Error::Input(error.to_string()))?;
        let cut = |split: &Split, wanted: Option<u32>, what: &str| match wanted {
            Some(n) if n as usize > split.len() => Err(Error::Input(format!(
                "{dataset} has {} {what} images, {n} were asked for",
                split.len()
            ))),
            Some(n) => Ok(split.take(n as usize)),
            None => Ok(split.take(split.len())),
        };
        let train = cut(&all.train, sizes.train, "training")?;
        let test = cut(&all.test, sizes.test, "test")?;
        let (train, validation) = holdout(&train, sizes.validation, 0);
        if train.is_empty() || validation.is_empty() {
            return Err(Error::Input(format!(
                "{dataset}: {} training and {} held-out images are too few to train with; \
                 raise data.train",
                train.len(),
                validation.len()
            )));
        }
        Ok(Self {
            name: all.name,
            classes: all.classes,
            size: all.size,
            mean: all.mean,
            std: all.std,
            checksum: all.checksum,
            train: Arc::new(train),
            validation,
            test,
        })
    }
}

/// The corruption generator of generated (on the fly) suites.
pub fn generator() -> Generator {
    Generator::new(Options::default())
}

/// What plans need to know.
pub fn world(checksum: &str) -> World {
    let description = generator().describe();
    World {
        data_checksum: checksum.to_owned(),
        corruptions_version: rlnet_corruptions::VERSION,
        corruptions_setup: format!("{}/{}", description.stack, description.textures),
    }
}
