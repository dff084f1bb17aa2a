//! Both layouts on small files that the tests write, every refusal, and the real files where a
//! developer has them.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;

const ANYTHING: LoadOptions = LoadOptions {
    allow_modified: true,
    test_only: false,
    train: None,
    test: None,
};

/// Records of CIFAR-10 (one label byte) or CIFAR-100 (two), with pixels that tell them apart.
fn records(labels: &[u8], label_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, &label) in labels.iter().enumerate() {
        bytes.extend(vec![label % 20; label_bytes - 1]);
        bytes.push(label);
        for channel in 0..3 {
            bytes.extend((0..PLANE).map(|p| (p + 50 * channel + i) as u8));
        }
    }
    bytes
}

fn write_cifar10(root: &Path) -> PathBuf {
    let folder = root.join(CIFAR10.binary_folder);
    fs::create_dir_all(&folder).unwrap();
    for (k, file) in CIFAR10.train.iter().chain([&CIFAR10.test]).enumerate() {
        let labels = [k as u8, 9];
        fs::write(folder.join(file.binary), records(&labels, 1)).unwrap();
    }
    folder
}

fn message(error: Result<Dataset, DataError>) -> String {
    error.unwrap_err().to_string()
}

#[test]
fn records_become_interleaved_images_in_file_order() {
    let root = tempfile::tempdir().unwrap();
    let folder = write_cifar10(root.path());
    let data = load(&CIFAR10, root.path(), ANYTHING).unwrap();
    assert_eq!(data.train.labels, [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
    assert_eq!(data.test.labels, [5, 9]);
    assert_eq!(data.train.indices, (0..10).collect::<Vec<u32>>());
    // Pixel p of record i is (p + i, p + 50 + i, p + 100 + i).
    assert_eq!(data.train.slice(1, 1).unwrap().images[7 * 3..8 * 3], [8, 58, 108]);
    assert!(
        data.provenance.contains("NOT the official bytes"),
        "{}",
        data.provenance
    );
    // The folder itself does as well as its parent, and gives the same identity.
    let again = load(&CIFAR10, &folder, ANYTHING).unwrap();
    assert_eq!(again.checksum, data.checksum);
}

#[test]
fn files_that_are_not_the_official_ones_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = write_cifar10(root.path());
    let strict = LoadOptions::default();
    let text = message(load(&CIFAR10, root.path(), strict));
    assert!(
        text.contains("6146 bytes, expected 30730000") && text.contains("cut short"),
        "{text}"
    );

    // Cut inside a record: refused even where modified files are allowed.
    let file = folder.join("data_batch_2.bin");
    fs::write(&file, &records(&[1, 2], 1)[..5000]).unwrap();
    let text = message(load(&CIFAR10, root.path(), ANYTHING));
    assert!(
        text.contains("data_batch_2.bin: 5000 bytes, expected 6146"),
        "{text}"
    );

    fs::write(&file, records(&[3, 12], 1)).unwrap();
    let text = message(load(&CIFAR10, root.path(), ANYTHING));
    assert!(
        text.contains("record 1 has class label 12, valid are 0 to 9"),
        "{text}"
    );

    fs::remove_file(&file).unwrap();
    let text = message(load(&CIFAR10, root.path(), ANYTHING));
    assert!(text.contains("has no data_batch_2.bin"), "{text}");
}

#[test]
fn a_wrong_checksum_names_both_sums() {
    let file = PathBuf::from("x.bin");
    let text = check_sha1(file, vec![1], Some("00ff"), LoadOptions::default());
    let text = text.err().unwrap().to_string();
    let sum = "bf8b4530d8d246dd74ac53a13471bba17941dff7";
    assert!(
        text.contains("00ff") && text.contains(sum) && text.contains("x.bin"),
        "{text}"
    );
}

#[test]
fn a_missing_folder_says_what_was_looked_for_and_what_to_set() {
    let root = tempfile::tempdir().unwrap();
    let text = message(load(&CIFAR100, root.path(), ANYTHING));
    for part in ["cifar-100-binary", "cifar-100-python", "--data-dir", "RLNET_DATA"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn parts_of_the_cifar100_training_file_are_joined_and_owned_up_to() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(CIFAR100.binary_folder);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("test.bin"), records(&[99], 2)).unwrap();
    fs::write(folder.join("train.bin.part1"), records(&[7, 8], 2)).unwrap();
    fs::write(folder.join("train.bin.part2"), records(&[9], 2)).unwrap();
    // Part 4 is not consecutive and so not read.
    fs::write(folder.join("train.bin.part4"), records(&[10], 2)).unwrap();
    let data = load(&CIFAR100, root.path(), ANYTHING).unwrap();
    assert_eq!(data.train.labels, [7, 8, 9]);
    assert_eq!(data.test.labels, [99]);
    assert!(
        data.provenance.contains("parts 1 to 2 of 5"),
        "{}",
        data.provenance
    );

    let mut bad = records(&[99], 2);
    bad[0] = 20;
    fs::write(folder.join("test.bin"), bad).unwrap();
    let text = message(load(&CIFAR100, root.path(), ANYTHING));
    assert!(
        text.contains("record 0 has coarse label 20, valid are 0 to 19"),
        "{text}"
    );
}

/// A protocol-2 pickle as Python 2 and NumPy wrote the official files: keys as byte strings, labels
/// as a list, `data` as a call of `_reconstruct` with a state. Memo opcodes as theirs.
fn python2_pickle(columns: &[(&str, Vec<u8>)], pixels: &[u8]) -> Vec<u8> {
    let mut out = b"\x80\x02}q\x01(".to_vec();
    let string = |out: &mut Vec<u8>, text: &[u8]| {
        out.push(b'T');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text);
    };
    for (key, labels) in columns {
        string(&mut out, key.as_bytes());
        out.extend(b"q\x02]q\x03(");
        labels.iter().for_each(|&label| out.extend([b'K', label]));
        out.push(b'e');
    }
    string(&mut out, b"data");
    out.extend(
        b"q\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07",
    );
    out.extend(b"(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09");
    out.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89");
    string(&mut out, pixels);
    out.extend(b"tbu.");
    out
}

