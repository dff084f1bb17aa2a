//! What is between unstable units: affine functions, found by backward passes that stop at these units.

use crate::certify::crown::{Choice, Layer, backward, chunk};
use crate::certify::graph::{Graph, batched};
use crate::certify::region::Region;
use crate::certify::search::values;
use crate::error::Result;
use tch::{Kind, Tensor};

/// An affine function of the perturbation, whose values are in `[-1, 1]`, and of the outputs of units.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) constant: f64,
    pub(super) values: Vec<f64>,
    pub(super) units: Vec<f64>,
    /// Sum of the magnitudes of the terms that it was added up from.
    pub(super) magnitude: f64,
}

/// Where forms come from: a network in double precision.
pub(super) struct Forms<'a> {
    pub(super) graph: &'a Graph,
    pub(super) region: &'a Region,
    pub(super) layers: &'a [Layer],
}

impl Forms<'_> {
    /// Of the unstable units of a layer, before the ReLU.
    pub(super) fn before(&self, layer: &Layer) -> Result<Vec<Form>> {
        let at = self.graph.nodes()[layer.at].inputs[0];
        let total = self.graph.nodes()[at].units();
        let chunk = chunk(self.graph, 0..=at, Kind::Double);
        let mut forms = Vec::new();
        for from in (0..layer.width()).step_by(chunk as usize) {
            let units = layer.unstable.narrow(0, from, chunk.min(layer.width() - from));
            let rows = Tensor::zeros([units.size()[0], total], (Kind::Double, units.device()));
            let rows = rows.scatter_value(1, &units.unsqueeze(1), 1.0);
            forms.extend(self.of(at, &rows.reshape(batched(self.graph.shape(at))))?);
        }
        Ok(forms)
    }

    /// Of rows of a value. A pass in which every unstable unit is off leaves their outputs out; their coefficients are
    /// what it meets at them.
    pub(super) fn of(&self, at: usize, rows: &Tensor) -> Result<Vec<Form>> {
        let off = |layer: &Layer| {
            let none = layer.lower.zeros_like().unsqueeze(0);
            Choice {
                slope: none.shallow_clone(),
                split: Some((&none - 1.0, none)),
            }
        };
        let choices: Vec<Choice> = self.layers.iter().map(off).collect();
        let found = backward(
            self.graph,
            self.region,
            (at, rows.shallow_clone()),
            self.layers,
            &choices,
        )?;
        let sum = |terms: &Tensor| {
            terms
                .flatten(1, -1)
                .sum_dim_intlist([1_i64].as_slice(), false, Kind::Double)
        };
        let constant = found.constant + sum(&(&found.rows * self.region.centre()));
        let moved = (&found.rows * self.region.radius()).flatten(1, -1);
        let count = rows.size()[0];
        let mut magnitude = found.magnitude;
        let mut units = Vec::new();
        for (place, layer) in self.layers.iter().enumerate() {
            let met = found.at_relus.iter().find(|(of, _)| *of == place);
            let own = match met {
                Some((_, after)) => after * &layer.share,
                None => Tensor::zeros([count, layer.width()], (Kind::Double, rows.device())),
            };
            magnitude += sum(&(own.abs() * &layer.upper));
            units.push(own);
        }
        let none = Tensor::zeros([count, 0], (Kind::Double, rows.device()));
        let units = Tensor::cat(&std::iter::once(&none).chain(&units).collect::<Vec<_>>(), 1);
        let (constant, magnitude) = (values(&constant)?, values(&magnitude)?);
        let form = |row: i64| {
            Ok(Form {
                constant: constant[row as usize],
                values: values(&moved.get(row))?,
                units: values(&units.get(row))?,
                magnitude: magnitude[row as usize],
            })
        };
        (0..count).map(form).collect()
    }
}
