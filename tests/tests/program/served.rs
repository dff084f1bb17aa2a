//! Models in other processes: the Python package, and what a server may do wrong.

use crate::archives::plan;
use crate::errors::refused;
use crate::support::{CommandOutput, Sandbox, Words, captured, rows, walk};
use rlnet_suites::attack::{CATALOGUE, ParamKind};
use rlnet_suites::{AttackSpec, Outcome};
use rlnet_test_support::{python, reference};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

fn models() -> String {
    format!("python:{}", repository("tests/fixtures/models.py").display())
}

/// The program, which finds the Python that has torch, and the package of this repository.
pub fn command(sandbox: &Sandbox, arguments: &(impl Words + ?Sized)) -> Command {
    let mut command = sandbox.command(arguments);
    command
        .env("RLNET_PYTHON", python())
        .env("PYTHONPATH", repository("python"));
    command
}

/// An evaluation on generated images, through one thread.
fn ask(model: &str, out: &str, more: &str) -> String {
    format!("eval {model} --dataset shapes --out {out} --threads 1 --answer-within 60 {more}")
}

fn run(sandbox: &Sandbox, arguments: &str) -> CommandOutput {
    captured(command(sandbox, arguments).output().expect("a process"))
}

fn ok(sandbox: &Sandbox, arguments: &str) -> CommandOutput {
    let output = run(sandbox, arguments);
    assert_eq!(output.code, 0, "{arguments}: {}", output.stderr);
    output
}

/// Every row of a run, in the plan's order.
fn answers(sandbox: &Sandbox, out: &str) -> Vec<(String, Vec<Outcome>)> {
    let of = |name: &str| name.split_once('/').expect("model/condition").1.to_owned();
    let cells = plan(sandbox, out).cells;
    cells
        .iter()
        .map(|cell| (of(&cell.name), rows(sandbox, out, &cell.name)))
        .collect()
}

fn assert_same(sandbox: &Sandbox, one: &str, other: &str) {
    let (one, other) = (answers(sandbox, one), answers(sandbox, other));
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other);
    }
}

/// Whether a process is there, and no zombie.
fn lives(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} after a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn the_tests_of_the_python_package_pass() {
    let sandbox = Sandbox::new();
    // Types of PyTorch and NumPy take half a minute, once.
    let cache = rlnet_test_support::cache()
        .unwrap_or_else(|| sandbox.path(""))
        .join("rlnet/mypy");
    for arguments in [
        &[
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests",
            "--doctest-modules",
            "rlnet",
        ][..],
        &["-m", "mypy", "--cache-dir", &cache.display().to_string()],
    ] {
        let output = Command::new(python())
            .args(arguments)
            .current_dir(repository("python"))
            .env("RLNET_PROGRAM", crate::support::binary())
            .env("PYTHONPATH", repository("python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OMP_NUM_THREADS", "1")
            .env("TMPDIR", sandbox.path(""))
            .output();
        let output = captured(output.expect("a process"));
        assert_eq!(
            output.code, 0,
            "{arguments:?}: {}{}",
            output.stdout, output.stderr
        );
    }
}

/// `pip install ./python` in an environment of its own, which sees the PyTorch of the tests' one.
#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn the_wheel_has_the_program_and_finds_the_libtorch_that_is_installed() {
    let sandbox = Sandbox::new();
    let done = |command: &mut Command| {
        let output = captured(command.output().expect("a process"));
        assert_eq!(output.code, 0, "{command:?}: {}{}", output.stdout, output.stderr);
        output.stdout
    };
    done(
        Command::new(python())
            .args(["-m", "venv", "--without-pip"])
            .arg(sandbox.path("venv")),
    );
    let home = done(Command::new(python()).args(["-c", "import torch; print(torch.__path__[0])"]));
    let others = Path::new(home.trim()).parent().expect("site-packages");
    let inside = sandbox.path("venv/bin/python");
    let site = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let site = PathBuf::from(done(Command::new(&inside).args(["-c", site])).trim());
    std::fs::write(site.join("others.pth"), others.display().to_string()).expect("a file");
    // A copy: a build leaves its folders beside the source.
    done(
        Command::new("cp")
            .arg("-r")
            .arg(repository("python"))
            .arg(sandbox.path("source")),
    );
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "./source",
    ];
    done(
        Command::new(&inside)
            .args(install)
            .current_dir(sandbox.path(""))
            .env("RLNET_BINARY", crate::support::binary()),
    );
    let rlnet = || {
        let mut command = Command::new(sandbox.path("venv/bin/rlnet"));
        command
            .current_dir(sandbox.path(""))
            .env_remove("RLNET_PYTHON")
            .env_remove("LIBTORCH");
        command
    };
    let doctor = done(rlnet().args(["doctor", "--json"]));
    let doctor: Value = serde_json::from_str(&doctor).expect("JSON");
    assert_eq!(doctor["libtorch"]["version"], "2.11.0");
    let model = format!("{}:plain", models());
    done(rlnet().args(ask(&model, "out", "--limit 16 --attack fgsm").words()));
    let script = "import rlnet, rlnet.program as p; print(rlnet.__file__, p.program(), p.libtorch())";
    let said = done(
        Command::new(&inside)
            .args(["-c", script])
            .current_dir(sandbox.path("")),
    );
    assert!(
        said.contains("of the installed PyTorch") && said.contains("venv/"),
        "{said}"
    );
    // Another release does not fit; a program that finds no libtorch says so, and what would do.
    sandbox.write("other/torch/__init__.py", "");
    sandbox.write(
        "other/torch-2.4.1.dist-info/METADATA",
        "Name: torch\nVersion: 2.4.1\n",
    );
    let lost = sandbox.write(
        "lost",
        "#!/bin/sh\necho 'libtorch_cpu.so: cannot open' >&2; exit 127\n",
    );
    done(Command::new("chmod").arg("+x").arg(&lost));
    let mut command = rlnet();
    command.arg("doctor").env("PYTHONPATH", sandbox.path("other"));
    done(&mut command);
    let output = captured(command.env("RLNET_PROGRAM", &lost).output().expect("a process"));
    refused(
        &output,
        2,
        &[
            "cannot open",
            "PyTorch 2.4.1 is installed",
            "pip install torch==2.11.0",
        ],
    );
}

