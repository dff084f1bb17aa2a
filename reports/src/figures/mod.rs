//! Figures, one file each, drawn once as SVG and once as PNG by the same code.

mod axes;
mod bearing;
pub mod bracket;
mod canvas;
pub(crate) mod carried;
mod chart;
mod chosen;
pub(crate) mod confusion;
pub(crate) mod corruptions;
pub(crate) mod cost;
mod dashes;
pub(crate) mod deployed;
pub(crate) mod examples;
pub(crate) mod fronts;
mod history;
pub(crate) mod layers;
pub(crate) mod masks;
pub(crate) mod measured;
pub(crate) mod optimality;
pub mod price;
pub(crate) mod radius;
pub(crate) mod relus;
pub(crate) mod severity;
pub mod sheet;
mod sweeps;
pub(crate) mod training;

use crate::error::ReportError;
use crate::metrics::BranchPolicy;
use canvas::{Canvas, Drawn, SCALE, Stroke, color};
pub(crate) use history::history;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, DrawingArea, DrawingBackend, IntoDrawingArea, SVGBackend, WHITE};
use rlnet_suites::Branch;

/// A figure, ready to be written.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Name of its files.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// What it shows and how to read it.
    pub caption: String,
    /// What it shows, for people who cannot see it.
    pub alt: String,
    /// The drawing as SVG; pictures of images have none.
    pub svg: Option<String>,
    /// Pictures of images, row by row, as the page shows them.
    pub strips: Vec<Strip>,
    /// The drawing as PNG.
    pub png: Vec<u8>,
    /// Size in layout units.
    pub size: (u32, u32),
}

/// A row of images.
#[derive(Debug, Clone)]
pub struct Strip {
    /// What was done to them.
    pub label: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// The row as PNG, at its own size.
    pub png: Vec<u8>,
}

impl Figure {
    /// The drawing for the page: its ink takes the colour of the page's text, so that it is
    /// legible in light and in dark, and its size follows the page.
    pub fn inline(&self) -> Option<String> {
        let svg = self.svg.as_ref()?;
        let ink = format!(
            "\"#{:02X}{:02X}{:02X}\"",
            canvas::INK.0,
            canvas::INK.1,
            canvas::INK.2
        );
        let label = self
            .alt
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        Some(svg.replace(&ink, "\"currentColor\"").replacen(
            "<svg ",
            &format!("<svg role=\"img\" aria-label=\"{label}\" "),
            1,
        ))
    }

    /// The drawing as a file of its own, on white.
    pub fn standalone(&self) -> Option<String> {
        let svg = self.svg.as_ref()?;
        Some(svg.replacen(
            ">\n",
            ">\n<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n",
            1,
        ))
    }
}

/// Something that can be drawn on any surface.
trait Draw {
    /// Width and height in layout units.
    fn size(&self) -> (u32, u32);
    /// Draws it.
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn;
}

/// Draws a figure on both surfaces.
fn make(
    id: &'static str,
    title: &str,
    caption: String,
    alt: String,
    drawing: &impl Draw,
) -> Result<Figure, ReportError> {
    let failed = |error: String| ReportError::make(format!("figure `{id}`"), error);
    canvas::fonts().map_err(failed)?;
    let (w, h) = drawing.size();
    let pixels = (w * SCALE as u32, h * SCALE as u32);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, pixels).into_drawing_area();
        drawing.draw(&Canvas::vector(&area)).map_err(failed)?;
        area.present().map_err(|error| failed(error.to_string()))?;
    }
    // Shown at the layout's size, whatever it was drawn at.
    let drawn = format!("width=\"{}\" height=\"{}\"", pixels.0, pixels.1);
    let svg = svg.replacen(&drawn, &format!("width=\"{w}\" height=\"{h}\""), 1);
    let png = raster(pixels, |area| drawing.draw(&Canvas::raster(area))).map_err(failed)?;
    Ok(Figure {
        id,
        title: title.to_owned(),
        caption,
        alt,
        svg: Some(svg),
        strips: Vec::new(),
        png,
        size: (w, h),
    })
}

/// Draws into memory and encodes as PNG.
fn raster(
    pixels: (u32, u32),
    draw: impl FnOnce(&DrawingArea<BitMapBackend<'_>, Shift>) -> Drawn,
) -> Result<Vec<u8>, String> {
    let mut buffer = vec![0xff; pixels.0 as usize * pixels.1 as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut buffer, pixels).into_drawing_area();
        area.fill(&WHITE).map_err(|error| error.to_string())?;
        draw(&area)?;
        area.present().map_err(|error| error.to_string())?;
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&buffer, pixels.0, pixels.1, ExtendedColorType::Rgb8)
        .map_err(|error| error.to_string())?;
    Ok(png)
}

/// The line of a reading.
fn stroke(policy: BranchPolicy) -> Stroke {
    match policy {
        BranchPolicy::Oracle | BranchPolicy::Fixed(Branch::Single | Branch::Adversarial) => Stroke::Solid,
        BranchPolicy::Fixed(Branch::Clean | Branch::Natural) => Stroke::Dashed,
        BranchPolicy::Worst | BranchPolicy::Fixed(_) => Stroke::Dotted,
    }
}
