//! The one file with `unsafe`: loading a shared library into the process.
#![expect(unsafe_code, reason = "dlopen has no safe form")]

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::path::Path;

/// Loads a library with its symbols visible to all, and keeps it for the process's life.
pub fn load_global(path: &Path) -> Result<(), String> {
    // SAFETY: libtorch_cuda's initialisers only register kernels with the libtorch that is
    // already loaded; it is the same version, from the same folder.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    match library {
        Ok(library) => {
            // Unloading would leave registered kernels dangling.
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}
