//! Quantiles of a sample.

/// A quantile by linear interpolation between order statistics (R's type 7).
pub fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let place = share * values.len().checked_sub(1)? as f64;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    if low == high {
        return Some(low);
    }
    Some(low + (place - place.floor()) * (high - low))
}
