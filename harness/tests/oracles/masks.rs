//! Scores and masks, bit for bit.

use crate::reference::{json, tensors};
use rlnet::nn::ReluMask;
use rlnet::train::score::Scores;
use tch::Tensor;

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn scores_select_the_references_exact_masks() {
    let (tensors, reference) = (tensors("rlnet/masks.safetensors"), json("rlnet/masks.json"));
    let cases = reference["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 5);
    for (n, case) in cases.iter().enumerate() {
        let differences = &tensors[&format!("diff_{n}")];
        let mut scores = Scores::default();
        // Two batches, to see that sums go on over the epoch.
        for (from, length) in [(0, 2), (2, 3)] {
            let part = differences.narrow(0, from, length);
            scores.add(&[part.shallow_clone()], &[part.zeros_like()], None);
        }
        let keep = case["k"].as_u64().expect("k");
        let mask = scores.mask(&[keep]);
        let want = Vec::<u8>::try_from(tensors[&format!("mask_exact_{n}")].flatten(0, -1));
        assert_eq!(mask.layers()[0], want.expect("bytes"), "case {n}");
        assert_eq!(mask.kept(), [keep]);
        // The reference's own rule, with its one unit fewer.
        let official = ReluMask::above_threshold(&scores.values(), &[keep]);
        let want = Vec::<u8>::try_from(tensors[&format!("mask_official_{n}")].flatten(0, -1));
        assert_eq!(official.layers()[0], want.expect("bytes"), "official case {n}");
        let sums = Tensor::from_slice(&scores.values()[0]);
        let stored = tensors[&format!("score_{n}")].flatten(0, -1);
        assert!(crate::reference::relative(&sums, &stored) < 1e-6, "case {n}");
    }
}
