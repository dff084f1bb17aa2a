//! A model in another process: of any framework, on its own device.
//!
//! The harness asks a model for two things: logits, and the gradient of a loss with respect to the images. Both
//! go over a local socket, with the arrays in a file that both sides map (`docs/python/protocol.md`). The other
//! end is the `rlnet` package for Python, or anything else that speaks the protocol.

mod connection;
mod process;

pub use process::{Launch, Server};

use crate::attack::{Classifier, Tape};
use crate::error::{Error, Result};
use connection::{Connection, Reply};
use rlnet_suites::Branch;
use serde_json::json;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

/// How long one answer may take where nobody says: a batch of a large network on a slow machine takes minutes, a
/// server that hangs takes for ever.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// What a server says of its model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Description {
    /// The model's name.
    pub name: String,
    /// The framework and its version.
    pub framework: String,
    /// Changes when the model's answers may change.
    pub fingerprint: String,
    /// Whether gradients can be asked for.
    pub gradients: bool,
}

/// A model that a server answers for. Its images and logits are on the CPU; where it computes is its own matter.
#[derive(Debug)]
pub struct Served {
    connection: RefCell<Connection>,
    description: Description,
}

impl Served {
    /// Connects to a server that listens at `socket`, and may take so long for an answer.
    ///
    /// # Errors
    /// When nobody listens there, or the server speaks another version of the protocol.
    pub fn connect(socket: &Path, patience: Duration) -> Result<Self> {
        let mut connection = Connection::open(socket, patience)?;
        let description = connection.hello()?;
        Ok(Self {
            connection: RefCell::new(connection),
            description,
        })
    }

    /// What the server said of the model.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Sends an array with a request, and gives back the array of the reply, whose sides lie in these ranges.
    fn exchange(
        &self,
        mut request: serde_json::Value,
        array: &Tensor,
        sides: &[RangeInclusive<i64>],
    ) -> Result<(Tensor, Reply)> {
        let mut connection = self.connection.borrow_mut();
        let array = array.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut bytes = vec![0; 4 * array.numel()];
        array.f_copy_data_u8(&mut bytes, array.numel())?;
        let most: i64 = sides.iter().map(RangeInclusive::end).product();
        let out = connection.place(&bytes, 4 * most.unsigned_abs())?;
        request["at"] = json!(0);
        request["out"] = json!(out);
        request["shape"] = json!(array.size());
        let reply = connection.ask(&request)?;
        let shape = reply.shape.clone().unwrap_or_default();
        if shape.len() != sides.len() || !sides.iter().zip(&shape).all(|(range, side)| range.contains(side)) {
            return Err(Error::Model(format!(
                "{}: the server answers {} with an array {shape:?} where the sides must be {sides:?}",
                self.description.name, request["op"]
            )));
        }
        let data = connection.fetch(out, 4 * shape.iter().product::<i64>().unsigned_abs())?;
        Ok((Tensor::f_from_data_size(&data, &shape, Kind::Float)?, reply))
    }

    /// The sides of logits: how many classes there are is known once they are there.
    fn logits_sides(images: &Tensor) -> [RangeInclusive<i64>; 2] {
        let n = images.size()[0];
        [n..=n, 1..=connection::MOST_CLASSES]
    }
}

impl Classifier for Served {
    fn logits(&self, images: &Tensor, _branch: Branch) -> Result<Tensor> {
        let (logits, _) = self.exchange(json!({"op": "logits"}), images, &Self::logits_sides(images))?;
        Ok(logits)
    }

    fn branches(&self) -> &[Branch] {
        &[Branch::Single]
    }

    fn device(&self) -> Device {
        Device::Cpu
    }

    fn has_gradients(&self) -> bool {
        self.description.gradients
    }

    fn tape<'a>(&'a self, images: &Tensor) -> Box<dyn Tape + 'a> {
        Box::new(ServedTape {
            model: self,
            images: images.detach(),
            passes: Vec::new(),
        })
    }
}

/// Passes whose gradients the server can still compute.
struct ServedTape<'a> {
    model: &'a Served,
    images: Tensor,
    /// The server's number of each pass, and its logits as a leaf of the graph of the loss.
    passes: Vec<(u64, Tensor)>,
}

impl Tape for ServedTape<'_> {
    fn logits(&mut self, _branch: Branch) -> Result<Tensor> {
        let sides = Served::logits_sides(&self.images);
        let (logits, reply) = self
            .model
            .exchange(json!({"op": "forward"}), &self.images, &sides)?;
        let number = reply.pass.ok_or_else(|| {
            Error::Model(format!(
                "{}: the server answers `forward` without the number of the pass",
                self.model.description.name
            ))
        })?;
        let leaf = logits.set_requires_grad(true);
        self.passes.push((number, leaf.shallow_clone()));
        Ok(leaf)
    }

    fn gradient(&self, loss: &Tensor, keep: bool) -> Result<Tensor> {
        let leaves: Vec<&Tensor> = self.passes.iter().map(|(_, leaf)| leaf).collect();
        let cotangents = Tensor::f_run_backward(&[loss], &leaves, keep, false)?;
        let sides: Vec<_> = self.images.size().into_iter().map(|side| side..=side).collect();
        let mut sum: Option<Tensor> = None;
        for ((number, _), cotangent) in self.passes.iter().zip(cotangents) {
            let request = json!({"op": "backward", "pass": number});
            let (gradient, _) = self.model.exchange(request, &cotangent, &sides)?;
            sum = Some(match sum {
                Some(sum) => sum + gradient,
                None => gradient,
            });
        }
        sum.ok_or_else(|| Error::Internal("a gradient was asked for before any pass".to_owned()))
    }
}

impl Drop for ServedTape<'_> {
    fn drop(&mut self) {
        for (number, _) in &self.passes {
            // A server that is gone has forgotten the pass already.
            let _ = self
                .model
                .connection
                .borrow_mut()
                .ask(&json!({"op": "forget", "pass": number}));
        }
    }
}
