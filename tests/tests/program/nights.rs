//! Two runs through the gate, and a series of them.

use crate::archives::refused;
use crate::harness::{Place, TINY, id, rows};
use rlnet_reports::write_outcomes;
use rlnet_suites::Outcome;

/// Two nights of the same suite, and a third where the same weights get every image wrong.
fn nights(place: &Place) {
    place.write("s.toml", TINY);
    for night in ["1-monday", "2-tuesday", "3-wednesday"] {
        place.ok(&[
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
    let clean = rows(place, "nights/1-monday", "plain/clean");
    let right = clean.iter().filter(|row| row.prediction == row.label).count();
    assert!(right >= 15, "{right} right answers are too few to lose");
    let wrong: Vec<Outcome> = clean
        .into_iter()
        .map(|row| Outcome {
            prediction: (row.label + 1) % 10,
            ..row
        })
        .collect();
    let cell = id(place, "nights/3-wednesday", "plain/clean");
    let file = place.path(&format!("nights/3-wednesday/cells/{cell}/outcomes.parquet"));
    write_outcomes(&file, &wrong).expect("written");
}

#[test]
fn a_gate_lets_equals_through_and_stops_a_worse_night() {
    let place = Place::new();
    nights(&place);
    let compare = |base: &str, current: &str| {
        let (base, current) = (format!("nights/{base}"), format!("nights/{current}"));
        place.run(&["compare", &base, &current, "--junit", "gate.xml"])
    };
    let junit = || std::fs::read_to_string(place.path("gate.xml")).expect("JUnit");
    let said = compare("1-monday", "2-tuesday");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let fine = junit();
    assert!(
        fine.contains("<testsuite") && fine.contains("<testcase"),
        "{fine}"
    );
    assert!(!fine.contains("<failure"), "{fine}");

    let said = compare("1-monday", "3-wednesday");
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    assert!(said.stderr.contains("gate nightly tripped"), "{}", said.stderr);
    assert!(said.stderr.contains("plain"), "{}", said.stderr);
    assert!(junit().contains("<failure"), "{}", junit());

    refused(&compare("1-monday", "4-thursday"), &["4-thursday"]);
    place.write("gate.toml", "schema = 1\nname = \"x\"\nlevle = 0.1\n");
    let run = |gate: &str| place.run(&["compare", "nights/1-monday", "nights/2-tuesday", "--gate", gate]);
    refused(&run("gate.toml"), &["gate.toml", "levle"]);
    refused(&run("no.toml"), &["no.toml"]);

    // One number of a past night is damaged: said, not passed over.
    let cell = id(&place, "nights/2-tuesday", "plain/clean");
    place.write(&format!("nights/2-tuesday/cells/{cell}/outcomes.parquet"), "PAR1");
    refused(&compare("1-monday", "2-tuesday"), &["outcomes.parquet"]);

    let history = || place.run(&["history", "nights", "--json"]);
    let said = history();
    assert_eq!(said.code, 0, "{}", said.stderr);
    let told: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(told["added"], serde_json::json!(["1-monday", "3-wednesday"]));
    let left_out = told["left_out"][0].as_str().expect("a night");
    assert!(left_out.starts_with("2-tuesday") && left_out.contains("outcomes.parquet"));
    for file in ["history.parquet", "history.svg", "history.png"] {
        let size = std::fs::metadata(place.path(&format!("nights/{file}")))
            .expect(file)
            .len();
        assert!(size > 500, "{file} has {size} bytes");
    }
    // The series outlives its runs, and a night is added once.
    std::fs::remove_dir_all(place.path("nights/1-monday")).expect("removed");
    let told: serde_json::Value = serde_json::from_str(&history().stdout).expect("JSON");
    assert_eq!(told["added"], serde_json::json!([]));
    assert!(
        told["lines"]
            .as_array()
            .expect("lines")
            .iter()
            .all(|line| line["nights"] == 2)
    );
    place.write("empty/readme", "");
    refused(&place.run(&["history", "empty"]), &["no finished run"]);
}
