//! What neither the types nor the table of settings can say of a suite: names that refer to one
//! another or to what there is.

use super::{ConfigError, SCHEMA, Span, Suite, Train};
use crate::attack::{self, Surrogate};
use crate::corrupted::Origin;
use crate::dataset;
use crate::error::suggest;
use crate::train::{Allocation, Stage};
use crate::view::View;
use std::ops::Range;

/// A mistake at a place of the text.
fn at(span: Range<usize>, message: String) -> ConfigError {
    ConfigError {
        span: Span::Byte(span.start),
        message,
    }
}

/// A mistake in a setting, wherever it was given.
fn of(key: &str, message: String) -> ConfigError {
    ConfigError {
        span: Span::Key(key.split('.').map(str::to_owned).collect()),
        message,
    }
}

impl Train {
    /// A mistake of this stage, at the line of its name.
    fn wrong(&self, message: String) -> ConfigError {
        at(self.name.span(), message)
    }
}

/// Stages above the one that is checked: names and kinds.
type Earlier<'a> = [(&'a str, Stage)];

impl Suite {
    /// What types and ranges cannot say.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_header()?;
        let mut earlier: Vec<(&str, Stage)> = Vec::new();
        for train in &self.train {
            check_name(train, &earlier)?;
            check_parent(train, &earlier)?;
            check_imported(train)?;
            check_units(train, &earlier)?;
            check_dataset(train)?;
            check_budget(train)?;
            self.check_training(train)?;
            earlier.push((train.name.get_ref(), train.stage));
        }
        self.check_models(&earlier)?;
        self.check_evaluation()
    }

    /// Schema, name and data.
    fn check_header(&self) -> Result<(), ConfigError> {
        if self.schema != SCHEMA {
            return Err(of(
                "schema",
                format!(
                    "schema {} is not known to this version, which reads schema {SCHEMA}",
                    self.schema
                ),
            ));
        }
        check_called(&self.name).map_err(|why| of("name", why))?;
        self.check_data()
    }

    /// The data sets exist and have as many images as are used.
    fn check_data(&self) -> Result<(), ConfigError> {
        let data = &self.data;
        let own = self.train.iter().filter_map(|train| {
            let path = ["train", train.name.get_ref(), "dataset"];
            Some((path.map(str::to_owned).to_vec(), train.dataset.as_deref()?))
        });
        let first = (
            vec!["data".to_owned(), "dataset".to_owned()],
            data.dataset.as_str(),
        );
        for (path, name) in std::iter::once(first).chain(own) {
            let known = dataset::find(name).map_err(|error| ConfigError {
                message: error.to_string(),
                span: Span::Key(path),
            })?;
            let Some(known) = known else { continue };
            if let Some(images) = data.images.as_ref().filter(|_| name == data.dataset)
                && images.last() >= known.test
            {
                return Err(of(
                    "data.images",
                    format!(
                        "data.images is {images}, and {name} has test images 0 to {}",
                        known.test - 1
                    ),
                ));
            }
            for (key, what, asked, there) in [
                ("data.train", "training", data.train, known.train),
                ("data.test", "test", data.test, known.test),
            ] {
                if let Some(asked) = asked.filter(|asked| *asked > there) {
                    return Err(of(
                        key,
                        format!(
                            "{key} is {asked}, and {name} has {there} {what} images; leave it out to use all"
                        ),
                    ));
                }
            }
        }
        if let Some(train) = data.train {
            // As they are split when they are loaded.
            let held = (f64::from(train) * data.validation).round();
            if held < 1.0 || held >= f64::from(train) {
                return Err(of(
                    "data.train",
                    format!(
                        "data.train is {train}, of which data.validation = {} holds {held} out to select epochs; that \
                         leaves no image to one of both, raise data.train",
                        data.validation
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Settings of a stage's steps, its own or those of `[training]`.
    fn check_training(&self, train: &Train) -> Result<(), ConfigError> {
        let name = train.name.get_ref();
        if let Some(views) = &train.views
            && !views.contains(&View::Clean)
            && views[..] != [View::Adversarial]
        {
            return Err(train.wrong(format!(
                "`{name}` has views without \"clean\": every stage needs clean images, but a teacher on attacked ones alone"
            )));
        }
        let Some(attack) = train.with.attack.as_ref().or(self.training.attack.as_ref()) else {
            return Ok(());
        };
        let sizes = attack.check_sizes();
        sizes.map_err(|error| train.wrong(format!("`{name}` cannot train with it: {error}")))?;
        if !attack.can_train() {
            let known = attack::all().filter(|entry| entry.trains).map(|entry| entry.name);
            return Err(train.wrong(format!(
                "`{name}` cannot train with {attack}; an inner attack has one uniform start in Linf: {}",
                known.collect::<Vec<_>>().join(", ")
            )));
        }
        Ok(())
    }

    /// Models that are evaluated are trained here, on the images they are measured on.
    fn check_models(&self, earlier: &Earlier<'_>) -> Result<(), ConfigError> {
        let evaluated = self
            .evaluation
            .models
            .iter()
            .flatten()
            .chain(&self.evaluation.baseline);
        for model in evaluated {
            if !earlier.iter().any(|(name, _)| *name == model.get_ref()) {
                let hint = suggest(model.get_ref(), earlier.iter().map(|(name, _)| *name));
                return Err(at(
                    model.span(),
                    format!("model `{}` is not trained by this suite; {hint}", model.get_ref()),
                ));
            }
            let trained = self
                .train
                .iter()
                .find(|train| train.name.get_ref() == model.get_ref());
            let other = trained.map(|train| self.dataset_of(train));
            if let Some(other) = other.filter(|other| *other != self.data.dataset) {
                return Err(at(
                    model.span(),
                    format!(
                        "model `{}` is trained on {other}, and this suite measures on {}; leave it out",
                        model.get_ref(),
                        self.data.dataset
                    ),
                ));
            }
        }
        Ok(())
    }

    /// What settings of `[evaluation]` say of one another.
    fn check_evaluation(&self) -> Result<(), ConfigError> {
        let evaluation = &self.evaluation;
        if evaluation.corrupted == Origin::Official
            && (evaluation.stack, evaluation.rng, evaluation.frost) != Default::default()
        {
            return Err(of(
                "evaluation.corrupted",
                "evaluation.corrupted is \"official\", so images are read and not made; leave out \
                 stack, rng and frost, which say how images are made"
                    .into(),
            ));
        }
        let lists = [
            (
                "evaluation.attacks",
                &evaluation.attacks,
                "a certificate",
                "evaluation.certify",
            ),
            (
                "evaluation.certify",
                &evaluation.certify,
                "an attack",
                "evaluation.attacks",
            ),
        ];
        for (key, list, what, place) in lists {
            let certifies = key == "evaluation.certify";
            if let Some((other, _)) = list.iter().find(|(spec, _)| spec.is_certificate() != certifies) {
                let why = format!("{key}: `{}` is {what}; write it under {place}", other.short());
                return Err(of(key, why));
            }
        }
        if let Some(headline) = evaluation
            .headline
            .as_ref()
            .filter(|headline| headline.falls_short())
        {
            return Err(of(
                "evaluation.headline",
                format!(
                    "evaluation.headline `{}` cannot reach its radius: its steps are too few or too small, and what it \
                     leaves is no accuracy under attack; name more steps or a larger alpha",
                    headline.short()
                ),
            ));
        }
        // Without any attack there is no AdvA.
        let known: Vec<String> = evaluation
            .attacks
            .iter()
            .map(|(attack, _)| attack.short())
            .collect();
        if let Some(headline) = &evaluation.headline
            && !known.is_empty()
            && !evaluation.attacks.iter().any(|(attack, _)| attack == headline)
        {
            let hint = suggest(&headline.short(), known.iter().map(String::as_str));
            return Err(of(
                "evaluation.headline",
                format!(
                    "evaluation.headline `{}` is not among evaluation.attacks, so that no model would have an AdvA; \
                     {hint}",
                    headline.short()
                ),
            ));
        }
        Ok(())
    }
}

/// A name that can be a folder's.
fn check_called(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match name {
        "" => Err("the name is empty; results go into a folder of that name".into()),
        _ if !name.chars().all(fits) => Err(format!(
            "the name `{name}` may only hold letters, digits, `-`, `_` and `.`"
        )),
        _ if name.chars().all(|c| c == '.') => Err(format!(
            "the name `{name}` is a folder of its own meaning; add a letter"
        )),
        _ => Ok(()),
    }
}

/// A name that can be a folder's, and that no stage above has.
fn check_name(train: &Train, earlier: &Earlier<'_>) -> Result<(), ConfigError> {
    let name = train.name.get_ref();
    check_called(name).map_err(|why| train.wrong(why))?;
    if !matches!(Surrogate::named(name), Surrogate::Named(_) | Surrogate::Teacher) {
        let why =
            format!("`{name}` means something else as an attack's surrogate; give the stage another name");
        return Err(train.wrong(why));
    }
    if earlier.iter().any(|(other, _)| other == name) {
        return Err(train.wrong(format!("`{name}` is named twice")));
    }
    Ok(())
}

/// What a stage starts from is a stage above it, and of the kind it needs.
fn check_parent(train: &Train, earlier: &Earlier<'_>) -> Result<(), ConfigError> {
    let name = train.name.get_ref();
    let (need, given, wanted) = match train.stage {
        Stage::Teacher => ("", &None, Stage::Teacher),
        Stage::Mask | Stage::Snl => ("teacher", &train.teacher, Stage::Teacher),
        // A student without a mask stage: its units are drawn at random.
        Stage::Student if train.mask.is_none() && train.teacher.is_some() => {
            ("teacher", &train.teacher, Stage::Teacher)
        }
        Stage::Student => ("mask", &train.mask, Stage::Mask),
    };
    if train.mask.is_some() && train.teacher.is_some() {
        return Err(train.wrong(format!(
            "`{name}` has a teacher and a mask; a student takes the teacher of its mask stage, \
                 leave one out"
        )));
    }
    match given {
        None if need.is_empty() => {}
        None => {
            return Err(train.wrong(format!(
                "`{name}` is a {} stage and needs {need} = \"...\"",
                train.stage.name()
            )));
        }
        Some(parent) => {
            let wanted_names = earlier
                .iter()
                .filter(|(_, stage)| *stage == wanted || (wanted == Stage::Mask && stage.is_search()))
                .map(|(name, _)| *name);
            if !wanted_names.clone().any(|name| name == parent.get_ref()) {
                let hint = suggest(parent.get_ref(), wanted_names);
                return Err(at(
                    parent.span(),
                    format!(
                        "{need} `{}` is not a {} above; {hint}",
                        parent.get_ref(),
                        wanted.name()
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// What only a student with a teacher and no mask stage may have.
const STUDENT_ONLY: &str = "which only a student with teacher = \"...\" in place of mask can take";

/// A mask from a file.
fn check_imported(train: &Train) -> Result<(), ConfigError> {
    let Some(imported) = &train.imported else {
        return Ok(());
    };
    let hex = imported.blake3.len() == 64 && imported.blake3.chars().all(|c| c.is_ascii_hexdigit());
    let why = if train.stage != Stage::Student || train.teacher.is_none() {
        STUDENT_ONLY
    } else if !hex {
        "whose blake3 is not 64 hexadecimal digits"
    } else if train.budget.is_some() || train.allocation.is_some() {
        "which has its own counts; leave budget and allocation out"
    } else {
        return Ok(());
    };
    let name = train.name.get_ref();
    Err(train.wrong(format!("`{name}` has an imported mask, {why}")))
}

/// The units of another search.
fn check_units(train: &Train, earlier: &Earlier<'_>) -> Result<(), ConfigError> {
    let Some(units) = &train.units else {
        return Ok(());
    };
    let searches = earlier.iter().filter(|(_, stage)| stage.is_search());
    let mut names = searches.map(|(name, _)| *name);
    let why = if train.stage != Stage::Student || train.teacher.is_none() {
        STUDENT_ONLY.to_owned()
    } else if train.budget.is_some() || train.allocation.is_some() || train.imported.is_some() {
        "which have their own counts; leave budget, allocation and imported out".to_owned()
    } else if !names.clone().any(|name| name == units.get_ref()) {
        let hint = suggest(units.get_ref(), names.by_ref());
        format!("which is no mask or snl stage above; {hint}")
    } else {
        return Ok(());
    };
    let (name, units_of) = (train.name.get_ref(), units.get_ref());
    Err(at(
        units.span(),
        format!("`{name}` has the units of `{units_of}`, {why}"),
    ))
}

/// Only a teacher chooses its images.
fn check_dataset(train: &Train) -> Result<(), ConfigError> {
    let name = train.name.get_ref();
    if train.dataset.is_some() && train.stage != Stage::Teacher {
        return Err(train.wrong(format!(
            "`{name}` is a {} stage with a dataset, and learns from its teacher's images; write \
                 dataset in the teacher's stage",
            train.stage.name()
        )));
    }
    Ok(())
}

/// Stages that choose units have a budget, and no others.
fn check_budget(train: &Train) -> Result<(), ConfigError> {
    let name = train.name.get_ref();
    let counted = train.allocation.is_some_and(Allocation::has_counts);
    let draws = train.stage != Stage::Teacher && train.teacher.is_some();
    let draws = draws && train.imported.is_none() && train.units.is_none();
    if draws && train.budget.is_none() && !counted {
        return Err(train.wrong(format!(
            "`{name}` is a {} stage{} and needs budget = \"50k\" or \"11.14x\", or \
                     allocation = \"published:NAME\"",
            train.stage.name(),
            if train.stage.is_search() {
                ""
            } else {
                " without a mask stage"
            }
        )));
    }
    if !draws && (train.budget.is_some() || train.allocation.is_some()) {
        return Err(train.wrong(format!(
            "`{name}` has a budget or an allocation, which are for a mask stage, or a student \
                 with teacher = \"...\" in place of mask; leave them out"
        )));
    }
    if train.stage == Stage::Snl && train.allocation.is_some() {
        return Err(train.wrong(format!(
            "`{name}` is an snl stage, which shares its budget out itself; leave allocation out"
        )));
    }
    Ok(())
}
