//! `rlnet corrupt`: corrupted test sets in the official layouts, their check, and a preview.

mod generate;
mod preview;
mod verify;

use crate::data::{Dataset as Loaded, LoadOptions, Split, load_with};
use crate::error::{Error, Result};
use crate::request::Global;
use crate::request::conditions::corruptions;
use clap::{Args, Subcommand};
use rlnet_corruptions::archive::Dataset;
use rlnet_corruptions::{Corruption, Error as Refused, Generator, Options, ParameterSet, Stack, Textures};
use std::path::PathBuf;

/// Write a corrupted test set in the official layout, check one, or preview all corruptions
///
/// Example: rlnet corrupt cifar10 --out cifar10-generated --names brightness,fog
///
/// Example: rlnet corrupt cifar10 --out CIFAR-10-C-Bar --family c-bar
///
/// Example: rlnet corrupt cifar10 --out CIFAR-10-P --family p
///
/// Example: rlnet corrupt tiny-imagenet --out tiny-generated --names benchmark
///
/// Example: rlnet corrupt images.npy --out corrupted --names fog
///
/// Example: rlnet corrupt photographs --resize 256 --crop 224 --format jpeg --out corrupted
///
/// For cifar10, cifar100, shapes, arrays and Parquet files it writes one NAME.npy for each corruption (uint8, 5N x 32 x 32 x
/// 3, severity after severity) and labels.npy. For tiny-imagenet and folders of pictures it writes a
/// tree of image files, NAME/SEVERITY/CLASS/PICTURE. Both get a provenance.json. The same command
/// again writes only what is missing.
///
/// A generated set is not the official archive. The eight corruptions without random numbers are
/// equal byte for byte (CIFAR, stack release, all test images). The eleven others were published
/// without a seed, so a generated file can match them in distribution only. Always state which one
/// you used, and never mix both in a table.
///
/// CIFAR-10-C-bar (--family c-bar) has no official archive: everybody generates it. Its labels.npy
/// holds 64-bit integers, as its script writes them.
///
/// CIFAR-10-P (--family p) is one NAME.npy for each sequence, N x frames x 32 x 32 x 3, without labels. Its
/// script had no seed. With --rng numpy every file starts from --seed anew (gaussian_noise: PyTorch's
/// generator). Stronger noise, which is not part of it, is gaussian_noise_2 and so on in --names.
///
/// Tiny-ImageNet-C itself cannot be generated, for three reasons. Its files were stored as JPEG
/// (quality 85, halved chroma) after the corruption, which is a second corruption that other decoders
/// read differently; this program writes lossless PNG unless you choose --format jpeg. Its images
/// are not those of Tiny-ImageNet's val set but ImageNet validation images, cut to their bounding
/// boxes and shrunk; users measured accuracies about 10 points apart on the two. And there are two
/// archives: Zenodo records 2536630 and 8206060 hold Tiny-ImageNet-C.tar, the older 2469796 holds
/// TinyImageNet-C.tar; state which one a number is from.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct CorruptCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    generate: generate::Generate,
}

#[derive(Debug, Subcommand)]
enum Action {
    Verify(verify::Verify),
    Preview(preview::Preview),
}

/// What decides the bytes of a corrupted image.
#[derive(Debug, Args)]
struct GeneratorOptions {
    /// Library versions to reproduce: release (those of the published files) or modern (those of 2023)
    #[arg(long, default_value = "release")]
    stack: Stack,
    /// Folder of the reference's frost photographs (default: procedural textures)
    #[arg(long, value_name = "DIR")]
    frost_textures: Option<PathBuf>,
}

impl CorruptCommand {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        if let Some(threads) = global.threads {
            // Refused only when a pool is there already, which then does as well.
            let _ = rayon::ThreadPoolBuilder::new()
                .num_threads(threads.into())
                .build_global();
        }
        match &self.action {
            Some(Action::Verify(verify)) => verify.run(global),
            Some(Action::Preview(preview)) => preview.run(global),
            None => self.generate.run(global),
        }
    }
}

impl GeneratorOptions {
    fn generator(&self, parameters: Option<ParameterSet>) -> Result<Generator> {
        let textures = match &self.frost_textures {
            Some(folder) => Textures::from_dir(folder).map_err(|why| input("--frost-textures", why))?,
            None => Textures::default(),
        };
        Ok(Generator::new(Options {
            stack: self.stack,
            textures,
            parameters,
        }))
    }
}

/// The corruptions named, each once, in the order given.
fn names(text: &str) -> Result<Vec<Corruption>> {
    let mut names = Vec::new();
    for name in corruptions(text)? {
        if let Some(sequence) = rlnet_suites::corruption::sequence(&name) {
            return Err(Error::Usage(format!(
                "--names {text}: {sequence} is a sequence; write --family p --names {sequence}"
            )));
        }
        let corruption: Corruption = name.parse().map_err(|why| input("--names", why))?;
        if !names.contains(&corruption) {
            names.push(corruption);
        }
    }
    if names.is_empty() {
        return Err(Error::Usage(format!(
            "--names {text}: name at least one corruption"
        )));
    }
    Ok(names)
}

/// A data set with its first `limit` test images, and no training images where that saves work.
fn test_images(name: &str, global: &Global, limit: Option<u32>) -> Result<Loaded> {
    let options = LoadOptions {
        test_only: true,
        ..LoadOptions::default()
    };
    let mut all = load_with(name, &global.data_dir(), options)?;
    match limit {
        Some(n) if n as usize > all.test.len() => {
            return Err(Error::Usage(format!(
                "--limit {n}: {name} has {} test images",
                all.test.len()
            )));
        }
        Some(n) => all.test = all.test.take(n as usize),
        None => {}
    }
    Ok(all)
}

/// Labels as the layout stores them, one byte each.
fn byte_labels(test: &Split) -> Result<Vec<u8>> {
    let narrow = |&label: &u16| u8::try_from(label);
    let labels: std::result::Result<_, _> = test.labels.iter().map(narrow).collect();
    labels.map_err(|_| Error::Usage("the official layout holds labels below 256 only".into()))
}

fn dataset<'a>(test: &'a Split, labels: &'a [u8]) -> Dataset<'a> {
    Dataset {
        images: &test.images,
        labels,
        size: (test.size, test.size),
    }
}

fn input(what: &str, why: Refused) -> Error {
    Error::Usage(format!("{what}: {why}"))
}

/// A refusal of the operating system while files are written is a failure of the work; any other
/// error is about the input.
fn while_writing(why: Refused) -> Error {
    match why {
        Refused::Io { path, source } => Error::writing(&path, &source),
        other => input("corrupt", other),
    }
}
