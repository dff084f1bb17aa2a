//! A network of this program in fixed-point arithmetic, as a [`Classifier`] like any other.
//!
//! What it says is computed in the ring. Its gradient is that of its twin in floating point (BPDA: Athalye et al.,
//! ICML 2018): rounding has none of its own. Random numbers are keyed by the bytes of the image, so that an image gets
//! the same ones in any batch, and the slightest change of it gets others.

use super::ring::{decoded, encoded, mapped, passes, product, truncated, wrap};
use crate::attack::Classifier;
use crate::error::Result;
use crate::nn::layers::{BankedNorm, Conv, Folded, Linear};
use crate::nn::pass::{FeatureMap, FoldPass, Pass};
use crate::nn::{Frozen, Network, ReluMask};
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::Branch;
use rlnet_suites::fixed_point::{FixedPoint, SignTest, Truncation};
use std::cell::RefCell;
use std::fmt::Arguments;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A network as a protocol computes it.
#[derive(Debug)]
pub struct FixedPointModel {
    twin: Frozen<Network>,
    fixed: FixedPoint,
    /// The folded layers of each branch as they are computed with, on the CPU: the ring has no other device.
    folded: RefCell<Vec<(Branch, Vec<Folded>)>>,
    /// What follows each masked ReLU, likewise.
    behind: Vec<Behind>,
}

impl FixedPointModel {
    /// A network in an arithmetic.
    pub fn new(network: Network, fixed: FixedPoint) -> Self {
        let in_ring = |tensor: &Tensor| encoded(&tensor.to_device(Device::Cpu), &fixed);
        let behind = network.behind_relus().into_iter();
        let behind = behind.map(|layer| layer.map(|(scale, shift)| (in_ring(&scale), in_ring(&shift))));
        Self {
            behind: behind.collect(),
            twin: network.into_frozen(),
            fixed,
            folded: RefCell::default(),
        }
    }

    /// The same network in floating point.
    pub fn twin(&self) -> &Frozen<Network> {
        &self.twin
    }

    /// Logits in the ring of images `[N, 3, H, W]`: the mean of the arithmetic's draws.
    pub fn ring_logits(&self, images: &Tensor, branch: Branch) -> Tensor {
        let _guard = no_grad_guard();
        let network = self.twin.network();
        let mut known = self.folded.borrow_mut();
        let place = known
            .iter()
            .position(|(known, _)| *known == branch)
            .unwrap_or_else(|| {
                known.push((branch, self.fold(branch)));
                known.len() - 1
            });
        let folded = &known[place].1;
        // The client normalises its image before it shares it.
        let input = encoded(
            &network.normalise(&images.detach()).to_device(Device::Cpu),
            &self.fixed,
        );
        let keys = image_keys(&input);
        let draw = |draw: u32| {
            let mut pass = RingPass {
                fixed: &self.fixed,
                folded: folded.iter(),
                relus: network.mask().layers().iter().zip(&self.behind),
                keys: &keys,
                draw,
                place: 0,
            };
            decoded(&network.walk(&mut pass, &input), &self.fixed)
        };
        let first = draw(0);
        let sum = (1..self.fixed.draws).fold(first, |sum, number| sum + draw(number));
        (sum / f64::from(self.fixed.draws)).to_device(images.device())
    }

    fn fold(&self, branch: Branch) -> Vec<Folded> {
        let mut fold = FoldPass::new(branch);
        self.twin.network().walk(&mut fold, &());
        let cpu = |tensor: Tensor| encoded(&tensor.to_device(Device::Cpu), &self.fixed);
        fold.folded.into_iter().map(|layer| layer.mapped(cpu)).collect()
    }
}

/// A number for each image, from its bytes.
fn image_keys(input: &Tensor) -> Vec<u64> {
    let count = input.size()[0];
    let mut values = vec![0_i64; input.numel()];
    input.contiguous().copy_data(&mut values, input.numel());
    let each = values.len() / count.max(1) as usize;
    let key = |image: &[i64]| {
        let mut hash = blake3::Hasher::new();
        for value in image {
            hash.update(&value.to_le_bytes());
        }
        let bytes = hash.finalize();
        bytes
            .as_bytes()
            .iter()
            .take(8)
            .fold(0, |key, &byte| key << 8 | u64::from(byte))
    };
    values.chunks_exact(each.max(1)).map(key).collect()
}

