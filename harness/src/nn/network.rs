//! A network as everything else sees it: images in `[0, 1]` in, logits out, a branch chosen
//! by every call.

use super::arch::Arch;
use super::body::Body;
use super::build::{Build, Quirks};
use super::dropped::DroppedMap;
use super::interval::{Boxed, IntervalPass};
use super::layers::{Folded, Mode};
use super::layout::laid_out;
use super::mask::{Activation, ReluMask};
use super::params::Params;
use super::pass::{CountPass, FoldPass, FoldedPass, Pass, Seen, Taps, TrainPass};
use rlnet_suites::objective::Dropped;
use rlnet_suites::{Branch, LayerRecord, LinearRecord, NormBanks, SuiteError};
use std::borrow::Borrow;
use tch::{Device, Kind, Tensor, no_grad_guard};

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
    /// What was asked for besides.
    pub seen: Seen,
}

/// The same of images and a box around each.
#[derive(Debug)]
pub struct Bounded {
    /// Of the images themselves.
    pub forward: Forward,
    /// The largest that each logit may be above the label's, `[N, classes]`; 0 for the label.
    pub worst: Tensor,
    /// For every ReLU layer the share of the images on which each unit's sign is known, `[C, H, W]` (double), when it
    /// was asked for.
    pub known: Vec<Tensor>,
}

/// A trainable network. Normalisation is its first layer, so images are always in `[0, 1]`.
#[derive(Debug)]
pub struct Network {
    spec: NetworkSpec,
    params: Params,
    body: Body,
    layers: Vec<LayerRecord>,
    linear: Vec<LinearRecord>,
    mask: ReluMask,
    /// What dropped units compute, one a ReLU layer; none: the identity.
    dropped: Vec<DroppedMap>,
    activations: Vec<Activation>,
    mean: Tensor,
    std: Tensor,
}

