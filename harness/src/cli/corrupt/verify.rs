//! `rlnet corrupt verify`: is this the published archive, or one that this program wrote?

use super::{byte_labels, dataset, input, test_images};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::progress::{Progress, announce};
use crate::request::Global;
use crate::terminal::{outln, print_json, print_line};
use clap::Args;
use rlnet_corruptions::archive::{
    Difference, FileStatus, PUBLISHED_TARS, Published, Source, Status, compare_regenerated, compare_sequence,
    made_by, md5_of, verify_dir, verify_own,
};
use rlnet_corruptions::{Generator, Options, Stack};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// Compare a folder with the published checksums, file by file
///
/// Example: rlnet corrupt verify CIFAR-10-C --against cifar10-c
///
/// The exit code is 1 if a file differs. If the data set is on this machine, a file without random
/// numbers that differs is also compared with a new generation. Files of the eleven random
/// corruptions are equal to the published ones only if they are the published ones.
///
/// A folder that rlnet corrupt wrote from other images (a tree of Tiny-ImageNet, only the first
/// images, shapes) is compared with the checksums in its own provenance.json, because none are
/// published. So is a CIFAR-10-C-bar that it wrote; for another one, it checks the labels, the form
/// of the files, and circular_motion_blur, the only one of the ten without random numbers.
/// Of CIFAR-10-P no checksum is published: its nine sequences without random numbers are made again, in
/// both stacks, and the other five are checked in form.
/// For Tiny-ImageNet-C only checksums of the packed archives are published: name the
/// .tar file.
#[derive(Debug, Args)]
pub struct Verify {
    /// Folder of .npy files or of image files, or a published .tar file
    folder: PathBuf,
    /// cifar10-c, cifar100-c, cifar10-c-bar or cifar10-p (default: the one with the same labels.npy or
    /// sequences, else cifar10-c)
    #[arg(long, value_name = "ARCHIVE")]
    against: Option<Published>,
}

impl Verify {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        if self.folder.is_file() {
            return self.packed(global);
        }
        let published = self.against.or_else(|| Published::of_folder(&self.folder));
        let no_checksums = matches!(
            published,
            None | Some(Published::Cifar10CBar | Published::Cifar10P)
        );
        if self.against.is_none() && no_checksums && made_by(&self.folder).is_some() {
            return self.own(global);
        }
        if published.is_none() && self.folder.join("fog").is_dir() {
            return Err(Error::Usage(format!(
                "verify: {} holds image files, of which no checksums are published; name the packed \
                 archive (Tiny-ImageNet-C.tar) instead",
                self.folder.display()
            )));
        }
        let published = published.unwrap_or(Published::Cifar10C);
        let names = published.names();
        let total = names.len() as u64;
        let bar = Progress::new("verify", "files", total, 0);
        let report = verify_dir(&self.folder, published, &mut |name| bar.advance(1, || name))
            .map_err(|why| input("verify", why))?;
        bar.finish();

