//! Linear bounds backwards (CROWN, Zhang et al., NeurIPS 2018) for one image.
//!
//! A row is a linear function of a value of the graph, to be bounded from below over the region. It is carried
//! towards the images: through linear operations by their transposes, and at an unstable unit `z` in `[l, u]` by a
//! line below or above the unit. A positive coefficient takes the lower line `slope * z`, slope in `[0, 1]`; a
//! negative one takes the upper line `u (z - l) / (u - l)`. A unit with a share of a ReLU has that share of both
//! lines, and the rest of it is exact.

use super::graph::{Exact, Graph, Node, Op, Relu, batched};
use super::interval::{Interval, propagate};
use super::region::Region;
use super::rounding;
use crate::error::Result;
use std::ops::RangeInclusive;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Bytes that the coefficients of one chunk of rows may take at the widest value of the graph.
const CHUNK: i64 = 16 << 20;

/// How the units before the ReLUs get their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intermediate {
    /// By intervals.
    Interval,
    /// By intervals, and by linear bounds where these leave a unit unstable.
    Linear,
}

/// A ReLU layer whose units' bounds are known.
#[derive(Debug)]
pub struct Layer {
    /// Its place in the graph.
    pub at: usize,
    /// Its place among the network's ReLU layers; none for a comparison of max pooling.
    pub layer: Option<usize>,
    /// What a stable unit multiplies by, and 0 for an unstable one, `[units]`.
    base: Tensor,
    /// Which units are never positive, `[units]` (bool).
    off: Tensor,
    /// The unstable units, `[U]` (int64).
    pub unstable: Tensor,
    /// Their bounds, `[U]` each.
    pub lower: Tensor,
    /// Highest values.
    pub upper: Tensor,
    /// Their shares of a ReLU, `[U]`.
    pub(super) share: Tensor,
}

impl Layer {
    fn new(at: usize, (layer, share): (Option<usize>, Option<&Tensor>), interval: &Interval) -> Self {
        let _guard = no_grad_guard();
        let (lower, upper) = (interval.lower.flatten(0, -1), interval.upper.flatten(0, -1));
        let share = share.map_or_else(|| lower.ones_like(), |share| share.flatten(0, -1));
        let crossing = lower
            .lt(0.0)
            .logical_and(&upper.gt(0.0))
            .logical_and(&share.gt(0.0));
        let unstable = crossing.nonzero().reshape([-1]);
        let off = upper.le(0.0);
        Self {
            at,
            layer,
            base: base(&share, &off, &unstable),
            off,
            lower: lower.index_select(0, &unstable),
            upper: upper.index_select(0, &unstable),
            share: share.index_select(0, &unstable),
            unstable,
        }
    }

    /// The same of the same network in another kind.
    #[must_use]
    pub fn of(&self, graph: &Graph) -> Self {
        let cast = |tensor: &Tensor| tensor.to_kind(graph.kind());
        let share = match &graph.nodes()[self.at].op {
            Op::Relu(Relu {
                share: Some(share), ..
            }) => share.flatten(0, -1),
            _ => cast(&self.off).ones_like(),
        };
        Self {
            base: base(&share, &self.off, &self.unstable),
            off: self.off.shallow_clone(),
            unstable: self.unstable.shallow_clone(),
            lower: cast(&self.lower),
            upper: cast(&self.upper),
            share: share.index_select(0, &self.unstable),
            ..*self
        }
    }

    /// The number of unstable units.
    pub fn width(&self) -> i64 {
        self.unstable.size()[0]
    }

    /// The slopes of CROWN: 1 where the unit may be more positive than negative, else 0.
    pub fn adaptive(&self) -> Tensor {
        self.upper.ge_tensor(&-&self.lower).to_kind(self.lower.kind())
    }

    /// The largest distance of the upper line from the ReLU, `-l u / (u - l)`.
    pub fn gap(&self) -> Tensor {
        -(&self.lower * &self.upper) / (&self.upper - &self.lower)
    }
}

/// What stable units multiply by: one that is never positive keeps `1 - share` of itself.
fn base(share: &Tensor, off: &Tensor, unstable: &Tensor) -> Tensor {
    let base: Tensor = 1.0 - share * off.to_kind(share.kind());
    base.index_fill(0, unstable, 0.0)
}

/// What is decided of the unstable units of a layer, for each row or for all: `[R, U]` or `[1, U]`.
#[derive(Debug)]
pub struct Choice {
    /// Slope of the lower line, in `[0, 1]`.
    pub slope: Tensor,
    /// Where branches were taken: 1 for `z >= 0`, -1 for `z <= 0`, 0 for none; and the multipliers of these
    /// constraints, 0 or more.
    pub split: Option<(Tensor, Tensor)>,
}

