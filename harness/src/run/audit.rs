//! The part of a bundle's audit that needs the models or the data set: the drawn images are compared with the data
//! set's, the examples with the rules of their attack, and what the models say of all of them with the rows.

use super::Prepared;
use super::compatibility::ModelFile;
use crate::attack::ball;
use crate::data::{Split, images_to_tensor};
use crate::error::{Error, Result, reporting};
use crate::eval::judge::Prediction;
use crate::eval::preflight::{self, Finding};
use crate::eval::saved::Images;
use crate::eval::{CorruptedImages, Networks, Saved, examples, verdict};
use rlnet_corruptions::{Generator, Options, Stack};
use rlnet_reports::bundle::{self, Bundle, Check, ORIGINALS};
use rlnet_reports::format::{count, thousands};
use rlnet_reports::{Run, read_records};
use rlnet_suites::cell::DataSpec;
use rlnet_suites::{Branch, CellId, CellRecord, CellSpec, Condition, EvaluateSpec, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Room for another machine's arithmetic: margins and losses may differ by this share of one more than their size, and
/// an answer nearer to the boundary may go either way.
const ARITHMETIC: f32 = 1e-3;

/// Room for another machine's sums in a length, relative and absolute.
const LENGTH: (f64, f64) = (1e-4, 1e-6);

/// A model file that was handed to an audit; of a name, whatever its checksum.
pub type Given = (Option<String>, ModelFile);

/// The checks, in the order of the table.
///
/// # Errors
/// When a defect keeps something from being looked at; what is wrong with the bundle is a finding.
pub fn audit(
    bundle: &Bundle,
    run: &Run,
    given: &[Given],
    data_dir: &Path,
    device: Device,
) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let shown = match Shown::read(bundle, run) {
        Ok(shown) => shown,
        Err(why) => {
            checks.push(Check::of("labels", &[why.to_string()], ""));
            for what in ["box", "ball", "data", "model", "replay", "preflight"] {
                checks.push(Check::skipped(what, "the examples cannot be read"));
            }
            return Ok(checks);
        }
    };
    let originals = &shown.originals;
    checks.push(Check::of(
        "labels",
        &shown.faults,
        format!(
            "{}, and {} on them, with the classes and branches of their rows",
            count(originals.len(), "image"),
            count(shown.examples.len(), "attack"),
        ),
    ));
    checks.extend(shown.balls());
    let whole = run.plan.images().map(|data| {
        (
            data,
            Prepared::load_test(&data.dataset, data_dir, data.test, data.images.as_ref()),
        )
    });
    let (check, data) = match whole {
        Some((spec, Ok(data))) => (same_images(spec, &data, originals), Some(data)),
        Some((spec, Err(error))) => {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default().to_owned();
            (
                Check::skipped(
                    "data",
                    format!("{} is not at hand (--data-dir): {why}", spec.dataset),
                ),
                None,
            )
        }
        None => (Check::skipped("data", "the plan names no images"), None),
    };
    checks.push(check);
    let models = models(run);
    let (identity, found) = identities(&models, given);
    checks.push(identity);
    let (mut replayed, mut examined) = (Tally::default(), Tally::default());
    for model in &models {
        let Some(file) = found.get(&model.id) else {
            replayed.left_out.push(model.name.clone());
            examined.left_out.push(model.name.clone());
            continue;
        };
        match Networks::open(&file.source, device) {
            Ok(networks) => {
                shown.replay(run, model, &networks, &mut replayed)?;
                examine(run, model, &networks, (data.as_ref(), originals), &mut examined);
            }
            Err(error) => replayed.found.push(format!("{}: {error}", model.name)),
        }
    }
    checks.push(replayed.check(
        "replay",
        "answers as stated, within the tolerance for another machine",
    ));
    checks.push(examined.check("preflight", "findings as stated"));
    Ok(checks)
}

/// What several models came to.
#[derive(Default)]
struct Tally {
    found: Vec<String>,
    left_out: Vec<String>,
    /// What could not be looked at, by the reason.
    reasons: BTreeMap<&'static str, BTreeSet<String>>,
    looked: u64,
    largest: f32,
}

impl Tally {
    fn leave_out(&mut self, why: &'static str, name: &str) {
        self.reasons.entry(why).or_default().insert(name.to_owned());
    }

