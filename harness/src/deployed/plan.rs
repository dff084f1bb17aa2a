//! One branch as a list of operations with their weights: norms folded, one mask a ReLU layer.
//!
//! Normalisation is left to the client, who knows the image: the first value is `(image - mean) / std`.

use crate::error::{Error, Result};
use crate::files;
use crate::nn::checkpoint::Tensors;
use crate::nn::layers::{BankedNorm, Conv, Folded, Linear};
use crate::nn::pass::{FeatureMap, Pass, Pool};
use crate::nn::{Network, ReluMask};
use rlnet_suites::Branch;
use serde::Serialize;
use std::cell::RefCell;
use std::fmt::Arguments;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tch::Tensor;

/// The format's name in a plan file.
const FORMAT: &str = "rlnet-plan";

/// Version of the format; a reader refuses another one.
const VERSION: u32 = 1;

/// What an operation does. Names of tensors are those of the weights file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Operation {
    /// 2-D convolution.
    Conv {
        /// Side of the kernel.
        kernel: i64,
        /// In both directions.
        stride: i64,
        /// On every side.
        padding: i64,
        /// 1, or one filter a channel.
        groups: i64,
        /// `[C_out, C_in / groups, k, k]`.
        weight: String,
        /// `[C_out]`.
        bias: Option<String>,
    },
    /// `scale * x + shift`: of a norm both `[1, C, 1, 1]`; behind a ReLU layer whose dropped units are not the identity
    /// `[1, C, H, W]`, 1 and 0 for kept units.
    Affine {
        /// Factors.
        scale: String,
        /// Offsets.
        shift: String,
    },
    /// ReLU of the kept units; the others pass unchanged.
    Relu {
        /// The layer, as in reports.
        name: String,
        /// Units kept.
        kept: u64,
        /// `[C H W]` bytes, 1 kept, 0 dropped, in the order channel, row, column.
        mask: String,
    },
    /// The sum of both inputs.
    Add,
    /// Max pooling.
    MaxPool {
        /// Side of the window.
        kernel: i64,
        /// In both directions.
        stride: i64,
        /// On every side.
        padding: i64,
    },
    /// Products of queries and keys, a head at a time, over `sqrt(C / heads) H W`: `[heads, H W, H W]`.
    Scores {
        /// Number of heads.
        heads: u64,
    },
    /// The second input (values) weighed by the first (scores).
    Mix,
    /// The mean over all places: `[C, 1, 1]`.
    Mean,
    /// `weight x + bias`: the logits.
    Linear {
        /// `[classes, C]`.
        weight: String,
        /// `[classes]`.
        bias: String,
    },
}

/// An operation of the list; its result is the value numbered one more than its place, 0 being the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it does.
    #[serde(flatten)]
    pub operation: Operation,
    /// The values it takes.
    pub inputs: Vec<usize>,
    /// Channels, height and width of its result.
    pub shape: [u64; 3],
}

/// What a plan file says.
#[derive(Debug, Clone, Serialize)]
struct PlanFile<'a> {
    format: &'static str,
    version: u32,
    /// Checksum of the model's file.
    model: &'a str,
    arch: String,
    branch: Branch,
    classes: usize,
    /// Channels, height and width of an image.
    input: [u64; 3],
    mean: [f64; 3],
    std: [f64; 3],
    relus: u64,
    macs: u64,
    weights: String,
    weights_blake3: String,
    operations: &'a [Step],
}

/// A branch as a list of operations.
#[derive(Debug, Default)]
pub struct DeployedPlan {
    /// In execution order.
    pub steps: Vec<Step>,
    /// Weights by the names that operations have for them.
    pub weights: Vec<(String, Tensor)>,
    /// Kept units of each ReLU layer by name, 1 or 0.
    pub masks: Vec<(String, Vec<u8>)>,
}

impl DeployedPlan {
    /// The plan of a branch.
    pub fn of(network: &Network, branch: Branch) -> Self {
        let draft = Rc::new(RefCell::new(Self::default()));
        let side = network.spec().image_size;
        let input = Recorded {
            value: 0,
            shape: [3, side, side],
            plan: Rc::clone(&draft),
        };
        let mut pass = PlanPass {
            branch,
            mask: network.mask(),
            behind: network.behind_relus(),
        };
        drop(network.walk(&mut pass, &input));
        drop(input);
        draft.take()
    }

    /// The tensor of a name.
    pub(super) fn weight(&self, name: &str) -> Option<&Tensor> {
        let found = self.weights.iter().find(|(known, _)| known == name);
        found.map(|(_, tensor)| tensor)
    }

    /// Where the weights of a plan lie.
    pub fn path_of_weights(&self, path: &Path) -> PathBuf {
        path.with_extension("safetensors")
    }

    /// Writes the plan as `path` (JSON) and its weights beside it. The weights are there first: a plan that is there
    /// is whole. `model` is the checksum of the model's file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, network: &Network, branch: Branch, model: &str, path: &Path) -> Result<()> {
        let file = self.path_of_weights(path);
        let mut tensors = Tensors::default();
        for (name, tensor) in &self.weights {
            tensors.put(name, tensor);
        }
        for (name, units) in &self.masks {
            tensors.put_units(name, units);
        }
        tensors.save_plain(&file)?;
        let spec = network.spec();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let plan = PlanFile {
            format: FORMAT,
            version: VERSION,
            model,
            arch: spec.arch.to_string(),
            branch,
            classes: spec.classes,
            input: [3, spec.image_size, spec.image_size],
            mean: spec.mean,
            std: spec.std,
            relus: network.mask().kept().iter().sum(),
            macs: network.macs(),
            weights: name.into_owned(),
            weights_blake3: files::checksum(&file)?,
            operations: &self.steps,
        };
        files::write_json(path, &plan)
    }
}

