//! A run's corrupted images: what the suite says of them, what the command line adds, what that
//! means for cells' identities and records.

use super::Prepared;
use crate::error::{Error, Problem, Result};
use crate::eval::CorruptedImages;
use crate::eval::corrupted::{Files, Wanted};
use crate::progress::{Progress, announce};
use rayon::prelude::*;
use rlnet_corruptions::archive::{Dataset, Source, generate_archive, made_by};
use rlnet_corruptions::{Generator, Image, Options, Severity, Textures};
use rlnet_suites::corrupted::{Draws, Frost, Origin};
use rlnet_suites::corruption::sequence;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::{AttackSpec, Condition, Corrupted, EvalRequest, EvaluateSpec};
use serde_json::json;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders named on the command line.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// Corrupted images to read.
    pub corrupted: Option<PathBuf>,
    /// The reference's frost photographs.
    pub frost: Option<PathBuf>,
}

/// Where the corrupted images of a run come from.
pub struct CorruptedSource {
    generator: Generator,
    draws: Draws,
    asked: EvalRequest,
    made: CorruptedImages,
    read: Option<Archive>,
    /// The written-out images of a NumPy stream.
    stream: OnceCell<CorruptedImages>,
}

struct Archive {
    folder: PathBuf,
    images: CorruptedImages,
    files: Files,
}

impl CorruptedSource {
    /// Brings suite and command line together, and opens and checks an archive that is read.
    ///
    /// # Errors
    /// When they contradict each other, a texture is not the original, or the archive does not
    /// hold what is asked for.
    pub fn new(settings: Corrupted, folders: &Folders, asked: &EvalRequest, data: &Prepared) -> Result<Self> {
        let mut source = Self::without_files(settings, folders, asked)?;
        if let (Origin::Official, Some(folder)) = (settings.origin, &folders.corrupted) {
            let wanted = Wanted {
                test: &data.test,
                dataset: &data.name,
                tree: data.tree.as_ref(),
                corruptions: &asked.corruptions,
                severities: &asked.severities,
            };
            let (images, files) = CorruptedImages::open(folder, &wanted)?;
            let official = files.values().filter(|files| files.official).count();
            if official < files.len() {
                announce(&format!(
                    "{}: {} of {} corruptions do not have published checksums{}; the report says so",
                    folder.display(),
                    files.len() - official,
                    files.len(),
                    made_by(folder)
                        .map_or_else(String::new, |how| format!(" (made by rlnet corrupt: {how})")),
                ));
            }
            source.read = Some(Archive {
                folder: folder.clone(),
                images,
                files,
            });
        }
        Ok(source)
    }

    fn without_files(settings: Corrupted, folders: &Folders, asked: &EvalRequest) -> Result<Self> {
        let refuse = |why: &str| Err(Error::Usage(why.to_owned()));
        match (settings.origin, &folders.corrupted) {
            (Origin::Official, None) if !asked.corruptions.is_empty() => {
                return refuse(
                    "evaluation.corrupted is \"official\": corrupted images are read, not made; name \
                     their folder with --corrupted-dir DIR (the unpacked CIFAR-10-C, CIFAR-100-C or \
                     Tiny-ImageNet-C, or what rlnet corrupt made)",
                );
            }
            (Origin::Generated, Some(_)) => {
                return refuse(
                    "--corrupted-dir: the suite generates its corrupted images; to read them, add --set \
                     evaluation.corrupted=official",
                );
            }
            (_, Some(_)) if asked.corruptions.is_empty() => {
                return refuse("--corrupted-dir: no corruptions are asked for; add --corruptions all");
            }
            _ => {}
        }
        if settings.origin == Origin::Official && folders.frost.is_some() {
            return refuse(
                "--frost-textures: corrupted images are read here, not made; leave the option out",
            );
        }
        if settings.frost == Frost::Original && folders.frost.is_none() {
            return refuse(
                "evaluation.frost is \"original\": name the folder of the reference's photographs \
                 (frost1.png to frost5.jpg) with --frost-textures DIR",
            );
        }
        if settings.origin == Origin::Official || settings.draws == Draws::Numpy {
            for attack in &asked.attacks {
                let Some((name, severity)) = attack.base() else {
                    continue;
                };
                if !asked.corruptions.iter().any(|asked| asked == name)
                    || !asked.severities.contains(&severity)
                {
                    return Err(Error::Usage(format!(
                        "{attack} starts from {name}/{severity}, which is not among the corruptions asked \
                         for; ask for it too, or for another image to attack"
                    )));
                }
            }
        }
        if let Some(name) = asked.corruptions.iter().find(|name| sequence(name).is_some())
            && settings.origin == Origin::Generated
            && settings.draws == Draws::Numpy
        {
            return Err(Error::Usage(format!(
                "evaluation.rng is \"numpy\", and {name} is a sequence: make an archive (rlnet corrupt DATASET \
                 --family p --rng numpy --out DIR) and read it (evaluation.corrupted = \"official\"), or use keyed \
                 draws"
            )));
        }
        if settings.draws == Draws::Numpy && u32::try_from(asked.seed).is_err() {
            return Err(Error::Usage(format!(
                "seed {}: a NumPy stream takes 0 to {}",
                asked.seed,
                u32::MAX
            )));
        }
        let generator = generator(settings, folders)?;
        Ok(Self {
            made: CorruptedImages::Generated {
                generator: Box::new(generator.clone()),
                seed: asked.seed,
            },
            generator,
            draws: settings.draws,
            asked: asked.clone(),
            read: None,
            stream: OnceCell::new(),
        })
    }

