//! A checkpoint of somebody else's PyTorch code as a network of ours: names mapped, shapes
//! checked, every tensor accounted for.

use super::array::Array;
use super::file::TorchFile;
use super::names::{Order, Part, part, unwrapped};
use crate::error::Result;
use crate::nn::arch::ArchConfig;
use crate::nn::body::Body;
use crate::nn::build::Build;
use crate::nn::params::Params;
use crate::nn::{Arch, Network, NetworkSpec, Quirks, ReluMask};
use rlnet_suites::NormBanks;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tch::{Device, Tensor, no_grad_guard};

/// The official code's banks: λ = 0, 0.5 and 1 in its triple networks, 0 and 1 in its dual.
const BANKS: [(&str, &str); 3] = [
    (".BN_c.", ".clean."),
    (".BN_r.", ".natural."),
    (".BN_a.", ".adversarial."),
];

/// Where the official code keeps the masks of a student: a list, one tensor a ReLU layer.
const MASKS: &str = "mask_epoch";

/// A mask may be there once for each image of a batch; the official script's are of 64.
const MOST_IMAGES: usize = 512;

/// What a checkpoint cannot say itself.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// Architecture.
    pub arch: Arch,
    /// Side of its input in pixels.
    pub image_size: u64,
    /// Number of classes.
    pub classes: usize,
    /// Per-channel mean that its training code subtracts, in `[0, 1]`.
    pub mean: [f64; 3],
    /// Per-channel deviation that its training code divides by.
    pub std: [f64; 3],
    /// Whether blocks that keep their shape add their input; nothing: as the official class
    /// with these names does.
    pub identity_skip: Option<bool>,
}

/// An imported network.
#[derive(Debug)]
pub struct Imported {
    /// The network, its mask in force.
    pub network: Network,
    /// Tensors taken.
    pub tensors: usize,
    /// Epoch, where the file tells it.
    pub epoch: u32,
    /// What a reader should know: assumptions and quirks.
    pub notes: Vec<String>,
}

/// A tensor of the file under our name.
type Entries = BTreeMap<String, Rc<Array>>;

/// The number of classes: rows of the file's last linear layer.
///
/// # Errors
/// When there is no state dict under `key`.
pub fn classes(file: &TorchFile, key: Option<&str>) -> Result<usize> {
    let tensors = file.state_dict(key)?;
    let linear = tensors.iter().rev().find(|(_, array)| array.shape().len() == 2);
    linear
        .map(|(_, array)| array.shape()[0])
        .ok_or_else(|| file.refused("it has no linear layer, so this is no classifier's checkpoint"))
}

/// Builds the network that is asked for from the tensors under `key`.
///
/// # Errors
/// When a tensor is missing, left over, or of another shape; when masks are not masks.
pub fn import(file: &TorchFile, key: Option<&str>, request: &ImportRequest) -> Result<Imported> {
    let tensors = file.state_dict(key)?;
    let theirs: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let plain = unwrapped(&theirs);
    let dimensions = tensors.iter().map(|(_, array)| array.shape().len());
    let order = Order::of(plain.iter().map(String::as_str).zip(dimensions));
    let (mut params, mut alphas) = (Entries::new(), Entries::new());
    for (name, (_, array)) in plain.iter().zip(&tensors) {
        let (entries, ours) = match part(request.arch.config(), name, &order) {
            Part::Param(ours) => (&mut params, ours),
            Part::Alphas(layer) => (&mut alphas, layer),
            Part::Count => continue,
        };
        if entries.insert(banked(&ours), Rc::clone(array)).is_some() {
            return Err(file.refused(format!("two of its tensors would be `{ours}` here")));
        }
    }
    let mut notes = Vec::new();
    let spec = spec(request, &plain, &params, &mut notes);
    complete(file, &spec, &params)?;
    // The seed is of no consequence: every tensor is overwritten.
    let mut network = Network::new(spec, 0, Device::Cpu);
    {
        let _guard = no_grad_guard();
        for param in network.params().iter() {
            let values = file.values(&params[&param.name])?;
            let stored = Tensor::from_slice(&values).reshape(param.tensor.size());
            param.tensor.shallow_clone().copy_(&stored);
        }
    }
    if let Some(mask) = mask(file, &network, &alphas, &mut notes)? {
        network.set_mask(mask)?;
    }
    let epoch = file.integer("epoch").and_then(|epoch| u32::try_from(epoch).ok());
    Ok(Imported {
        network,
        tensors: params.len() + alphas.len(),
        epoch: epoch.unwrap_or(0),
        notes,
    })
}

