//! Data sets by name, and how many images the published ones have: what a suite can be held to
//! before anything is read.

use crate::error::{SuiteError, suggest};

/// A data set that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The name, as in `rlnet data list`.
    pub name: &'static str,
    /// Its training images.
    pub train: u32,
    /// Its test images.
    pub test: u32,
    /// Its classes.
    pub classes: u32,
    /// Side of its images, in pixels.
    pub side: u32,
}

/// Shapes that the program draws, told apart by their form.
pub const SHAPES: Named = named("shapes", [10_000, 2_000], 10, 32);
/// The same told apart by their texture.
pub const TEXTURES: Named = named("textures", [10_000, 2_000], 10, 32);
/// CIFAR-10.
pub const CIFAR10: Named = named("cifar10", [50_000, 10_000], 10, 32);
/// CIFAR-100.
pub const CIFAR100: Named = named("cifar100", [50_000, 10_000], 100, 32);
/// Tiny-ImageNet. Its validation images are what is tested on: the test images have no public labels.
pub const TINY_IMAGENET: Named = named("tiny-imagenet", [100_000, 10_000], 200, 64);

/// The data sets that have names.
pub const NAMED: [Named; 5] = [SHAPES, TEXTURES, CIFAR10, CIFAR100, TINY_IMAGENET];

const fn named(name: &'static str, [train, test]: [u32; 2], classes: u32, side: u32) -> Named {
    Named {
        name,
        train,
        test,
        classes,
        side,
    }
}

/// What comes before the folder of pictures of one's own.
pub const PICTURES: &str = "imagefolder:";

/// A data set by its name; nothing for pictures of one's own, whose number only their folder tells.
///
/// # Errors
/// When there is none of that name.
pub fn find(name: &str) -> Result<Option<Named>, SuiteError> {
    match (
        NAMED.iter().find(|known| known.name == name),
        name.strip_prefix(PICTURES),
    ) {
        (Some(found), _) => Ok(Some(*found)),
        (None, Some("")) => Err(SuiteError::value(
            "dataset",
            name,
            "name the folder as well: imagefolder:PATH",
        )),
        (None, Some(_)) => Ok(None),
        (None, None) => {
            let hint = hint(name);
            Err(SuiteError::value("dataset", name, format!("not known; {hint}")))
        }
    }
}

/// What to write instead of a name that is not known.
pub fn hint(name: &str) -> String {
    let plain = name.to_lowercase().replace(['-', '_'], "");
    if plain.starts_with("imagenet") || plain.starts_with("ilsvrc") {
        return "ImageNet is read from a folder that has a sub-folder of images for each class, all of one size: \
                imagefolder:PATH"
            .to_owned();
    }
    let known = NAMED.iter().map(|known| known.name);
    suggest(name, known.chain(["imagefolder:PATH"]))
}
