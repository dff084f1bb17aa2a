//! Bounds hold, are as tight as they should be, and the networks they are of are the networks that are run.

use super::crown::{Intermediate, bounds, margins};
use super::graph::{Convolution, Op, Relu};
use super::verify::{Effort, verify};
use super::{Graph, Region, onnx, rounding, torchscript, trace};
use crate::attack::{Classifier, TorchScript};
use crate::deployed::{self, plan::DeployedPlan};
use crate::nn::{Network, NetworkSpec, Quirks, ReluMask};
use crate::pytorch::script;
use rlnet_corruptions::random::KeyedRng;
use rlnet_suites::attack::Norm;
use rlnet_suites::attack::certify::Method;
use rlnet_suites::objective::Dropped;
use rlnet_suites::{Branch, NormBanks};
use tch::{Device, Kind, Tensor, no_grad_guard};

fn draw(size: &[i64], seed: u64, scale: f64) -> Tensor {
    let mut rng = KeyedRng::new(seed, "certify", &[]);
    let count: i64 = size.iter().product();
    let values: Vec<f64> = (0..count).map(|_| rng.normal() * scale).collect();
    Tensor::from_slice(&values).to_kind(Kind::Float).reshape(size)
}

fn images(n: i64, side: i64, seed: u64) -> Tensor {
    let mut rng = KeyedRng::new(seed, "images", &[]);
    let values: Vec<f32> = (0..n * 3 * side * side).map(|_| rng.uniform() as f32).collect();
    Tensor::from_slice(&values).reshape([n, 3, side, side])
}

/// A narrow network of this program, its norms anything but the identity, some of its ReLUs dropped.
fn network(arch: &str, side: u64, norm: NormBanks) -> Network {
    let spec = NetworkSpec {
        arch: arch.parse().expect(arch),
        image_size: side,
        classes: 4,
        norm,
        quirks: Quirks::default(),
        mean: [0.4, 0.5, 0.6],
        std: [0.2, 0.25, 0.3],
    };
    let mut network = Network::new(spec, 1, Device::Cpu);
    let _guard = no_grad_guard();
    for (k, param) in network.params().iter().enumerate() {
        let mut rng = KeyedRng::new(7, "scramble", &[k as u64]);
        if param.tensor.dim() == 1 {
            let positive = param.name.ends_with("running_var") || param.name.ends_with("weight");
            let mut value = |_| {
                if positive {
                    0.5 + rng.uniform()
                } else {
                    rng.normal() * 0.2
                }
            };
            let values: Vec<f32> = (0..param.tensor.numel()).map(|k| value(k) as f32).collect();
            param
                .tensor
                .shallow_clone()
                .set_data(&Tensor::from_slice(&values));
        }
    }
    let sizes = network.layer_sizes();
    let keep: Vec<u64> = sizes.iter().map(|n| n / 2).collect();
    network
        .set_mask(ReluMask::random(&sizes, &keep, 3))
        .expect("its layers");
    network
}

/// The network with dropped units of a kind; those of `affine` are anything but the identity.
fn grafted(mut network: Network, dropped: Dropped) -> Network {
    network.replace_dropped(dropped);
    let _guard = no_grad_guard();
    let own = network
        .params()
        .iter()
        .filter(|param| param.name.starts_with("dropped."));
    for (place, param) in own.enumerate() {
        let values = draw(&param.tensor.size(), 900 + place as u64, 0.7);
        param.tensor.shallow_clone().copy_(&values);
    }
    network
}

