//! What is there already: the MD5 of a file, and of a tree of image files.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};
use rayon::prelude::*;

use crate::{Error, Result};

/// The MD5 of a file, in hex.
///
/// # Errors
/// When it cannot be read.
pub fn md5_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut digest = Md5::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(Error::io(path))? {
            0 => return Ok(format!("{:x}", digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

/// The image files of `<folder>/<class>/`, sorted: class and file name. Other files and
/// hidden ones are left out.
///
/// # Errors
/// When a folder cannot be read, or a name is not Unicode.
pub fn image_files(folder: impl AsRef<Path>) -> Result<Vec<(String, String)>> {
    let folder = folder.as_ref();
    let mut files = Vec::new();
    for class in names_in(folder)? {
        let inside = folder.join(&class);
        if inside.is_dir() {
            let is_image = |name: &String| {
                let extension = name
                    .rsplit_once('.')
                    .map(|(_, extension)| extension.to_ascii_lowercase());
                matches!(extension.as_deref(), Some("png" | "jpeg" | "jpg"))
            };
            let found = names_in(&inside)?.into_iter().filter(is_image);
            files.extend(found.map(|name| (class.clone(), name)));
        }
    }
    Ok(files)
}

/// Names in a folder, sorted, without hidden ones.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let name = entry.map_err(Error::io(folder))?.file_name();
        let name = name
            .into_string()
            .map_err(|name| Error::archive(folder, format!("the name {name:?} in it is not Unicode")))?;
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Identity of `<folder>/<class>/<file>`: the MD5 of the lines "class/file MD5 of the file", sorted.
///
/// # Errors
/// When a file cannot be read.
/// ```
/// use rlnet_corruptions::{Image, archive::{folder_md5, write_png}};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// std::fs::create_dir(folder.join("cat")).unwrap();
/// write_png(&Image::from_raw(32, 32, vec![99; 3072])?, folder.join("cat/0.png"))?;
/// let before = folder_md5(folder)?;
/// std::fs::rename(folder.join("cat/0.png"), folder.join("cat/1.png")).unwrap();
/// assert_ne!(folder_md5(folder)?, before);
/// # Ok::<(), rlnet_corruptions::Error>(())
/// ```
pub fn folder_md5(folder: impl AsRef<Path>) -> Result<String> {
    let folder = folder.as_ref();
    let lines = image_files(folder)?
        .par_iter()
        .map(|(class, file)| {
            let md5 = md5_of(&folder.join(class).join(file))?;
            Ok(format!("{class}/{file} {md5}\n"))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect::<Result<Vec<String>>>()?;
    Ok(format!("{:x}", Md5::digest(lines.concat())))
}
