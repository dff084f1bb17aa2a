//! What libtorch does and its C interface (tch) does not offer, in two small C++ files.
#![expect(unsafe_code, reason = "calls to C++ have no safe form")]

use std::ffi::{CStr, c_char, c_void};
use tch::Tensor;
use torch_sys::C_tensor;

unsafe extern "C" {
    fn rlnet_freeze(file: *const c_char, size: usize, out: *mut *mut c_char, out_size: *mut usize) -> bool;
    fn rlnet_allow_tf32(allow: bool);
    fn rlnet_waits_begin() -> u64;
    fn rlnet_waits_end(handle: u64) -> *mut c_char;
    fn rlnet_masked_relu(xs: *const C_tensor, floor: *const C_tensor, why: *mut *mut c_char)
    -> *mut C_tensor;
    fn free(bytes: *mut c_void);
}

/// The bytes of a TorchScript file, frozen (`torch.jit.freeze`): in eval mode, with constants for attributes and batch
/// norms folded into the convolutions before them. What it answers differs from the file's own answers by rounding.
///
/// # Errors
/// In words: bytes that are no TorchScript, a module that changes its attributes, or one that cuts gradients (`detach`,
/// `no_grad`), because a frozen one would not.
pub fn freeze(file: &[u8]) -> Result<Vec<u8>, String> {
    let (mut out, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the function reads `file.len()` bytes and writes the two addresses, whose memory is `malloc`'s and is read
    // before it is given back; it lets no exception out.
    let (done, bytes) = unsafe {
        let done = rlnet_freeze(file.as_ptr().cast(), file.len(), &raw mut out, &raw mut size);
        let bytes = match out.is_null() {
            true => Vec::new(),
            false => std::slice::from_raw_parts(out.cast::<u8>(), size).to_vec(),
        };
        free(out.cast());
        (done, bytes)
    };
    match done {
        true => Ok(bytes),
        false => Err(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The larger of `xs`, `[N, ...]`, and `floor`, `[1, ...]`, element by element. The gradient of `xs` is that of
/// `m * relu(x) + (1 - m) * x`: 0 where a unit is at its floor. One pass over memory each way, where values are in single
/// precision on the CPU and both lie in the same order.
///
/// # Panics
/// When libtorch refuses, as `tch` does.
pub fn masked_relu(xs: &Tensor, floor: &Tensor) -> Tensor {
    let mut why = std::ptr::null_mut();
    // SAFETY: both are tensors of libtorch, which the function reads; what it returns is a new tensor of this side, or
    // null, and then the words, if any, are `malloc`'s and are read before they are given back.
    unsafe {
        let ys = rlnet_masked_relu(xs.as_ptr(), floor.as_ptr(), &raw mut why);
        if !ys.is_null() {
            return Tensor::from_ptr(ys);
        }
        let words = match why.is_null() {
            true => "no memory".to_owned(),
            false => CStr::from_ptr(why).to_string_lossy().into_owned(),
        };
        free(why.cast());
        panic!("masked ReLU: {words}");
    }
}

/// Whether convolutions and matrix products of 32 bits on CUDA may round their inputs to TF32; of the whole process.
pub fn allow_tf32(allow: bool) {
    // SAFETY: it sets two flags of libtorch's context, which lives as long as the process.
    unsafe { rlnet_allow_tf32(allow) }
}

/// Some work, and the operations in it, in order, for which the host waits for a CUDA device: those that hand values
/// to the host, whose result's size depends on values, or that move tensors between the two. They are noted on the CPU
/// too, where nothing waits, so that a test without a device can ask for them.
pub fn waits<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    // SAFETY: the callback only reads the operation's name, and is taken out again in the same thread.
    let handle = unsafe { rlnet_waits_begin() };
    let result = work();
    // SAFETY: the handle is the one above; the text ends with a zero, is `malloc`'s, and is read before it is given back.
    let names = unsafe {
        let text = rlnet_waits_end(handle);
        let names = match text.is_null() {
            true => String::new(),
            false => CStr::from_ptr(text).to_string_lossy().into_owned(),
        };
        free(text.cast());
        names
    };
    (result, names.lines().map(str::to_owned).collect())
}