/// Refuses a path that is none of a plan.
///
/// # Errors
/// When it is no JSON file: its weights could have its name.
pub fn check_path(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|extension| extension == "json") {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--out {}: a plan is a JSON file with its weights beside it; name it NAME.json",
        path.display()
    )))
}

/// A value of the plan while it is drawn up: what is done to it is written down.
struct Recorded {
    value: usize,
    shape: [u64; 3],
    plan: Rc<RefCell<DeployedPlan>>,
}

impl Recorded {
    fn then(&self, operation: Operation, others: &[&Self], shape: [u64; 3]) -> Self {
        let mut plan = self.plan.borrow_mut();
        let inputs = std::iter::once(self).chain(others.iter().copied());
        plan.steps.push(Step {
            operation,
            inputs: inputs.map(|map| map.value).collect(),
            shape,
        });
        Self {
            value: plan.steps.len(),
            shape,
            plan: Rc::clone(&self.plan),
        }
    }

    /// Keeps a weight of the next operation; gives its name.
    fn keep(&self, part: &str, tensor: &Tensor) -> String {
        let mut plan = self.plan.borrow_mut();
        let name = format!("{:03}.{part}", plan.steps.len() + 1);
        plan.weights.push((name.clone(), tensor.detach().contiguous()));
        name
    }
}

impl FeatureMap for Recorded {
    fn sum(self, other: &Self) -> Self {
        self.then(Operation::Add, &[other], self.shape)
    }

    fn scores(heads: u64, queries: &Self, keys: &Self) -> Self {
        let shape = FeatureMap::scores(heads, &queries.shape, &keys.shape);
        queries.then(Operation::Scores { heads }, &[keys], shape)
    }

    fn mix(scores: &Self, values: &Self) -> Self {
        scores.then(Operation::Mix, &[values], values.shape)
    }

    fn max_pool(&self, pool: Pool) -> Self {
        let Pool {
            kernel,
            stride,
            padding,
        } = pool;
        let operation = Operation::MaxPool {
            kernel,
            stride,
            padding,
        };
        self.then(operation, &[], self.shape.max_pool(pool))
    }
}

struct PlanPass<'a> {
    branch: Branch,
    mask: &'a ReluMask,
    /// What follows each masked ReLU.
    behind: Vec<Option<(Tensor, Tensor)>>,
}

impl Pass for PlanPass<'_> {
    type Map = Recorded;

    fn conv(&mut self, layer: &Conv, xs: &Recorded) -> Recorded {
        let shape = *layer.shape();
        let Folded::Conv { weight, bias } = layer.fold(self.branch) else {
            unreachable!("a convolution folds to a convolution")
        };
        let operation = Operation::Conv {
            kernel: shape.kernel,
            stride: shape.stride,
            padding: shape.kernel / 2,
            groups: shape.groups,
            weight: xs.keep("weight", &weight),
            bias: bias.map(|bias| xs.keep("bias", &bias)),
        };
        let [_, h, w] = xs.shape;
        xs.then(operation, &[], [shape.to as u64, shape.side(h), shape.side(w)])
    }

    fn norm(&mut self, layer: &BankedNorm, xs: &Recorded) -> Recorded {
        let Folded::Affine { scale, shift } = layer.fold(self.branch) else {
            unreachable!("a norm folds to an affine map")
        };
        let operation = Operation::Affine {
            scale: xs.keep("scale", &scale),
            shift: xs.keep("shift", &shift),
        };
        xs.then(operation, &[], xs.shape)
    }

    fn relu(&mut self, name: Arguments<'_>, xs: Recorded) -> Recorded {
        let mut plan = xs.plan.borrow_mut();
        let layer = plan.masks.len();
        let units = self.mask.layers()[layer].clone();
        let operation = Operation::Relu {
            name: name.to_string(),
            kept: units.iter().map(|&unit| u64::from(unit)).sum(),
            mask: format!("{name}.mask"),
        };
        plan.masks.push((format!("{name}.mask"), units));
        drop(plan);
        let ys = xs.then(operation, &[], xs.shape);
        let Some((scale, shift)) = &self.behind[layer] else {
            return ys;
        };
        let operation = Operation::Affine {
            scale: ys.keep("scale", scale),
            shift: ys.keep("shift", shift),
        };
        ys.then(operation, &[], ys.shape)
    }

    fn head(&mut self, layer: &Linear, xs: &Recorded) -> Recorded {
        let mean = xs.then(Operation::Mean, &[], [xs.shape[0], 1, 1]);
        let (weight, bias) = layer.weights();
        let operation = Operation::Linear {
            weight: mean.keep("weight", &weight),
            bias: mean.keep("bias", &bias),
        };
        mean.then(operation, &[], [weight.size()[0] as u64, 1, 1])
    }
}
