//! Every suite of the catalogue, at the scale `smoke`, in one folder: equal cells are computed once.

use crate::support::{CommandOutput, Sandbox};
use rlnet_suites::catalog::CATALOGUE;
use rlnet_suites::{CellSpec, Plan};

fn plan(sandbox: &Sandbox, out: &str) -> Plan {
    let text = std::fs::read(sandbox.path(out).join("plan.json")).expect("a plan");
    serde_json::from_slice(&text).expect("JSON")
}

/// What a finished run must have: every planned cell, and each evaluated model in the report.
fn check(sandbox: &Sandbox, out: &str, output: &CommandOutput, suite: &str) {
    let plan = plan(sandbox, out);
    assert!(!plan.cells.is_empty(), "{suite}");
    for cell in &plan.cells {
        let folder = sandbox.path(out).join("cells").join(&cell.id.0);
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
            output.stdout.contains(&cell.model),
            "{suite}: {} is not in the report",
            cell.model
        );
    }
    assert!(sandbox.path(out).join("report/index.html").is_file(), "{suite}");
}

#[test]
fn every_suite_of_the_catalogue_runs_at_smoke_scale() {
    let sandbox = Sandbox::new();
    let names = |trains: bool| {
        let these = CATALOGUE
            .iter()
            .filter(move |(_, text)| text.contains("[[train]]") == trains);
        these.map(|&(name, _)| name).collect::<Vec<_>>()
    };
    let (trained, measuring) = (names(true), names(false));
    assert!(
        trained.len() >= 5 && measuring.len() >= 2,
        "{trained:?} {measuring:?}"
    );
    // A network with few ReLUs: bounds of one that has them all take half a minute.
    let mut student = None;
    for suite in &trained {
        let output = sandbox.ok(&format!("run {suite} --set scale=smoke --out all"));
        check(&sandbox, "all", &output, suite);
        let cells = plan(&sandbox, "all").cells;
        student = student.or(cells.into_iter().find(|cell| cell.name == "rlnet"));
    }
    let model = student.expect("a student").id.0;
    let model = sandbox.path("all/cells").join(model).join("model.safetensors");
    let model = model.to_string_lossy();
    for suite in &measuring {
        let output = sandbox.ok(&format!(
            "eval {model} --suite {suite} --set scale=smoke --out {suite}"
        ));
        check(&sandbox, suite, &output, suite);
    }
    // A scale is no part of a cell: what was computed under its name is found without it.
    let again = sandbox.ok("run demo --out all --set scale=smoke --only teacher/clean");
    assert!(again.stdout.contains("nothing was computed"), "{}", again.stdout);
}

#[test]
fn a_scale_that_is_not_there_is_refused_with_the_ones_that_are() {
    let sandbox = Sandbox::new();
    let output = sandbox.run("run demo --set scale=smal");
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(
        output.stderr.contains("did you mean `small`?"),
        "{}",
        output.stderr
    );
}
