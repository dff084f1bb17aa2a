//! A stage with nothing left to default: its own setting, else the suite's, else the method's.

use crate::branch::NormBanks;
use crate::cell::Cell;
use crate::dialect::Quirk;
use crate::error::SuiteError;
use crate::objective::{
    Augmentation, Average, Dropped, Granularity, Inner, InnerStart, Schedule, Score, Smoothing,
};
use crate::plan::find;
use crate::suite::{Suite, Train};
use crate::train::{Allocation, Choices, Dialect, Select, Stage, StageCase, StageSettings, TrainSpec};
use crate::view::View;

impl Suite {
    /// One training cell with every default filled: its own setting, else the suite's, else
    /// the method's.
    pub(crate) fn resolve(&self, train: &Train, cells: &[Cell]) -> Result<TrainSpec, SuiteError> {
        let parent = match train.teacher.as_ref().or(train.mask.as_ref()) {
            Some(name) => find(cells, name.get_ref())?.trained(),
            None => None,
        };
        let search = parent.filter(|parent| parent.stage.is_search());
        // A stage inherits roles, banks and architecture from the stage it builds on.
        let choices = Choices {
            stage: train.stage,
            units_only: train.units.is_some(),
            arch: train
                .arch
                .clone()
                .or_else(|| parent.map(|parent| parent.arch.clone()))
                .unwrap_or_else(|| self.network.arch.clone()),
            norm: train
                .norm
                .or(parent.map(|parent| parent.norm))
                .unwrap_or(self.network.norm),
            views: train
                .views
                .clone()
                .or_else(|| parent.map(|parent| parent.views.clone()))
                .unwrap_or_else(|| View::ALL.to_vec()),
            budget: train.budget,
            allocation: train.allocation.unwrap_or(Allocation::Sensitivity),
            imported: train.imported.clone(),
        };
        let case = StageCase {
            stage: train.stage,
            robust: choices.views.contains(&View::Adversarial),
            after_snl: parent.is_some_and(|parent| parent.stage == Stage::Snl),
        };
        let (dialect, quirks) = self.replayed(train, search)?;
        // A mode stands for its parts: below what its own section spells out, above what a
        // wider section says.
        let mut settings = train.with.clone().with_mode();
        settings = settings.or(self.training.clone().with_mode());
        if quirks.contains(&Quirk::SelectOnTest) {
            settings.select.get_or_insert(Select::Clean);
        }
        if train.stage != Stage::Snl {
            settings.lasso = None;
        }
        if train.stage != Stage::Student {
            if train.with.dropped == Some(Dropped::Affine) {
                let why = format!(
                    "of `{}`: only a stage student trains what its dropped units compute; a teacher drops none, and a \
                     search compares units with the identity",
                    train.name.get_ref()
                );
                return Err(SuiteError::value("dropped", Dropped::Affine, why));
            }
            settings.dropped = None;
        }
        (settings.dialect, settings.quirks) = (Some(dialect), Some(quirks));
        let mut spec = settings.fill(choices, &case)?;
        if let Some(search) = search {
            check_structure(train.name.get_ref(), &spec, search)?;
        }
        if let Some(units) = &train.units
            && let Some(search) = find(cells, units.get_ref())?.trained()
            && search.arch != spec.arch
        {
            let why = format!(
                "units of {} do not fit `{}`, which is {}; search on that architecture",
                search.arch,
                train.name.get_ref(),
                spec.arch
            );
            return Err(SuiteError::value("units", units.get_ref(), why));
        }
        replay_losses(&mut spec);
        check_objective(train.name.get_ref(), &spec)?;
        Ok(spec)
    }

    /// The dialect of a stage and the defects it replays: its own, else those of its mask stage, whose
    /// network a student has, else the suite's.
    fn replayed(
        &self,
        train: &Train,
        search: Option<&TrainSpec>,
    ) -> Result<(Dialect, Vec<Quirk>), SuiteError> {
        let (own, all) = (replayed(&train.with)?, replayed(&self.training)?);
        // SNL is no part of the reference: it starts from its teacher, whatever that is.
        if train.stage == Stage::Snl {
            return Ok((Dialect::Paper, Vec::new()));
        }
        let inherited = search.map(|search| (search.dialect, search.quirks.clone()));
        Ok(own.or(inherited).or(all).unwrap_or((Dialect::Paper, Vec::new())))
    }
}

