//! A training cell: its parents' models in, a model and its curves out.

use super::execute::{Executor, Visit};
use super::provenance;
use crate::error::Result;
use crate::nn::model::{self, ModelHeader};
use crate::nn::{Network, NetworkSpec};
use crate::progress::announce;
use crate::train::dialect;
use crate::train::stage::CHECKPOINT;
use crate::train::{StageInput, train};
use rlnet_reports::write_records;
use rlnet_suites::objective::Precision;
use rlnet_suites::{Cell, CellRecord, MaskShare, Quirk, TrainSpec};
use tch::Device;

impl Executor<'_> {
    pub(super) fn train(&self, cell: &Cell, spec: &TrainSpec, ordinal: &str) -> Result<Visit> {
        // One training a GPU; processes that share it may evaluate beside it.
        let _turn = match self.device {
            Device::Cuda(n) => {
                let name = format!("train-{}-cuda{n}", self.part.session);
                match self.directory.claims().take(&name)? {
                    Some(turn) => Some(turn),
                    None => return Ok(Visit::Elsewhere),
                }
            }
            _ => None,
        };
        let Some(_claim) = self.directory.claims().take(&cell.id.0)? else {
            return Ok(Visit::Elsewhere);
        };
        if self.directory.is_done(&cell.id) {
            return Ok(Visit::Elsewhere);
        }
        if !self.parents_are_sound(cell)? {
            return Ok(Visit::Helped);
        }
        announce(&format!(
            "{ordinal} train {} ({}, {} epochs)",
            cell.name, spec.arch, spec.epochs
        ));
        let mut provenance = provenance::start(self.device);
        let parents = cell
            .parents
            .iter()
            .map(|id| Ok(model::load(&self.model_source(id).path, self.device)?.0))
            .collect::<Result<Vec<Network>>>()?;
        let work = self.directory.work(&cell.id)?;
        let data = self.data.of_dataset(&cell.data.dataset);
        let trained = train(&StageInput {
            cell: &cell.id.0,
            name: &cell.name,
            spec,
            network: NetworkSpec {
                arch: spec.arch.parse()?,
                image_size: data.size as u64,
                classes: data.classes.len(),
                norm: spec.norm,
                quirks: dialect::structure_after(spec, parents.first(), parents.get(1)),
                mean: data.mean,
                std: data.std,
            },
            teacher: parents.first(),
            start: parents.get(1),
            train: data.train.clone(),
            validation: match spec.has(Quirk::SelectOnTest) {
                true => &data.test,
                false => &data.validation,
            },
            device: self.device,
            work: &work,
        })?;
        let mut header = ModelHeader::of(&trained.network, &data.classes, &data.name, trained.epoch);
        header.record.overfitted = trained.overfitted;
        model::save(&work.join("model.safetensors"), &trained.network, &header)?;
        write_records(&work.join("train.parquet"), &trained.curves)?;
        let map = mask_map(&trained.network);
        if !map.is_empty() {
            write_records(&work.join("mask_map.parquet"), &map)?;
        }
        provenance.seconds = trained.seconds;
        provenance.resumed = trained.resumed;
        if let Some(passes) = &trained.passes {
            provenance.forwards = passes.forwards.get();
            provenance.backwards = passes.backwards.get();
            provenance.teacher_forwards = passes.teacher_forwards.get();
        }
        if spec.precision != Precision::Fp32 {
            provenance.flags.insert("tf32".into(), "on".into());
        }
        provenance::end(&mut provenance);
        let mut record = CellRecord {
            cell: cell.clone(),
            model: Some(header.record),
            rows: 0,
            provenance,
        };
        self.directory.finish(&mut record, &[CHECKPOINT])?;
        Ok(Visit::Finished)
    }
}

/// Where a mask keeps ReLUs, for the reports. Nothing for a network that keeps all.
fn mask_map(network: &Network) -> Vec<MaskShare> {
    let mut shares = Vec::new();
    let masked = network.mask().layers();
    if masked.iter().flatten().all(|unit| *unit == 1) {
        return shares;
    }
    for (layer, units) in network.layers().iter().zip(masked) {
        let [channels, height, width] = layer.shape.map(|side| side as usize);
        let places = height * width;
        for place in 0..places {
            let kept = units.iter().skip(place).step_by(places.max(1));
            let kept: u64 = kept.map(|unit| u64::from(*unit)).sum();
            shares.push(MaskShare {
                layer: layer.name.clone(),
                place: place as u32,
                kept: kept as f64 / channels.max(1) as f64,
            });
        }
    }
    shares
}
