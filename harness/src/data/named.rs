//! A data set by its name.

use std::path::Path;

use rlnet_suites::dataset::{NAMED, hint};

use super::shapes::{self, Class};
use super::{DataError, Dataset, Facts, LoadOptions, cifar, imagefolder, tiny};

/// Names that [`load`] understands, besides `imagefolder:PATH`.
pub const NAMES: [&str; NAMED.len()] = {
    let mut names = [""; NAMED.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = NAMED[at].name;
        at += 1;
    }
    names
};

/// The facts of a data set by name. CIFAR's are published, so its files need not be there.
///
/// # Errors
/// As [`load`], for the others.
pub fn facts(name: &str, data_dir: &Path) -> Result<Facts, DataError> {
    match name {
        "cifar10" => return Ok(cifar::CIFAR10.facts()),
        "cifar100" => return Ok(cifar::CIFAR100.facts()),
        _ => {}
    }
    let options = LoadOptions {
        test_only: true,
        ..LoadOptions::default()
    };
    let data = load_with(name, data_dir, options)?;
    Ok(Facts {
        classes: data.classes,
        size: data.size,
        mean: data.mean,
        std: data.std,
    })
}

/// Loads a data set by name, official files only.
///
/// `data_dir` is the folder that holds the unpacked official folder, or that folder itself; it is
/// not looked at for `shapes` and `textures`.
///
/// # Errors
/// An unknown name, missing, damaged or modified files: see [`DataError`].
pub fn load(name: &str, data_dir: &Path) -> Result<Dataset, DataError> {
    load_with(name, data_dir, LoadOptions::default())
}

/// [`load`] with a choice of what to tolerate.
///
/// # Errors
/// As [`load`].
pub fn load_with(name: &str, data_dir: &Path, options: LoadOptions) -> Result<Dataset, DataError> {
    match name {
        "shapes" => Ok(shapes::default_dataset(Class::Form, options)),
        "textures" => Ok(shapes::default_dataset(Class::Texture, options)),
        "cifar10" => cifar::load(&cifar::CIFAR10, data_dir, options),
        "cifar100" => cifar::load(&cifar::CIFAR100, data_dir, options),
        tiny::NAME => tiny::load(data_dir, options),
        _ if name.starts_with(imagefolder::PREFIX) => imagefolder::load(name, options),
        _ => Err(DataError::UnknownName {
            name: name.to_owned(),
            suggestion: hint(name),
        }),
    }
}

/// What can be known of a data set without reading it as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Its classes.
    pub classes: usize,
    /// Side of its images, in pixels.
    pub size: usize,
}

/// Classes and size of a data set, from its name, its list of classes, or its folders and first
/// picture; nothing where it is not there or not in order, which [`load`] says better.
pub fn glance(name: &str, data_dir: &Path) -> Option<Glance> {
    if name.starts_with(imagefolder::PREFIX) {
        return imagefolder::glance(name);
    }
    let known = NAMED.iter().find(|known| known.name == name)?;
    let whole = Glance {
        classes: known.classes as usize,
        size: known.side as usize,
    };
    Some(match name {
        tiny::NAME => Glance {
            classes: tiny::count_classes(data_dir).unwrap_or(whole.classes),
            ..whole
        },
        _ => whole,
    })
}

/// Side of a data set's images in pixels, known before it is read; `None` for pictures of
/// one's own that nothing prepares, and unknown names.
pub fn image_size(name: &str) -> Option<usize> {
    if let Some(pictures) = rlnet_suites::dataset::pictures(name) {
        return pictures.ok()?.preparation?.side();
    }
    let known = NAMED.iter().find(|known| known.name == name);
    known.map(|known| known.side as usize)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    /// What suites are held to before anything is read is what is read.
    #[test]
    fn the_named_data_sets_are_known_and_have_as_many_images_as_suites_are_told() {
        for named in NAMED {
            assert!(image_size(named.name).is_some(), "{}", named.name);
            let (train, test) = match named.name {
                "cifar10" => cifar::CIFAR10.images(),
                "cifar100" => cifar::CIFAR100.images(),
                // A folder of the official layout may be a subset; the whole has 500 and 50 a class.
                tiny::NAME => (500 * tiny::CLASSES, 50 * tiny::CLASSES),
                name => {
                    let data = load(name, Path::new("")).unwrap();
                    (data.train.len(), data.test.len())
                }
            };
            assert_eq!(
                (train, test),
                (named.train as usize, named.test as usize),
                "{}",
                named.name
            );
        }
    }

    #[test]
    fn an_unknown_name_gets_a_suggestion() {
        let message = load("cifar-10", Path::new("")).unwrap_err().to_string();
        assert!(message.contains("did you mean `cifar10`?"), "{message}");
        let message = load("ImageNet-1k", Path::new("")).unwrap_err().to_string();
        assert!(message.contains("imagefolder:PATH"), "{message}");
    }
}
