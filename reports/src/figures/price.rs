//! Images left against seconds: attacks beside each other, a panel for each model and norm. No section of a report: the
//! comparison of attacks in the documentation is drawn with it.

use super::axes::{Entry, Look, Panel, SMALL, legend, legend_height, plain, ticks};
use super::canvas::{Anchor, Canvas, Drawn, GREY, INK, Point, Stroke, width};
use super::chart::{WIDE, column, whole};
use super::{Draw, Figure, make};
use crate::error::ReportError;
use plotters::prelude::{Color, DrawingBackend};
use rlnet_suites::AttackSpec;
use rlnet_suites::attack::Access;

/// What an attack left, and what it took.
#[derive(Debug, Clone)]
pub struct Price {
    /// Heading of its panel: a model and a ball.
    pub panel: String,
    /// The attack.
    pub attack: AttackSpec,
    /// Images that stand.
    pub left: f64,
    /// Seconds.
    pub seconds: f64,
}

/// Kinds of attacks, told apart by colour and mark.
const KINDS: [&str; 4] = [
    "inside the ball, by gradients",
    "the smallest perturbation",
    "a union",
    "without gradients",
];

/// Seconds below which nothing was measured.
const LEAST: f64 = 0.01;
/// Size of the attacks' names, and their height.
const NAME: f64 = 10.0;
const LINE: f64 = 10.5;
/// From a mark's middle to its name, and round a mark.
const BESIDE: f64 = 6.0;
const MARK: f64 = 3.4;
/// Where panels begin, how high they are, and the room below one.
const TOP: f64 = 40.0;
const HEIGHT: f64 = 330.0;
const BELOW: f64 = 84.0;

/// Draws them; panels stand in the order of the rows.
///
/// # Errors
/// When the drawing fails.
pub fn prices(rows: &[Price]) -> Result<Figure, ReportError> {
    let mut panels: Vec<(&str, Vec<&Price>)> = Vec::new();
    for row in rows {
        match panels.iter_mut().find(|(name, _)| *name == row.panel) {
            Some((_, rows)) => rows.push(row),
            None => panels.push((&row.panel, vec![row])),
        }
    }
    make(
        "attack_price",
        "Images left against CPU seconds",
        "Each mark is an attack with its defaults. Low and left is strong and cheap. Seconds are on a logarithmic scale.".into(),
        "Scatter charts of images left against CPU seconds, a panel for each model and norm. The numbers are in the table.".into(),
        &Prices(panels),
    )
}

struct Prices<'a>(Vec<(&'a str, Vec<&'a Price>)>);

fn kind(attack: &AttackSpec) -> usize {
    match attack.entry().access {
        _ if attack.is_union() => 2,
        _ if attack.is_minimum_norm() => 1,
        Access::Gradients => 0,
        Access::Logits | Access::Nothing => 3,
    }
}

fn log(price: &Price) -> f64 {
    price.seconds.max(LEAST).log10()
}

fn entries() -> Vec<Entry> {
    Entry::models(&KINDS.map(str::to_owned), false)
}

