//! The tensors of a network by name: what is trained, what is only carried along.
//!
//! tch's `VarStore` renames duplicates silently, broadcasts and changes dtypes on loading,
//! and cannot hand out momentum buffers; a plain ordered list does what is needed.

use rlnet_corruptions::random::KeyedRng;
use tch::{Device, Kind, Tensor};

/// One named tensor.
#[derive(Debug)]
pub struct Param {
    /// Dotted name, unique in its network.
    pub name: String,
    /// The tensor; updates happen in place, so every holder sees them.
    pub tensor: Tensor,
    /// Whether SGD updates it (weights), or only batch norm does (running statistics).
    pub trainable: bool,
}

/// All tensors of a network, in the order they were made.
#[derive(Debug)]
pub struct Params {
    items: Vec<Param>,
    device: Device,
    /// None when only shapes are wanted.
    seed: Option<u64>,
}

impl Params {
    /// An empty list whose tensors will live on `device`, initialised under `seed`.
    pub fn new(device: Device, seed: u64) -> Self {
        Self {
            items: Vec::new(),
            device,
            seed: Some(seed),
        }
    }

    /// An empty list whose tensors will have shapes and no values of their own: enough to
    /// count with, at no cost.
    pub fn shapes() -> Self {
        Self {
            items: Vec::new(),
            device: Device::Cpu,
            seed: None,
        }
    }

    /// The tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.items.iter()
    }

    /// Where the tensors live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The trainable tensors.
    pub fn trainable(&self) -> Vec<Tensor> {
        self.iter()
            .filter(|param| param.trainable)
            .map(|param| param.tensor.shallow_clone())
            .collect()
    }

    /// Number of trainable scalars.
    pub fn count(&self) -> u64 {
        self.trainable().iter().map(|t| t.numel() as u64).sum()
    }

    /// A convolution or linear weight drawn from N(0, std), keyed by its name so that adding
    /// a layer elsewhere changes nothing here.
    pub fn normal(&mut self, name: &str, shape: &[i64], std: f64) -> Tensor {
        self.drawn(name, shape, |rng| std * rng.normal())
    }

    /// A weight drawn from U(-bound, bound).
    pub fn uniform(&mut self, name: &str, shape: &[i64], bound: f64) -> Tensor {
        self.drawn(name, shape, |rng| bound * (2.0 * rng.uniform() - 1.0))
    }

    fn drawn(&mut self, name: &str, shape: &[i64], draw: impl Fn(&mut KeyedRng) -> f64) -> Tensor {
        let n: i64 = shape.iter().product();
        let values = self.seed.map(|seed| {
            let mut rng = KeyedRng::new(seed, "init", &[hash(name)]);
            (0..n).map(|_| draw(&mut rng) as f32).collect::<Vec<f32>>()
        });
        let tensor = match values {
            Some(values) => Tensor::from_slice(&values).reshape(shape),
            None => Tensor::zeros([1], (Kind::Float, Device::Cpu)).expand(shape, false),
        };
        self.add(name, tensor, true)
    }

    /// A tensor filled with one value.
    pub fn constant(&mut self, name: &str, shape: &[i64], value: f64, trainable: bool) -> Tensor {
        let tensor = Tensor::full(shape, value, (Kind::Float, Device::Cpu));
        self.add(name, tensor, trainable)
    }

    fn add(&mut self, name: &str, tensor: Tensor, trainable: bool) -> Tensor {
        debug_assert!(
            self.items.iter().all(|param| param.name != name),
            "two tensors named {name}"
        );
        let tensor = tensor.to_device(self.device).set_requires_grad(trainable);
        self.items.push(Param {
            name: name.to_owned(),
            tensor: tensor.shallow_clone(),
            trainable,
        });
        tensor
    }
}

fn hash(name: &str) -> u64 {
    let bytes = blake3::hash(name.as_bytes());
    let mut word = [0; 8];
    word.copy_from_slice(&bytes.as_bytes()[..8]);
    u64::from_le_bytes(word)
}
