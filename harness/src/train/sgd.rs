//! SGD with momentum and weight decay, whose state can be saved: tch's own cannot, and a
//! resume without it would train something else.
//!
//! Parameters, gradients and velocities each lie in one piece of memory, of which the tensors are
//! views: an update is a handful of operations, not a handful for each of a hundred tensors
//! (at batch 128 a GPU would wait for the launches).

use crate::nn::params::Params;
use std::ops::Range;
use tch::{Kind, Tensor, no_grad_guard};

/// `v <- momentum * v + (g + decay * p)`, `p <- p - lr * v`, with Nesterov's momentum
/// `p <- p - lr * (g + decay * p + momentum * v)` (PyTorch's SGD).
#[derive(Debug)]
pub struct Sgd {
    slots: Vec<Slot>,
    /// All parameters, `[total]`.
    params: Tensor,
    gradients: Tensor,
    velocities: Tensor,
    /// Share of the velocity that is kept.
    pub momentum: f64,
    decay: f64,
    /// Nesterov's form of momentum.
    pub nesterov: bool,
}

/// One trainable tensor and its place in the whole.
#[derive(Debug)]
struct Slot {
    name: String,
    param: Tensor,
    /// View of the velocities, in the parameter's shape.
    velocity: Tensor,
    /// Where it is in the whole, with what fills it up to [`ALIGNED`].
    place: Range<i64>,
    /// Whether its gradient is a view of the gradients: from its first backward pass on.
    adopted: bool,
}

impl Slot {
    /// This slot's part of a whole, in the parameter's shape.
    fn view(&self, whole: &Tensor) -> Tensor {
        part(whole, self.place.start, &self.param.size())
    }
}

fn part(whole: &Tensor, start: i64, shape: &[i64]) -> Tensor {
    whole.narrow(0, start, shape.iter().product()).view(shape)
}

/// Tensors begin at multiples of so many values (64 bytes), as if each had its own memory:
/// matrix kernels may sum in another order elsewhere.
const ALIGNED: usize = 16;

impl Sgd {
    /// An optimiser of all trainable tensors, at rest.
    pub fn new(params: &Params, momentum: f64, decay: f64) -> Self {
        let _guard = no_grad_guard();
        let trainable: Vec<_> = params.iter().filter(|param| param.trainable).collect();
        let room = |tensor: &Tensor| tensor.numel().next_multiple_of(ALIGNED) as i64;
        let total: i64 = trainable.iter().map(|param| room(&param.tensor)).sum();
        let kind = trainable.first().map_or(Kind::Float, |param| param.tensor.kind());
        let whole = Tensor::zeros([total], (kind, params.device()));
        let velocities = whole.zeros_like();
        let mut end = 0;
        let slots = trainable.into_iter().map(|param| {
            let start = end;
            end += room(&param.tensor);
            let shape = param.tensor.size();
            let mut own = part(&whole, start, &shape);
            own.copy_(&param.tensor);
            let mut tensor = param.tensor.shallow_clone();
            tensor.set_data(&own);
            Slot {
                name: param.name.clone(),
                param: tensor,
                velocity: part(&velocities, start, &shape),
                place: start..end,
                adopted: false,
            }
        });
        Self {
            slots: slots.collect(),
            gradients: whole.zeros_like(),
            params: whole,
            velocities,
            momentum,
            decay,
            nesterov: false,
        }
    }

    /// Forgets the gradients of the last step.
    pub fn zero_grad(&mut self) {
        let _ = self.gradients.zero_();
    }

    /// One update. A tensor that never took part in the loss is left alone, as in PyTorch.
    pub fn step(&mut self, lr: f64) {
        let _guard = no_grad_guard();
        self.adopt();
        for run in self.runs() {
            let of = |whole: &Tensor| whole.narrow(0, run.start, run.end - run.start);
            let (mut params, mut velocities) = (of(&self.params), of(&self.velocities));
            let total = of(&self.gradients) + &params * self.decay;
            let _ = velocities.g_mul_scalar_(self.momentum);
            let _ = velocities.g_add_(&total);
            if self.nesterov {
                let _ = params.g_sub_(&((total + &velocities * self.momentum) * lr));
            } else {
                let _ = params.g_sub_(&(&velocities * lr));
            }
        }
    }

    /// Makes gradients that have come to be into views of the whole; later backward passes add
    /// to them in place.
    fn adopt(&mut self) {
        for slot in &mut self.slots {
            let mut gradient = slot.param.grad();
            if slot.adopted || !gradient.defined() {
                continue;
            }
            let mut view = slot.view(&self.gradients);
            view.copy_(&gradient);
            gradient.set_data(&view);
            slot.adopted = true;
        }
    }

    /// Stretches of neighbouring tensors that have gradients.
    fn runs(&self) -> Vec<Range<i64>> {
        let mut runs: Vec<Range<i64>> = Vec::new();
        for slot in self.slots.iter().filter(|slot| slot.adopted) {
            match runs.last_mut() {
                Some(run) if run.end == slot.place.start => run.end = slot.place.end,
                _ => runs.push(slot.place.clone()),
            }
        }
        runs
    }

    /// Name and velocity of every tensor, to be saved or overwritten in place.
    pub fn velocities(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), &slot.velocity))
    }
}
