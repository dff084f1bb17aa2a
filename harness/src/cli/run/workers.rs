//! The arguments of workers, from this program's own.

use crate::device::{self, CudaState, DeviceRequest};
use crate::request::{Global, words};
use std::ffi::OsString;

/// The arguments of worker `number` of `jobs` on this machine: its share of the devices and
/// cores, unless they were named.
pub fn local(global: &Global, number: u16, jobs: u16, session: &str) -> Vec<OsString> {
    let mut arguments = without(
        &["--jobs", "--device", "--threads"],
        words::own().iter().skip(1).cloned(),
    );
    let device = match (global.device, device::cuda_state()) {
        (DeviceRequest::Auto, CudaState::Devices(devices)) if devices > 0 => {
            format!("cuda:{}", usize::from(number) % devices)
        }
        (DeviceRequest::Auto | DeviceRequest::Cpu, _) => "cpu".to_owned(),
        (DeviceRequest::Cuda(n), _) => format!("cuda:{n}"),
    };
    arguments.extend(["--device".into(), device.into()]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = match global.threads {
        Some(threads) => Some(usize::from(threads)),
        None if std::env::var_os("OMP_NUM_THREADS").is_some() => None,
        None => Some((cores / usize::from(jobs)).max(1)),
    };
    if let Some(threads) = threads {
        arguments.extend(["--threads".into(), threads.to_string().into()]);
    }
    arguments.extend(["--worker".into(), session.into()]);
    arguments
}

/// The arguments of a task on a cluster. Devices and cores are what Slurm gives it.
#[cfg(feature = "slurm")]
pub fn cluster(session: &str) -> Vec<OsString> {
    let mut arguments = without(&["--executor", "--jobs"], words::own().iter().skip(1).cloned());
    arguments.extend(["--worker".into(), session.into()]);
    arguments
}

/// Arguments without these options and their values.
fn without(options: &[&str], arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if options.contains(&text.as_ref()) {
            arguments.next();
        } else if !options
            .iter()
            .any(|option| text.starts_with(&format!("{option}=")))
        {
            kept.push(argument);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_with_their_values() {
        let words = [
            "run",
            "s",
            "--jobs",
            "4",
            "--only",
            "a",
            "--threads=2",
            "--jobsite",
        ];
        let left = without(&["--jobs", "--threads"], words.iter().map(OsString::from));
        assert_eq!(left, ["run", "s", "--only", "a", "--jobsite"]);
    }
}
