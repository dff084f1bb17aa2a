//! `rlnet corrupt DATASET`: a corrupted test set in the layout its benchmark was published in.

use super::{GeneratorOptions, byte_labels, dataset, input, names, test_images, while_writing};
use crate::data::{Dataset, NAMES, Tree};
use crate::error::{Error, Result};
use crate::files::open_folder;
use crate::progress::Progress;
use crate::request::conditions::{images, severities};
use crate::request::{Global, PictureOptions};
use crate::run::prepare::chosen;
use crate::terminal::{outln, print_json};
use clap::{Args, ValueEnum};
use rlnet_corruptions::archive::{
    FolderImage, Source, TreeContent, TreeFormat, generate_archive, generate_folders, generate_sequences,
};
use rlnet_corruptions::{Corruption, Error as Refused, Family, Generator, Image, Sequence, Severity};
use rlnet_reports::format::count;
use rlnet_suites::ImageRanges;
use rlnet_suites::dataset::PICTURES;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Instant;

#[derive(Debug, Args)]
pub struct Generate {
    /// cifar10, cifar100, shapes, tiny-imagenet, or the path of your own images: an array (.npy), a Parquet file, a
    /// folder of photographs, a folder with a folder for each class
    #[arg(required = true)]
    dataset: Option<String>,
    #[command(flatten)]
    pictures: PictureOptions,
    /// Folder to write to
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// benchmark (15), extra (4), all (these 19, the default), c-bar (10), imagenet-c-bar (10, for 224
    /// pixels), or names with commas; with --family p names of sequences
    #[arg(long)]
    names: Option<String>,
    /// Every member of one family: c (15), c-extra (4), c-bar (the 10 of CIFAR-10-C-bar), imagenet-c-bar (10)
    /// or p (the 14 sequences of CIFAR-10-P)
    #[arg(long)]
    family: Option<Kin>,
    /// Severities, with commas or as a range. A .npy file always holds all five; a tree of image files
    /// may have any
    #[arg(long, default_value = "1-5")]
    severity: String,
    /// Source of random numbers (seed: --seed, default 0)
    #[arg(long, value_enum, default_value = "keyed")]
    rng: Rng,
    /// File format of the images in a tree (default: png)
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Use only the first N test images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Use only these test images: positions and ranges (5000-5511 or 3,7,9-20), or a file of them. For trees of
    /// image files
    #[arg(long, value_name = "LIST", value_parser = images, conflicts_with = "limit")]
    images: Option<ImageRanges>,
    #[command(flatten)]
    options: GeneratorOptions,
}

/// A family of corruptions, or the sequences.
#[derive(Debug, Clone, Copy)]
enum Kin {
    Corruptions(Family),
    Sequences,
}

