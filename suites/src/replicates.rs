//! Trainings repeated with other seeds. A stage with `replicates = 3` is three stages: its own, and two more whose
//! seeds are one and two larger. A repeated stage builds on the stages of its own seed, as far as these are repeated.

use crate::error::SuiteError;
use crate::suite::{Suite, Train};
use std::borrow::Cow;
use toml::Spanned;

/// The most trainings of one stage.
pub(crate) const MOST_REPLICATES: u64 = 100;

/// One training of a stage.
pub(crate) struct Replicate<'a> {
    /// The stage as it is written in the suite.
    pub written: &'a Train,
    /// The same with the name, the seed and the parents of this training.
    pub train: Cow<'a, Train>,
    /// 0 for the stage itself.
    pub index: u32,
}

impl Replicate<'_> {
    /// The name of the model that it makes.
    pub fn name(&self) -> &str {
        self.train.name.get_ref()
    }

    /// The stage that it repeats.
    pub fn repeats(&self) -> Option<String> {
        (self.index > 0).then(|| self.written.name.get_ref().clone())
    }
}

impl Suite {
    /// Every training: first those of the suite as written, then those of each further seed.
    pub(crate) fn trainings(&self) -> Result<Vec<Replicate<'_>>, SuiteError> {
        let most = self.train.iter().map(|train| self.replicates_of(train)).max();
        let mut all = Vec::new();
        for index in 0..most.unwrap_or(0) {
            for train in self
                .train
                .iter()
                .filter(|train| index < self.replicates_of(train))
            {
                all.push(Replicate {
                    written: train,
                    train: self.replicate(train, index)?,
                    index,
                });
            }
        }
        Ok(all)
    }

    /// The name of a stage's training with this index, or of its last one where it has fewer.
    pub(crate) fn replicate_name<'n>(&self, name: &'n str, index: u32) -> Cow<'n, str> {
        let stage = self.train.iter().find(|train| train.name.get_ref() == name);
        let index = stage.map_or(0, |train| index.min(self.replicates_of(train) - 1));
        match stage {
            Some(train) if index > 0 => Cow::Owned(format!("{name}.seed{}", self.seed_of(train, index))),
            _ => Cow::Borrowed(name),
        }
    }

    fn replicates_of(&self, train: &Train) -> u32 {
        train.replicates.unwrap_or(self.replicates).max(1)
    }

    fn seed_of(&self, train: &Train, index: u32) -> u64 {
        train.with.seed.or(self.training.seed).unwrap_or_default() + u64::from(index)
    }

    fn replicate<'a>(&self, train: &'a Train, index: u32) -> Result<Cow<'a, Train>, SuiteError> {
        if index == 0 {
            return Ok(Cow::Borrowed(train));
        }
        let renamed = |name: &Spanned<String>| {
            Spanned::new(
                name.span(),
                self.replicate_name(name.get_ref(), index).into_owned(),
            )
        };
        let name = renamed(&train.name);
        if self
            .train
            .iter()
            .any(|other| other.name.get_ref() == name.get_ref())
        {
            let why = format!(
                "it is the name of training {} of `{}`; give the stage another name",
                index + 1,
                train.name.get_ref()
            );
            return Err(SuiteError::value("stage", name.get_ref(), why));
        }
        let mut copy = train.clone();
        copy.name = name;
        for parent in [&mut copy.teacher, &mut copy.mask, &mut copy.units]
            .into_iter()
            .flatten()
        {
            *parent = renamed(parent);
        }
        copy.with.seed = Some(self.seed_of(train, index));
        Ok(Cow::Owned(copy))
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{Plan, PlanContext, find};
    use crate::{Cell, Suite};

    fn plan(sets: &[&str]) -> Plan {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let suite = Suite::parse(crate::catalog::STAGES, "demo", &sets).expect("a suite");
        suite.plan(&PlanContext::unread(&suite)).expect("a plan")
    }

    fn cell<'a>(plan: &'a Plan, name: &str) -> &'a Cell {
        find(&plan.cells, name).expect(name)
    }

    #[test]
    fn three_replicates_are_three_trainings_each_with_the_teacher_of_its_seed() {
        let (one, three) = (plan(&[]), plan(&["replicates=3"]));
        assert_eq!(three.cells.len(), 3 * one.cells.len());
        for cell in &one.cells {
            // Finished cells of the first seed are found again.
            assert!(
                three.cells.iter().any(|other| other.id == cell.id),
                "{}",
                cell.name
            );
        }
        for seed in 1..3 {
            let (teacher, student) = (format!("teacher.seed{seed}"), format!("rlnet.seed{seed}"));
            let (teacher, student) = (cell(&three, &teacher), cell(&three, &student));
            assert_eq!(student.repeats.as_deref(), Some("rlnet"));
            assert_eq!(student.trained().map(|spec| spec.seed), Some(seed));
            assert_eq!(student.parents[0], teacher.id);
            assert!(
                three
                    .cells
                    .iter()
                    .any(|cell| cell.name == format!("rlnet.seed{seed}/clean"))
            );
        }
        assert_eq!(cell(&three, "rlnet").repeats, None);
    }

    #[test]
    fn a_stage_that_alone_is_repeated_keeps_its_teacher() {
        let plan = plan(&["train.rlnet.replicates=2", "training.seed=5"]);
        let student = cell(&plan, "rlnet.seed6");
        assert_eq!(student.parents[0], cell(&plan, "teacher").id);
        assert!(find(&plan.cells, "teacher.seed6").is_err());
        let alone = Suite::parse(crate::catalog::STAGES, "demo", &["replicates=0".to_owned()]);
        assert!(alone.expect_err("none").to_string().contains("replicates"));
    }
}
