//! What a model's logits say of one image.

/// Class, margin and loss of one row of logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The largest logit's class; ties go to the lower one.
    pub prediction: u16,
    /// True logit minus the largest other one.
    pub margin: f32,
    /// Cross entropy, nats.
    pub loss: f32,
}

/// Judges one row. Plain Rust on purpose: the verdict must not depend on a device's argmax.
/// A NaN logit counts as wrong.
pub fn judge(logits: &[f32], label: u16) -> Prediction {
    let label_at = usize::from(label);
    let mut prediction = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > logits[prediction] {
            prediction = class;
        }
    }
    if logits.iter().any(|logit| logit.is_nan()) {
        prediction = usize::from(label_at == 0);
    }
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let other = logits
        .iter()
        .enumerate()
        .filter(|(class, _)| *class != label_at)
        .map(|(_, &logit)| logit)
        .fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|&logit| (f64::from(logit) - largest).exp())
        .sum();
    Prediction {
        prediction: prediction as u16,
        margin: logits[label_at] - other,
        loss: (largest + sum.ln() - f64::from(logits[label_at])) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_class_and_nan_is_wrong() {
        let verdict = judge(&[1.0, 1.0, 0.0], 1);
        assert_eq!((verdict.prediction, verdict.margin), (0, 0.0));
        let expected = (2.0 * 1.0_f64.exp() + 1.0).ln() - 1.0;
        assert!((f64::from(verdict.loss) - expected).abs() < 1e-6);
        for label in [0, 1] {
            assert_ne!(judge(&[f32::NAN, 0.0], label).prediction, label);
        }
    }
}
