//! Dashed lines, which plotters only draws with its own charts.

type Point = (f64, f64);

/// Cuts a line into dashes of length `on` with gaps of length `off`.
pub(super) fn dashes(points: &[Point], on: f64, off: f64) -> Vec<Vec<Point>> {
    let mut pieces = Vec::new();
    let (mut left, mut drawing) = (on, true);
    let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let rest = (to.0 - from.0).hypot(to.1 - from.1);
            if rest < left {
                left -= rest;
                if drawing {
                    piece.push(to);
                }
                break;
            }
            let t = left / rest;
            from = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            if drawing {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![from];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
    }
    if drawing && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::dashes;

    #[test]
    fn dashes_cover_their_share_of_the_line() {
        let pieces = dashes(&[(0.0, 0.0), (10.0, 0.0), (20.0, 0.0)], 4.0, 2.0);
        let starts: Vec<f64> = pieces.iter().map(|piece| piece[0].0).collect();
        assert_eq!(starts, [0.0, 6.0, 12.0, 18.0]);
        assert_eq!(pieces[1], [(6.0, 0.0), (10.0, 0.0)]);
    }
}
