//! What the plan can know is refused before any work, wherever it is asked; and a cell that fails all the same leaves
//! the others running to their end.

use crate::errors::refused;
use crate::identity::flat;
use crate::support::{Sandbox, TINY, untrained};
use rlnet_suites::Plan;
use std::fs;

#[test]
fn eval_refuses_before_work_what_its_plan_knows() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "m.safetensors");
    flat(&sandbox);
    let cases: &[(&str, &[&str])] = &[
        (
            "--attack pgd:target=10",
            &["10 classes", "class 10", "the last is 9"],
        ),
        (
            "--attack apgd-ce:target=99,norm=l2",
            &["class 99", "the last is 9"],
        ),
        (
            "--attack pgd:target=second --attack fgsm --attack pgd:loss=dlr,target=12",
            &["class 12"],
        ),
        ("--attack pgd:passes=1", &["never leaves its start"]),
        ("--attack sigma-zero:lr=0", &["never leaves its start"]),
        ("--attack pgd:eps=1e-9", &["from 1e-6 on"]),
        ("--attack overflow", &["floating point"]),
        ("--attack pgd:surrogate=teacher", &["--surrogate teacher=FILE"]),
        ("--attack pgd:loss=kl-teacher", &["--surrogate teacher=FILE"]),
        (
            "--attack pgd:surrogate=teacher --surrogate teacher=none.pt",
            &["none.pt", "no such file"],
        ),
        ("--branch natural", &["no branch natural"]),
        ("--attack pgd:branch=natural", &["no branch natural"]),
        ("--images 15-25", &["0 to 19"]),
        (
            "--corruptions imagenet-c-bar",
            &["32 x 32", "leave them out and keep"],
        ),
        (
            "--attack pgd:base=caustic_refraction/2",
            &["32 x 32", "caustic_refraction"],
        ),
        ("--corruptions fog --severity 6", &["--severity 6"]),
        ("--corruptions fog --corrupted-dir nowhere", &["nowhere"]),
        ("--baseline other", &["no model has this name"]),
        ("--certify eps=1/255,method=crwn", &["crwn", "crown"]),
        ("--diagnose --attack pgd:norm=l1", &["no checklist in l1"]),
    ];
    for (options, hints) in cases {
        let output = sandbox.run(&format!(
            "eval m.safetensors --dataset imagefolder:flat --out late {options}"
        ));
        refused(&output, 2, hints);
        assert!(!sandbox.path("late").exists(), "{options}");
    }
}

#[test]
fn a_suite_is_refused_before_work_in_every_command() {
    let sandbox = Sandbox::new();
    let attacks = "\"fgsm\", \"pgd:steps=3\"";
    let severities = "severities = [1, 5]";
    let cases: &[(&str, &str, &[&str])] = &[
        (
            attacks,
            "\"pgd:steps=3,target=10\"",
            &["fits none", "class 10", "the last is 9"],
        ),
        (attacks, "\"fgsm\", \"apgd-t:target=11\"", &["apgd-t"]),
        (attacks, "\"apgd-ce:target=10\"", &["class 10"]),
        (attacks, "\"fmn:alpha=0\"", &["never leaves its start"]),
        (attacks, "\"pgd:passes=1\"", &["never leaves its start"]),
        (
            severities,
            "severities = [1, 5]\nbranches = [\"natural\"]",
            &[
                "none of the evaluated models has branch natural",
                "rlnet has clean and adversarial",
            ],
        ),
        (
            severities,
            "severities = [1, 5]\nbranches = [\"clean\", \"natural\"]",
            &["none of the evaluated models has branch natural"],
        ),
        (
            "[\"gaussian_noise\", \"contrast\"]",
            "[\"fog\", \"plasma_noise\"]",
            &["plasma_noise", "keep fog"],
        ),
        ("test = 40", "images = \"1990-2005\"", &["test images 0 to 1999"]),
    ];
    for (number, (from, to, hints)) in cases.iter().enumerate() {
        let file = format!("late{number}.toml");
        let text = TINY.replace(from, to);
        assert_ne!(text, TINY, "{to}");
        sandbox.write(&file, text);
        for command in [
            "suite check FILE",
            "run FILE --dry-run --out late",
            "run FILE --out late",
        ] {
            let output = sandbox.run(&command.replace("FILE", &file));
            refused(&output, 2, &[*hints, &[&format!("{file}:")]].concat());
        }
        assert!(!sandbox.path("late").exists(), "{to}");
    }
}

