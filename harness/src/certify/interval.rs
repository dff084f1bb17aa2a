//! Interval bounds (IBP, Gowal et al., arXiv 1810.12715): a box around every value, forwards, for a whole batch.
//!
//! The first layer that mixes values is exact for a box. For an L2 ball its units are `c x0 ± eps |c|_2`, which
//! is exact too; both are taken and the tighter one counts.

use super::graph::{Exact, Graph, Node, Op};
use super::region::Region;
use super::rounding;
use crate::error::Result;
use tch::Tensor;

/// A box around the values of a node, `[N, ...]`.
#[derive(Debug)]
pub struct Interval {
    /// Lowest values.
    pub lower: Tensor,
    /// Highest values.
    pub upper: Tensor,
}

impl Interval {
    fn new(centre: &Tensor, radius: &Tensor) -> Self {
        Self {
            lower: centre - radius,
            upper: centre + radius,
        }
    }

    fn copy(&self) -> Self {
        Self {
            lower: self.lower.shallow_clone(),
            upper: self.upper.shallow_clone(),
        }
    }
}

/// What flows through the graph.
struct Flow {
    interval: Interval,
    /// For an L2 ball, while values have not been mixed twice: the image of its centre, and the squared length of
    /// each value's coefficients.
    ball: Option<(Tensor, Tensor)>,
}

/// Sends a region through a graph. `tighten` may replace the box before a ReLU layer, whose place in the graph it
/// is told, by a smaller one. Gives the boxes before the ReLU layers, in their order, and that of `rows`
/// `[T, classes]` of the logits, which are put together with the last matrix.
///
/// # Errors
/// When libtorch refuses, or `tighten` fails.
pub fn propagate(
    graph: &Graph,
    region: &Region,
    rows: &Tensor,
    mut tighten: impl FnMut(usize, Interval, &[Interval]) -> Result<Interval>,
) -> Result<(Vec<Interval>, Interval)> {
    let mut flows: Vec<Flow> = Vec::with_capacity(graph.nodes().len());
    let mut before = Vec::new();
    for (at, node) in graph.nodes().iter().enumerate() {
        let flow = match &node.op {
            Op::Input => Flow {
                interval: Interval {
                    lower: region.lower.shallow_clone(),
                    upper: region.upper.shallow_clone(),
                },
                ball: region
                    .ball
                    .as_ref()
                    .map(|(centre, _)| (centre.shallow_clone(), centre.ones_like())),
            },
            Op::Relu(relu) => {
                let input = tighten(at, flows[node.inputs[0]].interval.copy(), &before)?;
                let interval = Interval {
                    lower: relu.forward(&input.lower),
                    upper: relu.forward(&input.upper),
                };
                before.push(input);
                Flow { interval, ball: None }
            }
            _ => linear(graph, region, (at, node), &flows)?,
        };
        flows.push(flow);
    }
    // Margins go back through the linear operations at the end, which are one matrix with them.
    let (mut weight, mut at) = (rows.shallow_clone(), graph.last());
    let mut bias = Tensor::zeros([rows.size()[0]], (rows.kind(), rows.device()));
    loop {
        let node = &graph.nodes()[at];
        match &node.op {
            Op::Linear {
                weight: own,
                bias: shift,
            } => {
                if let Some(shift) = shift {
                    bias += weight.matmul(shift);
                }
                weight = weight.matmul(own);
            }
            Op::Affine { scale, shift } if node.shape.len() == 1 => {
                bias += (&weight * shift).sum_dim_intlist([1_i64].as_slice(), false, rows.kind());
                weight = &weight * scale;
            }
            _ => break,
        }
        at = node.inputs[0];
    }
    let merged = Node {
        op: Op::Linear {
            weight,
            bias: Some(bias),
        },
        inputs: vec![at],
        shape: vec![rows.size()[0]],
    };
    let margins = linear(graph, region, (graph.last(), &merged), &flows)?;
    Ok((before, margins.interval))
}

fn linear(graph: &Graph, region: &Region, (at, node): (usize, &Node), flows: &[Flow]) -> Result<Flow> {
    let input = &flows[node.inputs[0]];
    let Interval { lower, upper } = &input.interval;
    let (centre, radius) = ((lower + upper) * 0.5, (upper - lower) * 0.5);
    let share = rounding(graph.kind());
    // What rounding may add to every term goes into the radius before the terms are added up.
    let wider = || &radius + (centre.abs() + &radius) * share;
    let ball = input.ball.as_ref();
    let (mut interval, ball) = match &node.op {
        Op::Affine { scale, shift } => (
            Interval::new(
                &(&centre * scale + shift),
                &(wider() * scale.abs() + shift.abs() * share),
            ),
            ball.map(|(middle, squares)| (middle * scale + shift, squares * scale.square())),
        ),
        Op::Conv(conv) => {
            let mapped = graph_forward(node, &centre)?;
            let spread = conv.absolute(&wider())? + mapped.abs() * share;
            let ball = match ball {
                Some((middle, squares)) => Some((graph_forward(node, middle)?, conv.squared(squares)?)),
                None => None,
            };
            (Interval::new(&mapped, &spread), ball)
        }
        Op::Linear { weight, .. } => {
            let mapped = graph_forward(node, &centre)?;
            let spread = wider().f_linear(&weight.abs(), None::<&Tensor>)? + mapped.abs() * share;
            let ball = match ball {
                Some((middle, squares)) => Some((
                    graph_forward(node, middle)?,
                    squares.f_linear(&weight.square(), None::<&Tensor>)?,
                )),
                None => None,
            };
            (Interval::new(&mapped, &spread), ball)
        }
        Op::Add => {
            let other = &flows[node.inputs[1]].interval;
            (
                Interval {
                    lower: lower + &other.lower,
                    upper: upper + &other.upper,
                },
                None,
            )
        }
        _ => {
            let ball = match ball {
                Some((middle, squares)) => {
                    Some((graph_forward(node, middle)?, graph_forward(node, squares)?))
                }
                None => None,
            };
            (
                Interval {
                    lower: graph_forward(node, lower)?,
                    upper: graph_forward(node, upper)?,
                },
                ball,
            )
        }
    };
    let ball = ball.filter(|_| graph.exact(at) != Exact::Not);
    if let (Some((middle, squares)), Some((_, eps))) = (&ball, &region.ball) {
        let reach = squares.sqrt() * (*eps * (1.0 + share)) + middle.abs() * share;
        interval.lower = interval.lower.maximum(&(middle - &reach));
        interval.upper = interval.upper.minimum(&(middle + &reach));
    }
    Ok(Flow { interval, ball })
}

fn graph_forward(node: &Node, value: &Tensor) -> Result<Tensor> {
    node.forward(&[value])
}