/// Two convolutions, max pooling, a skip, shares of ReLUs and two matrices.
pub(super) fn patchwork() -> Graph {
    let mut graph = Graph::of_images([3, 8, 8]);
    let conv = |from: i64, to: i64, stride: i64, seed: u64| {
        Op::Conv(Convolution {
            weight: draw(&[to, from, 3, 3], seed, 0.3),
            bias: Some(draw(&[to], seed + 1, 0.2)),
            stride: [stride; 2],
            padding: [1; 2],
            dilation: [1; 2],
            groups: 1,
        })
    };
    let relu = |share: Option<Tensor>, layer: usize| {
        Op::Relu(Relu {
            share,
            layer: Some(layer),
        })
    };
    let mut push = |op: Op, inputs: &[usize], shape: Option<Vec<i64>>| {
        graph.push(op, inputs, shape).expect("an operation")
    };
    let a = push(conv(3, 4, 2, 10), &[0], None);
    let a = push(relu(None, 0), &[a], None);
    let b = push(conv(4, 4, 1, 12), &[a], None);
    let b = push(Op::Add, &[a, b], None);
    // Shares of 0, 1/2 and 1.
    let share = (draw(&[1, 4, 4, 4], 14, 1.0).sign() + draw(&[1, 4, 4, 4], 15, 1.0).sign()) * 0.25 + 0.5;
    let b = push(relu(Some(share), 1), &[b], None);
    let c = graph.max_pool(b, [2, 2], [2, 2], [0, 0]).expect("max pooling");
    let mut push = |op: Op, inputs: &[usize], shape: Option<Vec<i64>>| {
        graph.push(op, inputs, shape).expect("an operation")
    };
    let c = push(Op::Permute(vec![2, 3, 1]), &[c], None);
    let c = push(Op::Reshape, &[c], Some(vec![16]));
    let matrix = |to: i64, from: i64, seed: u64| Op::Linear {
        weight: draw(&[to, from], seed, 0.3),
        bias: Some(draw(&[to], seed + 1, 0.1)),
    };
    let d = push(matrix(10, 16, 20), &[c], None);
    let d = push(relu(None, 2), &[d], None);
    push(matrix(4, 10, 22), &[d], None);
    graph
}

/// Points of a region: corners of the box for Linf, points of the sphere for L2, and some inside.
pub(super) fn points(image: &Tensor, eps: f64, norm: Norm, n: i64) -> Tensor {
    let [_, c, h, w] = image.size()[..] else {
        panic!("no image")
    };
    let noise = draw(&[n, c, h, w], 77, 1.0);
    let delta = match norm {
        Norm::L2 => {
            let length = noise
                .square()
                .sum_dim_intlist([1_i64, 2, 3].as_slice(), true, Kind::Float)
                .sqrt();
            &noise / length * eps
        }
        _ => noise.sign() * eps,
    };
    let shrunk = &delta * draw(&[n, 1, 1, 1], 78, 1.0).abs().clamp(0.0, 1.0);
    (image + Tensor::cat(&[delta, shrunk], 0)).clamp(0.0, 1.0)
}

fn effort(method: Method) -> Effort {
    Effort {
        method,
        steps: 10,
        nodes: 40,
        above: 0.0,
    }
}

/// Thousands of points, every method, both norms; and each method is at least as tight as the one before.
#[test]
fn no_point_of_the_ball_leaves_the_bounds() {
    let graph = patchwork();
    for (seed, norm, eps) in [
        (1, Norm::Linf, 0.05),
        (2, Norm::Linf, 0.3),
        (3, Norm::L2, 0.4),
        (4, Norm::L2, 2.0),
    ] {
        let image = images(1, 8, seed);
        let region = Region::around(&image, eps, norm).expect("a region");
        let points = points(&image, eps, norm, 1000);
        let logits = graph.forward(&points).expect("logits");
        let label = graph
            .forward(&image)
            .expect("logits")
            .argmax(1, false)
            .int64_value(&[0]);
        let targets: Vec<i64> = (0..4).filter(|class| *class != label).collect();
        let rows = margins(4, label, &targets, (Kind::Float, Device::Cpu));
        let seen = logits.matmul(&rows.tr()).min().double_value(&[]);
        let mut last = f64::NEG_INFINITY;
        for &method in Method::ALL {
            let verdict =
                verify(&graph, &region, (label, &targets), effort(method), &|| true).expect("a verdict");
            assert!(
                verdict.margin <= seen,
                "{method}, {norm} {eps}: {} and {seen}",
                verdict.margin
            );
            assert!(
                verdict.margin >= last - 1e-4,
                "{method}, {norm} {eps}: {} after {last}",
                verdict.margin
            );
            if let Some(point) = verdict.counterexample {
                let least = graph
                    .forward(&point)
                    .expect("logits")
                    .matmul(&rows.tr())
                    .min()
                    .double_value(&[]);
                assert!(least <= 0.0 && verdict.margin <= 0.0, "{method}: {least}");
            } else {
                last = verdict.margin;
            }
        }
        // The units before every ReLU, by every way of bounding them.
        for method in [Intermediate::Interval, Intermediate::Linear] {
            let found = bounds(&graph, &region, &rows, method).expect("bounds");
            for (layer, (at, _)) in found.layers.iter().zip(graph.relus()) {
                let before = graph
                    .value(&points, graph.nodes()[at].inputs[0])
                    .expect("a value")
                    .flatten(1, -1);
                let units = before.index_select(1, &layer.unstable);
                let inside = units
                    .ge_tensor(&layer.lower)
                    .logical_and(&units.le_tensor(&layer.upper));
                assert_eq!(inside.all().int64_value(&[]), 1, "{method:?}, layer {at}");
            }
        }
    }
}

