//! Small images whose every pixel is read between four others, at places that many images share.

use super::wide::wide;
use crate::job::Job;
use std::ops::{Add, Mul, Sub};
use std::sync::OnceLock;

/// Pixels that are read side by side.
const BLOCK: usize = 32;

/// Where the pixels of an image of `n` x `n` are read, with shares of a precision.
pub(crate) struct Places<T> {
    blocks: Vec<Block<T>>,
    /// What is added to a sample before its fraction is cut off.
    rounding: T,
}

/// Single or double precision.
pub(crate) trait Real:
    Copy + Default + From<f32> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// A number from 0 to below 256 without its fraction. The lowest bits of its sum with the number whose unit is that of
    /// the last bit: a cast would ask for the range of each value alone.
    fn truncated(self) -> u8;
}

impl Real for f32 {
    #[inline(always)]
    fn truncated(self) -> u8 {
        (self.floor() + 8_388_608.0).to_bits() as u8
    }
}

impl Real for f64 {
    #[inline(always)]
    fn truncated(self) -> u8 {
        (self.floor() + 4_503_599_627_370_496.0).to_bits() as u8
    }
}

/// Of one block of pixels, line by line: which pixels of [`Spread`] lie above left, above right, below left and below
/// right, and the shares of those to the right and below.
#[derive(Clone)]
struct Block<T> {
    corners: [[u16; BLOCK]; 4],
    right: [T; BLOCK],
    down: [T; BLOCK],
}

/// Column and row of the pixel above left (-1 and `n` may be meant), and the shares of those to the right and below.
pub(crate) type Place<T> = (i32, i32, T, T);

impl<T: Real> Places<T> {
    /// `place(x, y)` tells where the pixel in column x and row y is read: `None` is black. What lies beyond the border
    /// is black, or, if `clamp`, as the border. A sample is rounded down, after `rounding` is added.
    pub fn new(n: usize, clamp: bool, rounding: T, place: impl Fn(usize, usize) -> Option<Place<T>>) -> Self {
        assert!(n.is_multiple_of(BLOCK), "whole blocks");
        let (last, black) = (n as i32 - 1, (n * n) as u16);
        let empty = Block {
            corners: [[black; BLOCK]; 4],
            right: [T::default(); BLOCK],
            down: [T::default(); BLOCK],
        };
        let mut blocks = vec![empty; n * n / BLOCK];
        for at in 0..n * n {
            let Some((left, top, right, down)) = place(at % n, at / n) else {
                continue;
            };
            let (block, lane) = (&mut blocks[at / BLOCK], at % BLOCK);
            (block.right[lane], block.down[lane]) = (right, down);
            let corners = [(left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)];
            for (corner, (x, y)) in block.corners.iter_mut().zip(corners) {
                let (inside_x, inside_y) = (x.clamp(0, last), y.clamp(0, last));
                if clamp || (x, y) == (inside_x, inside_y) {
                    corner[lane] = (inside_y * (last + 1) + inside_x) as u16;
                }
            }
        }
        Self { blocks, rounding }
    }

    /// Samples an image, of [`spread`], into RGB bytes.
    pub fn sample(&self, pixels: &[f32], out: &mut [u8]) {
        wide(
            #[inline(always)]
            || self.sample_blocks(pixels, out),
        );
    }

    #[inline(always)]
    fn sample_blocks(&self, pixels: &[f32], out: &mut [u8]) {
        let pixels = pixels.as_chunks::<4>().0;
        for (block, out) in self.blocks.iter().zip(out.as_chunks_mut::<{ 3 * BLOCK }>().0) {
            let mut values = [[0_u8; 4]; BLOCK];
            for (i, values) in values.iter_mut().enumerate() {
                let corner = |k: usize| pixels[usize::from(block.corners[k][i])].map(T::from);
                let [a, b, c, d] = [corner(0), corner(1), corner(2), corner(3)];
                let between = |a: [T; 4], b: [T; 4], share: T| {
                    [0, 1, 2, 3].map(|k: usize| a[k] + (b[k] - a[k]) * share)
                };
                let (upper, lower) = (between(a, b, block.right[i]), between(c, d, block.right[i]));
                let samples = between(upper, lower, block.down[i]);
                *values = samples.map(|sample| (sample + self.rounding).truncated());
            }
            for (out, value) in out.as_chunks_mut::<3>().0.iter_mut().zip(&values) {
                *out = [value[0], value[1], value[2]];
            }
        }
    }
}

/// The places of every frame of a sequence, by stack, computed at their first use.
pub(crate) struct Plans<T>([OnceLock<Vec<Places<T>>>; 2]);

impl<T> Plans<T> {
    pub const fn new() -> Self {
        Self([const { OnceLock::new() }; 2])
    }

    /// Those of a job, which `place` gives frame by frame.
    pub fn get(&self, job: &Job<'_>, frames: usize, place: impl Fn(usize) -> Places<T>) -> &[Places<T>] {
        self.0[job.stack as usize].get_or_init(|| (0..frames).map(place).collect())
    }
}

/// The RGB pixels of an image as [`Places::sample`] reads them: four values each, the last of them idle, and a black
/// pixel behind them.
pub(crate) fn spread(pixels: &[u8], out: &mut [f32]) {
    let out = out.as_chunks_mut::<4>().0;
    let pixels = pixels.as_chunks::<3>().0;
    for (out, &[r, g, b]) in out.iter_mut().zip(pixels) {
        *out = [f32::from(r), f32::from(g), f32::from(b), 0.0];
    }
    out[pixels.len()] = [0.0; 4];
}

/// The values that [`spread`] writes for `area` pixels.
pub(crate) const fn spread_len(area: usize) -> usize {
    4 * (area + 1)
}
