//! Options of commands that read or generate corrupted images.

use super::heading;
use crate::run::corrupted::Folders;
use clap::Args;
use std::path::PathBuf;

/// Where corrupted images, or the pictures that they are made with, are found.
#[derive(Debug, Clone, Default, Args)]
pub struct CorruptedFolders {
    /// Read corrupted images from this folder: CIFAR-10-C, CIFAR-100-C, Tiny-ImageNet-C, or a folder
    /// that rlnet corrupt wrote
    #[arg(long, value_name = "DIR", help_heading = heading::CORRUPTIONS)]
    pub corrupted_dir: Option<PathBuf>,
    /// Folder of the reference's frost photographs (default: procedural textures)
    #[arg(long, value_name = "DIR", help_heading = heading::CORRUPTIONS)]
    pub frost_textures: Option<PathBuf>,
}

impl CorruptedFolders {
    /// As the run needs them.
    pub fn folders(&self) -> Folders {
        Folders {
            corrupted: self.corrupted_dir.clone(),
            frost: self.frost_textures.clone(),
        }
    }
}