impl Classifier for FixedPointModel {
    fn logits(&self, images: &Tensor, branch: Branch) -> Result<Tensor> {
        let deployed = self.ring_logits(images, branch);
        if !images.requires_grad() {
            return Ok(deployed);
        }
        let smooth = self.twin.logits(images, branch);
        Ok(&smooth + (deployed - smooth.detach()))
    }

    fn branches(&self) -> &[Branch] {
        self.twin.branches()
    }

    fn device(&self) -> Device {
        self.twin.device()
    }

    fn load(&self, images: &Tensor, branch: Branch) -> Result<Option<Tensor>> {
        Ok(Some(
            product_loads(&self.twin, images, branch) / self.fixed.largest_product(),
        ))
    }
}

/// The largest magnitude of each layer's products in floating point, before a bias is added: `[N, layers]`,
/// differentiable with respect to the images.
pub fn product_loads(twin: &Frozen<Network>, images: &Tensor, branch: Branch) -> Tensor {
    let network = twin.network();
    let mut fold = FoldPass::new(branch);
    network.walk(&mut fold, &());
    let mut pass = LoadPass {
        folded: fold.folded.into_iter(),
        mask: network.mask(),
        behind: network.behind_relus(),
        relus: 0,
        loads: Vec::new(),
    };
    drop(network.walk(&mut pass, &network.normalise(images)));
    Tensor::stack(&pass.loads, 1)
}

/// The layers that [`product_loads`] tells apart.
pub fn product_layers(network: &Network) -> Vec<String> {
    let mut pass = NamePass {
        names: Vec::new(),
        behind: network.behind_relus().into_iter(),
    };
    network.walk(&mut pass, &());
    pass.names
}

/// Names each product by its place and what it is of.
struct NamePass {
    names: Vec<String>,
    /// What follows each masked ReLU.
    behind: std::vec::IntoIter<Behind>,
}

impl NamePass {
    fn add(&mut self, what: &str) {
        let place = self.names.len() + 1;
        self.names.push(format!("{place} {what}"));
    }
}

impl Pass for NamePass {
    type Map = ();
    fn conv(&mut self, layer: &Conv, _xs: &()) {
        let shape = layer.shape();
        self.add(&format!(
            "conv {}x{} {}-{}",
            shape.kernel, shape.kernel, shape.from, shape.to
        ));
    }
    fn norm(&mut self, _layer: &BankedNorm, _xs: &()) {
        self.add("norm");
    }
    fn relu(&mut self, name: Arguments<'_>, _xs: ()) {
        if self.behind.next().flatten().is_some() {
            self.add(&format!("dropped in {name}"));
        }
    }
    fn scores(&mut self, _heads: u64, _queries: &(), _keys: &()) {
        self.add("scores");
    }
    fn mix(&mut self, _scores: &(), _values: &()) {
        self.add("mix");
    }
    fn head(&mut self, _layer: &Linear, _xs: &()) {
        self.add("mean");
        self.add("head");
    }
}

/// Folded layers in floating point; remembers how large products become.
struct LoadPass<'a> {
    folded: std::vec::IntoIter<Folded>,
    mask: &'a ReluMask,
    behind: Vec<Behind>,
    relus: usize,
    loads: Vec<Tensor>,
}

impl LoadPass<'_> {
    fn seen(&mut self, products: &Tensor) {
        self.loads
            .push(products.abs().flatten(1, -1).amax([1_i64].as_slice(), false));
    }
}

