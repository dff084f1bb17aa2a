//! Certificates as a user asks for them: rows, the report, refusals, and the check that nothing certified is broken.

use crate::support::{Sandbox, TINY, edit_rows, id, rows, untrained};
use rlnet_suites::outcome::Certainty;
use rlnet_suites::{Branch, Outcome};

/// The tiny suite's teacher alone, trained, attacked and certified in two balls.
const SUITE: &str = r#"evaluation.certify=["certify:eps=0.02/255,method=crown",{attack="certify:eps=1/255,method=beta-crown,nodes=4,steps=5",images=30}]"#;

fn certainty(row: &Outcome) -> Certainty {
    Certainty::of(row.prediction == row.label, row.margin)
}

#[test]
fn certificates_are_conditions_whose_bracket_is_in_the_report() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "s.toml",
        TINY.replace(
            "models = [\"rlnet\", \"plain\"]",
            "models = [\"teacher\", \"plain\"]",
        ),
    );
    let command = [
        "run",
        "s.toml",
        "--out",
        "out",
        "--set",
        SUITE,
        "--set",
        "evaluation.corruptions=[]",
    ];
    sandbox.ok(&command);
    let small = "plain/certify:eps=0.02/255,method=crown,nodes=1000,steps=20";
    let proven = rows(&sandbox, "out", small);
    let attacked = rows(
        &sandbox,
        "out",
        "plain/pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=3",
    );
    assert_eq!((proven.len(), attacked.len()), (40, 40));
    let certified = proven
        .iter()
        .filter(|row| certainty(row) == Certainty::Certified)
        .count();
    assert!(certified > 0, "nothing is proven at a fiftieth of a pixel value");
    for row in &proven {
        // Nothing was found in the ball of an image that holds, and what was found is in the ball.
        assert!(row.norm <= 0.25 / 255.0 + 1e-6);
        assert!(certainty(row) == Certainty::Broken || row.norm == 0.0 || certainty(row) == Certainty::Open);
    }
    // Both branches of the teacher, on thirty images.
    let branched = rows(
        &sandbox,
        "out",
        "teacher/certify:eps=1/255,method=beta-crown,nodes=4,steps=5",
    );
    assert_eq!(branched.len(), 60);
    assert!(
        [Branch::Clean, Branch::Adversarial]
            .iter()
            .all(|branch| branched.iter().any(|row| row.branch == *branch))
    );
    let bounded = branched.iter().filter(|row| certainty(row) != Certainty::Broken);
    assert!(bounded.clone().all(|row| row.unstable > 0) && bounded.count() > 0);
    let page = std::fs::read_to_string(sandbox.path("out/report/index.html")).expect("a page");
    assert!(page.contains("table-certified") && page.contains("Not broken"));
    // The same rows, whatever the batches.
    let again = [&command[..], &["--set", "evaluation.batch=7"]].concat();
    let again: Vec<&str> = again
        .iter()
        .map(|word| if *word == "out" { "again" } else { word })
        .collect();
    sandbox.ok(&again);
    let again = rows(&sandbox, "again", small);
    let differ = proven
        .iter()
        .zip(&again)
        .filter(|(a, b)| certainty(a) != certainty(b))
        .count();
    assert_eq!(differ, 0);
}

#[test]
fn a_certified_image_that_an_attack_breaks_fails_the_run_and_is_named() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "net.safetensors");
    let command = format!(
        "eval {model} --dataset shapes --limit 40 --attack pgd:eps=32/255,alpha=8/255 --certify eps=32/255,method=ibp --out eval"
    );
    sandbox.run(&command);
    let cell = "net/certify:eps=32/255,method=ibp,nodes=1000,steps=20";
    edit_rows(
        &sandbox.path("eval/cells").join(id(&sandbox, "eval", cell)),
        |rows| {
            for row in rows {
                row.prediction = row.label;
                row.margin = 1.0;
            }
        },
    );
    let refused = sandbox.run(&command);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("certified images were broken"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("adversarial.safetensors"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_cannot_be_certified_is_refused_before_any_work() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "net.safetensors");
    sandbox.write("s.toml", TINY);
    for (command, said) in [
        (vec!["--certify", "method=crwon"], "crown"),
        (vec!["--certify", "norm=l1"], "linf"),
        (vec!["--attack", "certify:eps=1/255"], "--certify"),
    ] {
        let refused = sandbox.run(
            &[
                &["eval", model, "--dataset", "shapes", "--out", "e"],
                command.as_slice(),
            ]
            .concat(),
        );
        assert_eq!(refused.code, 2, "{command:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(said), "{command:?}: {}", refused.stderr);
    }
    for (set, said) in [
        (
            "evaluation.certify=[\"pgd\"]",
            "write it under evaluation.attacks",
        ),
        (
            "evaluation.attacks=[\"certify\"]",
            "write it under evaluation.certify",
        ),
        ("network.arch=vit2-w64", "attention"),
    ] {
        let certify = "evaluation.certify=[\"certify\"]";
        let sets: &[&str] = if set.starts_with("network") {
            &["--set", certify, "--set", set]
        } else {
            &["--set", set]
        };
        let refused = sandbox.run(&[&["run", "s.toml", "--out", "o"], sets].concat());
        assert_eq!(refused.code, 2, "{set}: {}", refused.stderr);
        assert!(refused.stderr.contains(said), "{set}: {}", refused.stderr);
        assert!(!sandbox.path("o/cells").exists(), "{set}");
    }
}
