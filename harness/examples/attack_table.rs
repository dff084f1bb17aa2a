//! Images left against CPU seconds: every attack of the registry on some models, in Linf at 8/255 and L2 at 0.5.
//!
//! `cargo run --example attack_table -- FOLDER_WITH_test_batch.bin 128 robust.pt standard.pt` prints a table for
//! `docs/attacks/comparison.md`. One thread, one batch, seed 0, defaults; an attack that looks for the smallest
//! perturbation leaves an image when its distance is beyond the radius. `cw-linf` makes 100 of its 1000 steps, which take
//! ten times as long. A last argument `--only NAME,NAME` runs some attacks, or all in one norm (`--only l2`).
//!
//! `cargo run --example attack_table -- --draw docs/attacks/comparison.md docs/attacks/comparison.png` draws the tables
//! of a page.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use rlnet::attack::{Target, TorchScript, ball, run};
use rlnet_reports::figures::price::{Price, prices};
use rlnet_suites::attack::{CATALOGUE, Norm, usual_radius};
use rlnet_suites::{AttackSpec, Branch};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Seconds of this process's processors.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
    // User and system time, in hundredths.
    let ticks = fields
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("ticks"));
    ticks.sum::<f64>() / 100.0
}

fn images(folder: &Path, count: usize) -> (Tensor, Tensor) {
    let bytes = std::fs::read(folder.join("test_batch.bin")).expect("CIFAR-10's binary version");
    let records = || bytes.chunks_exact(3073).take(count);
    let labels: Vec<i64> = records().map(|record| i64::from(record[0])).collect();
    let pixels: Vec<f32> = records()
        .flat_map(|record| record[1..].iter().map(|byte| f32::from(*byte) / 255.0))
        .collect();
    let images = Tensor::from_slice(&pixels).reshape([count as i64, 3, 32, 32]);
    (images, Tensor::from_slice(&labels))
}

/// Draws the rows of all tables of a page.
fn draw(page: &str, picture: &str) {
    let page = std::fs::read_to_string(page).expect("a page");
    let price = |line: &str| {
        let [_, model, norm, attack, left, _, _, seconds, _] = line.split('|').collect::<Vec<_>>()[..] else {
            return None;
        };
        let norm: Norm = norm.trim().parse().ok()?;
        let attack = attack.trim().trim_matches('`');
        let ball = norm.size(usual_radius(norm)?);
        Some(Price {
            panel: format!("{}, {} {ball}", model.trim(), norm.symbol()),
            attack: attack.parse().expect(attack),
            left: left.trim().parse().expect("a number of images"),
            seconds: seconds.trim().parse().expect("seconds"),
        })
    };
    let rows: Vec<Price> = page.lines().filter_map(price).collect();
    let figure = prices(&rows).expect("a drawing");
    std::fs::write(picture, figure.png).expect("a file");
}

fn main() {
    tch::set_num_threads(1);
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, page, picture] = arguments.as_slice()
        && command == "--draw"
    {
        return draw(page, picture);
    }
    let only = arguments
        .iter()
        .position(|argument| argument == "--only")
        .map(|at| {
            let names = arguments.drain(at..).nth(1).expect("names behind --only");
            names.split(',').map(str::to_owned).collect::<Vec<_>>()
        });
    let [folder, count, models @ ..] = arguments.as_slice() else {
        eprintln!("attack_table FOLDER_WITH_test_batch.bin IMAGES MODEL.pt... [--only NAME,NAME]");
        std::process::exit(2);
    };
    let count: usize = count.parse().expect("a number of images");
    let (images, labels) = images(Path::new(folder), count);
    let indices: Vec<u32> = (0..count as u32).collect();
    println!("| model | norm | attack | images left | passes an image | median distance | CPU seconds |");
    println!("|---|---|---|---:|---:|---:|---:|");
    for model in models {
        let path = Path::new(model);
        let name = path.file_stem().expect("a file").to_string_lossy();
        let model = TorchScript::load(path, Device::Cpu).expect("a TorchScript file");
        for norm in [Norm::Linf, Norm::L2] {
            let radius = usual_radius(norm).expect("a radius");
            for entry in CATALOGUE {
                let asked =
                    |names: &Vec<String>| names.iter().any(|name| name == entry.name || name == norm.name());
                // (What drives sums out of a ring has nothing to do in floating point.)
                if entry.overflows || !only.as_ref().is_none_or(asked) {
                    continue;
                }
                let Ok(mut spec) = format!("{}:norm={norm}", entry.name).parse::<AttackSpec>() else {
                    continue;
                };
                if entry.name == "cw-linf" {
                    spec = spec.with("steps", "100").expect("steps");
                }
                let target = Target::new(&model, Branch::Single, &images, &labels, &indices, 0);
                let before = cpu_seconds();
                let made = run(&spec, &target, None).expect(entry.name);
                let seconds = cpu_seconds() - before;
                let spent = target.spent();
                let passes: u32 = spent.forwards.iter().chain(&spent.backwards).sum();
                let fooled = target.fooled(&target.logits(&made).expect("logits"));
                let away = ball::length(&(&made - &images), norm);
                let broken = fooled.logical_and(&away.le(radius * (1.0 + 1e-5)));
                let left = broken.logical_not().sum(Kind::Int64).int64_value(&[]);
                let clean = away.eq(0.0).logical_and(&fooled);
                let found = fooled.logical_and(&clean.logical_not());
                let any = spec.is_minimum_norm() && found.any().int64_value(&[]) == 1;
                let median = any.then(|| norm.size(away.masked_select(&found).median().double_value(&[])));
                let median = median.unwrap_or_default();
                println!(
                    "| {name} | {norm} | `{}` | {left} | {:.0} | {median} | {seconds:.1} |",
                    spec.short(),
                    f64::from(passes) / count as f64
                );
            }
        }
    }
}
