//! Bad input: what, where, why, what to do; exit code 2; nothing half-written.

use crate::support::{CommandOutput, Sandbox, TINY, walk};

/// Exit code 2 (or another), every hint in the message, no panic, no C++ trace.
pub fn refused(output: &CommandOutput, code: i32, hints: &[&str]) {
    assert_eq!(output.code, code, "{}", output.stderr);
    for hint in hints {
        assert!(output.stderr.contains(hint), "no {hint:?} in: {}", output.stderr);
    }
    for leak in ["panicked", "RUST_BACKTRACE", "frame #", "Exception raised"] {
        assert!(!output.stderr.contains(leak), "{leak:?} in: {}", output.stderr);
    }
}

/// `suite check` refuses a suite with every hint, at the line that has a part.
pub fn refused_at(sandbox: &Sandbox, text: &str, part: &str, hints: &[&str]) {
    sandbox.write("s.toml", text);
    let output = sandbox.run("suite check s.toml");
    refused(&output, 2, &[&["s.toml"], hints].concat());
    let line = text.lines().position(|line| line.contains(part));
    let line = 1 + line.expect("the part");
    let told = output.stderr.contains(&format!("line {line},"))
        || output.stderr.contains(&format!("s.toml:{line}:"));
    assert!(told, "no line {line} in: {}", output.stderr);
}

#[test]
fn missing_data_names_the_folder_and_the_way_out() {
    let sandbox = Sandbox::new();
    let output = sandbox.run("run cifar10-small --out out");
    refused(&output, 2, &["no-data", "--data-dir"]);
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_truncated_batch_file_says_how_many_bytes() {
    let sandbox = Sandbox::new();
    for name in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        sandbox.write(&format!("d/cifar-10-batches-bin/{name}.bin"), vec![0; 5000]);
    }
    let output = sandbox.run("run cifar10-small --data-dir d");
    refused(&output, 2, &["data_batch_1.bin", "5000", "30730000"]);
}

#[test]
fn a_wrong_checksum_shows_both() {
    let sandbox = Sandbox::new();
    for name in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        sandbox.write(&format!("d/cifar-10-batches-bin/{name}.bin"), vec![0; 30_730_000]);
    }
    let output = sandbox.run("data verify cifar10 --data-dir d");
    // Files are read side by side, so any of the six may be named; each has a published SHA-1.
    refused(
        &output,
        2,
        &[
            "cifar-10-batches-bin",
            "SHA-1",
            "the official ones",
            "imagefolder:PATH",
        ],
    );
    assert!(
        [
            "aadd24ac", "c0ba65cc", "1dd00a74", "aab85764", "26e2849e", "67eb016d"
        ]
        .iter()
        .any(|sum| output.stderr.contains(sum))
    );
}

#[test]
fn mistakes_in_a_suite_come_with_their_line() {
    let sandbox = Sandbox::new();
    let check = |text: &str, part: &str, hints: &[&str]| refused_at(&sandbox, text, part, hints);
    let unknown = TINY.replace("batch = 32", "bacth = 32");
    check(&unknown, "bacth", &["s.toml", "bacth", "batch"]);
    let below = TINY.replace("budget = \"4x\"", "budget = \"0.5x\"");
    check(&below, "0.5x", &["reduction below 1"]);
    let attack = TINY.replace("\"pgd:steps=3\"", "\"pgd:step=3\"");
    check(&attack, "step=3", &["did you mean `steps`"]);
    let parent = TINY.replace("mask = \"mask\"", "mask = \"msak\"");
    check(&parent, "msak", &["did you mean `mask`"]);
    let name = TINY.replace("\"contrast\"", "\"contrats\"");
    check(&name, "contrats", &["did you mean `contrast`"]);
}

#[test]
fn what_cannot_be_run_is_refused_before_any_work() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let too_many = sandbox.run("run s.toml --out out --set train.mask.budget=50k");
    refused(&too_many, 2, &["50k", "ReLUs"]);
    let arch = sandbox.run("run s.toml --out out --set network.arch=resnet81");
    refused(&arch, 2, &["resnet81", "resnet8"]);
    let parity = sandbox.run(&[
        "run",
        "s.toml",
        "--out",
        "out",
        "--set",
        "training.quirks=[\"B9\"]",
    ]);
    refused(&parity, 2, &["B9", "strict-threshold"]);
    let images = sandbox.run("run s.toml --out out --set data.test=999999");
    refused(&images, 2, &["999999"]);
    let suite = sandbox.run("run cifar10-smal");
    refused(&suite, 2, &["did you mean `cifar10-small`"]);
    let set = sandbox.run("run s.toml --set training.bacth=3");
    refused(&set, 2, &["bacth"]);
    let only = sandbox.run("run s.toml --out out --only nothing");
    refused(&only, 2, &["nothing", "rlnet/clean"]);
    assert!(!sandbox.path("out").exists());
    let cuda = sandbox.run("run s.toml --out out --device cuda:99");
    refused(&cuda, 2, &["cuda"]);
}

