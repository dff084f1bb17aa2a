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

/// Bytes of one ReLU that the client stores between the phases.
pub const STORAGE_BYTES: u64 = 18_248;
/// Online bytes of one ReLU from server to client: garbled labels.
pub const DOWN_BYTES: u64 = 1_184;
/// Online bytes of one ReLU from client to server: a masked share.
pub const UP_BYTES: u64 = 9;

/// The network between client and server. Without numbers it is taken not to limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Link {
    /// Server to client, Mbit/s.
    pub down: Option<f64>,
    /// Client to server, Mbit/s.
    pub up: Option<f64>,
}

impl Link {
    /// Seconds that one ReLU's online bytes take.
    fn seconds(&self) -> f64 {
        let time = |bytes: u64, rate: Option<f64>| rate.map_or(0.0, |rate| 8.0 * bytes as f64 / (1e6 * rate));
        time(DOWN_BYTES, self.down) + time(UP_BYTES, self.up)
    }

    /// In words.
    pub fn said(&self) -> String {
        let rate = |what: &str, rate: Option<f64>| match rate {
            Some(rate) => format!("{what} {rate} Mbit/s"),
            None => format!("{what} not limiting"),
        };
        format!(
            "{}, {}",
            rate("server to client", self.down),
            rate("client to server", self.up)
        )
    }
}

/// The assumptions, to be printed wherever the numbers are.
pub const ASSUMPTIONS: &str = "Estimated by a linear cost model, not measured: Delphi-style garbled circuits with a server-class evaluator; latency = 0.09 s + 20.9 µs per ReLU (line through the latencies published for SNL, ICML 2022), plus the time of 1,184 B down and 9 B up per ReLU where the link's rate is given; 1,193 B online, 19,088 B offline and 18,248 B stored per ReLU (Garimella et al., ASPLOS 2023 artifact); linear layers' ciphertexts left out. Removed ReLUs cost nothing only in protocols that work element by element. A network with several norm branches must fix the branch before the offline phase, or pay that phase once a branch.";

/// Estimated cost of one private inference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PrivateCost {
    /// Online latency, seconds.
    pub seconds: f64,
    /// Online communication, bytes.
    pub online_bytes: u64,
    /// Offline communication for ReLUs, bytes.
    pub offline_bytes: u64,
    /// Garbled circuits that the client stores, bytes.
    pub storage_bytes: u64,
}

impl PrivateCost {
    /// The cost of `relus` ReLUs over a link.
    pub fn of(relus: u64, link: Link) -> Self {
        Self {
            seconds: ONLINE_BASE_SECONDS + (ONLINE_SECONDS + link.seconds()) * relus as f64,
            online_bytes: ONLINE_BYTES * relus,
            offline_bytes: OFFLINE_BYTES * relus,
            storage_bytes: STORAGE_BYTES * relus,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_meets_the_published_latencies() {
        // SENet (ICLR 2023), as quoted by later papers: 49.6k ReLUs 1.13 s, 82k 1.81 s.
        assert!((PrivateCost::of(49_600, Link::default()).seconds - 1.13).abs() < 0.01);
        assert!((PrivateCost::of(82_000, Link::default()).seconds - 1.81).abs() < 0.01);
        let fifty = PrivateCost::of(50_000, Link::default());
        assert_eq!(
            (fifty.online_bytes, fifty.offline_bytes),
            (59_650_000, 954_400_000)
        );
        assert_eq!(ONLINE_BYTES, DOWN_BYTES + UP_BYTES);
    }

    #[test]
    fn a_slow_link_adds_the_time_of_its_bytes() {
        // 50,000 ReLUs: 59.2 MB down at 500 Mbit/s 0.9472 s, 0.45 MB up at 100 Mbit/s 0.036 s.
        let link = Link {
            down: Some(500.0),
            up: Some(100.0),
        };
        let slower = PrivateCost::of(50_000, link).seconds - PrivateCost::of(50_000, Link::default()).seconds;
        assert!((slower - 0.9832).abs() < 1e-9, "{slower}");
        assert_eq!(
            link.said(),
            "server to client 500 Mbit/s, client to server 100 Mbit/s"
        );
    }
}
