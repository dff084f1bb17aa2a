//! Tiny-ImageNet in its official layout: `train/<wnid>/images/*.JPEG`, `val/images` with
//! `val_annotations.txt`, `wnids.txt`, `words.txt`.
//!
//! The official test images have no published labels, so the validation images are the test
//! split, as everywhere in the literature. A class's number is the rank of its WordNet id in
//! sorted order. Nobody publishes checksums of single files (of the archive, MD5
//! 90528d7ca1a48142e341f4ef8d21d0de), so the checksum tells two copies apart, not a true copy
//! from a changed one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rlnet_suites::dataset::TINY_IMAGENET;

use super::pictures::{self, Held, Picture, Reading, Tree};
use super::{DataError, Dataset, LoadOptions};

/// Name of the data set.
pub const NAME: &str = TINY_IMAGENET.name;
/// Side of its images in pixels.
pub const SIDE: usize = TINY_IMAGENET.side as usize;
/// Name of the official folder; folders of subsets begin with it.
const FOLDER: &str = "tiny-imagenet-200";
/// Classes of the official set.
pub const CLASSES: usize = TINY_IMAGENET.classes as usize;

/// Loads Tiny-ImageNet, or a subset in the same layout, from `data_dir`: the official folder,
/// or the folder that holds it.
///
/// # Errors
/// Missing folders and files, pictures that cannot be read, annotations that name an unknown
/// class or picture: see [`DataError`].
pub fn load(data_dir: &Path, options: LoadOptions) -> Result<Dataset, DataError> {
    let folder = locate(data_dir)?;
    let wnids = wnids(&folder.join("wnids.txt"))?;
    let validation = validation(&folder, &wnids)?;
    let train = pictures::class_pictures(&folder.join("train"), &wnids, "images")?;
    if let Some(class) = train.iter().position(Vec::is_empty) {
        return Err(DataError::Folder {
            folder: folder.join("train").join(&wnids[class]).join("images"),
            problem: "it has no pictures".to_owned(),
        });
    }
    let train = pictures::interleave(train);
    let reading = Reading {
        side: Some(SIDE),
        decode: true,
        ..Reading::default()
    };
    let test = pictures::read(&validation, reading)?;
    let decode = !options.test_only;
    let read = pictures::read(&train, Reading { decode, ..reading })?;
    let stem = |picture: &Picture| {
        let stem = picture.file.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    Ok(Dataset {
        name: NAME.to_owned(),
        classes: class_names(&folder.join("words.txt"), &wnids)?,
        size: SIDE,
        test: test.split,
        train_len: train.len(),
        train: read.split,
        // The published RLNet code normalises nothing here.
        mean: [0.0; 3],
        std: [1.0; 3],
        checksum: pictures::checksum(&[&wnids.join("\n"), &test.listing, &read.listing]),
        provenance: format!(
            "Tiny-ImageNet{} from {}; test images are its validation images; no checksums of \
             single files are published",
            if wnids.len() == CLASSES {
                String::new()
            } else {
                format!(", {} of {CLASSES} classes,", wnids.len())
            },
            folder.display()
        ),
        tree: Some(Tree {
            folders: wnids,
            names: validation.iter().map(stem).collect(),
        }),
    })
}

/// The number of classes, from `wnids.txt` alone.
pub(super) fn count_classes(data_dir: &Path) -> Option<usize> {
    let folder = locate(data_dir).ok()?;
    Some(wnids(&folder.join("wnids.txt")).ok()?.len())
}

/// The folder that holds `wnids.txt`: `data_dir`, the official folder in it, or the only folder
/// in it whose name begins like the official one's.
fn locate(data_dir: &Path) -> Result<PathBuf, DataError> {
    let official = data_dir.join(FOLDER);
    for folder in [data_dir, &official] {
        if folder.join("wnids.txt").is_file() {
            return Ok(folder.to_path_buf());
        }
    }
    let subsets: Vec<PathBuf> = pictures::names_in(data_dir)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| name.starts_with(FOLDER))
        .map(|name| data_dir.join(name))
        .filter(|folder| folder.join("wnids.txt").is_file())
        .collect();
    match subsets.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(DataError::MissingFolder {
            dataset: NAME.to_owned(),
            looked_for: vec![official.join("wnids.txt"), data_dir.join("wnids.txt")],
        }),
        many => Err(DataError::Folder {
            folder: data_dir.to_path_buf(),
            problem: format!(
                "it holds {} subsets of {NAME}; name one with --data-dir: {}",
                many.len(),
                many.iter()
                    .map(|p| p.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }),
    }
}

/// A text file of one entry a line.
fn text(file: &Path) -> Result<String, DataError> {
    String::from_utf8(pictures::bytes_of(file)?).map_err(|_| DataError::Line {
        file: file.to_path_buf(),
        line: 1,
        problem: "the file is not text".to_owned(),
    })
}

/// The WordNet ids, sorted.
fn wnids(file: &Path) -> Result<Vec<String>, DataError> {
    let bad = |line: usize, problem: String| DataError::Line {
        file: file.to_path_buf(),
        line: line + 1,
        problem,
    };
    let mut found = BTreeSet::new();
    for (line, id) in text(file)?.lines().enumerate() {
        let id = id.trim();
        if id.is_empty() {
            continue;
        }
        // An id becomes a path.
        if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(bad(line, format!("{id:?} is no WordNet id (such as n01443537)")));
        }
        if !found.insert(id.to_owned()) {
            return Err(bad(line, format!("{id} stands here twice")));
        }
    }
    match found.len() {
        0 => Err(bad(0, "it names no class".to_owned())),
        n if n > usize::from(u16::MAX) => Err(bad(0, format!("{n} classes are too many"))),
        _ => Ok(found.into_iter().collect()),
    }
}

