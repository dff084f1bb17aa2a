//! Minimum-norm attacks beside Foolbox and torchattacks, image by image.

use crate::attacks::Bench;
use rlnet::attack::{Target, ball, run};
use rlnet_suites::{AttackSpec, Branch};
use tch::Kind;

/// The target of the first `count` images.
fn first(bench: &Bench, count: i64) -> Target<'_> {
    let indices: Vec<u32> = (0..count as u32).collect();
    let (images, labels) = (bench.images.narrow(0, 0, count), bench.labels.narrow(0, 0, count));
    Target::new(&bench.model, Branch::Single, &images, &labels, &indices, 0)
}

/// Distances of the adversarials of the images that are right when clean, and whether each
/// was found, as an evaluation sees it: by another forward pass.
struct Found {
    distances: Vec<f64>,
    fooled: Vec<bool>,
}

impl Found {
    fn of(bench: &Bench, text: &str, count: i64) -> Self {
        let spec: AttackSpec = text.parse().expect(text);
        let target = first(bench, count);
        let before = std::time::Instant::now();
        let made = run(&spec, &target, None).expect(text);
        let seconds = before.elapsed().as_secs_f64();
        assert!(made.min().double_value(&[]) >= 0.0 && made.max().double_value(&[]) <= 1.0);
        let distances = ball::length(&(&made - &target.images), spec.norm());
        let distances = Vec::<f64>::try_from(distances.to_kind(Kind::Double)).expect("distances");
        let fooled = target.fooled(&target.logits(&made).expect("logits"));
        let fooled = Vec::<bool>::try_from(fooled).expect("flags");
        let clean = bench.flags("clean");
        for (row, &right) in clean.iter().take(count as usize).enumerate() {
            assert!(
                right == 1 || distances[row] == 0.0,
                "image {row} was wrong already"
            );
        }
        let right = |row: &usize| clean[*row] == 1;
        let rows: Vec<usize> = (0..count as usize).filter(right).collect();
        let found = Self {
            distances: rows.iter().map(|&row| distances[row]).collect(),
            fooled: rows.iter().map(|&row| fooled[row]).collect(),
        };
        eprintln!(
            "{} {text}: median {:.5}, success {:.4}, {seconds:.1} s",
            bench.name,
            found.median(),
            found.success()
        );
        found
    }

    fn success(&self) -> f64 {
        self.fooled.iter().filter(|&&fooled| fooled).count() as f64 / self.fooled.len() as f64
    }

    fn median(&self) -> f64 {
        let found = self.distances.iter().zip(&self.fooled);
        median(found.filter(|(_, fooled)| **fooled).map(|(d, _)| *d).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

fn look(name: &'static str) {
    let Some(bench) = Bench::open(name) else {
        return;
    };
    for (text, count) in [
        ("deepfool", 256),
        ("deepfool:norm=linf", 256),
        ("cw:search=4,steps=100,c=0.1", 64),
        ("fmn", 256),
        ("fmn:alpha=3", 256),
        ("fmn:alpha=10", 256),
        ("fmn:norm=l2", 256),
        ("fmn:norm=l2,alpha=3", 256),
        ("fmn:norm=l1", 64),
        ("fmn:norm=l1,alpha=3", 64),
    ] {
        let _ = Found::of(&bench, text, count);
    }
}

#[test]
fn scratch_look() {
    look("standard");
    look("robust");
}
