//! Runs the binary in a folder of the test's own.

use crate::fork_server;
use rlnet_suites::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A working folder with an `rlnet` in it.
pub struct Sandbox {
    folder: TempDir,
}

/// What a finished command printed, and its exit code.
pub struct CommandOutput {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The binary that `cargo test --workspace` has just built.
pub fn binary() -> PathBuf {
    let deps = std::env::current_exe().expect("a test binary");
    let target = deps.parent().and_then(Path::parent).expect("target/debug");
    let binary = target.join("rlnet");
    assert!(
        binary.exists(),
        "{} is not there: run `cargo build -p rlnet` first, or `cargo test --workspace`",
        binary.display()
    );
    binary
}

/// A network of ten classes that nobody had to train, under this file name.
pub fn untrained<'a>(sandbox: &Sandbox, name: &'a str) -> &'a str {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/teacher.pth");
    let import = [
        "import",
        file,
        "--arch",
        "resnet8-w2",
        "--dataset",
        "shapes",
        "--out",
        name,
    ];
    sandbox.ok(&import);
    name
}

/// The words of a command: a slice of them, or one text where none holds a space.
pub trait Words {
    fn words(&self) -> Vec<&str>;
}

impl Words for str {
    fn words(&self) -> Vec<&str> {
        self.split_whitespace().collect()
    }
}

impl Words for String {
    fn words(&self) -> Vec<&str> {
        self.as_str().words()
    }
}

impl Words for [&str] {
    fn words(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl<const N: usize> Words for [&str; N] {
    fn words(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl Words for Vec<&str> {
    fn words(&self) -> Vec<&str> {
        self.clone()
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    pub fn command(&self, arguments: &(impl Words + ?Sized)) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments.words())
            .current_dir(self.folder.path())
            .env("RLNET_DATA", self.path("no-data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            // One thread a process: tests run side by side.
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &(impl Words + ?Sized)) -> CommandOutput {
        let command = self.command(arguments);
        fork_server::output(&command).unwrap_or_else(|| {
            let mut command = command;
            captured(command.output().expect("a process"))
        })
    }

    /// Runs and expects success.
    pub fn ok(&self, arguments: &(impl Words + ?Sized)) -> CommandOutput {
        let output = self.run(arguments);
        assert_eq!(output.code, 0, "{:?}: {}", arguments.words(), output.stderr);
        output
    }

    pub fn spawn(&self, arguments: &(impl Words + ?Sized)) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("a process")
    }

    /// Every finished file of a run's cells, by relative path. Times are in `cell.json`, so
    /// that file is left out.
    pub fn results(&self, out: &str) -> Vec<(String, Vec<u8>)> {
        let cells = self.path(out).join("cells");
        let mut files = Vec::new();
        for cell in std::fs::read_dir(&cells).expect("cells").flatten() {
            for file in std::fs::read_dir(cell.path()).expect("a cell").flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                if name == "cell.json" {
                    let name = format!("{}/passes", cell.file_name().to_string_lossy());
                    files.push((name, passes(&file.path()).into_bytes()));
                }
                let timed = ["cell.json", "train.parquet"].contains(&name.as_str());
                if !timed && !name.starts_with("events") {
                    let name = format!("{}/{name}", cell.file_name().to_string_lossy());
                    files.push((name, std::fs::read(file.path()).expect("a file")));
                }
            }
        }
        files.sort();
        files
    }
}

/// What a finished cell recorded of its passes: no matter how often it was cut off.
fn passes(record: &Path) -> String {
    let bytes = std::fs::read(record).expect("a record");
    let record: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let count = |name: &str| record["provenance"][name].as_u64().expect(name);
    let counts = ["forwards", "backwards", "teacher_forwards"].map(count);
    assert!(counts[0] > 0, "{} counts nothing", record["cell"]["name"]);
    format!("{counts:?}")
}

/// Every file under a folder; none where there is no folder.
pub fn walk(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            names.extend(walk(&entry.path()));
        } else {
            names.push(entry.path().display().to_string());
        }
    }
    names
}

pub fn captured(output: Output) -> CommandOutput {
    CommandOutput {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The rows of a run's cell, by the cell's name.
pub fn rows(sandbox: &Sandbox, out: &str, cell: &str) -> Vec<Outcome> {
    let folder = sandbox.path(out).join("cells").join(id(sandbox, out, cell));
    rlnet_reports::read_records::<rlnet_suites::Outcome>(&folder.join("outcomes.parquet")).expect("rows")
}

/// Changes the rows in a cell's folder, and the checksum that its record has of them.
pub fn edit_rows(cell: &Path, change: impl FnOnce(&mut Vec<Outcome>)) {
    let path = cell.join("outcomes.parquet");
    let mut rows = rlnet_reports::read_records::<Outcome>(&path).expect("rows");
    change(&mut rows);
    rlnet_reports::write_records(&path, &rows).expect("written");
    let file = cell.join("cell.json");
    let record = std::fs::read(&file).expect("a record");
    let mut record: rlnet_suites::CellRecord = serde_json::from_slice(&record).expect("JSON");
    let sum = rlnet_suites::io::file_checksum(&path).expect("a checksum");
    record.provenance.files.insert("outcomes.parquet".into(), sum);
    std::fs::write(&file, serde_json::to_vec_pretty(&record).expect("JSON")).expect("written");
}

/// The identity of a run's cell.
pub fn id(sandbox: &Sandbox, out: &str, cell: &str) -> String {
    let plan = std::fs::read(sandbox.path(out).join("plan.json")).expect("a plan");
    let plan: rlnet_suites::Plan = serde_json::from_slice(&plan).expect("JSON");
    let names: Vec<&str> = plan.cells.iter().map(|cell| cell.name.as_str()).collect();
    let found = plan.cells.iter().find(|planned| planned.name == cell);
    let Some(found) = found else {
        panic!("no {cell} among {names:?}")
    };
    found.id.0.clone()
}

/// A suite that trains and evaluates everything in seconds: the shape of the real ones.
pub const TINY: &str = r#"
schema = 1
name = "tiny"
title = "Seconds long"
description = "The three stages and a baseline, as small as they go."

[data]
dataset = "shapes"
train = 200
test = 40

[network]
arch = "resnet8-w4"

[training]
batch = 32
epochs = 2
attack = "pgd:steps=2,alpha=5/255"

[[train]]
name = "teacher"
stage = "teacher"

[[train]]
name = "mask"
stage = "mask"
teacher = "teacher"
budget = "4x"

[[train]]
name = "rlnet"
stage = "student"
mask = "mask"

[[train]]
name = "plain"
stage = "teacher"
views = ["clean"]
norm = "single"

[evaluation]
models = ["rlnet", "plain"]
baseline = "plain"
corruptions = ["gaussian_noise", "contrast"]
severities = [1, 5]
attacks = ["fgsm", "pgd:steps=3"]
"#;
