//! The attacks that know of branches and masks, by name and as a group.

use crate::archives::{eval, plan, refused};
use crate::harness::{Place, TINY, id, rows, shared};
use rlnet_suites::{CellSpec, Condition, Outcome};

/// Names and rows of the attacks of an evaluation, in order.
fn attacked(place: &Place, out: &str) -> Vec<(String, Vec<Outcome>)> {
    let cells = plan(place, out).cells;
    cells
        .iter()
        .filter_map(|cell| match &cell.spec {
            CellSpec::Evaluate(spec) => match &spec.conditions[0] {
                Condition::Attack(attack) => Some((attack.to_string(), rows(place, out, &cell.name))),
                _ => None,
            },
            CellSpec::Train(_) => None,
        })
        .collect()
}

#[test]
fn a_student_is_asked_all_of_them_and_without_its_teacher_the_rest() {
    const N: usize = 5;
    let place = Place::new();
    place.write("s.toml", TINY);
    place.ok(&["run", "s.toml", "--out", "out", "--only", "rlnet"]);
    let file = |name: &str| {
        let path = place.path(&format!(
            "out/cells/{}/model.safetensors",
            id(&place, "out", name)
        ));
        path.display().to_string()
    };
    let ask = |out: &str, attack: &str, more: &[&str]| {
        let question = ["--dataset", "shapes", "--limit", "5", "--attack", attack];
        eval(&place, &file("rlnet"), out, &[&question[..], more].concat())
    };
    let teacher = format!("teacher={}", file("teacher"));
    let said = ask("with", "adaptive:steps=2", &["--surrogate", &teacher]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(!said.stderr.contains("left out"), "{}", said.stderr);
    let with = attacked(&place, "with");
    assert_eq!(with.len(), 11);
    let mut different = Vec::new();
    for (attack, rows) in &with {
        assert_eq!(rows.len(), 2 * N, "{attack}");
        assert!(attack.contains("steps=2"), "{attack}");
        // `joint` may go this far from the corrupted image.
        assert!(
            rows.iter()
                .all(|row| row.norm <= 8.0 / 255.0 + 1e-6 && row.norm > 0.0),
            "{attack}"
        );
        let norms: Vec<f32> = rows.iter().map(|row| row.norm).collect();
        let margins: Vec<f32> = rows.iter().map(|row| row.margin).collect();
        if attack.contains("through=") {
            // The branches judge one and the same point, and judge it differently.
            assert_eq!(norms[..N], norms[N..], "{attack}");
            assert_ne!(margins[..N], margins[N..], "{attack}");
        }
        // With keep=first an image that is wrong from the start shows the start, whatever the loss.
        if !attack.contains("keep=first") {
            assert!(
                !different.contains(&margins),
                "{attack} is one of the others again"
            );
            different.push(margins);
        }
    }

    assert_eq!(different.len(), 5);

    let said = ask("without", "adaptive:steps=2", &[]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let left_out: Vec<&str> = said
        .stderr
        .lines()
        .filter(|line| line.contains("left out"))
        .collect();
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    for (line, member) in left_out.iter().zip(["surrogate=teacher", "loss=kl-teacher"]) {
        assert!(
            line.contains(member) && line.contains("--surrogate teacher=FILE"),
            "{line}"
        );
    }
    // What is left is answered as before.
    let needs_none = |(attack, _): &&(String, Vec<Outcome>)| !attack.contains("teacher");
    let rest: Vec<_> = with.iter().filter(needs_none).cloned().collect();
    assert_eq!(attacked(&place, "without"), rest);

    // By its own name it is refused, not left out.
    refused(&ask("no", "teacher-transfer", &[]), &["--surrogate teacher=FILE"]);
    refused(&ask("no", "loss-kl-teacher", &[]), &["--surrogate teacher=FILE"]);
    let nowhere = ask("no", "teacher-transfer", &["--surrogate", "teacher=nowhere.pt"]);
    refused(&nowhere, &["nowhere.pt"]);
    refused(&ask("no", "fgsm", &["--surrogate", "teacher"]), &["NAME=FILE"]);
}

#[test]
fn torchscript_has_neither_branches_nor_masks() {
    let place = Place::new();
    let Some(model) = shared("oracles/attacks/robust.pt") else {
        return;
    };
    let model = model.display().to_string();
    let ask = |out: &str, attack: &str| {
        let question = ["--dataset", "shapes", "--limit", "3", "--attack", attack];
        eval(&place, &model, out, &question)
    };
    let said = ask("group", "adaptive:steps=1");
    assert_eq!(said.code, 0, "{}", said.stderr);
    for (why, count) in [
        ("left out: it needs --surrogate teacher=FILE", 2),
        ("left out: a TorchScript model's ReLUs cannot be changed", 2),
        ("left out: a TorchScript model has one branch", 3),
    ] {
        assert_eq!(said.stderr.matches(why).count(), count, "{why}: {}", said.stderr);
    }
    assert_eq!(attacked(&place, "group").len(), 4);
    refused(
        &ask("relu", "all-relu-transfer"),
        &["TorchScript", "model.safetensors"],
    );
}
