//! Regenerates the nine files of CIFAR-10-C that hold no randomness and compares them with
//! the published checksums.
//!
//! `cargo run -p rlnet-corruptions --example published_md5 -- FOLDER` where FOLDER holds
//! `test_batch.bin` of CIFAR-10's binary version. With `test.bin` of CIFAR-100's instead,
//! the files of CIFAR-100-C.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use rlnet_corruptions::archive::{Dataset, Published, Source, generate_archive};
use rlnet_corruptions::{Corruption, Generator};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: published_md5 FOLDER")?;
    let folder = PathBuf::from(folder);
    let (file, published, labels) = if folder.join("test_batch.bin").exists() {
        ("test_batch.bin", Published::Cifar10C, 1)
    } else {
        ("test.bin", Published::Cifar100C, 2)
    };
    let bytes = std::fs::read(folder.join(file))?;
    let (mut images, mut classes) = (Vec::new(), Vec::new());
    // A record: its labels (the last is the fine one), then three planes.
    for record in bytes.chunks_exact(labels + 3072) {
        classes.push(record[labels - 1]);
        let planes = &record[labels..];
        images.extend((0..3072).map(|i| planes[i % 3 * 1024 + i / 3]));
    }
    let dataset = Dataset {
        images: &images,
        labels: &classes,
        size: (32, 32),
    };
    let deterministic: Vec<_> = Corruption::ALL
        .into_iter()
        .filter(|corruption| corruption.is_deterministic())
        .collect();
    let out = tempfile::tempdir()?;
    let source = Source::Keyed { seed: 0 };
    let written = generate_archive(
        &Generator::default(),
        &dataset,
        out.path(),
        &deterministic,
        source,
        &mut |_| {},
    )?;
    for file in &written {
        let expected = published.md5(file.name).unwrap_or("-");
        println!("{} {expected} {} {}", file.name, file.md5, file.md5 == expected);
    }
    Ok(())
}
