//! Pairs of conditions of which the second must be no weaker than the first, with their paired
//! tests. There may be hundreds of attacks and so tens of thousands of pairs: what an attack is
//! gets read once, and answers are compared as bits.

use crate::metrics::accuracy_count::ByImage;
use crate::metrics::bits::Answers;
use crate::metrics::paired_tests::sign_test;
use rlnet_suites::attack::{Access, BranchChoice, Norm, Surrogate, is_same_radius};
use rlnet_suites::{AttackSpec, Branch, Condition};

/// A pair of conditions with its test.
pub struct Tested<'a> {
    /// The item of the checklist that it belongs to.
    pub code: &'static str,
    /// The condition that must leave no fewer images right.
    pub weak: &'a Condition,
    /// The condition that must leave no more.
    pub strong: &'a Condition,
    /// Images right under the strong condition alone: what should not be.
    pub wrong_way: u64,
    /// Images right under the weak condition alone.
    pub right_way: u64,
    /// Images that have both.
    pub images: u64,
    /// McNemar's exact p-value of the stronger one's being weaker: 1 when it is not.
    pub p: f64,
}

/// What an attack is, as far as pairs go.
struct Facts<'a> {
    condition: &'a Condition,
    spec: &'a AttackSpec,
    answers: &'a Answers,
    kind: (&'static str, Vec<(&'static str, &'a str)>),
    norm: Norm,
    eps: Option<f64>,
    radius: Option<f64>,
    /// Steps, starts, queries.
    effort: [Option<usize>; 3],
    white_box: bool,
    /// Images that it leaves right.
    right: u64,
}

impl<'a> Facts<'a> {
    fn of(condition: &'a Condition, answers: &'a Answers, branch: Branch) -> Option<Self> {
        let Condition::Attack(spec) = condition else {
            return None;
        };
        Some(Self {
            condition,
            spec,
            answers,
            kind: spec.kind(),
            norm: spec.norm(),
            eps: spec.eps(),
            radius: spec.radius(),
            effort: [spec.steps(), spec.restarts(), spec.queries()],
            white_box: is_white_box(spec, branch),
            right: answers.right(),
        })
    }

    fn no_less_effort(&self, other: &Self) -> bool {
        let mut efforts = self.effort.iter().zip(&other.effort);
        efforts.all(|(own, other)| own >= other)
    }

    fn same_ball(&self, other: &Self) -> bool {
        let bounded = self.radius.zip(other.radius);
        let same = bounded.is_some_and(|(a, b)| is_same_radius(a, b));
        same && self.norm == other.norm && self.spec.base() == other.spec.base()
    }

    /// Whether both follow the same network through the same branch: many steps on another network
    /// may well do less harm than one on its own.
    fn follows_as(&self, other: &Self) -> bool {
        self.spec.surrogate() == other.spec.surrogate() && self.spec.branch() == other.spec.branch()
    }

    /// As which item this, the stronger one, is held against another attack.
    fn stronger_than(&self, other: &Self) -> Option<&'static str> {
        let many = other.spec.entry().one_step_of;
        if many.is_some_and(|many| many.name == self.spec.name())
            && self.same_ball(other)
            && self.follows_as(other)
        {
            return Some("steps-weaken");
        }
        // Radii in different norms, surrogates and roundings are not ordered.
        if !self.no_less_effort(other) || self.spec.is_minimum_norm() || self.kind != other.kind {
            return None;
        }
        let (own, others) = (self.eps.unwrap_or(0.0), other.eps.unwrap_or(0.0));
        if own > others && !is_same_radius(own, others) {
            Some("radius-weakens")
        } else if !other.no_less_effort(self) && self.same_ball(other) {
            Some("effort-weakens")
        } else {
            None
        }
    }
}

/// Every pair among the conditions of one network, attacked and read through one branch.
pub fn pairs(answers: &ByImage, branch: Branch) -> Vec<Tested<'_>> {
    let attacks: Vec<Facts<'_>> = answers
        .iter()
        .filter_map(|(condition, answers)| Facts::of(condition, answers, branch))
        .collect();
    let clean = answers.get_key_value(&Condition::Clean);
    let mut pairs = Vec::new();
    for attack in &attacks {
        let own = (attack.condition, attack.answers);
        pairs.extend(clean.map(|clean| test("attack-helps", clean, own)));
        for other in &attacks {
            if let Some(code) = attack.stronger_than(other) {
                pairs.push(test(code, (other.condition, other.answers), own));
            }
        }
        let white = attacks.iter();
        let white = white.filter(|other| other.white_box && other.same_ball(attack));
        match kind(attack.spec, branch) {
            Some(code @ "noise-wins") => {
                pairs.extend(white.map(|other| test(code, own, (other.condition, other.answers))));
            }
            Some(code) => {
                let best = white.min_by_key(|other| other.right);
                pairs.extend(best.map(|best| test(code, own, (best.condition, best.answers))));
            }
            None => {}
        }
    }
    pairs
}

fn test<'a>(
    code: &'static str,
    (weak, of_weak): (&'a Condition, &Answers),
    (strong, of_strong): (&'a Condition, &Answers),
) -> Tested<'a> {
    let (wrong_way, right_way, images) = of_strong.against(of_weak);
    Tested {
        code,
        weak,
        strong,
        wrong_way,
        right_way,
        images,
        p: if wrong_way > right_way {
            sign_test(wrong_way, right_way)
        } else {
            1.0
        },
    }
}

/// Which comparison with the white-box attacks an attack stands for.
fn kind(attack: &AttackSpec, branch: Branch) -> Option<&'static str> {
    match attack.entry().access {
        Access::Nothing => Some("noise-wins"),
        Access::Logits => Some("black-box-wins"),
        Access::Gradients if attack.radius().is_none() || follows_itself(attack, branch) => None,
        // One perturbation against all branches is another question.
        Access::Gradients if attack.branch() == BranchChoice::All => None,
        Access::Gradients => Some("transfer-wins"),
    }
}

/// Whether it follows the gradient of the network and branch that it is judged on.
fn is_white_box(attack: &AttackSpec, branch: Branch) -> bool {
    attack.entry().access == Access::Gradients && follows_itself(attack, branch)
}

fn follows_itself(attack: &AttackSpec, branch: Branch) -> bool {
    // A network with one branch answers for every branch.
    let own = match attack.branch() {
        BranchChoice::Same => true,
        BranchChoice::One(followed) => followed == branch || branch == Branch::Single,
        BranchChoice::All => branch == Branch::Single,
    };
    own && attack.surrogate() == Surrogate::Own
}