    /// What plans need to know, for these images.
    pub fn context(&self, data: &Prepared) -> PlanContext {
        let description = self.generator.describe();
        let mut setup = format!("{}/{}", description.stack, description.textures);
        if self.draws == Draws::Numpy {
            // Every draw depends on what was drawn before it.
            setup += &format!("/numpy stream over {}", self.asked.corruptions.join(","));
        }
        PlanContext {
            classes: Some(data.classes.len()),
            whole: Some(data.whole),
            data_checksum: data.checksum.clone(),
            other_data: data.other_checksums(),
            corruptions_version: rlnet_corruptions::VERSION,
            corruptions_setup: setup,
            corrupted_files: self
                .read
                .as_ref()
                .map_or_else(Files::new, |read| read.files.clone()),
        }
    }

    /// Whether [`images`](Self::images) would write files for a family of conditions.
    pub fn writes(&self, spec: &EvaluateSpec) -> bool {
        spec.conditions.first().is_some_and(Condition::is_corrupted)
            && self.read.is_none()
            && self.draws == Draws::Numpy
            && self.stream.get().is_none()
    }

    /// The images for a family of conditions. A NumPy stream is first written out to `folder`,
    /// where an earlier process may have finished some of it.
    ///
    /// # Errors
    /// When the images of a stream cannot be made or written.
    pub fn images(&self, spec: &EvaluateSpec, folder: &Path, data: &Prepared) -> Result<&CorruptedImages> {
        if !spec.conditions.first().is_some_and(Condition::is_corrupted) {
            return Ok(&self.made);
        }
        if let Some(read) = &self.read {
            return Ok(&read.images);
        }
        if self.draws == Draws::Keyed {
            return Ok(&self.made);
        }
        if let Some(written) = self.stream.get() {
            return Ok(written);
        }
        let written = self.write_stream(folder, data)?;
        Ok(self.stream.get_or_init(|| written))
    }

    fn write_stream(&self, folder: &Path, data: &Prepared) -> Result<CorruptedImages> {
        let loaded;
        let test = match data.test.files {
            Some(_) => {
                loaded = data.test.clone().loaded()?;
                &loaded
            }
            None => &data.test,
        };
        let corruptions = self.asked.corruptions.iter().map(|name| name.parse());
        let corruptions: Vec<_> = corruptions
            .collect::<rlnet_corruptions::Result<_>>()
            .map_err(|why| Error::Corrupted(why.to_string()))?;
        let labels: std::result::Result<Vec<u8>, _> = test.labels.iter().map(|&l| u8::try_from(l)).collect();
        let labels = labels.map_err(|_| {
            Error::Usage("a NumPy stream is stored with labels below 256; use rng = \"keyed\"".into())
        })?;
        let dataset = Dataset {
            images: &test.images,
            labels: &labels,
            size: (test.size, test.size),
        };
        // Checked when the source was resolved.
        let seed = u32::try_from(self.asked.seed).unwrap_or_default();
        announce(&format!(
            "writing the NumPy stream's images to {}",
            folder.display()
        ));
        let total = 5 * (test.len() * corruptions.len()) as u64;
        let bar = Progress::new("corrupt", "images", total, 0);
        let mut before = 0;
        let source = Source::Numpy { seed };
        generate_archive(
            &self.generator,
            &dataset,
            folder,
            &corruptions,
            source,
            &mut |at| {
                bar.advance(at.done - before, || format!("{}/{}", at.corruption, at.severity));
                before = at.done;
            },
        )
        .map_err(|why| match why {
            rlnet_corruptions::Error::Io { path, source } => Error::writing(&path, &source),
            other => Error::Corrupted(other.to_string()),
        })?;
        bar.finish();
        let wanted = Wanted {
            test,
            dataset: &data.name,
            tree: None,
            corruptions: &self.asked.corruptions,
            severities: &self.asked.severities,
        };
        Ok(CorruptedImages::open(folder, &wanted)?.0)
    }

