//! `rlnet bench`: a figure of every kind, and what estimates make of it.

use crate::support::{Sandbox, untrained};
use serde_json::Value;

/// Figures of an architecture by what they are of.
fn bench(sandbox: &Sandbox, more: &[&str]) -> Vec<(Option<String>, String, f64)> {
    let mut words = vec![
        "bench",
        "resnet8-w2",
        "--seconds",
        "0.001",
        "--steps",
        "1",
        "--batch",
        "16",
        "--json",
    ];
    words.extend(more);
    let report: Value = serde_json::from_str(&sandbox.ok(&words).stdout).expect("JSON");
    let rates = report["rates"].as_array().expect("rates");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    rates
        .iter()
        .map(|rate| {
            let what = text(&rate["what"]).expect("what");
            (
                text(&rate["model"]),
                what,
                rate["value"].as_f64().expect("a number"),
            )
        })
        .collect()
}

#[test]
fn every_kind_of_work_has_a_rate_and_estimates_use_it() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "model.safetensors");
    let estimate = || sandbox.ok("run demo --dry-run").stdout;
    assert!(estimate().contains("by arithmetic, at most"), "{}", estimate());
    let rates = bench(&sandbox, &[model]);
    assert!(
        rates.iter().all(|(.., value)| value.is_finite() && *value > 0.0),
        "{rates:?}"
    );
    let of = |name: Option<&str>| -> Vec<&str> {
        let own = rates.iter().filter(|(model, ..)| model.as_deref() == name);
        own.map(|(_, what, _)| what.as_str()).collect()
    };
    let attacks = [
        "fgsm",
        "pgd:steps=20",
        "apgd-ce",
        "apgd-t",
        "fab-t",
        "square",
        "autoattack",
    ];
    let passes = ["forward", "forward and backward to the image"];
    let mut wanted: Vec<String> = [&passes[..], &attacks]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(of(Some("model")), wanted);
    // Only where the processor multiplies in it.
    let bf16 = of(None).iter().any(|what| what.ends_with("bf16"));
    let precisions = if bf16 { &["fp32", "bf16"][..] } else { &["fp32"] };
    for stage in ["teacher", "mask", "student"] {
        wanted.extend(
            precisions
                .iter()
                .map(|precision| format!("{stage} step, {precision}")),
        );
    }
    wanted.push("making batches".into());
    assert_eq!(of(Some("resnet8-w2")), wanted);
    // A product in each precision, a copy, and corruptions two ways.
    assert_eq!(of(None).len(), precisions.len() + 3, "{rates:?}");
    // A union takes as long as its parts, each of which is measured once.
    let rate = |what: &str| rates.iter().find(|(_, found, _)| found == what).expect(what).2;
    let parts: f64 = attacks[2..6].iter().map(|part| 1.0 / rate(part)).sum();
    assert!((rate("autoattack") * parts - 1.0).abs() < 1e-9, "{rates:?}");
    assert!(
        estimate().contains("and what `rlnet bench` measured here"),
        "{}",
        estimate()
    );
}

#[test]
fn what_is_asked_for_is_measured_and_nothing_else() {
    let sandbox = Sandbox::new();
    let rates = bench(&sandbox, &["--only", "passes"]);
    assert_eq!(rates.len(), 2, "{rates:?}");
    assert!(
        !sandbox.path("cache").exists(),
        "estimates need training and attacks"
    );
    let rates = bench(
        &sandbox,
        &["--only", "attacks", "--attack", "pgd:steps=2", "--budget", "4x"],
    );
    let asked: Vec<&str> = rates.iter().map(|(_, what, _)| what.as_str()).collect();
    assert_eq!(asked, ["pgd:steps=2"]);
    for (words, why) in [
        (&["bench", "resnet7"][..], "resnet7"),
        (&["bench", "resnet7", "--budget", "4x"], "--budget"),
        (&["bench", "resnet8-w2", "--attack", "pgq"], "pgq"),
        (&["bench", "resnet8-w2", "--only", "speed"], "speed"),
        (&["bench", "resnet8-w2", "--seconds", "0"], "--seconds 0"),
        (&["bench", "resnet8-w2", "--batch", "1"], "16"),
        (&["bench"], "MODEL"),
    ] {
        let output = sandbox.run(words);
        assert_eq!(output.code, 2, "{words:?}: {}", output.stderr);
        assert!(output.stderr.contains(why), "{words:?}: {}", output.stderr);
    }
}
