//! Which ReLUs a network keeps, per unit (channel, row, column).
//!
//! A kept unit is a ReLU, a dropped one the identity: `y = m * relu(x) + (1 - m) * x`,
//! computed in one pass as `max(x, floor)` with floor 0 where kept and -inf where dropped. What else dropped units may
//! compute comes behind it ([`DroppedMap`](super::dropped::DroppedMap)).

use super::dropped::{DroppedMap, DroppedUnits};
use super::layout::laid_out;
use rlnet_corruptions::random::KeyedRng;
use rlnet_libtorch::masked_relu;
use rlnet_suites::LayerRecord;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A mask over all ReLU layers, in execution order. One byte a unit: 1 kept, 0 dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReluMask {
    layers: Vec<Vec<u8>>,
}

impl ReluMask {
    /// Every ReLU kept.
    pub fn full(sizes: &[u64]) -> Self {
        Self {
            layers: sizes.iter().map(|&n| vec![1; n as usize]).collect(),
        }
    }

    /// From one byte vector a layer; anything but 0 counts as kept.
    pub fn from_layers(layers: Vec<Vec<u8>>) -> Self {
        let binary = |layer: Vec<u8>| layer.into_iter().map(|unit| u8::from(unit != 0)).collect();
        Self {
            layers: layers.into_iter().map(binary).collect(),
        }
    }

    /// Exactly `keep[l]` units of each layer, at random.
    pub fn random(sizes: &[u64], keep: &[u64], seed: u64) -> Self {
        let scores = Self::lots(sizes, seed);
        Self::top(&scores, keep)
    }

    /// Whole channels of each layer at random, as many as fit into `keep[l]` units.
    pub fn random_channels(shapes: &[[u64; 3]], keep: &[u64], seed: u64) -> Self {
        let sizes: Vec<u64> = shapes.iter().map(|shape| shape.iter().product()).collect();
        Self::top_channels(&Self::lots(&sizes, seed), shapes, keep)
    }

    /// The reference's first mask (defect B14): in each layer one random map, every place kept
    /// with the layer's share `keep[l] / units`, the same map for every channel. The number of
    /// units is the count only on average.
    pub fn random_maps(shapes: &[[u64; 3]], keep: &[u64], seed: u64) -> Self {
        let layer = |(layer, (&[channels, h, w], &keep)): (usize, (&[u64; 3], &u64))| {
            let share = keep as f64 / (channels * h * w).max(1) as f64;
            let mut rng = KeyedRng::new(seed, "initial map", &[layer as u64]);
            let map: Vec<u8> = (0..h * w).map(|_| u8::from(rng.uniform() < share)).collect();
            map.repeat(channels as usize)
        };
        Self {
            layers: shapes.iter().zip(keep).enumerate().map(layer).collect(),
        }
    }

    /// A score a unit, drawn by lot: the unit's place, from the back, in a random order.
    fn lots(sizes: &[u64], seed: u64) -> Vec<Vec<f64>> {
        let layer = |(layer, &size): (usize, &u64)| {
            let mut lots = vec![0.0; size as usize];
            let order = KeyedRng::new(seed, "initial mask", &[layer as u64]).permutation(size as usize);
            for (place, &unit) in order.iter().enumerate() {
                lots[unit] = -(place as f64);
            }
            lots
        };
        sizes.iter().enumerate().map(layer).collect()
    }

    /// The `keep[l]` units with the largest scores in each layer, exactly; ties go to the
    /// lower flat index. (The reference keeps `keep - 1`: [`ReluMask::above_threshold`].)
    pub fn top(scores: &[Vec<f64>], keep: &[u64]) -> Self {
        let layers = scores
            .iter()
            .zip(keep)
            .map(|(scores, &keep)| {
                let mut order: Vec<usize> = (0..scores.len()).collect();
                let k = (keep as usize).min(scores.len());
                if k > 0 && k < scores.len() {
                    let by_score = |&a: &usize, &b: &usize| scores[b].total_cmp(&scores[a]).then(a.cmp(&b));
                    order.select_nth_unstable_by(k - 1, by_score);
                }
                let mut units = vec![0; scores.len()];
                for &unit in order.iter().take(k) {
                    units[unit] = 1;
                }
                units
            })
            .collect();
        Self { layers }
    }