/// The dialect and the replayed defects of a section, if it names any.
fn replayed(settings: &StageSettings) -> Result<Option<(Dialect, Vec<Quirk>)>, SuiteError> {
    match (settings.dialect, &settings.quirks) {
        (Some(Dialect::Reference), Some(_)) => {
            let why = "reference turns every switch on; leave out one of dialect and quirks";
            Err(SuiteError::value("dialect", "reference", why))
        }
        (Some(Dialect::Reference), None) => Ok(Some((Dialect::Reference, Quirk::ALL.to_vec()))),
        (_, Some(quirks)) => {
            let mut quirks = quirks.clone();
            quirks.sort();
            quirks.dedup();
            Ok(Some((Dialect::Paper, quirks)))
        }
        (Some(Dialect::Paper), None) => Ok(Some((Dialect::Paper, Vec::new()))),
        (None, None) => Ok(None),
    }
}

/// Refuses a student that is to be another network than its mask stage's.
fn check_structure(name: &str, spec: &TrainSpec, mask: &TrainSpec) -> Result<(), SuiteError> {
    let mut structural = [Quirk::NormedStages, Quirk::StudentWithoutSkip].into_iter();
    match structural.find(|quirk| spec.has(*quirk) != mask.has(*quirk)) {
        None => Ok(()),
        Some(quirk) => {
            let why = format!("`{name}` and its mask stage must agree on it: they are one network");
            Err(SuiteError::value("quirk", quirk, why))
        }
    }
}

/// What the reference's code leaves of a loss, where its switches are on.
fn replay_losses(spec: &mut TrainSpec) {
    let robust = spec.is_robust();
    if spec.has(Quirk::SingleNormRoles) && spec.norm == NormBanks::Single && robust {
        spec.views.retain(|view| *view != View::Augmix);
    }
    if spec.stage == Stage::Teacher || !robust {
        return;
    }
    let alone = spec.norm == NormBanks::Dual && !spec.views.contains(&View::Augmix);
    if spec.has(Quirk::NoAugmixKlOnly) && alone {
        (spec.gamma, spec.alpha, spec.beta) = (0.0, 1.0, 0.0);
    }
    if spec.has(Quirk::TripleNormKlOnly) && spec.norm == NormBanks::Triple {
        (spec.gamma, spec.alpha) = (0.0, 1.0);
        spec.attention = vec![View::Clean];
    }
}

