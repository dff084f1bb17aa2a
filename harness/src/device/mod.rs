//! Which device runs the work. One binary serves machines with and without a GPU: the
//! linker drops `libtorch_cuda.so` as unneeded, so it is loaded at run time when it is there.

mod ffi;

pub use ffi::leave;
use rlnet_libtorch::allow_tf32;

use crate::error::{Error, Problem, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tch::{Cuda, Device};

/// The version of libtorch that the harness is built against; tch accepts no other.
pub const LIBTORCH: &str = "2.11.0";

/// What `--device` asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRequest {
    /// CUDA when it is usable, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// This CUDA device, or an error.
    Cuda(usize),
}

impl FromStr for DeviceRequest {
    type Err = Problem;
    fn from_str(text: &str) -> std::result::Result<Self, Problem> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "write auto, cpu, cuda or cuda:N".into()),
        }
    }
}

/// What was found of CUDA on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaState {
    /// `libtorch_cuda.so` is not beside `libtorch_cpu.so`: a CPU-only libtorch.
    NoLibrary,
    /// It is there but could not be loaded.
    NotLoadable(Problem),
    /// It is loaded, and sees no device (no driver, or none visible).
    NoDevice,
    /// It is loaded and sees this many devices.
    Devices(usize),
}

impl CudaState {
    /// One line for `rlnet doctor`.
    pub fn describe(&self) -> String {
        match self {
            Self::NoLibrary => "this libtorch is CPU-only (no libtorch_cuda.so beside \
                 libtorch_cpu.so); `make setup` on a machine with an NVIDIA driver fetches the rest"
                .into(),
            Self::NotLoadable(why) => format!("libtorch_cuda.so is there but does not load: {why}"),
            Self::NoDevice => "libtorch_cuda.so is loaded and sees no device: is the NVIDIA \
                 driver running, and CUDA_VISIBLE_DEVICES not empty?"
                .into(),
            Self::Devices(n) => format!("{n} device(s)"),
        }
    }
}

/// Loads CUDA if it can be had and looks what is there. Cheap after the first call, which must
/// come before any tensor is made: libtorch looks for CUDA once, at its first use.
pub fn cuda_state() -> CudaState {
    let Some(library) = libtorch_folder().map(|folder| folder.join("libtorch_cuda.so")) else {
        return CudaState::NoLibrary;
    };
    if !library.exists() {
        return CudaState::NoLibrary;
    }
    match ffi::load_global(&library) {
        Err(why) => CudaState::NotLoadable(why),
        Ok(()) => match Cuda::device_count() {
            n if n > 0 => CudaState::Devices(n as usize),
            _ => CudaState::NoDevice,
        },
    }
}

/// The folder that this process's `libtorch_cpu.so` was loaded from.
pub fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("libtorch_cpu.so"))?;
    let path = line.split_whitespace().last()?;
    Path::new(path).parent().map(Path::to_path_buf)
}

/// Decides, without touching anything: what was wished for, and what is there.
///
/// # Errors
/// When a CUDA device was asked for by name and is not usable.
pub fn decide(wish: DeviceRequest, state: &CudaState) -> Result<Device> {
    match (wish, state) {
        (DeviceRequest::Cpu, _) => Ok(Device::Cpu),
        (DeviceRequest::Auto, CudaState::Devices(_)) => Ok(Device::Cuda(0)),
        (DeviceRequest::Auto, _) => Ok(Device::Cpu),
        (DeviceRequest::Cuda(n), CudaState::Devices(count)) if n < *count => Ok(Device::Cuda(n)),
        (DeviceRequest::Cuda(n), CudaState::Devices(count)) => Err(Error::Usage(format!(
            "--device cuda:{n}: this machine has {count} CUDA device(s), counted from 0"
        ))),
        (DeviceRequest::Cuda(_), state) => Err(Error::Usage(format!(
            "--device cuda: {}; or run on --device cpu",
            state.describe()
        ))),
    }
}

/// Sets the number of libtorch threads, has the process keep its memory, and finds the device.
///
/// # Errors
/// When the wished device is not usable.
pub fn open(wish: DeviceRequest, threads: Option<usize>) -> Result<Device> {
    if let Some(threads) = threads {
        tch::set_num_threads(threads as i32);
    }
    ffi::keep_memory();
    let device = match wish {
        DeviceRequest::Cpu => Device::Cpu,
        wish => decide(wish, &cuda_state())?,
    };
    // PyTorch's default lets convolutions use TF32; here fp32 means fp32 unless a stage asks.
    if device.is_cuda() {
        allow_tf32(false);
    }
    Ok(device)
}

/// Settings of CUDA for as long as a training stage runs; back to those of an evaluation when
/// it is dropped. Nothing on a CPU.
#[derive(Debug)]
pub struct Training {
    cuda: bool,
}

impl Training {
    /// cuDNN may try its algorithms on the few shapes that training has, and convolutions may
    /// use TF32 when `tf32`.
    pub fn begin(device: Device, tf32: bool) -> Self {
        let cuda = device.is_cuda();
        if cuda {
            allow_tf32(tf32);
            Cuda::cudnn_set_benchmark(true);
        }
        Self { cuda }
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        if self.cuda {
            Cuda::cudnn_set_benchmark(false);
            allow_tf32(false);
        }
    }
}

/// Whether a device multiplies in bf16 itself. A processor that does not is several times slower in it than in fp32.
pub fn multiplies_bf16(device: Device) -> bool {
    if device.is_cuda() {
        return true;
    }
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// `cpu` or `cuda:N`, for provenance.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(n) => format!("cuda:{n}"),
        _ => "cpu".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_decided_by_what_is_there() {
        let there = CudaState::Devices(2);
        assert_eq!(
            decide(DeviceRequest::Auto, &there).expect("a device"),
            Device::Cuda(0)
        );
        assert_eq!(decide(DeviceRequest::Cpu, &there).expect("a device"), Device::Cpu);
        assert_eq!(
            decide(DeviceRequest::Cuda(1), &there).expect("a device"),
            Device::Cuda(1)
        );
        assert!(decide(DeviceRequest::Cuda(2), &there).is_err());
        for absent in [
            CudaState::NoLibrary,
            CudaState::NotLoadable("x".into()),
            CudaState::NoDevice,
        ] {
            assert_eq!(
                decide(DeviceRequest::Auto, &absent).expect("a device"),
                Device::Cpu
            );
            let error = decide(DeviceRequest::Cuda(0), &absent)
                .expect_err("no CUDA")
                .to_string();
            assert!(error.contains("--device cpu"), "{error}");
        }
    }

    #[test]
    fn wishes_are_read_as_written() {
        assert_eq!("cuda:3".parse(), Ok(DeviceRequest::Cuda(3)));
        assert_eq!("auto".parse(), Ok(DeviceRequest::Auto));
        assert!("gpu".parse::<DeviceRequest>().is_err());
    }

    #[test]
    fn this_process_knows_where_its_libtorch_is() {
        // Any tensor forces the library in.
        let _ = tch::Tensor::from(0.0_f32);
        let folder = libtorch_folder().expect("libtorch is mapped");
        assert!(folder.join("libtorch_cpu.so").exists());
    }
}
