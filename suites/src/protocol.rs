//! What private inference costs: a profile a protocol, each constant with its source and how it was seen.
//!
//! A cost is a sum over constants: a value for each unit of something that is counted in a network ([`Per`]). A
//! profile is one file in `suites/published/protocols`; a link turns its bytes and rounds into time.

use crate::cell::{LinearRecord, ModelRecord};
use crate::error::{SuiteError, suggest};
use crate::results::Source;
use crate::words::words;
use serde::{Deserialize, Serialize};

/// The profiles that come with the program.
const FILES: [(&str, &str); 5] = [
    ("delphi", include_str!("../published/protocols/delphi.toml")),
    (
        "half-gates",
        include_str!("../published/protocols/half-gates.toml"),
    ),
    (
        "spu-cheetah",
        include_str!("../published/protocols/spu-cheetah.toml"),
    ),
    (
        "spu-semi2k",
        include_str!("../published/protocols/spu-semi2k.toml"),
    ),
    ("crypten", include_str!("../published/protocols/crypten.toml")),
];

/// The profile that is shown where none is named.
pub const DEFAULT: &str = "delphi";

/// When a cost arises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before the image is known.
    Offline,
    /// From the image to the logits.
    Online,
}

/// What a cost is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Convolutions, head and whatever else has no ReLU.
    Linear,
    /// Kept ReLUs.
    Relu,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Computation of both parties, seconds of the source's machines.
    Seconds,
    /// Bytes from server to client.
    BytesDown,
    /// Bytes from client to server.
    BytesUp,
    /// Times that one party waits for the other.
    Rounds,
    /// Bytes that the client stores between the phases.
    StoredBytes,
}

/// What a constant is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// One inference.
    Inference,
    /// A kept ReLU.
    Relu,
    /// A layer that keeps a ReLU.
    ReluLayer,
    /// A multiply-accumulate.
    Mac,
    /// A linear layer.
    LinearLayer,
    /// A value that enters a linear layer.
    Input,
    /// A value of a linear layer's input as the matrix of a product (im2col).
    Column,
    /// A weight.
    Weight,
    /// A value that leaves a linear layer.
    Output,
    /// A ciphertext of 8,192 slots that a product's encrypted factor fills.
    EncryptedFactor,
    /// A ciphertext of 8,192 slots that a product's result fills.
    EncryptedResult,
}

/// What a network asks of a protocol.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workload {
    /// Its linear layers.
    pub linear: Vec<LinearRecord>,
    /// Kept ReLUs.
    pub relus: u64,
    /// Layers that keep at least one.
    pub relu_layers: u64,
}

impl Workload {
    /// Of a model as it is, and with every ReLU.
    pub fn of(model: &ModelRecord) -> [Self; 2] {
        let layers = &model.layers;
        let own = Self {
            linear: model.products(),
            relus: model.kept(),
            relu_layers: layers.iter().filter(|layer| layer.kept > 0).count() as u64,
        };
        let all = Self {
            linear: model.linear.clone(),
            relus: model.total(),
            relu_layers: layers.len() as u64,
        };
        [own, all]
    }

    fn count(&self, per: Per) -> f64 {
        let layers = |of: fn(&LinearRecord) -> u64| self.linear.iter().map(of).sum::<u64>() as f64;
        match per {
            Per::Inference => 1.0,
            Per::Relu => self.relus as f64,
            Per::ReluLayer => self.relu_layers as f64,
            Per::LinearLayer => self.linear.len() as f64,
            Per::Mac => layers(LinearRecord::macs),
            Per::Input => layers(|layer| layer.input),
            Per::Column => layers(|layer| layer.rows * layer.inner * layer.groups),
            Per::Weight => layers(|layer| layer.inner * layer.columns * layer.groups),
            Per::Output => layers(LinearRecord::outputs),
            Per::EncryptedFactor => layers(|layer| layer.groups * encrypted_factor(layer)),
            Per::EncryptedResult => {
                let results = |layer: &LinearRecord| match layer.rows {
                    // A single row comes back unpacked, as half of a ciphertext (SPU's log of the head).
                    1 => 0.5,
                    rows => (layer.groups * (rows * layer.columns).div_ceil(SLOTS)) as f64,
                };
                self.linear.iter().map(results).sum()
            }
        }
    }
}