/// A branch that is traced is the branch that is run, and the file that is exported of it.
#[test]
fn a_graph_computes_what_the_network_computes() {
    let images = images(3, 32, 5);
    for (arch, norm, branch, dropped) in [
        ("resnet10-w4", NormBanks::Dual, Branch::Adversarial),
        ("wrn-16-1", NormBanks::Single, Branch::Single),
        ("vgg11-bn-w4", NormBanks::Single, Branch::Single),
        ("mobilenetv2-x0.25", NormBanks::Single, Branch::Single),
    ]
    .into_iter()
    .flat_map(|of| Dropped::ALL.iter().map(move |dropped| (of, *dropped)))
    .map(|((arch, norm, branch), dropped)| (arch, norm, branch, dropped))
    {
        let network = |arch: &str, side: u64, norm: NormBanks| grafted(network(arch, side, norm), dropped);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("net.pt");
        let frozen = network(arch, 32, norm).into_frozen();
        let wanted = frozen.logits(&images, branch);
        let traced = trace::graph(&frozen, branch).expect(arch);
        script::export(network(arch, 32, norm), branch, &file).expect("a file");
        let read = torchscript::graph(&file, Graph::of_images([3, 32, 32]), Device::Cpu).expect(arch);
        let (other, source) = (folder.path().join("net.onnx"), network(arch, 32, norm));
        deployed::onnx::save(&DeployedPlan::of(&source, branch), &source, branch, &other).expect("a file");
        assert_eq!(onnx::side(&other).expect("a side"), 32);
        let by_onnx = onnx::graph(&other, Graph::of_images([3, 32, 32]), Device::Cpu).expect(arch);
        for graph in [traced, read, by_onnx] {
            let away = (graph.forward(&images).expect("logits") - &wanted)
                .abs()
                .max()
                .double_value(&[]);
            assert!(
                away < 1e-5 * wanted.abs().max().double_value(&[]).max(1.0),
                "{arch}: {away}"
            );
            let units: i64 = graph
                .relus()
                .filter(|(_, relu)| relu.layer.is_some())
                .map(|(at, _)| graph.nodes()[at].units())
                .sum();
            assert_eq!(
                units as u64,
                frozen.parts(branch).network.layer_sizes().iter().sum::<u64>(),
                "{arch}"
            );
        }
        let model = TorchScript::load(&file, Device::Cpu).expect("a model");
        let said = model.logits(&images, Branch::Single).expect("logits");
        assert!(said.allclose(&wanted, 1e-4, 1e-4, false), "{arch}");
    }
}

#[test]
fn what_cannot_be_bounded_is_refused_with_the_reason() {
    let frozen = network("vit2-w64", 32, NormBanks::Single).into_frozen();
    let error = trace::graph(&frozen, Branch::Single)
        .expect_err("attention")
        .to_string();
    assert!(
        error.contains("vit2-w64") && error.contains("attention"),
        "{error}"
    );
    let image = images(1, 8, 1);
    let error = Region::new(&image, 0.1, Norm::L1)
        .expect_err("a ball in l1")
        .to_string();
    assert!(error.contains("linf or l2"), "{error}");
}

