//! How maps `[N, C, H, W]` lie in memory.

use tch::Tensor;

/// The same values, channels last on a CUDA device (its convolutions then need no transposes;
/// every layer after the first keeps the layout), as they are on the CPU, where libtorch 2.11 spoils its
/// heap in 1x1 convolutions of stride 2 with few channels that lie so (docs/performance.md).
pub fn laid_out(maps: &Tensor) -> Tensor {
    if !maps.device().is_cuda() {
        return maps.shallow_clone();
    }
    maps.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}
