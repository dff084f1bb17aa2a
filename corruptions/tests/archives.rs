//! Files: what is written is what is read, whole or not at all, by others too.

#![allow(clippy::unwrap_used)]

use std::fs;

use rlnet_corruptions::archive::{
    Dataset, FolderImage, NpyReader, NpyWriter, Published, Source, Status, TreeContent, TreeFormat,
    compare_files, compare_regenerated, contact_sheet, generate_archive, generate_folders, read_labels,
    verify_dir, verify_own, write_jpeg, write_png,
};
use rlnet_corruptions::{Corruption, Error, Generator, Image, NumpyRng, Options, Severity, Stack};

fn images(count: usize) -> Vec<u8> {
    (0..count * 3072).map(|i| (i * 7 % 251) as u8).collect()
}

#[test]
fn an_unfinished_or_short_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let mut writer = NpyWriter::create(&path, &[4]).unwrap();
    writer.write(&[1, 2]).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Archive { .. })));
    let mut writer = NpyWriter::create(&path, &[4]).unwrap();
    assert!(writer.write(&[0; 5]).is_err());
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn other_shapes_types_and_lengths_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let header = |version: u8, text: &str| {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((text.len() as u16).to_le_bytes()),
            _ => bytes.extend((text.len() as u32).to_le_bytes()),
        }
        bytes.extend(text.bytes());
        bytes
    };
    let good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n";
    for version in [1, 2, 3] {
        let mut bytes = header(version, good);
        bytes.extend([1, 2, 3, 4, 5, 6]);
        fs::write(&path, bytes).unwrap();
        let mut reader = NpyReader::open(&path).unwrap().expect(&[2, 3]).unwrap();
        let mut row = [0; 3];
        reader.read_rows(1, &mut row).unwrap();
        assert_eq!(row, [4, 5, 6]);
        assert!(reader.read_rows(2, &mut row).is_err());
        assert!(reader.read_rows(0, &mut [0; 4]).is_err());
    }
    let mut short = header(1, good);
    short.extend([1, 2, 3]);
    let floats = header(1, &good.replace("|u1", "<f8"));
    let columns = header(1, &good.replace("False", "True"));
    let newer = header(9, good);
    for bytes in [
        short,
        floats,
        columns,
        newer,
        b"\x93NUMPY".to_vec(),
        b"PK".to_vec(),
        vec![],
    ] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(NpyReader::open(&path), Err(Error::Archive { .. })));
    }
    assert!(matches!(
        NpyReader::open(folder.path().join("b.npy")),
        Err(Error::Io { .. })
    ));
}

#[test]
fn an_archive_is_severity_major_and_reads_back_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (images(3), [4, 0, 9]);
    let dataset = Dataset {
        images: &images,
        labels: &labels,
        size: (32, 32),
    };
    let generator = Generator::default();
    let source = Source::Keyed { seed: 11 };
    let mut last = 0;
    let names = [Corruption::Snow, Corruption::Contrast];
    let written = generate_archive(&generator, &dataset, folder.path(), &names, source, &mut |p| {
        assert!(p.done > last && p.done <= p.total && p.total == 30);
        last = p.done;
    })
    .unwrap();
    assert_eq!(last, 30);
    assert_eq!(written.len(), 3);

    // Byte for byte the header of `numpy.save` (NumPy 1.24), 128 bytes.
    let bytes = fs::read(folder.path().join("snow.npy")).unwrap();
    let (header, values) = bytes.split_at(128);
    let dictionary = b"{'descr': '|u1', 'fortran_order': False, 'shape': (15, 32, 32, 3), }";
    assert_eq!(&header[..10], b"\x93NUMPY\x01\0v\0");
    assert_eq!(&header[10..][..dictionary.len()], dictionary);
    assert_eq!(header[10..][dictionary.len()..].trim_ascii_end(), b"");
    assert_eq!(header[127], b'\n');
    assert_eq!(values.len(), 15 * 3072);
    let image = Image::from_raw(32, 32, images[3072..6144].to_vec()).unwrap();
    let severity = Severity::new(4).unwrap();
    let expected = generator
        .corrupt_keyed(&image, Corruption::Snow, severity, 11, 1)
        .unwrap();
    assert_eq!(&values[(3 * 3 + 1) * 3072..][..3072], expected.data());
    let mut tiled = [0; 15];
    NpyReader::open(folder.path().join("labels.npy"))
        .unwrap()
        .read_rows(0, &mut tiled)
        .unwrap();
    assert_eq!(tiled.to_vec(), labels.repeat(5));

    let snow = folder.path().join("snow.npy");
    let same = compare_regenerated(&generator, &dataset, Corruption::Snow, source, &snow).unwrap();
    assert_eq!((same.differing, same.total), (0, 15 * 3072));
    let other = compare_files(&snow, folder.path().join("contrast.npy")).unwrap();
    assert!(other.fraction() > 0.5);

    let provenance = fs::read_to_string(folder.path().join("provenance.json")).unwrap();
    for word in ["release", "procedural", "keyed", "ijg-9", &written[0].md5] {
        assert!(provenance.contains(word), "{word} in {provenance}");
    }
}

