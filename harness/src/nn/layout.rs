//! How maps `[N, C, H, W]` lie in memory.

use tch::Tensor;

/// The same values, channels last: convolutions then need no transposes, and every layer after the first keeps the
/// layout.
pub fn laid_out(maps: &Tensor) -> Tensor {
    maps.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}
