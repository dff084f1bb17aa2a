//! What an architecture is built with.

use super::layers::{Conv, ConvShape};
use super::params::Params;
use rlnet_suites::NormBanks;

/// How the reference's networks differ from the paper's; the default is the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// The norm of a ResNet's shortcut has a bank a branch. The reference's teacher shares
    /// one (defect B1).
    pub banked_shortcut: bool,
    /// A ResNet's blocks that keep their shape add their input. The reference's students, and
    /// its triple-norm teacher, do not (defects B23, B24).
    pub identity_skip: bool,
    /// A WRN's stage outputs are handed out through the norm that follows them, which in train
    /// mode moves that norm's running statistics twice. The reference's students do (defect B3).
    pub normed_stages: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            banked_shortcut: true,
            identity_skip: true,
            normed_stages: false,
        }
    }
}

/// What an architecture is built with.
pub struct Build<'a> {
    /// Receives the tensors.
    pub params: &'a mut Params,
    /// Side of the input in pixels.
    pub image_size: u64,
    /// Number of classes.
    pub classes: i64,
    /// Banks of batch norm.
    pub norm: NormBanks,
    /// Structural differences of the reference.
    pub quirks: Quirks,
}

impl Build<'_> {
    /// Whether the input is large enough for ImageNet's stem, which quarters the resolution
    /// (7x7 stride 2, then 3x3 max pool). The reference decides by 1000 classes, which no
    /// data set of 32 or 64 pixels has; the resolution is what matters.
    pub fn imagenet_stem(&self) -> bool {
        self.image_size >= 128
    }

    /// A convolution `NAME.conv` and its norm `NAME.bn`.
    pub fn conv(&mut self, name: &str, shape: ConvShape) -> Conv {
        let (conv, norm) = (format!("{name}.conv"), format!("{name}.bn"));
        Conv::normed(self.params, &conv, &norm, shape, self.norm)
    }
}
