//! The operations against Pillow's own outputs, and their edge cases.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;

fn parse(op: &serde_json::Value) -> Op {
    let number = |key: &str| op[key].as_f64().unwrap();
    match op["op"].as_str().unwrap() {
        "autocontrast" => Op::AutoContrast,
        "equalize" => Op::Equalize,
        "posterize" => Op::Posterize {
            bits: number("bits") as u32,
        },
        "rotate" => Op::Rotate {
            degrees: number("degrees"),
        },
        "solarize" => Op::Solarize {
            threshold: number("threshold") as u16,
        },
        "shear_x" => Op::ShearX {
            factor: number("factor"),
        },
        "shear_y" => Op::ShearY {
            factor: number("factor"),
        },
        "translate_x" => Op::TranslateX {
            pixels: number("pixels"),
        },
        "translate_y" => Op::TranslateY {
            pixels: number("pixels"),
        },
        other => panic!("the oracle has an unknown operation {other}"),
    }
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn every_operation_equals_pillow() {
    let folder = rlnet_test_support::reference("oracles/rlnet");
    let bytes = |name: &str| -> Vec<u8> {
        let values = tch::Tensor::read_npy(folder.join(name)).unwrap();
        assert_eq!(values.kind(), tch::Kind::Uint8, "{name}");
        Vec::try_from(values.flatten(0, -1)).unwrap()
    };
    let (inputs, outputs) = (bytes("augmix_inputs.npy"), bytes("augmix_ops.npy"));
    let text = std::fs::read_to_string(folder.join("augmix_ops.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ops = json["ops"].as_array().unwrap();
    assert_eq!(outputs.len(), ops.len() * inputs.len());
    for (op, expected) in ops.iter().zip(outputs.chunks_exact(inputs.len())) {
        let images = inputs.chunks_exact(32 * 32 * 3);
        let found: Vec<u8> = images.flat_map(|image| parse(op).apply(image, 32)).collect();
        let differ = found.iter().zip(expected).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{op}: {differ} of {} bytes differ", expected.len());
    }
}

#[test]
fn a_flat_image_survives_the_histogram_operations() {
    let flat = vec![77; 8 * 8 * 3];
    assert_eq!(Op::AutoContrast.apply(&flat, 8), flat);
    assert_eq!(Op::Equalize.apply(&flat, 8), flat);
}

#[test]
fn quarter_turns_are_exact_and_counter_clockwise() {
    // Pixels a b / c d, one byte each channel.
    let image: Vec<u8> = [1, 2, 3, 4].into_iter().flat_map(|v| [v; 3]).collect();
    let turned = |degrees| -> Vec<u8> {
        let out = Op::Rotate { degrees }.apply(&image, 2);
        out.chunks_exact(3).map(|pixel| pixel[0]).collect()
    };
    assert_eq!(turned(0.0), [1, 2, 3, 4]);
    assert_eq!(turned(90.0), [2, 4, 1, 3]);
    assert_eq!(turned(180.0), [4, 3, 2, 1]);
    assert_eq!(turned(-90.0), [3, 1, 4, 2]);
}

#[test]
fn a_translation_by_whole_pixels_moves_and_blackens() {
    let image: Vec<u8> = (1..=27).collect();
    let out = Op::TranslateX { pixels: 1.0 }.apply(&image, 3);
    assert_eq!(out[..9], [4, 5, 6, 7, 8, 9, 0, 0, 0]);
    let out = Op::TranslateY { pixels: -1.0 }.apply(&image, 3);
    assert_eq!(out[..9], [0; 9]);
    assert_eq!(out[9..], image[..18]);
}

#[test]
fn solarize_at_256_and_posterize_at_8_change_nothing() {
    let image: Vec<u8> = (0..=254).collect();
    let image = &image[..8 * 8 * 3];
    assert_eq!(Op::Solarize { threshold: 256 }.apply(image, 8), image);
    assert_eq!(Op::Posterize { bits: 8 }.apply(image, 8), image);
}
