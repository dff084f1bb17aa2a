//! Drawing in layout units, the same on SVG and on PNG. Both are drawn at twice the layout's
//! size, so that whole-number coordinates do not make lines step and prints stay sharp.

use super::bearing::Bearings;
use super::dashes::dashes;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::sync::OnceLock;

/// Device pixels per layout unit.
pub const SCALE: f64 = 2.0;
/// Text and axes. In the page's inlined SVG this exact colour becomes the text colour.
pub const INK: RGBColor = RGBColor(0x1c, 0x1e, 0x21);
/// Grid lines and pale bars: a grey that shows on white and on black, drawn translucent.
pub const GREY: RGBColor = RGBColor(0x80, 0x84, 0x8a);
/// Okabe and Ito's palette (Color Universal Design, 2008), without black (the ink) and
/// yellow (too pale on paper), in the order that stays furthest apart in grey.
pub const PALETTE: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// The colour of a model, by its place in the report.
pub fn color(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// What drawing gives.
pub type Drawn = Result<(), String>;

/// A point in layout units.
pub type Point = (f64, f64);

/// Where a text sits relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins at the point.
    Start,
    /// The text is centred on the point.
    Middle,
    /// The text ends at the point.
    End,
}

/// How a line is drawn: also tells readings apart without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// Unbroken.
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
}

/// Registers the fonts, once in a process. Without it every chart fails, SVG too.
pub fn fonts() -> Drawn {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        register_font("sans-serif", FontStyle::Normal, notosans::REGULAR_TTF).is_ok()
            && register_font("sans-serif", FontStyle::Bold, notosans::BOLD_TTF).is_ok()
    });
    if *done {
        Ok(())
    } else {
        Err("the built-in font is not readable".to_owned())
    }
}

