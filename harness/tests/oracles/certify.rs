//! Bounds and verdicts beside auto_LiRPA's and the verification competition's.

use crate::reference::{cifar10_test, json, oracle};
use rlnet::attack::{Classifier, TorchScript};
use rlnet::certify::crown::margins;
use rlnet::certify::exact::UNITS;
use rlnet::certify::search::Search;
use rlnet::certify::verify::Effort;
use rlnet::certify::{Graph, Region, crown, torchscript, verify};
use rlnet_suites::Branch;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::certify::Method;
use serde_json::Value;
use tch::{Device, Kind, Tensor, no_grad_guard};

const NETWORKS: [&str; 3] = ["resnet_2b", "cifar_base_kw", "cifar10_small"];

fn graph(name: &str, kind: Kind) -> Graph {
    let path = oracle(&format!("verification/{name}.pt"));
    torchscript::graph(&path, Graph::of_images([3, 32, 32]), Device::Cpu)
        .expect(name)
        .to(kind, Device::Cpu)
}

fn others(label: i64) -> Vec<i64> {
    (0..10).filter(|class| *class != label).collect()
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn networks_of_others_are_read_as_libtorch_runs_them() {
    let (images, _) = cifar10_test(50);
    let _guard = no_grad_guard();
    let files = NETWORKS.map(|name| format!("verification/{name}.pt"));
    let more = ["attacks/standard.pt", "attacks/robust.pt"].map(str::to_owned);
    for file in files.iter().chain(&more) {
        let model = TorchScript::load(&oracle(file), Device::Cpu).expect(file);
        let wanted = model.logits(&images, Branch::Single).expect(file);
        let graph =
            torchscript::graph(&oracle(file), Graph::of_images([3, 32, 32]), Device::Cpu).expect(file);
        let away = (graph.forward(&images).expect(file) - wanted)
            .abs()
            .max()
            .double_value(&[]);
        assert!(away < 1e-4, "{file}: {away}");
    }
}

/// Every margin of 24 balls by three methods, in double precision as auto_LiRPA computed them.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn interval_and_linear_bounds_are_auto_lirpas() {
    let fixture: Vec<Value> = serde_json::from_str(include_str!("../fixtures/lirpa.json")).expect("JSON");
    let (images, _) = cifar10_test(50);
    let images = images.to_kind(Kind::Double) * 0.5 + 0.25;
    let _guard = no_grad_guard();
    let mut compared = 0;
    for name in NETWORKS {
        let graph = graph(name, Kind::Double);
        for entry in fixture.iter().filter(|entry| entry["net"] == name) {
            let (place, label) = (
                entry["image"].as_i64().expect("a place"),
                entry["label"].as_i64().expect("a label"),
            );
            let norm: Norm = entry["norm"].as_str().expect("a norm").parse().expect("a norm");
            let eps = entry["eps"].as_f64().expect("a radius");
            let region = Region::new(&images.narrow(0, place, 1), eps, norm).expect("a region");
            let rows = margins(10, label, &others(label), (Kind::Double, Device::Cpu));
            let theirs =
                |method: &str| -> Vec<f64> { serde_json::from_value(entry[method].clone()).expect(method) };
            let close = |method: &str, ours: &[f64]| {
                for (ours, theirs) in ours.iter().zip(theirs(method)) {
                    // Intervals reach -3000: what is compared is relative to that.
                    let more = (ours - theirs) / theirs.abs().max(1.0);
                    // In L2 its intervals begin with the box around the ball, ours with the ball: they may be tighter.
                    let tighter = if norm == Norm::L2 && method != "crown" {
                        f64::INFINITY
                    } else {
                        1e-5
                    };
                    assert!(
                        (-1e-5..tighter).contains(&more),
                        "{name} {place} {norm} {eps} {method}: {ours} and {theirs}"
                    );
                }
            };
            let interval =
                crown::bounds(&graph, &region, &rows, crown::Intermediate::Interval).expect("bounds");
            let ibp = Vec::<f64>::try_from(interval.margins.lower.flatten(0, -1)).expect("numbers");
            close("ibp", &ibp);
            close(
                "crown-ibp",
                &Search::new(&graph, &region, &interval, rows.copy())
                    .crown()
                    .expect("bounds"),
            );
            let linear = crown::bounds(&graph, &region, &rows, crown::Intermediate::Linear).expect("bounds");
            close(
                "crown",
                &Search::new(&graph, &region, &linear, rows)
                    .crown()
                    .expect("bounds"),
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 24);
}

/// Radii that somebody else's linear bounds proved: ours prove them too, and little more.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_radii_that_linear_bounds_prove_are_the_oracles() {
    let radii: std::collections::BTreeMap<String, f64> =
        serde_json::from_value(json("verification/cifar_base_kw_crown_radius.json")).expect("radii");
    let graph = graph("cifar_base_kw", Kind::Double);
    let (images, labels) = cifar10_test(30);
    let effort = Effort {
        method: Method::Crown,
        steps: 0,
        nodes: 0,
        above: 0.0,
    };
    for (image, radius) in radii {
        let place: i64 = image.parse().expect("a place");
        let (image, label) = (
            images.narrow(0, place, 1).to_kind(Kind::Double),
            labels[place as usize],
        );
        let proven = |factor: f64| {
            let region = Region::new(&image, radius * factor, Norm::Linf).expect("a region");
            verify(&graph, &region, (label, &others(label)), effort, &|| true)
                .expect("a verdict")
                .margin
                > 0.0
        };
        assert!(proven(0.999), "image {place}: not proven within {radius}");
        // The oracle promises a radius that is proven, not the largest.
        assert!(!proven(1.02), "image {place}: proven beyond {radius}");
    }
}

/// An instance of the competition.
pub struct Instance {
    image: i64,
    label: i64,
    targets: Vec<i64>,
    eps: f64,
    verdict: String,
}

fn instances(net: &str) -> Vec<Instance> {
    let all = json("verification/instances.json");
    let of = |entry: &Value| Instance {
        image: entry["image"].as_i64().expect("a place"),
        label: entry["label"].as_i64().expect("a label"),
        targets: serde_json::from_value(entry["targets"].clone()).expect("targets"),
        eps: entry["eps"].as_f64().expect("a radius"),
        verdict: entry["verdict"].as_str().expect("a verdict").to_owned(),
    };
    let own = all
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| entry["net"] == net);
    own.map(of).collect()
}

