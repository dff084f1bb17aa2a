//! `rlnet model sensitivity`: what a mask stage with `allocation = "measured"` measures.

use crate::error::{Error, Result};
use crate::nn::budget::allocate;
use crate::nn::model;
use crate::request::{Global, cells};
use crate::run::Prepared;
use crate::run::prepare::Sizes;
use crate::terminal::{outln, print_json, print_line};
use crate::train::sensitivity::{IMAGES, sensitivities};
use rlnet_suites::cell::DataSpec;
use rlnet_suites::suite::VALIDATION;
use rlnet_suites::train::{Allocation, Budget};
use rlnet_suites::{CellRecord, CellSpec};
use serde_json::json;
use std::path::Path;

/// Which images are held out.
struct HeldOut {
    code: &'static str,
    description: &'static str,
}

const BY_CELL: HeldOut = HeldOut {
    code: "cell",
    description: "as in the suite of the model's cell",
};

const OF_WHOLE: HeldOut = HeldOut {
    code: "whole data set",
    description: "a tenth of the whole data set, because the model lies in no cell that says more",
};

/// Measures a model and prints its layers.
pub fn sensitivity(
    path: &Path,
    dataset: Option<&str>,
    budget: Option<Budget>,
    global: &Global,
) -> Result<()> {
    let path = &cells::model_file(path)?;
    let (network, header) = model::load(path, global.open_device()?)?;
    let (data, from) = images(path, dataset, global)?;
    if data.size as u64 != network.spec().image_size {
        return Err(Error::Usage(format!(
            "{} has images of {} pixels, {} was trained at {}; name the data set it was trained on",
            data.name,
            data.size,
            path.display(),
            network.spec().image_size
        )));
    }
    let measured = sensitivities(&network, &data.validation)?;
    let units = network.layer_sizes();
    let keep = budget
        .map(|budget| allocate(&units, Some(budget), Allocation::Measured, Some(&measured)))
        .transpose()?;
    let sum: f64 = measured.iter().sum();
    let rows = header.record.layers.iter().zip(&measured).enumerate();
    let (held_out, all) = (data.validation.len(), data.validation.len() + data.train.len());
    let used = IMAGES.min(held_out);
    if global.json {
        let items = rows.map(|(l, (layer, nats))| {
            let keep = keep.as_ref().map(|keep| keep[l]);
            json!({"layer": layer.name, "units": layer.total(), "nats": nats, "keep": keep})
        });
        print_json(&json!({
            "images": used,
            "held_out": held_out,
            "training_images": all,
            "dataset": data.name,
            "from": from.code,
            "layers": items.collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    outln!(
        "{used} images: the first of {held_out} held out of {all} training images of {}, {}.",
        data.name,
        from.description
    );
    print_line("layer                         units       nats   weight       keep");
    for (l, (layer, nats)) in rows {
        let keep = keep.as_ref().map_or(String::new(), |keep| keep[l].to_string());
        let weight = if sum > 0.0 { 100.0 * nats / sum } else { 0.0 };
        let row = format!(
            "{:<24} {:>10} {nats:>10.5} {weight:>7.2}% {keep:>10}",
            layer.name,
            layer.total()
        );
        print_line(row.trim_end());
    }
    Ok(())
}

/// The images that a stage on this model would measure on, else those of the whole data set.
fn images(path: &Path, dataset: Option<&str>, global: &Global) -> Result<(Prepared, HeldOut)> {
    let own = trained_on(path)?;
    let (name, spec) = match (dataset, &own) {
        (Some(name), Some(spec)) if spec.dataset == name => (name, own.as_ref()),
        (Some(name), _) => (name, None),
        (None, Some(spec)) => (spec.dataset.as_str(), own.as_ref()),
        (None, None) => {
            return Err(Error::Usage(format!(
                "{}: it lies in no cell of a run, so its training data are unknown; name the data set with --dataset",
                path.display()
            )));
        }
    };
    let sizes = Sizes {
        train: spec.and_then(|spec| spec.train),
        test: spec.and_then(|spec| spec.test),
        validation: spec.map_or(VALIDATION, |spec| spec.validation),
    };
    let data = Prepared::load(name, &global.data_dir(), sizes)?;
    match spec {
        Some(spec) if spec.checksum != data.checksum => Err(Error::Usage(format!(
            "{name} in {} is not the data that the cell of {} was trained with (checksum {}, the cell has {}); name \
             the folder of the latter with --data-dir",
            global.data_dir().display(),
            path.display(),
            data.checksum,
            spec.checksum
        ))),
        Some(_) => Ok((data, BY_CELL)),
        None => Ok((data, OF_WHOLE)),
    }
}

/// The images of the training cell that a model lies in.
fn trained_on(path: &Path) -> Result<Option<DataSpec>> {
    let record = path.with_file_name("cell.json");
    if !record.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&record).map_err(|error| Error::reading(&record, error))?;
    let found: CellRecord = serde_json::from_str(&text)
        .map_err(|error| Error::reading(&record, format!("not a cell: {error}")))?;
    match found.cell.spec {
        CellSpec::Train(_) => Ok(Some(found.cell.data)),
        CellSpec::Evaluate(_) => Ok(None),
    }
}
