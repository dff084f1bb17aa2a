//! What the rows mean. One idea a file; every metric is a query over outcome rows, counts
//! are whole numbers, and no number is a mean of batch means.

pub mod anchors;
pub mod answers;
pub mod bits;
pub mod bootstrap;
pub mod calibration;
pub mod checks;
pub mod classes;
pub mod compare;
pub mod confusion;
pub mod cost;
pub mod diagnosis;
pub mod estimate;
pub mod grid;
pub mod mce;
pub mod natural;
pub mod ordered;
pub mod paired;
pub mod quantile;
pub mod reading;
pub mod reduction;
pub mod resampled;
pub mod robust;
pub mod steps;
pub mod stronger;
pub mod threat;
pub mod triple;

pub use answers::Tally;
pub use compare::{Comparison, Measure};
pub use cost::{Link, PrivateCost};
pub use diagnosis::{Diagnosis, Verdict};
pub use estimate::{Estimate, Interval, Known, Unknown};
pub use grid::Grid;
pub use mce::Measured;
pub use natural::Natural;
pub use paired::{Difference, McNemar};
pub use reading::Reading;
pub use resampled::Resampled;
pub use stronger::Stronger;
pub use triple::{Gap, Triple};