impl FromStr for Kin {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        match name {
            "p" => Ok(Self::Sequences),
            _ => name
                .parse()
                .map(Self::Corruptions)
                .map_err(|why: Refused| format!("{why}, p")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rng {
    /// One generator for each image: parallel, and any part can be generated alone
    Keyed,
    /// A single NumPy stream over all images, as in the reference script: serial
    Numpy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Lossless
    Png,
    /// Quality 85 with halved chroma, as Tiny-ImageNet-C was stored
    #[value(alias = "jpeg-q85")]
    Jpeg,
}

/// The name of a data set: a path that is there is pictures of one's own.
fn of_path(name: &str) -> String {
    match Path::new(name).exists() && NAMES.iter().all(|known| known != &name) {
        true => format!("{PICTURES}{name}"),
        false => name.to_owned(),
    }
}

/// What was written, for people and for `--json`.
struct Written {
    kind: &'static str,
    parts: Vec<Part>,
    json: Value,
}

impl Written {
    fn files(written: &[rlnet_corruptions::archive::Written]) -> Self {
        let parts = written.iter().map(|file| Part {
            name: file.name.to_owned(),
            is_new: file.made,
            md5: file.md5.clone(),
        });
        Self {
            kind: "file",
            parts: parts.collect(),
            json: serde_json::to_value(written).unwrap_or_default(),
        }
    }
}

/// A file, or a folder of one severity.
struct Part {
    name: String,
    /// Whether it was written now.
    is_new: bool,
    md5: String,
}

/// What to write.
#[derive(Clone, Copy)]
struct Selection<'a> {
    corruptions: &'a [Corruption],
    severities: &'a [u8],
    seed: u64,
}

impl Generate {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        // Required, but only where there is no subcommand, which clap's types cannot say.
        let (Some(name), Some(out)) = (&self.dataset, &self.out) else {
            return Err(Error::Usage(
                "name a data set and --out, see rlnet corrupt --help".into(),
            ));
        };
        let corruptions = match (self.family, &self.names) {
            (Some(Kin::Sequences), _) => Vec::new(),
            (Some(Kin::Corruptions(family)), None) => family.corruptions().to_vec(),
            (Some(Kin::Corruptions(family)), Some(names)) => {
                return Err(Error::Usage(format!(
                    "--family {family} and --names {names}: name a family or its members, not both"
                )));
            }
            (None, chosen) => names(chosen.as_deref().unwrap_or("all"))?,
        };
        let seed = global.seed.unwrap_or(0);
        let selection = Selection {
            corruptions: &corruptions,
            severities: &severities(&self.severity)?,
            seed,
        };
        let source = match self.rng {
            Rng::Keyed => Source::Keyed { seed },
            Rng::Numpy => Source::Numpy {
                seed: u32::try_from(seed)
                    .map_err(|_| Error::Usage(format!("--seed {seed}: NumPy takes 0 to 4294967295")))?,
            },
        };
        let generator = self.options.generator(None)?;
        let name = &self.pictures.on(&of_path(name))?;
        let mut data = test_images(name, global, self.limit)?;
        if let (Some(images), None) = (&self.images, &data.tree) {
            return Err(Error::Usage(format!(
                "--images {images}: {name} becomes .npy files, in which an image is known by its row; leave it out, or take \
                 the first ones with --limit"
            )));
        }
        if let Some(images) = &self.images {
            data.test = chosen(name, &data.test, images)?;
        }
        let written = match &data.tree {
            _ if matches!(self.family, Some(Kin::Sequences)) => {
                self.sequences(&generator, &data, source, out)?
            }
            Some(tree) => self.tree(&generator, &data, tree, selection, out)?,
            None => self.arrays(&generator, &data, selection, source, out)?,
        };
        let seconds = started.elapsed().as_secs_f64();
        let new = written.parts.iter().filter(|part| part.is_new).count();
        if global.json {
            print_json(&json!({
                "folder": out,
                "dataset": name,
                "images": data.test.len(),
                "generator": generator.describe(),
                "source": source,
                "files": written.json,
                "made": new,
                "seconds": seconds,
            }));
            return Ok(());
        }
        if data.classes.is_empty() && data.tree.is_none() {
            outln!("labels.npy holds zeros: the images came without labels");
        }
        for Part { name, is_new, md5 } in &written.parts {
            let state = if *is_new { "made" } else { "found" };
            outln!("{name:<18} {state:<6} MD5 {md5}");
        }
        let found = written.parts.len() - new;
        outln!(
            "{}: {} made, {found} found finished, {}{}, {seconds:.1} s\n\
             This is a generated set, not the official archive: state this where you use it.",
            out.display(),
            count(new, written.kind),
            count(data.test.len(), "image"),
            if corruptions.is_empty() { "" } else { " a severity" },
        );
        Ok(())
    }

    /// The layout of CIFAR-10-P.
    fn sequences(
        &self,
        generator: &Generator,
        data: &Dataset,
        source: Source,
        out: &Path,
    ) -> Result<Written> {
        let text = self.names.as_deref().unwrap_or("all");
        let chosen: Vec<Sequence> = match text {
            "all" => Sequence::published().to_vec(),
            _ => {
                let names = text.split(',').map(|name| name.trim().parse());
                names
                    .collect::<rlnet_corruptions::Result<_>>()
                    .map_err(|why| input("--names", why))?
            }
        };
        if self.severity != "1-5" || self.format.is_some() {
            return Err(Error::Usage(
                "--family p: a sequence has frames, not severities, and is a .npy file; leave --severity and \
                 --format out"
                    .into(),
            ));
        }
        if (data.test.size, data.test.size) != (32, 32) {
            return Err(Error::Usage(format!(
                "--family p: the sequences of CIFAR-10-P are defined for images of 32 x 32 pixels, not of {0} x {0}",
                data.test.size
            )));
        }
        open_folder(out)?;
        // Labels are not written; only their number matters.
        let labels = vec![0; data.test.len()];
        let mut bar: Option<(Progress, u64)> = None;
        let written = generate_sequences(
            generator,
            &dataset(&data.test, &labels),
            out,
            &chosen,
            source,
            &mut |sequence, done, total| {
                let (bar, before) =
                    bar.get_or_insert_with(|| (Progress::new("corrupt", "sequences", total, 0), 0));
                bar.advance(done - *before, || sequence);
                *before = done;
            },
        )
        .map_err(while_writing)?;
        if let Some((bar, _)) = bar {
            bar.finish();
        }
        Ok(Written::files(&written))
    }

