//! What the rows mean. One idea a file; every metric is a function of a model's
//! [`PredictionMatrix`], which has one value an image for each condition and branch. Counts are
//! whole numbers, and no number is a mean of batch means.

pub mod accuracy_count;
pub mod anchors;
pub mod attack_pairs;
pub mod bits;
pub mod blind;
pub mod bootstrap;
pub mod bootstrap_comparison;
pub mod bracket;
pub mod branch_policy;
pub mod calibration;
pub mod classes;
pub mod compare;
pub mod confusion;
pub mod diagnosis;
pub mod estimate;
pub mod flags;
pub mod joint;
pub mod mce;
pub mod measured_on;
pub mod natural;
pub mod optimality;
pub mod overlap;
pub mod paired_tests;
pub mod prediction_matrix;
pub mod quantile;
pub mod reduction;
pub mod sequences;
pub mod smallest_perturbation;
pub mod steps;
pub mod stronger_attack;
pub mod trainings;
pub mod triple;
pub mod unions;

pub use accuracy_count::AccuracyCount;
pub use blind::Blind;
pub use bootstrap_comparison::BootstrapComparison;
pub use branch_policy::BranchPolicy;
pub use compare::{Comparison, Measure};
pub use diagnosis::{Diagnosis, DiagnosisVerdict};
pub use estimate::{Estimate, Interval, Known, Unknown};
pub use mce::Measured;
pub use measured_on::{Columns, MeasuredOn, Quantity};
pub use natural::Natural;
pub use paired_tests::{Difference, McNemar};
pub use prediction_matrix::PredictionMatrix;
pub use stronger_attack::Stronger;
pub use trainings::OverTrainings;
pub use triple::{Gap, Triple};
