//! What is the same is found again: a data set wherever its folder is, pieces of batches and shards
//! of other sizes, and the folder of each input.

use crate::support::{Sandbox, id, rows, untrained};
use rlnet_corruptions::Image;
use rlnet_corruptions::archive::write_png;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

/// Ten classes of two pictures each.
pub fn flat(sandbox: &Sandbox) {
    for class in 0..10_u8 {
        let folder = sandbox.path(&format!("flat/c{class}"));
        fs::create_dir_all(&folder).expect("a folder");
        for number in 0..2_u8 {
            let pixels = (0..32 * 32 * 3).map(|at| (at % 251) as u8 ^ (20 * class + number));
            let image = Image::from_raw(32, 32, pixels.collect()).expect("an image");
            write_png(&image, folder.join(format!("{number}.png"))).expect("a file");
        }
    }
}

fn copy(sandbox: &Sandbox, to: &str) {
    for class in 0..10 {
        fs::create_dir_all(sandbox.path(&format!("{to}/c{class}"))).expect("a folder");
        for number in 0..2 {
            let file = format!("c{class}/{number}.png");
            fs::copy(sandbox.path("flat").join(&file), sandbox.path(to).join(&file)).expect("a copy");
        }
    }
}

#[test]
fn a_data_set_is_the_same_however_its_folder_is_typed() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "m.safetensors");
    flat(&sandbox);
    copy(&sandbox, "copied");
    symlink(sandbox.path("flat"), sandbox.path("linked")).expect("a link");
    let eval = |data: &str, more: &[&str]| {
        let data = format!("imagefolder:{data}");
        sandbox.ok(&[
            &["eval", "m.safetensors", "--dataset", &data, "--attack", "fgsm"][..],
            more,
        ]
        .concat())
    };
    eval("flat", &["--out", "o"]);
    let cell = id(&sandbox, "o", "m/clean");
    let written = |out: &str| {
        let file = sandbox.path(out).join("cells").join(&cell).join("cell.json");
        fs::metadata(file)
            .and_then(|file| file.modified())
            .expect("a cell")
    };
    let first = written("o");
    let absolute = sandbox.path("flat").display().to_string();
    for (at, data) in ["./flat", "flat/", absolute.as_str(), "copied", "linked"]
        .into_iter()
        .enumerate()
    {
        // The same folder for results: nothing is computed again.
        eval(data, &["--out", "o"]);
        assert_eq!(id(&sandbox, "o", "m/clean"), cell, "{data}");
        assert_eq!(written("o"), first, "{data}");
        // Another: comparable, and one report.
        let out = format!("o{at}");
        eval(data, &["--out", &out, "--limit", "20"]);
        assert_eq!(id(&sandbox, &out, "m/clean"), cell, "{data}");
        let said = sandbox.ok(&["compare", "o", &out]).stdout;
        assert!(said.contains("are the same in both runs"), "{data}: {said}");
        sandbox.ok(&["report", "o", &out, "--out", "r", "--format", "md"]);
    }
    // An evaluation that asks for less keeps what the report had.
    sandbox.ok("eval m.safetensors --dataset imagefolder:linked --out o");
    id(&sandbox, "o", "m/fgsm:eps=8/255");
    // Other pictures are another data set, and that is said.
    fs::remove_file(sandbox.path("copied/c3/1.png")).expect("removed");
    fs::copy(sandbox.path("flat/c3/0.png"), sandbox.path("copied/c3/1.png")).expect("a copy");
    eval("copied", &["--out", "other"]);
    let drifted = sandbox.run("compare o other");
    assert!(
        drifted.code == 1 && drifted.stdout.contains("drifted data"),
        "{}",
        drifted.stdout
    );
}

