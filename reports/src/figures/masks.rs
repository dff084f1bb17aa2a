//! Where in the image a mask keeps ReLUs: for each layer a map of the share of channels kept at
//! every place.

use super::axes::SMALL;
use super::canvas::{Anchor, Canvas, Drawn, GREY, PALETTE, Stroke};
use super::chosen::Chosen;
use super::{Draw, Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::format;
use crate::glossary::RELUS;
use crate::sections::{Place, Section, Show};
use plotters::prelude::{Color, DrawingBackend};
use rlnet_suites::MaskShare;

const LEFT: f64 = 14.0;
const RIGHT: f64 = 746.0;
const GAP: f64 = 10.0;
const SIDE: f64 = 72.0;
const LINE: f64 = SIDE + 34.0;
/// Pictures of more cells than this are drawn as squares of several.
const CELLS: usize = 16;
/// Models shown: beyond these a page has no room.
const MOST: usize = 6;

struct Map {
    layer: String,
    /// Share kept, row by row, `side` a row.
    shares: Vec<f64>,
    side: usize,
}

struct Maps {
    models: Vec<(String, Vec<Map>)>,
}

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "masks",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[RELUS],
};

/// The figure, when some network with fewer ReLUs kept the map of its mask.
///
/// # Errors
/// When a file of a run cannot be read.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let mut models = Vec::new();
    let chosen = Chosen::of(analysis);
    let drawn = chosen.models.iter().map(|at| &analysis.runs.models[*at]);
    for model in drawn.filter(|model| model.is_partial()) {
        let (Some(cell), Some(record)) = (&model.trained, &model.record) else {
            continue;
        };
        let all: Vec<MaskShare> = analysis.runs.runs[model.run].kept(cell, "mask_map.parquet")?;
        let maps = record.layers.iter().filter_map(|layer| {
            // Older runs have `kept/LAYER`.
            let is_own = |share: &&MaskShare| share.layer.trim_start_matches("kept/") == layer.name;
            let shares: Vec<f64> = all.iter().filter(is_own).map(|share| share.kept).collect();
            let side = layer.shape[2] as usize;
            let whole = !shares.is_empty() && side > 0 && shares.len().is_multiple_of(side);
            whole.then(|| {
                coarse(Map {
                    layer: layer.name.clone(),
                    shares,
                    side,
                })
            })
        });
        let maps: Vec<Map> = maps.collect();
        if !maps.is_empty() && models.len() < MOST {
            models.push((model.name.clone(), maps));
        }
    }
    if models.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = models.iter().map(|(name, _)| name.clone()).collect();
    make(
        "masks",
        "Where masks keep ReLUs",
        "One square a ReLU layer, in execution order, as the image lies: at every place the share of channels whose ReLU is kept, from none (white) to all. The number is the layer's mean, in percent.".to_owned(),
        format!("Maps of the ReLUs that {} keep at each place of each layer; the counts are in the table of ReLUs kept per layer.", format::list(&names)),
        &Maps { models },
    )
    .map(Some)
}

/// A map with cells of equal size, at most [`CELLS`] a side, each the mean of what it covers.
fn coarse(map: Map) -> Map {
    let step = map.side.div_ceil(CELLS);
    let rows = map.shares.len() / map.side;
    if step < 2 || rows != map.side || !map.side.is_multiple_of(step) {
        return map;
    }
    let side = map.side / step;
    let mean = |row: usize, column: usize| {
        let places = (0..step * step).map(|k| (row * step + k / step) * map.side + column * step + k % step);
        places.map(|place| map.shares[place]).sum::<f64>() / (step * step) as f64
    };
    Map {
        shares: (0..side * side).map(|k| mean(k / side, k % side)).collect(),
        layer: map.layer,
        side,
    }
}

/// Squares in a line.
fn across() -> usize {
    ((RIGHT - LEFT + GAP) / (SIDE + GAP)).floor() as usize
}

impl Maps {
    fn lines(maps: &[Map]) -> usize {
        maps.len().div_ceil(across())
    }
}

impl Draw for Maps {
    fn size(&self) -> (u32, u32) {
        let lines: usize = self.models.iter().map(|(_, maps)| Self::lines(maps)).sum();
        let height = LINE * lines as f64 + 34.0 * self.models.len() as f64 + 8.0;
        (760, height.ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let mut top = 18.0;
        for (name, maps) in &self.models {
            canvas.bold(name, (LEFT, top), SMALL, Anchor::Start)?;
            top += 16.0;
            for (i, map) in maps.iter().enumerate() {
                let left = LEFT + (SIDE + GAP) * (i % across()) as f64;
                map.draw(canvas, (left, top + LINE * (i / across()) as f64))?;
            }
            top += LINE * Self::lines(maps) as f64 + 18.0;
        }
        Ok(())
    }
}

impl Map {
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, (left, top): (f64, f64)) -> Drawn {
        let rows = self.shares.len() / self.side;
        let (wide, high) = (SIDE / self.side as f64, SIDE / rows.max(1) as f64);
        for (place, share) in self.shares.iter().enumerate() {
            let (x, y) = (
                left + wide * (place % self.side) as f64,
                top + high * (place / self.side) as f64,
            );
            if *share > 0.0 {
                canvas.rect((x, y), (x + wide, y + high), PALETTE[0].mix(*share))?;
            }
        }
        let corners = [
            (left, top),
            (left + SIDE, top),
            (left + SIDE, top + SIDE),
            (left, top + SIDE),
            (left, top),
        ];
        canvas.line(&corners, GREY.mix(0.6), 0.5, Stroke::Solid)?;
        let mean = 100.0 * self.shares.iter().sum::<f64>() / self.shares.len().max(1) as f64;
        let said = format!("{} {mean:.0}", self.layer);
        canvas.text(
            &said,
            (left + SIDE / 2.0, top + SIDE + 12.0),
            SMALL - 2.5,
            Anchor::Middle,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_map_is_averaged_in_squares() {
        // 32 x 32, the left half kept: 16 x 16 cells of 2 x 2, each all or nothing.
        let shares = (0..32 * 32).map(|place| if place % 32 < 16 { 1.0 } else { 0.0 });
        let map = coarse(Map {
            layer: "a".into(),
            shares: shares.collect(),
            side: 32,
        });
        assert_eq!((map.side, map.shares.len()), (16, 256));
        assert!(
            map.shares
                .iter()
                .enumerate()
                .all(|(i, share)| *share == if i % 16 < 8 { 1.0 } else { 0.0 })
        );
        // What is small stays.
        let small = coarse(Map {
            layer: "b".into(),
            shares: vec![0.25; 64],
            side: 8,
        });
        assert_eq!(small.shares, vec![0.25; 64]);
    }
}