/// Coefficients of a ciphertext.
const SLOTS: u64 = 8192;

/// Ciphertexts of the factor that is encrypted in a product of matrices `[rows, inner]` and `[inner, columns]`: both
/// are cut into tiles of powers of two whose product of three sides fills a ciphertext; the cheaper factor is
/// encrypted (Cheetah, section 3; SPU's choice of tiles).
fn encrypted_factor(layer: &LinearRecord) -> u64 {
    let sides = |most: u64| {
        (0..=13)
            .map(|power| 1 << power)
            .take_while(move |side| *side <= most.max(1))
    };
    let tiles = |inner: u64, outer: u64, whole: u64| -> u64 {
        let room = SLOTS / inner;
        let side = sides(outer.min(room)).last().unwrap_or(1);
        whole.div_ceil(inner) * outer.div_ceil(side)
    };
    let least = sides(layer.inner).map(|inner| {
        let left = tiles(inner, layer.rows, layer.inner);
        let right = tiles(inner, layer.columns, layer.inner);
        left.min(right)
    });
    least.min().unwrap_or(0)
}

words! {
    /// Links whose rates and delays this project chose, for comparison.
    pub enum NamedLink, "link" {
        /// 1 Gbit/s both ways, 0.3 ms a round.
        Lan = "lan",
        /// 200 Mbit/s both ways, 40 ms a round.
        Wan = "wan",
        /// 50 Mbit/s down, 10 Mbit/s up, 60 ms a round.
        Mobile = "mobile",
    }
}

/// The network between client and server. Without numbers it is taken not to limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Link {
    /// Server to client, Mbit/s.
    pub down: Option<f64>,
    /// Client to server, Mbit/s.
    pub up: Option<f64>,
    /// Of a round, ms.
    pub delay: f64,
}

impl From<NamedLink> for Link {
    fn from(name: NamedLink) -> Self {
        let (down, up, delay) = match name {
            NamedLink::Lan => (1000.0, 1000.0, 0.3),
            NamedLink::Wan => (200.0, 200.0, 40.0),
            NamedLink::Mobile => (50.0, 10.0, 60.0),
        };
        Self {
            down: Some(down),
            up: Some(up),
            delay,
        }
    }
}

impl Link {
    /// Seconds that a cost takes, computation and communication one after the other.
    pub fn seconds(&self, cost: &Cost) -> f64 {
        let time = |bytes: f64, rate: Option<f64>| rate.map_or(0.0, |rate| 8.0 * bytes / (1e6 * rate));
        cost.seconds + time(cost.down, self.down) + time(cost.up, self.up) + cost.rounds * self.delay / 1e3
    }

    /// In words.
    pub fn said(&self) -> String {
        let rate = |what: &str, rate: Option<f64>| match rate {
            Some(rate) => format!("{what} {rate} Mbit/s"),
            None => format!("{what} not limiting"),
        };
        let delay = match self.delay {
            0.0 => String::new(),
            delay => format!(", {delay} ms a round"),
        };
        format!(
            "{}, {}{delay}",
            rate("server to client", self.down),
            rate("client to server", self.up)
        )
    }
}

/// What something costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Computation, seconds; 0 where the profile knows none.
    pub seconds: f64,
    /// Bytes from server to client.
    pub down: f64,
    /// Bytes from client to server.
    pub up: f64,
    /// Rounds.
    pub rounds: f64,
    /// Bytes that the client stores.
    pub stored: f64,
}

impl Cost {
    /// Bytes both ways.
    pub fn bytes(&self) -> f64 {
        self.down + self.up
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self {
            seconds: sum.seconds + cost.seconds,
            down: sum.down + cost.down,
            up: sum.up + cost.up,
            rounds: sum.rounds + cost.rounds,
            stored: sum.stored + cost.stored,
        })
    }
}

