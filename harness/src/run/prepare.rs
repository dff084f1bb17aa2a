//! A suite's images, loaded, cut to size and split, and what they mean for cells' identities.

use crate::data::{Dataset, LoadOptions, Split, Tree, holdout, load_with};
use crate::error::{Error, Result};
use crate::progress::announce;
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
    /// Which of its test images these are, where they are not the first ones.
    pub images: Option<ImageRanges>,
    /// All training and test images of the data set.
    pub whole: [u32; 2],
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
        let [_, whole] = whole(dataset, &all);
        if let Some(images) = images {
            all.test = chosen(dataset, &all.test, images)?;
        }
        // A limit is a ceiling.
        let below = test.filter(|images| *images < whole);
        if let Some(images) = test.filter(|images| *images > whole) {
            announce(&format!(
                "{dataset} has {whole} test images, so --limit {images} leaves none out"
            ));
        }
        let mut prepared = Self::of(all, dataset, below, Split::default(), Split::default())?;
        prepared.whole[1] = whole;
        prepared.select(images);
        Ok(prepared)
    }

    /// Says which test images were chosen; the first ones are a limit, and all of them none.
    fn select(&mut self, images: Option<&ImageRanges>) {
        let Some(images) = images else { return };
        let first = images.first();
        self.limit = first.filter(|first| *first < self.whole[1]);
        self.images = Some(images.clone()).filter(|_| first.is_none());
    }

    fn of(all: Dataset, dataset: &str, test: Option<u32>, train: Split, validation: Split) -> Result<Self> {
        if all.classes.is_empty() {
            return Err(Error::Usage(format!(
                "{dataset}: nothing says what its pictures show, so nothing can be measured on them; put a labels.npy beside \
                 the array, or the pictures into a folder for each class (rlnet corrupt takes them as they are)"
            )));
        }
        let whole = whole(dataset, &all);
        Ok(Self {
            limit: test.filter(|images| *images < whole[1]),
            images: None,
            whole,
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
            own.select(Some(images));
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

/// All training and test images of a data set that was loaded, or a part of it.
fn whole(dataset: &str, loaded: &Dataset) -> [u32; 2] {
    let named = NAMED.iter().find(|named| named.name == dataset);
    named.map_or_else(
        || [loaded.train.len() as u32, loaded.test.len() as u32],
        |named| [named.train, named.test],
    )
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