/// Every attack of the registry in every norm, as short as it can be.
fn attacks() -> Vec<AttackSpec> {
    let mut all = Vec::new();
    // AutoAttack's parts are here; whole it has no short setting.
    for entry in CATALOGUE
        .iter()
        .filter(|entry| !entry.name.starts_with("autoattack") && !entry.overflows)
    {
        let norms = entry.params.iter().find(|param| param.name == "norm");
        let Some(ParamKind::Word(norms)) = norms.map(|norm| norm.kind) else {
            panic!("{} has no norm", entry.name);
        };
        for norm in norms {
            let mut spec: AttackSpec = format!("{}:norm={norm}", entry.name).parse().expect(entry.name);
            let few = [
                ("steps", "3"),
                ("search", "1"),
                ("queries", "12"),
                ("draws", "2"),
                ("targets", "2"),
                ("brackets", "2"),
                ("programs", "2"),
                ("restarts", "1"),
            ];
            for (name, few) in few {
                spec = spec.with(name, few).unwrap_or(spec);
            }
            all.push(spec);
        }
    }
    all
}

/// Prediction, margin, loss, distance and passes of every image, to the last bit, whatever the batch.
#[test]
#[cfg_attr(
    not(all(have = "torch", have = "images", have = "reference")),
    ignore = "needs torch and real images"
)]
fn every_attack_gives_the_answers_of_torchscript_in_any_batch() {
    let sandbox = Sandbox::new();
    let script = reference("oracles/attacks/robust.pt").display().to_string();
    let attacks: Vec<String> = attacks()
        .iter()
        .map(|attack| format!("--attack {attack}"))
        .collect();
    let evaluate = |model: &str, out: &str, batch: u32| {
        let question = format!(
            "eval {model} --name robust --dataset cifar10 --limit 11 --threads 1 --batch {batch} --out {out} \
             --data-dir {} --discard-images {}",
            rlnet_test_support::images().display(),
            attacks.join(" ")
        );
        let mut command = command(&sandbox, &question);
        let output = captured(command.env("ORACLE", &script).output().expect("a process"));
        assert_eq!(output.code, 0, "{}", output.stderr);
    };
    evaluate(&script, "script", 11);
    evaluate(&format!("{}:oracle", models()), "served", 11);
    assert_same(&sandbox, "script", "served");
    evaluate(&format!("{}:oracle", models()), "sevens", 7);
    assert_same(&sandbox, "script", "sevens");
    let broken = answers(&sandbox, "served");
    let broken = broken
        .iter()
        .flat_map(|(_, rows)| rows)
        .filter(|row| row.prediction != row.label);
    assert!(broken.count() > 20, "nothing is tested when nothing is broken");
}

