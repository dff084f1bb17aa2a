//! Which attacks break the same images, pair by pair: of many pairs the most telling ones on the
//! page and all in the files.

use super::by_branch::{ATTACKED, columns, views};
use super::{Cell, Column, Kind, Table, Whole};
use crate::analysis::Analysis;
use crate::format;
use crate::glossary::WORST;
use crate::metrics::BranchPolicy;
use crate::metrics::overlap::{Broken, Overlap};
use crate::sections::{Place, Section, Show};
use rlnet_suites::Condition;
use std::sync::Arc;

/// Rows that are shown whole (own choice: about two screens).
const MOST: usize = 100;

/// The attacks on one model, read in one way.
#[derive(Debug)]
struct Group {
    model: String,
    policy: String,
    /// Places of the attacks among the names, with what each breaks.
    attacks: Vec<(usize, Broken)>,
}

impl Group {
    /// Pairs of attacks.
    fn len(&self) -> usize {
        self.attacks.len() * self.attacks.len().saturating_sub(1) / 2
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize, Overlap)> {
        self.attacks.iter().enumerate().flat_map(|(i, (a, breaks))| {
            let rest = self.attacks[i + 1..].iter();
            rest.map(move |(b, other)| (*a, *b, breaks.overlap(other)))
        })
    }

    /// The pairs in which the attack that breaks fewer images breaks most of them alone, in
    /// their order.
    fn most_telling(&self, count: usize) -> Vec<(usize, usize, Overlap)> {
        let mut pairs: Vec<_> = self.pairs().collect();
        pairs.sort_by_key(|(.., found)| std::cmp::Reverse(found.first.min(found.second)));
        pairs.truncate(count);
        pairs.sort_by_key(|(a, b, _)| (*a, *b));
        pairs
    }
}

#[derive(Debug)]
struct Pairs {
    columns: Vec<Column>,
    names: Vec<String>,
    groups: Vec<Group>,
}

impl Pairs {
    fn row(&self, group: &Group, (a, b, found): (usize, usize, Overlap)) -> Vec<Cell> {
        let any = found.both + found.first + found.second;
        vec![
            Cell::text(&group.model),
            Cell::text(&group.policy),
            Cell::text(&self.names[a]),
            Cell::text(&self.names[b]),
            Cell::integer(found.both),
            Cell::integer(found.first),
            Cell::integer(found.second),
            Cell::number(
                (any > 0).then(|| 100.0 * found.both as f64 / any as f64),
                "neither breaks any image",
            ),
        ]
    }
}

impl Whole for Pairs {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn each(&self, take: &mut dyn FnMut(Vec<Cell>)) {
        for group in &self.groups {
            group.pairs().for_each(|pair| take(self.row(group, pair)));
        }
    }
}

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "overlap",
    place: Place::Numbers,
    show: Show::Table(overlap),
    terms: &[WORST],
};

/// One row a model, branch and pair of attacks.
fn overlap(analysis: &Analysis) -> Table {
    let attacks = analysis.runs.attacks();
    let pairs = Pairs {
        columns: columns(
            ATTACKED,
            [
                Column::text("first", "First attack"),
                Column::text("second", "Second attack"),
                Column::new("both", "Both break", "images", Kind::Integer),
                Column::new("only_first", "Only the first", "images", Kind::Integer),
                Column::new("only_second", "Only the second", "images", Kind::Integer),
                Column::new("jaccard", "Shared", "%", Kind::Number(1)),
            ],
        ),
        names: attacks.iter().map(|attack| analysis.names.get(attack)).collect(),
        groups: views(analysis)
            .filter(|view| view.policy != BranchPolicy::Oracle)
            .map(|view| Group {
                model: view.model.name.clone(),
                policy: view.policy.label(),
                attacks: (0..)
                    .zip(&attacks)
                    .filter_map(|(at, attack)| {
                        let condition = Condition::Attack(attack.clone());
                        Some((at, Broken::of(view.matrix, view.policy, &condition)?))
                    })
                    .collect(),
            })
            .filter(|group| group.len() > 0)
            .collect(),
    };
    let all: usize = pairs.groups.iter().map(Group::len).sum();
    let each = (MOST / pairs.groups.len().max(1)).max(1);
    let (mut rows, mut some) = (Vec::new(), String::new());
    if all <= MOST {
        pairs.each(&mut |row| rows.push(row));
    } else {
        for group in &pairs.groups {
            let telling = group.most_telling(each).into_iter();
            rows.extend(telling.map(|pair| pairs.row(group, pair)));
        }
        some = format!(
            " Shown: for each network and reading the {each} {} in which the attack that breaks fewer images breaks most of them alone; all {} rows are in this table's CSV and JSON files.",
            if each == 1 { "pair" } else { "pairs" },
            format::thousands(all as u64)
        );
    }
    Table {
        id: "overlap",
        title: "Which attacks break the same images".to_owned(),
        caption: format!(
            "Of the images that are right when clean: how many both attacks break, and how many only one. Shared: both of either. A weaker attack that breaks many images alone says that the stronger one is not tuned.{some}"
        ),
        columns: pairs.columns.clone(),
        rows,
        whole: (all > MOST).then(|| -> Arc<dyn Whole> { Arc::new(pairs) }),
    }
}
