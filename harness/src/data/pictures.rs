//! Picture files to a split: listed, read and decoded side by side, hashed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use rlnet_corruptions::picture::Preparation;
use rlnet_corruptions::{Image, KeyedRng};
use sha1::{Digest, Sha1};

use super::{DataError, Split};

/// One picture and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    /// Its file; of one inside another file, what messages call it.
    pub file: PathBuf,
    pub label: u16,
    pub held: Held,
}

/// Where a picture's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// In its own file.
    File,
    /// In memory, encoded.
    Encoded(Arc<[u8]>),
    /// In memory, as RGB: row `row` of pictures of this width and height.
    Pixels {
        all: Arc<[u8]>,
        size: (usize, usize),
        row: usize,
    },
}

impl Picture {
    /// Its bytes, encoded or not: what it is identified by.
    fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        Ok(match &self.held {
            Held::File => bytes_of(&self.file)?.into(),
            Held::Encoded(bytes) => bytes[..].into(),
            Held::Pixels { all, size, row } => {
                let stride = 3 * size.0 * size.1;
                all[row * stride..(row + 1) * stride].into()
            }
        })
    }

    /// The picture in its bytes.
    fn decoded(&self, bytes: &[u8]) -> Result<Image, DataError> {
        match &self.held {
            Held::Pixels { size, .. } => Image::from_raw(size.0, size.1, bytes.to_vec()),
            Held::File | Held::Encoded(_) => Image::decode(bytes),
        }
        .map_err(|why| refused(&self.file, why))
    }
}

/// The names of a data set's folders and test files, by which trees of corrupted images
/// (`<corruption>/<severity>/<class>/<name>`) are matched with its test images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Folder of each class, in label order: a WordNet id.
    pub folders: Vec<String>,
    /// File name without extension of each test image, by official position.
    pub names: Vec<String>,
}

/// Pictures, and what a picture goes through before a network sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFiles {
    files: Vec<Arc<Picture>>,
    preparation: Preparation,
}

impl PictureFiles {
    /// Those at the given places.
    pub(super) fn select(&self, places: &[usize]) -> Self {
        Self {
            files: places.iter().map(|&i| Arc::clone(&self.files[i])).collect(),
            preparation: self.preparation,
        }
    }

    /// The picture at place `i`, as it is in its file.
    fn picture(&self, i: usize) -> Result<Image, DataError> {
        let picture = &self.files[i];
        picture.decoded(&picture.bytes()?)
    }

    /// The picture at place `i` as it is tested on: a square of this size.
    pub(super) fn square(&self, i: usize, size: usize) -> Result<Image, DataError> {
        squared(&self.files[i].file, &self.picture(i)?, self.preparation, size)
    }

    /// The picture at place `i` as it is trained on: a random part of random shape, resized, mirrored half
    /// the time; nothing for pictures that are squares already, which are cropped otherwise.
    pub(super) fn part(&self, i: usize, rng: &mut KeyedRng) -> Result<Option<Image>, DataError> {
        if self.preparation.side().is_none() {
            return Ok(None);
        }
        let made = self.preparation.augment(&self.picture(i)?, rng);
        made.map(Some).map_err(|why| refused(&self.files[i].file, why))
    }
}

/// What reading pictures gives.
pub(super) struct Read {
    /// The split; without pixels, labels and positions when nothing was to be decoded.
    pub split: Split,
    /// One line a file, with label and SHA-1 of its bytes, in order.
    pub listing: String,
}

/// How pictures are read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// The side they must have in the end; without it, that of the first.
    pub side: Option<usize>,
    /// Whether pixels are wanted at all; if not, files are only hashed.
    pub decode: bool,
    /// What they go through.
    pub preparation: Preparation,
    /// Whether they stay files, however few they are.
    pub as_files: bool,
}

/// More pixels than these stay files.
const IN_MEMORY: usize = 1 << 29;