/// Records without their labels.
fn pixels(labels: &[u8]) -> Vec<u8> {
    let rows = records(labels, 1);
    rows.chunks_exact(1 + 3 * PLANE)
        .flat_map(|r| r[1..].to_vec())
        .collect()
}

#[test]
fn the_python_version_gives_the_binary_version_s_images_and_identity() {
    let binary = tempfile::tempdir().unwrap();
    write_cifar10(binary.path());
    let python = tempfile::tempdir().unwrap();
    let folder = python.path().join(CIFAR10.python_folder);
    fs::create_dir(&folder).unwrap();
    for (k, file) in CIFAR10.train.iter().chain([&CIFAR10.test]).enumerate() {
        let labels = vec![k as u8, 9];
        let bytes = python2_pickle(&[("labels", labels.clone())], &pixels(&labels));
        fs::write(folder.join(file.python), bytes).unwrap();
    }
    let a = load(&CIFAR10, binary.path(), ANYTHING).unwrap();
    let b = load(&CIFAR10, python.path(), ANYTHING).unwrap();
    assert_eq!((a.train, a.test, a.checksum), (b.train, b.test, b.checksum));
    let text = message(load(&CIFAR10, python.path(), LoadOptions::default()));
    assert!(text.contains("SHA-1"), "{text}");
}

#[test]
fn cifar100_pickles_carry_both_labels_and_may_come_from_python_3() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("train");
    // `pickle.dumps({...}, 3)`.
    let mut dict = b"\x80\x03}q\x00(".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend([b"X" as &[u8], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat());
    };
    for (key, labels) in [("coarse_labels", [3, 19]), ("fine_labels", [50, 99])] {
        text(&mut dict, key);
        dict.extend([b']', b'(', b'K', labels[0], b'K', labels[1], b'e']);
    }
    text(&mut dict, "data");
    let data = pixels(&[50, 99]);
    dict.extend([b"B" as &[u8], &(data.len() as u32).to_le_bytes(), &data, b"u."].concat());
    fs::write(&file, dict).unwrap();
    let rows = pickle::read_as_records(&file, true).unwrap();
    assert_eq!(rows.len(), 2 * CIFAR100.record_bytes());
    assert_eq!(rows[..2], [3, 50]);
    assert_eq!(rows[CIFAR100.record_bytes()..][..2], [19, 99]);

    // CIFAR-10's key is not there; a list is no dictionary; half a pickle is none.
    let refused = || pickle::read_as_records(&file, false).unwrap_err().to_string();
    assert!(refused().contains("the key `labels` is missing"));
    fs::write(&file, b"\x80\x03].").unwrap();
    assert!(refused().contains("no dictionary"));
    fs::write(&file, b"\x80\x02}q\x01(U").unwrap();
    assert!(refused().contains("not a CIFAR file of the python version"));
}

/// What Python 3 and NumPy write of `{"data": ..., "labels": ...}`: opcodes of protocols 4 and 5, as
/// `pickletools` lists them.
#[derive(Clone, Copy, PartialEq)]
enum Saved {
    /// Protocol 5: `_frombuffer`, labels a list.
    FromBuffer,
    /// Protocol 5 of an array in Fortran order.
    ByColumn,
    /// Protocol 4: `_reconstruct`, labels an array of int64.
    Reconstruct,
    /// Protocol 4, each label a NumPy number.
    Numbers,
}

