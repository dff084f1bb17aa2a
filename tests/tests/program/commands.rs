//! Commands that look things up, and the report at the end of a run.

use crate::support::{Sandbox, TINY};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON on stdout")
}

#[test]
fn model_info_gives_the_published_counts() {
    let sandbox = Sandbox::new();
    let info = json(&sandbox.ok("model info resnet18 --budget 50k --json").stdout);
    assert_eq!(info["relus_total"], 557_056);
    assert_eq!(info["relus_kept"], 50_000);
    assert!((info["reduction"].as_f64().expect("a number") - 11.14).abs() < 0.005);
    let table = sandbox.ok("model info resnet18 --reduction 11.14x").stdout;
    assert!(
        table.contains("layer4.1.b") && table.contains("11.14x fewer"),
        "{table}"
    );
    let large = json(&sandbox.ok("model info resnet18 --image-size 64 --json").stdout);
    assert_eq!(large["relus_total"], 2_228_224);
}

#[test]
fn catalogues_list_and_show() {
    let sandbox = Sandbox::new();
    assert!(sandbox.ok("suite list").stdout.contains("cifar10-small"));
    let plan = json(&sandbox.ok("suite show cifar10-small --json").stdout);
    let cells = plan["cells"].as_array().expect("cells");
    let find = |name: &str| cells.iter().find(|cell| cell["name"] == name).expect("a cell");
    assert_eq!(
        find("teacher")["spec"]["attack"].as_str(),
        Some("pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=7")
    );
    assert_eq!(find("rlnet")["spec"]["beta"], 1000.0);
    assert_eq!(find("senet")["spec"]["norm"], "single");
    assert!(sandbox.ok("attack show pgd").stdout.contains("alpha"));
    assert!(sandbox.ok("model list").stdout.contains("resnet34"));
    assert!(sandbox.ok("data list").stdout.contains("shapes"));
    sandbox.write("s.toml", TINY);
    let why = sandbox.ok("suite show s.toml --why teacher plain").stdout;
    assert!(why.contains("spec.norm: ") && why.contains("single"), "{why}");
    assert!(!why.contains("spec.epochs"), "{why}");
    let why = sandbox
        .ok("suite show s.toml --why rlnet/clean plain/clean")
        .stdout;
    assert!(why.contains("parents: ") && why.contains("\"plain\""), "{why}");
    assert!(sandbox.ok("suite check s.toml").stdout.contains("fine"));
}

#[test]
fn every_command_has_help_with_an_example() {
    let sandbox = Sandbox::new();
    for command in [
        &["demo"][..],
        &["run"],
        &["train", "teacher"],
        &["train", "mask"],
        &["train", "student"],
        &["train", "snl"],
        &["eval"],
        &["report"],
        &["suite", "show"],
        &["model", "info"],
        &["attack", "show"],
        &["data", "verify"],
        &["doctor"],
    ] {
        let help = sandbox.ok(&[command, &["--help"]].concat()).stdout;
        assert!(help.contains("Example: rlnet"), "{command:?}: {help}");
    }
}

#[test]
fn help_has_headings_and_its_example_comes_first() {
    let sandbox = Sandbox::new();
    let help = sandbox.ok("eval --help").stdout;
    let parts = [
        "Example: rlnet eval",
        "Usage: ",
        "Model:",
        "Data:",
        "Attacks:",
        "Corruptions:",
        "Run:",
        "Output:",
        "Global options:",
    ];
    let places: Vec<Option<usize>> = parts.iter().map(|part| help.find(&format!("\n{part}"))).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{places:?}\n{help}"
    );
    let global = help.split("Global options:").last().expect("a part");
    for option in [
        "--device",
        "--threads",
        "--seed",
        "--data-dir",
        "--json",
        "--help",
    ] {
        assert!(global.contains(option), "{option}: {help}");
    }
    let short = sandbox.ok("eval -h").stdout;
    assert!(
        short.len() < help.len() && short.contains("Global options:"),
        "{short}"
    );
}