/// One constant of a profile.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constant {
    phase: Phase,
    of: Part,
    quantity: Quantity,
    per: Per,
    value: f64,
    source: String,
}

/// A measurement that a profile is tested against.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The architecture, as on the command line.
    pub arch: String,
    /// Side of the image, pixels.
    pub image_size: u64,
    /// Kept ReLUs, in every ReLU layer (in none, when 0).
    pub relus: u64,
    /// Bytes both ways, both phases as far as the profile has them.
    pub bytes: f64,
    /// Whether constants of the profile were fitted to it.
    pub fitted: bool,
    /// Where it was seen.
    pub source: String,
}

/// A protocol as it was set up and measured somewhere.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    schema: u32,
    /// Its name on the command line.
    pub name: String,
    /// Its name in reports.
    pub title: String,
    /// Who must be trusted, and with what.
    pub security: String,
    /// What must be known to read its costs.
    pub note: String,
    source: Vec<Source>,
    cost: Vec<Constant>,
    /// Measurements that it is tested against.
    #[serde(default)]
    pub measured: Vec<Recorded>,
}

impl Profile {
    /// The profiles that come with the program.
    ///
    /// # Errors
    /// When one of them is damaged: a defect of this program, found by its tests.
    pub fn all() -> Result<Vec<Self>, SuiteError> {
        FILES.iter().map(|(name, text)| Self::parse(text, name)).collect()
    }

    /// The profile of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(name: &str) -> Result<Self, SuiteError> {
        match FILES.iter().find(|(known, _)| *known == name) {
            Some((known, text)) => Self::parse(text, known),
            None => Err(SuiteError::value(
                "protocol",
                name,
                suggest(name, FILES.iter().map(|(known, _)| *known)),
            )),
        }
    }

    /// Reads a profile; `file` names it in errors.
    ///
    /// # Errors
    /// When the text is no profile, has another schema, or a constant without a source.
    pub fn parse(text: &str, file: &str) -> Result<Self, SuiteError> {
        let bad = |message: String| SuiteError::File {
            file: file.to_owned(),
            message,
        };
        let profile: Self = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        if profile.schema != 1 {
            return Err(bad(format!(
                "schema {} is not known; this version reads 1",
                profile.schema
            )));
        }
        let constants = profile.cost.iter().map(|constant| &constant.source);
        for key in constants.chain(profile.measured.iter().map(|recorded| &recorded.source)) {
            if !profile.source.iter().any(|source| source.key == *key) {
                return Err(bad(format!("no source `{key}`")));
            }
        }
        if let Some(constant) = profile
            .cost
            .iter()
            .find(|constant| constant.value.is_nan() || constant.value < 0.0)
        {
            return Err(bad(format!("a cost of {} is no cost", constant.value)));
        }
        Ok(profile)
    }

    /// What a part of a network costs in a phase; nothing where the profile says nothing of it.
    pub fn cost(&self, workload: &Workload, phase: Phase, part: Part) -> Option<Cost> {
        let mut own = self
            .cost
            .iter()
            .filter(|c| c.phase == phase && c.of == part)
            .peekable();
        own.peek()?;
        Some(own.map(|constant| constant.on(workload)).sum())
    }

    /// What a network costs in a phase, or in both.
    pub fn total(&self, workload: &Workload, phase: Option<Phase>) -> Cost {
        let own = self
            .cost
            .iter()
            .filter(|c| phase.is_none_or(|phase| c.phase == phase));
        own.map(|constant| constant.on(workload)).sum()
    }

    /// Whether it says what linear layers cost: else its sums are of the ReLUs alone.
    pub fn knows_linear_layers(&self) -> bool {
        self.cost.iter().any(|constant| constant.of == Part::Linear)
    }

    /// Whether it says how long computation takes: else a time is that of its bytes and rounds alone.
    pub fn knows_seconds(&self) -> bool {
        self.cost
            .iter()
            .any(|constant| constant.quantity == Quantity::Seconds)
    }

    /// Its sources, in a line each.
    pub fn sources(&self) -> impl Iterator<Item = String> {
        self.source.iter().map(|source| {
            let note = if source.note.is_empty() {
                String::new()
            } else {
                format!(" ({})", source.note)
            };
            format!(
                "{}, {} [{}]{note}",
                source.title,
                source.place,
                source.seen.name()
            )
        })
    }
}

