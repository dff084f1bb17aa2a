//! The attacks that know of branches and masks, by name and as a group.

use crate::archives::{eval, model, plan, refused};
use crate::support::{Sandbox, TINY, id, rows};
use rlnet_suites::{CellSpec, Condition, Outcome};
use rlnet_test_support::reference;

/// Names and rows of the attacks of an evaluation, in order.
fn attacked(sandbox: &Sandbox, out: &str) -> Vec<(String, Vec<Outcome>)> {
    let cells = plan(sandbox, out).cells;
    cells
        .iter()
        .filter_map(|cell| match &cell.spec {
            CellSpec::Evaluate(spec) => match &spec.conditions[0] {
                Condition::Attack(attack) => Some((attack.to_string(), rows(sandbox, out, &cell.name))),
                _ => None,
            },
            CellSpec::Train(_) => None,
        })
        .collect()
}

#[test]
fn a_student_is_asked_all_of_them_and_without_its_teacher_the_rest() {
    const N: usize = 40;
    let sandbox = Sandbox::new();
    // Epochs enough that some images are right: only those are attacked.
    let suite = TINY
        .replace("train = 200", "train = 480")
        .replace("batch = 32", "batch = 16")
        .replace("epochs = 2", "epochs = 4");
    sandbox.write("s.toml", suite);
    sandbox.ok("run s.toml --out out --only rlnet");
    let file = |name: &str| {
        let path = sandbox.path(&format!(
            "out/cells/{}/model.safetensors",
            id(&sandbox, "out", name)
        ));
        path.display().to_string()
    };
    let ask = |out: &str, attack: &str, more: &[&str]| {
        let question = ["--dataset", "shapes", "--limit", "40", "--attack", attack];
        eval(&sandbox, &file("rlnet"), out, &[&question[..], more].concat())
    };
    let teacher = format!("teacher={}", file("teacher"));
    let sibling = format!("other-budget={}", file("mask"));
    let both = ["--surrogate", &teacher, "--surrogate", &sibling];
    let output = ask("with", "adaptive:steps=2", &both);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(!output.stderr.contains("left out"), "{}", output.stderr);
    let clean = rows(&sandbox, "with", &plan(&sandbox, "with").cells[0].name);
    let right: Vec<bool> = clean.iter().map(|row| row.prediction == row.label).collect();
    let both: Vec<usize> = (0..N).filter(|&row| right[row] && right[row + N]).collect();
    assert!(!both.is_empty(), "no image is right on both branches");
    let with = attacked(&sandbox, "with");
    assert_eq!(with.len(), 14);
    let mut different = Vec::new();
    for (attack, rows) in &with {
        assert_eq!(rows.len(), 2 * N, "{attack}");
        assert!(attack.contains("steps=2"), "{attack}");
        // `joint` may go this far from the corrupted image, and asks what is right of those.
        for (row, right) in rows.iter().zip(&right) {
            assert!(row.norm <= 8.0 / 255.0 + 1e-6, "{attack}");
            assert!(attack.contains("base=") || (row.norm > 0.0) == *right, "{attack}");
        }
        let margins: Vec<f32> = rows.iter().map(|row| row.margin).collect();
        if attack.contains("branch=") {
            // The branches judge one and the same point, and judge it differently.
            for &row in &both {
                assert_eq!(rows[row].norm, rows[row + N].norm, "{attack}");
                assert_ne!(margins[row], margins[row + N], "{attack}");
            }
        }
        // With early_stop=true an image that is wrong at the start shows the start, whatever the loss.
        if !attack.contains("early_stop=true") {
            assert!(
                !different.contains(&margins),
                "{attack} is one of the others again"
            );
            different.push(margins);
        }
    }

    assert_eq!(different.len(), 8);

    let output = ask("without", "adaptive:steps=2", &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let left_out: Vec<&str> = output
        .stderr
        .lines()
        .filter(|line| line.contains("left out"))
        .collect();
    let members = [
        ("surrogate=teacher", "--surrogate teacher=FILE"),
        ("surrogate=other-budget", "--surrogate other-budget=FILE"),
        ("loss=kl-teacher", "--surrogate teacher=FILE"),
    ];
    assert_eq!(left_out.len(), members.len(), "{left_out:?}");
    for (line, (member, file)) in left_out.iter().zip(members) {
        assert!(line.contains(member) && line.contains(file), "{line}");
    }
    // What is left is answered as before.
    let needs_none = |(attack, _): &&(String, Vec<Outcome>)| {
        !attack.contains("teacher") && !attack.contains("other-budget")
    };
    let rest: Vec<_> = with.iter().filter(needs_none).cloned().collect();
    assert_eq!(attacked(&sandbox, "without"), rest);

    // By its own name it is refused, not left out.
    refused(&ask("no", "teacher-transfer", &[]), &["--surrogate teacher=FILE"]);
    refused(&ask("no", "loss-kl-teacher", &[]), &["--surrogate teacher=FILE"]);
    let nowhere = ask("no", "teacher-transfer", &["--surrogate", "teacher=nowhere.pt"]);
    refused(&nowhere, &["nowhere.pt"]);
    refused(&ask("no", "fgsm", &["--surrogate", "teacher"]), &["NAME=FILE"]);
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn torchscript_has_neither_branches_nor_masks() {
    let sandbox = Sandbox::new();
    let model = reference("oracles/attacks/robust.pt");
    let model = model.display().to_string();
    let ask = |out: &str, attack: &str| {
        let question = ["--dataset", "shapes", "--limit", "3", "--attack", attack];
        eval(&sandbox, &model, out, &question)
    };
    let output = ask("group", "adaptive:steps=1");
    assert_eq!(output.code, 0, "{}", output.stderr);
    for (why, count) in [
        ("left out: it needs --surrogate teacher=FILE", 2),
        ("left out: it needs --surrogate other-budget=FILE", 1),
        ("left out: model robust is a TorchScript file, whose ReLUs", 2),
        ("left out: model robust has one branch", 1),
        ("left out: model robust has no branch", 4),
    ] {
        assert_eq!(
            output.stderr.matches(why).count(),
            count,
            "{why}: {}",
            output.stderr
        );
    }
    assert_eq!(attacked(&sandbox, "group").len(), 4);
    refused(
        &ask("relu", "all-relu-transfer"),
        &["TorchScript", "model.safetensors"],
    );
    refused(&ask("swap", "swap-clean"), &["no branch clean", "it has single"]);
    // A suite that asks several networks asks this one what fits it; its AdvA must.
    let suite = |attacks: &str, more: &str| {
        let text = TINY.replace(
            "attacks = [\"fgsm\", \"pgd:steps=3\"]",
            &format!("attacks = [{attacks}]{more}"),
        );
        sandbox.write("s.toml", text);
        let question = [
            "--suite",
            "s.toml",
            "--limit",
            "3",
            "--set",
            "evaluation.corruptions=[]",
        ];
        eval(&sandbox, &model, "suite", &question)
    };
    let output = suite("\"fgsm\", \"cross-clean:steps=1\", \"adaptive:steps=1\"", "");
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(output.stderr.matches("left out").count(), 10, "{}", output.stderr);
    assert_eq!(attacked(&sandbox, "suite").len(), 1 + 4);
    let output = suite("\"fgsm\", \"cross-clean\"", "\nheadline = \"cross-clean\"");
    refused(&output, &["its main attack", "evaluation.headline"]);
}

/// A network of ours with one bank is asked no more than TorchScript is, and is told so before
/// anything is computed.
#[test]
fn a_network_with_one_bank_has_no_other() {
    let sandbox = Sandbox::new();
    let model = &model(&sandbox, TINY, "plain");
    let ask = |out: &str, attack: &str| {
        let question = ["--dataset", "shapes", "--limit", "2", "--attack", attack];
        eval(&sandbox, model, out, &question)
    };
    let output = ask("group", "adaptive:steps=1");
    assert_eq!(output.code, 0, "{}", output.stderr);
    for (why, count) in [("has no branch", 4), ("has one branch", 1)] {
        assert_eq!(output.stderr.matches(why).count(), count, "{}", output.stderr);
    }
    // Of fourteen also those that need a teacher (two) or another budget.
    assert_eq!(attacked(&sandbox, "group").len(), 14 - 5 - 3);
    refused(&ask("swap", "swap-clean"), &["no branch clean", "it has single"]);
    assert!(!sandbox.path("swap/cells").exists());
}
