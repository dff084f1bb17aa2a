//! `rlnet corrupt`: corrupted test sets in the official layout, their check, a picture.

use super::eval::{corruptions, severities};
use super::global::Global;
use super::{say, say_json};
use crate::data::{Split, load};
use crate::error::{Error, Result};
use crate::progress::{Progress, announce};
use clap::{Args, Subcommand, ValueEnum};
use rlnet_corruptions::archive::{
    Dataset, Difference, FileStatus, Published, Source, Status, compare_regenerated, contact_sheet,
    generate_archive, verify_dir, write_png,
};
use rlnet_corruptions::{
    Corruption, Error as Refused, Generator, Image, Options, ParameterSet, Stack, Textures,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Write a corrupted test set in the official layout; check one; a picture of all corruptions
///
/// One NAME.npy a corruption (uint8, 5N x 32 x 32 x 3, severity after severity), labels.npy and
/// provenance.json. The same command again makes only what is missing.
///
/// A generated set is not the official archive. The eight corruptions without random draws come
/// out byte for byte (stack release, all test images); the eleven others were published without
/// a seed, so a generated file can match those in distribution only. Say which one was used, and
/// never mix both in a table. Tiny-ImageNet-C cannot be generated: its source images are crops of
/// ImageNet's validation images, not Tiny-ImageNet's val set, and were stored as JPEG files.
///
/// Example: rlnet corrupt cifar10 --out cifar10-generated --names brightness,fog
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct CorruptCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    make: Make,
}

#[derive(Debug, Subcommand)]
enum Action {
    Verify(Verify),
    Preview(Preview),
}

#[derive(Debug, Args)]
struct Make {
    /// cifar10, cifar100 or shapes
    #[arg(required = true)]
    dataset: Option<String>,
    /// Folder to write to
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// benchmark (15), all (19), extra (4), or names with commas
    #[arg(long, default_value = "all")]
    names: String,
    /// The official layout holds all five: 1-5
    #[arg(long, default_value = "1-5")]
    severity: String,
    /// Where random draws come from (their seed is --seed, default 0)
    #[arg(long, value_enum, default_value = "keyed")]
    rng: Rng,
    /// Use only the first N test images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    look: Look,
}

/// What changes the bytes of any corrupted image.
#[derive(Debug, Args)]
struct Look {
    /// Libraries to imitate: release (those of the published files) or modern (of 2023)
    #[arg(long, default_value = "release")]
    stack: Stack,
    /// Folder of the reference's frost photographs (default: pictures made by a formula)
    #[arg(long, value_name = "DIR")]
    frost_textures: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rng {
    /// A generator for every image: parallel, and any part can be made alone
    Keyed,
    /// One NumPy stream over everything, as the reference script draws: serial
    Numpy,
}

/// Compare a folder with the published checksums, file by file
///
/// Exit code 1 when a file that is there differs. With the data set at hand, a file without
/// random draws that differs is also compared with a regeneration. Files of the eleven random
/// corruptions equal the published ones only if they are the published ones.
///
/// Example: rlnet corrupt verify CIFAR-10-C --against cifar10-c
#[derive(Debug, Args)]
struct Verify {
    /// Folder of .npy files
    folder: PathBuf,
    /// cifar10-c or cifar100-c (default: the one whose labels.npy is there, else cifar10-c)
    #[arg(long, value_name = "ARCHIVE")]
    against: Option<Published>,
}

/// Draw an image under all 19 corruptions (rows) at all 5 severities (columns)
///
/// Example: rlnet corrupt preview --dataset shapes --index 3 --out sheet.png
#[derive(Debug, Args)]
struct Preview {
    /// A PNG or JPEG file of 32x32, 64x64 or 224x224 pixels
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "dataset",
        conflicts_with = "dataset"
    )]
    image: Option<PathBuf>,
    /// A data set to take a test image of
    #[arg(long)]
    dataset: Option<String>,
    /// Which test image
    #[arg(long, value_name = "N", default_value_t = 0, requires = "dataset")]
    index: usize,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Severity numbers for an image of another size: cifar, tiny-imagenet or imagenet
    #[arg(long, value_name = "SET")]
    parameters: Option<ParameterSet>,
    #[command(flatten)]
    look: Look,
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
            None => self.make.run(global),
        }
    }
}