    /// The `keep` units with the largest scores of the whole network, exactly; ties go to the earlier layer and the lower
    /// flat index.
    pub fn top_of_all(scores: &[Vec<f64>], keep: u64) -> Self {
        let all = Self::top(&[scores.concat()], &[keep]);
        let mut rest = all.layers.first().map_or(&[][..], Vec::as_slice);
        let mut layers = Vec::new();
        for layer in scores {
            let (own, after) = rest.split_at(layer.len());
            layers.push(own.to_vec());
            rest = after;
        }
        Self { layers }
    }

    /// `keep` of its kept units, drawn by lot from the whole network.
    #[must_use]
    pub fn thinned(&self, keep: u64, rng: &mut KeyedRng) -> Self {
        let mut kept: Vec<&mut u8> = Vec::new();
        let mut mask = self.clone();
        kept.extend(mask.layers.iter_mut().flatten().filter(|unit| **unit == 1));
        for place in rng.permutation(kept.len()).into_iter().skip(keep as usize) {
            *kept[place] = 0;
        }
        mask
    }

    /// The reference's rule (defect B2): units with a score above the `keep`-th largest,
    /// strictly, so `keep - 1` of them, or fewer with ties.
    pub fn above_threshold(scores: &[Vec<f64>], keep: &[u64]) -> Self {
        let layers = scores
            .iter()
            .zip(keep)
            .map(|(scores, &keep)| {
                let mut sorted = scores.clone();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let threshold = match keep as usize {
                    0 => f64::INFINITY,
                    k => sorted.get(k - 1).copied().unwrap_or(f64::NEG_INFINITY),
                };
                scores.iter().map(|&score| u8::from(score > threshold)).collect()
            })
            .collect();
        Self { layers }
    }

    /// Whole channels: in each layer as many of those with the largest summed score as fit
    /// into `keep[l]` units. Ties go to the lower channel. `shapes` are `[C, H, W]`.
    pub fn top_channels(scores: &[Vec<f64>], shapes: &[[u64; 3]], keep: &[u64]) -> Self {
        let areas = shapes.iter().map(|[_, h, w]| ((h * w) as usize).max(1));
        let sums: Vec<Vec<f64>> = scores
            .iter()
            .zip(areas.clone())
            .map(|(scores, area)| scores.chunks(area).map(|channel| channel.iter().sum()).collect())
            .collect();
        let channels: Vec<u64> = keep
            .iter()
            .zip(areas.clone())
            .map(|(&k, area)| k / area as u64)
            .collect();
        let layers = Self::top(&sums, &channels).layers;
        let spread = |(channels, area): (Vec<u8>, usize)| {
            channels
                .into_iter()
                .flat_map(|kept| std::iter::repeat_n(kept, area))
                .collect()
        };
        Self {
            layers: layers.into_iter().zip(areas).map(spread).collect(),
        }
    }

    /// Whether every channel of every layer is kept or dropped as a whole.
    pub fn is_channel_wise(&self, shapes: &[[u64; 3]]) -> bool {
        self.layers.iter().zip(shapes).all(|(units, [_, h, w])| {
            let area = ((h * w) as usize).max(1);
            units
                .chunks(area)
                .all(|channel| channel.iter().all(|&unit| unit == channel[0]))
        })
    }

    /// The same mask with every unit of one layer dropped.
    #[must_use]
    pub fn without_layer(&self, layer: usize) -> Self {
        let mut mask = self.clone();
        if let Some(units) = mask.layers.get_mut(layer) {
            units.fill(0);
        }
        mask
    }

    /// The units of each layer.
    pub fn layers(&self) -> &[Vec<u8>] {
        &self.layers
    }

    /// Kept units of each layer.
    pub fn kept(&self) -> Vec<u64> {
        self.layers
            .iter()
            .map(|layer| layer.iter().map(|&unit| u64::from(unit)).sum())
            .collect()
    }

