//! libtorch's CPU random stream, for one-to-one comparison with the AutoAttack reference.
//!
//! The generator is MT19937 seeded by `init_genrand`, the engine under NumPy's legacy stream
//! as well. A generator of our own leaves libtorch's global one alone, so two comparisons
//! can run at once.

use rlnet_corruptions::random::NumpyRng;
use tch::{Device, Tensor};

/// The stream after `torch.manual_seed(seed)`.
#[derive(Debug, Clone)]
pub(super) struct TorchStream(Box<NumpyRng>);

impl TorchStream {
    /// libtorch keeps the lower 32 bits of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(Box::new(NumpyRng::new(seed as u32)))
    }

    /// One draw of `torch.rand`: 24 bits of one word.
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u32() & 0x00ff_ffff) as f32 / (1 << 24) as f32
    }

    /// `torch.rand(shape)`.
    pub(super) fn rand(&mut self, shape: &[i64], device: Device) -> Tensor {
        let count = shape.iter().product::<i64>();
        let values: Vec<f32> = (0..count).map(|_| self.unit()).collect();
        Tensor::from_slice(&values).reshape(shape).to_device(device)
    }

    /// `torch.randn(shape)` of 16 values or more: the Box-Muller transform of blocks of 16
    /// uniform draws, a ragged end drawn anew. Equal to libtorch's to within the rounding of
    /// its vectorised logarithm and cosine.
    pub(super) fn randn(&mut self, shape: &[i64], device: Device) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let mut values: Vec<f32> = (0..count).map(|_| self.unit()).collect();
        for block in values.chunks_exact_mut(BLOCK) {
            box_muller(block);
        }
        if count >= BLOCK && !count.is_multiple_of(BLOCK) {
            let end = &mut values[count - BLOCK..];
            end.fill_with(|| self.unit());
            box_muller(end);
        }
        Tensor::from_slice(&values).reshape(shape).to_device(device)
    }
}

const BLOCK: usize = 16;

fn box_muller(block: &mut [f32]) {
    let (near, far) = block.split_at_mut(BLOCK / 2);
    for (u, v) in near.iter_mut().zip(far) {
        let radius = (-2.0 * (1.0 - f64::from(*u)).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * f64::from(*v)).sin_cos();
        (*u, *v) = ((radius * cos) as f32, (radius * sin) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.manual_seed(0)`, then `torch.rand(3)` or `torch.randn(20)`, as PyTorch prints
    /// them.
    #[test]
    fn the_stream_is_pytorchs() {
        let close = |ours: &Tensor, want: &[f32]| {
            let first = ours.narrow(0, 0, want.len() as i64);
            let away = (first - Tensor::from_slice(want)).abs().max();
            assert!(away.double_value(&[]) < 1e-4, "{ours} for {want:?}");
        };
        let mut stream = TorchStream::new(0);
        close(&stream.rand(&[3], Device::Cpu), &[0.4963, 0.7682, 0.0885]);
        let mut stream = TorchStream::new(0);
        let want = [
            -1.1258, -1.1524, -0.2506, -0.4339, 0.8487, 0.6920, -0.3160, -2.1152, 0.3223, -1.2633, 0.3500,
            0.3081, 0.1198, 1.2377, 1.1168, -0.2473,
        ];
        close(&stream.randn(&[16], Device::Cpu), &want);
    }
}
