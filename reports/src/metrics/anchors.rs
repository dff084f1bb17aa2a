//! Published error rates that an mCE is normalised by. Each belongs to the data set it was
//! measured on; on another data set the ratio is a formula without a meaning of its own,
//! which is why reports print the anchor's data set beside it.

/// Error rates of a published network: means over severities 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// Short name, for columns.
    pub name: &'static str,
    /// The network.
    pub network: &'static str,
    /// The corrupted data set that it was measured on.
    pub dataset: &'static str,
    /// Where the numbers are from.
    pub source: &'static str,
    /// Error on clean images, in `[0, 1]`.
    pub clean: f64,
    /// Error per corruption of the benchmark, in its order, in `[0, 1]`.
    pub errors: [f64; 15],
}

/// Hendrycks and Dietterich's anchor.
pub const ALEXNET: Anchor = Anchor {
    name: "AlexNet",
    network: "AlexNet (torchvision)",
    dataset: "ImageNet-C",
    source: "means as used by google-research/augmix (all 50,000 images; JPEG on 5,000); clean: torchvision's model page, 56.522 % right",
    clean: 0.434_78,
    errors: [
        0.886_428, 0.894_468, 0.922_640, 0.819_880, 0.826_268, 0.785_948, 0.798_360, 0.866_816, 0.826_572,
        0.819_324, 0.564_592, 0.853_204, 0.646_056, 0.717_840, 0.606_500,
    ],
};

/// AugMax's anchor, which RLNet's test script copies.
pub const RESNET18: Anchor = Anchor {
    name: "ResNet18",
    network: "ResNet18, normally trained (AugMax)",
    dataset: "Tiny-ImageNet-C",
    source: "test script of VITA-Group/AugMax, copied by RLNet; clean: AugMax's results, 61.64 % right",
    clean: 0.3836,
    errors: [
        0.8037, 0.7597, 0.7758, 0.8426, 0.8274, 0.7907, 0.8212, 0.7497, 0.7381, 0.7433, 0.6800, 0.8939,
        0.7308, 0.6121, 0.6452,
    ],
};

/// A baseline for CIFAR, where no anchor has been agreed on.
pub const WRN_28_10: Anchor = Anchor {
    name: "WRN-28-10",
    network: "WRN-28-10, normally trained (RobustBench \"Standard\")",
    dataset: "CIFAR-10-C",
    source: "RobustBench's un-aggregated corruption results; clean error 5.22 %",
    clean: 0.0522,
    errors: [
        0.5297, 0.4122, 0.4470, 0.1851, 0.4900, 0.2228, 0.2440, 0.1811, 0.2496, 0.1121, 0.0672, 0.1739,
        0.1622, 0.2802, 0.2244,
    ],
};

/// All of them.
pub const ANCHORS: [&Anchor; 3] = [&ALEXNET, &RESNET18, &WRN_28_10];
