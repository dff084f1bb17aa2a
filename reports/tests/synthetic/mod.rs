//! A synthetic run directory: the plan of a real suite, with invented but plausible
//! rows, so that a whole report can be made without training anything. The rows
//! come from keyed hashes: the same run is the same bytes everywhere.

pub mod nights;
mod pictures;

use rlnet_reports::write_records;
use rlnet_suites::corruption::BENCHMARK;
use rlnet_suites::objective::Dropped;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::{
    Branch, Cell, CellRecord, CellSpec, Condition, CurvePoint, LayerRecord, LinearRecord, ModelRecord,
    NormBanks, Outcome, Plan, Provenance, Ranking, Suite, TrainSpec,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Test images of the synthetic run.
pub const IMAGES: u32 = 500;

/// The plan of the synthetic suite (as the catalogue's demo was once, kept here so that these
/// tests do not move with it), with overrides.
pub fn plan(sets: &[&str]) -> Plan {
    plan_of(include_str!("suite.toml"), sets)
}

/// The plan of a suite's text, with overrides.
pub fn plan_of(text: &str, sets: &[&str]) -> Plan {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let context = PlanContext {
        data_checksum: "synthetic".into(),
        corruptions_version: 1,
        corruptions_setup: "fixed".into(),
        ..PlanContext::default()
    };
    let suite = Suite::parse(text, "the suite", &sets).expect("a valid suite");
    suite.plan(&context).expect("a plan")
}

/// The synthetic suite with many models, corruptions and a few attacks: 509 cells.
pub fn many() -> Plan {
    plan_of(&with_copies(), &[])
}

/// One network under 504 settings of an attack.
pub fn one_under_attacks() -> Plan {
    let mut attacks = Vec::new();
    for eps in 1..=28 {
        for steps in [5, 10, 20] {
            for parts in [2, 4, 8] {
                for restarts in [1, 3] {
                    let alpha = f64::from(eps) / f64::from(parts);
                    attacks.push(format!(
                        "pgd:steps={steps},eps={eps}/255,alpha={alpha}/255,restarts={restarts}"
                    ));
                }
            }
        }
    }
    let text = include_str!("suite.toml")
        .replace(
            "models = [\"teacher\", \"rlnet\", \"senet\"]",
            "models = [\"rlnet\"]",
        )
        .replace("baseline = \"senet\"\n", "");
    plan_of(&attacked(&text, &attacks), &[])
}

/// 23 networks under 22 attacks: 506 conditions.
pub fn many_under_attacks() -> Plan {
    let mut attacks = vec!["fgsm".to_owned()];
    for eps in [1, 2, 3, 4, 6, 8, 16] {
        for steps in [5, 10, 20] {
            let alpha = f64::from(eps) / 4.0;
            attacks.push(format!("pgd:steps={steps},eps={eps}/255,alpha={alpha}/255"));
        }
    }
    plan_of(&attacked(&with_copies(), &attacks), &[])
}

/// The suite's text without corruptions, under these attacks alone.
fn attacked(text: &str, attacks: &[String]) -> String {
    let quoted: Vec<String> = attacks.iter().map(|attack| format!("\"{attack}\"")).collect();
    let (before, rest) = text.split_once("attacks = [").expect("attacks");
    let (_, after) = rest.split_once(']').expect("a list");
    format!("{before}attacks = [{}]{after}", quoted.join(", ")).replace(
        "corruptions = \"benchmark\"\nseverities = [1, 3, 5]",
        "corruptions = \"none\"",
    )
}

/// The suite's text with twenty more students.
fn with_copies() -> String {
    let copies: String = (0..20)
        .map(|i| {
            format!(
                "[[train]]\nname = \"copy{i}\"\nstage = \"student\"\nmask = \"mask\"\nwith.seed = {}\n\n",
                i + 1
            )
        })
        .collect();
    let names: Vec<String> = (0..20).map(|i| format!("\"copy{i}\"")).collect();
    include_str!("suite.toml")
        .replace("[evaluation]", &format!("{copies}[evaluation]"))
        .replace("models = [", &format!("models = [{}, ", names.join(", ")))
}

/// Writes a run directory; cells for which `finished` says no are left out.
pub fn write_run(dir: &Path, plan: &Plan, finished: impl Fn(&Cell) -> bool) {
    write_run_of(dir, plan, finished, |cell, conditions| {
        outcomes(plan, cell, conditions, IMAGES)
    });
}

/// Writes a run directory with rows of one's own.
pub fn write_run_of(
    dir: &Path,
    plan: &Plan,
    finished: impl Fn(&Cell) -> bool,
    rows_of: impl Fn(&Cell, &[Condition]) -> Vec<Outcome>,
) {
    fs::create_dir_all(dir.join("cells")).expect("a folder");
    let text = serde_json::to_string_pretty(plan).expect("json");
    fs::write(dir.join("plan.json"), text).expect("plan.json");
    for cell in plan.cells.iter().filter(|cell| finished(cell)) {
        let folder = dir.join("cells").join(&cell.id.0);
        fs::create_dir_all(&folder).expect("a folder");
        let (model, rows) = match &cell.spec {
            CellSpec::Train(spec) => {
                write_records(&folder.join("train.parquet"), &curves(cell, spec)).expect("curves");
                (Some(model(cell, spec)), 0)
            }
            CellSpec::Evaluate(spec) => {
                let rows = rows_of(cell, &spec.conditions);
                write_records(&folder.join("outcomes.parquet"), &rows).expect("rows");
                pictures::write(&folder.join("examples.png"), cell, &spec.conditions);
                (None, rows.len() as u64)
            }
        };
        let record = CellRecord {
            cell: cell.clone(),
            model,
            rows,
            provenance: provenance(cell, rows),
        };
        let text = serde_json::to_string_pretty(&record).expect("json");
        fs::write(folder.join("cell.json"), text).expect("cell.json");
    }
}

/// A number in `[0, 1)` keyed by what it is for.
pub fn keyed(parts: &[&str], index: u64) -> f64 {
    // FNV-1a over the key, then SplitMix64's finaliser.
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut x = hash ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Roughly normal: the sum of four uniforms.
fn bell(parts: &[&str], index: u64) -> f64 {
    (0..4).map(|i| keyed(parts, index * 4 + i)).sum::<f64>() * 1.7 - 3.4
}

/// Invented rows of `images` images.
pub fn outcomes(plan: &Plan, cell: &Cell, conditions: &[Condition], images: u32) -> Vec<Outcome> {
    let banks = plan.cells.iter().find_map(|other| match &other.spec {
        CellSpec::Train(spec) if other.name == cell.model => Some(spec.norm),
        _ => None,
    });
    let mut rows = Vec::new();
    for condition in conditions {
        let text = condition.to_string();
        for branch in banks.unwrap_or(NormBanks::Single).branches() {
            let skill = skill(&cell.model, *branch, condition);
            for image in 0..images {
                let index = u64::from(image);
                let own = 0.9 * bell(&[&cell.model, branch.name(), &text], index);
                let margin = skill + 1.5 * bell(&["difficulty"], index) + own;
                let label = (keyed(&["label"], index) * 10.0) as u16;
                let (norm, forwards, backwards) = match condition {
                    Condition::Attack(spec) | Condition::Certify(spec) => {
                        let steps = spec.steps().unwrap_or(1) as u32;
                        (spec.eps().unwrap_or(0.0) as f32, steps + 1, steps)
                    }
                    _ => (0.0, 1, 0),
                };
                rows.push(Outcome {
                    image,
                    branch: *branch,
                    condition: condition.clone(),
                    label,
                    prediction: if margin > 0.0 { label } else { (label + 1) % 10 },
                    rounded: if margin > 0.0 { label } else { (label + 1) % 10 },
                    margin: margin as f32,
                    loss: (1.0 + (-margin).exp()).ln() as f32,
                    norm,
                    forwards,
                    backwards,
                    unstable: 0,
                    unusable: 0,
                    ranking: Ranking::default(),
                });
            }
        }
    }
    rows
}

/// The reduction that a name ends in: `rlnet-5x`.
fn times(name: &str) -> Option<f64> {
    let (_, times) = name.rsplit_once('-')?;
    times.strip_suffix('x')?.parse().ok()
}

/// How far above the average image's difficulty a network is.
fn skill(model: &str, branch: Branch, condition: &Condition) -> f64 {
    let model = model.split(".seed").next().unwrap_or(model);
    // Few ReLUs cost little up to 8x, and much beyond.
    if let Some(times) = times(model) {
        return skill("rlnet", branch, condition) + 0.4 - 0.1 * (times - 8.0).max(0.0);
    }
    let clean = match (model, branch) {
        ("teacher", Branch::Adversarial) => 1.5,
        ("teacher", _) => 2.6,
        (_, Branch::Adversarial) => 1.1,
        ("senet", _) => 2.5,
        _ => 2.2,
    };
    match condition {
        Condition::Clean => clean,
        Condition::AugMix => clean - if model == "senet" { 0.6 } else { 0.2 },
        Condition::Corruption { name, severity } => {
            let order = BENCHMARK.iter().position(|known| known == name).unwrap_or(7);
            let harm = 0.2 + 0.5 * keyed(&["harm", BENCHMARK[order]], 0);
            let frailty = if model == "senet" { 1.5 } else { 0.8 };
            clean - harm * frailty * f64::from(*severity)
        }
        Condition::Frame { frame, .. } => clean - 0.05 * f64::from(*frame),
        Condition::Attack(spec) | Condition::Certify(spec) => {
            let slope = match (model, branch) {
                ("teacher", Branch::Adversarial) => 0.2,
                (_, Branch::Adversarial) => 0.22,
                ("senet", _) => 0.9,
                _ => 0.65,
            };
            let iterated = if spec.name() == "pgd" { 1.25 } else { 1.0 };
            clean - slope * iterated * spec.eps().unwrap_or(0.0) * 255.0
        }
    }
}

fn curves(cell: &Cell, spec: &TrainSpec) -> Vec<CurvePoint> {
    let mut points = Vec::new();
    for epoch in 1..=spec.epochs {
        let done = f64::from(epoch) / f64::from(spec.epochs);
        let mut add = |metric: &str, value: f64| {
            points.push(CurvePoint {
                epoch,
                metric: metric.to_owned(),
                value: value + 0.02 * (keyed(&[&cell.name, metric], epoch.into()) - 0.5),
            });
        };
        add("loss/total", 2.1 - 1.3 * done.sqrt());
        add("loss/ce", 1.4 - 0.9 * done.sqrt());
        if spec.alpha > 0.0 {
            add("loss/kl", 0.5 - 0.3 * done.sqrt());
        }
        if spec.beta > 0.0 {
            add("loss/attention", 0.2 - 0.1 * done.sqrt());
        }
        for branch in spec.norm.branches() {
            add(&format!("validation/clean/{branch}"), 0.3 + 0.5 * done.sqrt());
            add(&format!("validation/adversarial/{branch}"), 0.1 + 0.25 * done);
        }
        for view in &spec.views {
            add(&format!("train/accuracy/{}", view.name()), 0.3 + 0.5 * done);
        }
        add("lr", spec.lr_at(epoch));
        add("time/seconds", 12.0);
    }
    points
}

/// The seven ReLU layers of a small ResNet: 73,728 units.
fn model(cell: &Cell, spec: &TrainSpec) -> ModelRecord {
    let names = [
        "stem",
        "layer1.0.a",
        "layer1.0.b",
        "layer2.0.a",
        "layer2.0.b",
        "layer3.0.a",
        "layer3.0.b",
    ];
    let sides = [(16, 32), (16, 32), (16, 32), (32, 16), (32, 16), (64, 8), (64, 8)];
    let layers = names
        .iter()
        .zip(sides)
        .enumerate()
        .map(|(i, (name, (channels, side)))| {
            let shape = [channels, side, side];
            let total: u64 = shape.iter().product();
            let share = 0.08 + 0.06 * i as f64;
            LayerRecord {
                name: (*name).to_owned(),
                shape,
                kept: match cell.name.as_str() {
                    name if times(name).is_some() => (total as f64 / times(name).unwrap_or(1.0)) as u64,
                    "teacher" | "senet-teacher" => total,
                    "senet" | "senet-mask" => total / 5,
                    _ => (total as f64 * share) as u64,
                },
            }
        });
    ModelRecord {
        arch: spec.arch.clone(),
        image_size: 32,
        classes: (0..10).map(|i| format!("class {i}")).collect(),
        norm: spec.norm,
        parameters: 77_850,
        macs: 12_500_000,
        layers: layers.collect(),
        epoch: spec.epochs,
        overfitted: None,
        imported: false,
        linear: linear(),
        dropped: Dropped::Identity,
        deployed: None,
    }
}

/// The linear layers of resnet8-w16, without its shortcuts.
fn linear() -> Vec<LinearRecord> {
    let layer = |(side, inner, columns, input): (u64, u64, u64, u64)| LinearRecord {
        rows: side * side,
        inner,
        columns,
        groups: 1,
        input,
    };
    let layers = [
        (32, 27, 16, 3_072),
        (32, 144, 16, 16_384),
        (32, 144, 16, 16_384),
        (16, 144, 32, 16_384),
        (16, 288, 32, 8_192),
        (8, 288, 64, 8_192),
        (8, 576, 64, 4_096),
        (1, 64, 10, 64),
    ];
    layers.into_iter().map(layer).collect()
}

fn provenance(cell: &Cell, rows: u64) -> Provenance {
    Provenance {
        program: "0.1.0".into(),
        commit: "0123456789ab".into(),
        libtorch: "2.11.0".into(),
        device: "cpu".into(),
        threads: 2,
        started: 1_700_000_000,
        seconds: 3.0 + rows as f64 / 900.0,
        resumed: u32::from(cell.name == "rlnet"),
        peak_memory: 412 << 20,
        corruptions: if rows > 0 && cell.name.contains("noise") {
            "keyed, fixed textures".into()
        } else {
            String::new()
        },
        files: match cell.spec {
            CellSpec::Train(_) => {
                let weights = format!("weights of {}", cell.name);
                [("model.safetensors".to_owned(), weights)].into()
            }
            CellSpec::Evaluate(_) => BTreeMap::new(),
        },
        ..Provenance::default()
    }
}
