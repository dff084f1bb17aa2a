//! Two runs through the gate, and a series of them.

use crate::archives::refused;
use crate::support::{Sandbox, TINY, edit_rows, id, rows};

/// Two nights of the same suite, and a third where the same weights get every image wrong.
fn nights(sandbox: &Sandbox) {
    sandbox.write("s.toml", TINY);
    for night in ["1-monday", "2-tuesday", "3-wednesday"] {
        sandbox.ok(&[
            "run",
            "s.toml",
            "--out",
            &format!("nights/{night}"),
            "--only",
            "plain/*",
            "--set",
            "evaluation.corruptions=[]",
            "--set",
            "evaluation.attacks=[\"fgsm:eps=1/255\"]",
            "--set",
            "training.epochs=1",
            "--set",
            "data.test=300",
        ]);
    }
    let clean = rows(sandbox, "nights/1-monday", "plain/clean");
    let right = clean.iter().filter(|row| row.prediction == row.label).count();
    assert!(right >= 15, "{right} right answers are too few to lose");
    let cell = id(sandbox, "nights/3-wednesday", "plain/clean");
    let cell = sandbox.path("nights/3-wednesday/cells").join(cell);
    edit_rows(&cell, |rows| {
        for row in rows {
            row.prediction = (row.label + 1) % 10;
        }
    });
}

#[test]
fn a_gate_lets_equals_through_and_stops_a_worse_night() {
    let sandbox = Sandbox::new();
    nights(&sandbox);
    let compare = |base: &str, current: &str| {
        let (base, current) = (format!("nights/{base}"), format!("nights/{current}"));
        sandbox.run(&format!("compare {base} {current} --junit gate.xml"))
    };
    let junit = || std::fs::read_to_string(sandbox.path("gate.xml")).expect("JUnit");
    let output = compare("1-monday", "2-tuesday");
    assert_eq!(output.code, 0, "{}", output.stderr);
    let fine = junit();
    assert!(
        fine.contains("<testsuite") && fine.contains("<testcase"),
        "{fine}"
    );
    assert!(!fine.contains("<failure"), "{fine}");

    let output = compare("1-monday", "3-wednesday");
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert!(
        output.stderr.contains("gate nightly tripped"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("plain"), "{}", output.stderr);
    assert!(junit().contains("<failure"), "{}", junit());

    refused(&compare("1-monday", "4-thursday"), &["4-thursday"]);
    sandbox.write("gate.toml", "schema = 1\nname = \"x\"\nlevle = 0.1\n");
    let run = |gate: &str| sandbox.run(&format!("compare nights/1-monday nights/2-tuesday --gate {gate}"));
    refused(&run("gate.toml"), &["gate.toml", "levle"]);
    refused(&run("no.toml"), &["no.toml"]);

    // One number of a past night is damaged: said, not passed over.
    let cell = id(&sandbox, "nights/2-tuesday", "plain/clean");
    sandbox.write(&format!("nights/2-tuesday/cells/{cell}/outcomes.parquet"), "PAR1");
    refused(&compare("1-monday", "2-tuesday"), &["outcomes.parquet"]);

    let history = || sandbox.run("history nights --json");
    let output = history();
    assert_eq!(output.code, 0, "{}", output.stderr);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(told["added"], serde_json::json!(["1-monday", "3-wednesday"]));
    let left_out = told["left_out"][0].as_str().expect("a night");
    assert!(left_out.starts_with("2-tuesday") && left_out.contains("outcomes.parquet"));
    for file in ["history.parquet", "history.svg", "history.png"] {
        let size = std::fs::metadata(sandbox.path(&format!("nights/{file}")))
            .expect(file)
            .len();
        assert!(size > 500, "{file} has {size} bytes");
    }
    // The series outlives its runs, and a night is added once.
    std::fs::remove_dir_all(sandbox.path("nights/1-monday")).expect("removed");
    let told: serde_json::Value = serde_json::from_str(&history().stdout).expect("JSON");
    assert_eq!(told["added"], serde_json::json!([]));
    assert!(
        told["lines"]
            .as_array()
            .expect("lines")
            .iter()
            .all(|line| line["nights"] == 2)
    );
    sandbox.write("empty/readme", "");
    refused(&sandbox.run("history empty"), &["no finished run"]);
}
