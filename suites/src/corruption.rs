//! Corruptions and sequences in suites: their names are those of `rlnet-corruptions`.

use crate::error::SuiteError;
use rlnet_corruptions::{Corruption, Family, Sequence};

/// The 15 corruptions of the benchmark, in the paper's order (Hendrycks and Dietterich, ICLR 2019).
pub const BENCHMARK: [&str; Family::C.corruptions().len()] = names(Family::C.corruptions());

/// The four extra corruptions, never part of the headline mCE.
pub const EXTRA: [&str; Family::CExtra.corruptions().len()] = names(Family::CExtra.corruptions());

/// Those of C-bar, never part of a mean over the benchmark: the ten of CIFAR-10-C-bar, then the five that
/// ImageNet-C-bar alone has. No image size has parameters for more than ten of them.
pub const C_BAR: [&str; ALL.len() - BENCHMARK.len() - EXTRA.len()] =
    names(Corruption::ALL.split_at(BENCHMARK.len() + EXTRA.len()).1);

/// Every corruption, the benchmark's first, those of C-bar last.
pub const ALL: [&str; Corruption::ALL.len()] = names(&Corruption::ALL);

const fn names<const N: usize>(corruptions: &[Corruption]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = corruptions[at].name();
        at += 1;
    }
    names
}

/// The names of a family.
pub fn of_family(family: Family) -> Vec<&'static str> {
    family
        .corruptions()
        .iter()
        .map(|corruption| corruption.name())
        .collect()
}

/// What stands before the name of a sequence among corruptions: `p/rotate`.
const SEQUENCE: &str = "p/";

/// The sequence that a name among corruptions means, if it means one.
pub fn sequence(name: &str) -> Option<Sequence> {
    name.strip_prefix(SEQUENCE)?.parse().ok()
}

/// The name of a sequence among corruptions.
pub fn sequence_name(sequence: Sequence) -> String {
    format!("{SEQUENCE}{sequence}")
}

/// Every name, those of sequences last.
pub(crate) fn names_and_sequences() -> Vec<String> {
    let sequences = Sequence::ALL.into_iter().map(sequence_name);
    ALL.into_iter().map(str::to_owned).chain(sequences).collect()
}

/// The words for several of them at once.
pub const GROUPS: [&str; 8] = [
    "benchmark",
    "extra",
    "all",
    "c-bar",
    "imagenet-c-bar",
    "p",
    "p-cifar",
    "none",
];

/// The corruptions of a group, by its word: `c-bar` has the ten for 32 pixels, `imagenet-c-bar` the ten for
/// 224, `p` the fourteen sequences of CIFAR-10-P, `p-cifar` the ten that CIFAR papers average.
pub fn group(word: &str) -> Option<Vec<String>> {
    let names: Vec<&str> = match word {
        "benchmark" => BENCHMARK.to_vec(),
        "extra" => EXTRA.to_vec(),
        "all" => [&BENCHMARK[..], &EXTRA[..]].concat(),
        "c-bar" => of_family(Family::CBar),
        "imagenet-c-bar" => of_family(Family::CBarImagenet),
        "p" => return Some(Sequence::published().iter().copied().map(sequence_name).collect()),
        "p-cifar" => return Some(Sequence::CIFAR_TEN.into_iter().map(sequence_name).collect()),
        "none" => Vec::new(),
        _ => return None,
    };
    Some(names.into_iter().map(str::to_owned).collect())
}

/// Checks a name.
///
/// # Errors
/// When no corruption and no sequence has it, with the nearest name.
pub fn check_corruption(name: &str) -> Result<(), SuiteError> {
    let known = names_and_sequences();
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let hint = crate::error::suggest(name, known.iter().map(String::as_str).chain(GROUPS));
    Err(SuiteError::value(
        "corruption",
        name,
        format!("not known; {hint}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Corruptions;
    use toml::Value;

    #[test]
    fn groups_and_names_stand_in_one_list_and_each_corruption_counts_once() {
        let read = |text: &str| text.parse::<Corruptions>().map(|Corruptions(names)| names);
        let both = read("benchmark, c-bar").expect("two groups");
        assert_eq!(both.len(), 25);
        assert_eq!(both[..15], BENCHMARK.map(str::to_owned));
        assert_eq!(
            read("fog,fog,benchmark").expect("a set")[..2],
            ["fog", "gaussian_noise"]
        );
        let list = Value::Array(["benchmark", "c-bar"].map(Value::from).to_vec());
        assert_eq!(Corruptions::try_from(list).expect("a list").0, both);
        for bad in ["benchmark,frog", "c-bra"] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(error.contains("did you mean"), "{error}");
        }
    }
}
