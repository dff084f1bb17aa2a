//! `rlnet corrupt preview`: one image under everything.

use super::{GeneratorOptions, input, names, test_images};
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::request::{Global, output_file};
use crate::terminal::{outln, print_json};
use clap::{ArgGroup, Args};
use rlnet_corruptions::archive::{contact_sheet, sequence_sheet};
use rlnet_corruptions::{Image, ParameterSet, Sequence};
use rlnet_reports::figures::sheet::labelled_sheet;
use serde_json::json;
use std::path::PathBuf;

/// Draw an image under many corruptions (columns) at all 5 severities (rows), or its sequences (rows)
///
/// Example: rlnet corrupt preview --dataset shapes --index 3 --out sheet.png
///
/// Example: rlnet corrupt preview --dataset shapes --names p --out sequences.png
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("input").required(true)))]
pub struct Preview {
    /// A PNG or JPEG file of 32x32, 64x64 or 224x224 pixels
    #[arg(long, value_name = "FILE", group = "input")]
    image: Option<PathBuf>,
    /// Take a test image of this data set
    #[arg(long, group = "input")]
    dataset: Option<String>,
    /// The number of the test image, from 0
    #[arg(long, value_name = "N", default_value_t = 0, requires = "dataset")]
    index: usize,
    /// benchmark (15), extra (4), all (these 19), c-bar (10), imagenet-c-bar (10), p (eleven frames of each of the 14 sequences of
    /// CIFAR-10-P), or names with commas
    #[arg(long, default_value = "all")]
    names: String,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Severity parameters to use for an image of another size: cifar, tiny-imagenet or imagenet
    #[arg(long, value_name = "SET")]
    parameters: Option<ParameterSet>,
    #[command(flatten)]
    options: GeneratorOptions,
}

impl Preview {
    /// Runs the command.
    pub fn run(&self, global: &Global) -> Result<()> {
        let png = |end: &std::ffi::OsStr| end.eq_ignore_ascii_case("png");
        if !self.out.extension().is_some_and(png) {
            return Err(Error::Usage(format!(
                "--out {}: the sheet is a PNG file; give it a name that ends in .png",
                self.out.display()
            )));
        }
        output_file::check(
            "--out",
            &self.out,
            &self.image.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        )?;
        let generator = self.options.generator(self.parameters)?;
        let sequences = (self.names == "p").then(Sequence::published);
        let corruptions = match sequences {
            Some(_) => Vec::new(),
            None => names(&self.names)?,
        };
        let image = match (&self.image, &self.dataset) {
            (Some(path), _) => {
                let bytes = std::fs::read(path).map_err(|error| Error::reading(path, error))?;
                Image::decode(&bytes).map_err(|why| Error::reading(path, why))?
            }
            (None, name) => {
                let name = name.as_deref().unwrap_or("shapes");
                let test = test_images(name, global, None)?.test;
                if self.index >= test.len() {
                    let why = format!("--index {}: {name} has {} test images", self.index, test.len());
                    return Err(Error::Usage(why));
                }
                Image::from_raw(test.size, test.size, test.image(self.index)?.into_owned())
                    .map_err(|why| input(name, why))?
            }
        };
        let seed = global.seed.unwrap_or(0);
        let sheet = match sequences {
            Some(sequences) => sequence_sheet(&generator, &image, sequences, seed),
            None => contact_sheet(&generator, &image, &corruptions, seed),
        };
        let sheet = sheet.map_err(|why| input("preview", why))?;
        let (columns, rows): (Vec<String>, Vec<String>) = match sequences {
            Some(sequences) => (Vec::new(), sequences.iter().map(ToString::to_string).collect()),
            None => (
                corruptions.iter().map(ToString::to_string).collect(),
                (1..=5).map(|severity| severity.to_string()).collect(),
            ),
        };
        let size = (sheet.width() as u32, sheet.height() as u32);
        let (png, (width, height)) = labelled_sheet(sheet.data(), size, &columns, &rows)?;
        write_atomic(&self.out, &png)?;
        if global.json {
            print_json(&json!({"file": self.out.display().to_string(), "width": width, "height": height}));
        } else {
            let shown = match sequences {
                Some(sequences) => format!("{} sequences", sequences.len()),
                None => format!("{} corruptions by 5 severities", corruptions.len()),
            };
            outln!("{}: {width} x {height} pixels, {shown}", self.out.display());
        }
        Ok(())
    }
}
