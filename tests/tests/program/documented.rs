//! What documents tell people to type: every command is one of the program, the Python code runs.

use crate::served::{command, repository};
use crate::support::{Sandbox, captured, walk};
use rlnet_test_support::python;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Every page.
fn pages() -> Vec<PathBuf> {
    let names = [
        "README.md",
        "CONTRIBUTING.md",
        "corruptions/README.md",
        "corruptions/python/README.md",
    ];
    let mut pages: Vec<PathBuf> = names.into_iter().map(repository).collect();
    pages.extend(
        walk(&repository("docs"))
            .into_iter()
            .filter(|page| page.ends_with(".md"))
            .map(PathBuf::from),
    );
    pages
}

/// The code blocks of a page in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let parts = page.split("\n```").skip(1).step_by(2);
    parts
        .filter_map(|part| part.split_once('\n'))
        .filter(|(of, _)| *of == language)
        .map(|(_, code)| code)
        .collect()
}

/// A command is parsed as a user's is; `--help` then ends it before any work.
#[test]
fn every_command_of_the_documents_is_one_of_the_program() {
    let sandbox = Sandbox::new();
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for line in blocks(&text, "").join("\n").replace("\\\n", " ").lines() {
            let Some(line) = line.trim().strip_prefix("rlnet ") else {
                continue;
            };
            // What stands behind two spaces or a # is said about the command.
            let line = line.split(" #").next().unwrap_or_default();
            let arguments = line
                .split("  ")
                .next()
                .unwrap_or_default()
                .replace(['\'', '"'], "");
            let words: Vec<&str> = arguments.split_whitespace().chain(["--help"]).collect();
            let output = sandbox.run(&words);
            assert_eq!(
                output.code,
                0,
                "{}: rlnet {line}: {}",
                page.display(),
                output.stderr
            );
            count += 1;
        }
    }
    assert!(
        count > 25,
        "{count} commands: the pages have another form than this test reads"
    );
}

fn ran(sandbox: &Sandbox, code: &str) -> String {
    let output = Command::new(python())
        .args(["-c", code])
        .current_dir(sandbox.path(""))
        .env("RLNET_PROGRAM", crate::support::binary())
        .env("PYTHONPATH", repository("python"))
        .env("OMP_NUM_THREADS", "1")
        .output();
    let output = captured(output.expect("a process"));
    assert_eq!(output.code, 0, "{code}\n{}", output.stderr);
    output.stdout
}

/// The page on Python: the call, and the export, on generated images and with a short attack.
#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn the_python_of_the_documents_runs() {
    let sandbox = Sandbox::new();
    let page = fs::read_to_string(repository("docs/python/README.md")).expect("the page");
    let readme = fs::read_to_string(repository("README.md")).expect("the page");
    let code = blocks(&page, "python");
    let prelude = format!(
        "import sys; sys.path.insert(0, {:?}); import models; model = models.plain()\n",
        repository("tests/fixtures").display().to_string()
    );
    for call in [code[0], blocks(&readme, "python")[0]] {
        let short = call
            .replace("\"cifar10\"", "\"shapes\"")
            .replace("pgd:steps=20", "pgd:steps=2")
            .replace("\"autoattack\"", "\"square:queries=5\"")
            .replace("limit=1000", "limit=12")
            .replace("std=[0.25, 0.24, 0.26])", "std=[0.25, 0.24, 0.26], limit=12)");
        assert!(
            short.contains("limit=12") || call == blocks(&readme, "python")[0],
            "{short}"
        );
        let short = if short.contains("limit=") {
            short
        } else {
            short.replace("std=[", "limit=12, std=[")
        };
        let said = ran(
            &sandbox,
            &format!("{prelude}{short}\nprint(run.table('main')['ca'][0], run.page.is_file())"),
        );
        assert!(said.contains("True"), "{said}");
        fs::remove_dir_all(sandbox.path("out")).expect("results");
    }
    ran(&sandbox, code[1]);
    let output = command(&sandbox, "eval model.pt --dataset shapes --limit 8 --attack fgsm").output();
    let output = captured(output.expect("a process"));
    assert_eq!(output.code, 0, "{}", output.stderr);
}
