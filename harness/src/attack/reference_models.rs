//! The models of the reference data, with what its authors' codes said of them.

use super::{Target, TorchScript};
use rlnet_suites::Branch;
use rlnet_test_support::{cifar10_test, reference};
use tch::{Device, Tensor};

/// A model, some of the first test images, and the numbers of `oracles/attacks_2`.
pub(super) struct ReferenceModel {
    model: TorchScript,
    /// The images' places in the test set.
    places: Vec<u32>,
    images: Tensor,
    labels: Tensor,
    pub(super) numbers: serde_json::Value,
}

impl ReferenceModel {
    /// The images at these places.
    pub(super) fn open(name: &str, places: Vec<u32>) -> Self {
        let bytes = cifar10_test();
        let records: Vec<&[u8]> = bytes.chunks_exact(3073).collect();
        let chosen = || places.iter().map(|place| records[*place as usize]);
        let labels: Vec<i64> = chosen().map(|record| i64::from(record[0])).collect();
        let pixels: Vec<f32> = chosen()
            .flat_map(|record| record[1..].iter().map(|byte| f32::from(*byte) / 255.0))
            .collect();
        let file = reference(&format!("oracles/attacks/{name}.pt"));
        let numbers = reference(&format!("oracles/attacks_2/{name}.json"));
        Self {
            model: TorchScript::load(&file, Device::Cpu).expect("a model"),
            images: Tensor::from_slice(&pixels).reshape([places.len() as i64, 3, 32, 32]),
            labels: Tensor::from_slice(&labels),
            places,
            numbers: serde_json::from_slice(&std::fs::read(numbers).expect("a file")).expect("JSON"),
        }
    }

    /// All of the images.
    pub(super) fn target(&self) -> Target<'_> {
        Target::new(
            &self.model,
            Branch::Single,
            &self.images,
            &self.labels,
            &self.places,
            0,
        )
    }

    /// The images that an entry of the numbers is about.
    pub(super) fn positions(name: &str, key: &str) -> Vec<u32> {
        let file = reference(&format!("oracles/attacks_2/{name}.json"));
        let numbers: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
        list(&numbers[key]["positions"])
            .into_iter()
            .map(|place| place as u32)
            .collect()
    }
}

/// A list of numbers.
pub(super) fn list(value: &serde_json::Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).expect("numbers")
}
