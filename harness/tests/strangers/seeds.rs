//! Good files of every format, to be changed; and small ones that claim much. `fuzz/` starts from the same files.

use rlnet::fuzz::BETWEEN;
use rlnet::nn::{Network, NetworkSpec, Quirks, mask_file, model};
use rlnet_corruptions::archive::NpyWriter;
use rlnet_reports::bundle::{self, Sample, Statement};
use rlnet_reports::columns::to_parquet;
use rlnet_suites::{CellRecord, CurvePoint, NormBanks, Outcome, Plan, Ranking, catalog};
use serde_json::json;
use std::fs;
use std::path::Path;
use tch::Device;

/// Good files of a target.
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    let read = |path: &Path| fs::read(path).expect("a file");
    match name {
        "npy" => {
            let mut writer = NpyWriter::create(&path, &[5, 2, 2, 3]).expect("a file");
            writer.write(&[7; 60]).expect("bytes");
            writer.finish().expect("whole");
            vec![read(&path), labels()]
        }
        "cifar_binary" => vec![[3, 50].into_iter().chain([9; 3072]).collect()],
        "cifar_pickle" => vec![python3(), python0()],
        "tiny_imagenet" => vec![
            joined(&[
                b"n01\nn02\n",
                b"n01\tgoldfish, carp\n",
                b"a.png\tn01\t0\t0\t62\t62\n",
            ]),
            joined(&[b"n02\nn01\n", b"", b"a.png\tn02\n"]),
        ],
        "picture" => {
            let photo: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 37) as u8).collect();
            rlnet::eval::examples::write_strip(&path, &photo, 8).expect("a picture");
            vec![
                read(&path),
                include_bytes!("../../../fuzz/seeds/picture.jpg").to_vec(),
            ]
        }
        "suite" => ["demo", "cifar10-small", "nightly"]
            .iter()
            .filter_map(|name| catalog::find(name))
            .map(Into::into)
            .collect(),
        "attack" => {
            let entries = rlnet_suites::attack::CATALOGUE
                .iter()
                .map(|entry| entry.name.into());
            let others = [
                "pgd:steps=20,eps=8/255,alpha=2/255,start=zero,norm=l2",
                "fog/3",
                "clean",
                "adaptive:steps=3",
            ];
            entries.chain(others.map(Into::into)).collect()
        }
        "mask" => {
            mask_file::save(&path, &network()).expect("a mask");
            vec![read(&path)]
        }
        "checkpoint" => vec![
            fs::read(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../tests/fixtures/teacher.pth"
            ))
            .expect("a checkpoint"),
            legacy(),
        ],
        "network" => {
            let network = network();
            let classes: Vec<String> = (0..4).map(|class| class.to_string()).collect();
            model::save(
                &path,
                &network,
                &model::ModelHeader::of(&network, &classes, "shapes", 1),
            )
            .expect("a model");
            vec![read(&path), adversarial(&path)]
        }
        "parquet" => vec![
            to_parquet(&rows()).expect("rows"),
            to_parquet(&[CurvePoint {
                epoch: 1,
                metric: "loss".into(),
                value: 0.5,
            }])
            .expect("a curve"),
        ],
        "run_directory" => {
            let (plan, record) = run();
            let json = |value: serde_json::Value| value.to_string().into_bytes();
            let id = record.cell.id.0.clone();
            vec![joined(&[
                &json(serde_json::json!(plan)),
                id.as_bytes(),
                &json(serde_json::json!(record)),
            ])]
        }
        "protocol" => vec![conversation("[2, 10]"), conversation("[2, 4611686018427387904]")],
        "bundle" => vec![packed(folder.path())],
        other => panic!("{other} has no good files"),
    }
}