    /// What a record says of how the images of a family of conditions were made: JSON, empty
    /// where nothing was corrupted.
    ///
    /// # Errors
    /// Never in practice.
    pub fn describe(&self, spec: &EvaluateSpec) -> Result<String> {
        if !spec.conditions.first().is_some_and(Condition::is_corrupted) {
            return Ok(String::new());
        }
        let failed = |error: serde_json::Error| Error::internal(error);
        let description = match (&self.read, &spec.files) {
            (Some(read), Some(files)) => json!({
                "source": if files.official { "official" } else { "archive" },
                "folder": read.folder,
                "files": files.checksums,
                "made_by": made_by(&read.folder),
            }),
            _ => {
                let mut description = serde_json::to_value(self.generator.describe()).map_err(failed)?;
                description["source"] = "generated".into();
                description["rng"] = match self.draws {
                    Draws::Keyed => "keyed".into(),
                    Draws::Numpy => "numpy stream".into(),
                };
                description
            }
        };
        serde_json::to_string(&description).map_err(failed)
    }
}

/// Refuses corruptions that are not defined for images of this side, where images are made: those of
/// the request, and those that its attacks start from.
///
/// # Errors
/// Says which, why, and which of them can be made.
pub fn check_size(
    settings: Corrupted,
    request: &EvalRequest,
    side: usize,
) -> std::result::Result<(), Problem> {
    if settings.origin == Origin::Official {
        return Ok(());
    }
    let generator = Generator::new(Options {
        stack: settings.stack,
        ..Options::default()
    });
    let blank = Image::from_raw(side, side, vec![0; 3 * side * side]).map_err(|why| why.to_string())?;
    let refused = |name: &str, severity: u8| {
        if let Some(sequence) = sequence(name) {
            let first = generator.sequences(sequence).frames(0..1);
            return first
                .run(blank.data(), (side, side), &mut vec![0; blank.data().len()])
                .err();
        }
        let (corruption, level) = (name.parse().ok()?, Severity::new(severity).ok()?);
        generator.corrupt_keyed(&blank, corruption, level, 0, 0).err()
    };
    let of_request = request.corruptions.iter().flat_map(|name| {
        let severities = request.severities.iter();
        severities.map(move |&severity| (name.as_str(), severity))
    });
    let of_attacks = request.attacks.iter().filter_map(AttackSpec::base);
    let asked: Vec<(&str, u8)> = of_request.chain(of_attacks).collect();
    let tried: Vec<(&str, Option<rlnet_corruptions::Error>)> = asked
        .par_iter()
        .map(|&(name, severity)| (name, refused(name, severity)))
        .collect();
    let Some(first) = tried.iter().find_map(|(_, why)| why.as_ref()) else {
        return Ok(());
    };
    let bad: BTreeSet<&str> = tried
        .iter()
        .filter_map(|(name, why)| why.as_ref().map(|_| *name))
        .collect();
    let fine: BTreeSet<&str> = asked
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !bad.contains(name))
        .collect();
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    let why = match first {
        rlnet_corruptions::Error::NoParameterSet { .. } => {
            "parameters are published for 32, 64 and 224 pixels only".to_owned()
        }
        rlnet_corruptions::Error::Unsupported { why, .. } => why.clone(),
        other => other.to_string(),
    };
    let cure = if fine.is_empty() {
        "leave them out, or resize the images".to_owned()
    } else {
        format!("leave them out and keep {}", list(&fine))
    };
    let bad = list(&bad);
    Err(format!("images of {side} x {side} pixels cannot be corrupted by {bad}: {why}; {cure}").into())
}

fn generator(settings: Corrupted, folders: &Folders) -> Result<Generator> {
    let textures = match &folders.frost {
        Some(folder) => {
            Textures::from_dir(folder).map_err(|why| Error::Corrupted(format!("--frost-textures: {why}")))?
        }
        None => Textures::default(),
    };
    Ok(Generator::new(Options {
        stack: settings.stack,
        textures,
        parameters: None,
    }))
}
