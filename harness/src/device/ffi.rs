//! The one file with `unsafe`: loading a shared library into the process, and the switches of
//! libtorch that its C interface does not offer.
#![expect(unsafe_code, reason = "dlopen and dlsym have no safe form")]

use crate::error::Problem;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::c_void;
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

/// `at::globalContext().setAllowTF32CuDNN(allow)` and `setAllowTF32CuBLAS(allow)`: whether fp32
/// convolutions and matrix products on CUDA may round their inputs to TF32.
pub fn allow_tf32(allow: bool) -> Result<(), Problem> {
    type Context = unsafe extern "C" fn() -> *mut c_void;
    type Setter = unsafe extern "C" fn(*mut c_void, bool);
    // Itanium names of the three functions in libtorch 2.11, the version this program is bound to.
    const CONTEXT: &[u8] = b"_ZN2at13globalContextEv\0";
    const SETTERS: [&[u8]; 2] = [
        b"_ZN2at7Context17setAllowTF32CuDNNEb\0",
        b"_ZN2at7Context18setAllowTF32CuBLASEb\0",
    ];
    let process = Library::this();
    // SAFETY: the names are looked up in the libtorch this process is linked to, whose version is
    // fixed; they are `at::Context& globalContext()` and `void Context::set...(bool)`, and the
    // context lives as long as the process.
    unsafe {
        let context = process
            .get::<Context>(CONTEXT)
            .map_err(|error| Problem::from(error.to_string()))?;
        for name in SETTERS {
            let set = process
                .get::<Setter>(name)
                .map_err(|error| Problem::from(error.to_string()))?;
            set(context(), allow);
        }
    }
    Ok(())
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
