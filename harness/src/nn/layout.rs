//! How maps `[N, C, H, W]` lie in memory.

use tch::Tensor;

/// The same values, channels last on a CUDA device (its convolutions then need no transposes;
/// every layer after the first keeps the layout), as they are on the CPU.
pub fn laid_out(maps: &Tensor) -> Tensor {
    if !maps.device().is_cuda() {
        return maps.shallow_clone();
    }
    maps.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}
