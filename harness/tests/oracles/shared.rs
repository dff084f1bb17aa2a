//! Finding and reading the reference data.

use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use tch::{Kind, Tensor};

/// Says that the running test is skipped; not by `eprintln!`, which the test runner keeps to itself.
pub fn skipped(why: impl std::fmt::Display) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").ok();
}

/// The folder of reference data, or a loud skip.
pub fn oracle(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RLNET_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
        PathBuf::from,
    );
    let path = root.join("oracles").join(file);
    if path.exists() {
        return Some(path);
    }
    skipped(format_args!("{} is not there; set RLNET_SHARED", path.display()));
    None
}

pub fn json(file: &str) -> Option<serde_json::Value> {
    let bytes = std::fs::read(oracle(file)?).expect("a readable file");
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

pub fn tensors(file: &str) -> Option<BTreeMap<String, Tensor>> {
    let bytes = std::fs::read(oracle(file)?).expect("a readable file");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let convert = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::I64 => Kind::Int64,
            Dtype::U8 => Kind::Uint8,
            other => panic!("unexpected {other:?}"),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        (name, Tensor::from_data_size(view.data(), &shape, kind))
    };
    Some(tensors.tensors().into_iter().map(convert).collect())
}

pub fn npy_f32(file: &str) -> Option<Tensor> {
    let values = Tensor::read_npy(oracle(file)?).expect("npy");
    assert_eq!(values.kind(), Kind::Float, "{file}");
    Some(values)
}

/// Test images of the real CIFAR-10, `[indices, 3, 32, 32]` in [0, 1], with labels; the
/// packed file is unpacked by `xz`.
pub fn cifar10_test(count: usize) -> Option<(Tensor, Vec<i64>)> {
    let packed = oracle("../data/cifar-10-batches-bin/test_batch.bin.xz")?;
    let unpacked = std::process::Command::new("xz").arg("-dc").arg(&packed).output();
    let Some(bytes) = unpacked
        .ok()
        .filter(|run| run.status.success())
        .map(|run| run.stdout)
    else {
        skipped(format_args!("unpacking {} needs `xz`", packed.display()));
        return None;
    };
    let records = bytes.chunks_exact(3073).take(count);
    let labels = records.clone().map(|record| i64::from(record[0])).collect();
    let pixels: Vec<f32> = records
        .flat_map(|record| record[1..].iter().map(|&byte| f32::from(byte) / 255.0))
        .collect();
    let images = Tensor::from_slice(&pixels).reshape([count as i64, 3, 32, 32]);
    Some((images, labels))
}

pub fn max_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double))
        .abs()
        .max()
        .double_value(&[])
}

/// Largest difference over the reference's largest absolute value.
pub fn relative(a: &Tensor, reference: &Tensor) -> f64 {
    max_difference(a, reference) / reference.abs().max().double_value(&[])
}

pub fn matrix(value: &serde_json::Value) -> Tensor {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).expect("a matrix");
    let width = rows[0].len() as i64;
    let flat: Vec<f64> = rows.into_iter().flatten().collect();
    Tensor::from_slice(&flat)
        .reshape([-1, width])
        .to_kind(Kind::Float)
}
