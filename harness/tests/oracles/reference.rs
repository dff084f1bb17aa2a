//! Reading the reference data.

use rlnet_test_support::reference;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::{Kind, Tensor};

/// A file of the reference data.
pub fn oracle(file: &str) -> PathBuf {
    reference(&format!("oracles/{file}"))
}

pub fn json(file: &str) -> serde_json::Value {
    let bytes = std::fs::read(oracle(file)).expect("a readable file");
    serde_json::from_slice(&bytes).expect("JSON")
}

pub fn tensors(file: &str) -> BTreeMap<String, Tensor> {
    let bytes = std::fs::read(oracle(file)).expect("a readable file");
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
    tensors.tensors().into_iter().map(convert).collect()
}

pub fn npy_f32(file: &str) -> Tensor {
    let values = Tensor::read_npy(oracle(file)).expect("npy");
    assert_eq!(values.kind(), Kind::Float, "{file}");
    values
}

/// The first test images of the real CIFAR-10, `[count, 3, 32, 32]` in [0, 1], with labels.
pub fn cifar10_test(count: usize) -> (Tensor, Vec<i64>) {
    let bytes = rlnet_test_support::cifar10_test();
    let records = bytes.chunks_exact(3073).take(count);
    let labels = records.clone().map(|record| i64::from(record[0])).collect();
    let pixels: Vec<f32> = records
        .flat_map(|record| record[1..].iter().map(|&byte| f32::from(byte) / 255.0))
        .collect();
    let images = Tensor::from_slice(&pixels).reshape([count as i64, 3, 32, 32]);
    (images, labels)
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
