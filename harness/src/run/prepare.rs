//! A suite's images, loaded, cut to size and split, and what they mean for cells' identities.

use crate::data::{Dataset, LoadOptions, Split, Tree, holdout, load_with};
use crate::error::{Error, Result};
use rlnet_suites::dataset::NAMED;
use rlnet_suites::{ImageRanges, Suite};
use std::collections::BTreeMap;
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
    /// How many of the data set's test images these are, from the first; none where they are all.
    pub limit: Option<u32>,
    /// Folders and file names, where the images are files.
    pub tree: Option<Tree>,
    /// The images of stages that are trained on another data set, by its name.
    pub others: BTreeMap<String, Prepared>,
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
        let options = LoadOptions {
            train: sizes.train.map(|n| n as usize),
            test: sizes.test.map(|n| n as usize),
            ..LoadOptions::default()
        };
        let all = load_with(dataset, data_dir, options)?;
        let train = cut(dataset, &all.train, sizes.train, "training")?;
        let (train, validation) = holdout(&train, sizes.validation, 0);
        if train.is_empty() || validation.is_empty() {
            return Err(Error::Usage(format!(
                "{dataset}: {} training and {} held-out images are too few to train with; \
                 raise data.train",
                train.len(),
                validation.len()
            )));
        }
        Self::of(all, dataset, sizes.test, train, validation)
    }

    /// Loads the test images of a data set only; the checksum is that of the whole.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_test(
        dataset: &str,
        data_dir: &Path,
        test: Option<u32>,
        images: Option<&ImageRanges>,
    ) -> Result<Self> {
        let options = LoadOptions {
            test_only: true,
            test: test
                .or(images.map(|images| images.last() + 1))
                .map(|n| n as usize),
            ..LoadOptions::default()
        };
        let mut all = load_with(dataset, data_dir, options)?;
        if let Some(images) = images {
            all.test = chosen(dataset, &all.test, images)?;
        }
        Self::of(all, dataset, test, Split::default(), Split::default())
    }

    fn of(all: Dataset, dataset: &str, test: Option<u32>, train: Split, validation: Split) -> Result<Self> {
        if all.classes.is_empty() {
            return Err(Error::Usage(format!(
                "{dataset}: nothing says what its pictures show, so nothing can be measured on them; put a labels.npy beside \
                 the array, or the pictures into a folder for each class (rlnet corrupt takes them as they are)"
            )));
        }
        let named = NAMED.iter().find(|named| named.name == dataset);
        let whole = named.map_or(all.test.len(), |named| named.test as usize);
        Ok(Self {
            limit: test.filter(|images| (*images as usize) < whole),
            test: cut(dataset, &all.test, test, "test")?,
            name: all.name,
            classes: all.classes,
            size: all.size,
            mean: all.mean,
            std: all.std,
            checksum: all.checksum,
            train: Arc::new(train),
            validation,
            tree: all.tree,
            others: BTreeMap::new(),
        })
    }

    /// Loads the images of a suite: those it measures on, and those that stages name beside them.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_suite(suite: &Suite, data_dir: &Path) -> Result<Self> {
        let sizes = Sizes {
            train: suite.data.train,
            test: suite.data.test,
            validation: suite.data.validation,
        };
        let images = suite.data.images.as_ref();
        let reach = images.map(|images| images.last().saturating_add(1));
        let first = Sizes {
            test: reach.or(sizes.test),
            ..sizes
        };
        let mut own = Self::load(&suite.data.dataset, data_dir, first)?;
        if let Some(images) = images {
            own.test = chosen(&own.name, &own.test, images)?;
            own.limit = None;
        }
        for name in suite.other_datasets() {
            let other = Self::load(name, data_dir, sizes)?;
            own.others.insert(name.to_owned(), other);
        }
        Ok(own)
    }

    /// The images of a data set by the name that a suite has for it.
    pub fn of_dataset(&self, dataset: &str) -> &Self {
        self.others.get(dataset).unwrap_or(self)
    }

    /// Checksums of the other data sets, by name.
    pub fn other_checksums(&self) -> BTreeMap<String, String> {
        let others = self.others.iter();
        others
            .map(|(name, data)| (name.clone(), data.checksum.clone()))
            .collect()
    }
}

/// The test images at these positions.
///
/// # Errors
/// When there are not so many.
pub fn chosen(dataset: &str, test: &Split, images: &ImageRanges) -> Result<Split> {
    if images.last() as usize >= test.len() {
        return Err(Error::Usage(format!(
            "--images {images}: {dataset} has test images 0 to {}",
            test.len().saturating_sub(1)
        )));
    }
    let places: Vec<usize> = images.iter().map(|image| image as usize).collect();
    Ok(test.select(&places))
}

/// The first `wanted` images, all when none.
fn cut(dataset: &str, split: &Split, wanted: Option<u32>, what: &str) -> Result<Split> {
    match wanted {
        Some(n) if n as usize > split.len() => Err(Error::Usage(format!(
            "{dataset} has {} {what} images, {n} were asked for",
            split.len()
        ))),
        Some(n) => Ok(split.take(n as usize)),
        None => Ok(split.take(split.len())),
    }
}