fn python3_pickle(saved: Saved, labels: &[u8], pixels: &[u8]) -> Vec<u8> {
    let mut out = b"\x80\x05}\x94(".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend([0x8c, text.len() as u8]);
        out.extend(text.as_bytes());
        out.push(0x94);
    };
    let global = |out: &mut Vec<u8>, module: &str, name: &str| {
        text(out, module);
        text(out, name);
        out.extend([0x93, 0x94]);
    };
    let bytes = |out: &mut Vec<u8>, code: u8, bytes: &[u8]| {
        out.push(code);
        match code {
            0x96 => out.extend((bytes.len() as u64).to_le_bytes()),
            _ => out.extend((bytes.len() as u32).to_le_bytes()),
        }
        out.extend(bytes);
        out.push(0x94);
    };
    let dtype = |out: &mut Vec<u8>, name: &str, order: &str| {
        global(out, "numpy", "dtype");
        text(out, name);
        out.extend(b"\x89\x88\x87\x94R\x94(K\x03");
        text(out, order);
        out.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b");
    };
    let rows = [&[b'K', labels.len() as u8][..], b"M\x00\x0c\x86\x94"].concat();
    let reconstruct = |out: &mut Vec<u8>| {
        global(out, "numpy._core.multiarray", "_reconstruct");
        global(out, "numpy", "ndarray");
        out.extend(b"K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01");
    };
    text(&mut out, "data");
    if [Saved::FromBuffer, Saved::ByColumn].contains(&saved) {
        global(&mut out, "numpy._core.numeric", "_frombuffer");
        out.push(b'(');
        let by_column: Vec<u8> = (0..3 * PLANE)
            .flat_map(|column| pixels.iter().skip(column).step_by(3 * PLANE).copied())
            .collect();
        let is_column = saved == Saved::ByColumn;
        bytes(&mut out, 0x96, if is_column { &by_column } else { pixels });
        dtype(&mut out, "u1", "|");
        out.extend(&rows);
        text(&mut out, if is_column { "F" } else { "C" });
        out.extend(b"t\x94R\x94");
    } else {
        reconstruct(&mut out);
        out.extend(&rows);
        dtype(&mut out, "u1", "|");
        out.push(0x89);
        bytes(&mut out, b'B', pixels);
        out.extend(b"t\x94b");
    }
    text(&mut out, "labels");
    let wide: Vec<u8> = labels
        .iter()
        .flat_map(|&label| i64::from(label).to_le_bytes())
        .collect();
    match saved {
        Saved::FromBuffer | Saved::ByColumn => {
            out.extend(b"]\x94(");
            labels.iter().for_each(|&label| out.extend([b'K', label]));
            out.push(b'e');
        }
        Saved::Reconstruct => {
            reconstruct(&mut out);
            out.extend([b'K', labels.len() as u8, 0x85, 0x94]);
            dtype(&mut out, "i8", "<");
            out.push(0x89);
            bytes(&mut out, b'B', &wide);
            out.extend(b"t\x94b");
        }
        Saved::Numbers => {
            out.extend(b"]\x94(");
            for label in wide.chunks(8) {
                global(&mut out, "numpy._core.multiarray", "scalar");
                dtype(&mut out, "i8", "<");
                bytes(&mut out, b'B', label);
                out.extend(b"\x86\x94R\x94");
            }
            out.push(b'e');
        }
    }
    out.extend(b"u.");
    out
}

#[test]
fn files_that_were_read_and_saved_again_hold_the_same_rows() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("data_batch_1");
    let labels = [3, 9];
    let planes = pixels(&labels);
    fs::write(&file, python2_pickle(&[("labels", labels.to_vec())], &planes)).unwrap();
    let official = pickle::read_as_records(&file, false).unwrap();
    for saved in [
        Saved::FromBuffer,
        Saved::ByColumn,
        Saved::Reconstruct,
        Saved::Numbers,
    ] {
        fs::write(&file, python3_pickle(saved, &labels, &planes)).unwrap();
        assert!(pickle::read_as_records(&file, false).unwrap() == official);
    }
    let wide: Vec<u8> = planes.iter().flat_map(|&value| [value, 0]).collect();
    fs::write(&file, python3_pickle(Saved::FromBuffer, &labels, &wide)).unwrap();
    let refused = pickle::read_as_records(&file, false).unwrap_err().to_string();
    assert!(refused.contains("save it as uint8"), "{refused}");
}

#[test]
#[cfg_attr(not(have = "images"), ignore = "needs CIFAR-10 and CIFAR-100 in RLNET_DATA")]
fn the_official_files_are_accepted() {
    let root = rlnet_test_support::images();
    for official in [&CIFAR10, &CIFAR100] {
        let data = load(official, &root, LoadOptions::default()).unwrap();
        assert_eq!(data.test.len(), 10_000);
        assert!(data.train.len().is_multiple_of(10_000));
        assert!(!data.provenance.contains("NOT"), "{}", data.provenance);
    }
}