impl Constant {
    fn on(&self, workload: &Workload) -> Cost {
        let value = self.value * workload.count(self.per);
        let mut cost = Cost::default();
        *match self.quantity {
            Quantity::Seconds => &mut cost.seconds,
            Quantity::BytesDown => &mut cost.down,
            Quantity::BytesUp => &mut cost.up,
            Quantity::Rounds => &mut cost.rounds,
            Quantity::StoredBytes => &mut cost.stored,
        } = value;
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relus(relus: u64) -> Workload {
        Workload {
            relus,
            relu_layers: 17,
            ..Workload::default()
        }
    }

    #[test]
    fn the_profiles_are_whole_and_named_as_their_files() {
        for ((name, _), profile) in FILES.iter().zip(Profile::all().expect("sound files")) {
            assert_eq!(profile.name, *name);
            assert!(profile.sources().count() > 0);
        }
        let error = Profile::find("dephi").expect_err("a typo").to_string();
        assert!(error.contains("did you mean `delphi`"), "{error}");
    }

    #[test]
    fn delphis_online_phase_meets_the_published_latencies() {
        // SENet (ICLR 2023), as quoted by later papers: 49.6k ReLUs 1.13 s, 82k 1.81 s.
        let delphi = Profile::find("delphi").expect("a profile");
        let online = |n| delphi.total(&relus(n), Some(Phase::Online));
        assert!((online(49_600).seconds - 1.13).abs() < 0.01);
        assert!((online(82_000).seconds - 1.81).abs() < 0.01);
        let offline = delphi
            .cost(&relus(50_000), Phase::Offline, Part::Relu)
            .expect("ReLUs");
        assert_eq!(
            (online(50_000).bytes(), offline.bytes()),
            (59_650_000.0, 954_400_000.0)
        );
    }

    #[test]
    fn a_slow_link_adds_the_time_of_bytes_and_rounds() {
        // 59.2 MB down at 500 Mbit/s 0.9472 s, 0.45 MB up at 100 Mbit/s 0.036 s, 10 rounds of 40 ms.
        let cost = Cost {
            seconds: 1.0,
            down: 59.2e6,
            up: 0.45e6,
            rounds: 10.0,
            stored: 0.0,
        };
        let link = Link {
            down: Some(500.0),
            up: Some(100.0),
            delay: 40.0,
        };
        assert!((link.seconds(&cost) - 2.3832).abs() < 1e-9);
        assert_eq!(Link::default().seconds(&cost), 1.0);
        assert_eq!(
            link.said(),
            "server to client 500 Mbit/s, client to server 100 Mbit/s, 40 ms a round"
        );
    }

    #[test]
    fn tiles_are_those_that_the_engine_chooses() {
        // SPU's log of each product: the encrypted factor's ciphertexts are its bytes over those of one.
        for (rows, inner, columns, ciphertexts) in TILES {
            let layer = LinearRecord {
                rows,
                inner,
                columns,
                groups: 1,
                input: 0,
            };
            assert_eq!(encrypted_factor(&layer), ciphertexts, "{rows}x{inner}x{columns}");
        }
    }

    const TILES: [(u64, u64, u64, u64); 6] = [
        (1024, 27, 8, 2),
        (1024, 72, 8, 2),
        (256, 144, 16, 2),
        (256, 8, 16, 1),
        (64, 144, 32, 2),
        (64, 288, 32, 2),
    ];

    #[test]
    fn a_constant_without_a_source_is_refused() {
        let text = FILES[0].1.replacen("key = \"", "key = \"no-", 1);
        let error = Profile::parse(&text, "x.toml").expect_err("refused").to_string();
        assert!(error.contains("no source"), "{error}");
    }
}