    /// Share of all units whose state differs from `other`'s.
    pub fn hamming(&self, other: &Self) -> f64 {
        let mut differ = 0_u64;
        let mut all = 0_u64;
        for (a, b) in self.layers.iter().zip(&other.layers) {
            all += a.len() as u64;
            differ += a.iter().zip(b).filter(|(a, b)| a != b).count() as u64;
        }
        differ as f64 / all.max(1) as f64
    }

    /// Layer tables for reports.
    pub fn records(&self, layers: &[LayerRecord]) -> Vec<LayerRecord> {
        layers
            .iter()
            .zip(self.kept())
            .map(|(layer, kept)| LayerRecord {
                kept,
                ..layer.clone()
            })
            .collect()
    }

    /// The activation function of each layer; dropped units are the identity.
    pub fn activations(&self, shapes: &[[u64; 3]], device: Device) -> Vec<Activation> {
        self.layers
            .iter()
            .zip(shapes)
            .map(|(units, shape)| Activation::new(units, shape, device))
            .collect()
    }
}

/// One masked ReLU layer, ready to run.
#[derive(Debug)]
pub enum Activation {
    /// Every unit kept.
    Relu,
    /// Every unit dropped.
    Identity,
    /// Some kept: `max(x, floor)`, floor `[1, C, H, W]` holding 0 or -inf.
    Floor(Tensor),
    /// A slope `a` a unit, `[1, C, H, W]`: `a * relu(x) + (1 - a) * x`, which is
    /// `x + a * relu(-x)`.
    Slopes(Tensor),
    /// Dropped units have numbers that are trained.
    Trained {
        /// What comes first: the layer with the identity in their place.
        relu: Box<Activation>,
        /// The dropped units.
        units: DroppedUnits,
    },
    /// The same with fixed numbers: `scale * y + shift` of what comes first.
    Affine {
        /// What comes first.
        relu: Box<Activation>,
        /// `[1, C, H, W]`, 1 where kept.
        scale: Tensor,
        /// `[1, C, H, W]`, 0 where kept.
        shift: Tensor,
    },
}

impl Activation {
    fn new(units: &[u8], shape: &[u64; 3], device: Device) -> Self {
        if units.iter().all(|&unit| unit == 1) {
            return Self::Relu;
        }
        if units.iter().all(|&unit| unit == 0) {
            return Self::Identity;
        }
        let floor: Vec<f32> = units
            .iter()
            .map(|&unit| if unit == 1 { 0.0 } else { f32::NEG_INFINITY })
            .collect();
        let [c, h, w] = shape.map(|side| side as i64);
        let floor = Tensor::from_slice(&floor).reshape([1, c, h, w]);
        Self::Floor(laid_out(&floor.to_device(device)))
    }

    /// The same layer with dropped units that compute `map`; `units` are its mask, `shape` is `[C, H, W]`.
    #[must_use]
    pub fn with(self, map: &DroppedMap, units: &[u8], shape: &[u64; 3], device: Device) -> Self {
        match self {
            Self::Relu => Self::Relu,
            relu => Self::Trained {
                relu: Box::new(relu),
                units: map.of(units, shape, device),
            },
        }
    }

    /// The layer as it is now, which later updates of what is trained do not reach; for values of another kind when one is
    /// given (0 and -inf are exact in all of them).
    #[must_use]
    pub fn frozen(&self, kind: Option<Kind>) -> Self {
        let cast = |tensor: &Tensor| kind.map_or_else(|| tensor.shallow_clone(), |kind| tensor.to_kind(kind));
        match self {
            Self::Relu => Self::Relu,
            Self::Identity => Self::Identity,
            Self::Floor(floor) => Self::Floor(cast(floor)),
            Self::Slopes(slopes) => Self::Slopes(cast(slopes)),
            Self::Trained { relu, .. } | Self::Affine { relu, .. } => {
                let _guard = no_grad_guard();
                let (scale, shift) = self
                    .behind()
                    .unwrap_or_else(|| unreachable!("its units have numbers"));
                Self::Affine {
                    relu: Box::new(relu.frozen(kind)),
                    scale: cast(&scale),
                    shift: cast(&shift),
                }
            }
        }
    }