    fn check(self, what: &str, fine: &str) -> Check {
        let of = |names: BTreeSet<String>| match names.len() {
            1..=3 => names.into_iter().collect::<Vec<_>>().join(", "),
            many => thousands(many as u64) + " cells",
        };
        let reasons = self.reasons.into_iter();
        let mut without: Vec<String> = reasons
            .map(|(why, names)| format!("{}: {why}", of(names)))
            .collect();
        if !self.left_out.is_empty() {
            without.push(format!(
                "no file was named for {} (--model FILE)",
                self.left_out.join(", ")
            ));
        }
        let without = without.join("; ");
        if self.looked == 0 && self.found.is_empty() {
            return Check::skipped(what, without);
        }
        let mut said = format!("{} {fine}", thousands(self.looked));
        if self.largest > 0.0 {
            said += &format!(" (largest difference {:.1e})", self.largest);
        }
        if !without.is_empty() {
            said += &format!("; {without}");
        }
        Check::of(what, &self.found, said)
    }
}

/// A model that the bundle has rows of.
struct Evaluated<'a> {
    name: String,
    /// What its cells call it: the cell that trained it, or the identity of its file.
    id: &'a CellId,
    /// The identity of its file; nothing where the record of its training is not there.
    file: Option<String>,
}

fn models(run: &Run) -> Vec<Evaluated<'_>> {
    let mut all: Vec<Evaluated<'_>> = Vec::new();
    for record in &run.records {
        let (CellSpec::Evaluate(_), Some(id)) = (&record.cell.spec, record.cell.parents.first()) else {
            continue;
        };
        if all.iter().any(|known| known.id == id) {
            continue;
        }
        let trains = run.plan.cells.iter().any(|cell| cell.id == *id);
        let trained = run.records.iter().find(|record| record.cell.id == *id);
        let weights = trained.and_then(|record| record.provenance.files.get("model.safetensors"));
        let file = match trains {
            true => weights.map(|sum| sum.chars().take(id.0.len()).collect()),
            false => Some(id.0.clone()),
        };
        all.push(Evaluated {
            name: record.cell.model.clone(),
            id,
            file,
        });
    }
    all
}

/// Which file is which model's, by its checksum.
fn identities<'a>(
    models: &[Evaluated<'a>],
    given: &'a [Given],
) -> (Check, BTreeMap<&'a CellId, &'a ModelFile>) {
    let (mut of, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, file) in given {
        let own = models.iter().find(|model| match name {
            Some(name) => model.name == *name,
            None => model.file.as_ref() == Some(&file.id.0),
        });
        let path = file.source.path.display();
        let Some(own) = own else {
            let known: Vec<String> = models
                .iter()
                .map(|model| {
                    format!(
                        "{} ({})",
                        model.name,
                        model.file.as_deref().unwrap_or("not recorded")
                    )
                })
                .collect();
            wrong.push(format!(
                "{path} (blake3 {}) is no model of this bundle: {}",
                file.id,
                known.join(", ")
            ));
            continue;
        };
        if own.file.as_ref() != Some(&file.id.0) {
            let stated = own.file.as_deref().unwrap_or("not recorded");
            wrong.push(format!(
                "{path} has blake3 {}, and {} was measured with {stated}",
                file.id, own.name
            ));
        }
        of.insert(own.id, file);
    }
    let check = match given.is_empty() {
        true => Check::skipped("model", "no file was named (--model FILE)"),
        false => Check::of(
            "model",
            &wrong,
            format!("{} of {}, by checksum", of.len(), count(models.len(), "model")),
        ),
    };
    (check, of)
}

/// The drawn images are the data set's own.
fn same_images(spec: &DataSpec, data: &Prepared, originals: &Split) -> Check {
    let mut found = Vec::new();
    if data.checksum != spec.checksum {
        found.push(format!(
            "{} has the checksum {} here, and {} in the bundle",
            spec.dataset, data.checksum, spec.checksum
        ));
    }
    for (place, image) in originals.indices.iter().enumerate() {
        let own = data.test.indices.iter().position(|known| known == image);
        let same = own.is_some_and(|own| {
            let both = (data.test.image(own), originals.image(place));
            matches!(both, (Ok(a), Ok(b)) if a == b) && data.test.labels[own] == originals.labels[place]
        });
        if !same {
            found.push(format!(
                "image {image} differs from image {image} of {}",
                spec.dataset
            ));
        }
    }
    Check::of(
        "data",
        &found,
        format!(
            "{} images of {} and their classes, by byte",
            originals.len(),
            spec.dataset
        ),
    )
}

type Rows = BTreeMap<(Branch, Condition, u32), Outcome>;