#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn a_model_in_any_form_gives_the_same_answers() {
    let sandbox = Sandbox::new();
    let write = Command::new(python())
        .arg(repository("tests/fixtures/models.py"))
        .arg(sandbox.path("files"))
        .output();
    let write = captured(write.expect("a process"));
    assert_eq!(write.code, 0, "{}", write.stderr);
    let question = "--limit 24 --attack pgd:steps=3 --attack square:queries=10 --name net";
    let factory = format!("{}:plain", models());
    let forms = [
        ("script", "files/script.pt".to_owned()),
        ("served", factory.clone()),
        (
            "weights",
            format!(
                "files/weights.pth --factory {}",
                factory.trim_start_matches("python:")
            ),
        ),
        ("exported", "files/exported.pt2".to_owned()),
        ("onnx", "files/network.onnx".to_owned()),
    ];
    for (out, model) in &forms {
        ok(&sandbox, &ask(model, out, question));
        // ONNX has its own operators, so the last bits are its own.
        match *out {
            "onnx" => {
                for (ours, theirs) in answers(&sandbox, "script").iter().zip(&answers(&sandbox, out)) {
                    let verdicts =
                        |rows: &[Outcome]| rows.iter().map(|row| row.prediction).collect::<Vec<_>>();
                    assert_eq!(verdicts(&ours.1), verdicts(&theirs.1));
                }
            }
            out => assert_same(&sandbox, "script", out),
        }
    }
    // Half and double precision are converted at the model's two ends.
    for (name, near) in [("half", 0.1), ("double", 1e-4)] {
        ok(
            &sandbox,
            &ask(&format!("{}:{name}", models()), name, "--limit 24"),
        );
        let (ours, theirs) = (answers(&sandbox, "script"), answers(&sandbox, name));
        for (a, b) in ours[0].1.iter().zip(&theirs[0].1) {
            assert!(
                (a.margin - b.margin).abs() < near * a.margin.abs().max(1.0),
                "{name}: {a:?} {b:?}"
            );
        }
    }
    // What holds no model is refused by its kind, with the line to type.
    for (file, said) in [
        ("weights.pth", &["state_dict", "--factory FILE.py:make"][..]),
        (
            "module.pth",
            &[
                "pickled",
                "torch.save(module.state_dict()",
                "--factory FILE.py:make",
            ],
        ),
    ] {
        let output = run(&sandbox, &ask(&format!("files/{file}"), "no", ""));
        refused(&output, 2, &[&[file], said].concat());
        std::fs::copy(sandbox.path("files").join(file), sandbox.path("files/renamed.pt")).expect("a copy");
        refused(&run(&sandbox, &ask("files/renamed.pt", "no", "")), 2, said);
    }
    std::fs::copy(
        sandbox.path("files/exported.pt2"),
        sandbox.path("files/renamed.pt"),
    )
    .expect("a copy");
    let output = run(&sandbox, &ask("files/renamed.pt", "no", ""));
    refused(&output, 2, &["torch.export", ".pt2"]);
}

/// Three architectures of torchvision with random weights: every row of every attack, to the last bit.
#[test]
#[ignore = "make test-long"]
fn architectures_of_torchvision_give_the_answers_of_torchscript_under_every_attack() {
    let sandbox = Sandbox::new();
    let folder = repository("tests/fixtures").display().to_string();
    let write =
        format!("import sys; sys.path.insert(0, {folder:?}); import models; models.write_torchvision('.')");
    let write = Command::new(python())
        .args(["-c", &write])
        .current_dir(sandbox.path(""))
        .output();
    let write = captured(write.expect("a process"));
    assert_eq!(write.code, 0, "{}", write.stderr);
    let every: Vec<String> = attacks()
        .iter()
        .map(|attack| format!("--attack {attack}"))
        .collect();
    let question = format!("--limit 16 --discard-images {}", every.join(" "));
    for name in ["resnet18", "mobilenet", "regnet"] {
        let script = format!("{name}-script");
        ok(
            &sandbox,
            &ask(&format!("{name}.pt --name {name}"), &script, &question),
        );
        ok(&sandbox, &ask(&format!("{}:{name}", models()), name, &question));
        assert_same(&sandbox, &script, name);
        assert_eq!(answers(&sandbox, name).len(), 1 + every.len());
    }
}

