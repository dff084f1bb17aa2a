//! PyTorch's checkpoints in, TorchScript out.

use crate::archives::{eval, plan, refused};
use crate::support::{Sandbox, rows};
use rlnet_suites::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")).join(name)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The same verdicts and attacks, logits within 1e-5, whichever file the branch is read from.
#[test]
fn a_checkpoint_becomes_a_model_and_the_model_torchscript() {
    let sandbox = Sandbox::new();
    let teacher = text(&fixture("teacher.pth"));
    let output = sandbox.ok(&format!(
        "import {teacher} --arch resnet8-w2 --dataset shapes --out teacher.safetensors"
    ));
    assert!(
        output.stdout.contains("one norm in each shortcut"),
        "{}",
        output.stdout
    );
    let info = sandbox.ok("model info teacher.safetensors --json");
    let info: serde_json::Value = serde_json::from_str(&info.stdout).expect("JSON");
    assert_eq!(info["relus_kept"], 9216);
    for branch in ["clean", "adversarial"] {
        let file = format!("{branch}.pt");
        sandbox.ok(&format!(
            "export teacher.safetensors --format torchscript --branch {branch} --out {file}"
        ));
        let ask = [
            "--dataset",
            "shapes",
            "--limit",
            "23",
            "--batch",
            "9",
            "--attack",
            "pgd:steps=3",
        ];
        let through = [&ask[..], &["--branch", branch]].concat();
        assert_eq!(eval(&sandbox, "teacher.safetensors", branch, &through).code, 0);
        let out = format!("{branch}-script");
        assert_eq!(eval(&sandbox, &file, &out, &ask).code, 0);
        let answers = |out: &str| -> Vec<Outcome> {
            let cells = plan(&sandbox, out).cells;
            cells
                .iter()
                .flat_map(|cell| rows(&sandbox, out, &cell.name))
                .collect()
        };
        let (ours, script) = (answers(branch), answers(&out));
        assert_eq!((ours.len(), script.len()), (46, 46));
        for (a, b) in ours.iter().zip(&script) {
            assert_eq!(
                (a.image, a.prediction, a.rounded),
                (b.image, b.prediction, b.rounded)
            );
            assert!(
                (a.margin - b.margin).abs() <= 1e-5 * a.margin.abs().max(1.0),
                "{a:?} {b:?}"
            );
        }
    }
}

