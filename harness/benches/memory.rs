//! What an evaluation holds in memory: no growth over a thousand batches, and a peak far below
//! the 2 GB that an evaluation of 19 x 5 x 10,000 images may take on a CPU beside its model.
//!
//! `cargo bench -p rlnet --bench memory` prints both and fails when one does not hold.
#![allow(missing_docs, clippy::expect_used, clippy::print_stdout)]

use rlnet::data::Split;
use rlnet::eval::{AttackCache, CorruptedImages, EvaluationInput, Networks, Part, evaluate};
use rlnet::nn::model::{self, ModelHeader};
use rlnet::nn::{Network, NetworkSpec, Quirks};
use rlnet::progress::Progress;
use rlnet_corruptions::{Generator, Options};
use rlnet_suites::{Branch, Condition, NormBanks};
use std::collections::BTreeMap;
use tch::Device;

/// Images of CIFAR-10's test set.
const IMAGES: usize = 10_000;
/// A batch; a thousand of them are 10 conditions.
const BATCH: usize = 100;
/// Megabytes that a thousand batches may leave behind: rows of 10 conditions are 12 MB.
const GROWTH: f64 = 64.0;

/// Resident and peak megabytes of this process.
fn memory() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let read = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        line.trim()
            .trim_end_matches(" kB")
            .parse::<f64>()
            .expect("a number")
            / 1024.0
    };
    (read("VmRSS:"), read("VmHWM:"))
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.safetensors");
    let spec = NetworkSpec {
        arch: "resnet8-w4".parse().expect("known"),
        image_size: 32,
        classes: 10,
        norm: NormBanks::Single,
        quirks: Quirks::default(),
        mean: [0.5; 3],
        std: [0.25; 3],
    };
    let network = Network::new(spec, 0, Device::Cpu);
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    model::save(&file, &network, &ModelHeader::of(&network, &classes, "noise", 1)).expect("a model");
    let test = Split {
        size: 32,
        files: None,
        images: (0..IMAGES * 3072)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect(),
        labels: (0..IMAGES).map(|i| (i % 10) as u16).collect(),
        indices: (0..IMAGES as u32).collect(),
    };
    let corrupted = CorruptedImages::Generated {
        generator: Box::new(Generator::new(Options::default())),
        seed: 0,
    };
    // The cheapest to make: what is measured is the loop.
    let conditions: Vec<Condition> = ["contrast", "brightness"]
        .iter()
        .flat_map(|name| {
            (1..=5).map(|severity| Condition::Corruption {
                name: (*name).to_owned(),
                severity,
            })
        })
        .collect();
    let networks =
        Networks::load(&file.clone().into(), &conditions, &BTreeMap::new(), Device::Cpu).expect("a model");
    let input = EvaluationInput {
        networks: &networks,
        test: &test,
        conditions: &conditions,
        branches: &[Branch::Single],
        corrupted: &corrupted,
        batch: BATCH,
        seed: 0,
        save_images: false,
        made: &AttackCache::default(),
    };
    let mut first = None;
    for condition in 0..conditions.len() {
        let part = Part {
            condition,
            from: 0,
            to: IMAGES,
        };
        let progress = Progress::new("memory", "images", IMAGES as u64, 0);
        let rows = evaluate(&input, part, &|| false, &progress)
            .expect("rows")
            .outcomes
            .len();
        let (resident, peak) = memory();
        println!(
            "after {} batches: {resident:.0} MB, peak {peak:.0} MB",
            (condition + 1) * IMAGES / BATCH
        );
        assert_eq!(rows, IMAGES);
        first.get_or_insert(resident);
    }
    let (resident, peak) = memory();
    let growth = resident - first.unwrap_or(resident);
    println!(
        "growth over {} batches: {growth:.0} MB",
        (conditions.len() - 1) * IMAGES / BATCH
    );
    assert!(growth < GROWTH, "{growth} MB");
    assert!(peak < 2048.0, "{peak} MB");
}