    /// What is left to do behind the masked ReLU, where dropped units are not the identity: scale and shift of every unit,
    /// `[1, C, H, W]`, 1 and 0 where it is kept.
    pub fn behind(&self) -> Option<(Tensor, Tensor)> {
        match self {
            Self::Relu | Self::Identity | Self::Floor(_) | Self::Slopes(_) => None,
            Self::Trained { units, .. } => Some(units.behind()),
            Self::Affine { scale, shift, .. } => Some((scale.shallow_clone(), shift.shallow_clone())),
        }
    }

    /// Applies the layer to `[N, C, H, W]`.
    pub fn forward(&self, xs: Tensor) -> Tensor {
        match self {
            Self::Relu => xs.relu(),
            Self::Identity => xs,
            Self::Floor(floor) => masked_relu(&xs, floor),
            Self::Slopes(slopes) => xs.addcmul(&(-&xs).relu(), slopes),
            Self::Trained { relu, units } => {
                let (scale, shift) = units.behind();
                shift.addcmul(&relu.forward(xs), &scale)
            }
            Self::Affine { relu, scale, shift } => shift.addcmul(&relu.forward(xs), scale),
        }
    }

    /// The lowest and highest values of the layer over a box. Every unit rises, or falls, throughout.
    pub fn forward_box(&self, lower: Tensor, upper: Tensor) -> (Tensor, Tensor) {
        let (one, other) = (self.forward(lower), self.forward(upper));
        match self {
            Self::Relu | Self::Identity | Self::Floor(_) | Self::Slopes(_) => (one, other),
            // A negative scale turns the box over.
            Self::Trained { .. } | Self::Affine { .. } => (one.minimum(&other), one.maximum(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_relu_is_m_relu_plus_identity() {
        let xs = Tensor::from_slice(&[-2.0_f32, -1.0, 1.0, 2.0, -3.0, 0.5, -0.5, 3.0]).reshape([2, 1, 2, 2]);
        let mask = ReluMask::from_layers(vec![vec![1, 0, 1, 0]]);
        let activation = &mask.activations(&[[1, 2, 2]], Device::Cpu)[0];
        let ys = Vec::<f32>::try_from(activation.forward(xs).flatten(0, -1)).expect("floats");
        assert_eq!(ys, [0.0, -1.0, 1.0, 2.0, 0.0, 0.5, 0.0, 3.0]);
        assert_eq!(mask.kept(), [2]);
    }

    /// In every order of memory, with gradients that come in another one, in other precisions, at 0 and at NaN.
    #[test]
    fn a_masked_relu_and_its_gradient_are_those_of_its_formula() {
        use tch::Kind::{BFloat16, Double, Float};
        tch::manual_seed(3);
        let shape = [3, 5, 4, 6];
        let mask = ReluMask::random(&[5 * 4 * 6], &[60], 1);
        let Activation::Floor(floor) = &mask.activations(&[[5, 4, 6]], Device::Cpu)[0] else {
            unreachable!("some are kept")
        };
        let kept = floor.eq(0.0);
        for kind in [Float, Double, BFloat16] {
            for (xs_last, floor_last, from_last) in [
                (true, true, true),
                (true, true, false),
                (false, false, false),
                (true, false, true),
                (false, true, false),
            ] {
                let lie = |maps: &Tensor, last: bool| match last {
                    true => laid_out(maps),
                    false => maps.contiguous(),
                };
                let values = Tensor::randn(shape, (kind, Device::Cpu));
                let values = values.where_self(&values.abs().gt(0.2), &values.zeros_like());
                let from = lie(&Tensor::randn(shape, (kind, Device::Cpu)), from_last);
                let floor = lie(&floor.to_kind(kind), floor_last);
                let both = [true, false].map(|ours| {
                    let xs = lie(&values, xs_last).set_requires_grad(true);
                    let ys = match ours {
                        true => masked_relu(&xs, &floor),
                        false => xs.relu().where_self(&kept, &xs),
                    };
                    let gradient = Tensor::run_backward(&[(&ys * &from).sum(kind)], &[&xs], false, false);
                    (ys.detach(), gradient[0].shallow_clone())
                });
                let [(ys, gradient), (wanted, wanted_gradient)] = both;
                assert_eq!(ys, wanted, "{kind:?} {xs_last} {floor_last}");
                assert_eq!(
                    gradient, wanted_gradient,
                    "{kind:?} {xs_last} {floor_last} {from_last}"
                );
            }
        }
        let xs = Tensor::full(shape, f64::NAN, (Float, Device::Cpu));
        assert!(bool::try_from(masked_relu(&laid_out(&xs), floor).isnan().all()).expect("a flag"));

        // A gradient of a gradient: of the square of a cube, behind the layer.
        let xs = laid_out(&Tensor::randn(shape, (Float, Device::Cpu))).set_requires_grad(true);
        let cube = masked_relu(&xs, floor).pow_tensor_scalar(3).sum(Float);
        let first = Tensor::run_backward(&[cube], &[&xs], true, true);
        let second = Tensor::run_backward(&[first[0].square().sum(Float)], &[&xs], false, false);
        let own = masked_relu(&xs.detach(), floor);
        let wanted: Tensor = 36.0 * own.pow_tensor_scalar(3);
        assert!(second[0].allclose(&wanted, 1e-5, 1e-5, false));
    }

    #[test]
    fn top_keeps_exactly_k_with_ties_to_the_lower_index() {
        let scores = vec![vec![1.0, 3.0, 3.0, 3.0, 0.0]];
        assert_eq!(ReluMask::top(&scores, &[2]).layers()[0], [0, 1, 1, 0, 0]);
        assert_eq!(ReluMask::top(&scores, &[0]).layers()[0], [0; 5]);
        assert_eq!(ReluMask::above_threshold(&scores, &[2]).layers()[0], [0; 5]);
        assert_eq!(
            ReluMask::above_threshold(&scores, &[5]).layers()[0],
            [1, 1, 1, 1, 0]
        );
        assert_eq!(ReluMask::above_threshold(&scores, &[0]).layers()[0], [0; 5]);
        let random = ReluMask::random(&[100, 7], &[13, 7], 1);
        assert_eq!(random.kept(), [13, 7]);
        assert!((ReluMask::full(&[5]).hamming(&ReluMask::top(&scores, &[2])) - 0.6).abs() < 1e-12);
    }

    #[test]
    fn a_random_map_is_the_same_for_every_channel_and_has_its_share() {
        let mask = ReluMask::random_maps(&[[3, 40, 40], [2, 1, 1]], &[1200, 0], 1);
        let (one, rest) = mask.layers()[0].split_at(1600);
        assert!(rest.chunks(1600).all(|channel| channel == one));
        // Five standard deviations of a binomial with n = 1600, p = 1/4.
        let kept: u64 = one.iter().map(|&unit| u64::from(unit)).sum();
        assert!(kept.abs_diff(400) < 87, "{kept}");
        assert_eq!(mask.layers()[1], [0, 0]);
    }

    #[test]
    fn channels_are_kept_whole_and_never_more_than_the_count() {
        let shapes = [[3, 1, 2]];
        let scores = vec![vec![9.0, 0.0, 4.0, 4.0, 5.0, 5.0]];
        let mask = ReluMask::top_channels(&scores, &shapes, &[5]);
        assert_eq!(mask.layers()[0], [1, 1, 0, 0, 1, 1]);
        assert!(mask.is_channel_wise(&shapes));
        assert!(!ReluMask::top(&scores, &[3]).is_channel_wise(&shapes));
        assert_eq!(mask.without_layer(0).kept(), [0]);
        assert_eq!(ReluMask::top_channels(&scores, &shapes, &[1]).kept(), [0]);
    }
}