/// A run that a CPU would not finish in a day is refused, with its estimate, before any work.
#[test]
fn days_on_a_cpu_are_not_started_without_a_yes() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let run = |more: &[&str]| {
        let arguments = [
            "run",
            "s.toml",
            "--out",
            "out",
            "--device",
            "cpu",
            "--threads",
            "1",
        ];
        let long = ["--set", "network.arch=resnet18", "--set", "training.epochs=10000"];
        sandbox.run(&[&arguments[..], &long, more].concat())
    };
    refused(
        &run(&[]),
        2,
        &["days on 1 CPU threads", "--yes", "--dry-run", "scale=small"],
    );
    assert!(!sandbox.path("out").exists());
    let dry = run(&["--dry-run"]);
    assert!(dry.stdout.contains("by arithmetic, at most: "), "{}", dry.stdout);
    let started = run(&["--yes", "--minutes", "0.001"]);
    assert_eq!(started.code, 3, "{}", started.stderr);
}

/// What people type in place of a name gets the name, or what to do.
#[test]
fn names_that_are_nearly_right_get_a_suggestion() {
    let sandbox = Sandbox::new();
    sandbox.write("m.pt", b"hello");
    sandbox.write("mask.safetensors", b"hello");
    let import = ["import", "mask.safetensors", "--out", "m.safetensors"];
    for (arguments, hints) in [
        (
            &["eval", "m.pt", "--dataset", "CIFAR-10"][..],
            &["did you mean `cifar10`?"][..],
        ),
        (
            &["eval", "m.pt", "--dataset", "imagenet"],
            &["imagefolder:PATH", "each class"],
        ),
        (&["run", "Cifar10_Small"], &["did you mean `cifar10-small`?"]),
        (
            &[&import[..], &["--arch", "resnet18"]].concat(),
            &["import mask.safetensors --model MODEL"],
        ),
        (&import, &["--arch", "--model"]),
    ] {
        refused(&sandbox.run(arguments), 2, hints);
    }
}

#[test]
fn a_full_disk_at_a_checkpoint_is_one_clear_line_and_can_be_gone_on_from() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    // A file-size limit of 40 KiB with its signal ignored: the plan fits, the checkpoint does
    // not, and the write fails as on a full disk.
    let rlnet = sandbox.command("").get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    shell
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 80; exec \"$0\" run s.toml --out out --only teacher")
        .arg(&rlnet)
        .env("OMP_NUM_THREADS", "1")
        .current_dir(sandbox.path(""));
    let output = crate::support::captured(shell.output().expect("a shell"));
    refused(&output, 1, &["writing", "state.safetensors", "free some space"]);
    let half: Vec<_> = walk(&sandbox.path("out"))
        .into_iter()
        .filter(|name| name.ends_with(".part"))
        .collect();
    assert!(half.is_empty(), "{half:?}");
    assert_eq!(
        std::fs::read_dir(sandbox.path("out/cells"))
            .expect("cells")
            .count(),
        0
    );
    sandbox.ok("run s.toml --out out --only teacher");
}

#[test]
fn a_damaged_checkpoint_and_a_foreign_model_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("broken.safetensors", b"\x10\0\0\0\0\0\0\0{\"a\":");
    let output = sandbox.run("eval broken.safetensors --dataset shapes");
    refused(&output, 2, &["broken.safetensors", "truncated"]);
    sandbox.write("not.pt", b"hello");
    let output = sandbox.run("eval not.pt --dataset shapes");
    refused(&output, 2, &["not.pt", "TorchScript", "torch.jit.save"]);
    assert!(!output.stderr.contains("miniz"), "{}", output.stderr);
    let output = sandbox.run("report nowhere");
    refused(&output, 2, &["nowhere"]);
}

#[test]
fn usage_errors_have_exit_code_2() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["run"][..],
        &["eval", "m.pt", "--dataset", "shapes", "--attack", "pdg"],
        &["eval", "m.pt", "--dataset", "shapes", "--severity", "9"],
        &["model", "info", "resnet18", "--reduction", "0.9x"],
        &["model", "info", "resnet18", "--budget", "11.14"],
        &["model", "info", "resnet18", "--budget", "600k"],
        &["--device", "tpu", "doctor"],
    ] {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn a_diverging_loss_stops_with_the_stage_the_epoch_and_the_way_out() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let output = sandbox
        .run("run s.toml --out out --only teacher --set training.lr=1000 --set training.weight_decay=1");
    refused(&output, 1, &["teacher", "epoch", "diverged", "Lower `lr`"]);
    assert_eq!(
        std::fs::read_dir(sandbox.path("out/cells"))
            .expect("cells")
            .count(),
        0
    );
}
