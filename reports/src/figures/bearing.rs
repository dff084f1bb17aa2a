//! Left side bearings of the built-in font.
//!
//! plotters 0.3.7 puts every glyph of a bitmap where its ink begins, without the room that
//! the font leaves on its left, so that letters stand unevenly. Given the bearing, each
//! letter is put where it belongs.

use ttf_parser::Face;

/// A font whose letters can be measured.
pub struct Bearings<'a> {
    face: Face<'a>,
    /// Ascent to descent, which is what plotters calls a font's size.
    height: f64,
}

impl<'a> Bearings<'a> {
    /// Reads a font; `None` when it is none.
    pub fn of(font: &'a [u8]) -> Option<Self> {
        let face = Face::parse(font, 0).ok()?;
        let height = f64::from(face.ascender()) - f64::from(face.descender());
        Some(Self { face, height })
    }

    /// Advance and left bearing of a letter, as shares of the font's height.
    pub fn measure(&self, letter: char) -> Option<(f64, f64)> {
        let glyph = self.face.glyph_index(letter)?;
        let advance = self.face.glyph_hor_advance(glyph)?;
        let bearing = self.face.glyph_hor_side_bearing(glyph)?;
        Some((f64::from(advance) / self.height, f64::from(bearing) / self.height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_have_the_metrics_that_plotters_measures() {
        super::super::canvas::fonts().expect("fonts");
        let bearings = Bearings::of(notosans::REGULAR_TTF).expect("a TrueType font");
        for letter in "aJlW%.0\u{221e}".chars() {
            let (advance, bearing) = bearings.measure(letter).expect("in the font");
            let measured = super::super::canvas::width(&letter.to_string(), 500.0);
            assert!(
                (500.0 * advance - measured).abs() <= 1.0,
                "{letter}: {advance} {measured}"
            );
            assert!(bearing.abs() < advance, "{letter}: {bearing}");
        }
        assert!(Bearings::of(b"not a font").is_none());
    }
}
