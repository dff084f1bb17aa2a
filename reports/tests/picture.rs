//! The picture of a page: networks one below the other, a panel for each measure, the mean over trainings with its 95 %
//! interval, and a ring for each training.

use crate::record::Points;
use std::fmt::Write;

const LEFT: f64 = 250.0;
const PANEL: f64 = 170.0;
const GAP: f64 = 34.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 34.0;

/// A row: its name, whether it is the first of a network, and for each panel the mean and each training's own, in percent.
pub struct Row {
    pub name: String,
    pub first: bool,
    pub panels: Vec<Option<(Points, Vec<f64>)>>,
}

/// An SVG of shares, the axes from 0 to 100 %.
pub fn draw(heads: &[&str], rows: &[Row]) -> String {
    let width = LEFT + heads.len() as f64 * (PANEL + GAP);
    let bottom = HEAD + ROW * rows.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        bottom + 26.0
    );
    let mut add = |line: String| writeln!(svg, "{line}").expect("text");
    for (at, head) in heads.iter().enumerate() {
        let left = LEFT + at as f64 * (PANEL + GAP);
        let middle = left + PANEL / 2.0;
        add(format!(
            "<text x=\"{middle}\" y=\"18\" text-anchor=\"middle\" font-weight=\"bold\">{head}</text>"
        ));
        for share in [0.0, 25.0, 50.0, 75.0, 100.0] {
            let x = left + PANEL * share / 100.0;
            add(format!("<path d=\"M{x:.1} {HEAD}V{bottom}\" stroke=\"#ddd\"/>"));
            let y = bottom + 16.0;
            add(format!(
                "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#555\">{share}</text>"
            ));
        }
    }
    for (at, row) in rows.iter().enumerate() {
        let y = HEAD + ROW * (at as f64 + 0.5);
        if row.first && at > 0 {
            let top = y - ROW / 2.0;
            add(format!("<path d=\"M8 {top}H{width}\" stroke=\"#eee\"/>"));
        }
        let (x, below) = (LEFT - 10.0, y + 4.0);
        add(format!(
            "<text x=\"{x}\" y=\"{below}\" text-anchor=\"end\">{}</text>",
            row.name
        ));
        for (at, panel) in row.panels.iter().enumerate() {
            let Some((mean, each)) = panel else { continue };
            let place =
                |share: f64| LEFT + at as f64 * (PANEL + GAP) + PANEL * share.clamp(0.0, 100.0) / 100.0;
            let (low, high, middle) = (place(mean.low), place(mean.high), place(mean.value));
            add(format!(
                "<path d=\"M{low:.1} {y}H{high:.1}\" stroke=\"#2a6f97\" stroke-width=\"2\"/>"
            ));
            for share in each.iter().filter(|_| each.len() > 1) {
                let x = place(*share);
                add(format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"3.5\" fill=\"none\" stroke=\"#b5651d\"/>"
                ));
            }
            add(format!(
                "<circle cx=\"{middle:.1}\" cy=\"{y}\" r=\"3\" fill=\"#2a6f97\"/>"
            ));
        }
    }
    svg + "</svg>\n"
}
