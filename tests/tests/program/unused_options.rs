//! An option that would change nothing is refused: whoever wrote it believes that it does.

use crate::errors::refused;
use crate::support::{Sandbox, TINY, untrained};

#[test]
fn eval_refuses_options_that_nothing_asks_for() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "m.safetensors");
    let teacher = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/teacher.pth");
    let other = [
        "--arch",
        "resnet8-w2",
        "--dataset",
        "cifar10",
        "--out",
        "other.safetensors",
    ];
    sandbox.ok(&[&["import", teacher][..], &other].concat());
    let ask = [
        "eval",
        "m.safetensors",
        "--dataset",
        "shapes",
        "--limit",
        "20",
        "--out",
        "out",
    ];
    for (more, hints) in [
        (&["--set", "a=b"][..], &["--set a=b", "--suite"]),
        (&["--severity", "3"], &["--severity", "--corruptions"]),
        (&["--stack", "modern"], &["--stack", "--corruptions"]),
        (&["--rng", "numpy"], &["--rng", "--corruptions"]),
        (
            &["--surrogate", "teacher=m.safetensors"],
            &["--surrogate teacher", "no requested attack uses this surrogate"],
        ),
        (
            &[
                "--surrogate",
                "t=m.safetensors",
                "--surrogate",
                "t=other.safetensors",
                "--attack",
                "pgd:steps=1,surrogate=t",
            ],
            &["--surrogate t=other.safetensors", "named twice"],
        ),
    ] {
        refused(&sandbox.run(&[&ask[..], more].concat()), 2, hints);
        assert!(!sandbox.path("out").exists(), "{more:?}");
    }
    for more in [
        &[
            "--severity",
            "3",
            "--stack",
            "modern",
            "--corruptions",
            "contrast",
        ][..],
        &[
            "--surrogate",
            "t=m.safetensors",
            "--attack",
            "pgd:steps=1,surrogate=t",
        ],
    ] {
        sandbox.ok(&[&ask[..], more].concat());
    }
}

#[test]
fn looks_at_a_run_keep_to_only_and_exclude_one_another() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let look = |more: &[&str]| sandbox.run(&[&["run", "s.toml", "--out", "out"], more].concat());
    let some = look(&["--only", "plain/clean", "--dry-run"]);
    assert_eq!(some.code, 0, "{}", some.stderr);
    assert!(
        some.stdout.contains("2 of 2 cells to do") && !some.stdout.contains("rlnet"),
        "{}",
        some.stdout
    );
    for more in [&["--only", "nothing*", "--dry-run"][..], &["--only", "nothing*"]] {
        refused(&look(more), 2, &["--only nothing*", "plain/clean"]);
    }
    for pair in [
        ["--dry-run", "--status"],
        ["--dry-run", "--verify"],
        ["--status", "--verify"],
        ["--status", "--cancel"],
    ] {
        refused(&look(&pair), 2, &["cannot be used with", pair[1]]);
    }
    refused(&look(&["--status"]), 2, &["out: there is no run", "--out"]);
    assert!(!sandbox.path("out").exists());
}