/// A drawing surface.
pub struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    raster: bool,
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// A surface whose text the viewer sets: SVG.
    pub fn vector(area: &'a DrawingArea<DB, Shift>) -> Self {
        Self { area, raster: false }
    }

    /// A surface on which text is drawn pixel by pixel: PNG.
    pub fn raster(area: &'a DrawingArea<DB, Shift>) -> Self {
        Self { area, raster: true }
    }

    /// A straight or bent line.
    pub fn line(&self, points: &[Point], color: impl Color, width: f64, stroke: Stroke) -> Drawn {
        let style = color.stroke_width((width * SCALE).round().max(1.0) as u32);
        let pieces = match stroke {
            Stroke::Solid => vec![points.to_vec()],
            Stroke::Dashed => dashes(points, 6.0, 3.5),
            Stroke::Dotted => dashes(points, 1.6, 2.6),
        };
        for piece in pieces {
            let piece: Vec<(i32, i32)> = piece.into_iter().map(device).collect();
            self.area.draw(&PathElement::new(piece, style)).map_err(text_of)?;
        }
        Ok(())
    }

    /// A filled rectangle between two corners.
    pub fn rect(&self, a: Point, b: Point, color: impl Color) -> Drawn {
        self.area
            .draw(&Rectangle::new([device(a), device(b)], color.filled()))
            .map_err(text_of)
    }

    /// A filled area.
    pub fn area(&self, points: &[Point], color: impl Color) -> Drawn {
        let points: Vec<(i32, i32)> = points.iter().copied().map(device).collect();
        self.area
            .draw(&Polygon::new(points, color.filled()))
            .map_err(text_of)
    }

    /// A mark of a shape of its own for each series: circle, square, triangle, diamond.
    pub fn mark(&self, (x, y): Point, shape: usize, radius: f64, color: impl Color) -> Drawn {
        let r = radius;
        match shape % 4 {
            0 => {
                let size = (r * SCALE).round() as i32;
                self.area
                    .draw(&Circle::new(device((x, y)), size, color.filled()))
                    .map_err(text_of)
            }
            1 => self.rect((x - 0.88 * r, y - 0.88 * r), (x + 0.88 * r, y + 0.88 * r), color),
            2 => self.area(
                &[
                    (x, y - 1.15 * r),
                    (x + 1.1 * r, y + 0.8 * r),
                    (x - 1.1 * r, y + 0.8 * r),
                ],
                color,
            ),
            _ => self.area(
                &[
                    (x, y - 1.25 * r),
                    (x + 1.1 * r, y),
                    (x, y + 1.25 * r),
                    (x - 1.1 * r, y),
                ],
                color,
            ),
        }
    }

    /// Text, centred vertically on its point.
    pub fn text(&self, text: &str, at: Point, size: f64, anchor: Anchor) -> Drawn {
        self.write(text, at, size, anchor, Letters::Regular)
    }

    /// Bold text, centred vertically on its point.
    pub fn bold(&self, text: &str, at: Point, size: f64, anchor: Anchor) -> Drawn {
        self.write(text, at, size, anchor, Letters::Bold)
    }

    /// Text that reads upwards, centred on its point.
    pub fn upwards(&self, text: &str, at: Point, size: f64) -> Drawn {
        self.write(text, at, size, Anchor::Middle, Letters::Upwards)
    }

    fn write(&self, text: &str, at: Point, size: f64, anchor: Anchor, letters: Letters) -> Drawn {
        // No control character may stand in XML.
        let text = &text.replace(|c: char| c.is_control() || "\u{fffe}\u{ffff}".contains(c), " ");
        if self.raster {
            return self.set(text, at, size, anchor, letters);
        }
        let h = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let style = TextStyle::from(letters.font(size))
            .color(&INK)
            .pos(Pos::new(h, VPos::Center));
        self.area
            .draw(&Text::new(text.to_owned(), device(at), style))
            .map_err(text_of)
    }

    /// Sets text letter by letter (see [`super::bearing`]).
    fn set(&self, text: &str, (x, y): Point, size: f64, anchor: Anchor, letters: Letters) -> Drawn {
        // plotters writes an SVG's font-size as size / 1.24, and a bitmap's as the height from
        // ascent to descent, which for Noto Sans is 1.362 em: this makes both alike.
        let size = size * 1.362 / 1.24;
        let bytes = if letters == Letters::Bold {
            notosans::BOLD_TTF
        } else {
            notosans::REGULAR_TTF
        };
        let bearings = Bearings::of(bytes).ok_or("the built-in font is not readable")?;
        let measured: Vec<(f64, f64)> = text
            .chars()
            .map(|letter| bearings.measure(letter).unwrap_or((0.3, 0.0)))
            .collect();
        let wide: f64 = size * measured.iter().map(|(advance, _)| advance).sum::<f64>();
        let mut pen = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -wide / 2.0,
            Anchor::End => -wide,
        };
        // plotters centres the em, whose baseline is 0.097 of the size below; lower-case
        // letters and capitals together are centred when it is 0.23 below.
        let down = 0.133 * size;
        for (letter, (advance, bearing)) in text.chars().zip(measured) {
            let along = pen + bearing * size;
            let at = if letters == Letters::Upwards {
                (x + down, y - along)
            } else {
                (x + along, y + down)
            };
            let style = TextStyle::from(letters.font(size))
                .color(&INK)
                .pos(Pos::new(HPos::Left, VPos::Center));
            if !letter.is_whitespace() {
                self.area
                    .draw(&Text::new(letter.to_string(), device(at), style))
                    .map_err(text_of)?;
            }
            pen += advance * size;
        }
        Ok(())
    }
}

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    Regular,
    Bold,
    Upwards,
}

impl Letters {
    fn font(self, size: f64) -> FontDesc<'static> {
        match self {
            Self::Regular => font(size, FontStyle::Normal),
            Self::Bold => font(size, FontStyle::Bold),
            Self::Upwards => font(size, FontStyle::Normal).transform(FontTransform::Rotate270),
        }
    }
}

/// The width of a text in layout units.
pub fn width(text: &str, size: f64) -> f64 {
    let measured = font(size, FontStyle::Normal).box_size(text);
    // A font that cannot measure is met again, as an error, when the text is drawn.
    measured.map_or(0.0, |(w, _)| f64::from(w) / SCALE)
}

fn font(size: f64, style: FontStyle) -> FontDesc<'static> {
    FontDesc::new(FontFamily::Name("sans-serif"), size * SCALE, style)
}

fn device((x, y): Point) -> (i32, i32) {
    ((x * SCALE).round() as i32, (y * SCALE).round() as i32)
}

fn text_of<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> String {
    error.to_string()
}