    /// The layout of CIFAR-10-C.
    fn arrays(
        &self,
        generator: &Generator,
        data: &Dataset,
        selection: Selection<'_>,
        source: Source,
        out: &Path,
    ) -> Result<Written> {
        if selection.severities != [1, 2, 3, 4, 5] {
            return Err(Error::Usage(format!(
                "--severity {}: a file of the official layout holds all five severities; leave the \
                 option out and read the rows you need (severity s is rows N(s-1) to Ns-1)",
                self.severity
            )));
        }
        if self.format.is_some() {
            return Err(Error::Usage(format!(
                "--format: {} is stored as .npy files, not as image files; leave the option out",
                data.name
            )));
        }
        let labels = byte_labels(&data.test)?;
        open_folder(out)?;
        let mut bar: Option<Progress> = None;
        let mut before = 0;
        let images = dataset(&data.test, &labels);
        let written = generate_archive(
            generator,
            &images,
            out,
            selection.corruptions,
            source,
            &mut |at| {
                let bar = bar.get_or_insert_with(|| {
                    before = at.kept;
                    Progress::new("corrupt", "images", at.total, at.kept)
                });
                bar.advance(at.done - before, || format!("{}/{}", at.corruption, at.severity));
                before = at.done;
            },
        )
        .map_err(while_writing)?;
        if let Some(bar) = bar {
            bar.finish();
        }
        Ok(Written::files(&written))
    }

    /// The layout of Tiny-ImageNet-C.
    fn tree(
        &self,
        generator: &Generator,
        data: &Dataset,
        tree: &Tree,
        selection: Selection<'_>,
        out: &Path,
    ) -> Result<Written> {
        if self.rng == Rng::Numpy {
            return Err(Error::Usage(
                "--rng numpy: the script of Tiny-ImageNet-C draws in six processes that share one state, \
                 so there is no one stream to follow; use --rng keyed"
                    .into(),
            ));
        }
        open_folder(out)?;
        let severities: Vec<Severity> = selection
            .severities
            .iter()
            .filter_map(|&s| Severity::new(s).ok())
            .collect();
        let test = &data.test;
        // Pictures that are files are read for every corruption: the work is more than the reading.
        let load = |at: usize| {
            let pixels = test.image(at).map_err(|why| Refused::Decode(why.to_string()))?;
            Image::from_raw(test.size, test.size, pixels.into_owned())
        };
        let images: Vec<FolderImage<'_>> = (0..test.len())
            .map(|at| FolderImage {
                class: &tree.folders[usize::from(test.labels[at])],
                name: &tree.names[test.indices[at] as usize],
                index: u64::from(test.indices[at]),
            })
            .collect();
        let content = TreeContent {
            images: &images,
            load: &load,
            corruptions: selection.corruptions,
            severities: &severities,
            seed: selection.seed,
            format: match self.format {
                Some(Format::Jpeg) => TreeFormat::Jpeg85,
                _ => TreeFormat::Png,
            },
        };
        let total = (selection.corruptions.len() * severities.len() * images.len()) as u64;
        let bar = Mutex::new((Progress::new("corrupt", "images", total, 0), 0));
        let levels = generate_folders(generator, &content, out, &|level, done, _| {
            // Threads arrive out of order; the bar only moves forwards.
            if let Ok(mut bar) = bar.lock()
                && done > bar.1
            {
                let step = done - bar.1;
                bar.1 = done;
                bar.0.advance(step, || level);
            }
        })
        .map_err(while_writing)?;
        if let Ok((bar, _)) = bar.into_inner() {
            bar.finish();
        }
        let parts = levels.iter().map(|level| Part {
            name: level.name.clone(),
            is_new: level.made,
            md5: level.md5.clone(),
        });
        Ok(Written {
            kind: "folder",
            parts: parts.collect(),
            json: serde_json::to_value(&levels).unwrap_or_default(),
        })
    }
}