#[test]
fn inputs_of_one_name_have_folders_of_their_own() {
    let sandbox = Sandbox::new();
    for folder in ["a", "b"] {
        fs::create_dir_all(sandbox.path(folder)).expect("a folder");
    }
    untrained(&sandbox, "a/net.safetensors");
    let import = [
        "import",
        concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/teacher.pth"),
    ];
    let other = [
        "--arch",
        "resnet8-w2",
        "--dataset",
        "shapes",
        "--mean",
        "0,0,0",
        "--out",
        "b/net.safetensors",
    ];
    sandbox.ok(&[&import[..], &other].concat());
    let eval = |model: &str, more: &str| {
        sandbox
            .ok(&format!("eval {model} --dataset shapes --limit 20{more}"))
            .stderr
    };
    let folders = || {
        let all = fs::read_dir(sandbox.path("out")).expect("out").flatten();
        let mut names: Vec<String> = all
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let plan = || fs::read(sandbox.path("out/eval-net/plan.json")).expect("a plan");
    eval("a/net.safetensors", "");
    let first = plan();
    let said = eval("b/net.safetensors", "");
    assert!(
        said.contains("out/eval-net holds results of another model"),
        "{said}"
    );
    assert_eq!(plan(), first);
    let both = folders();
    assert!(both.len() == 2 && both[1].starts_with("eval-net-"), "{both:?}");
    // Each finds its own again; more of the same input goes where the rest of it is.
    eval("b/net.safetensors", " --attack fgsm");
    let said = eval("a/net.safetensors", " --attack fgsm");
    assert!(!said.contains("another model"), "{said}");
    assert_eq!(folders(), both);
    // The same model on other images is another input.
    flat(&sandbox);
    sandbox.ok("eval a/net.safetensors --dataset imagefolder:flat");
    assert_eq!(folders().len(), 3);
    // A folder that is named is used, and what is replaced is said.
    let said = eval("b/net.safetensors", " --out out/eval-net");
    assert!(
        said.contains("out/eval-net held the results of other settings"),
        "{said}"
    );
}

#[test]
fn what_a_killed_process_has_serves_batches_and_shards_of_other_sizes() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "m.safetensors");
    let eval = |out: &str, sizes: &str| {
        format!(
            "eval m.safetensors --dataset shapes --limit 60 --attack pgd:steps=60 --threads 1 --out {out} {sizes}"
        )
    };
    for (out, discard) in [("kept", ""), ("rows", " --discard-images")] {
        let mut child = sandbox.spawn(&eval(out, &format!("--batch 4 --shard 8{discard}")));
        let pieces = || {
            let work = fs::read_dir(sandbox.path(out).join("work"))
                .into_iter()
                .flatten()
                .flatten();
            let files = work.flat_map(|cell| crate::support::walk(&cell.path().join("pieces")));
            files
                .filter(|file| file.contains("b4-s8") && file.contains("/000-") && file.ends_with(".json"))
                .count()
        };
        let start = Instant::now();
        while pieces() < 3 && child.try_wait().expect("a process").is_none() {
            assert!(start.elapsed() < Duration::from_secs(120), "no piece is written");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        sandbox.ok(&eval(out, &format!("--batch 14 --shard 28{discard}")));
        let attack = "m/pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=60";
        let whole = format!("{out}-whole");
        sandbox.ok(&eval(&whole, discard));
        let cell = sandbox.path(out).join("cells").join(id(&sandbox, out, attack));
        let record: Value =
            serde_json::from_slice(&fs::read(cell.join("cell.json")).expect("a record")).expect("JSON");
        assert_eq!(
            record["provenance"]["resumed"], 1,
            "{out}: nothing of the killed process served"
        );
        assert_eq!(
            rows(&sandbox, out, attack),
            rows(&sandbox, &whole, attack),
            "{out}"
        );
        let images = "adversarial.safetensors";
        let other = sandbox
            .path(&whole)
            .join("cells")
            .join(id(&sandbox, &whole, attack));
        assert_eq!(
            fs::read(cell.join(images)).ok(),
            fs::read(other.join(images)).ok(),
            "{out}"
        );
        assert_eq!(cell.join(images).exists(), discard.is_empty());
    }
}