/// Reads pictures: their pixels if they are wanted, in any case the hash of their bytes.
pub(super) fn read(pictures: &[Picture], reading: Reading) -> Result<Read, DataError> {
    let Reading {
        decode, preparation, ..
    } = reading;
    let Some(first) = pictures.first() else {
        return Ok(Read {
            split: Split::default(),
            listing: String::new(),
        });
    };
    let size = match (reading.side.or(preparation.side()), decode) {
        (Some(side), _) => side,
        (None, true) => width(first)?,
        (None, false) => 0,
    };
    let stride = 3 * size * size;
    let stream = reading.as_files || pictures.len().saturating_mul(stride) > IN_MEMORY;
    let one = |picture: &Picture, out: Option<&mut [u8]>| {
        let bytes = picture.bytes()?;
        if let Some(out) = out {
            let image = picture.decoded(&bytes)?;
            let square = squared(&picture.file, &image, preparation, size)?;
            out.copy_from_slice(square.data());
        }
        // A picture inside another file has its place for a name.
        let name = match &picture.held {
            Held::File => picture.file.file_name().unwrap_or_default().to_string_lossy(),
            Held::Encoded(_) | Held::Pixels { .. } => "".into(),
        };
        Ok(format!("{name} {} {:x}\n", picture.label, Sha1::digest(&bytes)))
    };
    let in_memory = decode && !stream;
    let mut images = vec![0; if in_memory { pictures.len() * stride } else { 0 }];
    let lines: Vec<Result<String, DataError>> = if in_memory {
        images
            .par_chunks_exact_mut(stride.max(1))
            .zip(pictures)
            .map(|(out, picture)| one(picture, Some(out)))
            .collect()
    } else {
        pictures.par_iter().map(|picture| one(picture, None)).collect()
    };
    // The first damaged picture in their order is named, whichever is found first.
    let lines = lines.into_iter().collect::<Result<Vec<String>, DataError>>()?;
    let files = || PictureFiles {
        files: pictures.iter().cloned().map(Arc::new).collect(),
        preparation,
    };
    let split = match decode {
        true => Split {
            size,
            images,
            files: stream.then(files),
            labels: pictures.iter().map(|picture| picture.label).collect(),
            indices: (0..pictures.len() as u32).collect(),
        },
        false => Split::default(),
    };
    Ok(Read {
        split,
        listing: lines.concat(),
    })
}

/// A picture as it is tested on; refused unless it is a square of this size.
fn squared(file: &Path, image: &Image, preparation: Preparation, size: usize) -> Result<Image, DataError> {
    let made = preparation.apply(image).map_err(|why| refused(file, why))?;
    if (made.width(), made.height()) == (size, size) {
        return Ok(made);
    }
    Err(DataError::Picture {
        file: file.to_path_buf(),
        problem: format!(
            "it has {} x {} pixels, not {size} x {size} as the others; images of a set must be square and of one \
             size: --resize 256 --crop 224 makes them so (in a suite: data.resize, data.crop)",
            made.width(),
            made.height()
        ),
    })
}

fn refused(file: &Path, why: rlnet_corruptions::Error) -> DataError {
    DataError::Picture {
        file: file.to_path_buf(),
        problem: why.to_string(),
    }
}

/// The width of a picture.
pub(super) fn width(picture: &Picture) -> Result<usize, DataError> {
    Ok(picture.decoded(&picture.bytes()?)?.width())
}

/// SHA-1 of listings, in hex: the identity of a data set of files.
pub(super) fn checksum(listings: &[&str]) -> String {
    let mut sha1 = Sha1::new();
    for listing in listings {
        sha1.update((listing.len() as u64).to_le_bytes());
        sha1.update(listing);
    }
    format!("{:x}", sha1.finalize())
}

pub(super) fn bytes_of(file: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(file).map_err(|source| DataError::Io {
        file: file.to_path_buf(),
        source,
    })
}

/// Names inside a folder, sorted so that numbers count: `n_9` before `n_10`. Hidden ones are
/// left out.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, DataError> {
    let io = |source| DataError::Io {
        file: folder.to_path_buf(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        match name.into_string() {
            Ok(name) if !name.starts_with('.') => names.push(name),
            Ok(_) => {}
            Err(name) => {
                return Err(DataError::Picture {
                    file: folder.join(name),
                    problem: "its name is not Unicode; rename it".to_owned(),
                });
            }
        }
    }
    names.sort_by_cached_key(|name| natural(name));
    Ok(names)
}

