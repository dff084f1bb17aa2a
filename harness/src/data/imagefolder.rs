//! `imagefolder:PATH`: anybody's pictures, a folder a class.
//!
//! `PATH/test/<class>/*.png|jpg` (or `PATH/val/...`, or the class folders right in `PATH`) are
//! the test images, `PATH/train/<class>/...`, where it is there, the training images. A class's
//! number is the rank of its folder's name, or the line of `PATH/classes.txt` that names it. Image 0 is the first of the
//! first class, image 1 the first of the second, and so on: any part from the front has every class alike. Grey
//! pictures, and JPEG files in four inks, become RGB. Files of other kinds, and those in sub-folders of a class, are left
//! out, counted and named. PATH may hold pictures in another form ([`given`]).
//!
//! `PATH?resize=256&crop=224` prepares pictures of any shape as torchvision does. More than half a gigabyte
//! of pixels stays on disk and is read batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::given::{self, Given};
use super::pictures::{self, Picture, Reading, Tree};
use super::{DataError, Dataset, Glance, LoadOptions};
use crate::progress::announce;
use rlnet_suites::dataset::{Pictures, pictures as pictures_of};

/// What comes before the path in the data set's name.
pub const PREFIX: &str = rlnet_suites::dataset::PICTURES;

/// Loads the pictures that a name means, prepared as it says. Prepared training images stay files: their crops
/// are drawn from whole pictures.
///
/// # Errors
/// No class folders, none with pictures, pictures of different sizes or unreadable ones, other
/// classes in training than in testing: see [`DataError`].
pub fn load(name: &str, options: LoadOptions) -> Result<Dataset, DataError> {
    let Pictures { path, preparation } = named(name)?;
    let root = Path::new(path);
    if !root.exists() {
        return Err(DataError::Folder {
            folder: root.to_path_buf(),
            problem: "there is no such folder; write imagefolder:PATH".to_owned(),
        });
    }
    let (found, left_out) = match given::read(root)? {
        Some(given) => (given, Vec::new()),
        None => class_folders(root)?,
    };
    let Given {
        classes,
        test,
        train,
        are_files,
    } = found;
    for line in &left_out {
        announce(line);
    }
    let reading = Reading {
        decode: true,
        preparation: preparation.unwrap_or_default(),
        ..Reading::default()
    };
    let read = pictures::read(&test, reading)?;
    let training = Reading {
        side: Some(read.split.size),
        decode: !options.test_only,
        as_files: preparation.is_some(),
        ..reading
    };
    let trained = pictures::read(&train, training)?;
    // What is prepared otherwise is another data set.
    let made = preparation.map(|how| format!("resize {:?}, crop {:?}, {}", how.resize, how.crop, how.filter));
    let joined = classes.join("\n");
    let listings = [
        Some(joined.as_str()),
        Some(&read.listing),
        Some(&trained.listing),
        made.as_deref(),
    ];
    let listings: Vec<&str> = listings.into_iter().flatten().collect();
    let stem = |picture: &Picture| {
        let stem = picture.file.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    Ok(Dataset {
        name: name.to_owned(),
        classes: classes.clone(),
        size: read.split.size,
        test: read.split,
        train_len: train.len(),
        train: trained.split,
        mean: [0.0; 3],
        std: [1.0; 3],
        checksum: pictures::checksum(&listings),
        provenance: std::iter::once(format!("pictures under {}", root.display()))
            .chain(left_out)
            .collect::<Vec<_>>()
            .join("; "),
        tree: are_files.then(|| Tree {
            // Pictures of no class have a folder all the same.
            folders: if classes.is_empty() {
                vec!["photographs".to_owned()]
            } else {
                classes
            },
            names: test.iter().map(stem).collect(),
        }),
    })
}

/// The pictures of a folder with a folder a class, and what is left out of it.
fn class_folders(root: &Path) -> Result<(Given, Vec<String>), DataError> {
    let folder = test_folder(root);
    let listed = listed(root)?;
    let (classes, test) = classes_in(&folder, listed.as_deref())?;
    let train_folder = part(root, "train").filter(|_| folder != *root);
    let train = match &train_folder {
        Some(folder) => {
            let (found, pictures) = classes_in(folder, listed.as_deref())?;
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
    let given = Given {
        classes,
        test,
        train,
        are_files: true,
    };
    Ok((given, left_out.into_iter().flatten().collect()))
}

/// The folder that a name means, and how its pictures are prepared.
fn named(name: &str) -> Result<Pictures<'_>, DataError> {
    let unknown = |why: String| DataError::UnknownName {
        name: name.to_owned(),
        suggestion: why,
    };
    let pictures = pictures_of(name).ok_or_else(|| unknown("write imagefolder:PATH".to_owned()))?;
    pictures.map_err(|why| unknown(why.to_string()))
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
pub(super) fn glance(name: &str) -> Option<Glance> {
    let Pictures { path, preparation } = named(name).ok()?;
    let root = Path::new(path);
    let listed = listed(root).ok()?;
    let (classes, test) = classes_in(&test_folder(root), listed.as_deref()).ok()?;
    let side = preparation.and_then(|preparation| preparation.side());
    Some(Glance {
        classes: classes.len(),
        size: side.or_else(|| pictures::width(test.first()?).ok())?,
    })
}

/// The classes that `classes.txt` lists, a line each, in the order of their numbers; nothing where it is
/// not there. So a folder may hold some of a network's classes only.
fn listed(root: &Path) -> Result<Option<Vec<String>>, DataError> {
    let file = root.join("classes.txt");
    if !file.is_file() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&pictures::bytes_of(&file)?).into_owned();
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(DataError::Folder {
            folder: file,
            problem: format!("{twice} is there twice; a class has one line"),
        }),
        None => Ok(Some(names)),
    }
}

/// The class folders of a folder, in the order of `listed` or of their names, and their pictures.
fn classes_in(folder: &Path, listed: Option<&[String]>) -> Result<(Vec<String>, Vec<Picture>), DataError> {
    let mut found = pictures::names_in(folder)?;
    found.retain(|name| folder.join(name).is_dir());
    found.sort_unstable();
    let refuse = |folder: PathBuf, problem: &str| {
        Err(DataError::Folder {
            folder,
            problem: problem.to_owned(),
        })
    };
    if let Some(other) = found
        .iter()
        .find(|name| listed.is_some_and(|all| !all.contains(name)))
    {
        let problem = "classes.txt lists no class of this name; add it, or move the folder away";
        return refuse(folder.join(other), problem);
    }
    let classes = listed.map_or_else(|| found.clone(), <[String]>::to_vec);
    if classes.len() < 2 || classes.len() > usize::from(u16::MAX) {
        let problem = "a folder for each of two classes or more is needed: PATH/test/CLASS/*.png, \
                       or PATH/CLASS/*.png";
        return refuse(folder.to_path_buf(), problem);
    }
    let mut files = pictures::class_pictures(folder, &found, "")?;
    if let Some(empty) = files.iter().position(Vec::is_empty) {
        let others = pictures::left_out(folder, &found[empty..=empty])?;
        let others = others.map_or(String::new(), |others| format!("; {others}"));
        let problem = format!("it has no PNG or JPEG pictures{others}");
        return refuse(folder.join(&found[empty]), &problem);
    }
    if let Some(all) = listed {
        let mut by_name: BTreeMap<String, Vec<PathBuf>> = found.into_iter().zip(files).collect();
        files = all
            .iter()
            .map(|name| by_name.remove(name).unwrap_or_default())
            .collect();
    }
    Ok((classes, pictures::interleave(files)))
}