/// The drawn images with their classes, and the examples of every attack.
struct Shown<'a> {
    originals: Split,
    /// `[N, 3, H, W]` in `[0, 1]`.
    clean: Tensor,
    examples: Vec<Attacked<'a>>,
    /// What contradicts the rows.
    faults: Vec<String>,
}

struct Attacked<'a> {
    record: &'a CellRecord,
    condition: Condition,
    images: Vec<Images>,
    rows: Rows,
}

/// The rows of the drawn images of a cell.
fn rows_of(run: &Run, record: &CellRecord, images: &[u32]) -> Result<Rows> {
    let all: Vec<Outcome> =
        read_records(&run.folder(&record.cell).join("outcomes.parquet")).map_err(reporting)?;
    let drawn = all.into_iter().filter(|row| images.contains(&row.image));
    Ok(drawn
        .map(|row| ((row.branch, row.condition.clone(), row.image), row))
        .collect())
}

impl<'a> Shown<'a> {
    fn read(bundle: &Bundle, run: &'a Run) -> Result<Self> {
        let sample = &bundle.manifest.sample;
        let path = bundle.path(ORIGINALS);
        let (n, size) = (sample.images.len(), sample.size as usize);
        let images = examples::read_strip(&path, n, size)?;
        let mut labels: BTreeMap<u32, u16> = BTreeMap::new();
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        let evaluations = run
            .records
            .iter()
            .filter(|record| matches!(record.cell.spec, CellSpec::Evaluate(_)));
        for record in evaluations.take(1).chain(bundle::attacked(run)) {
            let rows = rows_of(run, record, &sample.images)?;
            labels.extend(rows.values().map(|row| (row.image, row.label)));
            let Some(condition) = attack_of(record) else {
                continue;
            };
            let file = bundle.path(&bundle::examples(&record.cell.id));
            let saved = match Saved::read(&file) {
                Ok(saved) => saved,
                Err(error) => {
                    faults.push(format!("{}: {error}", record.cell.name));
                    continue;
                }
            };
            let name = &record.cell.name;
            if saved.condition() != Some(&condition) {
                let said = saved.condition().map_or_else(String::new, ToString::to_string);
                faults.push(format!("{name}: its examples were made by {said}"));
            }
            if saved.indices() != sample.images {
                faults.push(format!("{name}: its examples are of other images"));
                continue;
            }
            let wrong = saved.indices().iter().zip(saved.labels());
            let wrong = wrong
                .filter(|(image, label)| labels.get(image) != Some(label))
                .count();
            if wrong > 0 {
                faults.push(format!(
                    "{name}: {wrong} examples have another class than their rows"
                ));
            }
            let judged: BTreeSet<Branch> = rows.keys().map(|(branch, ..)| *branch).collect();
            let images: Vec<Images> = saved.images().collect();
            if !images.iter().map(|images| images.branch).eq(judged) {
                faults.push(format!(
                    "{name}: its examples are of other branches than its rows"
                ));
                continue;
            }
            let shape = [n as i64, 3, size as i64, size as i64];
            if images.iter().any(|images| images.images.size() != shape) {
                faults.push(format!(
                    "{name}: its examples have another size than the originals"
                ));
                continue;
            }
            all.push(Attacked {
                record,
                condition,
                images,
                rows,
            });
        }
        let classes = sample.images.iter().map(|image| labels.get(image).copied());
        let originals = Split {
            size,
            images,
            files: None,
            labels: classes.collect::<Option<_>>().ok_or_else(|| {
                Error::Missing(format!(
                    "{}: rows of the images shown are not there",
                    bundle.file.display()
                ))
            })?,
            indices: sample.images.clone(),
        };
        let clean = images_to_tensor(&originals.images, n, size, Device::Cpu);
        Ok(Self {
            originals,
            clean,
            examples: all,
            faults,
        })
    }

