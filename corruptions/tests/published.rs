//! The published checksums of CIFAR-10-C: all eight deterministic corruptions and the
//! labels, from the real test images, as the release stack makes them.
//!
//! Needs `cifar-10-batches-bin/test_batch.bin` under `$RLNET_DATA`, or its `.xz` in the
//! reference data and the `xz` program; skips loudly otherwise.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::PathBuf;
use std::process::Command;

use md5::{Digest, Md5};
use rayon::prelude::*;
use rlnet_corruptions::archive::Published;
use rlnet_corruptions::{Corruption, Generator, Severity};

const RECORD: usize = 1 + 3072;

fn test_batch() -> Option<Vec<u8>> {
    let file = "cifar-10-batches-bin/test_batch.bin";
    if let Some(folder) = std::env::var_os("RLNET_DATA") {
        let path = PathBuf::from(folder).join(file);
        if path.exists() {
            return Some(std::fs::read(path).unwrap());
        }
    }
    let what = "published checksums of CIFAR-10-C";
    let packed = support::find(&format!("data/{file}.xz"), what)?;
    let unpacked = Command::new("xz").arg("-dc").arg(packed).output();
    match unpacked {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            support::skipped(format_args!("{what}: no xz program to unpack the images"));
            None
        }
    }
}

/// NumPy's 128-byte header for bytes of this shape.
fn header(shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{text:<117}\n").bytes());
    assert_eq!(bytes.len(), 128);
    bytes
}

#[test]
fn all_deterministic_files_have_their_published_md5() {
    let Some(records) = test_batch() else {
        return;
    };
    assert_eq!(records.len(), 10_000 * RECORD);
    let mut images = Vec::with_capacity(10_000 * 3072);
    let mut labels = Vec::new();
    for record in records.chunks_exact(RECORD) {
        labels.push(record[0]);
        images.extend((0..3072).map(|i| record[1 + i % 3 * 1024 + i / 3]));
    }
    let expected = |name| Published::Cifar10C.md5(name).unwrap();
    let digest = Md5::new_with_prefix(header("50000,")).chain_update(labels.repeat(5));
    assert_eq!(format!("{:x}", digest.finalize()), expected("labels"));

    let generator = Generator::default();
    let indices: Vec<u64> = (0..10_000).collect();
    let deterministic = Corruption::ALL.into_par_iter().filter(|c| c.is_deterministic());
    deterministic.for_each(|corruption| {
        let mut out = vec![0; images.len()];
        let mut digest = Md5::new_with_prefix(header("50000, 32, 32, 3"));
        for severity in Severity::ALL {
            generator
                .corrupt_batch(&images, (32, 32), &indices, corruption, severity, 0, &mut out)
                .unwrap();
            digest.update(&out);
        }
        let name = corruption.name();
        assert_eq!(format!("{:x}", digest.finalize()), expected(name), "{name}");
    });
}
