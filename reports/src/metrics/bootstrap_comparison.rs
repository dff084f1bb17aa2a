//! Every model against the baseline by the paired bootstrap over images: the one test that
//! fits every number, also those that are no share of images, as an mCE divided by another
//! network's. Both models are drawn the same images.

use crate::metrics::bootstrap::{Bootstrap, interval, p_value};
use crate::metrics::branch_policy::BranchPolicy;
use crate::metrics::compare::{LEVEL, with_baseline};
use crate::metrics::mce::{Base, Definition, Measured, Over, Ratio};
use crate::metrics::paired_tests::holm;
use crate::metrics::prediction_matrix::PredictionMatrix;
use crate::runs::Runs;
use rlnet_suites::Condition;

/// One comparison by bootstrap.
#[derive(Debug, Clone)]
pub struct BootstrapComparison {
    /// The model.
    pub model: String,
    /// How both are read.
    pub policy: BranchPolicy,
    /// What is compared, in words.
    pub measure: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// The model's own number.
    pub this: f64,
    /// The baseline's.
    pub baseline: f64,
    /// Model minus baseline, with its interval.
    pub difference: Ratio,
    /// Images that both answered.
    pub images: u64,
    /// Two-sided p-value.
    pub p: f64,
    /// The same after Holm's adjustment over the table.
    pub adjusted: f64,
}

impl BootstrapComparison {
    /// In words.
    pub fn verdict(&self) -> &'static str {
        match (
            self.adjusted < LEVEL,
            (self.difference.value > 0.0) == self.more_is_better,
        ) {
            (false, _) => "not distinguishable",
            (true, true) => "better",
            (true, false) => "worse",
        }
    }
}

/// All comparisons that can be made.
pub fn comparisons(
    runs: &Runs,
    matrices: &[PredictionMatrix],
    measured: &[Measured],
    bootstrap: &Bootstrap,
) -> Vec<BootstrapComparison> {
    let mut all = Vec::new();
    for (at, base, policy) in with_baseline(runs) {
        let errors = |at: usize| {
            let model = &runs.models[at];
            let policy = policy.on(&model.branches);
            measured
                .iter()
                .find(|found| found.model == model.name && found.policy == policy)
        };
        let pair = Pair {
            model: &runs.models[at].name,
            policy,
            matrices: (&matrices[at], &matrices[base]),
            measured: errors(at).zip(errors(base)),
            bootstrap,
        };
        all.extend(pair.shares("CA", &Condition::Clean));
        all.extend(pair.errors());
        if let Some(attack) = &runs.headline {
            all.extend(pair.shares("AdvA", &Condition::Attack(attack.clone())));
        }
    }
    let raw: Vec<f64> = all.iter().map(|comparison| comparison.p).collect();
    for (comparison, adjusted) in all.iter_mut().zip(holm(&raw)) {
        comparison.adjusted = adjusted;
    }
    all
}

/// The means of errors that are compared: NPA, and mCE divided by the baseline's.
fn definitions() -> [Definition; 3] {
    let of = |base, relative| Definition {
        base,
        over: Over::Benchmark,
        relative,
    };
    [
        of(Base::None, false),
        of(Base::Baseline, false),
        of(Base::Baseline, true),
    ]
}

fn said(definition: &Definition) -> String {
    let name = if definition.relative {
        "relative mCE"
    } else {
        "mCE"
    };
    format!("{name}, baseline = 100")
}

/// Why mCE divided by the baseline's errors is not compared, where it is not: `relative mCE,
/// baseline = 100: the loss of accuracy of ...`. `baseline` is the baseline, read in one way.
pub fn refused(baseline: &Measured) -> Vec<String> {
    let divided = definitions()
        .into_iter()
        .filter(|definition| definition.base == Base::Baseline);
    divided
        .filter_map(|definition| {
            let why = baseline.mce(&definition, Some(baseline)).err()?;
            Some(format!("{}: {why}", said(&definition)))
        })
        .collect()
}

struct Pair<'a> {
    model: &'a str,
    policy: BranchPolicy,
    matrices: (&'a PredictionMatrix, &'a PredictionMatrix),
    measured: Option<(&'a Measured, &'a Measured)>,
    bootstrap: &'a Bootstrap,
}

impl Pair<'_> {
    fn found(
        &self,
        measure: String,
        more_is_better: bool,
        of: (f64, f64),
        steps: &[f64],
    ) -> BootstrapComparison {
        let (low, high) = interval(steps);
        let p = p_value(of.0 - of.1, steps);
        BootstrapComparison {
            model: self.model.to_owned(),
            policy: self.policy,
            measure,
            more_is_better,
            this: of.0,
            baseline: of.1,
            difference: Ratio {
                value: of.0 - of.1,
                low,
                high,
            },
            images: self.matrices.0.images.len() as u64,
            p,
            adjusted: p,
        }
    }

    /// Accuracy under one condition, on the images that both answered.
    fn shares(&self, measure: &str, condition: &Condition) -> Option<BootstrapComparison> {
        let (own, theirs) = self.matrices;
        if own.images != theirs.images {
            return None;
        }
        let this = own.right(self.policy, condition)?;
        let other = theirs.right(self.policy, condition)?;
        let mut steps = Vec::with_capacity(this.len());
        let (mut a, mut b) = (0.0, 0.0);
        for (this, other) in this.iter().zip(&other) {
            let (this, other) = ((*this)?, (*other)?);
            a += f64::from(u8::from(this));
            b += f64::from(u8::from(other));
            steps.push(f32::from(u8::from(this)) - f32::from(u8::from(other)));
        }
        let n = steps.len().max(1) as f64;
        let resampled = self.bootstrap.means(&steps);
        Some(self.found(measure.to_owned(), true, (a / n, b / n), &resampled))
    }

    /// NPA, and mCE divided by the baseline, plain and relative.
    fn errors(&self) -> Vec<BootstrapComparison> {
        let Some((own, theirs)) = self.measured else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for definition in definitions() {
            let (Ok(this), Ok(other)) = (
                own.mce(&definition, Some(theirs)),
                theirs.mce(&definition, Some(theirs)),
            ) else {
                continue;
            };
            let (this, other) = (this.value, other.value);
            let steps: Vec<f64> = own
                .resampled_mce(&definition, Some(theirs))
                .into_iter()
                .zip(theirs.resampled_mce(&definition, Some(theirs)))
                .map(|(a, b)| a - b)
                .collect();
            if steps.is_empty() {
                continue;
            }
            if definition.base == Base::None {
                let steps: Vec<f64> = steps.iter().map(|step| -step).collect();
                all.push(self.found("NPA".to_owned(), true, (1.0 - this, 1.0 - other), &steps));
            } else {
                all.push(self.found(said(&definition), false, (this, other), &steps));
            }
        }
        all
    }
}
