//! `imagefolder:PATH`: anybody's pictures, a folder a class.
//!
//! `PATH/test/<class>/*.png|jpg` (or `PATH/val/...`, or the class folders right in `PATH`) are
//! the test images, `PATH/train/<class>/...`, where it is there, the training images. A class's
//! number is the rank of its folder's name. Grey pictures, and JPEG files in four inks, become RGB. Files
//! of other kinds, and those in sub-folders of a class, are left out, counted and named.

use std::path::{Path, PathBuf};

use super::pictures::{self, Picture, Tree};
use super::{DataError, Dataset, Glance, LoadOptions};
use crate::progress::announce;

/// What comes before the path in the data set's name.
pub const PREFIX: &str = rlnet_suites::dataset::PICTURES;

/// Loads the pictures under `root`.
///
/// # Errors
/// No class folders, none with pictures, pictures of different sizes or unreadable ones, other
/// classes in training than in testing: see [`DataError`].
pub fn load(root: &Path, options: LoadOptions) -> Result<Dataset, DataError> {
    if !root.is_dir() {
        return Err(DataError::Folder {
            folder: root.to_path_buf(),
            problem: "there is no such folder; write imagefolder:PATH".to_owned(),
        });
    }
    let folder = test_folder(root);
    let (classes, test) = classes_in(&folder)?;
    let train_folder = part(root, "train").filter(|_| folder != *root);
    let train = match &train_folder {
        Some(folder) => {
            let (found, pictures) = classes_in(folder)?;
            if found != classes {
                let other = found.iter().find(|name| !classes.contains(name));
                let other = other.or_else(|| classes.iter().find(|name| !found.contains(name)));
                return Err(DataError::Folder {
                    folder: folder.clone(),
                    problem: format!(
                        "training and test folders have different classes: {} is in one of them only",
                        other.map_or("one", String::as_str)
                    ),
                });
            }
            pictures
        }
        None => Vec::new(),
    };
    let parts = [Some(&folder), train_folder.as_ref()];
    let left_out = parts
        .into_iter()
        .flatten()
        .map(|folder| pictures::left_out(folder, &classes))
        .collect::<Result<Vec<_>, _>>()?;
    let left_out: Vec<String> = left_out.into_iter().flatten().collect();
    for line in &left_out {
        announce(line);
    }
    let read = pictures::read(&test, None, true)?;
    let trained = pictures::read(&train, Some(read.split.size), !options.test_only)?;
    let stem = |picture: &Picture| {
        let stem = picture.file.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    Ok(Dataset {
        name: format!("{PREFIX}{}", root.display()),
        classes: classes.clone(),
        size: read.split.size,
        test: read.split,
        train_len: train.len(),
        train: trained.split,
        mean: [0.0; 3],
        std: [1.0; 3],
        checksum: pictures::checksum(&[&classes.join("\n"), &read.listing, &trained.listing]),
        provenance: std::iter::once(format!("pictures under {}", folder.display()))
            .chain(left_out)
            .collect::<Vec<_>>()
            .join("; "),
        tree: Some(Tree {
            folders: classes,
            names: test.iter().map(stem).collect(),
        }),
    })
}

fn part(root: &Path, name: &str) -> Option<PathBuf> {
    Some(root.join(name)).filter(|folder| folder.is_dir())
}

/// The folder of the test images' class folders.
fn test_folder(root: &Path) -> PathBuf {
    part(root, "test")
        .or_else(|| part(root, "val"))
        .unwrap_or_else(|| root.to_path_buf())
}

/// Classes and size, from the folders and the first picture.
pub(super) fn glance(root: &Path) -> Option<Glance> {
    let (classes, test) = classes_in(&test_folder(root)).ok()?;
    Some(Glance {
        classes: classes.len(),
        size: pictures::width(test.first()?).ok()?,
    })
}

/// The class folders of a folder, and their pictures.
fn classes_in(folder: &Path) -> Result<(Vec<String>, Vec<Picture>), DataError> {
    let mut classes = pictures::names_in(folder)?;
    classes.retain(|name| folder.join(name).is_dir());
    classes.sort_unstable();
    let refuse = |folder: PathBuf, problem: &str| {
        Err(DataError::Folder {
            folder,
            problem: problem.to_owned(),
        })
    };
    if classes.len() < 2 || classes.len() > usize::from(u16::MAX) {
        let problem = "a folder for each of two classes or more is needed: PATH/test/CLASS/*.png, \
                       or PATH/CLASS/*.png";
        return refuse(folder.to_path_buf(), problem);
    }
    let files = pictures::class_pictures(folder, &classes, "")?;
    if let Some(empty) = files.iter().position(Vec::is_empty) {
        let others = pictures::left_out(folder, &classes[empty..=empty])?;
        let others = others.map_or(String::new(), |others| format!("; {others}"));
        let problem = format!("it has no PNG or JPEG pictures{others}");
        return refuse(folder.join(&classes[empty]), &problem);
    }
    Ok((classes, pictures::interleave(files)))
}
