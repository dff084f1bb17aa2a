//! Draws the sheet of all nineteen corruptions at five severities.
//!
//! `cargo run -p rlnet-corruptions --example contact_sheet -- PICTURE OUT.png [FROST_FOLDER]`
//! where PICTURE is a PNG or JPEG file of 32x32, 64x64 or 224x224.

use rlnet_corruptions::archive::{contact_sheet, write_png};
use rlnet_corruptions::{Generator, Image, Options, Textures};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (picture, out, frost) = match arguments.as_slice() {
        [picture, out] => (picture, out, None),
        [picture, out, frost] => (picture, out, Some(frost)),
        _ => return Err("usage: contact_sheet PICTURE OUT.png [FROST_FOLDER]".into()),
    };
    let textures = frost.map(Textures::from_dir).transpose()?;
    let generator = Generator::new(Options {
        textures: textures.unwrap_or_default(),
        ..Options::default()
    });
    let image = Image::decode(&std::fs::read(picture)?)?;
    write_png(&contact_sheet(&generator, &image, 0)?, out)?;
    Ok(())
}
