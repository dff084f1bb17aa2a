//! Every suite of the catalogue, at the scale `smoke`, in one folder: equal cells are computed once.

use crate::harness::{Place, Said};
use rlnet_suites::{CellSpec, Plan};
use serde_json::Value;

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.stdout).expect("JSON on stdout")
}

fn plan(place: &Place, out: &str) -> Plan {
    let text = std::fs::read(place.path(out).join("plan.json")).expect("a plan");
    serde_json::from_slice(&text).expect("JSON")
}

/// What a finished run must have: every planned cell, and each evaluated model in the report.
fn check(place: &Place, out: &str, said: &Said, suite: &str) {
    let plan = plan(place, out);
    assert!(!plan.cells.is_empty(), "{suite}");
    for cell in &plan.cells {
        let folder = place.path(out).join("cells").join(&cell.id.0);
        let file = match cell.spec {
            CellSpec::Train(_) => "model.safetensors",
            CellSpec::Evaluate(_) => "outcomes.parquet",
        };
        assert!(
            folder.join(file).is_file(),
            "{suite}: {} has no {file}",
            cell.name
        );
        let embedded = match cell.spec {
            CellSpec::Train(_) => ["shapes", "textures"].contains(&cell.data.dataset.as_str()),
            CellSpec::Evaluate(_) => cell.data.dataset == "shapes",
        };
        assert!(embedded, "{suite}: {} is of {}", cell.name, cell.data.dataset);
    }
    let evaluated = plan
        .cells
        .iter()
        .filter(|cell| matches!(cell.spec, CellSpec::Evaluate(_)));
    for cell in evaluated {
        assert!(
            said.stdout.contains(&cell.model),
            "{suite}: {} is not in the report",
            cell.model
        );
    }
    assert!(place.path(out).join("report/index.html").is_file(), "{suite}");
}

#[test]
fn every_suite_of_the_catalogue_runs_at_smoke_scale() {
    let place = Place::new();
    let mut trained = Vec::new();
    let mut measuring = Vec::new();
    for suite in json(&place.ok(&["suite", "list", "--json"]))
        .as_array()
        .expect("suites")
    {
        let name = suite["name"].as_str().expect("a name").to_owned();
        let shown = json(&place.ok(&["suite", "show", &name, "--json", "--set", "scale=smoke"]));
        match shown["cells"].as_array().expect("cells").is_empty() {
            true => measuring.push(name),
            false => trained.push(name),
        }
    }
    assert!(
        trained.len() >= 5 && measuring.len() >= 2,
        "{trained:?} {measuring:?}"
    );
    for suite in &trained {
        let said = place.ok(&["run", suite, "--set", "scale=smoke", "--out", "all"]);
        check(&place, "all", &said, suite);
    }
    let model = plan(&place, "all").cells[0].id.0.clone();
    let model = place.path("all/cells").join(model).join("model.safetensors");
    let model = model.to_string_lossy();
    for suite in &measuring {
        let said = place.ok(&[
            "eval",
            &model,
            "--suite",
            suite,
            "--set",
            "scale=smoke",
            "--out",
            suite,
        ]);
        check(&place, suite, &said, suite);
    }
    // A scale is no part of a cell: what was computed under its name is found without it.
    let again = place.ok(&[
        "run",
        "demo",
        "--out",
        "all",
        "--set",
        "scale=smoke",
        "--only",
        "teacher/clean",
    ]);
    assert!(again.stdout.contains("nothing was computed"), "{}", again.stdout);
}

#[test]
fn a_scale_that_is_not_there_is_refused_with_the_ones_that_are() {
    let place = Place::new();
    let said = place.run(&["run", "demo", "--set", "scale=smal"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("did you mean `small`?"), "{}", said.stderr);
}
