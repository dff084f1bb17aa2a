//! What to evaluate of a model, and the evaluation cells that do it.

use crate::attack::{AttackSpec, Surrogate};
use crate::branch::Branch;
use crate::cell::{Cell, CellId, CellSpec, DataSpec, EvaluateSpec};
use crate::compatibility::{NetworkFacts, misfit};
use crate::condition::Condition;
use crate::corruption::sequence;
use crate::error::SuiteError;
use crate::plan::{
    ARCHIVE_VERSION, AUGMIX_VERSION, EVALUATE_VERSION, PROBE_VERSION, PlanContext, SIMILARITY_VERSION,
    TEACHER, VERDICT_VERSION, find, identify, other_budget,
};
use crate::suite::Suite;
use crate::train::{Stage, TrainSpec};
use std::collections::BTreeMap;

/// What to evaluate of a model.
#[derive(Debug, Clone)]
pub struct EvalRequest {
    /// Names of corruptions, and of sequences (`p/rotate`).
    pub corruptions: Vec<String>,
    /// Severities of each corruption.
    pub severities: Vec<u8>,
    /// Whether AugMix views are a condition.
    pub augmix: bool,
    /// Attacks and certificates.
    pub attacks: Vec<AttackSpec>,
    /// The number of test images, from the first, of attacks that do not run on all of them.
    pub limits: BTreeMap<AttackSpec, u32>,
    /// Seed of corruptions and attack starts.
    pub seed: u64,
    /// Branches to evaluate; all of the model's when absent.
    pub branches: Option<Vec<Branch>>,
    /// Whether gradients are probed at the clean images.
    pub probe: bool,
    /// Whether activations are compared with the teacher's.
    pub similarity: bool,
}

/// A model to evaluate, and what surrounds it.
#[derive(Clone, Copy)]
pub struct EvalSubject<'a> {
    /// Its name.
    pub model: &'a str,
    /// Its training cell, or its file.
    pub parent: &'a CellId,
    /// The training cell or the file of another network, by its name in an attack.
    pub surrogate: &'a dyn Fn(&str) -> Option<CellId>,
    /// The images.
    pub data: &'a DataSpec,
    /// What only a run knows.
    pub context: &'a PlanContext,
}

impl EvalSubject<'_> {
    /// Another network; `why` says what needs it, `what` which setting.
    fn network(&self, what: &'static str, name: &str, why: &str) -> Result<CellId, SuiteError> {
        (self.surrogate)(name).ok_or_else(|| {
            SuiteError::value(what, name, format!("{why}, and there is no network of that name"))
        })
    }
}

impl EvalRequest {
    /// The part of it that fits one model of a suite: without attacks that need a network that the
    /// suite does not train, and without branches that the model does not have.
    pub(crate) fn for_model(&self, cell: &Cell, trained: &[Cell], classes: Option<usize>) -> Self {
        let CellSpec::Train(spec) = &cell.spec else {
            return self.clone();
        };
        let requested = self.branches.as_deref();
        let fits =
            |attack: &&AttackSpec| misfit_in_suite(attack, cell, requested, trained, classes).is_none();
        Self {
            attacks: self.attacks.iter().filter(fits).cloned().collect(),
            branches: requested.map(|_| facts(cell, spec, classes).evaluated(requested)),
            similarity: self.similarity && spec.stage != Stage::Teacher,
            ..self.clone()
        }
    }

    /// One evaluation cell for each family of conditions: clean, each corruption, each attack.
    ///
    /// # Errors
    /// When an attack names a network that is not there.
    pub fn cells(&self, subject: &EvalSubject<'_>) -> Result<Vec<Cell>, SuiteError> {
        self.families()
            .into_iter()
            .map(|(name, conditions)| self.cell(subject, &name, conditions))
            .collect()
    }

