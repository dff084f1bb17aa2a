//! An evaluation cell: shard by shard, by whichever processes are there; the last one puts the
//! pieces together.

use super::execute::{Executor, Visit};
use super::shard::{self, Shard, ShardHeader, ShardResult, ShardResults};
use super::{heartbeat, provenance};
use crate::device;
use crate::error::{Error, Result};
use crate::eval::evaluate::count;
use crate::eval::{
    AttackCache, EvaluationInput, Networks, Part, Saved, evaluate, examples, preflight, probe, saved,
    similarity, unstable,
};
use crate::nn::model;
use crate::progress::{Progress, announce};
use crate::stop;
use rlnet_reports::{UNSTABLE, write_outcomes, write_records};
use rlnet_suites::cell::EvaluateSpec;
use rlnet_suites::plan::TEACHER;
use rlnet_suites::{Branch, Cell, CellId, CellRecord, Condition, Outcome, Plan, Provenance};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A piece is written at least this often: a killed process loses no more.
const PIECE: Duration = Duration::from_secs(30);

/// The strip of example images, made with the piece that has the first ones.
const EXAMPLES: &str = "examples.png";

/// A model that is ready to be evaluated. It stays open for the next cell of the same model.
pub(super) struct Opened {
    model: CellId,
    pub(super) networks: Networks,
    /// What the preflight found, by surrogate; nothing names the model itself.
    findings: BTreeMap<Option<String>, Vec<preflight::Found>>,
    /// The branches that the cell evaluates.
    pub(super) branches: Vec<Branch>,
    /// What the preflight found and did not refuse.
    passed: preflight::Passed,
    /// Images of the cell's attack that are there already.
    made: AttackCache,
}