fn banked(name: &str) -> String {
    let bank = BANKS.iter().find(|(theirs, _)| name.contains(theirs));
    bank.map_or_else(|| name.to_owned(), |(theirs, ours)| name.replace(theirs, ours))
}

/// What the names tell: banks of batch norm, and which class of the official code it was.
fn spec(
    request: &ImportRequest,
    theirs: &[String],
    params: &Entries,
    notes: &mut Vec<String>,
) -> NetworkSpec {
    let any = |part: &str| theirs.iter().any(|name| name.contains(part));
    let norm = match (any(".BN_r."), any(".BN_c.")) {
        (true, _) => NormBanks::Triple,
        (false, true) => NormBanks::Dual,
        (false, false) => NormBanks::Single,
    };
    let mut quirks = Quirks::default();
    if let ArchConfig::ResNet(_) = request.arch.config() {
        let shared = params.keys().any(|name| name.contains(".shortcut.bn.weight"));
        if shared && norm != NormBanks::Single {
            quirks.banked_shortcut = false;
            notes.push("one norm in each shortcut for all branches, as in the official teacher".to_owned());
        }
        // Defects B23 and B24: these two classes have no identity skip.
        let without = any(".conv_sc.") || norm == NormBanks::Triple;
        quirks.identity_skip = request.identity_skip.unwrap_or(!without);
        if !quirks.identity_skip {
            notes.push(
                "blocks that keep their shape do not add their input, as in the official class with these names \
                 (--identity-skip yes if yours do)"
                    .to_owned(),
            );
        }
    }
    NetworkSpec {
        arch: request.arch.clone(),
        image_size: request.image_size,
        classes: request.classes,
        norm,
        quirks,
        mean: request.mean,
        std: request.std,
    }
}

/// Names and shapes of a network's tensors, in its order; nothing is initialised.
fn shapes(spec: &NetworkSpec) -> Vec<(String, Vec<usize>)> {
    let mut params = Params::shapes();
    let mut build = Build {
        params: &mut params,
        image_size: spec.image_size,
        classes: spec.classes as i64,
        norm: spec.norm,
        quirks: spec.quirks,
    };
    Body::new(&spec.arch, &mut build);
    let shape = |tensor: &Tensor| tensor.size().iter().map(|&n| n as usize).collect();
    params
        .iter()
        .map(|param| (param.name.clone(), shape(&param.tensor)))
        .collect()
}

/// Every tensor of the network is in the file, with its shape, and no other is.
fn complete(file: &TorchFile, spec: &NetworkSpec, params: &Entries) -> Result<()> {
    let want = shapes(spec);
    let names: BTreeSet<&String> = want.iter().map(|(name, _)| name).collect();
    let missing: Vec<&String> = want
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !params.contains_key(*name))
        .collect();
    let left: Vec<&String> = params.keys().filter(|name| !names.contains(name)).collect();
    if !missing.is_empty() || !left.is_empty() {
        return Err(file.refused(format!(
            "its names are not those of {}: {}; {}. {}",
            spec.arch,
            listed("it lacks", &missing),
            listed("it has, besides,", &left),
            hint(spec, params)
        )));
    }
    let differs = want
        .iter()
        .find(|(name, shape)| params[name].shape() != shape.as_slice());
    if let Some((name, shape)) = differs {
        return Err(file.refused(format!(
            "`{name}` is {:?} there, {} with {} classes at {} pixels has {shape:?}. {}",
            params[name].shape(),
            spec.arch,
            spec.classes,
            spec.image_size,
            hint(spec, params)
        )));
    }
    Ok(())
}

