//! Left side bearings of the built-in font, read from its TrueType tables (`cmap` format 4,
//! `hhea`, `hmtx`; OpenType specification 1.9).
//!
//! plotters 0.3.7 puts every glyph of a bitmap where its ink begins, without the room that
//! the font leaves on its left, so that letters stand unevenly. Given the bearing, each
//! letter is put where it belongs.

/// A font's tables, as far as they are needed.
#[derive(Debug, Clone, Copy)]
pub struct Bearings<'a> {
    cmap: &'a [u8],
    hmtx: &'a [u8],
    long_metrics: usize,
    height: f64,
}

impl<'a> Bearings<'a> {
    /// Reads a font; `None` when it is not built as expected.
    pub fn of(font: &'a [u8]) -> Option<Self> {
        let (hhea, cmap) = (table(font, b"hhea")?, table(font, b"cmap")?);
        let ascent = f64::from(i16_at(hhea, 4)?);
        let descent = f64::from(i16_at(hhea, 6)?);
        let encodings = usize::from(u16_at(cmap, 2)?);
        let formats = (0..encodings).filter_map(|i| {
            let offset = u32_at(cmap, 4 + 8 * i + 4)? as usize;
            let sub = cmap.get(offset..)?;
            (u16_at(sub, 0)? == 4).then_some(sub)
        });
        Some(Self {
            cmap: formats.into_iter().next()?,
            hmtx: table(font, b"hmtx")?,
            long_metrics: usize::from(u16_at(hhea, 34)?),
            height: ascent - descent,
        })
    }

    /// Advance and left bearing of a letter, as shares of the font's height (ascent to
    /// descent, which is what plotters calls its size).
    pub fn measure(&self, letter: char) -> Option<(f64, f64)> {
        let glyph = self.glyph(letter)?;
        let last = self.long_metrics.checked_sub(1)?;
        let advance = u16_at(self.hmtx, 4 * glyph.min(last))?;
        let bearing = match glyph.checked_sub(self.long_metrics) {
            None => i16_at(self.hmtx, 4 * glyph + 2)?,
            Some(beyond) => i16_at(self.hmtx, 4 * self.long_metrics + 2 * beyond)?,
        };
        Some((f64::from(advance) / self.height, f64::from(bearing) / self.height))
    }

    fn glyph(&self, letter: char) -> Option<usize> {
        let code = u16::try_from(u32::from(letter)).ok()?;
        let doubled = usize::from(u16_at(self.cmap, 6)?);
        let segment = (0..doubled / 2).find(|i| u16_at(self.cmap, 14 + 2 * i) >= Some(code))?;
        let part = |array: usize| 16 + array * doubled + 2 * segment;
        let start = u16_at(self.cmap, part(1))?;
        if start > code {
            return None;
        }
        let delta = u16_at(self.cmap, part(2))?;
        let range = usize::from(u16_at(self.cmap, part(3))?);
        let glyph = match range {
            0 => code.wrapping_add(delta),
            _ => u16_at(self.cmap, part(3) + range + 2 * usize::from(code - start))?.wrapping_add(delta),
        };
        Some(usize::from(glyph))
    }
}

fn table<'a>(font: &'a [u8], tag: &[u8; 4]) -> Option<&'a [u8]> {
    let count = usize::from(u16_at(font, 4)?);
    let record = (0..count)
        .map(|i| 12 + 16 * i)
        .find(|at| font.get(*at..at + 4) == Some(tag))?;
    let (offset, length) = (
        u32_at(font, record + 8)? as usize,
        u32_at(font, record + 12)? as usize,
    );
    font.get(offset..offset.checked_add(length)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    u16_at(bytes, at).map(u16::cast_signed)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
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