/// Seconds of a core that this thread has had: a busy machine takes none of them away.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/stat").expect("a Linux machine");
    // User and system time, in hundredths, are the 14th and 15th field; the 2nd, a name, ends in a bracket.
    let fields = text.rsplit(')').next().expect("fields").split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().expect("a number"));
    ticks.sum::<f64>() / 100.0
}

/// Whether PGD with 20 steps, which comes first as in `rlnet eval --certify`, ends at a point of the ball (Linf, in [0, 1]) that
/// belongs to another class.
fn attacked(graph: &Graph, image: &Tensor, instance: &Instance) -> bool {
    let margin = |points: &Tensor| {
        let logits = graph.forward(points).expect("logits");
        let others = logits.index_select(1, &Tensor::from_slice(&instance.targets));
        logits.select(1, instance.label) - others.amax([1], false)
    };
    let (lower, upper) = (image - instance.eps, image + instance.eps);
    let mut points = image.copy();
    for _ in 0..20 {
        let moving = points.detach().set_requires_grad(true);
        let slope = &Tensor::run_backward(&[margin(&moving)], &[&moving], false, false)[0];
        let moved = moving.detach() - slope.sign() * (instance.eps / 4.0);
        points = moved.maximum(&lower).minimum(&upper).clamp(0.0, 1.0);
    }
    let _guard = no_grad_guard();
    margin(&points).double_value(&[0]) <= 0.0
}

/// Tries some instances so hard; how many of each published verdict were certified, broken and left open. Whatever
/// contradicts a published verdict fails.
fn answers(net: &str, nodes: u64, take: usize, seconds: u64) -> Vec<(String, [usize; 3])> {
    let (images, _) = cifar10_test(10_000);
    let graph = graph(net, Kind::Float);
    let mut table: Vec<(String, [usize; 3])> = Vec::new();
    for instance in instances(net).into_iter().take(take) {
        let image = images.narrow(0, instance.image, 1);
        let region = Region::around(&image, instance.eps, Norm::Linf).expect("a region");
        let effort = Effort {
            method: Method::Exact,
            steps: 20,
            nodes,
            above: 0.0,
        };
        let started = cpu_seconds();
        let go_on = || cpu_seconds() - started < seconds as f64;
        let question = (instance.label, instance.targets.as_slice());
        let place = if attacked(&graph, &image, &instance) {
            1
        } else {
            let found = verify(&graph, &region, question, effort, &go_on).expect("a verdict");
            match (found.margin > 0.0, found.counterexample.is_some()) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => 2,
            }
        };
        assert!(
            place != 0 || instance.verdict != "violated",
            "{net} {}: certified",
            instance.image
        );
        assert!(
            place != 1 || !instance.verdict.starts_with("holds"),
            "{net} {}: broken",
            instance.image
        );
        match table.iter_mut().find(|(verdict, _)| *verdict == instance.verdict) {
            Some((_, counts)) => counts[place] += 1,
            None => {
                let mut counts = [0; 3];
                counts[place] = 1;
                table.push((instance.verdict, counts));
            }
        }
    }
    table
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn no_verdict_contradicts_the_competitions() {
    let table = answers("cifar_base_kw", 100, 10, 60);
    let certified: usize = table.iter().map(|(_, counts)| counts[0]).sum();
    assert!(certified > 0, "{table:?}");
}

