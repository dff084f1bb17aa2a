//! The one file of this crate with `unsafe`: loading a shared library into the process, its allocator, and leaving it.
#![expect(unsafe_code, reason = "dlopen, mallopt and _exit have no safe form")]

use crate::error::Problem;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::path::Path;

/// Loads a library with its symbols visible to all, and keeps it for the process's life.
pub fn load_global(path: &Path) -> Result<(), Problem> {
    // SAFETY: libtorch_cuda's initialisers only register kernels with the libtorch that is
    // already loaded; it is the same version, from the same folder.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    match library {
        Ok(library) => {
            // Unloading would leave registered kernels dangling.
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// From here on the process keeps memory that it gives back, up to a GiB. A step of training takes and gives back the same
/// tensors again and again; the system would clear their pages each time.
pub fn keep_memory() {
    /// `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of glibc's `malloc.h`.
    const THRESHOLDS: [i32; 2] = [-1, -3];
    unsafe extern "C" {
        fn mallopt(parameter: i32, value: i32) -> i32;
    }
    for parameter in THRESHOLDS {
        // SAFETY: it sets a number of the allocator, under the allocator's own lock.
        unsafe { mallopt(parameter, 1 << 30) };
    }
}

/// Ends the process with an exit code, without the destructors of C++: libtorch would take every kernel out of its tables again,
/// which is a quarter of what a short command takes. What was printed is flushed before; files are closed by the system.
pub fn leave(code: u8) -> ! {
    unsafe extern "C" {
        fn _exit(code: i32) -> !;
    }
    // SAFETY: `_exit` of the C library only ends the process.
    unsafe { _exit(i32::from(code)) }
}
