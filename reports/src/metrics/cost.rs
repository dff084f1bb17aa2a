//! What the kept ReLUs would cost under private inference.
//!
//! A model, not a measurement: Delphi-style garbled circuits, server garbles, client
//! evaluates. The time is the line through SNL's published latencies (Cho et al., ICML
//! 2022; 9 points, R2 = 0.9987), the bytes are the per-ReLU counts of Garimella et al.
//! (ASPLOS 2023 artifact): 1,184 + 9 B online; 17,072 + 672 + 1,344 B offline.

use serde::Serialize;

/// Online seconds of everything but ReLUs.
pub const ONLINE_BASE_SECONDS: f64 = 0.09;
/// Online seconds of one ReLU.
pub const ONLINE_SECONDS: f64 = 20.9e-6;
/// Online bytes of one ReLU.
pub const ONLINE_BYTES: u64 = 1_193;
/// Offline bytes of one ReLU.
pub const OFFLINE_BYTES: u64 = 19_088;

/// The assumptions, to be printed wherever the numbers are.
pub const ASSUMPTIONS: &str = "Estimated by a linear cost model, not measured: Delphi-style garbled circuits with a server-class evaluator and bandwidth not limiting; latency = 0.09 s + 20.9 µs per ReLU (line through the latencies published for SNL, ICML 2022), 1,193 B online and 19,088 B offline per ReLU (Garimella et al., ASPLOS 2023 artifact); linear layers' ciphertexts left out. Removed ReLUs cost nothing only in protocols that work element by element. A network with several norm branches must fix the branch before the offline phase, or pay that phase once a branch.";

/// Estimated cost of one private inference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PrivateCost {
    /// Online latency, seconds.
    pub seconds: f64,
    /// Online communication, bytes.
    pub online_bytes: u64,
    /// Offline communication for ReLUs, bytes.
    pub offline_bytes: u64,
}

impl PrivateCost {
    /// The cost of `relus` ReLUs.
    pub fn of(relus: u64) -> Self {
        Self {
            seconds: ONLINE_BASE_SECONDS + ONLINE_SECONDS * relus as f64,
            online_bytes: ONLINE_BYTES * relus,
            offline_bytes: OFFLINE_BYTES * relus,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_meets_the_published_latencies() {
        // SENet (ICLR 2023), as quoted by later papers: 49.6k ReLUs 1.13 s, 82k 1.81 s.
        assert!((PrivateCost::of(49_600).seconds - 1.13).abs() < 0.01);
        assert!((PrivateCost::of(82_000).seconds - 1.81).abs() < 0.01);
        let fifty = PrivateCost::of(50_000);
        assert_eq!(
            (fifty.online_bytes, fifty.offline_bytes),
            (59_650_000, 954_400_000)
        );
    }
}
