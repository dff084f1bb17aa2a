//! `rlnet eval` again and again, and of several models: one report, nothing lost.

use crate::archives::plan;
use crate::errors::refused;
use crate::served::repository;
use crate::support::{Sandbox, TINY, captured, rows, untrained};
use rlnet_suites::{CellSpec, Outcome};
use rlnet_test_support::python;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

fn conditions(sandbox: &Sandbox, out: &str) -> Vec<String> {
    let cells = plan(sandbox, out).cells;
    cells.iter().map(|cell| cell.name.clone()).collect()
}

#[test]
fn one_more_attack_keeps_the_earlier_ones_and_another_subset_replaces_nothing() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "net.safetensors");
    let ask = "eval net.safetensors --dataset shapes --limit 12";
    sandbox.ok(&format!(
        "{ask} --attack fgsm --corruptions fog,contrast --severity 1"
    ));
    let output = sandbox.ok(&format!("{ask} --attack pgd:steps=2"));
    assert!(output.stdout.contains("PGD-2"), "{}", output.stdout);
    let names = conditions(&sandbox, "out/eval-net");
    let kinds = names.iter().map(|name| name.trim_start_matches("net/"));
    let mut kinds: Vec<&str> = kinds
        .map(|name| name.split(':').next().unwrap_or_default())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["clean", "contrast", "fgsm", "fog", "pgd"], "{names:?}");
    // AdvA is the accuracy under the strongest attack of all.
    let headline = plan(&sandbox, "out/eval-net").headline.expect("an attack");
    assert_eq!(headline.name(), "pgd");
    sandbox.ok(&format!("{ask} --attack fgsm"));
    assert_eq!(conditions(&sandbox, "out/eval-net").len(), 5);
    // Other images are another report.
    sandbox.ok("eval net.safetensors --dataset shapes --limit 13");
    assert_eq!(conditions(&sandbox, "out/eval-net").len(), 5);
    assert_eq!(fs::read_dir(sandbox.path("out")).expect("out").count(), 2);
}

#[test]
fn any_images_are_evaluated_as_they_are_among_all() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "net.safetensors");
    let ask = "eval net.safetensors --dataset shapes --attack pgd:steps=2 --corruptions fog --severity 2";
    sandbox.ok(&format!("{ask} --limit 30 --out all"));
    sandbox.write("list.txt", "7\n20-22\n9\n");
    for (images, places) in [
        ("20-25", (20..26).collect()),
        ("list.txt", vec![7, 9, 20, 21, 22]),
    ] {
        sandbox.ok(&format!("{ask} --images {images} --out some --batch 4"));
        for cell in plan(&sandbox, "all").cells {
            let chosen = |rows: Vec<Outcome>| -> Vec<Outcome> {
                rows.into_iter()
                    .filter(|row| places.contains(&row.image))
                    .collect()
            };
            assert_eq!(
                rows(&sandbox, "some", &cell.name),
                chosen(rows(&sandbox, "all", &cell.name)),
                "{images}"
            );
        }
        fs::remove_dir_all(sandbox.path("some")).expect("a folder");
    }
    refused(
        &sandbox.run(&format!("{ask} --images 5-3")),
        2,
        &["--images", "5000-5511"],
    );
    refused(
        &sandbox.run(&format!("{ask} --images 99999")),
        2,
        &["--images 99999", "test images 0 to"],
    );
}

/// A suite measured on other images: its models are trained once, and an image has its row.
#[test]
fn a_suite_is_measured_on_any_images_with_the_models_it_has() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    sandbox.ok("run s.toml --out out");
    let conditions = ["rlnet/clean", "rlnet/contrast", "rlnet/pgd:"];
    let cells = plan(&sandbox, "out").cells;
    let named = |start: &&str| cells.iter().find(|cell| cell.name.starts_with(*start));
    let names: Vec<&str> = conditions
        .iter()
        .map(|start| named(start).expect("a cell").name.as_str())
        .collect();
    let all: Vec<Vec<Outcome>> = names.iter().map(|name| rows(&sandbox, "out", name)).collect();
    let output = sandbox.ok("run s.toml --out out --images 5,30-33");
    assert!(output.stderr.contains("4 done before"), "{}", output.stderr);
    let trained = |cell: &&rlnet_suites::Cell| matches!(cell.spec, CellSpec::Train(_));
    let ids = |cells: &[rlnet_suites::Cell]| -> Vec<String> {
        let trained = cells.iter().filter(trained);
        trained.map(|cell| cell.id.to_string()).collect()
    };
    assert_eq!(ids(&plan(&sandbox, "out").cells), ids(&cells));
    for (name, all) in names.iter().zip(all) {
        let chosen: Vec<Outcome> = all
            .into_iter()
            .filter(|row| [5, 30, 31, 32, 33].contains(&row.image))
            .collect();
        assert!(!chosen.is_empty(), "{name}");
        assert_eq!(rows(&sandbox, "out", name), chosen, "{name}");
    }
    let page = fs::read_to_string(sandbox.path("out/report/index.html")).expect("a page");
    assert!(
        page.contains("test images 5,30-33"),
        "the page does not say which images"
    );
    sandbox.write("own.toml", TINY.replace("test = 40", "images = \"5,30-33\""));
    sandbox.ok("run own.toml --out out --dry-run");
    refused(
        &sandbox.run("run own.toml --out other --limit 3"),
        2,
        &["--limit", "5,30-33", "--images"],
    );
    refused(
        &sandbox.run("run s.toml --out out --set data.dataset=cifar10 --images 9990-10000"),
        2,
        &["data.images", "0 to 9999"],
    );
}

