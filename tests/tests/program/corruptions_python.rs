//! `corruptions/python`: the bytes of the crate, from Python.

use crate::served::repository;
use crate::support::{Sandbox, captured};
use rlnet_corruptions::{Corruption, Generator, Options, ParameterSet, Severity, Stack};
use rlnet_test_support::python;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn done(command: &mut Command) -> String {
    let output = captured(command.output().expect("a process"));
    assert_eq!(output.code, 0, "{command:?}: {}{}", output.stdout, output.stderr);
    output.stdout
}

/// The extension module, built beside the project's own files; its package in a folder of the test's.
fn package(sandbox: &Sandbox) -> PathBuf {
    let source = repository("corruptions/python");
    let target = crate::support::binary().with_file_name("python");
    done(
        Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--manifest-path"])
            .arg(source.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .env("PYO3_PYTHON", python()),
    );
    let folder = sandbox.path("site");
    fs::create_dir(&folder).expect("a folder");
    done(
        Command::new("cp")
            .arg("-r")
            .arg(source.join("rlnet_corruptions"))
            .arg(&folder),
    );
    let module = folder.join("rlnet_corruptions/_native.abi3.so");
    fs::copy(target.join("debug/lib_native.so"), module).expect("the module");
    folder
}

#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn the_python_package_gives_the_bytes_of_the_crate() {
    let sandbox = Sandbox::new();
    let site = package(&sandbox);
    let source = repository("corruptions/python");
    let tests = source.join("tests").display().to_string();
    let python = |arguments: &[&str]| {
        let mut command = Command::new(python());
        command
            .args(arguments)
            .current_dir(&site)
            .env("PYTHONPATH", &site)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        done(&mut command)
    };
    python(&[
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--doctest-modules",
        "rlnet_corruptions",
        &tests,
    ]);
    let cache = rlnet_test_support::cache()
        .unwrap_or_else(|| sandbox.path(""))
        .join("rlnet/mypy");
    fs::copy(source.join("pyproject.toml"), site.join("pyproject.toml")).expect("its settings");
    python(&["-m", "mypy", "--cache-dir", &cache.display().to_string()]);
    // The example of its README.
    let readme = fs::read_to_string(source.join("README.md")).expect("a page");
    let example = readme
        .split("```python\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    python(&["-c", example.expect("an example")]);

    let images: Vec<u8> = (0..3 * 32 * 32 * 3_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    let mut ours = String::new();
    for stack in [Stack::Release, Stack::Modern] {
        let generator = Generator::new(Options {
            stack,
            ..Options::default()
        });
        let defined = |corruption: &Corruption| corruption.is_defined_for(ParameterSet::Cifar);
        for corruption in Corruption::ALL.into_iter().filter(defined) {
            for severity in Severity::ALL {
                let mut made = vec![0; images.len()];
                let batch = generator
                    .batch(corruption, severity)
                    .seed(9)
                    .indices(&[40, 7, 1 << 40]);
                batch.run(&images, (32, 32), &mut made).expect("corrupted");
                ours += &format!(
                    "{} {corruption} {} {:x}\n",
                    stack.name(),
                    severity.get(),
                    Sha256::digest(&made)
                );
            }
        }
    }
    let theirs = python(&[
        "-c",
        "import hashlib, numpy as np, rlnet_corruptions as rc\n\
         i = np.arange(3 * 32 * 32 * 3, dtype=np.uint64)\n\
         images = ((i * 2654435761 % 2**32) >> 11).astype(np.uint8).reshape(3, 32, 32, 3)\n\
         for stack in ['release', 'modern']:\n\
         \x20for name in rc.CORRUPTIONS:\n\
         \x20 for severity in range(1, 6):\n\
         \x20  made = rc.corrupt(images, name, severity, 9, [40, 7, 1 << 40], stack=stack)\n\
         \x20  print(stack, name, severity, hashlib.sha256(made.tobytes()).hexdigest())\n",
    ]);
    assert_eq!(ours.lines().count(), 2 * 29 * 5);
    assert_eq!(ours, theirs);
}
