//! Frost textures: the original photographs if you have them, procedural ones if not.
//!
//! The reference lays crops of five photographs over the image. Their origin is not
//! documented, so this crate does not ship them: by default it uses pictures of its own,
//! made by a formula, of the same sizes. [`Textures::from_dir`] loads the originals and
//! gives the reference's bytes. Reports say which were used ([`Textures::describe`]).

mod procedural;
mod scale;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use md5::{Digest, Md5};

use crate::{Error, ParameterSet, Result, codec};

/// The originals: file name, width, height, MD5. The draw among them is uniform, and the
/// second and third are the same picture, so the real mixture is 20, 40, 20, 20 per cent.
/// A sixth file of the reference, frost6.jpg, can never be drawn.
pub const ORIGINALS: [(&str, usize, usize, &str); 5] = [
    ("frost1.png", 900, 600, "6ead634ace1f366d77e87078b465863c"),
    ("frost2.png", 560, 315, "98f0d2b1d74a048d3bc9c7ecfd886939"),
    ("frost3.png", 560, 315, "b3ed8eb147824261888e730f916c0d8b"),
    ("frost4.jpg", 527, 350, "d70b9d6aa0b1fe7bd8133b113787e078"),
    ("frost5.jpg", 660, 495, "50984ae2c871b7df2c28f1d71ca460a0"),
];

/// One picture.
#[derive(Clone)]
pub(crate) struct Texture {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<u8>,
}

impl Texture {
    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let first = 3 * (y * self.width + x);
        [self.rgb[first], self.rgb[first + 1], self.rgb[first + 2]]
    }
}

type Set = [Texture; 5];

/// The five pictures that frost lays over an image. Cheap to clone. The default is
/// procedural.
#[derive(Clone)]
pub struct Textures(Arc<Inner>);

struct Inner {
    /// The folder of the originals; `None` if procedural.
    folder: Option<PathBuf>,
    full: OnceLock<Set>,
    /// Enlarged or reduced for each parameter set, at first use.
    scaled: [OnceLock<Set>; 3],
}

impl Default for Textures {
    fn default() -> Self {
        // One for the whole program: made at first use, then shared.
        static PROCEDURAL: LazyLock<Textures> = LazyLock::new(|| Textures::new(None, OnceLock::new()));
        PROCEDURAL.clone()
    }
}

impl Textures {
    /// The originals from `folder`, checked against the published MD5 table. Two of them are JPEG
    /// files, so this needs the feature `jpeg`.
    ///
    /// # Errors
    /// When a file is absent, altered or unreadable, or the crate was built without `jpeg`.
    ///
    /// ```no_run
    /// use rlnet_corruptions::{Generator, Options, Textures};
    /// let textures = Textures::from_dir("frost")?;
    /// assert!(textures.are_original());
    /// let generator = Generator::new(Options { textures, ..Options::default() });
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn from_dir(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let mut full = Vec::with_capacity(ORIGINALS.len());
        for row in &ORIGINALS {
            full.push(original(folder, row)?);
        }
        let cell = OnceLock::new();
        if let Ok(set) = Set::try_from(full) {
            let _ = cell.set(set);
        }
        Ok(Self::new(Some(folder.to_path_buf()), cell))
    }

    fn new(folder: Option<PathBuf>, full: OnceLock<Set>) -> Self {
        Self(Arc::new(Inner {
            folder,
            full,
            scaled: Default::default(),
        }))
    }

    /// True for the reference's photographs.
    pub fn are_original(&self) -> bool {
        self.0.folder.is_some()
    }

    /// Which they are, for provenance: two sets with one description hold the same bytes.
    ///
    /// ```
    /// use rlnet_corruptions::Textures;
    /// assert_eq!(Textures::default().describe(), "procedural v1");
    /// ```
    ///
    /// The originals say `original, 5 files, MD5 7258f303`: the first digits of the MD5 over
    /// the published MD5 sums that the files were checked against.
    pub fn describe(&self) -> String {
        if self.are_original() {
            let sums = ORIGINALS.map(|(_, _, _, md5)| md5).concat();
            let digest = format!("{:x}", Md5::digest(sums));
            format!("original, {} files, MD5 {}", ORIGINALS.len(), &digest[..8])
        } else {
            format!("procedural v{}", procedural::VERSION)
        }
    }

    /// The five at the size that `set` uses.
    pub(crate) fn scaled(&self, set: ParameterSet) -> &Set {
        let reduced = |factor| {
            std::array::from_fn(|i| {
                let (_, width, height, _) = ORIGINALS[i];
                match self.0.full.get() {
                    Some(full) => scale::resize((width, height), |x, y| full[i].pixel(x, y), factor),
                    None => scale::resize((width, height), |x, y| procedural::pixel(i, x, y), factor),
                }
            })
        };
        self.0.scaled[set.index()].get_or_init(|| match set {
            ParameterSet::Cifar => reduced(0.2),
            ParameterSet::TinyImagenet => reduced(0.3),
            ParameterSet::Imagenet => self.0.full.get_or_init(procedural::all).clone(),
        })
    }
}

/// Reads and checks one row of the table of originals.
fn original(folder: &Path, &(name, width, height, md5): &(&str, usize, usize, &str)) -> Result<Texture> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
    let digest = format!("{:x}", Md5::digest(&bytes));
    if digest != md5 {
        return Err(Error::texture(&path, format!("its MD5 is {digest}, not {md5}")));
    }
    let image = codec::decode(&bytes).map_err(|error| Error::texture(&path, error.to_string()))?;
    if (image.width(), image.height()) != (width, height) {
        return Err(Error::texture(&path, "it has another size than the original"));
    }
    Ok(Texture {
        width,
        height,
        rgb: image.into_raw(),
    })
}

impl fmt::Debug for Textures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Textures({})", self.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_pictures_have_the_sizes_of_the_originals() {
        let sizes = |set| {
            let textures = Textures::default();
            let pictures = textures.scaled(set).each_ref();
            pictures.map(|picture| (picture.height, picture.width))
        };
        // After enlargement by 0.2, 0.3 and 1.
        let cifar = [(120, 180), (63, 112), (63, 112), (70, 105), (99, 132)];
        let tiny = [(180, 270), (94, 168), (94, 168), (105, 158), (148, 198)];
        let full = ORIGINALS.map(|(_, width, height, _)| (height, width));
        assert_eq!(sizes(ParameterSet::Cifar), cifar);
        assert_eq!(sizes(ParameterSet::TinyImagenet), tiny);
        assert_eq!(sizes(ParameterSet::Imagenet), full);
    }

    #[test]
    fn at_a_fifth_the_reduction_picks_every_fifth_pixel() {
        let textures = Textures::default();
        let full = &textures.scaled(ParameterSet::Imagenet)[3];
        let small = &textures.scaled(ParameterSet::Cifar)[3];
        for (y, row) in small.rgb.chunks_exact(3 * small.width).enumerate() {
            for (x, pixel) in row.chunks_exact(3).enumerate() {
                let at = 3 * ((5 * y + 2) * full.width + 5 * x + 2);
                assert_eq!(pixel, &full.rgb[at..at + 3]);
            }
        }
    }
}
