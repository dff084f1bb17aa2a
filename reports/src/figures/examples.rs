//! What the network saw: the first test images, clean, corrupted and attacked. Pixels are
//! enlarged by whole factors, never smoothed.

use super::axes::SMALL;
use super::canvas::{Anchor, Canvas, SCALE, fonts};
use super::{Figure, Strip, raster};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::model::Model;
use crate::run::Run;
use crate::sections::{Place, Section, Show};
use image::{RgbImage, imageops};
use plotters::prelude::{BitMapElement, DrawingBackend};
use rlnet_suites::{Cell, CellSpec, Condition};

/// Corruptions shown first: one of each kind (noise, blur, weather, digital).
const PREFERRED: [&str; 5] = [
    "gaussian_noise",
    "motion_blur",
    "fog",
    "contrast",
    "jpeg_compression",
];
/// Width for row labels, and the gap between rows, in layout units.
const LABELS: u32 = 168;
const GAP: u32 = 6;
/// A strip of eight images is enlarged to about this width, in layout units.
const STRIP: u32 = 580;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "examples",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[],
};

/// The figure, when any cell kept examples.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    // The corrupted images are the same for every model; the attacked ones are those made
    // against the model of the report's answer.
    let Some(model) = crate::summary::subject(analysis) else {
        return Ok(None);
    };
    let run = &analysis.runs.runs[model.run];
    let mut rows = Vec::new();
    let mut strips = Vec::new();
    for (label, cell) in choice(analysis, run, model) {
        let file = run.folder(cell).join("examples.png");
        if !file.is_file() {
            continue;
        }
        let bytes = crate::files::read(&file)?;
        let picture = image::load_from_memory(&bytes)
            .map_err(|error| ReportError::file(&file, format!("not a readable picture: {error}")))?;
        strips.push(Strip {
            label: label.clone(),
            size: (picture.width(), picture.height()),
            png: bytes,
        });
        rows.push((label, picture.to_rgb8()));
    }
    let Some(widest) = rows
        .iter()
        .map(|(_, picture)| picture.width())
        .max()
        .filter(|w| *w > 0)
    else {
        return Ok(None);
    };
    let factor = ((STRIP * SCALE as u32) / widest).max(1);
    let labels: Vec<String> = rows.iter().map(|(label, _)| label.clone()).collect();
    let (size, png) = compose(rows, factor).map_err(|error| ReportError::make("figure `examples`", error))?;
    Ok(Some(Figure {
        id: "examples",
        title: "What the networks saw".to_owned(),
        caption: format!(
            "The first test images under each condition. Attacked images were made against `{}`; their changes are small by design.",
            model.name
        ),
        alt: format!("Rows of the same test images: {}.", format::list(&labels)),
        svg: None,
        strips,
        png,
        size,
    }))
}

/// Rows with their labels: clean, some corruptions, the headline attack.
fn choice<'a>(analysis: &Analysis, run: &'a Run, model: &Model) -> Vec<(String, &'a Cell)> {
    let planned = model.planned.iter();
    let mut corruptions: Vec<&str> = Vec::new();
    for (condition, _) in planned {
        if let Condition::Corruption { name, .. } = condition
            && !corruptions.contains(&name.as_str())
        {
            corruptions.push(name);
        }
    }
    let known = PREFERRED.into_iter().filter(|name| corruptions.contains(name));
    let rest = corruptions
        .iter()
        .copied()
        .filter(|name| !PREFERRED.contains(name));
    let chosen: Vec<&str> = known.chain(rest).take(PREFERRED.len()).collect();
    let mut wanted: Vec<(String, Condition)> = vec![("clean".to_owned(), Condition::Clean)];
    for name in chosen {
        let levels = model.planned.iter().filter_map(|(condition, _)| match condition {
            Condition::Corruption {
                name: known,
                severity,
            } if known == name => Some(*severity),
            _ => None,
        });
        // The severity the harness keeps examples of: 3, or the one nearest to it.
        if let Some(severity) = levels.min_by_key(|level| level.abs_diff(3)) {
            let condition = Condition::Corruption {
                name: name.to_owned(),
                severity,
            };
            wanted.push((
                format!("{}, severity {severity}", format::corruption(name)),
                condition,
            ));
        }
    }
    if let Some(attack) = &analysis.runs.headline {
        let label = analysis.names.get(attack);
        wanted.push((label, Condition::Attack(attack.clone())));
    }
    let cell_of = |condition: &Condition| {
        let id = model.cell_of(condition)?;
        let cell = run.plan.cells.iter().find(|cell| cell.id == *id)?;
        matches!(cell.spec, CellSpec::Evaluate(_)).then_some(cell)
    };
    wanted
        .into_iter()
        .filter_map(|(label, condition)| Some((label, cell_of(&condition)?)))
        .collect()
}

type Composed = ((u32, u32), Vec<u8>);

fn compose(rows: Vec<(String, RgbImage)>, factor: u32) -> Result<Composed, String> {
    let scale = SCALE as u32;
    let large: Vec<(String, RgbImage)> = rows
        .into_iter()
        .map(|(label, picture)| {
            let (w, h) = (picture.width() * factor, picture.height() * factor);
            (
                label,
                imageops::resize(&picture, w, h, imageops::FilterType::Nearest),
            )
        })
        .collect();
    let widest = large
        .iter()
        .map(|(_, picture)| picture.width())
        .max()
        .unwrap_or(0);
    let height: u32 = large
        .iter()
        .map(|(_, picture)| picture.height() + GAP * scale)
        .sum();
    let pixels = (LABELS * scale + widest, height);
    fonts()?;
    let png = raster(pixels, |area| {
        let canvas = Canvas::raster(area);
        let mut top = 0;
        for (label, picture) in large {
            let middle = f64::from(top + picture.height() / 2) / SCALE;
            canvas.text(&label, (f64::from(LABELS) - 10.0, middle), SMALL, Anchor::End)?;
            blit(area, &picture, (LABELS * scale) as i32, top as i32)?;
            top += picture.height() + GAP * scale;
        }
        Ok(())
    })?;
    Ok(((pixels.0 / scale, pixels.1 / scale), png))
}

pub(super) fn blit<DB: DrawingBackend>(
    area: &plotters::prelude::DrawingArea<DB, plotters::coord::Shift>,
    picture: &RgbImage,
    x: i32,
    y: i32,
) -> Result<(), String> {
    let element = BitMapElement::with_ref((x, y), picture.dimensions(), picture.as_raw())
        .ok_or_else(|| "a picture of the wrong size".to_owned())?;
    area.draw(&element).map_err(|error| error.to_string())
}
