//! What the hardware gives, without a network: the floor under every other figure.

use super::{Clock, Rate};
use crate::device::multiplies_bf16;
use crate::error::Result;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Matrix products in the precisions that the device has, and a copy.
///
/// # Errors
/// When libtorch refuses an operation.
pub fn machine(clock: Clock) -> Result<Vec<Rate>> {
    let _guard = no_grad_guard();
    let side = if clock.device.is_cuda() { 8192 } else { 1024 };
    let mut rates = Vec::new();
    let mut kinds = vec![("fp32", Kind::Float)];
    kinds.extend(multiplies_bf16(clock.device).then_some(("bf16", Kind::BFloat16)));
    for (name, kind) in kinds {
        let matrix = Tensor::rand([side, side], (Kind::Float, clock.device)).to_kind(kind);
        let seconds = clock.time(|| Ok(matrix.f_matmul(&matrix).map(drop)?))?;
        let what = format!("matrix product of {side}, {name}");
        rates.push(Rate::new(
            None,
            what,
            (side as f64).powi(3) / seconds / 1e9,
            "GMAC/s",
        ));
    }
    rates.push(copy(clock)?);
    Ok(rates)
}

/// Bytes read and written by a copy that no cache holds.
fn copy(clock: Clock) -> Result<Rate> {
    const BYTES: i64 = 256 << 20;
    let from = Tensor::zeros([BYTES], (Kind::Uint8, clock.device));
    let mut to = from.copy();
    let seconds = clock.time(|| {
        to.copy_(&from);
        Ok(())
    })?;
    let what = match clock.device {
        Device::Cpu => "copy in memory, read and written",
        _ => "copy on the device, read and written",
    };
    Ok(Rate::new(None, what, 2.0 * BYTES as f64 / seconds / 1e9, "GB/s"))
}
