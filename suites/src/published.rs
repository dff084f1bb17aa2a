//! Published allocations of ReLU budgets: the share of units each layer keeps.

use crate::error::{SuiteError, suggest};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// One published list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedBudget {
    /// Its name in the literature's files, such as `ResNet18_C10_relu150k`.
    pub name: String,
    /// The architecture it is for.
    #[serde(skip_deserializing)]
    pub arch: String,
    /// Data set it was made for.
    pub dataset: String,
    /// Side of that data set's images, in pixels.
    pub image_size: u64,
    /// Units kept on that architecture at that size: the sum of `floor(share * units)`.
    pub relus: u64,
    /// What is odd about it; empty when nothing is.
    #[serde(default)]
    pub note: String,
    /// Share of the units kept of each ReLU layer, in execution order, in `(0, 1]`.
    pub keep: Vec<f64>,
}

/// The lists of one architecture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    arch: String,
    list: Vec<PublishedBudget>,
}

/// Each file says where its numbers come from.
const FILES: [&str; 4] = [
    include_str!("../published/budgets_resnet18.toml"),
    include_str!("../published/budgets_resnet34.toml"),
    include_str!("../published/budgets_wrn_22_8.toml"),
    include_str!("../published/budgets_vgg16_bn.toml"),
];

/// Every published list.
pub fn budgets() -> &'static [PublishedBudget] {
    static ALL: LazyLock<Vec<PublishedBudget>> = LazyLock::new(|| {
        // The texts are part of the program and a test reads every one of them.
        let files = FILES.iter().filter_map(|text| toml::from_str::<File>(text).ok());
        let lists = |file: File| {
            let arch = file.arch;
            file.list.into_iter().map(move |list| PublishedBudget {
                arch: arch.clone(),
                ..list
            })
        };
        files.flat_map(lists).collect()
    });
    &ALL
}

/// A list by name, whatever the case.
///
/// # Errors
/// When no list has that name.
pub fn find(name: &str) -> Result<&'static PublishedBudget, SuiteError> {
    budgets()
        .iter()
        .find(|budget| budget.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let hint = suggest(name, budgets().iter().map(|budget| budget.name.as_str()));
            SuiteError::value("published allocation", name, hint)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_reads_and_is_found_by_name() {
        for text in FILES {
            toml::from_str::<File>(text).expect("a file of lists");
        }
        assert_eq!(budgets().len(), 20);
        for budget in budgets() {
            assert_eq!(find(&budget.name.to_lowercase()).expect("by name"), budget);
            assert!(budget.keep.iter().all(|share| *share > 0.0 && *share <= 1.0));
        }
        let error = find("ResNet18_C10_relu50k")
            .expect_err("not published")
            .to_string();
        assert!(error.contains("relu150k") || error.contains("relu50k"), "{error}");
    }
}