/// Losses that a stage cannot have.
fn check_objective(name: &str, spec: &TrainSpec) -> Result<(), SuiteError> {
    let refuse = |what: &'static str, value: &dyn std::fmt::Display, why: String| {
        Err(SuiteError::value(what, value, why))
    };
    let distilled = spec.stage != Stage::Teacher;
    if spec.gamma + spec.trades + if distilled { spec.alpha + spec.beta } else { 0.0 } == 0.0 {
        return refuse(
            "loss of",
            &name,
            "every weight is 0; nothing would be learnt".into(),
        );
    }
    if spec.inner == Inner::Kl && !distilled {
        let why = format!("`{name}` has no teacher; an attack on the KL needs one");
        return refuse("inner", &"kl", why);
    }
    if spec.stage == Stage::Snl && spec.select != Select::Last {
        let why = format!("of `{name}`: an snl stage hands on its last epoch, the one that meets the budget");
        return refuse("select", &"clean or mean", why);
    }
    if spec.stage == Stage::Snl && spec.average != Average::None {
        let why = format!("of `{name}`: an snl stage hands on its last weights, whose slopes are its mask");
        return refuse("average", &spec.average.name(), why);
    }
    if spec.schedule == Schedule::OneCycleCosine && spec.warmup > 0.0 {
        let why = format!(
            "of `{name}`: one-cycle-cosine rises for three tenths of the training, as PyTorch's does"
        );
        return refuse("warmup", &spec.warmup, why);
    }
    if !spec.views.contains(&View::Clean) && (distilled || spec.norm != NormBanks::Single) {
        let why = format!(
            "`{name}` has no clean images: a teacher with norm = \"single\" can train on attacked images alone, every other \
             stage needs clean ones"
        );
        return refuse("views", &"[\"adversarial\"]", why);
    }
    if spec.stop_at_overfitting && (spec.stage == Stage::Snl || !spec.is_robust()) {
        let why = match spec.stage {
            Stage::Snl => {
                format!("of `{name}`: an snl stage ends when its slopes fit the budget, not before")
            }
            _ => format!("`{name}` has no view \"adversarial\", so no attack to overfit to"),
        };
        return refuse("stop_at_overfitting", &true, why);
    }
    if spec.smoothing == Smoothing::Random && spec.label_smoothing == 0.0 {
        let why = format!("`{name}` smooths no labels: set label_smoothing too (LIET: 0.6)");
        return refuse("smoothing", &spec.smoothing, why);
    }
    let from_labels = spec.inner_start == InnerStart::LabelInformation;
    if from_labels || spec.start_consistency > 0.0 {
        let key = if from_labels {
            "inner_start"
        } else {
            "start_consistency"
        };
        let value: &dyn std::fmt::Display = if from_labels {
            &spec.inner_start
        } else {
            &spec.start_consistency
        };
        if !spec.is_robust() || spec.certified.0.is_some() {
            let why = format!("`{name}` needs a view \"adversarial\", and no certified loss in its place");
            return refuse(key, value, why);
        }
    }
    if spec.has(Quirk::NormedStages) && spec.concerns(Quirk::NormedStages) && spec.average != Average::None {
        let why = format!(
            "of `{name}`: {} moves running statistics twice, so they cannot be estimated anew",
            Quirk::NormedStages
        );
        return refuse("average", &spec.average.name(), why);
    }
    if spec.stage == Stage::Snl && (spec.granularity, spec.score) != Default::default() {
        let why = format!("of `{name}`: an snl stage chooses single units by their slopes");
        return refuse("granularity or score", &"set", why);
    }
    let plain = spec.norm == NormBanks::Single && spec.views == [View::Clean, View::Adversarial];
    if spec.trades > 0.0 && (distilled || !plain) {
        let why = format!(
            "`{name}` must be a teacher with norm = \"single\" and views = [\"clean\", \"adversarial\"]: \
             TRADES compares both on the same images through the same norms"
        );
        return refuse("trades", &spec.trades, why);
    }
    if spec.certified.0.is_some() && (!spec.is_robust() || spec.trades > 0.0 || spec.gamma == 0.0) {
        let why = format!(
            "`{name}` needs a view \"adversarial\", a weight gamma and no TRADES: the loss takes the place of that role's cross \
             entropy"
        );
        return refuse("certified", &spec.certified, why);
    }
    if spec.certified.0.is_some()
        && spec.concerns(Quirk::SingleNormCleanLoss)
        && spec.has(Quirk::SingleNormCleanLoss)
    {
        let why = format!(
            "`{name}` replays {}: its adversarial images are not judged",
            Quirk::SingleNormCleanLoss
        );
        return refuse("certified", &spec.certified, why);
    }
    if spec.score.is_of_all() && (spec.granularity != Granularity::Unit || spec.budget.is_none()) {
        let why = format!(
            "`{name}` searches the whole network unit by unit, whatever the layers' shares are: give it a budget, and no \
             granularity"
        );
        return refuse("score", &spec.score, why);
    }
    if spec.score == Score::Unstable && spec.certified.0.is_none() {
        let why = format!(
            "`{name}` counts units that are unstable in a ball: name it, for instance certified = \"ibp:eps=1/255\""
        );
        return refuse("score", &spec.score, why);
    }
    if spec.augmentation != Augmentation::Augmix && !spec.views.contains(&View::Augmix) {
        let why = format!("`{name}` has no view \"augmix\", the role that augmentation is for");
        return refuse("augmentation", &"set", why);
    }
    if spec.jsd > 0.0 && !spec.views.contains(&View::Augmix) {
        return refuse(
            "jsd",
            &spec.jsd,
            format!("`{name}` has no AugMix view to be consistent with"),
        );
    }
    if spec.jsd > 0.0 && spec.norm == NormBanks::Triple && spec.has(Quirk::TripleNormThirds) {
        let why = format!(
            "`{name}` replays {}: its AugMix views are of other images than its clean ones",
            Quirk::TripleNormThirds
        );
        return refuse("jsd", &spec.jsd, why);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::CellSpec;
    use crate::plan::PlanContext;

    #[test]
    fn a_mode_stands_for_its_parts_and_what_is_spelled_out_wins() {
        let text = crate::catalog::STAGES;
        let student = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(text, "demo", &sets).expect("a suite");
            let plan = suite.plan(&PlanContext::unread(&suite))?;
            match &find(&plan.cells, "rlnet")?.spec {
                CellSpec::Train(spec) => Ok(spec.clone()),
                CellSpec::Evaluate(_) => Err(SuiteError::value("model", "rlnet", "not trained")),
            }
        };
        let spec = student(&["train.rlnet.with.mode=rslad+attn"]).expect("a plan");
        assert_eq!((spec.gamma, spec.alpha, spec.beta), (0.0, 1.0, 1000.0));
        assert_eq!((spec.attention, spec.inner), (vec![View::Clean], Inner::Kl));
        let sets = [
            "train.rlnet.with.mode=ce",
            "training.gamma=0.25",
            "train.rlnet.with.beta=7",
        ];
        let spec = student(&sets).expect("a plan");
        assert_eq!(
            (spec.gamma, spec.alpha, spec.beta, spec.inner),
            (1.0, 0.0, 7.0, Inner::Ce)
        );
        for (bad, hint) in [
            ("train.rlnet.with.trades=6", "must be a teacher"),
            ("train.teacher.with.inner=kl", "no teacher"),
            ("train.teacher.with.gamma=0", "nothing would be learnt"),
            ("train.senet.with.jsd=1", "no AugMix"),
            ("train.senet.with.certified=ibp:eps=1/255", "needs a view"),
            ("train.mask.with.score=unstable", "name it"),
            ("train.senet.with.stop_at_overfitting=true", "no view"),
            ("train.teacher.views=[\"adversarial\"]", "no clean images"),
            ("train.teacher.with.smoothing=random", "set label_smoothing too"),
            ("train.senet.with.inner_start=label-information", "needs a view"),
            ("train.senet.with.start_consistency=100", "needs a view"),
            ("train.teacher.with.dropped=affine", "only a stage student"),
            ("train.mask.with.dropped=affine", "only a stage student"),
        ] {
            let error = student(&[bad]).expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    fn trained(set: &[&str], name: &str) -> Result<TrainSpec, SuiteError> {
        let text = crate::catalog::STAGES;
        let sets: Vec<String> = set.iter().map(|set| (*set).to_owned()).collect();
        let suite = Suite::parse(text, "demo", &sets)?;
        let plan = suite.plan(&PlanContext::unread(&suite))?;
        match &find(&plan.cells, name)?.spec {
            CellSpec::Train(spec) => Ok(spec.clone()),
            CellSpec::Evaluate(_) => Err(SuiteError::value("model", "", "not trained")),
        }
    }

    #[test]
    fn parity_turns_every_switch_on_and_a_list_some() {
        let fixed = trained(&[], "rlnet").expect("a student");
        assert!(fixed.quirks.is_empty());
        let all = trained(&["training.dialect=reference"], "rlnet").expect("a student");
        assert_eq!(
            (all.dialect, all.quirks.as_slice()),
            (Dialect::Reference, Quirk::ALL)
        );
        assert_eq!(all.select, Select::Clean);
        // A student builds what its mask stage built, unless it says otherwise.
        let some = ["train.mask.with.quirks=[\"b23\", \"strict-threshold\"]"];
        for (name, want) in [("teacher", 0), ("mask", 2), ("rlnet", 2), ("senet", 0)] {
            assert_eq!(trained(&some, name).expect(name).quirks.len(), want, "{name}");
        }
        let both = ["training.dialect=reference", "training.quirks=[\"B1\"]"];
        let error = trained(&both, "rlnet").expect_err("both").to_string();
        assert!(error.contains("leave out one"), "{error}");
        let own = ["training.dialect=reference", "train.mask.with.dialect=paper"];
        assert!(trained(&own, "rlnet").expect("a student").quirks.is_empty());
    }

    /// Rows B7, B26 and B27: what remains of the headline loss.
    #[test]
    fn parity_leaves_of_a_loss_what_the_reference_leaves() {
        let of = |sets: &[&str]| {
            let parity = ["training.dialect=reference"];
            trained(&[&parity[..], sets].concat(), "rlnet").expect("a student")
        };
        let headline = of(&[]);
        assert_eq!(
            (headline.gamma, headline.alpha, headline.beta),
            (0.5, 0.5, 1000.0)
        );
        let single = of(&["train.teacher.norm=single"]);
        assert_eq!(single.views, [View::Clean, View::Adversarial]);
        let without = of(&["train.teacher.views=[\"clean\", \"adversarial\"]"]);
        assert_eq!((without.gamma, without.alpha, without.beta), (0.0, 1.0, 0.0));
        let triple = of(&["train.teacher.norm=triple"]);
        assert_eq!((triple.gamma, triple.alpha, triple.beta), (0.0, 1.0, 1000.0));
        assert_eq!(triple.attention, [View::Clean]);
    }

    #[test]
    fn a_student_without_a_mask_stage_has_a_teacher_and_a_budget() {
        let place = "train.rlnet.";
        let unsearched = format!(
            "{}\n[[train]]\nname = \"lot\"\nstage = \"student\"\nteacher = \"teacher\"\nbudget = \"5x\"\n",
            crate::catalog::STAGES
        );
        let suite = Suite::parse(&unsearched, "lot", &[]).expect("a suite");
        let lot = suite.train.last().expect("a stage");
        assert_eq!(lot.name.get_ref(), "lot");
        for (key, hint) in [
            ("teacher=teacher", "leave one out"),
            ("budget=5x", "leave them out"),
        ] {
            let error = trained(&[&format!("{place}{key}")], "rlnet")
                .expect_err(key)
                .to_string();
            assert!(error.contains(hint), "{key}: {error}");
        }
        let error = trained(&["train.teacher.budget=5x"], "rlnet")
            .expect_err("a teacher")
            .to_string();
        assert!(error.contains("leave them out"), "{error}");
    }

    const SNL: &str = "\n[[train]]\nname = \"snl\"\nstage = \"snl\"\nteacher = \"senet-teacher\"\nbudget = \"5x\"\n\
                       [[train]]\nname = \"snl-student\"\nstage = \"student\"\nmask = \"snl\"\n";

    #[test]
    fn snl_has_its_authors_recipe_whatever_the_dialect() {
        let text = format!("{}{SNL}", crate::catalog::STAGES);
        let of = |sets: &[&str], name: &str| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(&text, "snl", &sets)?;
            let plan = suite.plan(&PlanContext::unread(&suite))?;
            assert!(!plan.cells.iter().any(|cell| cell.name == "snl/clean"));
            match &find(&plan.cells, name)?.spec {
                CellSpec::Train(spec) => Ok(spec.clone()),
                CellSpec::Evaluate(_) => Err(SuiteError::value("model", "", "not trained")),
            }
        };
        let search = of(&["training.dialect=reference"], "snl").expect("a search");
        assert!(search.quirks.is_empty() && !search.draws_mask());
        assert_eq!((search.lr, search.lasso, search.weight_decay), (1e-3, 1e-5, 0.0));
        assert_eq!((search.gamma, search.alpha, search.beta), (1.0, 1.0, 0.0));
        let student = of(&["training.dialect=reference"], "snl-student").expect("a student");
        assert!(student.quirks.is_empty());
        assert_eq!((student.epochs, student.schedule), (100, Schedule::Cosine));
        // Half way the cosine is half the rate.
        assert!((student.lr_at(1) - 1e-3).abs() < 1e-12 && (student.lr_at(51) - 5e-4).abs() < 1e-12);
        for (set, hint) in [
            ("train.snl.allocation=uniform", "leave allocation out"),
            ("train.snl.with.select=clean", "last epoch"),
            ("train.snl.with.granularity=channel", "single units"),
            ("train.snl.with.lasso=-1", "from 0 to"),
            ("train.snl.with.average=ema", "last weights"),
            ("train.snl-student.with.quirks=[\"B23\"]", "must agree"),
            ("train.senet-teacher.with.augmentation=pixmix", "no view"),
        ] {
            let error = of(&[set], "snl").expect_err(set).to_string();
            assert!(error.contains(hint), "{set}: {error}");
        }
    }

    #[test]
    fn an_imported_mask_is_its_checksum_and_needs_a_student_without_a_mask_stage() {
        let demo = crate::catalog::STAGES;
        let of = |more: &str, path: &str| {
            let text = format!(
                "{demo}\n[[train]]\nname = \"foreign\"\nstage = \"student\"\nteacher = \"teacher\"\n{more}\n\
                 imported = {{ path = \"{path}\", blake3 = \"{}\" }}\n",
                "0a".repeat(32)
            );
            let suite = Suite::parse(&text, "foreign", &[])?;
            let plan = suite.plan(&PlanContext::unread(&suite))?;
            Ok::<_, SuiteError>(find(&plan.cells, "foreign")?.clone())
        };
        let (here, there) = (of("", "a.safetensors"), of("", "b.safetensors"));
        let (here, there) = (here.expect("a student"), there.expect("a student"));
        assert_eq!(here.id, there.id);
        assert_ne!(here.spec, there.spec);
        let error = of("budget = \"5x\"", "a").expect_err("both").to_string();
        assert!(error.contains("its own counts"), "{error}");
        let set = "train.rlnet.imported={path=\"a\",blake3=\"b\"}";
        let error = trained(&[set], "rlnet").expect_err("a mask stage").to_string();
        assert!(error.contains("in place of mask"), "{error}");
    }

    #[test]
    fn one_cycle_rises_and_falls_in_lines_and_a_warm_up_rises_to_the_schedule() {
        let text = crate::catalog::STAGES;
        let of = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let suite = Suite::parse(text, "demo", &sets).expect("a suite");
            suite.resolve(&suite.train[0], &[]).expect("a stage")
        };
        let cycle = of(&[
            "train.teacher.with.epochs=10",
            "training.lr=0.2",
            "training.schedule=one-cycle",
            "training.warmup=0.4",
        ]);
        for (epoch, done, lr) in [
            (1, 0.0, 0.0),
            (3, 0.0, 0.1),
            (5, 0.0, 0.2),
            (8, 0.0, 0.1),
            (10, 1.0, 0.0),
        ] {
            assert!((cycle.lr_in(epoch, done) - lr).abs() < 1e-12, "{epoch} {done}");
        }
        let warm = of(&[
            "train.teacher.with.epochs=10",
            "training.lr=0.2",
            "training.warmup=0.2",
        ]);
        for (epoch, done, lr) in [
            (1, 0.5, 0.05),
            (2, 0.5, 0.15),
            (3, 0.0, 0.2),
            (6, 0.9, 0.2),
            (8, 0.0, 0.02),
        ] {
            assert!((warm.lr_in(epoch, done) - lr).abs() < 1e-12, "{epoch} {done}");
        }
    }

    #[test]
    fn learning_rates_fall_where_the_references_do() {
        let text = crate::catalog::STAGES;
        let sets = ["train.teacher.with.epochs=240".to_owned()];
        let suite = Suite::parse(text, "demo", &sets).expect("a suite");
        let spec = suite.resolve(&suite.train[0], &[]).expect("a stage");
        // The reference: milestones 150, 180, 210, each active from the epoch after.
        for (epoch, lr) in [(1, 0.05), (150, 0.05), (151, 0.005), (181, 5e-4), (211, 5e-5)] {
            assert!((spec.lr_at(epoch) - lr).abs() < 1e-12, "epoch {epoch}");
        }
    }
}
