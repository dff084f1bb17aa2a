//! Draws a picture under every corruption at five severities.
//!
//! `cargo run -p rlnet-corruptions --example contact_sheet -- OUT.png [PICTURE]` where PICTURE is a
//! PNG file (with the feature `jpeg` also a JPEG file) of 32x32, 64x64 or 224x224 pixels; without
//! it, a small landscape is painted.

use rlnet_corruptions::archive::{contact_sheet, write_png};
use rlnet_corruptions::{Corruption, Generator, Image, ParameterSet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: contact_sheet OUT.png [PICTURE]")?;
    let image = match arguments.next() {
        Some(path) => Image::decode(&std::fs::read(path)?)?,
        None => landscape()?,
    };
    let set = ParameterSet::for_size(image.width(), image.height())?;
    let defined = Corruption::ALL.into_iter().filter(|c| c.is_defined_for(set));
    let sheet = contact_sheet(&Generator::default(), &image, &Vec::from_iter(defined), 0)?;
    write_png(&sheet, out)?;
    Ok(())
}

/// A sun above two hills and a red house, 32x32.
fn landscape() -> rlnet_corruptions::Result<Image> {
    let mut rgb = Vec::new();
    for y in 0..32 {
        for x in 0..32 {
            let (fx, fy) = (f64::from(x), f64::from(y));
            let near = (
                y > 10 && y < 26 && x > 5 && x < 16,
                (x - 10_i32).abs() < y - 4 && y > 4 && y < 11,
            );
            let pixel = if (x - 9..x - 6).contains(&0) && y > 18 && y < 26 {
                [70, 45, 30]
            } else if near.0 {
                [190, 60, 45]
            } else if near.1 {
                [110, 40, 40]
            } else if fy > 24.0 + 3.0 * (fx / 6.0).sin() {
                [60, 130 + 4 * (x as u8 % 5), 55]
            } else if fy > 19.0 + 4.0 * (fx / 5.0 + 2.0).cos() {
                [90, 150, 90]
            } else if (fx - 24.0).hypot(fy - 7.0) < 4.5 {
                [250, 220, 90]
            } else {
                [110 + 3 * y as u8, 165 + 2 * y as u8, 235]
            };
            rgb.extend(pixel);
        }
    }
    Image::from_raw(32, 32, rgb)
}
