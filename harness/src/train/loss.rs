//! The method's losses. Source: the reference code's formulas; the paper calls the attention
//! transfer PRAM loss.

use tch::{Kind, Tensor};

/// Cross entropy, mean over the batch. `logits` `[N, classes]`, `labels` `[N]` int64.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy_for_logits(labels)
}

/// `T² / N * Σ p_t (log p_t - log p_s)`, both softened by the temperature `T`
/// (Hinton et al., 2015). The teacher is the target and a constant.
pub fn distillation(student: &Tensor, teacher: &Tensor, temperature: f64) -> Tensor {
    let n = student.size()[0] as f64;
    let target = (teacher.detach() / temperature).log_softmax(1, Kind::Float);
    let log_p = (student / temperature).log_softmax(1, Kind::Float);
    (target.exp() * (target - log_p)).sum(Kind::Float) * (temperature * temperature / n)
}

/// Attention transfer (Zagoruyko and Komodakis, ICLR 2017), summed over the layers: each map
/// `[N, C, H, W]` becomes its mean square over channels, flattened and L2-normalised per
/// image; the loss is the mean squared difference. Teacher maps are constants.
pub fn attention_transfer(student: &[Tensor], teacher: &[Tensor]) -> Tensor {
    let attention = |map: &Tensor| {
        let energy = map.square().mean_dim([1_i64].as_slice(), false, Kind::Float);
        let flat = energy.flatten(1, -1);
        let norm = flat.norm_scalaropt_dim(2, [1_i64].as_slice(), true);
        // PyTorch's `normalize`: the floor keeps an all-zero map at zero.
        &flat / norm.clamp_min(1e-12)
    };
    let terms = student.iter().zip(teacher).map(|(student, teacher)| {
        let difference = attention(student) - attention(&teacher.detach());
        difference.square().mean(Kind::Float)
    });
    mean_or_sum(terms.collect(), false)
}

/// Mean over the roles of a step.
pub fn mean(terms: Vec<Tensor>) -> Tensor {
    mean_or_sum(terms, true)
}

fn mean_or_sum(terms: Vec<Tensor>, mean: bool) -> Tensor {
    let n = terms.len();
    let sum = terms
        .into_iter()
        .reduce(|sum, term| sum + term)
        .unwrap_or_else(|| Tensor::from(0.0_f32));
    if mean && n > 1 { sum / n as f64 } else { sum }
}