#[test]
#[ignore = "make test-long"]
fn other_frameworks_and_an_older_pytorch_give_the_same_verdicts() {
    let sandbox = Sandbox::new();
    let question =
        "--limit 60 --attack pgd:steps=5 --attack apgd-dlr:steps=5 --attack square:queries=20 --name net";
    let jax = format!(
        "python:{}:logits",
        repository("tests/fixtures/jax_model.py").display()
    );
    for (name, model, other, environment) in [
        ("linear", format!("{}:linear", models()), jax, "jax"),
        (
            "plain",
            format!("{}:plain", models()),
            format!("{}:plain", models()),
            "torch-old",
        ),
    ] {
        ok(&sandbox, &ask(&model, name, question));
        let python =
            rlnet_test_support::environment(environment).expect("python3 tests/peers/python_env.py NAME");
        let mut command = command(&sandbox, &ask(&other, environment, question));
        let output = captured(command.env("RLNET_PYTHON", python).output().expect("a process"));
        assert_eq!(output.code, 0, "{}", output.stderr);
        let (ours, theirs) = (answers(&sandbox, name), answers(&sandbox, environment));
        for ((condition, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            for (a, b) in ours.iter().zip(theirs) {
                assert_eq!((a.image, a.prediction), (b.image, b.prediction), "{condition}");
                assert!(
                    (a.margin - b.margin).abs() < 1e-3 * a.margin.abs().max(1.0),
                    "{condition}: {a:?} {b:?}"
                );
            }
        }
    }
}

#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn a_model_without_gradients_takes_part_in_what_needs_none() {
    let sandbox = Sandbox::new();
    let model = format!("{}:black_box", models());
    let output = run(&sandbox, &ask(&model, "no", "--limit 16 --attack fgsm"));
    refused(&output, 2, &["--attack fgsm", "gradients"]);
    ok(
        &sandbox,
        &ask(&model, "out", "--limit 16 --attack square:queries=5"),
    );
    let served = ok(
        &sandbox,
        &ask(
            &format!("{}:plain", models()),
            "plain",
            "--limit 16 --attack square:queries=5",
        ),
    );
    assert!(served.stdout.contains("quare"), "{}", served.stdout);
    assert_same(&sandbox, "out", "plain");
}

/// Each fault begins when its flag file is there, so the same command is right again without it.
#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn a_model_that_fails_in_the_middle_is_named_and_the_same_command_goes_on() {
    let sandbox = Sandbox::new();
    ok(
        &sandbox,
        &ask(
            &format!("{}:plain", models()),
            "whole",
            "--limit 16 --attack pgd:steps=2",
        ),
    );
    for (factory, flag, said, code) in [
        (
            "crashing",
            "crash",
            &["does not answer", "the same command goes on"][..],
            1,
        ),
        ("raising", "raise", &["my layer is broken", "models.py:"], 2),
        ("not_a_number", "nan", &["[nan-logits]"], 2),
    ] {
        let question = ask(
            &format!("{}:{factory}", models()),
            factory,
            "--limit 16 --attack pgd:steps=2",
        );
        ok(&sandbox, &question.replace(" --attack pgd:steps=2", ""));
        sandbox.write(flag, "");
        let output = run(&sandbox, &question);
        refused(&output, code, said);
        std::fs::remove_file(sandbox.path(flag)).expect("a flag");
        ok(&sandbox, &question);
        assert_same(&sandbox, "whole", factory);
    }
    for (factory, said) in [("flat", "[160]"), ("pair", "tuple")] {
        let output = run(
            &sandbox,
            &ask(&format!("{}:{factory}", models()), factory, "--limit 16"),
        );
        refused(&output, 2, &["logits", "[images, classes]", said]);
    }
}

/// A run that began, and the number of its server's process.
fn begun(sandbox: &Sandbox, question: &str) -> (Child, String) {
    let mut command = command(sandbox, question);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let file = sandbox.path("server.pid");
    wait_for("no server", || {
        std::fs::metadata(&file).is_ok_and(|file| file.len() > 0)
    });
    let pid = std::fs::read_to_string(&file).expect("a number");
    std::fs::remove_file(file).expect("its file");
    (child, pid)
}

#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn a_model_that_never_starts_is_given_up_and_no_way_out_leaves_its_process() {
    let sandbox = Sandbox::new();
    sandbox.write("hang", "");
    let question = ask(&format!("{}:never", models()), "never", "--limit 16");
    let output = run(&sandbox, &question.replace("within 60", "within 2"));
    refused(&output, 2, &["does not listen after 2 s", "--answer-within"]);
    let pid = std::fs::read_to_string(sandbox.path("server.pid")).unwrap_or_default();
    assert!(!lives(&pid));
    let _ = std::fs::remove_file(sandbox.path("server.pid"));
    for signal in ["-KILL", "-INT"] {
        let (mut child, pid) = begun(
            &sandbox,
            &ask(&format!("{}:hanging", models()), "killed", "--limit 16"),
        );
        let number = child.id().to_string();
        // A second Ctrl-C ends the program at once.
        for _ in 0..2 {
            let _ = Command::new("kill")
                .args([signal, &number])
                .stderr(Stdio::null())
                .status();
            thread::sleep(Duration::from_millis(100));
        }
        let _ = child.wait();
        wait_for("the server lives", || !lives(&pid));
    }
}