/// What came of rows.
#[derive(Debug)]
pub struct Bound {
    /// Lower bounds `[R]`, before anything is taken off for rounding.
    pub value: Tensor,
    /// Sum of the magnitudes of the terms of each, `[R]`.
    pub magnitude: Tensor,
    /// What was collected of constants on the way, `[R]`.
    pub constant: Tensor,
    /// The linear functions of the images that they are the least values of, `[R, 3, H, W]`.
    pub rows: Tensor,
    /// The coefficients of the unstable units after each of the layers below the start, `[R, U]`, the layer first.
    pub at_relus: Vec<(usize, Tensor)>,
}

impl Bound {
    /// What holds in exact arithmetic, `[R]`.
    pub fn sound(&self) -> Tensor {
        &self.value - &self.magnitude * rounding(self.value.kind())
    }
}

/// Carries rows `[R, shape of the value at start]` to the images of a region (of one image). `choices` has one entry for each of
/// `layers`.
///
/// # Errors
/// When libtorch refuses.
pub fn backward(
    graph: &Graph,
    region: &Region,
    (start, rows): (usize, Tensor),
    layers: &[Layer],
    choices: &[Choice],
) -> Result<Bound> {
    let options = (rows.kind(), rows.device());
    let mut sums = Sums {
        value: Tensor::zeros([rows.size()[0]], options),
        magnitude: Tensor::zeros([rows.size()[0]], options),
    };
    let mut at_relus = Vec::new();
    let mut waiting: Vec<Option<Tensor>> = (0..=start).map(|_| None).collect();
    waiting[start] = Some(rows);
    for at in (1..=start).rev() {
        let Some(rows) = waiting[at].take() else {
            continue;
        };
        let node = &graph.nodes()[at];
        let passed = match &node.op {
            Op::Relu(_) => {
                let place = layers.iter().position(|layer| layer.at == at);
                let place =
                    place.ok_or_else(|| crate::error::Error::internal("a ReLU layer without bounds"))?;
                let (rows, below) = relu(&layers[place], &choices[place], &rows, &mut sums);
                at_relus.push((place, below));
                rows
            }
            _ => transposed(graph, node, &rows, &mut sums)?,
        };
        for &input in &node.inputs {
            waiting[input] = Some(match waiting[input].take() {
                None => passed.shallow_clone(),
                Some(other) => other + &passed,
            });
        }
    }
    let rows = match waiting[0].take() {
        Some(rows) => rows,
        None => Tensor::zeros(batched_rows(&sums.value, graph.shape(0)), options),
    };
    let (least, magnitude) = region.least(&rows);
    Ok(Bound {
        value: &sums.value + least,
        constant: sums.value,
        magnitude: sums.magnitude + magnitude,
        rows,
        at_relus,
    })
}

/// What has been collected of constants.
struct Sums {
    value: Tensor,
    magnitude: Tensor,
}

impl Sums {
    /// Adds `[R, ...]` terms.
    fn add(&mut self, terms: &Tensor) {
        let terms = terms.flatten(1, -1);
        let sum = |terms: &Tensor| terms.sum_dim_intlist([1_i64].as_slice(), false, terms.kind());
        self.value = &self.value + sum(&terms);
        let _guard = no_grad_guard();
        self.magnitude = &self.magnitude + sum(&terms.abs());
    }
}

fn batched_rows(values: &Tensor, shape: &[i64]) -> Vec<i64> {
    [&values.size()[..1], shape].concat()
}

fn transposed(graph: &Graph, node: &Node, rows: &Tensor, sums: &mut Sums) -> Result<Tensor> {
    let shape = node.inputs.first().map_or(&[][..], |&input| graph.shape(input));
    Ok(match &node.op {
        Op::Affine { scale, shift } => {
            sums.add(&(rows * shift));
            rows * scale
        }
        Op::Conv(conv) => {
            if let Some(bias) = &conv.bias {
                // The places of a channel first: their coefficients meet the same bias.
                sums.add(
                    &(rows
                        .flatten(2, -1)
                        .sum_dim_intlist([2_i64].as_slice(), false, rows.kind())
                        * bias),
                );
            }
            conv.transposed(rows, shape)?
        }
        Op::Linear { weight, bias } => {
            if let Some(bias) = bias {
                sums.add(&(rows * bias));
            }
            rows.f_matmul(weight)?
        }
        Op::Reshape => rows.f_reshape(batched(shape))?,
        Op::Permute(order) => {
            let mut back = vec![0; order.len() + 1];
            for (place, &from) in order.iter().enumerate() {
                back[from as usize] = place as i64 + 1;
            }
            rows.f_permute(back)?
        }
        Op::Input | Op::Add | Op::Relu(_) => rows.shallow_clone(),
    })
}

