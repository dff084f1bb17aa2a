//! Data sets by name, and how many images the published ones have: what a suite can be held to
//! before anything is read.

use crate::error::{SuiteError, suggest};
use rlnet_corruptions::picture::{Filter, Preparation};

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

/// Pictures of one's own, and what they go through before a network sees them:
/// `imagefolder:PATH?resize=256&crop=224`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pictures<'a> {
    /// Their folder.
    pub path: &'a str,
    /// Absent for pictures that are squares of one size.
    pub preparation: Option<Preparation>,
}

/// Reads the name of pictures of one's own; nothing for other names.
///
/// # Errors
/// When the folder is missing, or what follows it is not a preparation.
pub fn pictures(name: &str) -> Option<Result<Pictures<'_>, SuiteError>> {
    let text = name.strip_prefix(PICTURES)?;
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let wrong = |why: &str| SuiteError::value("dataset", name, why);
    if path.is_empty() {
        return Some(Err(wrong("name the folder as well: imagefolder:PATH")));
    }
    let read = |query: &str| {
        let mut preparation = Preparation::default();
        for part in query.split('&') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let side = || value.parse().ok().filter(|side| (1..=4096).contains(side));
            match key {
                "resize" => preparation.resize = Some(side().ok_or_else(|| wrong("resize takes 1 to 4096"))?),
                "crop" => preparation.crop = Some(side().ok_or_else(|| wrong("crop takes 1 to 4096"))?),
                "filter" => {
                    preparation.filter = value.parse().map_err(|why| wrong(&format!("{why}")))?;
                }
                _ => {
                    return Err(wrong(
                        "after the folder may stand ?resize=256&crop=224&filter=bicubic",
                    ));
                }
            }
        }
        if preparation.side().is_none() {
            return Err(wrong(
                "a filter alone changes nothing; say resize or crop as well",
            ));
        }
        if preparation.crop > preparation.resize && preparation.resize.is_some() {
            return Err(wrong(
                "crop is larger than resize: nothing would be left to cut off",
            ));
        }
        Ok(preparation)
    };
    let preparation = match query.map(read).transpose() {
        Ok(preparation) => preparation,
        Err(why) => return Some(Err(why)),
    };
    Some(Ok(Pictures { path, preparation }))
}

/// The name of pictures of one's own with a preparation; the name as it is without one.
///
/// # Errors
/// When other data sets are to be prepared, or the name has a preparation already.
pub fn prepared(name: &str, preparation: Preparation) -> Result<String, SuiteError> {
    if preparation == Preparation::default() {
        return Ok(name.to_owned());
    }
    let known = match pictures(name) {
        None => {
            let why = "resize, crop and filter are for pictures of one's own: imagefolder:PATH";
            return Err(SuiteError::value("dataset", name, why));
        }
        Some(known) => known?,
    };
    if known.preparation.is_some() {
        let why = "it says already how its pictures are prepared; say it once";
        return Err(SuiteError::value("dataset", name, why));
    }
    let side = |key: &str, side: Option<usize>| side.map(|side| format!("{key}={side}"));
    let filter = (preparation.filter != Filter::default()).then(|| format!("filter={}", preparation.filter));
    let parts = [
        side("resize", preparation.resize),
        side("crop", preparation.crop),
        filter,
    ];
    let query: Vec<String> = parts.into_iter().flatten().collect();
    let whole = format!("{name}?{}", query.join("&"));
    if let Some(Err(why)) = pictures(&whole) {
        return Err(why);
    }
    Ok(whole)
}

/// A data set by its name; nothing for pictures of one's own, whose number only their folder tells.
///
/// # Errors
/// When there is none of that name.
pub fn find(name: &str) -> Result<Option<Named>, SuiteError> {
    match (NAMED.iter().find(|known| known.name == name), pictures(name)) {
        (Some(found), _) => Ok(Some(*found)),
        (None, Some(pictures)) => pictures.map(|_| None),
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
        return "ImageNet is read from a folder that has a sub-folder of images for each class: imagefolder:PATH, with \
                --resize 256 --crop 224 (in a suite: data.resize, data.crop)"
            .to_owned();
    }
    let known = NAMED.iter().map(|known| known.name);
    suggest(name, known.chain(["imagefolder:PATH"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preparation_is_part_of_the_name_and_is_read_back() {
        let usual = Preparation {
            resize: Some(256),
            crop: Some(224),
            filter: Filter::Bicubic,
        };
        let name = prepared("imagefolder:a/b", usual).expect("a name");
        assert_eq!(name, "imagefolder:a/b?resize=256&crop=224&filter=bicubic");
        let read = pictures(&name).expect("pictures").expect("in order");
        assert_eq!((read.path, read.preparation), ("a/b", Some(usual)));
        assert_eq!(
            prepared("cifar10", Preparation::default()).expect("as it is"),
            "cifar10"
        );
        assert_eq!(find(&name), Ok(None));
        for (bad, why) in [
            (prepared("cifar10", usual), "pictures of one's own"),
            (prepared(&name, usual), "say it once"),
            (
                prepared(
                    "imagefolder:x",
                    Preparation {
                        crop: Some(300),
                        ..usual
                    },
                ),
                "larger than resize",
            ),
            (find("imagefolder:x?size=3").map(|_| String::new()), "?resize=256"),
            (
                find("imagefolder:x?filter=bicubic").map(|_| String::new()),
                "changes nothing",
            ),
            (
                find("imagefolder:?crop=8").map(|_| String::new()),
                "name the folder",
            ),
        ] {
            let error = bad.expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
