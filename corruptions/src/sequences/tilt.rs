//! tilt: a plane turned about its horizontal and its vertical axis, as OpenCV 4 warps it.

use super::entry::{Draws, Entry, Frame, from_middle};
use crate::job::{Job, Scratch};
use crate::kernels::warp::{Places, Plans, spread, spread_len};

pub(super) static ENTRY: Entry = Entry::deterministic("tilt", 31, begin);

fn begin<'a>(job: Job<'a>, _: &mut Draws<'_>, scratch: &'a mut Scratch) -> Frame<'a> {
    let n = job.width;
    static PLANS: Plans<f32> = Plans::new();
    let plan = PLANS.get(&job, ENTRY.frames, |frame| {
        let angle = (0.75 * from_middle(frame, 15)).to_radians();
        places(n, &inverse(&matrix(n, angle)))
    });
    let [pixels] = scratch.singles.take([spread_len(job.area())]);
    spread(job.pixels, pixels);
    Box::new(move |frame, _, out| plan[frame].sample(pixels, out))
}

type Matrix = [[f64; 3]; 3];

/// The projection of the plane turned by `angle` about both axes, seen from as far away as its diagonal
/// is long. The third row of the scripts' first matrix is not what it should be, so the plane is a little
/// farther away and the frame in the middle shrinks.
fn matrix(n: usize, angle: f64) -> Matrix {
    let half = n as f64 / 2.0;
    let away = ((n * n + n * n) as f64).sqrt();
    let (sin, cos) = angle.sin_cos();
    let plane = [
        [1.0, 0.0, -half],
        [0.0, 1.0, -half],
        [0.0, 0.0, 1.0],
        [0.0, 0.0, 1.0],
    ];
    let about_x = [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, cos, -sin, 0.0],
        [0.0, sin, cos, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let about_y = [
        [cos, 0.0, -sin, 0.0],
        [0.0, 1.0, 0.0, 0.0],
        [sin, 0.0, cos, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let back = [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, away],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let view = [
        [away, 0.0, half, 0.0],
        [0.0, away, half, 0.0],
        [0.0, 0.0, 1.0, 0.0],
    ];
    product(
        &view,
        &product(&back, &product(&product(&about_x, &about_y), &plane)),
    )
}

fn product<const R: usize, const K: usize, const C: usize>(
    a: &[[f64; K]; R],
    b: &[[f64; C]; K],
) -> [[f64; C]; R] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..K).map(|k| a[i][k] * b[k][j]).sum()))
}

/// By cofactors, times one over the determinant.
fn inverse(m: &Matrix) -> Matrix {
    let minor = |a: usize, b: usize, c: usize, d: usize| m[a][b] * m[c][d] - m[a][d] * m[c][b];
    let determinant = m[0][0] * minor(1, 1, 2, 2) - m[0][1] * minor(1, 0, 2, 2) + m[0][2] * minor(1, 0, 2, 1);
    let d = 1.0 / determinant;
    [
        [
            minor(1, 1, 2, 2) * d,
            -minor(0, 1, 2, 2) * d,
            minor(0, 1, 1, 2) * d,
        ],
        [
            -minor(1, 0, 2, 2) * d,
            minor(0, 0, 2, 2) * d,
            -minor(0, 0, 1, 2) * d,
        ],
        [
            minor(1, 0, 2, 1) * d,
            -minor(0, 0, 2, 1) * d,
            minor(0, 0, 1, 1) * d,
        ],
    ]
}

/// Positions in units of 1/32 pixel, rounded half to even. OpenCV sums the four samples with whole weights, multiples of
/// 2^-10, which single precision does without rounding, and rounds halves up; black outside.
fn places(n: usize, m: &Matrix) -> Places<f32> {
    Places::new(n, false, 0.5, |x, y| {
        let (y, x) = (y as f64, x as f64);
        let row = m.map(|[_, down, constant]| down * y + constant);
        let depth = row[2] + m[2][0] * x;
        let scale = if depth == 0.0 { 0.0 } else { 32.0 / depth };
        let [x, y] = [0, 1].map(|k| ((row[k] + m[k][0] * x) * scale).round_ties_even() as i32);
        let share = |at: i32| (at & 31) as f32 / 32.0;
        Some((x >> 5, y >> 5, share(x), share(y)))
    })
}
