//! Loops in the widest vector registers that the processor has.
//!
//! The results are the same everywhere: the compiler never turns a product and a sum into one operation,
//! and it never changes the order of sums of floating-point numbers.

#![expect(
    unsafe_code,
    reason = "a function compiled for more than the least processor has no other call"
)]

/// Runs `work`, which is compiled three times: for any processor, for AVX2 and for AVX-512. Mark the closure,
/// and the functions that it calls in loops, `#[inline(always)]`: what is not inlined stays as it is.
#[inline(always)]
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { avx2(work) };
        }
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bw,avx512dq,avx512vl")]
fn avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
