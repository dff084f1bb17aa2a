//! `rlnet model arithmetic`: the ring that a network needs.

use crate::data::images_to_tensor;
use crate::deployed::widths::{TOLERATED, Widths, widths};
use crate::error::{Error, Result};
use crate::nn::model;
use crate::request::{Global, cells};
use crate::run::Prepared;
use crate::terminal::{outln, print_json};
use rlnet_suites::{Branch, FixedPoint, ImageRanges};
use serde_json::json;
use std::path::Path;
use tch::Device;

/// Tries rings of many sizes on test images through a branch: those at positions, or the first so many.
pub(super) fn arithmetic(
    named: &Path,
    fixed: FixedPoint,
    (dataset, images): (Option<&str>, std::result::Result<&ImageRanges, u32>),
    branch: Option<Branch>,
    global: &Global,
) -> Result<()> {
    let (file, network, header) = cells::load_model(named)?;
    let branch = match branch {
        Some(branch) => cells::check_branch(&network, branch)?,
        None => network.spec().norm.branches()[0],
    };
    let dataset = dataset.unwrap_or(&header.dataset);
    let data = Prepared::load_test(dataset, &global.data_dir(), images.err(), images.ok())?;
    if data.size as u64 != network.spec().image_size {
        return Err(Error::Incompatible(format!(
            "{}: the model takes images of side {}, those of {dataset} have {}; name another --dataset",
            named.display(),
            network.spec().image_size,
            data.size
        )));
    }
    let images = images_to_tensor(&data.test.images, data.test.len(), data.size, Device::Cpu);
    let load = || Ok(model::load(&file, Device::Cpu)?.0);
    let found = widths(load, fixed, branch, &images, &data.test.labels)?;
    if global.json {
        print_json(
            &json!({"dataset": dataset, "branch": branch, "fraction_bits": fixed.frac, "found": found}),
        );
    } else {
        print(&found, dataset, branch, fixed);
    }
    Ok(())
}

fn print(found: &Widths, dataset: &str, branch: Branch, fixed: FixedPoint) {
    let percent = |count: usize| 100.0 * count as f64 / found.images.max(1) as f64;
    outln!(
        "{} test images of {dataset}, branch {branch}, {} fraction bits, truncation {}, ReLU {}",
        found.images,
        fixed.frac,
        fixed.truncation,
        fixed.sign
    );
    outln!("layer                       largest product   bits");
    for layer in &found.layers {
        outln!("{:<26} {:>16.3} {:>6}", layer.layer, layer.largest, layer.bits);
    }
    outln!("bits   another class          right   first overflow");
    outln!("float  {:>6}            {:>7.2} %   -", "-", percent(found.right));
    for ring in &found.rings {
        outln!(
            "{:<6} {:>6} ({:>6.2} %) {:>7.2} %   {}",
            ring.bits,
            ring.changed,
            percent(ring.changed),
            percent(ring.right),
            ring.overflows_at.as_deref().unwrap_or("none")
        );
    }
    match found.smallest {
        Some(bits) => outln!(
            "{bits} bits change no more than {} % of the verdicts",
            100.0 * TOLERATED
        ),
        None => outln!(
            "no ring up to 64 bits changes as few as {} % of the verdicts",
            100.0 * TOLERATED
        ),
    }
}
