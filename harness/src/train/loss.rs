//! The method's losses. Source: the reference code's formulas; the paper calls the attention
//! transfer PRAM loss.

use rlnet_suites::objective::Pram;
use tch::{Kind, Tensor};

/// Cross entropy, mean over the batch. `logits` `[N, classes]`, `labels` `[N]` int64.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    // Not tch's `cross_entropy_for_logits`, which rounds to single precision.
    logits.log_softmax(-1, logits.kind()).nll_loss(labels)
}

/// How labels are smoothed.
#[derive(Debug)]
pub enum Smooth {
    /// A share of each is spread evenly over all classes (PyTorch's `label_smoothing`).
    Even(f64),
    /// A share of each goes to the other classes, in these proportions, `[N, classes]`.
    Among(f64, Tensor),
}

impl Smooth {
    /// The smoothed labels, `[N, classes]`.
    pub fn targets(&self, labels: &Tensor, classes: i64, kind: Kind) -> Tensor {
        let hard = labels.one_hot(classes).to_kind(kind);
        match self {
            Self::Even(share) => hard * (1.0 - share) + share / classes as f64,
            Self::Among(share, proportions) => {
                let others: Tensor = proportions.to_kind(kind) * (1.0 - &hard);
                let sum = others.sum_dim_intlist([1_i64].as_slice(), true, kind);
                hard * (1.0 - share) + others / sum.clamp_min(1e-12) * *share
            }
        }
    }
}

/// Cross entropy to smoothed labels.
pub fn smooth_cross_entropy(logits: &Tensor, labels: &Tensor, smooth: &Smooth) -> Tensor {
    let hard = || cross_entropy(logits, labels);
    let log_p = || logits.log_softmax(-1, logits.kind());
    match smooth {
        Smooth::Even(0.0) => hard(),
        Smooth::Even(share) => hard() * (1.0 - share) - log_p().mean(logits.kind()) * *share,
        Smooth::Among(..) => {
            let [n, classes] = [logits.size()[0], logits.size()[1]];
            let targets = smooth.targets(labels, classes, logits.kind());
            -(targets * log_p()).sum(logits.kind()) / n as f64
        }
    }
}

/// `T² / N * Σ p_t (log p_t - log p_s)`, both softened by the temperature `T`
/// (Hinton et al., 2015). The teacher is the target and a constant.
pub fn distillation(student: &Tensor, teacher: &Tensor, temperature: f64) -> Tensor {
    divergence(student, &teacher.detach(), temperature)
}

/// The same with gradient through both sides.
fn divergence(logits: &Tensor, target: &Tensor, temperature: f64) -> Tensor {
    let n = logits.size()[0] as f64;
    let target = (target / temperature).log_softmax(1, logits.kind());
    let log_p = (logits / temperature).log_softmax(1, logits.kind());
    (target.exp() * (target - log_p)).sum(logits.kind()) * (temperature * temperature / n)
}

/// `CE(clean) + lambda * KL_T(adversarial || clean)`, gradient through both logits (Zhang et
/// al., TRADES, ICML 2019, with the reference's temperature).
pub fn trades(
    clean: &Tensor,
    adversarial: &Tensor,
    labels: &Tensor,
    lambda: f64,
    temperature: f64,
) -> Tensor {
    cross_entropy(clean, labels) + divergence(adversarial, clean, temperature) * lambda
}

/// Jensen-Shannon divergence of several views' predictions of the same images, mean over the
/// batch: the mean KL of each to their mixture (Hendrycks et al., AugMix, ICLR 2020).
pub fn jensen_shannon(views: &[&Tensor]) -> Tensor {
    let probabilities: Vec<Tensor> = views
        .iter()
        .map(|logits| logits.softmax(1, logits.kind()))
        .collect();
    let mixture = mean(probabilities.iter().map(Tensor::shallow_clone).collect());
    // AugMix's bounds: the logarithm of a prediction that underflowed stays finite.
    let log_mixture = mixture.clamp(1e-7, 1.0).log();
    let terms = probabilities.iter().zip(views).map(|(p, logits)| {
        let n = logits.size()[0] as f64;
        (p * (logits.log_softmax(1, logits.kind()) - &log_mixture)).sum(logits.kind()) / n
    });
    mean(terms.collect())
}