    /// Every example is an image, and as near to its original as its row and its attack say.
    fn balls(&self) -> [Check; 2] {
        let (mut outside, mut far, mut looked) = (Vec::new(), Vec::new(), 0);
        for attacked in &self.examples {
            let Condition::Attack(attack) = &attacked.condition else {
                continue;
            };
            for made in &attacked.images {
                let at = |image: u32| {
                    format!(
                        "image {image}, branch {}, {}",
                        made.branch, attacked.record.cell.name
                    )
                };
                let lengths = verdict::floats(&ball::length(&(&made.images - &self.clean), attack.norm()));
                let flat = made.images.flatten(1, -1);
                let legal = flat.ge(0.0).logical_and(&flat.le(1.0)).all_dim(1, false);
                let legal = verdict::floats(&legal.to_kind(Kind::Float));
                for (place, &image) in self.originals.indices.iter().enumerate() {
                    looked += 1;
                    if legal[place] != 1.0 {
                        outside.push(at(image));
                    }
                    let Some(row) = attacked
                        .rows
                        .get(&(made.branch, attacked.condition.clone(), image))
                    else {
                        far.push(format!("{}: no row", at(image)));
                        continue;
                    };
                    // The original of an attack on a corrupted image is not shown.
                    if attack.base().is_some() {
                        continue;
                    }
                    let (length, said) = (f64::from(lengths[place]), f64::from(row.norm));
                    let close = |to: f64| (length - to).abs() <= LENGTH.0 * to + LENGTH.1;
                    if attack
                        .radius()
                        .is_some_and(|radius| length > radius && !close(radius))
                    {
                        far.push(format!(
                            "{} is perturbed by {length:.6}, outside the radius",
                            at(image)
                        ));
                    } else if !close(said) {
                        far.push(format!(
                            "{} is perturbed by {length:.6}, and its row says {said:.6}",
                            at(image)
                        ));
                    }
                }
            }
        }
        let all = thousands(looked);
        [
            Check::of(
                "box",
                &outside,
                format!("{all} examples with every value in [0, 1]"),
            ),
            Check::of(
                "ball",
                &far,
                format!("{all} examples within their attack's radius, as far as their rows say"),
            ),
        ]
    }

    /// What a model says of the drawn images, clean, corrupted and attacked, beside its rows.
    fn replay(&self, run: &Run, model: &Evaluated<'_>, networks: &Networks, tally: &mut Tally) -> Result<()> {
        let own = run
            .records
            .iter()
            .filter(|record| record.cell.parents.first() == Some(model.id));
        for record in own {
            let CellSpec::Evaluate(spec) = &record.cell.spec else {
                continue;
            };
            if record
                .provenance
                .allowed
                .iter()
                .any(|code| code == Finding::Randomised.code())
            {
                tally.leave_out("randomised", &record.cell.name);
                continue;
            }
            let rows = rows_of(run, record, &self.originals.indices)?;
            let branches: BTreeSet<Branch> = rows.keys().map(|(branch, ..)| *branch).collect();
            let corrupted = generated(record, spec);
            for condition in &spec.conditions {
                for &branch in &branches {
                    let images = match condition {
                        Condition::Clean => self.clean.shallow_clone(),
                        Condition::Attack(_) | Condition::Certify(_) => {
                            let of = self
                                .examples
                                .iter()
                                .find(|attacked| attacked.record.cell.id == record.cell.id);
                            let made = of.and_then(|of| of.images.iter().find(|made| made.branch == branch));
                            // That it is missing is a finding of its own.
                            let Some(made) = made else { continue };
                            made.images.shallow_clone()
                        }
                        Condition::Corruption { .. } | Condition::Frame { .. } => match &corrupted {
                            Some(corrupted) => {
                                let (all, n) = (&self.originals, self.originals.len());
                                let part = match condition {
                                    Condition::Frame { sequence, frame } => {
                                        corrupted.frames(all, *sequence, *frame, 0, n)?
                                    }
                                    other => {
                                        let (name, severity) = other.corruption().unwrap_or_default();
                                        corrupted.batch(all, name, severity, 0, n)?
                                    }
                                };
                                images_to_tensor(&part.images, n, part.size, Device::Cpu)
                            }
                            None => {
                                let why = "its images were read from files, drawn one after the other, or need frost \
                                           photographs";
                                tally.leave_out(why, &record.cell.name);
                                break;
                            }
                        },
                        Condition::AugMix => {
                            tally.leave_out("AugMix views are not replayed", &record.cell.name);
                            break;
                        }
                    };
                    let passes = verdict::passes(condition);
                    match verdict::predictions(networks, branch, &images, &self.originals.labels, passes) {
                        Ok(said) => self.compare(record, (condition, branch), &rows, &said, tally),
                        Err(error) => tally.found.push(format!("{}: {error}", record.cell.name)),
                    }
                }
            }
        }
        Ok(())
    }