impl Pass for LoadPass<'_> {
    type Map = Tensor;

    fn conv(&mut self, layer: &Conv, xs: &Tensor) -> Tensor {
        let Some(Folded::Conv { weight, bias }) = self.folded.next() else {
            unreachable!("a convolution folds to a convolution")
        };
        let ys = layer.forward_folded(xs, &weight, None);
        self.seen(&ys);
        match bias {
            Some(bias) => ys + bias.reshape([1, -1, 1, 1]),
            None => ys,
        }
    }

    fn norm(&mut self, _layer: &BankedNorm, xs: &Tensor) -> Tensor {
        let Some(Folded::Affine { scale, shift }) = self.folded.next() else {
            unreachable!("a norm folds to an affine map")
        };
        let ys = xs * scale;
        self.seen(&ys);
        ys + shift
    }

    fn relu(&mut self, _name: Arguments<'_>, xs: Tensor) -> Tensor {
        let layer = self.relus;
        self.relus += 1;
        let kept = mask_of(&self.mask.layers()[layer], &xs);
        let Some((scale, shift)) = &self.behind[layer] else {
            return xs.relu().where_self(&kept, &xs);
        };
        let products = &xs * scale;
        let ys = xs.relu().where_self(&kept, &(&products + shift));
        self.seen(&products.where_scalarother(&kept.logical_not(), 0.0));
        ys
    }

    fn scores(&mut self, heads: u64, queries: &Tensor, keys: &Tensor) -> Tensor {
        let scores = Tensor::scores(heads, queries, keys);
        let size = queries.size();
        let scale = ((size[1] / heads as i64) as f64).sqrt() * (size[2] * size[3]) as f64;
        self.seen(&(&scores * scale));
        scores
    }

    fn mix(&mut self, scores: &Tensor, values: &Tensor) -> Tensor {
        let mixed = Tensor::mix(scores, values);
        self.seen(&mixed);
        mixed
    }

    fn head(&mut self, layer: &Linear, xs: &Tensor) -> Tensor {
        let mean = xs.mean_dim([2_i64, 3].as_slice(), false, Kind::Float);
        self.seen(&mean);
        let (weight, bias) = layer.weights();
        let products = mean.matmul(&weight.tr());
        self.seen(&products);
        products + bias
    }
}

/// Which units of maps `[N, C, H, W]` are kept: `[1, C, H, W]`.
fn mask_of(units: &[u8], maps: &Tensor) -> Tensor {
    let size = maps.size();
    let kept = Tensor::from_slice(units).to_device(maps.device());
    kept.to_kind(Kind::Bool).reshape([1, size[1], size[2], size[3]])
}

/// What follows a ReLU layer: scale and shift of every unit, where dropped ones are not the identity.
type Behind = Option<(Tensor, Tensor)>;

/// Ring elements through folded layers.
struct RingPass<'a> {
    fixed: &'a FixedPoint,
    folded: std::slice::Iter<'a, Folded>,
    /// Of each ReLU layer the units that it keeps, and what follows it.
    relus: std::iter::Zip<std::slice::Iter<'a, Vec<u8>>, std::slice::Iter<'a, Behind>>,
    /// One number an image.
    keys: &'a [u64],
    draw: u32,
    /// Operations that drew so far: part of the key of the next one.
    place: u64,
}

impl RingPass<'_> {
    /// Each element under `f(place in its image, value, random word)`.
    fn map(&mut self, xs: &Tensor, draws: bool, f: impl Fn(usize, i64, u64) -> i64) -> Tensor {
        self.place += 1;
        let (seed, place, draw) = (self.fixed.seed, self.place, u64::from(self.draw));
        let key = |image: usize| KeyedRng::new(seed, "fixed point", &[self.keys[image], place, draw]);
        mapped(xs, draws, &key, f)
    }

    fn truncate(&mut self, products: Tensor) -> Tensor {
        let fixed = *self.fixed;
        let products = wrap(&products, &fixed);
        let frac = i64::from(fixed.frac);
        match fixed.truncation {
            Truncation::Floor => products.bitwise_right_shift_tensor_scalar(frac),
            truncation => {
                let draws = truncation != Truncation::Nearest;
                self.map(&products, draws, |_, value, word| truncated(value, word, &fixed))
            }
        }
    }

    /// Times a public number.
    fn scale(&mut self, xs: &Tensor, factor: f64) -> Tensor {
        let factor = encoded(&Tensor::from_slice(&[factor]), self.fixed);
        self.truncate(xs * factor)
    }

    fn wrap(&self, xs: &Tensor) -> Tensor {
        wrap(xs, self.fixed)
    }
}