/// A sort key in which runs of digits compare as numbers.
pub fn natural(name: &str) -> Vec<(u64, String)> {
    let mut key: Vec<(u64, String)> = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let text = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (words, after) = after.split_at(text);
        // Numbers too long for a u64 come last among their like, in text order.
        key.push((
            number
                .parse()
                .unwrap_or(if number.is_empty() { 0 } else { u64::MAX }),
            words.to_owned(),
        ));
        rest = after;
    }
    // Names that differ in leading zeros only.
    key.push((0, name.to_owned()));
    key
}

/// File name without extension, when it is that of a picture.
pub fn picture_stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let known = ["png", "jpeg", "jpg"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known));
    (known && !stem.is_empty()).then_some(stem)
}

/// The first of every class, then the second of every class, and so on: any part from the
/// front then has every class alike. Files stand class by class in folders, and no other order
/// of them is official.
pub(super) fn interleave(classes: Vec<Vec<PathBuf>>) -> Vec<Picture> {
    let most = classes.iter().map(Vec::len).max().unwrap_or(0);
    let mut pictures = Vec::new();
    for place in 0..most {
        for (label, files) in classes.iter().enumerate() {
            if let Some(file) = files.get(place) {
                pictures.push(Picture {
                    file: file.clone(),
                    label: label as u16,
                    held: Held::File,
                });
            }
        }
    }
    pictures
}

