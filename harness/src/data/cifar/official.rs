//! What the official CIFAR files are: names, sizes, checksums, classes, normalisation.
//!
//! The SHA-1 values are those that public loaders pin for the binary version. Means and standard
//! deviations are those of the published RLNet code; its CIFAR-10 deviations are averages of each
//! image's own, not the pixels' (0.2470, 0.2435, 0.2616), and are kept so that numbers compare.

use crate::data::dataset::Facts;

/// Records in one part of a CIFAR-100 training file that was cut at record boundaries.
pub(super) const PART_RECORDS: usize = 10_000;

/// One official file, in both layouts.
#[derive(Debug)]
pub(super) struct OfficialFile {
    /// File name in the binary version.
    pub binary: &'static str,
    /// File name in the python version.
    pub python: &'static str,
    /// Number of images.
    pub records: usize,
    /// SHA-1 of the binary file, in hex.
    pub sha1: &'static str,
}

/// One official data set.
#[derive(Debug)]
pub struct Official {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) binary_folder: &'static str,
    pub(super) python_folder: &'static str,
    pub(super) train: &'static [OfficialFile],
    pub(super) test: OfficialFile,
    /// SHA-1 of the first [`PART_RECORDS`] records of the training file, where parts of it are
    /// accepted.
    pub(super) part1_sha1: Option<&'static str>,
    /// Number of coarse classes; 0 where records have one label.
    pub(super) coarse_classes: usize,
    pub(super) classes: &'static [&'static str],
    pub(super) mean: [f64; 3],
    pub(super) std: [f64; 3],
}

impl Official {
    /// Label bytes before the pixels of a record.
    pub(super) fn label_bytes(&self) -> usize {
        if self.coarse_classes > 0 { 2 } else { 1 }
    }

    /// What a network knows of it.
    pub fn facts(&self) -> Facts {
        Facts {
            classes: self.classes.iter().map(|&class| class.to_owned()).collect(),
            size: super::SIDE,
            mean: self.mean,
            std: self.std,
        }
    }

    /// Its training and test images.
    #[cfg(test)]
    pub fn images(&self) -> (usize, usize) {
        let train = self.train.iter().map(|file| file.records).sum();
        (train, self.test.records)
    }

    /// Bytes of one record.
    pub(super) fn record_bytes(&self) -> usize {
        self.label_bytes() + 3 * super::PLANE
    }
}

const fn batch(binary: &'static str, python: &'static str, sha1: &'static str) -> OfficialFile {
    OfficialFile {
        binary,
        python,
        records: 10_000,
        sha1,
    }
}

/// CIFAR-10: 50,000 training and 10,000 test images of 10 classes.
pub static CIFAR10: Official = Official {
    name: "cifar10",
    title: "CIFAR-10",
    binary_folder: "cifar-10-batches-bin",
    python_folder: "cifar-10-batches-py",
    train: &[
        batch(
            "data_batch_1.bin",
            "data_batch_1",
            "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
        ),
        batch(
            "data_batch_2.bin",
            "data_batch_2",
            "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
        ),
        batch(
            "data_batch_3.bin",
            "data_batch_3",
            "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
        ),
        batch(
            "data_batch_4.bin",
            "data_batch_4",
            "aab85764eb3584312d3c7f65fd2fd016e36a258e",
        ),
        batch(
            "data_batch_5.bin",
            "data_batch_5",
            "26e2849e66a845b7f1e4614ae70f4889ae604628",
        ),
    ],
    test: batch(
        "test_batch.bin",
        "test_batch",
        "67eb016db431130d61cd03c7ad570b013799c88c",
    ),
    part1_sha1: None,
    coarse_classes: 0,
    classes: &[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.2010],
};

/// CIFAR-100: 50,000 training and 10,000 test images of 100 classes; the fine label is used.
pub static CIFAR100: Official = Official {
    name: "cifar100",
    title: "CIFAR-100",
    binary_folder: "cifar-100-binary",
    python_folder: "cifar-100-python",
    train: &[OfficialFile {
        binary: "train.bin",
        python: "train",
        records: 50_000,
        sha1: "e207cd2e05b73b1393c74c7f5e7bea451d63e08e",
    }],
    test: batch("test.bin", "test", "8fb6623e830365ff53cf14adec797474f5478006"),
    part1_sha1: Some("3afcc7bb3ea004dcf9836ca14e669a7e029f4ea4"),
    coarse_classes: 20,
    classes: &FINE_CLASSES,
    mean: [0.5071, 0.4867, 0.4408],
    std: [0.2675, 0.2565, 0.2761],
};

#[rustfmt::skip]
const FINE_CLASSES: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle",
    "bicycle", "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel",
    "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud",
    "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant",
    "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree",
    "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter",
    "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea",
    "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television",
    "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
];
