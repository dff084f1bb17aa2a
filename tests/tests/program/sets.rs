//! Lists on the command line are sets, and what means the same is the same: naming a thing twice, in another order or in
//! another way computes nothing again.

use crate::identity::flat;
use crate::support::{Sandbox, untrained, walk};
use std::collections::BTreeSet;
use std::fs;

/// The cells of a run's plan.
fn cells(sandbox: &Sandbox, out: &str) -> BTreeSet<String> {
    let plan = fs::read(sandbox.path(out).join("plan.json")).expect("a plan");
    let plan: rlnet_suites::Plan = serde_json::from_slice(&plan).expect("JSON");
    plan.cells.into_iter().map(|cell| cell.id.0).collect()
}

#[test]
fn a_list_on_the_command_line_is_a_set_and_equal_things_have_one_identity() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "m.safetensors");
    flat(&sandbox);
    sandbox.write("list.txt", "19\n0-9 10,11\n12-18\n3\n");
    let data = "--dataset imagefolder:flat";
    let base = [
        ("", "m.safetensors"),
        ("--corruptions", "fog,contrast"),
        ("--severity", "1,5"),
        ("--attack", "fgsm"),
        ("--attack", "pgd:steps=2,restarts=2"),
        ("--certify", "eps=1/255,method=ibp"),
    ];
    let line = |parts: &[(&str, &str)]| {
        let words: Vec<String> = parts
            .iter()
            .map(|(option, value)| format!("{option} {value}"))
            .collect();
        format!("eval {} {data} --out o", words.join(" "))
    };
    sandbox.ok(&line(&base));
    let first = cells(&sandbox, "o");
    assert_eq!(first.len(), 1 + 2 + 2 + 1);
    // Each part written another way.
    let others = [
        (0, "m.safetensors ./m.safetensors m.safetensors"),
        (1, "contrast,fog,contrast"),
        (2, "5,1,5"),
        (3, "fgsm --attack fgsm:eps=8.0/255"),
        (
            3,
            "fgsm:eps=16/510,eps=16/510 --attack fgsm:branch=same,norm=linf",
        ),
        (
            4,
            "pgd:restarts=02,steps=2 --attack pgd:steps=2,eps=8/255,restarts=2,alpha=4/510,start=uniform",
        ),
        (5, "method=ibp,eps=1.0/255 --certify certify:eps=2/510,method=ibp"),
        (5, "eps=1/255,method=ibp --images 0-19"),
        (5, "eps=1/255,method=ibp --images 10-19,0-12,5"),
        (5, "eps=1/255,method=ibp --images list.txt"),
        (5, "eps=1/255,method=ibp --limit 20"),
        (5, "eps=1/255,method=ibp --limit 100"),
        (
            5,
            "eps=1/255,method=ibp --allow classes --allow classes --batch 7 --shard 14 --threads 1",
        ),
        (5, "eps=1/255,method=ibp --branch all"),
        (5, "eps=1/255,method=ibp --branch adversarial,clean,adversarial"),
    ];
    for (place, text) in others {
        let mut parts = base;
        parts[place].1 = text;
        let said = sandbox.ok(&line(&parts));
        assert_eq!(cells(&sandbox, "o"), first, "{text}");
        assert!(
            said.stdout.contains("nothing was computed"),
            "{text}: {}",
            said.stderr
        );
    }
    // A surrogate that is named twice is one; two of one name are refused.
    let transfer = |surrogates: &str| {
        let attack = "--attack fgsm:surrogate=other --out transfer";
        sandbox.run(&format!("eval m.safetensors {data} {attack} {surrogates}"))
    };
    let other = "--surrogate other=m.safetensors";
    assert_eq!(transfer(other).code, 0);
    let again = transfer(&format!("{other} {other} --surrogate other=./m.safetensors"));
    assert!(again.stdout.contains("nothing was computed"), "{}", again.stderr);
    // The first ten are the first ten.
    let ten = |limit: &str| {
        let said = sandbox.ok(&format!("eval m.safetensors {data} --out ten {limit}"));
        (
            cells(&sandbox, "ten"),
            said.stdout.contains("nothing was computed"),
        )
    };
    let (limited, _) = ten("--limit 10");
    assert_eq!(ten("--images 0-9"), (limited.clone(), true));
    assert_eq!(ten("--images 5-9,0-4,0"), (limited.clone(), true));
    assert_ne!(ten("--images 1-10").0, limited);
}

#[test]
fn runs_and_formats_given_twice_make_the_report_of_one() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "m.safetensors");
    flat(&sandbox);
    sandbox.ok("eval m.safetensors --dataset imagefolder:flat --attack fgsm --attack pgd:steps=2 --out o");
    std::os::unix::fs::symlink(sandbox.path("o"), sandbox.path("link")).expect("a link");
    let tables = |command: &str, out: &str| {
        sandbox.ok(command);
        let folder = sandbox.path(out).join("report/tables");
        let mut files = walk(&folder);
        files.sort();
        let read = |file: &String| {
            let name = file.rsplit('/').next().expect("a name").to_owned();
            (name, fs::read_to_string(file).expect("a table"))
        };
        files.iter().map(read).collect::<Vec<_>>()
    };
    let once = tables("report o --out once --format csv", "once");
    assert!(once.len() > 4);
    let absolute = sandbox.path("o").display().to_string();
    let twice = tables(
        &format!("report o ./o link {absolute} --out twice --format csv,csv"),
        "twice",
    );
    assert_eq!(once, twice);
}
