//! fog: a plasma fractal added to the image, then scaled back.
//!
//! The diamond-square fractal is on a torus whose side is a power of two; larger maps are
//! cut to the image from the top left. The random amplitude multiplies a uniform draw from
//! (-amplitude, amplitude), so it acts squared. An all-black image stays black.

use crate::entry::Entry;
use crate::job::{Job, Scratch};
use crate::kernels::unit::{byte, unit};
use crate::{RandomSource, Result};

pub(crate) const ENTRY: Entry = Entry::random("fog", run);

/// Strength, and the factor by which the amplitude decays from level to level.
const PARAMETERS: [[(f64, f64); 5]; 3] = [
    [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)],
    [(0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)],
    [(1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)],
];

fn run(job: &Job<'_>, rng: &mut dyn RandomSource, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let (strength, decay) = job.pick(&PARAMETERS);
    let side = job.width.max(job.height).next_power_of_two();
    if side < 2 {
        return Err(job.refuse("a fractal needs at least two pixels"));
    }
    let [map, draws] = scratch.doubles.take([side * side, side * side / 4]);
    plasma(map, side, decay, rng, draws);
    let brightest = unit(job.pixels.iter().copied().max().unwrap_or(0));
    let lines = out.chunks_exact_mut(3 * job.width);
    let sources = job.pixels.chunks_exact(3 * job.width);
    for ((line, source), haze) in lines.zip(sources).zip(map.chunks_exact(side)) {
        let pixels = line.chunks_exact_mut(3).zip(source.chunks_exact(3));
        for ((out, pixel), haze) in pixels.zip(haze) {
            for (out, &x) in out.iter_mut().zip(pixel) {
                let hazy = unit(x) + strength * haze;
                *out = byte(hazy * brightest / (brightest + strength));
            }
        }
    }
    Ok(())
}

/// Fills `map` (`side` x `side`) with a fractal scaled to `[0, 1]`.
fn plasma(map: &mut [f64], side: usize, decay: f64, rng: &mut dyn RandomSource, draws: &mut [f64]) {
    map[0] = 0.0;
    let (mut step, mut amplitude) = (side, 100.0);
    while step >= 2 {
        let half = step / 2;
        let cells = side / step;
        let draws = &mut draws[..cells * cells];
        // Coarse-grid neighbours on the torus.
        let next = |i: usize| (i + 1) % cells;
        let previous = |i: usize| (i + cells - 1) % cells;
        let corner = |y: usize, x: usize| y * step * side + x * step;
        let centre = |y: usize, x: usize| (y * step + half) * side + x * step + half;
        let mut fill = |map: &mut [f64],
                        at: &dyn Fn(usize, usize) -> usize,
                        sum: &dyn Fn(&[f64], usize, usize) -> f64| {
            rng.fill_uniform(-amplitude, amplitude, draws);
            for y in 0..cells {
                for x in 0..cells {
                    let mean = sum(map, y, x) / 4.0;
                    map[at(y, x)] = mean + amplitude * draws[y * cells + x];
                }
            }
        };
        fill(map, &centre, &|map, y, x| {
            let column = |x| map[corner(y, x)] + map[corner(next(y), x)];
            column(x) + column(next(x))
        });
        fill(map, &|y, x| corner(y, x) + half, &|map, y, x| {
            (map[centre(y, x)] + map[centre(previous(y), x)]) + (map[corner(y, x)] + map[corner(y, next(x))])
        });
        fill(map, &|y, x| corner(y, x) + half * side, &|map, y, x| {
            (map[centre(y, x)] + map[centre(y, previous(x))]) + (map[corner(y, x)] + map[corner(next(y), x)])
        });
        step = half;
        amplitude /= decay;
    }
    let lowest = map.iter().copied().fold(f64::INFINITY, f64::min);
    let mut highest = f64::NEG_INFINITY;
    for value in map.iter_mut() {
        *value -= lowest;
        highest = highest.max(*value);
    }
    for value in map {
        *value /= highest;
    }
}
