//! Colours and textures.

use rlnet_corruptions::random::KeyedRng;

use super::{SIDE, range};

/// Red, green, blue, nominally in `[0, 1]`.
pub(super) type Colour = [f64; 3];

/// Side of the grid that cloud textures interpolate.
const GRID: usize = 6;

/// The textures, in the order of the labels of `textures`.
pub(super) const TEXTURES: [&str; 5] = ["plain", "stripes", "checker", "ramp", "clouds"];

enum Texture {
    Plain,
    /// Bands along a direction: (wave x, wave y, phase).
    Stripes(f64, f64, f64),
    /// Squares of this side.
    Checker(f64),
    /// A ramp: change a pixel in x and y.
    Ramp(f64, f64),
    /// Smooth random values.
    Clouds(Box<[[f64; GRID + 1]; GRID + 1]>),
}

/// A base colour, modulated by a texture along a direction in colour space.
pub(super) struct Paint {
    /// Colour before modulation.
    pub base: Colour,
    direction: Colour,
    texture: Texture,
}

impl Paint {
    /// A random paint.
    pub(super) fn draw(rng: &mut KeyedRng) -> Self {
        Self::of(None, (0.03, 0.18), rng)
    }

    /// A random paint with the texture of this number, strong enough to be told from the others.
    pub(super) fn textured(number: usize, rng: &mut KeyedRng) -> Self {
        Self::of(Some(number as u64), (0.12, 0.3), rng)
    }

    fn of(texture: Option<u64>, (weak, strong): (f64, f64), rng: &mut KeyedRng) -> Self {
        let base = std::array::from_fn(|_| range(rng, 0.05, 0.95));
        let strength = range(rng, weak, strong);
        let direction = std::array::from_fn(|_| strength * range(rng, -1.0, 1.0));
        let angle = range(rng, 0.0, std::f64::consts::TAU);
        let number = texture.unwrap_or_else(|| rng.below(TEXTURES.len() as u64));
        let texture = match number {
            0 => Texture::Plain,
            1 => {
                let wave = std::f64::consts::TAU / range(rng, 3.0, 9.0);
                Texture::Stripes(wave * angle.cos(), wave * angle.sin(), angle)
            }
            2 => Texture::Checker(range(rng, 2.0, 6.0)),
            3 => Texture::Ramp(angle.cos() / 12.0, angle.sin() / 12.0),
            _ => Texture::Clouds(Box::new(std::array::from_fn(|_| {
                std::array::from_fn(|_| range(rng, -1.5, 1.5))
            }))),
        };
        Self {
            base,
            direction,
            texture,
        }
    }

    /// The colour at a point, in pixels.
    pub(super) fn at(&self, x: f64, y: f64) -> Colour {
        let amount = match &self.texture {
            Texture::Plain => 0.0,
            Texture::Stripes(wave_x, wave_y, phase) => (x * wave_x + y * wave_y + phase).sin(),
            Texture::Checker(side) => {
                let parity = (x / side).floor() + (y / side).floor();
                if parity.rem_euclid(2.0) < 1.0 { 1.0 } else { -1.0 }
            }
            Texture::Ramp(dx, dy) => {
                let half = SIDE as f64 / 2.0;
                (x - half) * dx + (y - half) * dy
            }
            Texture::Clouds(grid) => clouds(grid, x, y),
        };
        std::array::from_fn(|c| self.base[c] + amount * self.direction[c])
    }
}

/// Bilinear interpolation of the grid stretched over the image.
fn clouds(grid: &[[f64; GRID + 1]; GRID + 1], x: f64, y: f64) -> f64 {
    let scale = GRID as f64 / SIDE as f64;
    let (x, y) = (x * scale, y * scale);
    let (i, j) = ((y as usize).min(GRID - 1), (x as usize).min(GRID - 1));
    let (dy, dx) = (y - i as f64, x - j as f64);
    let upper = grid[i][j] + (grid[i][j + 1] - grid[i][j]) * dx;
    let lower = grid[i + 1][j] + (grid[i + 1][j + 1] - grid[i + 1][j]) * dx;
    upper + (lower - upper) * dy
}
