//! Settings that cannot be meant are refused before any work, by their line; nothing is trained, and
//! nothing is written where nobody looks.

use crate::errors::{refused, refused_at};
use crate::support::{Sandbox, TINY, walk};

#[test]
fn a_setting_that_cannot_be_meant_has_its_line_and_what_is_allowed() {
    let sandbox = Sandbox::new();
    let epochs = "epochs = 2\n";
    let with = |line: &str| TINY.replace(epochs, &format!("{epochs}{line}\n"));
    for (line, hints) in [
        ("lr = nan", ["training.lr is nan", "more than 0"]),
        ("lr = -0.1", ["training.lr is -0.1", "more than 0"]),
        ("temperature = 0", ["training.temperature is 0", "more than 0"]),
        ("temperature = -1", ["training.temperature is -1", "more than 0"]),
        ("momentum = 2", ["training.momentum is 2", "less than 1"]),
        (
            "weight_decay = -1",
            ["training.weight_decay is -1", "from 0 to 1"],
        ),
        (
            "milestones = [2, -1]",
            ["training.milestones is 2", "from 0 to 1"],
        ),
        ("gamma = -0.5", ["training.gamma is -0.5", "from 0 to"]),
        ("beta = inf", ["training.beta is inf", "from 0 to"]),
    ] {
        refused_at(&sandbox, &with(line), line, &hints);
    }
    for (from, to, hints) in [
        (
            "epochs = 2",
            "epochs = 4000000000",
            ["training.epochs is 4000000000", "100000"],
        ),
        ("\"shapes\"", "\"shape\"", ["dataset", "did you mean `shapes`?"]),
        (
            "train = 200",
            "train = 640000",
            ["data.train is 640000", "shapes has 10000"],
        ),
        ("train = 200", "train = 1", ["data.train is 1", "2 to"]),
        (
            "train = 200",
            "train = 3",
            ["data.train is 3", "raise data.train"],
        ),
        (
            "train = 200",
            "train = 99999999999999999999",
            ["99999999999999999999", "too large a number"],
        ),
        (
            "test = 40",
            "test = 2001",
            ["data.test is 2001", "shapes has 2000"],
        ),
        // What only a plan or a network shows.
        ("resnet8-w4", "resnet9", ["resnet9", "not known"]),
        ("\"4x\"", "\"50k\"", ["50k", "ReLUs, but this network has"]),
        ("\"4x\"", "\"5.7\"", ["5.7", "write 5.7x"]),
        ("\"tiny\"", "\"../../x\"", ["../../x", "may only hold letters"]),
        ("\"tiny\"", "\"..\"", ["`..`", "add a letter"]),
        ("name = \"tiny\"", "name = \"\"", ["name", "empty"]),
        ("\"pgd:steps=3\"", "\"pgd:eps=8\"", ["eps=8", "write eps=8/255"]),
        (
            "\"pgd:steps=3\"",
            "\"pgd:steps=3,steps=4\"",
            ["steps", "given twice"],
        ),
        (
            "\"pgd:steps=3\"",
            "\"pgd:branch=natural\"",
            [
                "fits none of the evaluated models",
                "rlnet has no branch natural (it has clean and adversarial)",
            ],
        ),
        (
            "baseline = \"plain\"",
            "baseline = \"plain\"\nheadline = \"pgd:steps=4\"",
            ["not among evaluation.attacks", "did you mean `pgd:steps=3`?"],
        ),
    ] {
        let part = to.lines().last().expect("a line");
        refused_at(&sandbox, &TINY.replacen(from, to, 1), part, &hints);
    }
    // The same through --set, and of a stage's own settings.
    sandbox.write("s.toml", TINY);
    for (set, hints) in [
        (
            "train.rlnet.with.lr=nan",
            ["s.toml:", "train.rlnet.with.lr is nan"],
        ),
        (
            "data.train=99999999999999999999",
            ["99999999999999999999", "too large a number"],
        ),
        (
            "train.mask.budget=900k",
            ["s.toml:28 with --set train.mask.budget=900k", "this network has"],
        ),
    ] {
        refused(&sandbox.run(&["run", "s.toml", "--set", set]), 2, &hints);
    }
    assert!(!sandbox.path("out").exists());
}

/// The attack fits the network with two banks, and not the other: it is made on the one.
#[test]
fn an_attack_that_fits_one_model_of_two_is_made_on_that_one() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "s.toml",
        TINY.replace(
            "\"pgd:steps=3\"",
            "\"pgd:branch=adversarial\", \"fgsm:surrogate=teacher\"",
        ),
    );
    let shown = sandbox.ok("suite show s.toml").stdout;
    let made = |model: &str, attack: &str| {
        let start = format!("evaluate {model}/{attack}");
        shown.lines().filter(|line| line.starts_with(&start)).count()
    };
    assert_eq!((made("rlnet", "pgd:"), made("plain", "pgd:")), (1, 0), "{shown}");
    assert_eq!((made("rlnet", "fgsm"), made("plain", "fgsm")), (2, 1), "{shown}");
}

#[test]
fn an_empty_out_is_no_folder() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    sandbox.write("m.pt", b"no model");
    for arguments in [
        &["run", "s.toml", "--out", ""][..],
        &["eval", "m.pt", "--dataset", "shapes", "--out", ""],
        &["train", "teacher", "--dataset", "shapes", "--out", ""],
        &["report", "nowhere", "--out", ""],
        &["demo", "--out", ""],
    ] {
        refused(&sandbox.run(arguments), 2, &["--out"]);
    }
    assert_eq!(walk(&sandbox.path("")).len(), 2);
}

#[test]
fn a_reduction_is_a_ratio_with_its_x_or_without() {
    let sandbox = Sandbox::new();
    let total = |arguments: &[&str]| {
        let output = sandbox.ok(&[&["model", "info", "resnet18"], arguments].concat());
        let line = output.stdout.lines().find(|line| line.starts_with("total"));
        line.expect("a total").to_owned()
    };
    let with = total(&["--reduction", "11.14x"]);
    assert!(with.contains("11.14x fewer"), "{with}");
    assert_eq!(total(&["--reduction", "11.14"]), with);
    assert_eq!(total(&["--budget", "11.14x"]), with);
    refused(
        &sandbox.run("model info resnet18 --budget 11.14"),
        2,
        &["write 11.14x"],
    );
}
