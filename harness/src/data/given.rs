//! Pictures as other people hold them, where they are no folder a class: Parquet files as Hugging Face hosts them,
//! arrays of NumPy, one flat folder of photographs. They keep the order of their rows or names.

use super::DataError;
use super::pictures::{self, Held, Picture};
use rlnet_corruptions::archive::{NpyReader, read_labels};
use rlnet_reports::hosted_images::read_hosted_images;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pictures and their classes.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Names of the classes; none where nobody says what the pictures show.
    pub classes: Vec<String>,
    pub test: Vec<Picture>,
    pub train: Vec<Picture>,
    /// Whether the pictures are files with names of their own.
    pub are_files: bool,
}

/// Reads what lies at a path; nothing where it is something else: a folder of class folders.
pub(super) fn read(root: &Path) -> Result<Option<Given>, DataError> {
    if root.is_file() {
        return match ending(root).as_str() {
            "parquet" => hosted(&[root.to_path_buf()], &[]).map(Some),
            "npy" => array(root, &root.with_file_name("labels.npy")).map(Some),
            _ => Err(refused(
                root,
                "it is no folder of pictures; a .parquet or .npy file is read as well",
            )),
        };
    }
    if !root.is_dir() {
        return Ok(None);
    }
    for folder in [root.to_path_buf(), root.join("data")] {
        let [test, train] = parts_of(&folder)?;
        match (test.is_empty(), train.is_empty()) {
            (true, true) => {}
            (true, false) => {
                return Err(refused(
                    &folder,
                    "it has files of training images only; name one of them to evaluate on it",
                ));
            }
            _ => return hosted(&test, &train).map(Some),
        }
    }
    let images = root.join("images.npy");
    if images.is_file() {
        return array(&images, &root.join("labels.npy")).map(Some);
    }
    photographs(root)
}

fn refused(file: &Path, problem: impl Into<String>) -> DataError {
    DataError::Picture {
        file: file.to_path_buf(),
        problem: problem.into(),
    }
}

fn ending(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase()
}

/// The Parquet files of a folder: of test (or else validation) images, and of training images. Files whose
/// names say neither are test images.
fn parts_of(folder: &Path) -> Result<[Vec<PathBuf>; 2], DataError> {
    if !folder.is_dir() {
        return Ok(Default::default());
    }
    let mut names = pictures::names_in(folder)?;
    names.retain(|name| ending(Path::new(name)) == "parquet");
    let (train, other): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| name.starts_with("train"));
    let is_test = |name: &&String| name.starts_with("test");
    let test: Vec<&String> = match other.iter().any(|name| is_test(&name)) {
        true => other.iter().filter(is_test).collect(),
        false => other.iter().collect(),
    };
    let paths = |names: Vec<&String>| names.into_iter().map(|name| folder.join(name)).collect();
    Ok([paths(test), paths(train.iter().collect())])
}

fn hosted(test: &[PathBuf], train: &[PathBuf]) -> Result<Given, DataError> {
    let mut given = Given::default();
    let mut most = 0;
    for (files, pictures) in [(test, &mut given.test), (train, &mut given.train)] {
        for file in files {
            let read = read_hosted_images(file).map_err(|why| {
                // Its message begins with the file, and so does this one's.
                let why = why.to_string();
                let told = why.strip_prefix(&format!("{}: ", file.display()));
                refused(file, told.unwrap_or(&why))
            })?;
            if given.classes.is_empty() {
                given.classes = read.classes;
            }
            for (row, (bytes, label)) in read.rows.into_iter().enumerate() {
                most = most.max(label);
                pictures.push(Picture {
                    file: place(file, row),
                    label: class(file, u64::from(label))?,
                    held: Held::Encoded(bytes.into()),
                });
            }
        }
    }
    name_classes(&mut given, most);
    Ok(given)
}

/// Gives classes numbers for names where they have none.
fn name_classes(given: &mut Given, most: u32) {
    for number in given.classes.len() as u32..=most {
        given.classes.push(number.to_string());
    }
}

/// What a picture inside a file is called in messages.
fn place(file: &Path, row: usize) -> PathBuf {
    PathBuf::from(format!("{}, row {row}", file.display()))
}

fn class(file: &Path, label: u64) -> Result<u16, DataError> {
    u16::try_from(label)
        .map_err(|_| refused(file, format!("it has the class {label}; classes are below 65536")))
}

/// An array `[N, H, W, 3]` of bytes, and the classes beside it where there are some.
fn array(file: &Path, labels: &Path) -> Result<Given, DataError> {
    let wrong = |why: rlnet_corruptions::Error| refused(file, why.to_string());
    let mut reader = NpyReader::open(file).map_err(wrong)?;
    let [count, height, width, 3] = *reader.shape() else {
        return Err(refused(
            file,
            format!(
                "its shape is {:?}; images are bytes of shape [N, height, width, 3] (numpy: \
                 array.transpose(0, 2, 3, 1) where channels come first)",
                reader.shape()
            ),
        ));
    };
    let mut pixels = vec![0; count * height * width * 3];
    reader.read_rows(0, &mut pixels).map_err(wrong)?;
    let pixels: Arc<[u8]> = pixels.into();
    let classes = match labels.is_file() {
        true => read_labels(labels).map_err(|why| refused(labels, why.to_string()))?,
        false => Vec::new(),
    };
    if labels.is_file() && classes.len() != count {
        return Err(refused(
            labels,
            format!(
                "it has {} labels of the {count} images in {}",
                classes.len(),
                file.display()
            ),
        ));
    }
    let mut given = Given::default();
    for row in 0..count {
        given.test.push(Picture {
            file: place(file, row),
            label: class(labels, classes.get(row).copied().unwrap_or(0))?,
            held: Held::Pixels {
                all: Arc::clone(&pixels),
                size: (width, height),
                row,
            },
        });
    }
    if let Some(most) = classes.iter().max() {
        name_classes(
            &mut given,
            u32::try_from(*most).unwrap_or(u32::MAX).min(u32::from(u16::MAX)),
        );
    }
    Ok(given)
}

/// The pictures right in a folder that has no folders with pictures: nobody says what they show.
fn photographs(root: &Path) -> Result<Option<Given>, DataError> {
    let names = pictures::names_in(root)?;
    let is_folder = |name: &String| root.join(name).is_dir();
    let files: Vec<&String> = (names.iter())
        .filter(|name| pictures::picture_stem(name).is_some() && !is_folder(name))
        .collect();
    if names.iter().any(is_folder) || files.is_empty() {
        return Ok(None);
    }
    let test = files.into_iter().map(|name| Picture {
        file: root.join(name),
        label: 0,
        held: Held::File,
    });
    Ok(Some(Given {
        test: test.collect(),
        are_files: true,
        ..Given::default()
    }))
}