fn listed(what: &str, names: &[&String]) -> String {
    const MOST: usize = 4;
    let some: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => format!("{what} nothing"),
        n if n > MOST => format!("{what} {} and {} more", some.join(", "), n - MOST),
        _ => format!("{what} {}", some.join(", ")),
    }
}

/// The architectures that the file would fit.
fn hint(spec: &NetworkSpec, params: &Entries) -> String {
    let fits = |name: &String| {
        let Ok(arch) = name.parse::<Arch>() else {
            return false;
        };
        let same_family = std::mem::discriminant(arch.config()) == std::mem::discriminant(spec.arch.config());
        let want = shapes(&NetworkSpec { arch, ..spec.clone() });
        same_family
            && want.len() == params.len()
            && want.iter().all(|(name, shape)| {
                params
                    .get(name)
                    .is_some_and(|array| array.shape() == shape.as_slice())
            })
    };
    let names: BTreeSet<String> = Arch::catalogue().into_iter().map(|(name, _)| name).collect();
    match names.iter().find(|name| fits(name)) {
        Some(name) => format!("It fits --arch {name}"),
        None => "Is --arch right? `rlnet model list` names the architectures".to_owned(),
    }
}

/// The mask of the file: SNL's alphas, or the official code's list.
fn mask(
    file: &TorchFile,
    network: &Network,
    alphas: &Entries,
    notes: &mut Vec<String>,
) -> Result<Option<ReluMask>> {
    let layers = network.layers();
    if !alphas.is_empty() {
        let unknown = alphas
            .keys()
            .find(|name| !layers.iter().any(|layer| layer.name == **name));
        if let Some(name) = unknown {
            return Err(file.refused(format!(
                "it has ReLU shares of a layer `{name}`, which {} has not",
                network.spec().arch
            )));
        }
        let mut units = Vec::new();
        for layer in layers {
            units.push(match alphas.get(&layer.name) {
                Some(array) => bits(file, array, layer.shape, &layer.name)?,
                None => {
                    notes.push(format!("no ReLU in layer `{}`, as in SNL's networks", layer.name));
                    vec![0; layer.total() as usize]
                }
            });
        }
        return Ok(Some(ReluMask::from_layers(units)));
    }
    let Some(list) = file.list(MASKS) else {
        return Ok(None);
    };
    if list.len() != layers.len() {
        return Err(file.refused(format!(
            "its list `{MASKS}` has {} masks, {} has {} ReLU layers",
            list.len(),
            network.spec().arch,
            layers.len()
        )));
    }
    let units = layers
        .iter()
        .zip(&list)
        .map(|(layer, array)| bits(file, array, layer.shape, &layer.name));
    Ok(Some(ReluMask::from_layers(units.collect::<Result<_>>()?)))
}

/// One layer's zeros and ones, `[C, H, W]` or the same for each image of a batch.
fn bits(file: &TorchFile, array: &Array, layer: [u64; 3], name: &str) -> Result<Vec<u8>> {
    let want = layer.map(|side| side as usize);
    let refused = |why: String| Err(file.refused(format!("the mask of layer `{name}` {why}")));
    let shape = array.shape();
    let batch = shape.len() == 4 && (1..=MOST_IMAGES).contains(&shape[0]) && shape[1..] == want;
    let fits = shape == want || batch;
    if !fits {
        return refused(format!("is {shape:?}, the network needs {want:?}"));
    }
    let mut units = Vec::new();
    for value in file.values(array)? {
        match value {
            0.0 => units.push(0),
            1.0 => units.push(1),
            _ => {
                return refused(format!(
                    "holds {value}, neither 0 nor 1: a unit that is part ReLU, part identity does not exist here; \
                     finish SNL's search (its last step rounds) and import that"
                ));
            }
        }
    }
    let count: usize = want.iter().product();
    if units.chunks(count).any(|image| image != &units[..count]) {
        return refused("differs from image to image".to_owned());
    }
    units.truncate(count);
    Ok(units)
}