/// A validation picture where the archive has it, or where scripts that make class folders move it.
fn find(val: &Path, class: &str, name: &str) -> Option<PathBuf> {
    let places = [
        val.join("images"),
        val.join(class),
        val.join(class).join("images"),
    ];
    let files = places.into_iter().map(|place| place.join(name));
    files.into_iter().find(|file| file.is_file())
}

/// The validation pictures of class folders without `val_annotations.txt`, in the order of their
/// numbers, which is that of the official file.
fn moved(val: &Path, wnids: &[String]) -> Result<Vec<Picture>, DataError> {
    let classes: Vec<Vec<PathBuf>> = wnids
        .iter()
        .map(|class| {
            let inside = if val.join(class).join("images").is_dir() {
                "images"
            } else {
                ""
            };
            let found = pictures::class_pictures(val, std::slice::from_ref(class), inside)?;
            Ok(found.into_iter().flatten().collect())
        })
        .collect::<Result<_, DataError>>()?;
    let mut all = pictures::interleave(classes);
    let name = |picture: &Picture| {
        picture
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    all.sort_by_cached_key(|picture| pictures::natural(&name(picture)));
    if all.is_empty() {
        return Err(DataError::Folder {
            folder: val.to_path_buf(),
            problem: "its class folders have no pictures; unpack the official archive again".to_owned(),
        });
    }
    Ok(all)
}

/// The validation pictures in the order of `val_annotations.txt`: picture, class, and a box that
/// nobody needs here. They may have been moved into class folders.
fn validation(folder: &Path, wnids: &[String]) -> Result<Vec<Picture>, DataError> {
    let val = folder.join("val");
    let file = val.join("val_annotations.txt");
    if !file.is_file() && wnids.iter().all(|class| val.join(class).is_dir()) {
        return moved(&val, wnids);
    }
    let mut pictures = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, entry) in text(&file)?.lines().enumerate() {
        let bad = |problem: String| DataError::Line {
            file: file.clone(),
            line: line + 1,
            problem,
        };
        let mut fields = entry.split('\t').map(str::trim);
        let (name, class) = match (fields.next(), fields.next()) {
            (Some(name), Some(class)) if !name.is_empty() => (name, class),
            _ if entry.trim().is_empty() => continue,
            _ => return Err(bad(format!("{entry:?} is not a picture, a tab and a class"))),
        };
        let Ok(label) = wnids.binary_search_by(|id| id.as_str().cmp(class)) else {
            return Err(bad(format!("the class {class:?} is not in wnids.txt")));
        };
        let stem = pictures::picture_stem(name).filter(|_| !name.contains(['/', '\\']));
        match stem {
            None => return Err(bad(format!("{name:?} is not the name of a picture"))),
            Some(stem) if !seen.insert(stem.to_owned()) => {
                return Err(bad(format!("{name} stands here twice")));
            }
            Some(_) => {}
        }
        let Some(picture) = find(&val, class, name) else {
            return Err(bad(format!(
                "there is no {name} in {0}/images, {0}/{class} or {0}/{class}/images",
                val.display()
            )));
        };
        pictures.push(Picture {
            file: picture,
            label: label as u16,
            held: Held::File,
        });
    }
    if pictures.is_empty() {
        return Err(DataError::Line {
            file,
            line: 1,
            problem: "it names no picture".to_owned(),
        });
    }
    Ok(pictures)
}

/// A name for people for each class: the first synonym of `words.txt`, else the id.
fn class_names(file: &Path, wnids: &[String]) -> Result<Vec<String>, DataError> {
    let text = match file.is_file() {
        true => text(file)?,
        false => String::new(),
    };
    let words: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let name = |id: &String| {
        let first = words.get(id.as_str()).and_then(|all| all.split(',').next());
        first.map_or_else(|| id.clone(), |word| word.trim().to_owned())
    };
    Ok(wnids.iter().map(name).collect())
}