#[test]
fn an_archive_of_c_bar_has_labels_of_64_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (images(2), [4, 0]);
    let dataset = Dataset {
        images: &images,
        labels: &labels,
        size: (32, 32),
    };
    let make = |names: &[Corruption]| {
        let source = Source::Keyed { seed: 1 };
        generate_archive(
            &Generator::default(),
            &dataset,
            folder.path(),
            names,
            source,
            &mut |_| {},
        )
    };
    make(&[Corruption::Ripple, Corruption::Lines]).unwrap();
    let path = folder.path().join("labels.npy");
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 128 + 10 * 8);
    let dictionary = b"{'descr': '<i8', 'fortran_order': False, 'shape': (10,), }";
    assert_eq!(&bytes[10..][..dictionary.len()], dictionary);
    assert_eq!(read_labels(&path).unwrap(), [4, 0, 4, 0, 4, 0, 4, 0, 4, 0]);
    assert!(NpyReader::open(&path).is_err());
    // A folder holds one benchmark.
    let mixed = make(&[Corruption::Fog]).unwrap_err().to_string();
    assert!(mixed.contains("label_type"), "{mixed}");
    // Nobody publishes checksums, but the form of the files is known.
    for file in verify_dir(folder.path(), Published::Cifar10CBar, &mut |_| {}).unwrap() {
        let malformed = ["ripple", "lines", "labels"].contains(&file.name);
        assert_eq!(
            matches!(file.status, Status::Malformed { .. }),
            malformed,
            "{file:?}"
        );
        assert_eq!(file.status == Status::Missing, !malformed);
    }
}

#[test]
fn the_numpy_source_is_one_continuing_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (images(2), [0, 1]);
    let dataset = Dataset {
        images: &images,
        labels: &labels,
        size: (32, 32),
    };
    let generator = Generator::default();
    let names = [Corruption::GaussianNoise, Corruption::GlassBlur];
    let source = Source::Numpy { seed: 3 };
    generate_archive(&generator, &dataset, folder.path(), &names, source, &mut |_| {}).unwrap();
    let mut rng = NumpyRng::new(3);
    for corruption in names {
        let path = folder.path().join(format!("{corruption}.npy"));
        let mut reader = NpyReader::open(path).unwrap();
        for (row, severity) in Severity::ALL.into_iter().flat_map(|s| [s; 2]).enumerate() {
            let image = images[row % 2 * 3072..][..3072].to_vec();
            let image = Image::from_raw(32, 32, image).unwrap();
            let expected = generator.corrupt(&image, corruption, severity, &mut rng).unwrap();
            let mut got = [0; 3072];
            reader.read_rows(row, &mut got).unwrap();
            assert_eq!(&got[..], expected.data());
        }
    }
}

#[test]
fn a_folder_is_told_from_the_published_archive() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(format!("{name}.npy"));
    let mut writer = NpyWriter::create(path("labels"), &[50_000]).unwrap();
    writer.write(&[1; 50_000]).unwrap();
    writer.finish().unwrap();
    fs::write(path("fog"), b"not an array").unwrap();
    let report = verify_dir(folder.path(), Published::Cifar10C, &mut |_| {}).unwrap();
    assert_eq!(report.len(), 20);
    for file in report {
        let as_expected = match file.name {
            "labels" => matches!(file.status, Status::Differs { .. }),
            "fog" => matches!(file.status, Status::Malformed { .. }),
            _ => file.status == Status::Missing,
        };
        assert!(as_expected, "{file:?}");
    }
    assert!(verify_dir(path("absent"), Published::Cifar10C, &mut |_| {}).is_err());
}