impl Look {
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

impl Make {
    fn run(&self, global: &Global) -> Result<()> {
        let started = Instant::now();
        // Required, but only where there is no subcommand, which clap's types cannot say.
        let (Some(name), Some(out)) = (&self.dataset, &self.out) else {
            return Err(Error::Input(
                "name a data set and --out, see rlnet corrupt --help".into(),
            ));
        };
        let names = names(&self.names)?;
        if severities(&self.severity)? != [1, 2, 3, 4, 5] {
            return Err(Error::Input(format!(
                "--severity {}: a file of the official layout holds all five severities; leave the \
                 option out and read the rows you need (severity s is rows N(s-1) to Ns-1)",
                self.severity
            )));
        }
        let seed = global.seed.unwrap_or(0);
        let source = match self.rng {
            Rng::Keyed => Source::Keyed { seed },
            Rng::Numpy => Source::Numpy {
                seed: u32::try_from(seed)
                    .map_err(|_| Error::Input(format!("--seed {seed}: NumPy takes 0 to 4294967295")))?,
            },
        };
        let generator = self.look.generator(None)?;
        let test = test_images(name, global, self.limit)?;
        let labels = byte_labels(&test)?;

        let mut bar: Option<Progress> = None;
        let mut before = 0;
        let written = generate_archive(
            &generator,
            &dataset(&test, &labels),
            out,
            &names,
            source,
            &mut |at| {
                let bar = bar.get_or_insert_with(|| {
                    before = at.kept;
                    Progress::new("corrupt", "images", at.total, at.kept)
                });
                bar.advance(at.done - before, &format!("{}/{}", at.corruption, at.severity));
                before = at.done;
            },
        )
        .map_err(while_writing)?;
        if let Some(bar) = bar {
            bar.finish();
        }
        let seconds = started.elapsed().as_secs_f64();
        let made = written.iter().filter(|file| file.made).count();
        if global.json {
            say_json(&json!({
                "folder": out,
                "dataset": name,
                "images": test.len(),
                "generator": generator.describe(),
                "source": source,
                "files": written,
                "made": made,
                "seconds": seconds,
            }));
            return Ok(());
        }
        for file in &written {
            let state = if file.made { "made" } else { "found" };
            say(&format!("{:<18} {state:<6} MD5 {}", file.name, file.md5));
        }
        let found = written.len() - made;
        say(&format!(
            "{}: {made} files made, {found} found finished, {} images a severity, {seconds:.1} s\n\
             This is a generated set, not the official archive: say so where you use it.",
            out.display(),
            test.len()
        ));
        Ok(())
    }
}

impl Verify {
    fn run(&self, global: &Global) -> Result<()> {
        let published = self
            .against
            .or_else(|| Published::of_folder(&self.folder))
            .unwrap_or(Published::Cifar10C);
        let total = Published::names().count() as u64;
        let bar = Progress::new("verify", "files", total, 0);
        let report = verify_dir(&self.folder, published, &mut |name| bar.advance(1, name))
            .map_err(|why| input("verify", why))?;
        bar.finish();

        let differing = |file: &&FileStatus| matches!(file.status, Status::Differs { .. });
        let regenerable = |file: &FileStatus| {
            file.name
                .parse()
                .ok()
                .filter(|corruption: &Corruption| corruption.is_deterministic())
        };
        let source = report
            .iter()
            .filter(differing)
            .find_map(regenerable)
            .and_then(|_| {
                test_images(published.name().trim_end_matches("-c"), global, None)
                    .inspect_err(|why| announce(&format!("not compared with a regeneration: {why}")))
                    .ok()
            });
        let mut rows = Vec::new();
        for file in &report {
            let difference = match (&file.status, &source, regenerable(file)) {
                (Status::Differs { .. }, Some(test), Some(corruption)) => {
                    Some(compare(test, corruption, &self.folder)?)
                }
                _ => None,
            };
            rows.push(describe(file, difference));
        }
        let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
        let (equal, differ, missing) = (count("equal"), count("differs"), count("missing"));
        if global.json {
            say_json(&json!({"against": published.name(), "folder": self.folder, "files": rows}));
        } else {
            for row in &rows {
                let text = |key: &str| row[key].as_str().unwrap_or_default();
                say(format!("{:<18} {:<8} {}", text("name"), text("status"), text("note")).trim_end());
            }
            let name = published.name();
            say(&format!(
                "{name}: {equal} equal, {differ} differ, {missing} missing"
            ));
        }
        match differ {
            0 => Ok(()),
            _ => Err(Error::Work(format!(
                "{}: {differ} of {} files there are not those of {}",
                self.folder.display(),
                equal + differ,
                published.name()
            ))),
        }
    }
}

impl Preview {
    fn run(&self, global: &Global) -> Result<()> {
        let generator = self.look.generator(self.parameters)?;
        let image = match (&self.image, &self.dataset) {
            (Some(path), _) => {
                let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
                Image::decode(&bytes).map_err(|why| Error::reading(path, why))?
            }
            (None, name) => {
                let name = name.as_deref().unwrap_or("shapes");
                let test = test_images(name, global, None)?;
                if self.index >= test.len() {
                    let why = format!("--index {}: {name} has {} test images", self.index, test.len());
                    return Err(Error::Input(why));
                }
                Image::from_raw(test.size, test.size, test.image(self.index).to_vec())
                    .map_err(|why| input(name, why))?
            }
        };
        let sheet = contact_sheet(&generator, &image, global.seed.unwrap_or(0))
            .map_err(|why| input("preview", why))?;
        write_png(&sheet, &self.out).map_err(while_writing)?;
        let (width, height) = (sheet.width(), sheet.height());
        if global.json {
            say_json(&json!({"file": self.out, "width": width, "height": height}));
        } else {
            say(&format!(
                "{}: {width} x {height} pixels, 19 corruptions by 5 severities",
                self.out.display()
            ));
        }
        Ok(())
    }
}

/// The corruptions named, each once, in the order given.
fn names(text: &str) -> Result<Vec<Corruption>> {
    let mut names = Vec::new();
    for name in corruptions(text)? {
        let corruption: Corruption = name.parse().map_err(|why| input("--names", why))?;
        if !names.contains(&corruption) {
            names.push(corruption);
        }
    }
    if names.is_empty() {
        return Err(Error::Input(format!(
            "--names {text}: name at least one corruption"
        )));
    }
    Ok(names)
}

fn test_images(name: &str, global: &Global, limit: Option<u32>) -> Result<Split> {
    let all = load(name, &global.data_dir()).map_err(|error| Error::Input(error.to_string()))?;
    match limit {
        Some(n) if n as usize > all.test.len() => Err(Error::Input(format!(
            "--limit {n}: {name} has {} test images",
            all.test.len()
        ))),
        Some(n) => Ok(all.test.take(n as usize)),
        None => Ok(all.test),
    }
}

/// Labels as the layout stores them, one byte each.
fn byte_labels(test: &Split) -> Result<Vec<u8>> {
    let narrow = |&label: &u16| u8::try_from(label);
    let labels: std::result::Result<_, _> = test.labels.iter().map(narrow).collect();
    labels.map_err(|_| Error::Input("the official layout holds labels below 256 only".into()))
}

fn dataset<'a>(test: &'a Split, labels: &'a [u8]) -> Dataset<'a> {
    Dataset {
        images: &test.images,
        labels,
        size: (test.size, test.size),
    }
}

/// A corruption's file against a regeneration in the manner of the published files.
fn compare(test: &Split, corruption: Corruption, folder: &Path) -> Result<Difference> {
    let labels = byte_labels(test)?;
    let path = folder.join(format!("{corruption}.npy"));
    let (generator, source) = (Generator::default(), Source::Keyed { seed: 0 });
    compare_regenerated(&generator, &dataset(test, &labels), corruption, source, path)
        .map_err(|why| input("verify", why))
}

/// A verdict as a row: name, status, MD5s, and a note for people.
fn describe(file: &FileStatus, difference: Option<Difference>) -> Value {
    let random = file
        .name
        .parse::<Corruption>()
        .is_ok_and(|corruption| !corruption.is_deterministic());
    let (status, md5, mut note) = match &file.status {
        Status::Equal => ("equal", Some(file.expected), String::new()),
        Status::Missing => ("missing", None, String::new()),
        Status::Differs { md5 } => {
            let note = format!("MD5 {md5}, published {}", file.expected);
            ("differs", Some(md5.as_str()), note)
        }
        Status::Malformed { why } => ("differs", None, why.clone()),
    };
    if let Some(difference) = difference {
        note += &format!(
            "; {:.4} % of its bytes ({}) differ from a regeneration, by {} at most",
            100.0 * difference.fraction(),
            difference.differing,
            difference.largest
        );
    } else if random && status == "differs" {
        note += "; random draws, published without a seed: can match in distribution only";
    }
    json!({
        "name": file.name,
        "status": status,
        "md5": md5,
        "published": file.expected,
        "note": note,
        "differing_fraction": difference.map(|difference| difference.fraction()),
    })
}

fn input(what: &str, why: Refused) -> Error {
    Error::Input(format!("{what}: {why}"))
}

/// What the operating system refuses while files are made is the work's failure; the rest is
/// about what was asked for.
fn while_writing(why: Refused) -> Error {
    match why {
        Refused::Io { path, source } => Error::writing(&path, &source),
        other => input("corrupt", other),
    }
}
