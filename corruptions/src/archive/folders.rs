//! Writing the tree of Tiny-ImageNet-C: `<corruption>/<severity>/<class>/<name>.png`.
//!
//! The published tree holds JPEG files, quality 85, written after the corruption: a second,
//! uncontrolled corruption that reads back differently in every decoder. This one holds
//! PNG files, so what is read is what was made. It is therefore not byte-comparable with
//! the published one; nor are its images, which were cut from another source.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;

use super::write_png;
use crate::{Corruption, Error, Generator, Image, Result, Severity};

/// One image of a tree.
#[derive(Debug, Clone, Copy)]
pub struct FolderImage<'a> {
    /// The class's folder: a WordNet id.
    pub class: &'a str,
    /// File name without extension.
    pub name: &'a str,
    /// The clean image.
    pub image: &'a Image,
    /// Position in the data set, the key of its random draws.
    pub index: u64,
}

/// Writes every image under every one of `corruptions` and `severities` into `folder`.
/// `progress` is called with the number of files written so far, from any thread; where it
/// returns false the work stops early, which is not an error.
pub fn generate_folders(
    generator: &Generator,
    images: &[FolderImage<'_>],
    folder: impl AsRef<Path>,
    (corruptions, severities): (&[Corruption], &[Severity]),
    seed: u64,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<u64> {
    let folder = folder.as_ref();
    // Names become paths: none may leave the tree.
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "..";
    if let Some(bad) = images.iter().find(|i| !plain(i.class) || !plain(i.name)) {
        let why = format!("{:?}/{:?} is not a class and a file name", bad.class, bad.name);
        return Err(Error::archive(folder, why));
    }
    let written = AtomicU64::new(0);
    let stopped = AtomicBool::new(false);
    for &corruption in corruptions {
        for &severity in severities {
            let level = folder.join(corruption.name()).join(severity.to_string());
            for image in images {
                let class = level.join(image.class);
                fs::create_dir_all(&class).map_err(Error::io(&class))?;
            }
            images.par_iter().try_for_each(|item| {
                if stopped.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let made = generator.corrupt_keyed(item.image, corruption, severity, seed, item.index)?;
                write_png(&made, level.join(item.class).join(format!("{}.png", item.name)))?;
                if !progress(written.fetch_add(1, Ordering::Relaxed) + 1) {
                    stopped.store(true, Ordering::Relaxed);
                }
                Ok(())
            })?;
        }
    }
    Ok(written.into_inner())
}