/// `[N, C, H, W]` as `[N, heads, C / heads, H W]`.
fn by_head(xs: &Tensor, heads: i64) -> Tensor {
    let size = xs.size();
    xs.reshape([-1, heads, size[1] / heads, size[2] * size[3]])
}

impl Pass for RingPass<'_> {
    type Map = Tensor;

    fn conv(&mut self, layer: &Conv, xs: &Tensor) -> Tensor {
        let Some(Folded::Conv { weight, bias }) = self.folded.next() else {
            unreachable!("a convolution folds to a convolution")
        };
        let shape = layer.shape();
        let terms = shape.from / shape.groups * shape.kernel * shape.kernel;
        let products = product(xs, weight, terms, |xs, weight| {
            layer.forward_folded(xs, weight, None)
        });
        let ys = self.truncate(products);
        match bias {
            Some(bias) => self.wrap(&(ys + bias.reshape([1, -1, 1, 1]))),
            None => ys,
        }
    }

    fn norm(&mut self, _layer: &BankedNorm, xs: &Tensor) -> Tensor {
        let Some(Folded::Affine { scale, shift }) = self.folded.next() else {
            unreachable!("a norm folds to an affine map")
        };
        let ys = self.truncate(xs * scale);
        self.wrap(&(ys + shift))
    }

    fn relu(&mut self, _name: Arguments<'_>, xs: Tensor) -> Tensor {
        let Some((units, behind)) = self.relus.next() else {
            unreachable!("the mask has a layer for every ReLU layer")
        };
        let fixed = *self.fixed;
        let ys = match fixed.sign {
            SignTest::Exact => xs.clamp_min(0).where_self(&mask_of(units, &xs), &xs),
            _ => self.map(&xs, fixed.is_random(), |place, value, word| {
                if units[place] == 0 || passes(value, word, &fixed) {
                    value
                } else {
                    0
                }
            }),
        };
        let Some((scale, shift)) = behind else {
            return ys;
        };
        // Only dropped units are multiplied: a kept one is neither rounded again nor near an overflow by it.
        let dropped = self.truncate(&ys * scale) + shift;
        ys.where_self(&mask_of(units, &ys), &self.wrap(&dropped))
    }

    fn add(&mut self, a: Tensor, b: &Tensor) -> Tensor {
        self.wrap(&(a + b))
    }

    fn scores(&mut self, heads: u64, queries: &Tensor, keys: &Tensor) -> Tensor {
        let (queries, keys) = (by_head(queries, heads as i64), by_head(keys, heads as i64));
        let size = keys.size();
        let products = product(&queries.transpose(2, 3), &keys, size[2], |a, b| a.matmul(b));
        let products = self.truncate(products);
        self.scale(&products, 1.0 / ((size[2] as f64).sqrt() * size[3] as f64))
    }

    fn mix(&mut self, scores: &Tensor, values: &Tensor) -> Tensor {
        let size = values.size();
        let values = by_head(values, scores.size()[1]);
        let products = product(&values, &scores.transpose(2, 3), size[2] * size[3], |a, b| {
            a.matmul(b)
        });
        self.truncate(products).reshape([-1, size[1], size[2], size[3]])
    }

    fn head(&mut self, layer: &Linear, xs: &Tensor) -> Tensor {
        let size = xs.size();
        let sum = xs.sum_dim_intlist([2_i64, 3].as_slice(), false, Kind::Int64);
        let mean = self.scale(&self.wrap(&sum), 1.0 / (size[2] * size[3]) as f64);
        let (weight, bias) = layer.weights();
        let [weight, bias] = [weight, bias].map(|tensor| encoded(&tensor.to_device(Device::Cpu), self.fixed));
        let products = product(&mean, &weight.tr(), size[1], |a, b| a.matmul(b));
        let logits = self.truncate(products);
        self.wrap(&(logits + bias))
    }
}