#[test]
fn a_tree_of_png_files_and_a_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::from_raw(64, 64, images(4)).unwrap();
    let item = FolderImage {
        class: "n01443537",
        name: "val_0",
        index: 5,
    };
    let generator = Generator::default();
    let content = TreeContent {
        images: &[item],
        load: &|_| Ok(image.clone()),
        corruptions: &[Corruption::Pixelate, Corruption::Frost],
        severities: &Severity::ALL,
        seed: 8,
        format: TreeFormat::Png,
    };
    let make =
        |content: &TreeContent<'_>| generate_folders(&generator, content, folder.path(), &|_, _, _| {});
    let levels = make(&content).unwrap();
    assert_eq!(levels.len(), 10);
    assert!(levels.iter().all(|level| level.made));
    let file = folder.path().join("frost/3/n01443537/val_0.png");
    let read = Image::decode(&fs::read(&file).unwrap()).unwrap();
    let severity = Severity::new(3).unwrap();
    let expected = generator.corrupt_keyed(&image, Corruption::Frost, severity, 8, 5);
    assert_eq!(read, expected.unwrap());

    // Nothing is made twice; what was damaged is made again, the same.
    fs::write(&file, b"damaged").unwrap();
    let verdict = |name: &str| {
        let all = verify_own(folder.path(), &mut |_| {}).unwrap();
        all.into_iter().find(|part| part.0 == name).unwrap().1
    };
    assert_eq!(
        (verdict("frost/3"), verdict("frost/2")),
        (Some(false), Some(true))
    );
    let again = make(&content).unwrap();
    let made: Vec<&str> = again
        .iter()
        .filter(|level| level.made)
        .map(|level| level.name.as_str())
        .collect();
    assert_eq!(made, ["frost/3"]);
    assert_eq!(
        again.iter().map(|l| &l.md5).collect::<Vec<_>>(),
        levels.iter().map(|l| &l.md5).collect::<Vec<_>>()
    );
    assert_eq!(verdict("frost/3"), Some(true));

    // Another way of making, a path out of the tree, somebody else's files: refused.
    let other = make(&TreeContent { seed: 9, ..content }).unwrap_err().to_string();
    assert!(other.contains("source.seed is 8 there, 9 here"), "{other}");
    let outside = FolderImage { class: "..", ..item };
    assert!(
        make(&TreeContent {
            images: &[outside],
            ..content
        })
        .is_err()
    );
    fs::remove_file(folder.path().join("provenance.json")).unwrap();
    let foreign = make(&content).unwrap_err().to_string();
    assert!(
        foreign.contains("pixelate/1") && foreign.contains("overwritten"),
        "{foreign}"
    );

    let sheet = contact_sheet(&generator, &image, &[Corruption::Fog, Corruption::Frost], 1).unwrap();
    let path = folder.path().join("sheet.png");
    write_png(&sheet, &path).unwrap();
    assert_eq!(Image::decode(&fs::read(path).unwrap()).unwrap(), sheet);
}

/// What is written as JPEG reads back as the codec's own arithmetic says: a file of quality q
/// of an image equals the corruption jpeg_compression at that quality, in the modern stack.
#[test]
#[cfg_attr(not(feature = "jpeg"), ignore = "needs the feature jpeg")]
fn a_jpeg_tree_holds_what_the_published_codec_settings_give() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::from_raw(32, 32, images(1)).unwrap();
    let path = folder.path().join("a.JPEG");
    let modern = Generator::new(Options {
        stack: Stack::Modern,
        ..Options::default()
    });
    // Qualities of the 32 x 32 set, severities 1 to 5.
    for (severity, quality) in Severity::ALL.into_iter().zip([80, 65, 58, 50, 40]) {
        write_jpeg(&image, quality, &path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let read = Image::decode(&bytes).unwrap();
        let expected = modern
            .corrupt_keyed(&image, Corruption::JpegCompression, severity, 0, 0)
            .unwrap();
        assert_eq!(read, expected, "quality {quality}");
        let short = Image::decode(&bytes[..bytes.len() / 2]).unwrap_err().to_string();
        assert!(short.contains("cut short"), "{short}");
    }
}