#[test]
fn doctor_says_what_is_here() {
    let sandbox = Sandbox::new();
    let doctor = json(&sandbox.ok("doctor --json").stdout);
    assert_eq!(doctor["libtorch"]["version"], "2.11.0");
    assert!(doctor["cuda"].as_str().is_some_and(|text| !text.is_empty()));
    let shapes = &doctor["data"][0];
    assert_eq!(
        (&shapes["name"], &shapes["found"]),
        (&"shapes".into(), &true.into())
    );
    // What is there and cannot be used is not "not found", in either command.
    sandbox.write("d/cifar-10-batches-bin/data_batch_1.bin", "short");
    let listed = json(&sandbox.ok("data list --data-dir d --json").stdout);
    let doctor = json(&sandbox.ok("doctor --data-dir d --json").stdout);
    assert_eq!(listed, doctor["data"]);
    let find = |name: &str| {
        listed
            .as_array()
            .expect("data sets")
            .iter()
            .find(|set| set["name"] == name)
            .expect("a set")
    };
    let shapes = find("shapes");
    assert!(
        shapes["train"].as_u64() > Some(0) && shapes["test"].as_u64() > Some(0) && shapes["classes"] == 10,
        "{shapes}"
    );
    assert!(
        find("cifar10")["why"]
            .as_str()
            .is_some_and(|why| why.contains("test_batch")),
        "{listed}"
    );
    let told = sandbox.ok("doctor --data-dir d").stdout;
    let line = |name: &str| {
        told.lines()
            .find(|line| line.trim_start().starts_with(name))
            .expect("a line")
    };
    assert!(
        line("cifar10 ").contains("not usable") && line("cifar100").contains("not found"),
        "{told}"
    );
}

#[test]
fn a_run_ends_in_a_report_that_traces_to_its_rows() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let output = sandbox.ok("run s.toml --out out");
    assert!(output.stdout.contains("Report: "), "{}", output.stdout);
    let report = sandbox.path("out/report");
    let page = std::fs::read_to_string(report.join("index.html")).expect("the page");
    assert!(page.contains("rlnet") && page.contains("plain"));
    for folder in ["tables", "figures"] {
        assert!(std::fs::read_dir(report.join(folder)).expect("a folder").count() > 4);
    }
    // Recount one accuracy from its rows: the number in the report is no other.
    let plan: rlnet_suites::Plan =
        serde_json::from_slice(&std::fs::read(sandbox.path("out/plan.json")).expect("a plan")).expect("JSON");
    let cell = plan
        .cells
        .iter()
        .find(|cell| cell.name == "plain/clean")
        .expect("a cell");
    let rows = sandbox.path(&format!("out/cells/{}/outcomes.parquet", cell.id));
    let rows = rlnet_reports::read_records::<rlnet_suites::Outcome>(&rows).expect("rows");
    assert_eq!(rows.len(), 40);
    let right = rows.iter().filter(|row| row.label == row.prediction).count();
    let percent = format!("{:.1}", 100.0 * right as f64 / 40.0);
    assert!(
        output.stdout.contains(&percent),
        "{percent} is not in\n{}",
        output.stdout
    );
    // The map of a mask is its mask.
    let cell = plan
        .cells
        .iter()
        .find(|cell| cell.name == "rlnet")
        .expect("a cell");
    let folder = sandbox.path(&format!("out/cells/{}", cell.id));
    let map = rlnet_reports::read_records::<rlnet_suites::MaskShare>(&folder.join("mask_map.parquet"))
        .expect("a map");
    let record = std::fs::read(folder.join("cell.json")).expect("a record");
    let record: rlnet_suites::CellRecord = serde_json::from_slice(&record).expect("JSON");
    for layer in record.model.expect("a model").layers {
        let own = map.iter().filter(|share| share.layer == layer.name);
        let kept: f64 = own.map(|share| share.kept * layer.shape[0] as f64).sum();
        assert_eq!(kept.round() as u64, layer.kept, "{}", layer.name);
    }
    assert!(report.join("figures/masks.png").is_file() && report.join("figures/confusion.png").is_file());
    // Drawing again from the rows alone gives the same page.
    sandbox.ok("report out --out again");
    let again = std::fs::read_to_string(sandbox.path("again/report/index.html")).expect("the page");
    assert_eq!(page, again);
}