    fn cell(
        &self,
        subject: &EvalSubject<'_>,
        name: &str,
        conditions: Vec<Condition>,
    ) -> Result<Cell, SuiteError> {
        let (model, data, context) = (subject.model, subject.data, subject.context);
        let is_clean = conditions[0] == Condition::Clean;
        let mut versions = BTreeMap::from([("evaluate".to_owned(), EVALUATE_VERSION)]);
        let (mut images, mut files, mut surrogates) = (None, None, BTreeMap::new());
        if let Some(name) = conditions[0].made_by() {
            files = context.corrupted_files.get(&name).cloned();
            let (of, version) = match files {
                Some(_) => ("corrupted-files".to_owned(), ARCHIVE_VERSION),
                None => (
                    format!("corruptions/{}", context.corruptions_setup),
                    context.corruptions_version,
                ),
            };
            versions.insert(of, version);
        }
        match &conditions[0] {
            Condition::Clean => {
                if self.probe {
                    versions.insert("probe".to_owned(), PROBE_VERSION);
                }
                if self.similarity {
                    let why = format!("{model} is to be compared with it");
                    surrogates.insert(TEACHER.to_owned(), subject.network("similarity", TEACHER, &why)?);
                    versions.insert("similarity".to_owned(), SIMILARITY_VERSION);
                }
            }
            Condition::AugMix => {
                versions.insert("augmix".to_owned(), AUGMIX_VERSION);
            }
            Condition::Corruption { .. } | Condition::Frame { .. } => {}
            Condition::Attack(spec) | Condition::Certify(spec) => {
                versions.extend(spec.versions());
                versions.insert("verdict".to_owned(), VERDICT_VERSION);
                for name in spec.networks() {
                    let why = format!("{spec} needs it beside {model}");
                    let id = subject.network("surrogate", &name, &why)?;
                    surrogates.insert(name, id);
                }
                // A limit that leaves no image out is none.
                let limit = self.limits.get(spec).copied();
                let all = data.measured().or(context.whole.map(|[_, test]| test));
                images = limit.filter(|images| all.is_none_or(|all| *images < all));
            }
        }
        let parent = subject.parent;
        let others = surrogates.values().filter(|id| *id != parent);
        let parents = std::iter::once(parent).chain(others).cloned().collect();
        let spec = CellSpec::Evaluate(EvaluateSpec {
            images,
            conditions,
            seed: self.seed,
            branches: self.branches.clone(),
            surrogates,
            probe: self.probe && is_clean,
            similarity: self.similarity && is_clean,
            files,
        });
        Ok(identify(
            &format!("{model}/{name}"),
            model,
            parents,
            data,
            spec,
            versions,
        ))
    }

    fn families(&self) -> Vec<(String, Vec<Condition>)> {
        let mut families = vec![("clean".to_owned(), vec![Condition::Clean])];
        if self.augmix {
            families.push(("augmix".to_owned(), vec![Condition::AugMix]));
        }
        for name in &self.corruptions {
            let corrupted = |&severity: &u8| Condition::Corruption {
                name: name.clone(),
                severity,
            };
            let conditions: Vec<Condition> = match sequence(name) {
                Some(sequence) => Condition::frames(sequence).collect(),
                None => self.severities.iter().map(corrupted).collect(),
            };
            if !conditions.is_empty() {
                families.push((name.clone(), conditions));
            }
        }
        for attack in &self.attacks {
            families.push((attack.to_string(), vec![Condition::from(attack.clone())]));
        }
        families
    }
}

/// What a suite knows of a network that it trains.
fn facts(cell: &Cell, spec: &TrainSpec, classes: Option<usize>) -> NetworkFacts {
    NetworkFacts {
        name: cell.name.clone(),
        branches: spec.norm.branches().to_vec(),
        is_editable: true,
        has_gradients: true,
        wraps: false,
        classes,
    }
}

