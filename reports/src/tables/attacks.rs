//! Accuracy per attack: a column each (of many attacks some on the page and all in the files), and
//! a row each with what the attack cost.

use super::by_branch::{ATTACKED, READ, View, columns, views};
use super::{Cell, Column, Kind, Table, Whole};
use crate::analysis::Analysis;
use crate::glossary;
use crate::metrics::joint::random_branch;
use crate::metrics::{Blind, BranchPolicy, Estimate};
use crate::sections::{Place, Section, Show};
use rlnet_suites::attack::BranchChoice;
use rlnet_suites::{AttackSpec, Condition};
use std::sync::Arc;

/// Columns of attacks that people can take in at once (own choice).
const MOST: usize = 12;

/// Accuracy per attack and branch.
pub(crate) const SECTION: Section = Section {
    id: "attacks",
    place: Place::Numbers,
    show: Show::Table(attacks),
    terms: glossary::ACCURACY,
};

/// What each attack left and cost.
pub(crate) const ONE_BY_ONE: Section = Section {
    id: "attacks_one_by_one",
    place: Place::Numbers,
    show: Show::Table(one_by_one),
    terms: &[],
};

/// The table with a column for every attack.
#[derive(Debug)]
struct Wide {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Whole for Wide {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn each(&self, take: &mut dyn FnMut(Vec<Cell>)) {
        self.rows.iter().cloned().for_each(take);
    }
}

/// One row a model and branch policy, one column an attack.
fn attacks(analysis: &Analysis) -> Table {
    let attacks = analysis.runs.attacks();
    let shown = shown(analysis, &attacks);
    let part = wide(analysis, &shown);
    let some = if shown.len() == attacks.len() {
        String::new()
    } else {
        format!(
            " Shown: {} of {} attacks, spread evenly from the one that leaves most images correct to the one that leaves fewest, and the main attack; all of them are in this table's CSV and JSON files.",
            shown.len(),
            attacks.len()
        )
    };
    let whole =
        (shown.len() < attacks.len()).then(|| -> Arc<dyn Whole> { Arc::new(wide(analysis, &attacks)) });
    let caption = format!(
        "Percent correct, with 95 % intervals.‹ Every attack is made against each branch and judged on that branch; the worst-of-branches row counts an image only if no branch fails.› AugMix: test images augmented as in training.{some}"
    );
    Table {
        whole,
        ..Table::new(
            "attacks",
            "Accuracy per attack‹ and branch›",
            caption,
            part.columns,
            part.rows,
        )
    }
}

fn wide(analysis: &Analysis, attacks: &[AttackSpec]) -> Wide {
    let augmented = analysis.runs.conditions().contains(&Condition::AugMix);
    let plain = [Column::share("clean", "clean")]
        .into_iter()
        .chain(augmented.then(|| Column::share("augmix", "AugMix")));
    let attacked = attacks
        .iter()
        .map(|attack| Column::share(attack.to_string(), analysis.names.get(attack)));
    let conditions: Vec<Condition> = [Condition::Clean]
        .into_iter()
        .chain(augmented.then_some(Condition::AugMix))
        .chain(attacks.iter().cloned().map(Condition::Attack))
        .collect();
    Wide {
        columns: columns(ATTACKED, plain.chain(attacked)),
        rows: views(analysis)
            .filter(|view| view.policy != BranchPolicy::Oracle && !attacks.is_empty())
            .map(|view| view.row(conditions.iter().map(|condition| view.accuracy(condition))))
            .collect(),
    }
}

/// The attacks that are shown, in the plan's order.
fn shown(analysis: &Analysis, attacks: &[AttackSpec]) -> Vec<AttackSpec> {
    if attacks.len() <= MOST {
        return attacks.to_vec();
    }
    let left = |attack: &AttackSpec| {
        let condition = Condition::Attack(attack.clone());
        let read = analysis
            .triples
            .iter()
            .filter(|triple| triple.policy != BranchPolicy::Oracle);
        let shares = read.filter_map(|triple| {
            let model = analysis.runs.model(&triple.model)?;
            let known = analysis.tally.accuracy(model, triple.policy, &condition);
            Some(known.ok()?.value)
        });
        let shares: Vec<f64> = shares.collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    };
    let mut order: Vec<(f64, usize)> = attacks.iter().map(left).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let spread = (0..MOST).map(|i| order[i * (order.len() - 1) / (MOST - 1)].1);
    let headline = analysis.runs.headline.as_ref();
    let headline = headline.and_then(|headline| attacks.iter().position(|attack| attack == headline));
    let mut chosen: Vec<usize> = spread.chain(headline).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().map(|at| attacks[at].clone()).collect()
}

/// One row a model, branch and attack: what it left, what is left once its images are rounded to
/// 8 bits, and what it cost.
fn one_by_one(analysis: &Analysis) -> Table {
    let own = [
        Column::text("attack", "Attack"),
        Column::share("right", "Correct"),
        Column::share("right_8bit", "Correct after rounding"),
        Column::new("forwards", "Forward passes an image", "", Kind::Number(1)),
        Column::new("backwards", "Backward passes an image", "", Kind::Number(1)),
        Column::integer("unusable", "Images without a usable gradient"),
    ];
    let attacks = analysis.runs.attacks();
    let fixed = views(analysis).filter(|view| matches!(view.policy, BranchPolicy::Fixed(_)));
    let mut rows: Vec<Vec<Cell>> = fixed
        .flat_map(|view| {
            let row = move |attack: &AttackSpec| attack_row(&view, attack);
            attacks.iter().filter_map(row).collect::<Vec<_>>()
        })
        .collect();
    for (model, matrix) in analysis.comparable() {
        for attack in &attacks {
            let against_all = attack.branch() == BranchChoice::All;
            if let (true, Some(mean)) = (against_all, random_branch(matrix, attack)) {
                rows.push(vec![
                    Cell::text(&model.name),
                    Cell::text("random branch"),
                    Cell::text(analysis.names.get(attack)),
                    Cell::share(&Ok(mean), &format!("condition {attack}, mean over branches")),
                    Cell::absent("see the branches"),
                    Cell::absent("see the branches"),
                    Cell::absent("see the branches"),
                    Cell::absent("see the branches"),
                ]);
            }
        }
    }
    Table::new(
        "attacks_one_by_one",
        "What each attack left, and what it cost",
        "Correct after rounding: the adversarial image is rounded to 8 bits a value, as it could be stored or sent, and classified again; a dash where the number is the same.‹ Random branch: a defence that picks one of the branches at random for each image; its accuracy is the mean over branches under one perturbation made against all of them.› Passes are means over images, including the pass that judges the result. Images without a usable gradient: every gradient that the attack asked for there was zero, not finite or lost to underflow, and the attack alone did not break them; they were attacked with Square instead, where it is defined.",
        columns(READ, own),
        rows,
    )
}

/// The row of one attack through one branch; nothing where it was not measured.
fn attack_row(view: &View, attack: &AttackSpec) -> Option<Vec<Cell>> {
    let found = view
        .matrix
        .predictions(view.policy, &Condition::Attack(attack.clone()))?;
    let found = found.first()?;
    let (whole, rounded) = (share(&found.right), share(&found.rounded));
    let source = format!("condition {attack}{}", view.policy.read());
    let per_image = |passes: u64| Cell::number(Some(passes as f64 / whole.images.max(1) as f64), "");
    let after = if rounded.right == whole.right {
        Cell::absent("the same")
    } else {
        Cell::share(&Ok(rounded), &format!("{source}, rounded to 8 bits"))
    };
    Some(view.row([
        Cell::text(view.analysis.names.get(attack)),
        Cell::share(&Ok(whole.clone()), &source),
        after,
        per_image(found.forwards),
        per_image(found.backwards),
        match Blind::of(view.matrix, view.policy, attack) {
            Some(blind) => Cell {
                trace: format!("{source}: {}", blind.count()),
                ..Cell::integer(blind.images.len() as u64)
            },
            None => Cell::absent("it asks for no gradient"),
        },
    ]))
}

fn share(right: &[Option<bool>]) -> Estimate {
    let known = right.iter().flatten();
    let correct = known.clone().filter(|right| **right).count();
    Estimate::of_images(correct as u64, known.count() as u64)
}
