//! The published checksums of CIFAR-10-C: all eight deterministic corruptions and the
//! labels, from the real test images, as the release stack makes them.

use md5::{Digest, Md5};
use rayon::prelude::*;
use rlnet_corruptions::archive::{Dataset, Published, Source, generate_archive};
use rlnet_corruptions::{Corruption, Family, Generator, Severity};

const RECORD: usize = 1 + 3072;

/// NumPy's 128-byte header for bytes of this shape.
fn header(shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{text:<117}\n").bytes());
    assert_eq!(bytes.len(), 128);
    bytes
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn all_deterministic_files_have_their_published_md5() {
    let records = rlnet_test_support::cifar10_test();
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

    // C-bar's labels, as 64-bit integers.
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset {
        images: &images[..],
        labels: &labels,
        size: (32, 32),
    };
    let source = Source::Keyed { seed: 0 };
    let bar = &[Corruption::TransverseChromaticAbberation];
    let generator = Generator::default();
    generate_archive(&generator, &dataset, folder.path(), bar, source, &mut |_| {}).unwrap();
    assert_eq!(Published::of_folder(folder.path()), Some(Published::Cifar10CBar));

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