/// Two models of one evaluation: the page compares them image by image, with the ReLUs that are stated.
#[test]
fn several_models_are_paired_with_their_baseline() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "mine.safetensors");
    for branch in ["clean", "adversarial"] {
        sandbox.ok(&format!(
            "export mine.safetensors --format torchscript --branch {branch} --out {branch}.pt"
        ));
    }
    let ask = "eval clean.pt adversarial.pt --dataset shapes --limit 30 --out both";
    let models = "--name mine --name theirs --baseline theirs --relus 5000/9216 --relus 4608";
    let output = sandbox.ok(&format!(
        "{ask} {models} --corruptions benchmark --attack pgd:steps=2"
    ));
    for said in ["| mine ", "| theirs", "5,000", "4,608", "1.8"] {
        assert!(output.stdout.contains(said), "no {said:?} in {}", output.stdout);
    }
    let compared = fs::read_to_string(sandbox.path("both/report/tables/comparison.csv")).expect("a table");
    assert!(compared.contains("mine,"), "{compared}");
    let models: BTreeSet<String> = plan(&sandbox, "both")
        .cells
        .iter()
        .map(|cell| cell.model.clone())
        .collect();
    assert_eq!(models.into_iter().collect::<Vec<_>>(), ["mine", "theirs"]);
    for (wrong, said) in [
        ("--name mine", "once a model"),
        ("--name a --name a", "have one name"),
        (
            "--baseline other",
            "no model has this name; the models are clean, adversarial",
        ),
        ("--relus 5", "once a model"),
        ("--relus 9/5 --relus 1", "more than it has"),
    ] {
        refused(&sandbox.run(&format!("{ask} {wrong}")), 2, &[said]);
    }
    refused(
        &sandbox.run("eval mine.safetensors --dataset shapes --relus 5"),
        2,
        &["describes its layers itself"],
    );
}

/// The page `docs/outcomes.md`: its table is what files have, its code runs and gives the report's numbers.
#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn the_documented_rows_are_those_of_files() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "mine.safetensors");
    for (branch, name) in [("clean", "mine"), ("adversarial", "theirs")] {
        sandbox.ok(&format!(
            "export mine.safetensors --format torchscript --branch {branch} --out {name}.pt"
        ));
    }
    sandbox.ok(
        "eval mine.pt theirs.pt --baseline theirs --dataset shapes --limit 40 --corruptions benchmark --attack pgd:steps=3 \
         --out out/both",
    );
    let page = fs::read_to_string(repository("docs/outcomes.md")).expect("the page");
    let mut code: String = page
        .split("```python\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap_or_default())
        .collect();
    code += r#"
import glob, json
import pyarrow.parquet as pq
table = run.table("main").filter(pl.col("reading") == "single branch")
for name, value in mce.rows():
    said = table.filter(pl.col("model") == name)["mce"][0]
    assert abs(said - value) < 1e-9, (name, said, value)
    assert abs(mce_pandas[name] - value) < 1e-9
file = pq.ParquetFile(glob.glob("out/both/cells/*/outcomes.parquet")[0])
print(json.dumps({
    "columns": [[field.name, str(field.type)] for field in file.schema_arrow],
    "metadata": sorted(key.decode() for key in file.metadata.metadata if key.startswith(b"rlnet.")),
    "p": p,
}))
"#;
    let ran = Command::new(python())
        .args(["-c", &code])
        .current_dir(sandbox.path(""))
        .env("PYTHONPATH", repository("python"))
        .output();
    let ran = captured(ran.expect("a process"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said: serde_json::Value =
        serde_json::from_str(ran.stdout.lines().last().expect("a line")).expect("JSON");
    let documented: Vec<(String, String)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let mut cells = line.split(" | ");
            let name = cells.next().expect("a name").trim_end_matches('`').to_owned();
            (name, cells.next().expect("a type").to_owned())
        })
        .collect();
    let kinds = [
        ("uint32", "u32"),
        ("float", "f32"),
        ("large_string", "str"),
        ("string_view", "str"),
        ("string", "str"),
    ];
    let found: Vec<(String, String)> = said["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| {
            let (name, kind) = (
                column[0].as_str().expect("a name"),
                column[1].as_str().expect("a type"),
            );
            let known = kinds.iter().find(|(arrow, _)| *arrow == kind);
            (name.to_owned(), known.expect(kind).1.to_owned())
        })
        .collect();
    assert_eq!(found, documented);
    for entry in said["metadata"].as_array().expect("entries") {
        let entry = entry.as_str().expect("text");
        assert!(page.contains(&format!("`{entry}`")), "{entry} is not documented");
    }
    assert_eq!(said["metadata"].as_array().map(Vec::len), Some(6));
    let report = fs::read_to_string(sandbox.path("out/both/report/index.html")).expect("the page");
    let p = said["p"].as_f64().expect("a number");
    assert!(
        report.contains(&format!("{p:.3}")) || p < 0.001,
        "{p} is not in the report"
    );
}
