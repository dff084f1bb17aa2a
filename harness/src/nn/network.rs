//! A network as everything else sees it: images in `[0, 1]` in, logits out, a branch chosen
//! by every call.

use super::arch::Arch;
use super::layers::{Folded, Mode};
use super::mask::{Activation, ReluMask};
use super::params::Params;
use super::resnet::{Quirks, ResNet, Seen};
use rlnet_suites::{Branch, LayerRecord, NormBanks, SuiteError};
use std::borrow::Borrow;
use tch::{Device, Tensor};

/// What a network is made of, besides its weights.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    /// Architecture.
    pub arch: Arch,
    /// Side of the input in pixels.
    pub image_size: u64,
    /// Number of classes.
    pub classes: usize,
    /// Banks of batch norm.
    pub norm: NormBanks,
    /// Structural differences of the reference.
    pub quirks: Quirks,
    /// Per-channel mean of the data, in `[0, 1]`.
    pub mean: [f64; 3],
    /// Per-channel deviation of the data.
    pub std: [f64; 3],
}

/// Logits, and what was seen on the way.
#[derive(Debug)]
pub struct Forward {
    /// `[N, classes]`.
    pub logits: Tensor,
    /// Stage outputs and activations, when asked for.
    pub seen: Seen,
}

/// A trainable network. Normalisation is its first layer, so images are always in `[0, 1]`.
#[derive(Debug)]
pub struct Network {
    spec: NetworkSpec,
    params: Params,
    body: ResNet,
    layers: Vec<LayerRecord>,
    mask: ReluMask,
    activations: Vec<Activation>,
    mean: Tensor,
    std: Tensor,
}

impl Network {
    /// A freshly initialised all-ReLU network.
    pub fn new(spec: NetworkSpec, seed: u64, device: Device) -> Self {
        let mut params = Params::new(device, seed);
        let body = ResNet::new(
            &mut params,
            &spec.arch,
            spec.classes as i64,
            spec.norm,
            spec.quirks,
        );
        let layers = spec.arch.relu_layers(spec.image_size);
        let sizes: Vec<u64> = layers.iter().map(LayerRecord::total).collect();
        let channel = |values: &[f64; 3]| {
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            Tensor::from_slice(&values)
                .reshape([1, 3, 1, 1])
                .to_device(device)
        };
        let (mean, std) = (channel(&spec.mean), channel(&spec.std));
        let mut network = Self {
            spec,
            params,
            body,
            layers,
            mask: ReluMask::full(&sizes),
            activations: Vec::new(),
            mean,
            std,
        };
        network.rebuild_activations();
        network
    }

    /// What it is made of.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Its tensors.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Its ReLU layers, every unit kept.
    pub fn layers(&self) -> &[LayerRecord] {
        &self.layers
    }

    /// Units of each ReLU layer.
    pub fn layer_sizes(&self) -> Vec<u64> {
        self.layers.iter().map(LayerRecord::total).collect()
    }

    /// The mask in force.
    pub fn mask(&self) -> &ReluMask {
        &self.mask
    }

    /// Puts a mask in force.
    ///
    /// # Errors
    /// When the mask's layers are not this network's.
    pub fn set_mask(&mut self, mask: ReluMask) -> Result<(), SuiteError> {
        let have: Vec<usize> = mask.layers().iter().map(Vec::len).collect();
        let want: Vec<usize> = self.layer_sizes().iter().map(|&n| n as usize).collect();
        if have != want {
            let message = format!("its layers have {have:?} units, {} has {want:?}", self.spec.arch);
            return Err(SuiteError::value("mask", "layers", message));
        }
        self.mask = mask;
        self.rebuild_activations();
        Ok(())
    }

    fn rebuild_activations(&mut self) {
        let shapes: Vec<[u64; 3]> = self.layers.iter().map(|layer| layer.shape).collect();
        self.activations = self.mask.activations(&shapes, self.params.device());
    }

    /// Logits of images in `[0, 1]`, remembering stages and activations when asked to.
    pub fn forward(&self, images: &Tensor, mode: Mode, taps: bool) -> Forward {
        let xs = self.normalise(images);
        let mut seen = Seen::default();
        let tap = taps.then_some(&mut seen);
        let logits = self.body.forward(&xs, &self.activations, mode, tap);
        Forward { logits, seen }
    }

    /// Logits in eval mode.
    pub fn logits(&self, images: &Tensor, branch: Branch) -> Tensor {
        self.forward(images, Mode::Eval(branch), false).logits
    }

    /// The network as it is now, in eval mode, norms folded into the convolutions: what
    /// attacks and evaluations run. Later updates of the weights do not reach it.
    pub fn freeze(&self) -> Frozen<&Self> {
        Frozen::of(self)
    }

    /// As [`Network::freeze`], for a network that will not be trained any more.
    pub fn into_frozen(self) -> Frozen<Self> {
        Frozen::of(self)
    }

    fn normalise(&self, images: &Tensor) -> Tensor {
        (images - &self.mean) / &self.std
    }
}

/// A network, borrowed or owned, in eval mode with folded norms.
#[derive(Debug)]
pub struct Frozen<N> {
    network: N,
    folded: Vec<(Branch, Vec<Folded>)>,
}

impl<N: Borrow<Network>> Frozen<N> {
    fn of(network: N) -> Self {
        let inner = network.borrow();
        let branches = inner.spec.norm.branches();
        let folded = branches.iter().map(|&b| (b, inner.body.fold(b))).collect();
        Self { network, folded }
    }

    /// The branches.
    pub fn branches(&self) -> &'static [Branch] {
        self.network.borrow().spec.norm.branches()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.network.borrow().spec.classes
    }

    /// Where it lives.
    pub fn device(&self) -> Device {
        self.network.borrow().params.device()
    }

    /// Logits of images in `[0, 1]`. A single-norm network answers every branch.
    pub fn logits(&self, images: &Tensor, branch: Branch) -> Tensor {
        let position = self.folded.iter().position(|(known, _)| *known == branch);
        let folded = &self.folded[position.unwrap_or(0)].1;
        let network = self.network.borrow();
        let xs = network.normalise(images);
        network.body.forward_folded(&xs, &network.activations, folded)
    }
}