impl Executor<'_> {
    pub(super) fn evaluate(
        &self,
        cell: &Cell,
        spec: &EvaluateSpec,
        plan: &Plan,
        ordinal: &str,
    ) -> Result<Visit> {
        let mut opened = None;
        let visit = self.evaluate_with(&mut opened, cell, spec, (plan, ordinal))?;
        if opened.is_some() {
            self.opened.replace(opened);
        }
        Ok(visit)
    }

    fn evaluate_with(
        &self,
        opened: &mut Option<Opened>,
        cell: &Cell,
        spec: &EvaluateSpec,
        (plan, ordinal): (&Plan, &str),
    ) -> Result<Visit> {
        let batch = plan.evaluation_batch;
        let save_images = plan.save_images && spec.conditions[0].is_attacked();
        let claims = self.directory.claims();
        let images = {
            // The one stream of draws is written to files by one process.
            let _claim = match self.corrupted.writes(spec) {
                true => Some(claims.wait("corrupted", "writes the corrupted images")?),
                false => None,
            };
            let folder = self.directory.root().join("corrupted");
            self.corrupted.images(spec, &folder, self.data)?
        };
        let first = spec.images.map(|images| self.data.test.take(images as usize));
        let test = first.as_ref().unwrap_or(&self.data.test);
        let counts: Vec<usize> = spec
            .conditions
            .iter()
            .map(|condition| count(test, images, condition))
            .collect();
        let shards = Shard::all(&spec.conditions, &counts, batch, self.part.shard);
        let work = self.directory.work_path(&cell.id);
        let pieces = ShardResults::new(&cell.id, &work, (batch, self.part.shard), save_images);
        let mut elsewhere = false;
        for shard in &shards {
            if pieces.is_complete(shard) {
                continue;
            }
            let Some(_claim) = claims.take(&shard.claim(&cell.id))? else {
                elsewhere = true;
                continue;
            };
            // In this order: a folder that was moved away in between has its cell in place.
            if pieces.is_complete(shard) || self.directory.is_done(&cell.id) {
                continue;
            }
            pieces.create()?;
            pieces.adopt(shard, &spec.conditions[shard.condition])?;
            if pieces.is_complete(shard) {
                continue;
            }
            let opened = match &mut *opened {
                Some(opened) => &*opened,
                none => {
                    if !self.parents_are_sound(cell)? {
                        return Ok(Visit::Helped);
                    }
                    announce(&format!("{ordinal} evaluate {}", cell.name));
                    let mut opened = self.open(cell, spec)?;
                    opened.made = self.made(cell, spec, &opened)?;
                    &*none.insert(opened)
                }
            };
            let input = EvaluationInput {
                networks: &opened.networks,
                test,
                conditions: &spec.conditions,
                branches: &opened.branches,
                corrupted: images,
                batch,
                seed: spec.seed,
                save_images,
                made: &opened.made,
            };
            self.evaluate_shard(cell, &input, shard, &pieces)?;
        }
        let worked = match opened {
            Some(_) => Visit::Helped,
            None => Visit::Elsewhere,
        };
        if elsewhere {
            return Ok(worked);
        }
        let Some(_claim) = claims.take(&cell.id.0)? else {
            return Ok(worked);
        };
        if self.directory.is_done(&cell.id) {
            return Ok(worked);
        }
        let opened = match opened {
            Some(opened) => &*opened,
            none => &*none.insert(self.open(cell, spec)?),
        };
        self.assemble(cell, spec, batch, opened, (&shards, &pieces))
    }

    /// Opens the model of a cell and what its conditions need, each network once as long as cells
    /// of one model follow one another.
    pub(super) fn open(&self, cell: &Cell, spec: &EvaluateSpec) -> Result<Opened> {
        let model = &cell.parents[0];
        let files = spec
            .surrogates
            .iter()
            .map(|(name, id)| (name.clone(), self.model_source(id)))
            .collect();
        let last = self.opened.take().filter(|opened| opened.model == *model);
        let mut opened = match last {
            Some(opened) => opened,
            None => Opened {
                model: model.clone(),
                networks: Networks::open(&self.model_source(model), self.device)?,
                findings: BTreeMap::new(),
                branches: Vec::new(),
                passed: preflight::Passed::default(),
                made: AttackCache::default(),
            },
        };
        opened.networks.add(&spec.conditions, &files)?;
        opened.passed = self.preflight(&mut opened, spec)?;
        opened.branches = match &spec.branches {
            Some(branches) => opened.networks.check(branches)?.to_vec(),
            None => opened.networks.branches().to_vec(),
        };
        opened.made = AttackCache::default();
        Ok(opened)
    }

    /// Evaluates what is missing of a shard, a piece at a time.
    fn evaluate_shard(
        &self,
        cell: &Cell,
        input: &EvaluationInput<'_>,
        shard: &Shard,
        pieces: &ShardResults,
    ) -> Result<()> {
        let mut from = pieces.reached(shard);
        let (total, before) = ((shard.to - shard.from) as u64, (from - shard.from) as u64);
        let progress = Progress::new(&cell.name, "images", total, before);
        while from < shard.to {
            let started = Instant::now();
            let cut = || stop::asked().is_some() || started.elapsed() >= PIECE;
            let part = Part {
                condition: shard.condition,
                from,
                to: shard.to,
            };
            let evaluated = evaluate(input, part, &cut, &progress)?;
            let mut piece = ShardResult {
                header: ShardHeader {
                    cell: cell.id.clone(),
                    condition: shard.condition,
                    from,
                    to: evaluated.to,
                    branches: input.branches.to_vec(),
                    seconds: started.elapsed().as_secs_f64(),
                    device: device::name(self.device),
                    process: heartbeat::process(),
                    checksum: String::new(),
                    images: None,
                    images_of: input.made.used(),
                },
                outcomes: evaluated.outcomes,
            };
            // Beside the rows first: a piece that is there is whole.
            if let Some(shown) = &evaluated.examples {
                let path = self.directory.work_path(&cell.id).join(EXAMPLES);
                examples::write_strip(&path, shown, self.data.size)?;
            }
            if let Some(saved) = evaluated.saved {
                pieces.write_images(&mut piece, saved)?;
            }
            pieces.write(&piece)?;
            from = evaluated.to;
            stop::check(&format!(
                "{} is saved after image {from} of {}",
                cell.name, shard.to
            ))?;
        }
        progress.finish();
        Ok(())
    }

    /// Puts the pieces of a cell together and moves it into place.
    fn assemble(
        &self,
        cell: &Cell,
        spec: &EvaluateSpec,
        batch: usize,
        opened: &Opened,
        (shards, pieces): (&[Shard], &ShardResults),
    ) -> Result<Visit> {
        let mut all = Vec::new();
        for shard in shards {
            match pieces.read(shard, &spec.conditions[shard.condition])? {
                Some(read) => all.extend(read),
                None => return Ok(Visit::Helped),
            }
        }
        let started = Instant::now();
        let mut provenance = self.provenance(&all);
        provenance.allowed.clone_from(&opened.passed.allowed);
        provenance.warnings.clone_from(&opened.passed.warnings);
        provenance.classes = self.data.classes.len() as u32;
        if spec.conditions.contains(&Condition::Clean) {
            provenance.class_names.clone_from(&self.data.classes);
        }
        provenance.corruptions = self.corrupted.describe(spec)?;
        let saved = pieces
            .have_images()
            .then(|| all_saved(&all, pieces))
            .transpose()?;
        let outcomes = in_order(all, spec.conditions.len(), &opened.branches);
        let work = self.directory.work(&cell.id)?;
        let versions = serde_json::to_string(&cell.versions).map_err(Error::internal)?;
        let labels = [
            ("model", cell.model.clone()),
            ("cell", cell.id.0.clone()),
            ("dataset", cell.data.dataset.clone()),
            ("dataset.checksum", cell.data.checksum.clone()),
            ("versions", versions),
            ("program", provenance.program.clone()),
        ];
        write_outcomes(&work.join("outcomes.parquet"), &outcomes, &cell.model, &labels)?;
        if let Some(saved) = saved {
            saved.write(&work.join(saved::FILE))?;
        }
        if spec.probe {
            let branches = &opened.branches;
            let points = probe::probe(&opened.networks, &self.data.test, branches, batch, spec.seed)?;
            write_records(&work.join("probe.parquet"), &points)?;
        }
        if let Condition::Certify(certificate) = &spec.conditions[0] {
            let branches = &opened.branches;
            let points = unstable::unstable(&opened.networks, certificate, branches, &self.data.test)?;
            write_records(&work.join(UNSTABLE), &points)?;
        }
        if let Some(teacher) = spec.surrogates.get(TEACHER).filter(|_| spec.similarity) {
            let student = model::load(&self.model_source(&cell.parents[0]).path, self.device)?.0;
            let teacher = model::load(&self.model_source(teacher).path, self.device)?.0;
            let points = similarity::similarity(&student, &teacher, &self.data.test)?;
            write_records(&work.join("similarity.parquet"), &points)?;
        }
        provenance.seconds += started.elapsed().as_secs_f64();
        provenance.forwards = outcomes.iter().map(|row| u64::from(row.forwards)).sum();
        provenance.backwards = outcomes.iter().map(|row| u64::from(row.backwards)).sum();
        provenance::end(&mut provenance);
        // The model's own record travels with the training cell; an external one has none.
        let external = self.external.contains_key(&cell.parents[0]);
        let mut record = CellRecord {
            cell: cell.clone(),
            model: opened.networks.record().filter(|_| external).cloned(),
            rows: outcomes.len() as u64,
            provenance,
        };
        self.directory.finish(&mut record, &[shard::FOLDER])?;
        Ok(Visit::Finished)
    }

    fn provenance(&self, all: &[ShardResult]) -> Provenance {
        let processes: BTreeSet<&str> = all.iter().map(|piece| piece.header.process.as_str()).collect();
        let devices: BTreeSet<&str> = all.iter().map(|piece| piece.header.device.as_str()).collect();
        let mut provenance = provenance::start(self.device);
        if !devices.is_empty() {
            provenance.device = devices.into_iter().collect::<Vec<_>>().join(", ");
        }
        let images_of: BTreeSet<&CellId> = all.iter().flat_map(|piece| &piece.header.images_of).collect();
        provenance.images_of = images_of.into_iter().cloned().collect();
        provenance.seconds = all.iter().map(|piece| piece.header.seconds).sum();
        provenance.resumed = processes.len().saturating_sub(1) as u32;
        provenance
    }

    /// Examines a model, and the surrogates that a user brings, because attacks follow their
    /// gradient. (What a run trains itself is examined where it is evaluated.)
    fn preflight(&self, opened: &mut Opened, spec: &EvaluateSpec) -> Result<preflight::Passed> {
        let own = !self.external.contains_key(&opened.model);
        let brought = spec
            .surrogates
            .iter()
            .filter(|(_, id)| self.external.contains_key(id))
            .map(|(name, _)| Some(name.clone()));
        let mut findings: Vec<preflight::Found> = Vec::new();
        for name in std::iter::once(None).chain(brought) {
            if !opened.findings.contains_key(&name) {
                let classes = self.data.classes.len();
                let found = preflight::examine(&opened.networks, name.as_deref(), &self.data.test, classes)?;
                opened.findings.insert(name.clone(), found);
            }
            let found = opened.findings[&name].iter().cloned();
            match own && name.is_none() {
                true => findings.extend(found.map(preflight::Found::about_own)),
                false => findings.extend(found),
            }
        }
        preflight::judge(&findings, &self.allowed)
    }
}

/// Rows condition by condition, branch by branch, image by image, whatever the pieces were.
fn in_order(pieces: Vec<ShardResult>, conditions: usize, branches: &[Branch]) -> Vec<Outcome> {
    let mut slots: Vec<Vec<Outcome>> = vec![Vec::new(); conditions * branches.len()];
    for piece in pieces {
        for row in piece.outcomes {
            if let Some(branch) = branches.iter().position(|branch| *branch == row.branch) {
                slots[piece.header.condition * branches.len() + branch].push(row);
            }
        }
    }
    slots.into_iter().flatten().collect()
}

fn all_saved(all: &[ShardResult], pieces: &ShardResults) -> Result<Saved> {
    let mut saved = Saved::default();
    for piece in all {
        saved.append(Saved::read(&pieces.images(&piece.header))?);
    }
    Ok(saved)
}
