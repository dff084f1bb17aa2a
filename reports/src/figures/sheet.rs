//! A sheet of small pictures with the names of its columns and rows.

use super::canvas::{Anchor, Canvas, SCALE, fonts, width};
use super::examples::blit;
use super::raster;
use crate::error::ReportError;
use image::{RgbImage, imageops};

/// Size of letters, in layout units.
const LETTERS: f64 = 11.0;
/// Room around a name, in layout units.
const ROOM: f64 = 8.0;

/// Draws a sheet as PNG of the width and height given, names above its columns (upwards) and left of its rows, each pixel twice as large.
/// `pixels` are RGB, row by row.
///
/// # Errors
/// When the pixels are not `width` times `height`, or the font cannot be drawn.
pub fn labelled_sheet(
    pixels: &[u8],
    size: (u32, u32),
    columns: &[String],
    rows: &[String],
) -> Result<(Vec<u8>, (u32, u32)), ReportError> {
    let failed = |why: String| ReportError::make("the sheet of pictures", why);
    // `from_raw` takes too many bytes without a word.
    let sheet = (pixels.len() as u64 == 3 * u64::from(size.0) * u64::from(size.1))
        .then(|| RgbImage::from_raw(size.0, size.1, pixels.to_vec()))
        .flatten()
        .ok_or_else(|| failed("it has another number of pixels than its size".to_owned()))?;
    fonts().map_err(failed)?;
    let scale = SCALE as u32;
    let sheet = imageops::resize(
        &sheet,
        size.0 * scale,
        size.1 * scale,
        imageops::FilterType::Nearest,
    );
    let room = |names: &[String]| {
        let widest = names.iter().map(|name| width(name, LETTERS)).fold(0.0, f64::max);
        if widest > 0.0 { (widest + ROOM).ceil() } else { 0.0 }
    };
    let (left, top) = (room(rows), room(columns));
    let whole = (
        sheet.width() + (left * SCALE) as u32,
        sheet.height() + (top * SCALE) as u32,
    );
    let (across, down) = (f64::from(size.0), f64::from(size.1));
    let png = raster(whole, |area| {
        let canvas = Canvas::raster(area);
        blit(area, &sheet, (left * SCALE) as i32, (top * SCALE) as i32)?;
        for (i, name) in columns.iter().enumerate() {
            let x = left + across * (i as f64 + 0.5) / columns.len() as f64;
            let middle = top - ROOM / 2.0 - width(name, LETTERS) / 2.0;
            canvas.upwards(name, (x, middle), LETTERS)?;
        }
        for (i, name) in rows.iter().enumerate() {
            let y = top + down * (i as f64 + 0.5) / rows.len() as f64;
            canvas.text(name, (left - ROOM / 2.0, y), LETTERS, Anchor::End)?;
        }
        Ok(())
    });
    Ok((png.map_err(failed)?, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_beside_the_pictures_and_leave_them_alone() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let grey = vec![130; 3 * 60 * 40];
        let (png, whole) =
            labelled_sheet(&grey, (60, 40), &names("fog frost snow"), &names("1 2")).expect("drawn");
        let drawn = image::load_from_memory(&png).expect("a picture").to_rgb8();
        assert_eq!(drawn.dimensions(), whole);
        let (left, top) = (drawn.width() - 120, drawn.height() - 80);
        assert!(left > 10 && top > 30, "{left} {top}");
        let grey = drawn
            .enumerate_pixels()
            .filter(|(x, y, _)| *x >= left && *y >= top);
        assert!(grey.clone().count() == 9600 && grey.clone().all(|(.., pixel)| pixel.0 == [130; 3]));
        let dark = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            let ink = drawn
                .enumerate_pixels()
                .filter(|(at, down, _)| x.contains(at) && y.contains(down));
            ink.filter(|(.., pixel)| pixel.0[0] < 100).count()
        };
        for column in 0..3 {
            assert!(
                dark(left + 40 * column..left + 40 * (column + 1), 0..top) > 20,
                "{column}"
            );
        }
        for row in 0..2 {
            assert!(dark(0..left, top + 40 * row..top + 40 * (row + 1)) > 5, "{row}");
        }
        assert!(labelled_sheet(&[0; 5], (1, 1), &[], &[]).is_err());
    }
}