/// Small files that claim much.
pub fn claims() -> Vec<(&'static str, Vec<u8>)> {
    let header = |shape: &str| {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        [
            b"\x93NUMPY\x01\0" as &[u8],
            &(text.len() as u16).to_le_bytes(),
            text.as_bytes(),
        ]
        .concat()
    };
    let tensors = |shape: &str| {
        let text = format!("{{\"0\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[0,4]}}}}");
        [
            &(text.len() as u64).to_le_bytes() as &[u8],
            text.as_bytes(),
            &[0; 4],
        ]
        .concat()
    };
    // A list that is twice in the next one, sixty times.
    let mut bomb = b"\x80\x02}(X\x04\0\0\0data]q\x00".to_vec();
    for level in 1..=60_u8 {
        bomb.extend([b']', b'q', level, b'(', b'h', level - 1, b'h', level - 1, b'e']);
    }
    bomb.extend(b"X\x0b\0\0\0fine_labelsh\x3cX\x0d\0\0\0coarse_labelsh\x3cu.");
    let deep: Vec<u8> = [
        b"\x80\x02".to_vec(),
        vec![b']'; 500],
        vec![b'a'; 499],
        b".".to_vec(),
    ]
    .concat();
    // PNG: a header of 2^31 - 1 by 2^31 - 1 pixels. (Its checksum is looked at first, so it is right.)
    let png = |width: u32, height: u32| {
        let body = [
            b"IHDR" as &[u8],
            &width.to_be_bytes(),
            &height.to_be_bytes(),
            &[8, 2, 0, 0, 0],
        ]
        .concat();
        [
            b"\x89PNG\r\n\x1a\n\0\0\0\x0d" as &[u8],
            &body,
            &crc(&body).to_be_bytes(),
            b"\0\0\0\0IEND\xaeB`\x82",
        ]
        .concat()
    };
    let jpeg = {
        let mut small = seeds("picture").remove(1);
        let at = small
            .windows(2)
            .position(|pair| pair == [0xff, 0xc0] || pair == [0xff, 0xc2])
            .expect("a frame");
        small[at + 5..at + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        small
    };
    let wide = tensor_of("(1152921504606846976, 0)");
    vec![
        ("npy", header("(1152921504606846976,)")),
        ("npy", header("(4294967296, 4294967296)")),
        ("cifar_pickle", bomb.clone()),
        ("cifar_pickle", deep.clone()),
        ("cifar_pickle", b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.".to_vec()),
        ("picture", png(i32::MAX as u32, i32::MAX as u32)),
        ("picture", png(20_000, 20_000)),
        ("picture", jpeg),
        ("mask", tensors("[1152921504606846976]")),
        ("network", tensors("[1152921504606846976,4]")),
        ("checkpoint", wide),
        ("protocol", u32::MAX.to_le_bytes().to_vec()),
        ("suite", b"schema = 1\nname = \"a\"\n[data]\ndataset = \"shapes\"\ntest = 4294967295\n[evaluation]\nseverities = [1]\n".to_vec()),
        ("attack", b"pgd:steps=18446744073709551615,restarts=18446744073709551615,eps=1e308".to_vec()),
        ("bundle", b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0".to_vec()),
        ("parquet", b"PAR1\xff\xff\xff\x7fPAR1".to_vec()),
    ]
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(BETWEEN)
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

/// `np.save` of two labels as 64-bit numbers.
fn labels() -> Vec<u8> {
    let text = "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n";
    let data = [3_u64, 9].map(u64::to_le_bytes).concat();
    [
        b"\x93NUMPY\x01\0" as &[u8],
        &(text.len() as u16).to_le_bytes(),
        text.as_bytes(),
        &data,
    ]
    .concat()
}

/// One CIFAR-100 image, pickled by protocol 3.
fn python3() -> Vec<u8> {
    let mut out =
        b"\x80\x03}q\x00(X\x0d\0\0\0coarse_labels](K\x03eX\x0b\0\0\0fine_labels](K\x32eX\x04\0\0\0data"
            .to_vec();
    out.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K\x01M\x00\x0c\x86");
    out.extend(b"cnumpy\ndtype\nX\x02\0\0\0u1K\x00K\x01\x87R(K\x03X\x01\0\0\0|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89");
    out.extend(b"B\x00\x0c\x00\x00");
    out.extend([7; 3072]);
    out.extend(b"tbu.");
    out
}

/// The same by protocol 0.
fn python0() -> Vec<u8> {
    let data = "\\x07".repeat(3072);
    format!("(dp0\nS'coarse_labels'\n(lp1\nI3\nasS'fine_labels'\n(lp2\nI50\nasS'data'\nS'{data}'\np3\ns.")
        .into_bytes()
}

fn network() -> Network {
    let spec = NetworkSpec {
        arch: "resnet8-w4".parse().expect("known"),
        image_size: 16,
        classes: 4,
        norm: NormBanks::Single,
        quirks: Quirks::default(),
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    Network::new(spec, 0, Device::Cpu)
}

/// A file of one adversarial image.
fn adversarial(path: &Path) -> Vec<u8> {
    let header = r#"{"kind":"adversarial","condition":"fgsm","shape":[1,3,2,2],"branches":["single"],"indices":[5],"labels":[1]}"#;
    let tensor = format!(
        "{{\"__metadata__\":{{\"rlnet\":{}}},\"single\":{{\"dtype\":\"F32\",\"shape\":[1,3,2,2],\"data_offsets\":[0,48]}}}}",
        serde_json::json!(header)
    );
    let bytes = [
        &(tensor.len() as u64).to_le_bytes() as &[u8],
        tensor.as_bytes(),
        &[0; 48],
    ]
    .concat();
    fs::write(path, &bytes).expect("written");
    assert!(rlnet::eval::Saved::read(path).is_ok(), "a good file");
    bytes
}

/// A file of PyTorch's old format with a tensor of this shape over one number.
fn tensor_of(shape: &str) -> Vec<u8> {
    let sides: Vec<i64> = shape
        .trim_matches(['(', ')'])
        .split(", ")
        .map(|side| side.parse().expect("a side"))
        .collect();
    let number = |value: i64| [b"\x8a\x08" as &[u8], &value.to_le_bytes()].concat();
    let mut out =
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s."
            .to_vec();
    out.extend(
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n",
    );
    out.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuK\x01NtQK\x00");
    out.extend(
        [
            number(sides[0]),
            number(sides[1].max(1)),
            b"\x86K\x00K\x00\x86\x89NtRs.".to_vec(),
        ]
        .concat(),
    );
    out.extend(b"\x80\x02](X\x01\0\0\x000e.");
    out.extend([&1_u64.to_le_bytes() as &[u8], &1.5_f32.to_le_bytes()].concat());
    out
}

fn legacy() -> Vec<u8> {
    tensor_of("(1, 1)")
}

fn rows() -> Vec<Outcome> {
    let row = |image: u32| Outcome {
        image,
        branch: rlnet_suites::Branch::Single,
        condition: "fgsm".parse().expect("a condition"),
        label: 1,
        prediction: (image % 2) as u16,
        rounded: 1,
        margin: 0.5,
        loss: 0.25,
        norm: 8.0 / 255.0,
        forwards: 3,
        backwards: 1,
        unstable: 0,
        unusable: 0,
        ranking: Ranking::default(),
    };
    (0..20).map(row).collect()
}

/// A plan of one cell, and its record, as files of the first version have them.
fn run() -> (Plan, CellRecord) {
    let cell = json!({
        "id": "0123456789abcdef", "name": "net/fgsm", "model": "net", "parents": ["fedcba9876543210"],
        "data": {"dataset": "shapes", "train": null, "test": 20, "validation": 0.1, "seed": 0, "checksum": "0123"},
        "spec": {"kind": "evaluate", "conditions": ["fgsm"], "seed": 0},
        "versions": {"evaluate": 1},
    });
    let plan = json!({
        "schema": 1, "suite": "eval-net", "title": "net", "description": "", "headline": "fgsm", "baseline": null,
        "evaluation_batch": 100, "save_images": true, "cells": [cell],
    });
    let record = json!({
        "cell": cell, "model": null, "rows": 20,
        "provenance": {
            "program": "0.1.0", "commit": "", "libtorch": "2.11.0", "device": "cpu", "threads": 1, "started": 0,
            "seconds": 1.0, "resumed": 0, "peak_memory": 0, "corruptions": "", "files": {}, "allowed": [], "classes": 10,
        },
    });
    let plan = serde_json::from_value(plan).expect("a plan");
    (plan, serde_json::from_value(record).expect("a record"))
}

/// A server that says hello and answers one request.
fn conversation(shape: &str) -> Vec<u8> {
    let message = |text: &str| [&(text.len() as u32).to_le_bytes() as &[u8], text.as_bytes()].concat();
    let hello = r#"{"ok":true,"protocol":1,"name":"n","framework":"f","fingerprint":"x","gradients":true}"#;
    [
        message(hello),
        message(&format!("{{\"ok\":true,\"shape\":{shape}}}")),
    ]
    .concat()
}

/// A bundle of one cell.
fn packed(folder: &Path) -> Vec<u8> {
    let (plan, mut record) = run();
    let (from, to, out) = (folder.join("run"), folder.join("staged"), folder.join("a.zip"));
    let cell = from.join("cells").join(&record.cell.id.0);
    fs::create_dir_all(&cell).expect("a folder");
    let bytes = to_parquet(&rows()).expect("rows");
    fs::write(cell.join("outcomes.parquet"), &bytes).expect("written");
    let sum = rlnet_suites::io::checksum(&bytes);
    record.provenance.files.insert("outcomes.parquet".into(), sum);
    fs::write(cell.join("cell.json"), serde_json::json!(record).to_string()).expect("written");
    fs::create_dir(&to).expect("a folder");
    bundle::stage(&from, &plan, &to).expect("staged");
    let sample = Sample {
        images: vec![3, 5],
        size: 4,
    };
    bundle::seal(&to, "test", "open", Statement::default(), sample).expect("sealed");
    bundle::archive(&to, &out).expect("packed");
    fs::read(out).expect("a bundle")
}