/// `make test-long`: a minute of one core an instance, beside what each tool of the competition decided with more.
#[test]
#[ignore = "part of make test-long"]
fn the_share_of_the_competitions_instances_that_is_decided() {
    tch::set_num_threads(1);
    let all: Vec<Value> = serde_json::from_value(json("verification/instances.json")).expect("a list");
    let only = std::env::var("RLNET_NETWORK").ok();
    eprintln!("| network | instances | tool | certified | broken |\n|---|---:|---|---:|---:|");
    for net in NETWORKS
        .into_iter()
        .filter(|net| only.as_deref().is_none_or(|only| only == *net))
    {
        let own: Vec<&Value> = all.iter().filter(|entry| entry["net"] == net).collect();
        let row = |tool: &str, certified: usize, broken: usize| {
            eprintln!("| {net} | {} | {tool} | {certified} | {broken} |", own.len());
        };
        let ours = answers(net, u64::MAX, usize::MAX, 60);
        row(
            "RLNet, exact, 60 s of one core",
            ours.iter().map(|(_, counts)| counts[0]).sum(),
            ours.iter().map(|(_, counts)| counts[1]).sum(),
        );
        let mut tools: std::collections::BTreeMap<&str, [usize; 2]> = std::collections::BTreeMap::new();
        for (place, key) in ["holds_by", "violated_by"].into_iter().enumerate() {
            let named = own
                .iter()
                .flat_map(|entry| entry[key].as_array().into_iter().flatten());
            for tool in named.filter_map(Value::as_str) {
                tools.entry(tool).or_default()[place] += 1;
            }
        }
        for (tool, [certified, broken]) in tools {
            row(tool, certified, broken);
        }
    }
}

/// `make test-long`: of the images that branch and bound leaves open although few units are unstable, how many programs
/// decide, with as many branches.
#[test]
#[ignore = "part of make test-long"]
fn the_share_of_open_images_that_programs_decide() {
    const IMAGES: i64 = 200;
    const NODES: u64 = 200;
    tch::set_num_threads(1);
    let (images, labels) = cifar10_test(IMAGES as usize);
    let only = std::env::var("RLNET_NETWORK").ok();
    let mut all = [0; 3];
    eprintln!(
        "| network | radius | open, few units | certified | broken | programs | seconds |\n|---|---:|---:|---:|---:|---:|---:|"
    );
    for net in NETWORKS
        .into_iter()
        .filter(|net| only.as_deref().is_none_or(|only| only == *net))
    {
        let graph = graph(net, Kind::Float);
        for steps in [0.25, 0.5, 1.0, 2.0] {
            let (mut open, mut verdicts, mut nodes, mut seconds) = (0, [0; 3], 0, 0.0);
            for (place, &label) in (0..IMAGES).zip(&labels) {
                let image = images.narrow(0, place, 1);
                let region = Region::around(&image, steps / 255.0, Norm::Linf).expect("a region");
                let said = |method: Method, nodes: u64| {
                    let effort = Effort {
                        method,
                        steps: 20,
                        nodes,
                        above: 0.0,
                    };
                    verify(&graph, &region, (label, &others(label)), effort, &|| true).expect("a verdict")
                };
                let is_right = graph
                    .forward(&image)
                    .expect("logits")
                    .argmax(1, false)
                    .int64_value(&[0])
                    == label;
                if !is_right || said(Method::Crown, 0).unstable_units() > UNITS {
                    continue;
                }
                let before = said(Method::BetaCrown, NODES);
                if before.margin > 0.0 || before.counterexample.is_some() {
                    continue;
                }
                let started = cpu_seconds();
                let after = said(Method::Exact, NODES);
                seconds += cpu_seconds() - started;
                open += 1;
                nodes += after.nodes - before.nodes;
                let certified = after.margin > 0.0;
                verdicts[match (certified, after.counterexample.is_some()) {
                    (true, false) => 0,
                    (false, true) => 1,
                    (false, false) => 2,
                    (true, true) => panic!("{net} {place}: certified and broken"),
                }] += 1;
            }
            eprintln!(
                "| {net} | {steps}/255 | {open} | {} | {} | {nodes} | {seconds:.0} |",
                verdicts[0], verdicts[1]
            );
            for (sum, verdicts) in all.iter_mut().zip(verdicts) {
                *sum += verdicts;
            }
        }
    }
    assert!(only.is_some() || all[0] > 0, "{all:?}");
}
