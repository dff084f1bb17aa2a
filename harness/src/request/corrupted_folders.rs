//! Options of commands that read or make corrupted images.

use crate::run::corrupted::Folders;
use clap::Args;
use std::path::PathBuf;

/// Where corrupted images, or what they are made of, are found.
#[derive(Debug, Clone, Default, Args)]
pub struct CorruptedFolders {
    /// Read corrupted images from this folder: CIFAR-10-C, CIFAR-100-C, Tiny-ImageNet-C, or
    /// what rlnet corrupt made
    #[arg(long, value_name = "DIR")]
    pub corrupted_dir: Option<PathBuf>,
    /// Folder of the reference's frost photographs (default: pictures made by a formula)
    #[arg(long, value_name = "DIR")]
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