impl Network {
    /// A freshly initialised all-ReLU network.
    pub fn new(spec: NetworkSpec, seed: u64, device: Device) -> Self {
        let mut params = Params::new(device, seed);
        let mut build = Build {
            params: &mut params,
            image_size: spec.image_size,
            classes: spec.classes as i64,
            norm: spec.norm,
            quirks: spec.quirks,
        };
        let body = Body::new(&spec.arch, &mut build);
        let CountPass { layers, linear, .. } = body.survey(spec.image_size, &params);
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
            linear,
            mask: ReluMask::full(&sizes),
            dropped: Vec::new(),
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

    /// Its linear layers (norms fold away), without the products of dropped units.
    pub fn linear(&self) -> &[LinearRecord] {
        &self.linear
    }

    /// Multiply-accumulates of one image, those of dropped units too.
    pub fn macs(&self) -> u64 {
        let layers = self.mask.records(&self.layers);
        let of_dropped = layers.iter().filter_map(|layer| layer.product(self.dropped()));
        let all = self.linear.iter().copied().chain(of_dropped);
        all.map(|layer| layer.macs()).sum()
    }

    /// Sends normalised images, or what stands for them, through its layers.
    pub(crate) fn walk<P: Pass>(&self, pass: &mut P, images: &P::Map) -> P::Map {
        self.body.run(pass, images)
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

    /// What its dropped units compute.
    pub fn dropped(&self) -> Dropped {
        match self.dropped.is_empty() {
            true => Dropped::Identity,
            false => Dropped::Affine,
        }
    }

    /// Has dropped units compute something else than the identity, with parameters of its own, behind the others. At first
    /// nothing changes: what is trained starts as the identity.
    pub fn replace_dropped(&mut self, dropped: Dropped) {
        if dropped == Dropped::Affine && self.dropped.is_empty() {
            let layers = self.layers.iter();
            self.dropped = layers
                .map(|layer| DroppedMap::new(&mut self.params, layer))
                .collect();
            self.rebuild_activations();
        }
    }

    /// The activation function of each layer under a mask.
    pub fn activations_under(&self, mask: &ReluMask) -> Vec<Activation> {
        let (shapes, device) = (self.layer_shapes(), self.params.device());
        let plain = mask.activations(&shapes, device).into_iter();
        if self.dropped.is_empty() {
            return plain.collect();
        }
        let own = self.dropped.iter().zip(mask.layers()).zip(&shapes);
        let own = plain.zip(own);
        own.map(|(layer, ((map, units), shape))| layer.with(map, units, shape, device))
            .collect()
    }

    /// What follows the masked ReLU of each layer (see [`Activation::behind`]), without gradients.
    pub fn behind_relus(&self) -> Vec<Option<(Tensor, Tensor)>> {
        let _guard = no_grad_guard();
        self.activations.iter().map(Activation::behind).collect()
    }

    /// Runs with a slope a unit, `[1, C, H, W]` a layer, instead of its mask, until a mask is put
    /// in force: `y = a * relu(x) + (1 - a) * x`. Gradients reach the slopes. For searches, in which a dropped unit is the
    /// identity.
    pub fn set_slopes(&mut self, slopes: &[Tensor]) {
        self.activations = slopes
            .iter()
            .map(|slopes| Activation::Slopes(slopes.shallow_clone()))
            .collect();
    }

    fn rebuild_activations(&mut self) {
        self.activations = self.activations_under(&self.mask);
    }

    /// Channels, height and width of each ReLU layer.
    pub fn layer_shapes(&self) -> Vec<[u64; 3]> {
        self.layers.iter().map(|layer| layer.shape).collect()
    }

    /// Logits of images in `[0, 1]`, remembering what is asked for.
    pub fn forward(&self, images: &Tensor, mode: Mode, taps: impl Into<Taps>) -> Forward {
        let mut pass = TrainPass::new(mode, &self.activations, taps.into());
        let logits = self.body.run(&mut pass, &laid_out(&self.normalise(images)));
        Forward {
            logits,
            seen: pass.seen,
        }
    }

    /// The same, and by intervals what may come of any point between `lower` and `upper`, all `[N, 3, H, W]`. `known`
    /// asks for the shares of images on which units' signs are known.
    pub fn forward_box(
        &self,
        images: &Tensor,
        (lower, upper): (Tensor, Tensor),
        labels: &Tensor,
        (mode, taps, known): (Mode, Taps, bool),
    ) -> Bounded {
        let first = |images: &Tensor| laid_out(&self.normalise(images));
        let xs = Boxed {
            value: first(images),
            lower: first(&lower),
            upper: first(&upper),
        };
        let mut pass = IntervalPass::new((mode, &self.activations, taps), labels, known);
        let Boxed { value, upper, .. } = self.body.run(&mut pass, &xs);
        let (seen, known) = pass.into_seen();
        Bounded {
            forward: Forward { logits: value, seen },
            worst: upper,
            known,
        }
    }

    /// Logits in eval mode.
    pub fn logits(&self, images: &Tensor, branch: Branch) -> Tensor {
        self.forward(images, Mode::Eval(branch), false).logits
    }

    /// The network as it is now, in eval mode, norms folded into the convolutions: what
    /// attacks and evaluations run. Later updates of the weights do not reach it.
    pub fn freeze(&self) -> Frozen<&Self> {
        Frozen::of(self, self.spec.norm.branches(), None)
    }

    /// As [`Network::freeze`], one branch only, with its layers in another kind when one is given
    /// (the head stays in single precision): what the inner attack of training runs.
    pub fn freeze_branch(&self, branch: Branch, kind: Option<Kind>) -> Frozen<&Self> {
        Frozen::of(self, &[branch], kind)
    }

    /// As [`Network::freeze`], for a network that will not be trained any more; it also
    /// answers the branches that mix two banks.
    pub fn into_frozen(self) -> Frozen<Self> {
        self.into_frozen_in(None)
    }

    /// The same with its layers in another kind when one is given.
    pub fn into_frozen_in(self, kind: Option<Kind>) -> Frozen<Self> {
        let banks = self.spec.norm.branches();
        let mut branches = banks.to_vec();
        let mixed = Branch::MIXED.into_iter();
        branches.extend(mixed.filter(|branch| branch.banks().all(|bank| banks.contains(&bank))));
        Frozen::of(self, &branches, kind)
    }

    /// Images in `[0, 1]` as the first layer takes them.
    pub(crate) fn normalise(&self, images: &Tensor) -> Tensor {
        (images - &self.mean) / &self.std
    }
}

/// A network, borrowed or owned, in eval mode with folded norms.
#[derive(Debug)]
pub struct Frozen<N> {
    network: N,
    folded: Vec<(Branch, Vec<Folded>)>,
    /// The mask's activations.
    activations: Vec<Activation>,
    /// What the layers compute in, where that is not what the parameters are in.
    kind: Option<Kind>,
}

impl<N: Borrow<Network>> Frozen<N> {
    fn of(network: N, branches: &[Branch], kind: Option<Kind>) -> Self {
        let inner = network.borrow();
        let fold = |&branch: &Branch| {
            let mut fold = FoldPass::new(branch);
            inner.body.run(&mut fold, &());
            let folded = match kind {
                None => fold.folded,
                Some(kind) => fold.folded.into_iter().map(|layer| layer.in_kind(kind)).collect(),
            };
            (branch, folded)
        };
        let folded = branches.iter().map(fold).collect();
        let activations = inner.activations.iter();
        let activations = activations.map(|layer| layer.frozen(kind)).collect();
        Self {
            network,
            folded,
            activations,
            kind,
        }
    }

    /// The network that it was made of.
    pub fn network(&self) -> &Network {
        self.network.borrow()
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
        self.logits_under(&self.activations, images, branch)
    }

    /// What another kind of pass needs to go through a branch. A single-norm network answers every branch.
    pub fn parts(&self, branch: Branch) -> Parts<'_> {
        let position = self.folded.iter().position(|(known, _)| *known == branch);
        let network = self.network.borrow();
        Parts {
            network,
            body: &network.body,
            folded: &self.folded[position.unwrap_or(0)].1,
            activations: &self.activations,
        }
    }

    /// Logits under another mask's activations (see [`Network::activations_under`]).
    pub fn logits_under(&self, activations: &[Activation], images: &Tensor, branch: Branch) -> Tensor {
        let Parts {
            network,
            body,
            folded,
            ..
        } = self.parts(branch);
        let mut pass = FoldedPass::new(folded, activations);
        let maps = network.normalise(images);
        let maps = match self.kind {
            Some(kind) => maps.to_kind(kind),
            None => maps,
        };
        body.run(&mut pass, &laid_out(&maps))
    }
}

/// A branch of a frozen network, taken apart.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Its description and its parameters.
    pub network: &'a Network,
    /// Its layers.
    pub body: &'a Body,
    /// The layers with the branch's norms folded in, in execution order.
    pub folded: &'a [Folded],
    /// The mask's activations, one a ReLU layer.
    pub activations: &'a [Activation],
}