    fn compare(
        &self,
        record: &CellRecord,
        (condition, branch): (&Condition, Branch),
        rows: &Rows,
        said: &[(Prediction, Prediction)],
        tally: &mut Tally,
    ) {
        for (&image, (whole, rounded)) in self.originals.indices.iter().zip(said) {
            let at = || format!("image {image}, branch {branch}, {}", record.cell.name);
            let Some(row) = rows.get(&(branch, condition.clone(), image)) else {
                tally.found.push(format!("{}: no row", at()));
                continue;
            };
            tally.looked += 1;
            let tie = |margin: f32| margin.abs() <= ARITHMETIC;
            if row.prediction != whole.prediction && !tie(whole.margin) {
                tally.found.push(format!(
                    "{} is class {}, and its row says {}",
                    at(),
                    whole.prediction,
                    row.prediction
                ));
            } else if row.rounded != rounded.prediction && !tie(rounded.margin) {
                tally.found.push(format!(
                    "{}, rounded to 8 bits, is class {}, and its row says {}",
                    at(),
                    rounded.prediction,
                    row.rounded
                ));
            } else {
                for (what, own, stated) in [
                    ("margin", whole.margin, row.margin),
                    ("loss", whole.loss, row.loss),
                ] {
                    let apart = (own - stated).abs();
                    if apart <= ARITHMETIC * (1.0 + stated.abs()) {
                        tally.largest = tally.largest.max(apart);
                    } else if own.to_bits() != stated.to_bits() && !(own.is_nan() && stated.is_nan()) {
                        tally.found.push(format!(
                            "{} has the {what} {own}, and its row says {stated}",
                            at()
                        ));
                        break;
                    }
                }
            }
        }
    }
}

/// The attack of a cell of one.
fn attack_of(record: &CellRecord) -> Option<Condition> {
    let CellSpec::Evaluate(spec) = &record.cell.spec else {
        return None;
    };
    let mut attacks = spec
        .conditions
        .iter()
        .filter(|condition| matches!(condition, Condition::Attack(_)));
    attacks.next().cloned()
}

/// What makes a cell's corrupted images of single originals again; nothing where they were read from files, drawn
/// one after the other, or made with frost photographs.
fn generated(record: &CellRecord, spec: &EvaluateSpec) -> Option<CorruptedImages> {
    let said: serde_json::Value = serde_json::from_str(&record.provenance.corruptions).ok()?;
    let keyed = said["source"] == "generated" && said["rng"] == "keyed";
    let stack: Stack = said["stack"].as_str()?.parse().ok()?;
    let generator = Generator::new(Options {
        stack,
        ..Options::default()
    });
    let own = serde_json::to_value(generator.describe()).ok()?;
    // Textures are frost's alone.
    let frosty = |condition: &Condition| matches!(condition.corruption(), Some(("frost", _)));
    let textures = spec.conditions.iter().any(frosty);
    let same = own
        .as_object()?
        .iter()
        .all(|(key, value)| said[key] == *value || (key == "textures" && !textures));
    (keyed && same).then(|| CorruptedImages::Generated {
        generator: Box::new(generator),
        seed: spec.seed,
    })
}

/// Examines a model and compares what is found with what its records say. Without the data set a few images stand in
/// for it, and what depends on which they are is left out.
fn examine(
    run: &Run,
    model: &Evaluated<'_>,
    networks: &Networks,
    (data, originals): (Option<&Prepared>, &Split),
    tally: &mut Tally,
) {
    let own = run
        .records
        .iter()
        .filter(|record| record.cell.parents.first() == Some(model.id));
    let (mut stated, mut classes) = (String::new(), 0);
    for record in own {
        let from = &record.provenance;
        classes = classes.max(from.classes as usize);
        for code in from.allowed.iter().chain(&from.warnings) {
            stated += &format!("{code}\n");
        }
    }
    if classes == 0 {
        tally.leave_out("its records do not say how many classes there are", &model.name);
        return;
    }
    let images = data.map_or(originals, |data| &data.test);
    match preflight::examine(networks, None, images, classes) {
        Err(error) => tally.found.push(format!("{}: {error}", model.name)),
        Ok(findings) => {
            tally.looked += 1;
            let of_images = [Finding::InputRange, Finding::ZeroGradient, Finding::NanGradient];
            let counts = findings
                .iter()
                .filter(|found| data.is_some() || !of_images.contains(&found.finding));
            let unsaid =
                counts.filter(|found| !stated.lines().any(|line| line.starts_with(found.finding.code())));
            tally.found.extend(
                unsaid.map(|found| format!("{}: {found}, and its records do not say so", model.name)),
            );
        }
    }
}
