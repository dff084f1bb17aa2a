//! Writing the tree of Tiny-ImageNet-C: `<corruption>/<severity>/<class>/<name>.png`.
//!
//! The published tree holds JPEG files, quality 85, written after the corruption: a second,
//! uncontrolled corruption that reads back differently in every decoder. This one holds
//! PNG files, so what is read is what was made; JPEG files as the original has them can be
//! asked for. Neither is byte-comparable with the published tree, whose images were cut from
//! another source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use md5::{Digest, Md5};
use rayon::prelude::*;

use super::digest::folder_md5;
use super::provenance::{Provenance, Setup};
use super::{Source, write_jpeg, write_png};
use crate::{Corruption, Error, Generator, Image, Result, Severity};

/// One image of a tree.
#[derive(Debug, Clone, Copy)]
pub struct FolderImage<'a> {
    /// The class's folder: a WordNet id.
    pub class: &'a str,
    /// File name without extension.
    pub name: &'a str,
    /// Position in the data set, the key of its random draws.
    pub index: u64,
}

/// How the images of a tree are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TreeFormat {
    /// Lossless.
    #[default]
    Png,
    /// JPEG of quality 85, chroma halved, optimised Huffman tables: as the published tree.
    Jpeg85,
}

impl TreeFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg85 => "jpeg, quality 85, 4:2:0",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg85 => "JPEG",
        }
    }
}

/// What goes into a tree.
#[derive(Clone, Copy)]
pub struct TreeContent<'a> {
    /// The images.
    pub images: &'a [FolderImage<'a>],
    /// Gives the clean image at a place of `images`, from any thread: pictures need not be in memory.
    pub load: &'a (dyn Fn(usize) -> Result<Image> + Sync),
    /// Under which corruptions.
    pub corruptions: &'a [Corruption],
    /// At which severities.
    pub severities: &'a [Severity],
    /// Seed of the keyed draws.
    pub seed: u64,
    /// How they are stored.
    pub format: TreeFormat,
}

/// A folder `<corruption>/<severity>` of a tree.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Level {
    /// `fog/3`.
    pub name: String,
    /// Where.
    pub path: PathBuf,
    /// What [`folder_md5`] says of it.
    pub md5: String,
    /// False for one that an earlier call had finished.
    pub made: bool,
}

/// Writes every image under every corruption and severity into `folder`, with a
/// `provenance.json` beside them. Each `<corruption>/<severity>` appears whole or not at all;
/// those an earlier call finished in the same way are kept. A folder made in another way is
/// refused, and so is overwriting what no `provenance.json` accounts for. `progress` is called
/// with (name of the level, files done, files to do), from any thread.
///
/// # Errors
/// When a name is not a plain file name, the folder holds other content, a file cannot be written,
/// and as [`Generator::corrupt`].
///
/// ```
/// use rlnet_corruptions::archive::{FolderImage, TreeContent, TreeFormat, generate_folders, image_files};
/// use rlnet_corruptions::{Corruption, Generator, Image, Severity};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let image = Image::from_raw(64, 64, vec![99; 64 * 64 * 3])?;
/// let content = TreeContent {
///     images: &[FolderImage { class: "n02124075", name: "val_0", index: 0 }],
///     load: &|_| Ok(image.clone()),
///     corruptions: &[Corruption::Fog],
///     severities: &[Severity::new(3)?],
///     seed: 0,
///     format: TreeFormat::Png,
/// };
/// let levels = generate_folders(&Generator::default(), &content, folder, &|_, _, _| {})?;
/// assert_eq!(levels[0].name, "fog/3");
/// let files = image_files(folder.join("fog/3"))?;
/// assert_eq!(files, [("n02124075".to_owned(), "val_0.png".to_owned())]);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn generate_folders(
    generator: &Generator,
    content: &TreeContent<'_>,
    folder: impl AsRef<Path>,
    progress: &(dyn Fn(&str, u64, u64) + Sync),
) -> Result<Vec<Level>> {
    let folder = folder.as_ref();
    let images = content.images;
    // Names become paths: none may leave the tree.
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
    if let Some(bad) = images.iter().find(|i| !plain(i.class) || !plain(i.name)) {
        let why = format!("{:?}/{:?} is not a class and a file name", bad.class, bad.name);
        return Err(Error::archive(folder, why));
    }
    let levels: Vec<(Corruption, Severity, String)> = content
        .corruptions
        .iter()
        .flat_map(|&c| {
            content
                .severities
                .iter()
                .map(move |&s| (c, s, format!("{c}/{s}")))
        })
        .collect();
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut provenance = Provenance::open(
        folder,
        setup(generator, content)?,
        levels.iter().map(|level| level.2.as_str()),
    )?;
    let done = AtomicU64::new(0);
    let total = (levels.len() * images.len()) as u64;
    let mut written = Vec::new();
    for (corruption, severity, name) in levels {
        let path = folder.join(&name);
        let found = provenance.finished(&name)?;
        let made = found.is_none();
        let md5 = match found {
            Some(md5) => {
                done.fetch_add(images.len() as u64, Ordering::Relaxed);
                md5
            }
            None => {
                let one = || {
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    progress(&name, done, total);
                };
                write_level(generator, content, (corruption, severity), &path, &one)?;
                let md5 = folder_md5(&path)?;
                provenance.add(&name, &md5)?;
                md5
            }
        };
        written.push(Level {
            name,
            path,
            md5,
            made,
        });
    }
    Ok(written)
}