/// Single precision against double: what rounding takes is far less than what is set aside for it.
#[test]
fn rounding_is_far_below_what_is_set_aside() {
    let frozen = network("resnet10-w4", 16, NormBanks::Single).into_frozen();
    let double = network("resnet10-w4", 16, NormBanks::Single).into_frozen();
    let single = trace::graph(&frozen, Branch::Single).expect("a graph");
    let double = trace::graph(&double, Branch::Single)
        .expect("a graph")
        .to(Kind::Double, Device::Cpu);
    let image = images(1, 16, 9);
    let rows = |kind: Kind| margins(4, 0, &[1, 2, 3], (kind, Device::Cpu));
    let region = Region::new(&image, 2.0 / 255.0, Norm::Linf).expect("a region");
    let found = bounds(&single, &region, &rows(Kind::Float), Intermediate::Linear).expect("bounds");
    let choices: Vec<_> = found.layers.iter().map(super::crown::adaptive).collect();
    let low = super::crown::backward(
        &single,
        &region,
        (single.last(), rows(Kind::Float)),
        &found.layers,
        &choices,
    )
    .expect("bounds");
    // The same lines in double precision.
    let layers: Vec<_> = found.layers.iter().map(|layer| layer.of(&double)).collect();
    let choices: Vec<_> = layers.iter().map(super::crown::adaptive).collect();
    let wide = region.in_kind(Kind::Double);
    let exact = super::crown::backward(
        &double,
        &wide,
        (double.last(), rows(Kind::Double)),
        &layers,
        &choices,
    )
    .expect("bounds");
    let off = (low.value.to_kind(Kind::Double) - exact.value).abs() / exact.magnitude;
    let used = off.max().double_value(&[]) / rounding(Kind::Float);
    assert!(used < 0.1, "{used} of it");
}

/// Two values, twice eight ReLUs, three classes; and its image, label and targets.
pub(super) fn tiny(seed: u64) -> (Graph, Tensor, i64, Vec<i64>) {
    let mut graph = Graph::of_images([2, 1, 1]);
    let mut push = |op: Op, inputs: &[usize], shape: Option<Vec<i64>>| {
        graph.push(op, inputs, shape).expect("an operation")
    };
    let matrix = |to: i64, from: i64, seed: u64| Op::Linear {
        weight: draw(&[to, from], seed, 1.0),
        bias: Some(draw(&[to], seed + 500, 0.5)),
    };
    let relu = |layer: usize| {
        Op::Relu(Relu {
            share: None,
            layer: Some(layer),
        })
    };
    let xs = push(Op::Reshape, &[0], Some(vec![2]));
    let xs = push(matrix(8, 2, seed), &[xs], None);
    let xs = push(relu(0), &[xs], None);
    let xs = push(matrix(8, 8, seed + 100), &[xs], None);
    let xs = push(relu(1), &[xs], None);
    push(matrix(3, 8, seed + 200), &[xs], None);
    let image = Tensor::from_slice(&[0.5_f32, 0.5]).reshape([1, 2, 1, 1]);
    let label = graph
        .forward(&image)
        .expect("logits")
        .argmax(1, false)
        .int64_value(&[0]);
    let targets = (0..3).filter(|class| *class != label).collect();
    (graph, image, label, targets)
}

/// The least margin of a tiny network in its ball: of 401 x 401 points, and of as many around the best of these.
fn least_on_a_grid(graph: &Graph, (label, targets): (i64, &[i64]), (eps, norm): (f64, Norm)) -> f64 {
    let rows = margins(3, label, targets, (Kind::Float, Device::Cpu));
    let seek = |middle: &Tensor, reach: f64| {
        let axis = Tensor::linspace(-reach, reach, 401, (Kind::Float, Device::Cpu));
        let square = [
            axis.repeat([401]),
            axis.repeat_interleave_self_int(401, None::<i64>, None::<i64>),
        ];
        let grid = middle + Tensor::stack(&square, 1);
        let length = (grid
            .square()
            .sum_dim_intlist([1_i64].as_slice(), true, Kind::Float))
        .sqrt();
        let grid = match norm {
            // What is outside is drawn to the circle, so that it has many points; and within rounding of it.
            Norm::L2 => &grid * ((1.0 - 1e-6) * eps / length.clamp_min(1e-12)).clamp_max(1.0),
            _ => grid.clamp(-eps, eps),
        };
        let logits = graph
            .forward(&(&grid + 0.5).reshape([-1, 2, 1, 1]))
            .expect("logits");
        let (least, _) = logits.matmul(&rows.tr()).min_dim(1, false);
        let place = least.argmin(0, false).int64_value(&[]);
        (grid.get(place), least.double_value(&[place]))
    };
    let (middle, _) = seek(&Tensor::zeros([2], (Kind::Float, Device::Cpu)), eps);
    seek(&middle, eps / 100.0).1
}