/// The masked student, from PyTorch's file to PyTorch's program: what comes out answers as what
/// went in.
#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn python_loads_what_is_exported() {
    let sandbox = Sandbox::new();
    let student = text(&fixture("student.pth"));
    sandbox.ok(&format!(
        "import {student} --arch resnet8-w2 --image-size 8 --out s.safetensors"
    ));
    for branch in ["clean", "adversarial"] {
        sandbox.ok(&format!(
            "export s.safetensors --format torchscript --branch {branch} --out s.pt"
        ));
        let script = format!(
            "import json, torch\n\
             said = json.load(open({:?}))\n\
             images = torch.tensor(said['images']).view(3, 3, 8, 8)\n\
             want = torch.tensor(said['student/{branch}'])\n\
             model = torch.jit.load('s.pt')\n\
             close = lambda a, b: (a - b).abs().max() <= 1e-5 * want.abs().max()\n\
             assert close(model(images), want)\n\
             assert close(model(images[1:2]), want[1:2])\n\
             seven = images.repeat(3, 1, 1, 1)[:7].requires_grad_()\n\
             model(seven).sum().backward()\n\
             assert seven.grad.abs().sum() > 0\n",
            text(&fixture("checkpoints.json"))
        );
        let ran = Command::new(rlnet_test_support::python())
            .args(["-c", &script])
            .current_dir(sandbox.path(""))
            .output();
        let ran = ran.expect("a process");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// Exit code 2, what is wrong and what to do, and no file.
#[test]
fn files_that_are_not_what_is_asked_for_are_refused() {
    let sandbox = Sandbox::new();
    let import = |file: &str, more: &[&str]| {
        let arguments = [&["import", file, "--out", "no.safetensors"], more].concat();
        let output = sandbox.run(&arguments);
        assert!(!sandbox.path("no.safetensors").exists());
        output
    };
    let resnet = ["--arch", "resnet8-w2", "--image-size", "8"];
    let student = text(&fixture("student.pth"));
    let whole = std::fs::read(&student).expect("a fixture");

    // What Python's reader would have run.
    let attack = b"\x80\x02cposix\nsystem\nX\x0a\0\0\0touch ran.x\x85R.";
    let evil = zipped("archive/data.pkl", attack);
    sandbox.write("evil.pth", &evil);
    refused(
        &import("evil.pth", &resnet),
        &["evil.pth", "posix.system", "execute", "state_dict"],
    );
    assert!(!sandbox.path("ran.x").exists());

    sandbox.write("short.pth", &whole[..whole.len() / 2]);
    refused(&import("short.pth", &resnet), &["short.pth", "cut short"]);
    sandbox.write("text.pth", b"hello");
    refused(&import("text.pth", &resnet), &["text.pth", "torch.save"]);
    refused(&import("nowhere.pth", &resnet), &["nowhere.pth"]);
    refused(
        &import(&student, &["--arch", "resnet8-w4", "--image-size", "8"]),
        &["conv1.weight"],
    );
    refused(&import(&student, &["--arch", "resnet81"]), &["resnet8"]);
    refused(
        &import(&student, &["--arch", "resnet8-w2"]),
        &["mask of layer", "[2, 32, 32]"],
    );
    let hundred = [&resnet[..], &["--dataset", "cifar100"]].concat();
    refused(&import(&student, &hundred), &["10 classes", "100"]);
    let key = [&resnet[..], &["--key", "weights"]].concat();
    refused(&import(&student, &key), &["weights", "mask_epoch"]);
    let mean = [&resnet[..], &["--mean", "0.5,0.5"]].concat();
    refused(&import(&student, &mean), &["three numbers"]);
    refused(&import(&student, &[]), &["--arch"]);

    sandbox.ok(&format!(
        "import {student} --arch resnet8-w2 --image-size 8 --out s.safetensors"
    ));
    let export = |more: &[&str]| {
        let output = sandbox.run(&[&["export", "s.safetensors", "--out", "no.pt"], more].concat());
        assert!(!sandbox.path("no.pt").exists());
        output
    };
    let script = ["--format", "torchscript"];
    sandbox.ok("export s.safetensors --format torchscript --branch clean --out s.pt");
    refused(&import("s.pt", &resnet), &["s.pt", "TorchScript", "rlnet eval"]);
    refused(&export(&script), &["--branch", "clean, adversarial"]);
    refused(
        &export(&[&script[..], &["--branch", "natural"]].concat()),
        &["natural", "clean, adversarial"],
    );
    refused(
        &export(&["--format", "mask", "--branch", "clean"]),
        &["--branch", "torchscript"],
    );
}

/// A zip archive of one stored record.
fn zipped(name: &str, data: &[u8]) -> Vec<u8> {
    let size = (data.len() as u32).to_le_bytes();
    let common = [
        &[0_u8; 14][..],
        &size,
        &size,
        &(name.len() as u16).to_le_bytes(),
        &[0; 2],
    ]
    .concat();
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), data].concat();
    let entry = [b"PK\x01\x02\0\0", &common[..], &[0; 14], name.as_bytes()].concat();
    let sandbox = (local.len() as u32).to_le_bytes();
    let length = (entry.len() as u32).to_le_bytes();
    let end = [
        b"PK\x05\x06\0\0\0\0\x01\0\x01\0" as &[u8],
        &length,
        &sandbox,
        &[0; 2],
    ]
    .concat();
    [local, entry, end].concat()
}