/// Why an attack does not fit a model of a suite, beside the others that it trains: the rest of a
/// sentence about the model; nothing where it fits.
fn misfit_in_suite(
    attack: &AttackSpec,
    cell: &Cell,
    requested: Option<&[Branch]>,
    trained: &[Cell],
    classes: Option<usize>,
) -> Option<String> {
    let CellSpec::Train(spec) = &cell.spec else {
        return None;
    };
    if spec.stage == Stage::Teacher && attack.needs_teacher() {
        return Some("has no teacher, because it is one".to_owned());
    }
    let other = match attack.surrogate() {
        Surrogate::Own | Surrogate::AllRelu | Surrogate::Linear => None,
        Surrogate::Teacher => trained
            .iter()
            .find(|other| cell.parents.first() == Some(&other.id)),
        Surrogate::OtherBudget => match other_budget(cell, trained) {
            None => return Some("has no other student of its teacher with another budget".to_owned()),
            other => other,
        },
        Surrogate::Named(name) => find(trained, &name).ok(),
    };
    let surrogate = other.and_then(|other| match &other.spec {
        CellSpec::Train(spec) => Some(facts(other, spec, classes)),
        CellSpec::Evaluate(_) => None,
    });
    let model = facts(cell, spec, classes);
    misfit(attack, &model, surrogate.as_ref(), &model.evaluated(requested))
}

