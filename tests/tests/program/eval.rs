//! `rlnet eval` on other people's models and on our own, whatever the batch.

use crate::archives::{eval, model, plan, refused};
use crate::support::{Sandbox, TINY};
use rlnet_test_support::reference;

/// The CIFAR-10 test images, unpacked.
fn cifar(sandbox: &Sandbox) -> std::path::PathBuf {
    let script = reference("data/unpack.sh");
    let data = sandbox.path("data");
    let status = std::process::Command::new("bash")
        .arg(script)
        .arg(&data)
        .output()
        .expect("bash");
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stderr)
    );
    data
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn a_torchscript_model_gets_the_references_accuracy() {
    let sandbox = Sandbox::new();
    let (model, data) = (reference("oracles/attacks/robust.pt"), cifar(&sandbox));
    let run = |out: &str, batch: &str| {
        let (model, data) = (model.display().to_string(), data.display().to_string());
        sandbox.ok(&[
            "eval",
            &model,
            "--dataset",
            "cifar10",
            "--data-dir",
            &data,
            "--limit",
            "256",
            "--attack",
            "fgsm",
            "--attack",
            "pgd:start=zero",
            "--attack",
            "pgd:steps=5",
            "--corruptions",
            "contrast",
            "--severity",
            "3",
            "--batch",
            batch,
            "--out",
            out,
        ]);
        let plan = std::fs::read(sandbox.path(out).join("plan.json")).expect("a plan");
        let plan: rlnet_suites::Plan = serde_json::from_slice(&plan).expect("JSON");
        plan.cells
            .iter()
            .map(|cell| {
                let path = sandbox
                    .path(out)
                    .join(format!("cells/{}/outcomes.parquet", cell.id));
                let rows = rlnet_reports::read_records::<rlnet_suites::Outcome>(&path).expect("rows");
                let flags: Vec<bool> = rows.iter().map(|row| row.label == row.prediction).collect();
                (cell.name.clone(), flags)
            })
            .collect::<Vec<_>>()
    };
    let whole = run("whole", "256");
    let accuracy = |name: &str| {
        let (_, flags) = whole
            .iter()
            .find(|(cell, _)| cell.ends_with(name))
            .expect("a cell");
        100.0 * flags.iter().filter(|flag| **flag).count() as f64 / flags.len() as f64
    };
    // The reference implementations' accuracies of these 256 images, in percent; its README
    // allows two images on FGSM and PGD.
    let near = |got: f64, want: f64| (got - want).abs() <= 100.0 * 2.0 / 256.0 + 0.01;
    assert!((accuracy("/clean") - 53.52).abs() < 0.01);
    assert!(near(accuracy("/fgsm:eps=8/255"), 28.91));
    assert!(near(accuracy("start=zero,steps=20"), 27.73));
    // Batch size must not decide any image: keyed starts, summed losses.
    let small = run("small", "7");
    for ((name, whole), (_, small)) in whole.iter().zip(&small) {
        let differ = whole.iter().zip(small).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{name}: {differ} images differ between batch sizes");
    }
}

#[test]
fn a_trained_model_is_evaluated_through_both_branches() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    sandbox.ok("run s.toml --out out --only teacher");
    let plan = std::fs::read(sandbox.path("out/plan.json")).expect("a plan");
    let plan: rlnet_suites::Plan = serde_json::from_slice(&plan).expect("JSON");
    let cell = plan
        .cells
        .iter()
        .find(|cell| cell.name == "teacher")
        .expect("a cell");
    let model = sandbox.path(&format!("out/cells/{}/model.safetensors", cell.id));
    let model = model.display().to_string();
    sandbox.ok(&format!(
        "eval {model} --dataset shapes --limit 50 --attack fgsm --out eval"
    ));
    let rows: Vec<_> = std::fs::read_dir(sandbox.path("eval/cells"))
        .expect("cells")
        .flatten()
        .flat_map(|cell| {
            rlnet_reports::read_records::<rlnet_suites::Outcome>(&cell.path().join("outcomes.parquet"))
                .expect("rows")
        })
        .collect();
    // Two conditions, two branches, fifty images.
    assert_eq!(rows.len(), 200);
    assert!(rows.iter().all(|row| row.norm <= 8.0 / 255.0 + 1e-6));
}

#[test]
fn advas_attack_is_the_strongest_asked_for_and_a_weaker_one_is_not_certified() {
    let sandbox = Sandbox::new();
    let model = model(&sandbox, TINY, "plain");
    let ask = |out: &str, more: &[&str]| {
        let question = ["--dataset", "shapes", "--limit", "40"];
        let output = eval(&sandbox, &model, out, &[&question[..], more].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        (
            plan(&sandbox, out).headline.map(|attack| attack.to_string()),
            output.stdout,
        )
    };
    let (headline, output) = ask(
        "a",
        &[
            "--attack",
            "apgd-ce:steps=5",
            "--attack",
            "fgsm",
            "--attack",
            "noise",
        ],
    );
    assert!(
        headline.is_some_and(|attack| attack.starts_with("apgd-ce")),
        "{output}"
    );
    assert!(
        output.contains("APGD-CE-5, 8/255") && !output.contains("NOISE"),
        "{output}"
    );
    // Noise alone is no attack.
    let (headline, output) = ask("b", &["--attack", "noise"]);
    assert!(headline.is_none() && !output.contains("no sign of"), "{output}");
}

#[test]
fn sensitivity_is_measured_on_the_images_that_a_stage_holds_out() {
    let sandbox = Sandbox::new();
    let model = model(&sandbox, TINY, "plain");
    let ask = |model: &str, more: &[&str]| {
        let output = sandbox.ok(&[&["model", "sensitivity", model, "--json"], more].concat());
        let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        let numbers = ["images", "held_out", "training_images"].map(|name| told[name].as_u64().expect(name));
        (numbers, told["from"].as_str().expect("from").to_owned())
    };
    // A tenth of the 200 training images that the suite takes.
    let wanted = ([20, 20, 200], "cell".to_owned());
    assert_eq!(ask(&model, &[]), wanted);
    assert_eq!(ask(&model, &["--dataset", "shapes"]), wanted);
    let output = sandbox.ok(&["model", "sensitivity", &model]);
    assert!(
        output
            .stdout
            .contains("first of 20 held out of 200 training images"),
        "{}",
        output.stdout
    );
    // Of a file that lies in no cell nothing is known.
    let bytes = std::fs::read(&model).expect("a model");
    let copy = sandbox
        .write("elsewhere/model.safetensors", bytes)
        .display()
        .to_string();
    refused(
        &sandbox.run(&["model", "sensitivity", &copy]),
        &["--dataset", "no cell"],
    );
    let ([_, held_out, all], from) = ask(&copy, &["--dataset", "shapes"]);
    assert!(
        all > 200 && held_out == all / 10 && from == "whole data set",
        "{held_out} of {all}"
    );
}
