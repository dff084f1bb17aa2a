//! The glossary: one definition of each abbreviation and term, shown as a tooltip where the term
//! heads a column or names a row, and in the page's list of terms.

use serde::Serialize;

/// A term and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The term, as columns and rows write it.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

impl Term {
    /// A term with its meaning.
    pub const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning }
    }
}

/// Clean accuracy.
pub const CA: Term = Term::new(
    "CA",
    "Clean accuracy: the share of unchanged test images that are classified correctly.",
);
/// Naturally perturbed accuracy.
pub const NPA: Term = Term::new(
    "NPA",
    "Naturally perturbed accuracy: the mean accuracy over the corruptions of the benchmark (Hendrycks and Dietterich, ICLR 2019) and their severities.",
);
/// Adversarial accuracy.
pub const ADVA: Term = Term::new(
    "AdvA",
    "Adversarial accuracy: the share of test images that are still classified correctly under the main attack, which sees the whole network. It is an upper bound of the true robust accuracy.",
);
/// Certified accuracy.
pub const CERTIFIED: Term = Term::new(
    "Certified",
    "Certified accuracy: the share of test images of which it is proven that no point of a ball around them is classified wrongly. It is a lower bound of the true robust accuracy, by the method that is named.",
);
/// Mean corruption error.
pub const MCE: Term = Term::new(
    "mCE",
    "Mean corruption error: 100 minus NPA. Here it is not divided by the errors of a base network, so it cannot be compared with an mCE normalised by AlexNet or ResNet-18.",
);
/// The policy that papers print.
pub const ORACLE: Term = Term::new(
    "oracle",
    "Each kind of image goes through the branch trained for it, as papers print it. This assumes an oracle that knows what was done to each image.",
);
/// One branch for everything.
pub const ONE_BRANCH: Term = Term::new(
    "one branch",
    "Every image is classified, and attacked, through this one branch: what a deployed network can do.",
);
/// The branch is left to the attacker.
pub const WORST: Term = Term::new(
    "worst of branches",
    "An image counts only if every branch is correct; under attack, only if the attack against each branch fails. This is what remains if the attacker chooses the branch.",
);
/// Nonlinear units.
pub const RELUS: Term = Term::new(
    "ReLUs",
    "Nonlinear units of one forward pass that the network keeps. A removed ReLU passes its input on unchanged.",
);
/// How many times fewer ReLUs.
pub const REDUCTION: Term = Term::new(
    "Reduction",
    "All ReLUs of the architecture divided by those that are kept.",
);
/// Confidence intervals.
pub const INTERVAL: Term = Term::new(
    "[low, high]",
    "95 % confidence interval. For one condition: Wilson's interval over images. For a mean over conditions: Wilson's interval for the effective number of images, with images as clusters (Korn and Graubard 1998). It covers the choice of test images, not training with another seed.",
);
/// P-values.
pub const P: Term = Term::new(
    "p",
    "Two-sided p-value, paired by image: McNemar's exact test for CA and AdvA, a paired z test of the images' own means for NPA.",
);
/// Adjusted p-values.
pub const P_HOLM: Term = Term::new(
    "p (Holm)",
    "The p-value after Holm's adjustment for all comparisons of the table. At 0.05 or more the two models are called not distinguishable.",
);
/// Oracle minus one branch.
pub const GAP: Term = Term::new(
    "oracle gap",
    "The oracle's CA, NPA and AdvA minus those of the best single branch, which is the one with the largest mean of the three.",
);
/// Calibration error.
pub const ECE: Term = Term::new(
    "ECE",
    "Expected calibration error: the mean distance between confidence and accuracy, over bins of confidence.",
);
/// Corruption error.
pub const CE: Term = Term::new(
    "CE",
    "Corruption error: the mean error over the severities of one corruption, as it is or divided by that of a base network.",
);
/// Inference on encrypted data.
pub const PI: Term = Term::new(
    "PI",
    "Private inference: the server does not see the image and the client does not see the weights. Each kept ReLU runs an interactive protocol. Linear layers cost little in the online phase of Delphi-style protocols only: their encryption is moved to an offline phase, or is most of the cost.",
);
/// The smallest distances.
pub const ENVELOPE: Term = Term::new(
    "envelope",
    "Of each image the smallest perturbation that any attack of the run found in a norm.",
);
/// How near an attack is to it.
pub const OPTIMALITY: Term = Term::new(
    "Local optimality",
    "How near an attack's smallest perturbations come to the envelope: 1 minus the share of the area between the envelope's curve of accuracy against radius and no attack at all that the attack leaves (AttackBench, AAAI 2025).",
);
/// Multiply-accumulates.
pub const MACS: Term = Term::new("MACs", "Multiply-accumulate operations of one forward pass.");

/// What CA, NPA and AdvA are, for which branch, and how sure.
pub const ACCURACY: &[Term] = &[CA, NPA, ADVA, MCE, INTERVAL, ORACLE, ONE_BRANCH, WORST];
/// The same, without the mean corruption error, with tests against a baseline.
pub const COMPARED: &[Term] = &[CA, NPA, ADVA, INTERVAL, P, P_HOLM, ORACLE, WORST];

#[cfg(test)]
mod tests {
    use crate::sections::SECTIONS;

    #[test]
    fn a_term_has_one_definition() {
        let terms = || SECTIONS.iter().flat_map(|section| section.terms);
        for term in terms() {
            assert!(term.meaning.ends_with('.'), "{}", term.name);
            for other in terms().filter(|other| other.name == term.name) {
                assert_eq!(other.meaning, term.meaning, "{}", term.name);
            }
        }
    }
}
