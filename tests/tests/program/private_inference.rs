//! Networks for private inference: plans, ONNX, a protocol's arithmetic, and the engine itself.

use crate::archives::{eval, refused};
use crate::support::{Sandbox, rows, untrained};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The masked student of the fixtures, whose images have 8 pixels.
fn student(sandbox: &Sandbox) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/student.pth");
    sandbox.ok(&[
        "import",
        file,
        "--arch",
        "resnet8-w2",
        "--image-size",
        "8",
        "--out",
        "s.safetensors",
    ]);
}

/// `tests/peers/private_inference.py`, in the sandbox: the last line that it prints.
fn peer(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/private_inference.py");
    let ran = Command::new("python3")
        .arg(script)
        .args(arguments)
        .current_dir(sandbox.path(""))
        .output();
    let ran = ran.expect("a process");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let stdout = String::from_utf8_lossy(&ran.stdout).into_owned();
    let last = stdout
        .lines()
        .rfind(|line| line.starts_with('{'))
        .expect("a line of JSON");
    serde_json::from_str(last).expect("JSON")
}

#[test]
fn a_plan_lists_every_operation_of_a_branch_and_counts_its_relus() {
    let sandbox = Sandbox::new();
    student(&sandbox);
    // Its weights would replace the model, by either name.
    for (out, why) in [
        ("s.json", "it is the file that is read"),
        ("s.safetensors", "NAME.json"),
    ] {
        let over = sandbox.run(&format!(
            "export s.safetensors --format plan --branch clean --out {out}"
        ));
        refused(&over, &[why]);
    }
    sandbox.ok("export s.safetensors --format plan --branch clean --out p.json");
    let plan = std::fs::read_to_string(sandbox.path("p.json")).expect("the plan");
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(
        (&plan["format"], &plan["version"]),
        (&"rlnet-plan".into(), &1.into())
    );
    let operations = plan["operations"].as_array().expect("a list");
    let count = |op: &str| operations.iter().filter(|step| step["op"] == op).count();
    // Three stages of one block: a stem, two convolutions a block, two shortcuts; the official student adds no input
    // where a block keeps its shape.
    assert_eq!(
        (
            count("conv"),
            count("relu"),
            count("add"),
            count("mean"),
            count("linear")
        ),
        (9, 7, 2, 1, 1)
    );
    let kept: u64 = operations.iter().filter_map(|step| step["kept"].as_u64()).sum();
    assert_eq!(plan["relus"], kept);
    for (place, step) in operations.iter().enumerate() {
        let inputs = step["inputs"].as_array().expect("inputs");
        assert!(
            inputs
                .iter()
                .all(|value| value.as_u64().expect("a value") as usize <= place),
            "{step}"
        );
    }
}

#[test]
#[cfg_attr(not(have = "spu"), ignore = "needs SPU's environment")]
fn onnx_and_plan_are_the_network_whose_answers_the_reference_gave() {
    let sandbox = Sandbox::new();
    student(&sandbox);
    for branch in ["clean", "adversarial"] {
        sandbox.ok(&format!(
            "export s.safetensors --format plan --branch {branch} --out p.json"
        ));
        sandbox.ok(&format!(
            "export s.safetensors --format onnx --branch {branch} --out s.onnx"
        ));
        let said = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/checkpoints.json");
        let key = format!("student/{branch}");
        let found = peer(
            &sandbox,
            &["p.json", "--onnx", "s.onnx", "--reference", said, &key],
        );
        for what in ["onnx_and_plan", "onnx_and_reference"] {
            assert!(found[what].as_f64().expect(what) < 1e-4, "{branch}: {found}");
        }
    }
}

/// Bytes of two inferences on one connection, and answers, by the engine itself.
#[test]
#[ignore = "takes a minute: make test-long"]
fn an_engine_answers_as_the_network_and_sends_what_its_profile_says() {
    if !cfg!(have = "spu") {
        panic!(
            "SPU's environment is missing: python3 tests/peers/private_inference.py PLAN.json installs it"
        );
    }
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "t.safetensors");
    sandbox.ok(&format!(
        "export {model} --format plan --branch clean --out t.json"
    ));
    let found = peer(
        &sandbox,
        &["t.json", "--protocol", "semi2k", "--json", "cost.json"],
    );
    assert!(
        found["largest_logit_error"].as_f64().expect("an error") < 1e-3,
        "{found}"
    );
    assert_eq!((&found["same_class"], &found["relus"]), (&1.into(), &9216.into()));
    let info = sandbox.ok(&format!("model info {model} --protocol spu-semi2k --json"));
    let info: Value = serde_json::from_str(&info.stdout).expect("JSON");
    let cost = &info["private_inference"]["all"]["cost"];
    let modelled = cost["down"].as_f64().expect("bytes") + cost["up"].as_f64().expect("bytes");
    let measured =
        found["linear_bytes"].as_f64().expect("bytes") + found["relu_bytes"].as_f64().expect("bytes");
    assert!((modelled / measured - 1.0).abs() < 0.05, "{modelled} {measured}");
}

