//! How maps `[N, C, H, W]` lie in memory.

use std::cell::Cell;
use tch::Tensor;

thread_local! {
    static AS_THEY_COME: Cell<bool> = const { Cell::new(false) };
}

/// The same values, channels last: convolutions then need no transposes, and every layer after the first keeps the
/// layout.
pub fn laid_out(maps: &Tensor) -> Tensor {
    if as_they_come() {
        return maps.shallow_clone();
    }
    maps.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Work in which maps lie as they come: what is written into a file is read by others, on other processors.
pub fn left_alone<T>(work: impl FnOnce() -> T) -> T {
    /// A panic ends such work too.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            AS_THEY_COME.set(false);
        }
    }
    let _end = End;
    AS_THEY_COME.set(true);
    work()
}

/// Whether this thread is in such work.
pub(super) fn as_they_come() -> bool {
    AS_THEY_COME.get()
}