/// A server that answers each request with what a function makes of it; ends with its first client.
fn fake(sandbox: &Sandbox, name: &str, answer: impl Fn(&Value) -> Vec<u8> + Send + 'static) -> String {
    let path = sandbox.path(name);
    let listener = UnixListener::bind(&path).expect("a socket");
    thread::spawn(move || {
        let request = |stream: &mut UnixStream| -> Option<Value> {
            let mut head = [0; 4];
            stream.read_exact(&mut head).ok()?;
            let mut body = vec![0; u32::from_le_bytes(head) as usize];
            stream.read_exact(&mut body).ok()?;
            serde_json::from_slice(&body).ok()
        };
        while let Ok((mut stream, _)) = listener.accept() {
            while let Some(request) = request(&mut stream) {
                let bytes = answer(&request);
                if bytes.is_empty() || stream.write_all(&bytes).is_err() {
                    break;
                }
            }
        }
    });
    format!("socket:{}", path.display())
}

/// An answer as the protocol wants it.
fn message(value: &Value) -> Vec<u8> {
    let body = value.to_string();
    [&(body.len() as u32).to_le_bytes(), body.as_bytes()].concat()
}

/// What a right server says first.
fn hello(version: u32) -> Value {
    json!({"ok": true, "protocol": version, "name": "fake", "framework": "none", "fingerprint": "f", "gradients": true})
}

#[test]
fn a_server_that_does_not_follow_the_protocol_is_refused_by_what_it_says() {
    let sandbox = Sandbox::new();
    let first = |bytes: Vec<u8>| move |_: &Value| bytes.clone();
    let then = |reply: Value| {
        move |request: &Value| match request["op"].as_str() {
            Some("hello") => message(&hello(1)),
            _ => message(&reply),
        }
    };
    let nameless = json!({"ok": true, "protocol": 1});
    let cases: Vec<(&str, String)> = vec![
        (
            "speaks version 2 of the protocol",
            fake(&sandbox, "a", first(message(&hello(2)))),
        ),
        (
            "does not describe its model",
            fake(&sandbox, "b", first(message(&nameless))),
        ),
        (
            "is not JSON",
            fake(&sandbox, "c", first([&3_u32.to_le_bytes()[..], b"hey"].concat())),
        ),
        ("none of this protocol", fake(&sandbox, "d", first(vec![255; 8]))),
        ("closed the connection", fake(&sandbox, "e", first(Vec::new()))),
        (
            "with an array [16]",
            fake(&sandbox, "f", then(json!({"ok": true, "shape": [16]}))),
        ),
        (
            "with an array [15, 10]",
            fake(&sandbox, "g", then(json!({"ok": true, "shape": [15, 10]}))),
        ),
        (
            "with an array [16, -4]",
            fake(&sandbox, "h", then(json!({"ok": true, "shape": [16, -4]}))),
        ),
        ("with an array []", fake(&sandbox, "i", then(json!({"ok": true})))),
        (
            "the model failed: its GPU is gone",
            fake(
                &sandbox,
                "j",
                then(json!({"ok": false, "kind": "model", "error": "its GPU is gone"})),
            ),
        ),
        (
            "no answer for 1 s (--answer-within",
            fake(&sandbox, "k", |request| {
                thread::sleep(Duration::from_secs(if request["op"] == "hello" {
                    0
                } else {
                    600
                }));
                message(&hello(1))
            }),
        ),
        (
            "nobody listens there",
            format!("socket:{}", sandbox.path("nobody").display()),
        ),
    ];
    for (said, model) in cases {
        let output = sandbox.run(&ask(&model, "out", "--limit 16").replace("within 60", "within 1"));
        assert!(
            output.code == 1 || output.code == 2,
            "{said}: {} {}",
            output.code,
            output.stderr
        );
        assert!(output.stderr.contains(said), "no {said:?} in {}", output.stderr);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        assert_eq!(walk(&sandbox.path("out/cells")), [""; 0]);
    }
}
