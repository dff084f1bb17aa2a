//! Files of strangers: whatever is done to a good file, reading it ends in an answer or an error, in little memory.
//! `RLNET_FUZZ_SECONDS=600 cargo test -p rlnet --test strangers -- --nocapture` tries each format for so long;
//! `RLNET_FUZZ_CORPUS=fuzz/corpus` writes the good files, a folder a target, for cargo-fuzz.
#![allow(clippy::expect_used, clippy::print_stderr)]

mod seeds;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::time::{Duration, Instant};

/// What the process may take more than before, bytes: inputs are kilobytes, and nothing they claim is believed.
const MEMORY: u64 = 768 << 20;

/// Something done to a file. Places are shares of its length.
#[derive(Debug, Clone)]
enum Change {
    Set(u16, u8),
    Flip(u16, u8),
    Cut(u16),
    Drop(u16, u8),
    Repeat(u16, u8, u8),
    /// A number that claims much: eight bytes of it.
    Claim(u16, u64),
    Insert(u16, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let huge = prop_oneof![
        Just(u64::MAX),
        Just(1 << 60),
        Just(1 << 31),
        Just(0x7fff_ffff_7fff_ffff),
        any::<u64>()
    ];
    prop_oneof![
        4 => (any::<u16>(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        4 => (any::<u16>(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => any::<u16>().prop_map(Change::Cut),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, count)| Change::Drop(at, count)),
        2 => (any::<u16>(), any::<u8>(), 1_u8..20).prop_map(|(at, count, times)| Change::Repeat(at, count, times)),
        3 => (any::<u16>(), huge).prop_map(|(at, value)| Change::Claim(at, value)),
        2 => (any::<u16>(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn changed(file: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for change in changes {
        // Half of the changes are made where files say what they hold: at their ends.
        let place = |at: u16| {
            let near = usize::from(at) % 512;
            let place = match at % 4 {
                0 => near,
                1 => bytes.len().saturating_sub(near),
                _ => (usize::from(at) * bytes.len()) >> 16,
            };
            place.min(bytes.len())
        };
        match change {
            Change::Set(at, value) => {
                let at = place(*at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = *value);
            }
            Change::Flip(at, bit) => {
                let at = place(*at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
            }
            Change::Cut(at) => bytes.truncate(place(*at)),
            Change::Drop(at, count) => {
                let from = place(*at);
                let to = (from + usize::from(*count)).min(bytes.len());
                bytes.drain(from..to);
            }
            Change::Repeat(at, count, times) => {
                let from = place(*at);
                let to = (from + usize::from(*count)).min(bytes.len());
                let piece = bytes[from..to].repeat(usize::from(*times));
                bytes.splice(to..to, piece);
            }
            Change::Claim(at, value) => {
                let from = place(*at);
                let to = (from + 8).min(bytes.len());
                bytes[from..to].copy_from_slice(&value.to_le_bytes()[..to - from]);
            }
            Change::Insert(at, piece) => {
                let at = place(*at);
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}

/// Peak resident memory of this process, bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    1024 * line
        .trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .expect("a number")
}

/// Tries a format with so many changed files, or for as long as was asked.
fn survives(name: &str, cases: u32) {
    let seeds = seeds::seeds(name);
    let read = |data: &[u8]| rlnet::fuzz::run(name, data);
    assert!(!seeds.is_empty(), "{name}");
    seeds.iter().for_each(|seed| read(seed));
    let before = peak();
    let seconds = std::env::var("RLNET_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let strategy = (0..seeds.len(), prop::collection::vec(change(), 1..6));
    let mut tried = 0_u64;
    for round in 0_u64.. {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&round.to_le_bytes());
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let tested = TestRunner::new_with_rng(config, rng).run(&strategy, |(seed, changes)| {
            read(&changed(&seeds[seed], &changes));
            Ok(())
        });
        tested.unwrap_or_else(|error| panic!("{name}, round {round}: {error}"));
        tried += u64::from(cases);
        if Instant::now() >= end {
            break;
        }
    }
    let taken = peak().saturating_sub(before);
    eprintln!("{name}: {tried} files, {} MB", taken >> 20);
    assert!(taken < MEMORY, "{name} took {} MB", taken >> 20);
}

/// Every file that must not be believed, one a test so that each has a name when it fails. They run one after the
/// other, because memory is counted for the process.
#[test]
fn changed_files_are_read_or_refused_in_little_memory() {
    let cases = [
        ("npy", 200),
        ("cifar_binary", 30),
        ("cifar_pickle", 100),
        ("tiny_imagenet", 60),
        ("picture", 200),
        ("suite", 100),
        ("attack", 1000),
        ("mask", 100),
        ("checkpoint", 200),
        ("network", 100),
        ("parquet", 150),
        ("run_directory", 60),
        ("protocol", 60),
        ("bundle", 20),
    ];
    assert_eq!(
        cases.map(|(name, _)| name),
        rlnet::fuzz::TARGETS.map(|(name, _)| name)
    );
    let only = std::env::var("RLNET_FUZZ_TARGET").ok();
    for (name, count) in cases {
        if only.as_ref().is_none_or(|only| only == name) {
            survives(name, count);
        }
    }
}

/// Every target has files to start from.
#[test]
fn every_target_has_files_to_start_from() {
    let corpus = std::env::var_os("RLNET_FUZZ_CORPUS").map(std::path::PathBuf::from);
    // Relative to the repository, as cargo-fuzz names it.
    let corpus = corpus.map(|folder| {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder)
    });
    for (name, _) in rlnet::fuzz::TARGETS {
        let claims = seeds::claims().into_iter().filter(|(of, _)| *of == name);
        let files: Vec<Vec<u8>> = claims.map(|(_, file)| file).chain(seeds::seeds(name)).collect();
        assert!(!files.is_empty(), "{name}");
        for (number, file) in files.iter().enumerate() {
            if let Some(folder) = corpus.as_ref().map(|corpus| corpus.join(name)) {
                std::fs::create_dir_all(&folder).expect("a folder");
                std::fs::write(folder.join(format!("start-{number}")), file).expect("a file");
            }
        }
    }
}

/// Files with which fuzzing once ended the process, named by their target and what they claim.
#[test]
fn what_fuzzing_found_is_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/found");
    let files: Vec<_> = std::fs::read_dir(folder).expect("the folder").flatten().collect();
    assert!(files.len() >= 2);
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let target = name.split('-').next().unwrap_or_default();
        assert!(
            rlnet::fuzz::TARGETS.iter().any(|(known, _)| *known == target),
            "{name}"
        );
        rlnet::fuzz::run(target, &std::fs::read(file.path()).expect("a file"));
    }
}

/// Files of a few hundred bytes that claim much more, each of another format.
#[test]
fn small_files_that_claim_much_are_refused() {
    for (name, file) in seeds::claims() {
        assert!(file.len() < 1200, "{name}: {} bytes", file.len());
        rlnet::fuzz::run(name, &file);
    }
    let taken = peak();
    assert!(taken < 2 << 30, "{} MB", taken >> 20);
}
