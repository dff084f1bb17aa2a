//! Accuracy per attack: a column each, of many attacks some on the page and all in the files.

use super::accuracy::source;
use super::{Cell, Column, Kind, Table, Whole};
use crate::analysis::Analysis;
use crate::metrics::BranchPolicy;
use rlnet_suites::{AttackSpec, Condition};
use std::sync::Arc;

/// Columns of attacks that people can take in at once (own choice).
const MOST: usize = 12;

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

/// One row a model and reading, one column an attack.
pub fn attacks(analysis: &Analysis) -> Table {
    let attacks = analysis.runs.attacks();
    let shown = shown(analysis, &attacks);
    let some = if shown.len() == attacks.len() {
        String::new()
    } else {
        format!(
            " Shown: {} of {} attacks, spread evenly from the one that leaves most images right to the one that leaves fewest, and the headline attack; all of them are in this table's CSV and JSON files.",
            shown.len(),
            attacks.len()
        )
    };
    let part = wide(analysis, &shown);
    let whole =
        (shown.len() < attacks.len()).then(|| -> Arc<dyn Whole> { Arc::new(wide(analysis, &attacks)) });
    Table {
        id: "attacks",
        whole,
        title: "Accuracy per attack and branch".to_owned(),
        caption: format!(
            "Percent right, with 95 % intervals. Every attack is made against each branch and judged on that branch; the worst-of-branches row counts an image only if no branch fails. AugMix: test images augmented as in training.{some}"
        ),
        columns: part.columns,
        rows: part.rows,
    }
}

fn wide(analysis: &Analysis, attacks: &[AttackSpec]) -> Wide {
    let augmented = analysis.runs.conditions().contains(&Condition::AugMix);
    let mut columns = vec![
        Column::new("model", "Model", "", Kind::Text),
        Column::new("reading", "Attacked and read through", "", Kind::Text),
        Column::new("clean", "clean", "%", Kind::Share),
    ];
    if augmented {
        columns.push(Column::new("augmix", "AugMix", "%", Kind::Share));
    }
    columns.extend(
        attacks
            .iter()
            .map(|a| Column::new(a.to_string(), analysis.names.get(a), "%", Kind::Share)),
    );
    let conditions: Vec<Condition> = [Condition::Clean]
        .into_iter()
        .chain(augmented.then_some(Condition::AugMix))
        .chain(attacks.iter().cloned().map(Condition::Attack))
        .collect();
    let mut rows = Vec::new();
    for triple in &analysis.triples {
        let Some(model) = analysis.runs.model(&triple.model) else {
            continue;
        };
        if attacks.is_empty() || triple.policy == BranchPolicy::Oracle {
            continue;
        }
        let mut row = vec![Cell::text(&model.name), Cell::text(triple.policy.label())];
        for condition in &conditions {
            let known = analysis.tally.accuracy(model, triple.policy, condition);
            row.push(Cell::share(&known, &source(model, triple.policy, condition)));
        }
        rows.push(row);
    }
    Wide { columns, rows }
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