/// The attention term in one of its forms; beta stays outside.
pub fn pram(form: Pram, student: &[Tensor], teacher: &[Tensor]) -> Tensor {
    match form {
        Pram::Attention => attention_transfer(student, teacher),
        Pram::SenetBatch => senet(student, teacher, |map| map.flatten(0, -1).unsqueeze(0)),
        Pram::SenetImage => senet(student, teacher, |map| map.flatten(1, -1)),
    }
}

/// SENet's formula (Kundu et al., ICLR 2023): `1/2 Σ_l ‖s/‖s‖ - t/‖t‖‖`, Euclidean norms over
/// the rows that `rows` makes of a map, mean over rows. Teacher maps are constants.
fn senet(student: &[Tensor], teacher: &[Tensor], rows: fn(&Tensor) -> Tensor) -> Tensor {
    let length = |rows: &Tensor| rows.norm_scalaropt_dim(2, [1_i64].as_slice(), true);
    let unit = |map: &Tensor| {
        let rows = rows(map);
        let norm = length(&rows);
        // Keeps an all-zero map at zero.
        rows / norm.clamp_min(1e-12)
    };
    let terms = student.iter().zip(teacher).map(|(student, teacher)| {
        let difference = unit(student) - unit(&teacher.detach());
        length(&difference).mean(student.kind()) * 0.5
    });
    mean_or_sum(terms.collect(), false)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_labels_worked_by_hand() {
        // log p = ln 1/2, ln 1/4, ln 1/4: 0.7 * ln 2 + 0.3 * (ln 2 + 2 ln 4) / 3.
        let logits = Tensor::from_slice(&[0.5_f64, 0.25, 0.25]).log().reshape([1, 3]);
        let label = Tensor::from_slice(&[0_i64]);
        let ln2 = std::f64::consts::LN_2;
        let want = 0.7 * ln2 + 0.3 * (ln2 + 4.0 * ln2) / 3.0;
        let got = smooth_cross_entropy(&logits, &label, &Smooth::Even(0.3)).double_value(&[]);
        assert!((got - want).abs() < 1e-12, "{got} against {want}");
        // 0.3 shared 1 : 2 between the others, whose logarithms are alike.
        let among = Smooth::Among(0.3, Tensor::from_slice(&[7.0_f64, 1.0, 2.0]).reshape([1, 3]));
        let targets =
            Vec::<f64>::try_from(among.targets(&label, 3, Kind::Double).flatten(0, -1)).expect("targets");
        for (got, want) in targets.iter().zip([0.7, 0.1, 0.2]) {
            assert!((got - want).abs() < 1e-12, "{targets:?}");
        }
        let got = smooth_cross_entropy(&logits, &label, &among).double_value(&[]);
        let want = 0.7 * ln2 + 0.3 * 2.0 * ln2;
        assert!((got - want).abs() < 1e-12, "{got} against {want}");
    }

    #[test]
    fn jensen_shannon_of_predictions_worked_by_hand() {
        // p = (1/2, 1/2), q = (3/4, 1/4), mixture (5/8, 3/8).
        let logits = |p: [f64; 2]| Tensor::from_slice(&p).log().reshape([1, 2]);
        let (p, q) = (logits([0.5, 0.5]), logits([0.75, 0.25]));
        let kl = |p: [f64; 2]| p[0] * (p[0] / 0.625).ln() + p[1] * (p[1] / 0.375).ln();
        let want = (kl([0.5, 0.5]) + kl([0.75, 0.25])) / 2.0;
        let got = jensen_shannon(&[&p, &q]).double_value(&[]);
        assert!((got - want).abs() < 1e-12, "{got} against {want}");
        assert!(jensen_shannon(&[&p, &p]).double_value(&[]).abs() < 1e-12);
    }
}