        let compared =
            |file: &FileStatus| matches!(file.status, Status::Differs { .. } | Status::Unpublished { .. });
        let regenerable = |file: &FileStatus| published.can_be_made(file.name);
        let source = report
            .iter()
            .find(|file| compared(file) && regenerable(file))
            .and_then(|_| {
                test_images(published.dataset(), global, None)
                    .inspect_err(|why| announce(&format!("not compared with a regeneration: {why}")))
                    .ok()
            });
        let mut rows = Vec::new();
        for file in &report {
            let difference = match &source {
                Some(test) if compared(file) && regenerable(file) => {
                    Some(compare(&test.test, published, file.name, &self.folder)?)
                }
                _ => None,
            };
            rows.push(describe(
                file,
                difference,
                !regenerable(file) && file.name != "labels",
            ));
        }
        let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
        let (equal, differ, missing) = (count("equal"), count("differs"), count("missing"));
        let unpublished = count("unpublished");
        if missing == rows.len() {
            return Err(Error::Usage(format!(
                "verify: {} has not a single file of {} ({}.npy, labels.npy, ...); name the folder that they lie in",
                self.folder.display(),
                published.name(),
                names[0]
            )));
        }
        if global.json {
            print_json(&json!({"against": published.name(), "folder": self.folder, "files": rows}));
        } else {
            for row in &rows {
                let text = |key: &str| row[key].as_str().unwrap_or_default();
                print_line(format!("{:<18} {:<8} {}", text("name"), text("status"), text("note")).trim_end());
            }
            let name = published.name();
            let unpublished = match unpublished {
                0 => String::new(),
                count => format!(", {count} without a published checksum"),
            };
            outln!("{name}: {equal} equal, {differ} differ, {missing} missing{unpublished}");
        }
        match differ {
            0 => Ok(()),
            _ => Err(Error::Differs(format!(
                "{}: {differ} of {} files there are not those of {}",
                self.folder.display(),
                equal + differ + unpublished,
                published.name()
            ))),
        }
    }

    /// A folder that this program wrote, against its provenance.json.
    fn own(&self, global: &Global) -> Result<()> {
        let parts = verify_own(&self.folder, &mut |_| {}).map_err(|why| input("verify", why))?;
        let status = |same: &Option<bool>| match same {
            Some(true) => "equal",
            Some(false) => "differs",
            None => "missing",
        };
        let count = |wanted: &str| parts.iter().filter(|part| status(&part.1) == wanted).count();
        let (equal, differ, missing) = (count("equal"), count("differs"), count("missing"));
        let made = made_by(&self.folder).unwrap_or_default();
        if global.json {
            let rows = parts
                .iter()
                .map(|(name, same)| json!({"name": name, "status": status(same)}));
            let rows: Vec<Value> = rows.collect();
            print_json(
                &json!({"against": "provenance.json", "folder": self.folder, "made_by": made, "files": rows}),
            );
        } else {
            for (name, same) in &parts {
                outln!("{name:<22} {}", status(same));
            }
            outln!(
                "made by rlnet corrupt ({made}), not a published archive; against its own \
                 provenance.json: {equal} equal, {differ} differ, {missing} missing"
            );
        }
        match differ + missing {
            0 => Ok(()),
            _ => Err(Error::Differs(format!(
                "{}: {differ} parts differ from its provenance.json, {missing} are missing; make them \
                 again with the same rlnet corrupt command",
                self.folder.display()
            ))),
        }
    }

    /// A published archive as it was downloaded.
    fn packed(&self, global: &Global) -> Result<()> {
        let md5 = md5_of(&self.folder).map_err(|why| input("verify", why))?;
        let known = PUBLISHED_TARS.iter().find(|tar| tar.1 == md5);
        if global.json {
            let name = known.map(|tar| tar.0);
            print_json(&json!({"file": self.folder, "md5": md5, "published": name}));
        } else if let Some((name, _, record)) = known {
            outln!(
                "{}: equal to {name} of Zenodo record {record}",
                self.folder.display()
            );
        }
        match known {
            Some(_) => Ok(()),
            None => Err(Error::Differs(format!(
                "{}: MD5 {md5} is that of no published archive ({}); download it again",
                self.folder.display(),
                PUBLISHED_TARS.map(|tar| tar.0).join(", ")
            ))),
        }
    }
}

/// A file against a regeneration in the manner of the published files; of a sequence, against that of
/// the stack that is nearer, with its name where the stacks differ.
fn compare(
    test: &Split,
    published: Published,
    name: &str,
    folder: &Path,
) -> Result<(Difference, Option<Stack>)> {
    let labels = byte_labels(test)?;
    let path = folder.join(format!("{name}.npy"));
    let (images, source) = (dataset(test, &labels), Source::Keyed { seed: 0 });
    let failed = |why| input("verify", why);
    if published != Published::Cifar10P {
        let corruption = name.parse().map_err(failed)?;
        let found = compare_regenerated(&Generator::default(), &images, corruption, source, path);
        return Ok((found.map_err(failed)?, None));
    }
    let sequence = name.parse().map_err(failed)?;
    let under = |stack| {
        let generator = Generator::new(Options {
            stack,
            ..Options::default()
        });
        compare_sequence(&generator, &images, sequence, source, &path).map_err(failed)
    };
    let (release, modern) = (under(Stack::Release)?, under(Stack::Modern)?);
    Ok(match release.differing.cmp(&modern.differing) {
        Ordering::Less => (release, Some(Stack::Release)),
        Ordering::Equal => (release, None),
        Ordering::Greater => (modern, Some(Stack::Modern)),
    })
}

/// A verdict as a row: name, status, MD5s, and a note for people.
fn describe(file: &FileStatus, difference: Option<(Difference, Option<Stack>)>, random: bool) -> Value {
    let (status, md5, mut note) = match &file.status {
        Status::Equal => ("equal", file.expected, String::new()),
        Status::Missing => ("missing", None, String::new()),
        Status::Differs { md5 } => {
            let note = format!("MD5 {md5}, published {}", file.expected.unwrap_or("none"));
            ("differs", Some(md5.as_str()), note)
        }
        // Without random numbers: the new generation takes the place of a published checksum.
        Status::Unpublished { md5 } => {
            let status = match difference {
                None => "unpublished",
                Some((found, _)) if found.differing == 0 => "equal",
                Some(_) => "differs",
            };
            (
                status,
                Some(md5.as_str()),
                format!("MD5 {md5}, none is published"),
            )
        }
        Status::Malformed { why } => ("differs", None, why.clone()),
    };
    if let Some((difference, stack)) = difference {
        let stack = stack.map_or_else(String::new, |stack| format!(" in the {} stack", stack.name()));
        note += &format!(
            "; {:.4} % of its bytes ({}) differ from a regeneration{stack}, by {} at most",
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
        "differing_fraction": difference.map(|(difference, _)| difference.fraction()),
        "stack": difference.and_then(|(_, stack)| stack).map(Stack::name),
    })
}