#[test]
fn a_deployed_model_is_evaluated_attacked_and_paired_like_any_other() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "t.safetensors");
    let ask = "--dataset shapes --limit 24 --branch clean --attack pgd:steps=2";
    let ask: Vec<&str> = ask.split(' ').collect();
    assert_eq!(eval(&sandbox, model, "float", &ask).code, 0);
    let wide = [
        "--arithmetic",
        "fixed:bits=64,frac=20,trunc=nearest",
        "--attack",
        "overflow:steps=2",
    ];
    let transfer = [
        "--surrogate",
        "float=t.safetensors",
        "--attack",
        "pgd:steps=2,surrogate=float",
    ];
    assert_eq!(
        eval(&sandbox, model, "wide", &[&ask[..], &wide, &transfer].concat()).code,
        0
    );
    let narrow = ["--arithmetic", "fixed:bits=20,frac=9", "--name", "narrow"];
    assert_eq!(
        eval(&sandbox, model, "narrow", &[&ask[..], &narrow].concat()).code,
        0
    );

    let narrower = ["--arithmetic", "fixed:bits=19,frac=9", "--name", "narrower"];
    assert_eq!(
        eval(&sandbox, model, "narrower", &[&ask[..], &narrower].concat()).code,
        0
    );

    let name = |out: &str| crate::archives::plan(&sandbox, out).cells[0].model.clone();
    let clean = |out: &str| rows(&sandbox, out, &format!("{}/clean", name(out)));
    let (float, wide, narrow) = (clean("float"), clean("wide"), clean("narrow"));
    assert_eq!(name("wide"), format!("{}-fixed64.20-nearest", name("float")));
    for (a, b) in float.iter().zip(&wide) {
        assert_eq!(a.prediction, b.prediction);
        assert!(
            (a.margin - b.margin).abs() < 1e-3 * a.margin.abs().max(1.0),
            "{a:?} {b:?}"
        );
    }
    assert!(float.iter().zip(&narrow).any(|(a, b)| a.margin != b.margin));

    sandbox.ok("report float wide narrow --out joint");
    let table = std::fs::read_to_string(sandbox.path("joint/report/tables/deployed.csv")).expect("the table");
    // Clean, overflow, and PGD twice in the wide ring; clean and PGD in the narrow one.
    assert_eq!(table.lines().count(), 1 + 4 + 2, "{table}");
    assert!(
        table.contains("fixed:bits=64,frac=20,trunc=nearest,relu=exact"),
        "{table}"
    );

    // Two rings of one arithmetic make a line against their size.
    sandbox.ok("report float narrow narrower --out rings");
    assert!(sandbox.path("rings/report/figures/rings.svg").is_file());
    assert!(!sandbox.path("joint/report/figures/rings.svg").exists());

    let widths = sandbox.ok(&format!(
        "model arithmetic {model} --dataset shapes --limit 24 --arithmetic fixed:frac=9 --json"
    ));
    let widths: Value = serde_json::from_str(&widths.stdout).expect("JSON");
    let rings = widths["found"]["rings"].as_array().expect("rings");
    let overflows = |ring: &Value| !ring["overflows_at"].is_null();
    assert!(
        !overflows(&rings[0]) && overflows(rings.last().expect("a ring")),
        "{widths}"
    );
}

#[test]
fn what_an_arithmetic_cannot_do_is_refused() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "t.safetensors");
    let ask = ["--dataset", "shapes", "--limit", "4"];
    let with = |more: &[&str]| eval(&sandbox, model, "out", &[&ask[..], more].concat());
    refused(
        &with(&["--attack", "overflow"]),
        &["overflow", "floating point", "--arithmetic"],
    );
    refused(&with(&["--arithmetic", "fixed:bits=32,frac=16"]), &["2 frac"]);
    refused(&with(&["--arithmetic", "fixed:trunc=up"]), &["truncation", "up"]);
    sandbox.ok(&format!(
        "export {model} --format torchscript --branch clean --out t.pt"
    ));
    let script = eval(
        &sandbox,
        "t.pt",
        "out",
        &[&ask[..], &["--arithmetic", "fixed"]].concat(),
    );
    refused(&script, &["--arithmetic", "t.pt", "rlnet import"]);
    refused(
        &sandbox.run("model info resnet18 --protocol cheetah"),
        &["spu-cheetah"],
    );
    std::fs::write(sandbox.path("no.json"), "{}").expect("a file");
    assert_eq!(eval(&sandbox, model, "run", &ask).code, 0);
    refused(
        &sandbox.run("report run --measured no.json"),
        &["no.json", "private_inference.py"],
    );
}