/// A tiny network, solved by all its patterns of signs on a grid of images with two free values: branch and bound
/// agrees with every answer that is not within rounding of zero.
#[test]
fn branch_and_bound_is_complete_on_tiny_networks() {
    let (mut certified, mut broken) = (0, 0);
    for seed in 0..12 {
        let (graph, image, label, targets) = tiny(seed);
        let least = least_on_a_grid(&graph, (label, &targets), (0.3, Norm::Linf));
        // The network moves little between two points.
        if least.abs() < 0.02 {
            continue;
        }
        let region = Region::new(&image, 0.3, Norm::Linf).expect("a region");
        let verdict = verify(
            &graph,
            &region,
            (label, &targets),
            full(Method::BetaCrown),
            &|| true,
        )
        .expect("a verdict");
        assert_eq!(
            verdict.margin > 0.0,
            least > 0.0,
            "seed {seed}: {} and {least}",
            verdict.margin
        );
        assert_eq!(verdict.counterexample.is_some(), least < 0.0, "seed {seed}");
        certified += u32::from(least > 0.0);
        broken += u32::from(least < 0.0);
    }
    assert!(certified > 1 && broken > 1, "{certified} and {broken}");
}

fn full(method: Method) -> Effort {
    Effort {
        method,
        steps: 20,
        nodes: 300,
        above: 0.0,
    }
}

/// Programs find the least margin itself, in both norms: what is a little less is proven, the least is not. Branch and
/// bound without them stops where all units are decided and its multipliers are not good enough.
#[test]
fn programs_decide_tiny_networks_to_the_last_digit() {
    // Less than that is between two points of the finer grid.
    const GAP: f64 = 2e-3;
    let (mut certified, mut broken, mut asked, mut open_before) = (0, 0, 0, 0);
    for (norm, eps) in [
        (Norm::Linf, 0.3),
        (Norm::Linf, 0.1),
        (Norm::L2, 0.3),
        (Norm::L2, 0.15),
    ] {
        for seed in 0..20 {
            let (graph, image, label, targets) = tiny(seed);
            let region = Region::new(&image, eps, norm).expect("a region");
            let least = least_on_a_grid(&graph, (label, &targets), (eps, norm));
            let said = |effort: Effort| {
                verify(&graph, &region, (label, &targets), effort, &|| true).expect("a verdict")
            };
            let whole = said(full(Method::Exact));
            let what = format!("{norm} {eps}, seed {seed}: {} and {least}", whole.margin);
            // Nothing is left open, and what was found is in the region.
            assert!((whole.margin > 0.0) != whole.counterexample.is_some(), "{what}");
            assert!(whole.margin <= least + 1e-6, "{what}");
            match &whole.counterexample {
                Some(point) => {
                    let moved = point - &image;
                    let length = match norm {
                        Norm::L2 => moved.norm(),
                        _ => moved.abs().max(),
                    };
                    assert!(length.double_value(&[]) <= eps + 1e-6, "{what}");
                    broken += 1;
                }
                None => {
                    assert!(least > 0.0, "{what}");
                    certified += 1;
                }
            }
            if least <= GAP {
                continue;
            }
            let asked_of = |method: Method, above: f64| {
                let effort = Effort {
                    above,
                    ..full(method)
                };
                said(effort).margin
            };
            let below = asked_of(Method::Exact, least - GAP);
            // A row holds single precision.
            assert!(below as f32 > 0.0, "{what}: {below}");
            let beyond = asked_of(Method::Exact, least + 1e-5);
            assert!(beyond <= 0.0, "{what}: proven beyond the least, {beyond}");
            open_before += u32::from(asked_of(Method::BetaCrown, least - GAP) <= 0.0);
            asked += 1;
        }
    }
    let found =
        format!("{certified} certified, {broken} broken, {open_before} of {asked} open by beta-crown");
    assert!(
        certified > 20 && broken > 10 && open_before > 0 && open_before * 4 < asked,
        "{found}"
    );
}