/// The pictures in each of the class folders `folder/<class>/<inside>`, in natural order; two
/// files that differ in extension only are refused.
pub(super) fn class_pictures(
    folder: &Path,
    classes: &[String],
    inside: &str,
) -> Result<Vec<Vec<PathBuf>>, DataError> {
    classes
        .par_iter()
        .map(|class| {
            let place = folder.join(class).join(inside);
            let mut files = Vec::new();
            let mut seen: BTreeMap<String, String> = BTreeMap::new();
            for name in names_in(&place)? {
                let Some(stem) = picture_stem(&name) else { continue };
                if let Some(other) = seen.insert(stem.to_owned(), name.clone()) {
                    return Err(DataError::Picture {
                        file: place.join(&name),
                        problem: format!("{other} has the same name but for the extension; keep one of them"),
                    });
                }
                files.push(place.join(name));
            }
            Ok(files)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

/// What lies in a folder of class folders and is not read, counted by kind; nothing where all is.
pub(super) fn left_out(folder: &Path, classes: &[String]) -> Result<Option<String>, DataError> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |kind: String, n: usize| *kinds.entry(kind).or_default() += n;
    for name in names_in(folder)? {
        if folder.join(&name).is_file() && name != "classes.txt" {
            count("beside the class folders".to_owned(), 1);
        }
    }
    for class in classes {
        let place = folder.join(class);
        if !place.is_dir() {
            continue;
        }
        match hidden_pictures(&place)? {
            0 => {}
            hidden => count("hidden".to_owned(), hidden),
        }
        for name in names_in(&place)? {
            let path = place.join(&name);
            if path.is_dir() {
                count("in sub-folders of class folders".to_owned(), files_under(&path)?);
            } else if picture_stem(&name).is_none() {
                let kind = path.extension().map(|kind| kind.to_string_lossy().to_lowercase());
                count(
                    kind.map_or("without an ending".to_owned(), |kind| format!(".{kind}")),
                    1,
                );
            }
        }
    }
    let all: usize = kinds.values().sum();
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    Ok((all > 0).then(|| {
        format!(
            "{} under {} {} left out ({}): only PNG and JPEG files right in a class folder are read; convert \
             or move the others",
            if all == 1 {
                "1 file".to_owned()
            } else {
                format!("{all} files")
            },
            folder.display(),
            if all == 1 { "is" } else { "are" },
            kinds.join(", ")
        )
    }))
}

/// Pictures whose names begin with a dot; not what macOS leaves beside files (`._1.png`), which only is
/// called so.
fn hidden_pictures(folder: &Path) -> Result<usize, DataError> {
    let entries = fs::read_dir(folder).map_err(|source| DataError::Io {
        file: folder.to_path_buf(),
        source,
    })?;
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let hidden = names.filter(|name| name.starts_with('.') && !name.starts_with("._"));
    Ok(hidden.filter(|name| picture_stem(name).is_some()).count())
}

/// Files in a folder and below it; links are not followed.
fn files_under(folder: &Path) -> Result<usize, DataError> {
    let mut files = 0;
    for name in names_in(folder)? {
        let path = folder.join(name);
        files += match path.is_dir() && !path.is_symlink() {
            true => files_under(&path)?,
            false => 1,
        };
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_read_are_counted_by_kind() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, b"").expect("a file");
        };
        let classes = ["a".to_owned(), "b".to_owned()];
        for read in ["a/1.png", "a/2.JPG", "b/1.jpeg", "a/.DS_Store", "a/._1.png"] {
            write(read);
        }
        fs::create_dir(root.path().join("b/empty")).expect("a folder");
        assert_eq!(left_out(root.path(), &classes).expect("read"), None);
        write("b/.2.png");
        let text = left_out(root.path(), &classes).expect("read").expect("one");
        assert!(
            text.starts_with("1 file under ") && text.contains(" is left out (1 hidden):"),
            "{text}"
        );
        fs::remove_file(root.path().join("b/.2.png")).expect("a file");
        for other in ["a/3.bmp", "a/4.BMP", "b/5.webp", "b/6.tif", "b/README"] {
            write(other);
        }
        for other in ["a/more/7.png", "a/more/deep/8.png", "9.png"] {
            write(other);
        }
        let text = left_out(root.path(), &classes).expect("read").expect("some");
        assert!(text.starts_with("8 files under "), "{text}");
        let counts = "(2 .bmp, 1 .tif, 1 .webp, 1 beside the class folders, 2 in sub-folders of class folders, 1 \
                      without an ending)";
        assert!(text.contains(counts), "{text}");
    }

    /// Whether pictures are in memory or stay files, images and their order are the same.
    #[test]
    fn files_give_the_images_that_memory_would() {
        let root = tempfile::tempdir().expect("a folder");
        let pictures: Vec<Picture> = (0..5_usize)
            .map(|i| {
                let (width, height) = (20 + 7 * i, 31 - 3 * i);
                let data = (0..3 * width * height)
                    .map(|k| (k * (i + 3) % 256) as u8)
                    .collect();
                let image = Image::from_raw(width, height, data).expect("an image");
                let file = root.path().join(format!("{i}.png"));
                rlnet_corruptions::archive::write_png(&image, &file).expect("a file");
                Picture {
                    file,
                    label: i as u16,
                    held: Held::File,
                }
            })
            .collect();
        let reading = Reading {
            decode: true,
            preparation: Preparation {
                resize: Some(18),
                crop: Some(16),
                ..Preparation::default()
            },
            ..Reading::default()
        };
        let memory = read(&pictures, reading).expect("read");
        let files = Reading {
            as_files: true,
            ..reading
        };
        let files = read(&pictures, files).expect("read");
        assert_eq!(memory.listing, files.listing);
        assert!(files.split.images.is_empty() && memory.split.files.is_none());
        let (some, chosen) = ([3, 0, 4], files.split.select(&[3, 0, 4]));
        assert_eq!(chosen.clone().loaded().expect("read"), memory.split.select(&some));
        for (place, &i) in some.iter().enumerate() {
            assert_eq!(
                chosen.image(place).expect("read"),
                memory.split.image(i).expect("in memory")
            );
        }
        assert_eq!(
            files.split.slice(1, 3).expect("read"),
            memory.split.slice(1, 3).expect("in memory")
        );
        fs::remove_file(&pictures[3].file).expect("a file");
        let error = files.split.slice(1, 3).expect_err("gone").to_string();
        assert!(error.contains("3.png"), "{error}");
    }

    #[test]
    fn numbers_in_names_count() {
        let mut names = vec!["val_10", "val_9", "val_9a", "b", "val_09", "a1b2", "a1b10"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(
            names,
            ["a1b2", "a1b10", "b", "val_09", "val_9", "val_9a", "val_10"]
        );
    }

    #[test]
    fn interleaving_gives_every_class_its_turn_and_loses_nothing() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let mixed = interleave(vec![files(&["a", "b", "c"]), files(&["d"]), files(&["e", "f"])]);
        let order: String = mixed.iter().map(|p| p.file.display().to_string()).collect();
        assert_eq!(order, "adebfc");
        assert_eq!(
            mixed.iter().map(|p| p.label).collect::<Vec<_>>(),
            [0, 1, 2, 0, 2, 0]
        );
    }
}
