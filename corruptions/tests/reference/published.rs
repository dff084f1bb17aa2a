//! The published checksums of CIFAR-10-C: all eight deterministic corruptions and the
//! labels, from the real test images, as the release stack makes them.

use std::path::PathBuf;
use std::process::Command;

use md5::{Digest, Md5};
use rayon::prelude::*;
use rlnet_corruptions::archive::Published;
use rlnet_corruptions::{Family, Generator, Severity};

use crate::shared;

const RECORD: usize = 1 + 3072;

/// The images of the test batch: the file itself under `RLNET_DATA`, or its `.xz` in the reference
/// data.
fn places() -> [Option<PathBuf>; 2] {
    let file = "cifar-10-batches-bin/test_batch.bin";
    let data = std::env::var_os("RLNET_DATA").map(|folder| PathBuf::from(folder).join(file));
    [data, Some(shared(&format!("data/{file}.xz")))]
}

pub fn ready() -> bool {
    let [plain, packed] = places().map(|place| place.is_some_and(|place| place.exists()));
    plain || packed && Command::new("xz").arg("--version").output().is_ok()
}

fn test_batch() -> Vec<u8> {
    let [plain, packed] = places();
    if let Some(path) = plain.filter(|path| path.exists()) {
        return std::fs::read(path).unwrap();
    }
    let unpacked = Command::new("xz")
        .arg("-dc")
        .arg(packed.unwrap())
        .output()
        .unwrap();
    assert!(unpacked.status.success(), "xz cannot unpack the images");
    unpacked.stdout
}

/// NumPy's 128-byte header for bytes of this shape.
fn header(shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{text:<117}\n").bytes());
    assert_eq!(bytes.len(), 128);
    bytes
}

pub fn all_deterministic_files() {
    let records = test_batch();
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
    let published = [Family::C, Family::CExtra].map(Family::corruptions).concat();
    let deterministic = published.into_par_iter().filter(|c| c.is_deterministic());
    deterministic.for_each(|corruption| {
        let mut out = vec![0; images.len()];
        let mut digest = Md5::new_with_prefix(header("50000, 32, 32, 3"));
        for severity in Severity::ALL {
            let batch = generator.batch(corruption, severity);
            batch.run(&images, (32, 32), &mut out).unwrap();
            digest.update(&out);
        }
        let name = corruption.name();
        assert_eq!(format!("{:x}", digest.finalize()), expected(name), "{name}");
    });
}