/// One `<corruption>/<severity>`, under a temporary name until it is whole.
fn write_level(
    generator: &Generator,
    content: &TreeContent<'_>,
    (corruption, severity): (Corruption, Severity),
    path: &Path,
    one: &(dyn Fn() + Sync),
) -> Result<()> {
    let temporary = path.with_file_name(format!(".{severity}.part"));
    // What a killed process left, and what was damaged: the record says that it is ours.
    for stale in [temporary.as_path(), path] {
        if stale.exists() {
            fs::remove_dir_all(stale).map_err(Error::io(stale))?;
        }
    }
    let classes: BTreeSet<&str> = content.images.iter().map(|image| image.class).collect();
    for class in classes {
        let class = temporary.join(class);
        fs::create_dir_all(&class).map_err(Error::io(&class))?;
    }
    content.images.par_iter().enumerate().try_for_each(|(at, item)| {
        let made = generator.corrupt_keyed(
            &(content.load)(at)?,
            corruption,
            severity,
            content.seed,
            item.index,
        )?;
        let name = format!("{}.{}", item.name, content.format.extension());
        let file = temporary.join(item.class).join(name);
        match content.format {
            TreeFormat::Png => write_png(&made, file)?,
            TreeFormat::Jpeg85 => write_jpeg(&made, 85, file)?,
        }
        one();
        Ok(())
    })?;
    fs::rename(&temporary, path).map_err(Error::io(path))
}

/// Reads every image once, a few dozen at a time.
fn setup(generator: &Generator, content: &TreeContent<'_>) -> Result<Setup> {
    let (mut pixels, mut names) = (Md5::new(), Md5::new());
    for item in content.images {
        names.update(format!("{}/{} {}\n", item.class, item.name, item.index));
    }
    let (count, mut size) = (content.images.len(), (0, 0));
    for first in (0..count).step_by(64) {
        let part = first..count.min(first + 64);
        let images: Vec<Result<Image>> = part.into_par_iter().map(content.load).collect();
        for image in images {
            let image = image?;
            pixels.update(image.data());
            size = (image.width(), image.height());
        }
    }
    Ok(Setup {
        generator: generator.describe(),
        source: Source::Keyed { seed: content.seed },
        images: content.images.len(),
        width: size.0,
        height: size.1,
        images_md5: format!("{:x}", pixels.finalize()),
        labels_md5: format!("{:x}", names.finalize()),
        stream: None,
        label_type: None,
        format: Some(content.format.name().to_owned()),
    })
}