/// Rows before a ReLU layer, and the coefficients of its unstable units after it.
fn relu(layer: &Layer, choice: &Choice, rows: &Tensor, sums: &mut Sums) -> (Tensor, Tensor) {
    let flat = rows.flatten(1, -1);
    let after = flat.index_select(1, &layer.unstable);
    let (positive, negative) = (after.clamp_min(0.0), after.clamp_max(0.0));
    let Layer {
        lower, upper, share, ..
    } = layer;
    let (mut below, mut above, mut offset) =
        (choice.slope.shallow_clone(), upper / (upper - lower), layer.gap());
    if let Some((split, _)) = &choice.split {
        let (free, active) = (split.eq(0.0), split.gt(0.0).to_kind(lower.kind()));
        below = below.where_self(&free, &active);
        above = above.where_self(&free, &active);
        offset = offset.where_self(&free, &active.zeros_like());
    }
    let kept = 1.0 - share;
    let mut before = positive * (&kept + share * below) + &negative * (&kept + share * above);
    if let Some((split, multipliers)) = &choice.split {
        before -= multipliers * split;
    }
    sums.add(&(negative * (share * offset)));
    let passed = (&flat * &layer.base).index_copy(1, &layer.unstable, &before);
    (passed.reshape(rows.size()), after)
}

/// The bounds of one image's ReLU layers, and the box of its margins.
#[derive(Debug)]
pub struct Bounds {
    /// The ReLU layers in the graph's order.
    pub layers: Vec<Layer>,
    /// The box around the margins, `[1, T]`.
    pub margins: Interval,
}

/// Bounds every unit before a ReLU over a region (of one image), and by intervals the margins `[T, classes]`.
///
/// # Errors
/// When libtorch refuses.
pub fn bounds(graph: &Graph, region: &Region, margins: &Tensor, method: Intermediate) -> Result<Bounds> {
    let _guard = no_grad_guard();
    let mut layers: Vec<Layer> = Vec::new();
    let relus: Vec<_> = graph.relus().collect();
    let (_, margins) = propagate(graph, region, margins, |at, interval, before| {
        let relu = relus[before.len()].1;
        let of = (relu.layer, relu.share.as_ref());
        let first = Layer::new(at, of, &interval);
        let start = graph.nodes()[at].inputs[0];
        let tight =
            method == Intermediate::Interval || graph.exact(start) != Exact::Not || first.width() == 0;
        if tight {
            layers.push(first);
            return Ok(interval);
        }
        let choices: Vec<Choice> = layers.iter().map(adaptive).collect();
        let tighter = tightened(
            graph,
            region,
            (start, &interval),
            &first.unstable,
            &layers,
            &choices,
        )?;
        layers.push(Layer::new(at, of, &tighter));
        Ok(tighter)
    })?;
    Ok(Bounds { layers, margins })
}

/// CROWN's slopes, no unit split.
pub fn adaptive(layer: &Layer) -> Choice {
    Choice {
        slope: layer.adaptive().unsqueeze(0),
        split: None,
    }
}

/// The box of a value with linear bounds in place of some units' (`[U]`). They stand alone, as in auto_LiRPA: the
/// tighter of both boxes can move a slope, and with it the bound of the margins, either way.
fn tightened(
    graph: &Graph,
    region: &Region,
    (start, interval): (usize, &Interval),
    units: &Tensor,
    layers: &[Layer],
    choices: &[Choice],
) -> Result<Interval> {
    let total = graph.nodes()[start].units();
    let (kind, device) = (graph.kind(), graph.device());
    let chunk = chunk(graph, 0..=start, kind) / 2;
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    let shape = batched(graph.shape(start));
    for from in (0..units.size()[0]).step_by(chunk as usize) {
        let units = units.narrow(0, from, chunk.min(units.size()[0] - from));
        let one = Tensor::zeros([units.size()[0], total], (kind, device));
        let one = one.scatter_value(1, &units.unsqueeze(1), 1.0);
        let rows = Tensor::cat(&[&one, &-&one], 0).reshape(&shape);
        let found = backward(graph, region, (start, rows), layers, choices)?.sound();
        lower.push(found.narrow(0, 0, units.size()[0]));
        upper.push(-found.narrow(0, units.size()[0], units.size()[0]));
    }
    let put = |old: &Tensor, new: &[Tensor]| {
        (old.flatten(0, -1).index_copy(0, units, &Tensor::cat(new, 0))).reshape(old.size())
    };
    Ok(Interval {
        lower: put(&interval.lower, &lower),
        upper: put(&interval.upper, &upper),
    })
}

/// Rows that may be carried at once through these nodes; an even number, at least 2.
pub(super) fn chunk(graph: &Graph, nodes: RangeInclusive<usize>, kind: Kind) -> i64 {
    let widest = graph.nodes()[nodes].iter().map(Node::units).max().unwrap_or(1);
    let bytes = if kind == Kind::Double { 8 } else { 4 };
    (CHUNK / (widest * bytes)).max(2) & !1
}

/// Rows of the margins `logit_label - logit_target` of some targets, `[T, classes]`.
pub fn margins(classes: i64, label: i64, targets: &[i64], (kind, device): (Kind, Device)) -> Tensor {
    let rows = Tensor::zeros([targets.len() as i64, classes], (kind, device));
    let columns = Tensor::from_slice(targets).to_device(device).unsqueeze(1);
    let rows = rows.scatter_value(1, &columns, -1.0);
    let _ = rows.select(1, label).fill_(1.0);
    rows
}
