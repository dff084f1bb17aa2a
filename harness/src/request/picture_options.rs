//! Options of commands that read pictures of one's own.

use super::heading;
use crate::error::Result;
use clap::Args;
use rlnet_corruptions::picture::{Filter, Preparation};
use rlnet_suites::dataset::prepared;

/// How pictures become squares of one size, as torchvision's transforms make them.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct PictureOptions {
    /// Resize pictures of imagefolder:PATH so that the shorter side has PIXELS pixels (256 for most
    /// ImageNet models)
    #[arg(long, value_name = "PIXELS", help_heading = heading::DATA)]
    resize: Option<usize>,
    /// Cut a square of this side from their centre (224 for most ImageNet models)
    #[arg(long, value_name = "PIXELS", help_heading = heading::DATA)]
    crop: Option<usize>,
    /// How they are resized: bilinear, bicubic or lanczos (default: bilinear)
    #[arg(long, value_name = "FILTER", help_heading = heading::DATA)]
    filter: Option<Filter>,
}

impl PictureOptions {
    /// The name of a data set with its preparation.
    ///
    /// # Errors
    /// When the data set is not pictures of one's own, or the numbers do not fit each other.
    pub fn on(&self, dataset: &str) -> Result<String> {
        let preparation = Preparation {
            resize: self.resize,
            crop: self.crop,
            filter: self.filter.unwrap_or_default(),
        };
        Ok(prepared(dataset, preparation)?)
    }
}