/// 8.9 million ReLUs a picture of 32 pixels: 357 GB for the ten thousand that are trained on. (That a run refuses it is
/// tested where it is decided: a run here would first draw the pictures.)
#[test]
fn a_batch_that_this_memory_cannot_hold_is_said_by_the_check() {
    let sandbox = Sandbox::new();
    let wide = TINY
        .replace("resnet8-w4", "resnet18-w1024")
        .replace("train = 200", "train = 10000")
        .replace("batch = 32", "batch = 50000");
    sandbox.write("wide.toml", wide);
    let checked = sandbox.ok("suite check wide.toml --device cpu");
    for hint in [
        "note: a batch of 10,000 images",
        "holds at least 356",
        "this machine has",
        "lower the batch",
    ] {
        assert!(checked.stderr.contains(hint), "{}", checked.stderr);
    }
}

/// The names of finished cells, by model and condition.
fn done(sandbox: &Sandbox, out: &str) -> Vec<String> {
    let plan = fs::read(sandbox.path(out).join("plan.json")).expect("a plan");
    let plan: Plan = serde_json::from_slice(&plan).expect("JSON");
    let there = |id: &str| {
        sandbox
            .path(out)
            .join("cells")
            .join(id)
            .join("cell.json")
            .is_file()
    };
    let done = plan.cells.iter().filter(|cell| there(&cell.id.0));
    done.map(|cell| cell.name.clone()).collect()
}

#[test]
fn a_damaged_input_of_one_cell_leaves_the_others_running() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "m.safetensors");
    flat(&sandbox);
    sandbox.ok("corrupt imagefolder:flat --out c --names fog,snow,contrast --severity 2");
    let picture = sandbox.path("c/snow/2/c3/1.png");
    let whole = fs::read(&picture).expect("a picture");
    fs::write(&picture, &whole[..60]).expect("cut");
    let eval = "eval m.safetensors --dataset imagefolder:flat --corrupted-dir c --severity 2 --corruptions \
                fog,snow,contrast --attack fgsm --out o";
    let output = sandbox.run(eval);
    refused(&output, 2, &["m/snow", "c/snow/2/c3/1.png", "cannot decode"]);
    assert_eq!(
        done(&sandbox, "o"),
        ["m/clean", "m/fog", "m/contrast", "m/fgsm:eps=8/255"]
    );
    // What is good is kept, and the report of the rest says what is missing.
    fs::write(&picture, &whole).expect("whole");
    let output = sandbox.ok(eval);
    assert!(
        output.stderr.contains("1 cell computed, 4 done before"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_training_that_diverges_leaves_the_others_running() {
    let sandbox = Sandbox::new();
    let plain = "views = [\"clean\"]\nnorm = \"single\"";
    let diverging = format!("{plain}\nwith = {{ lr = 1000, weight_decay = 1 }}");
    sandbox.write(
        "s.toml",
        TINY.replace(plain, &diverging)
            .replace("epochs = 2", "epochs = 1"),
    );
    let output = sandbox.run("run s.toml --out o --threads 1");
    refused(&output, 1, &["plain", "diverged", "Lower `lr`"]);
    let done = done(&sandbox, "o");
    assert!(!done.iter().any(|name| name.starts_with("plain")), "{done:?}");
    assert_eq!(done.len(), 3 + 5, "{done:?}");
}
