//! The sequences of CIFAR-10-P on real images against the outputs of the published script, and the
//! metrics against those of its evaluation functions.

use rlnet_corruptions::{Generator, Image, NumpyRng, Options, Sequence, Stack};
use rlnet_reports::metrics::sequences::{flip, mean_distance, top5_distance, zipf_distance};
use rlnet_suites::Ranking;
use rlnet_test_support::reference;
use serde_json::Value;

use crate::outputs::load;
use crate::support::hash;

const FILE: &str = "corruptions_p/corruptions_p.npz";
const FRAME: usize = 3072;

fn json(name: &str) -> Value {
    let path = reference("oracles/corruptions_p").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn words(array: &str) -> Vec<u32> {
    let bytes = load(FILE, array, "<i8");
    let words = bytes.as_chunks::<8>().0.iter();
    words.map(|&word| i64::from_le_bytes(word) as u32).collect()
}

/// All frames of one of the images.
fn made(inputs: &[u8], stack: Stack, sequence: Sequence, image: usize, seed: u32) -> Vec<u8> {
    let pixels = inputs[image * FRAME..][..FRAME].to_vec();
    let generator = Generator::new(Options {
        stack,
        ..Options::default()
    });
    let image = Image::from_raw(32, 32, pixels).unwrap();
    generator
        .sequence(&image, sequence, &mut NumpyRng::new(seed))
        .unwrap()
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn every_sequence_is_that_of_the_script_in_both_stacks() {
    let known = json("corruptions_p.json");
    let (inputs, seeds) = (load(FILE, "inputs", "|u1"), words("seeds"));
    let mut wrong = Vec::new();
    for sequence in Sequence::ALL {
        for (stack, of) in [
            (Stack::Release, "sha256_16_release"),
            (Stack::Modern, "sha256_16_modern"),
        ] {
            for (image, &seed) in seeds.iter().enumerate() {
                let got = hash(&made(&inputs, stack, sequence, image, seed));
                if known[of][sequence.name()][image] != got.as_str() {
                    wrong.push(format!("{sequence} {} image {image}", stack.name()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A hash says that something differs, bytes say where.
    for sequence in Sequence::published() {
        let expected = load(FILE, sequence.name(), "|u1");
        let length = sequence.frames() * FRAME;
        for (image, &seed) in seeds.iter().enumerate() {
            let got = made(&inputs, Stack::Release, *sequence, image, seed);
            let off = got
                .iter()
                .zip(&expected[image * length..][..length])
                .filter(|(a, b)| a != b);
            assert_eq!(off.count(), 0, "{sequence} image {image}");
        }
    }
}

/// Division of zero by zero in the script.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn a_frame_of_spatter_without_liquid_is_black() {
    let (inputs, expected) = (load(FILE, "inputs", "|u1"), load(FILE, "spatter_black", "|u1"));
    let black = json("corruptions_p.json")["black_frames"].clone();
    for (at, seed) in words("spatter_black_seeds").into_iter().enumerate() {
        let frames = made(&inputs, Stack::Release, Sequence::Spatter, 0, seed);
        assert!(
            frames == expected[at * frames.len()..][..frames.len()],
            "seed {seed}"
        );
        let dark = frames
            .chunks(FRAME)
            .enumerate()
            .filter(|(_, frame)| frame.iter().all(|&x| x == 0));
        let dark: Vec<usize> = dark.map(|(frame, _)| frame).collect();
        assert_eq!(serde_json::json!(dark), black[seed.to_string()], "seed {seed}");
    }
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn metrics_of_sequences_are_those_of_the_published_functions() {
    let (mut compared, mut farthest) = (0, 0.0_f64);
    for case in json("metrics.json")["cases"].as_array().unwrap() {
        let rows = |value: &Value| -> Vec<Vec<Vec<f32>>> {
            let row = |row: &Value| {
                row.as_array()
                    .unwrap()
                    .iter()
                    .map(|x| x.as_f64().unwrap() as f32)
                    .collect()
            };
            let films = value.as_array().unwrap().iter();
            films
                .map(|film| film.as_array().unwrap().iter().map(row).collect())
                .collect()
        };
        let films: Vec<Vec<Vec<u16>>> = rows(&case["logits"])
            .iter()
            .map(|film| film.iter().map(|logits| Ranking::order(logits)).collect())
            .collect();
        let rank =
            |order: &Vec<u16>, class: u16| order.iter().position(|&other| other == class).map(|at| at + 1);
        let ranks = |order: &Vec<u16>| (0..order.len() as u16).map(|class| rank(order, class)).collect();
        let all: Vec<Vec<Vec<Option<usize>>>> = films
            .iter()
            .map(|film| film.iter().map(ranks).collect())
            .collect();
        assert!(serde_json::json!(all) == case["ranks"], "{}", case["name"]);
        let first = |order: &Vec<u16>| order[0];
        for result in case["results"].as_array().unwrap() {
            let noise = result["noise_type"].as_bool().unwrap();
            let stride = result["step"].as_u64().unwrap() as usize;
            let mean = |distance: &dyn Fn(&Vec<u16>, &Vec<u16>) -> f64| {
                let each = films
                    .iter()
                    .map(|film| mean_distance(film, noise, stride, distance));
                each.sum::<f64>() / films.len() as f64
            };
            for (name, got) in [
                ("flip_probability", mean(&|a, b| flip(&first(a), &first(b)))),
                ("top5_distance", mean(&|a, b| top5_distance(a, b))),
                ("zipf_distance", mean(&|a, b| zipf_distance(a, b))),
            ] {
                let off = (got - result[name].as_f64().unwrap()).abs();
                assert!(off < 1e-12, "{} {name}: {result}, {got}", case["name"]);
                (compared, farthest) = (compared + 1, farthest.max(off));
            }
        }
    }
    assert_eq!(compared, 84, "farthest {farthest}");
}