impl Draw for Prices<'_> {
    fn size(&self) -> (u32, u32) {
        let rows = self.0.len().div_ceil(2) as f64;
        let top = legend_height(&entries(), whole(WIDE)) + TOP;
        (WIDE, (top + rows * (HEIGHT + BELOW) - BELOW / 2.0).ceil() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn {
        let entries = entries();
        legend(canvas, &entries, whole(WIDE), 8.0)?;
        let top = legend_height(&entries, whole(WIDE)) + TOP;
        for (place, (heading, rows)) in self.0.iter().enumerate() {
            let upper = top + (place / 2) as f64 * (HEIGHT + BELOW);
            let ends = |of: &dyn Fn(&Price) -> f64| {
                let all = rows.iter().map(|row| of(row));
                (
                    all.clone().fold(f64::INFINITY, f64::min),
                    all.fold(f64::NEG_INFINITY, f64::max),
                )
            };
            let (first, last) = ends(&log);
            let (lowest, highest) = ends(&|row| row.left);
            let air = (highest - lowest).max(4.0) * 0.08;
            let panel = Panel {
                x: column(WIDE, 2, place % 2),
                y: (upper, upper + HEIGHT),
                across: (first - 0.25, last + 0.75),
                up: (lowest - air, highest + air),
            };
            canvas.bold(heading, (panel.x.0, upper - 16.0), SMALL, Anchor::Start)?;
            let labelled = |ticks: Vec<f64>, label: &dyn Fn(f64) -> String| -> Vec<(f64, String)> {
                ticks.into_iter().map(|tick| (tick, label(tick))).collect()
            };
            let up = ticks(lowest.max(0.0), highest, 6);
            panel.rows(canvas, &labelled(up, &plain))?;
            let decades = (panel.across.0.ceil() as i32..=panel.across.1.floor() as i32).map(f64::from);
            let across = labelled(decades.collect(), &|log| plain(10_f64.powf(log)));
            panel.columns(canvas, &across, false)?;
            panel.titles(canvas, "CPU seconds", "Images left")?;
            names(canvas, &panel, rows)?;
        }
        Ok(())
    }
}

/// A rectangle: left, top, right, bottom.
type Area = (f64, f64, f64, f64);

fn meet(a: &Area, b: &Area) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

/// Marks, each with its name at the nearest free place, and a line to it where that is not beside the mark.
fn names<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, panel: &Panel, rows: &[&Price]) -> Drawn {
    let at = |row: &Price| panel.at(log(row), row.left);
    let mut taken: Vec<Area> = (rows.iter())
        .map(|row| at(row))
        .map(|(x, y)| (x - MARK, y - MARK, x + MARK, y + MARK))
        .collect();
    let mut rows: Vec<&&Price> = rows.iter().collect();
    // Those with the fewest neighbours to the right first.
    rows.sort_by(|a, b| log(b).total_cmp(&log(a)));
    for row in rows {
        let (x, y) = at(row);
        let name = row.attack.name();
        let wide = width(name, NAME) * 1.05;
        let box_of = |(left, middle): Point| (left, middle - LINE / 2.0, left + wide, middle + LINE / 2.0);
        let mut places: Vec<Point> = (-14_i32..=14)
            .flat_map(|line| {
                let middle = y + f64::from(line) * LINE / 2.0;
                let away = BESIDE + f64::from(line.abs()) * 1.5;
                [(x + away, middle), (x - away - wide, middle)]
            })
            .collect();
        let distance = |(left, middle): &Point| {
            let nearest = if *left > x { left - x } else { x - left - wide };
            nearest.hypot(middle - y)
        };
        places.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        let inside = |area: &Area| {
            area.0 > panel.x.0 && area.2 < panel.x.1 + 8.0 && area.1 > panel.y.0 - 4.0 && area.3 < panel.y.1
        };
        let free = |place: &&Point| {
            let area = box_of(**place);
            inside(&area) && !taken.iter().any(|other| meet(other, &area))
        };
        let (left, middle) = *places.iter().find(free).unwrap_or(&places[0]);
        taken.push(box_of((left, middle)));
        if distance(&(left, middle)) > BESIDE + 2.0 {
            let end = if left > x { left - 1.0 } else { left + wide + 1.0 };
            canvas.line(&[(x, y), (end, middle)], GREY.mix(0.8), 0.5, Stroke::Solid)?;
        }
        canvas.text(name, (left, middle), NAME, Anchor::Start)?;
        let look = Look::model(kind(&row.attack), Stroke::Solid);
        canvas.mark((x, y), look.shape, MARK, look.color)?;
    }
    canvas.line(
        &[(panel.x.0, panel.y.0), (panel.x.0, panel.y.1)],
        INK,
        0.5,
        Stroke::Solid,
    )
}