impl Suite {
    /// Refuses an attack, requested by its own name, that fits none of the evaluated models. One that
    /// fits some of them runs on those.
    pub(crate) fn check_attacks(
        &self,
        models: &[&Cell],
        trained: &[Cell],
        classes: Option<usize>,
    ) -> Result<(), SuiteError> {
        for attack in self.evaluation.attacks.by_name() {
            let reasons = models.iter().map(|cell| {
                let requested = self.evaluation.branches.as_deref();
                let why = misfit_in_suite(attack, cell, requested, trained, classes)?;
                Some(format!("{} {why}", cell.name))
            });
            let reasons: Vec<String> = reasons.flatten().collect();
            if !reasons.is_empty() && reasons.len() == models.len() {
                let shown = reasons.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
                let more = reasons.len().saturating_sub(3);
                let more = if more > 0 {
                    format!("; and {more} more")
                } else {
                    String::new()
                };
                return Err(self.wrong_at(
                    &[&["evaluation", "attacks"]],
                    format!(
                        "attack `{}` fits none of the evaluated models: {shown}{more}; leave it out, or evaluate a \
                         model that it fits",
                        attack.short()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Refuses a branch that none of the evaluated models has.
    pub(crate) fn check_branches(&self, models: &[&Cell]) -> Result<(), SuiteError> {
        let facts: Vec<NetworkFacts> = models
            .iter()
            .filter_map(|cell| match &cell.spec {
                CellSpec::Train(spec) => Some(facts(cell, spec, None)),
                CellSpec::Evaluate(_) => None,
            })
            .collect();
        let requested = self.evaluation.branches.iter().flatten();
        for branch in requested.filter(|_| !facts.is_empty()) {
            if facts.iter().any(|model| model.has(*branch)) {
                continue;
            }
            let has = |model: &NetworkFacts| {
                let names: Vec<&str> = model.branches.iter().map(|branch| branch.name()).collect();
                format!("{} has {}", model.name, names.join(" and "))
            };
            let has: Vec<String> = facts.iter().take(3).map(has).collect();
            return Err(self.wrong_at(
                &[&["evaluation", "branches"]],
                format!(
                    "none of the evaluated models has branch {branch} ({}); leave it out",
                    has.join("; ")
                ),
            ));
        }
        Ok(())
    }

    /// What the suite evaluates of a model, whoever trained it.
    pub fn eval_request(&self) -> EvalRequest {
        EvalRequest {
            corruptions: self.evaluation.corruptions.0.clone(),
            severities: self.evaluation.severities.clone(),
            augmix: self.evaluation.augmix,
            attacks: [self.evaluation.attacks.specs(), self.evaluation.certify.specs()].concat(),
            limits: [self.evaluation.attacks.limits(), self.evaluation.certify.limits()]
                .into_iter()
                .flatten()
                .collect(),
            seed: self.evaluation.seed,
            branches: self.evaluation.branches.clone(),
            probe: self.evaluation.probe,
            similarity: self.evaluation.similarity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::OTHER_BUDGET;

    /// One network with one bank, asked by name and by group, as written and at a scale.
    #[test]
    fn what_fits_no_model_is_refused_by_name_and_left_out_of_a_group() {
        let demo = crate::catalog::STAGES;
        let planned = |attacks: &str, scale: &[String]| {
            let (before, asked) = demo.split_once("attacks = [").expect("attacks");
            let (_, after) = asked.split_once(']').expect("a list");
            let text = format!("{before}attacks = [{attacks}]{after}");
            let alone: Vec<&str> = text
                .lines()
                .filter(|line| !line.starts_with("models") && !line.starts_with("headline"))
                .collect();
            let text = alone
                .join("\n")
                .replace("[evaluation]", "[evaluation]\nmodels = [\"senet\"]");
            Suite::parse(&text, "mine.toml", scale).and_then(|suite| suite.plan(&PlanContext::unread(&suite)))
        };
        for scale in [&[][..], &["scale=smoke".to_owned()]] {
            let plan = planned("\"adaptive\"", scale).expect("a group");
            let made = plan
                .cells
                .iter()
                .filter(|cell| cell.name.starts_with("senet/pgd"));
            // Of fourteen attacks by sixteen names five go through banks that it does not have,
            // and it is the one student of its teacher.
            assert_eq!(made.count(), 14 - 5 - 1, "{scale:?}");
            for (attack, why) in [
                ("budget-transfer", "senet has no other student of its teacher"),
                (
                    "pgd:surrogate=senet-teacher,branch=clean",
                    "senet cannot follow senet-teacher, which has no branch clean (it has single)",
                ),
                ("cross-clean", "senet has no branch clean (it has single)"),
                ("pgd:branch=natural", "senet has no branch natural"),
            ] {
                let refused = planned(&format!("\"adaptive\", \"{attack}\""), scale);
                let error = refused.expect_err(attack).to_string();
                assert!(error.starts_with("mine.toml:") && error.contains(why), "{error}");
            }
        }
    }

    /// Each student is attacked from the other budget, and the baseline, which has another teacher,
    /// is not.
    #[test]
    fn the_other_budget_is_that_of_the_first_other_student() {
        let demo = crate::catalog::STAGES;
        let more = "[[train]]\nname = \"mask-2x\"\nstage = \"mask\"\nteacher = \"teacher\"\nbudget = \"2x\"\n\n\
                    [[train]]\nname = \"rlnet-2x\"\nstage = \"student\"\nmask = \"mask-2x\"\n\n[evaluation]\n\
                    models = [\"teacher\", \"rlnet\", \"rlnet-2x\", \"senet\"]\n";
        let (before, asked) = demo.split_once("[evaluation]\n").expect("an evaluation");
        let asked: Vec<&str> = asked.lines().filter(|line| !line.starts_with("models")).collect();
        let text = format!("{before}{more}{}", asked.join("\n"));
        let (text, after) = text.split_once("attacks = [").expect("attacks");
        let text = format!("{text}attacks = [\"budget-transfer\", {after}");
        let suite = Suite::parse(&text, "mine.toml", &[]).expect("a suite");
        let plan = suite.plan(&PlanContext::unread(&suite)).expect("a plan");
        let id = |name: &str| crate::plan::find(&plan.cells, name).expect(name).id.clone();
        let mut followed = BTreeMap::new();
        for cell in &plan.cells {
            if let CellSpec::Evaluate(spec) = &cell.spec
                && let Some(other) = spec.surrogates.get(OTHER_BUDGET)
            {
                assert!(cell.parents.contains(other), "{}", cell.name);
                followed.insert(cell.model.as_str(), other.clone());
            }
        }
        let expected = BTreeMap::from([("rlnet", id("rlnet-2x")), ("rlnet-2x", id("rlnet"))]);
        assert_eq!(followed, expected);
    }
}
