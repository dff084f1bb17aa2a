//! Runs that write through to an object store: a folder as one, and a server that speaks S3.

use crate::errors::refused;
use crate::support::{CommandOutput, Sandbox, TINY, captured, id, walk};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A command with no account of a store in its environment.
fn command(sandbox: &Sandbox, words: &[&str]) -> Command {
    let mut command = sandbox.command(words);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
}

fn run(sandbox: &Sandbox, words: &[&str]) -> CommandOutput {
    captured(command(sandbox, words).output().expect("a process"))
}

fn ok(sandbox: &Sandbox, words: &[&str]) -> CommandOutput {
    let output = run(sandbox, words);
    assert_eq!(output.code, 0, "{words:?}: {}", output.stderr);
    output
}

pub fn holds(text: &str, hints: &[&str]) {
    for hint in hints {
        assert!(text.contains(hint), "no {hint:?} in: {text}");
    }
}

/// The files under a folder and their bytes, by relative path.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let root = folder.display().to_string();
    let relative = |name: &String| name[root.len() + 1..].to_owned();
    let mut files: Vec<_> = walk(folder)
        .iter()
        .map(|name| (relative(name), fs::read(name).expect("a file")))
        .collect();
    files.sort();
    files
}

/// What a machine fetches of cells: adversarial images stay in the store.
pub fn fetched(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let all = files(folder);
    let none = |(name, _): &(String, Vec<u8>)| !name.ends_with("adversarial.safetensors");
    all.into_iter().filter(none).collect()
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(name, _)| name).collect()
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    fs::write(file, bytes).expect("damage");
}

/// One model and its evaluations.
const PLAIN: [&str; 4] = ["--threads", "1", "--only", "plain/*"];

#[test]
fn a_store_gives_back_what_another_machine_finished_and_refuses_what_is_damaged() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let store = sandbox.path("store/a night");
    let url = format!("file://{}/", store.display());
    let on = |machine: &str, more: &[&str]| {
        let words = [
            "run",
            "s.toml",
            "--threads",
            "1",
            "--out",
            &url,
            "--work-dir",
            machine,
        ];
        let only = if more.contains(&"--only") {
            &[][..]
        } else {
            &["--only", "plain/*"]
        };
        run(&sandbox, &[&words[..], only, more].concat())
    };
    let fine = |machine: &str, more: &[&str]| {
        let output = on(machine, more);
        assert_eq!(output.code, 0, "{machine} {more:?}: {}", output.stderr);
        output
    };
    ok(
        &sandbox,
        &[&["run", "s.toml", "--out", "whole"][..], &PLAIN].concat(),
    );
    // Finished cells, plan and report, and nothing of the work; byte for byte those of the folder.
    fine("one", &["--only", "plain/clean"]);
    assert_eq!(files(&store.join("cells")), files(&sandbox.path("one/cells")));
    assert_eq!(files(&store.join("report")), files(&sandbox.path("one/report")));
    let kinds = |name: &String| name.split('/').next().expect("a name").to_owned();
    let kinds: std::collections::BTreeSet<_> = names(&store).iter().map(kinds).collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["cells", "plan.json", "report"]
    );
    fs::remove_dir_all(sandbox.path("one")).expect("a machine that is gone");
    // A look changes nothing, here or there.
    let before = files(&store);
    let looked = fine("two", &["--dry-run"]);
    holds(
        &looked.stdout,
        &["stored", "to do", "2 of", "to be fetched", "cells are in file://"],
    );
    holds(
        &fine("two", &["--status"]).stdout,
        &["0 of", "2 cells in file://"],
    );
    assert_eq!(files(&store), before);
    // A cell that was half copied is not taken; the weights of the one it needs are.
    let clean = store.join("cells").join(id(&sandbox, "whole", "plain/clean"));
    let weights = store
        .join("cells")
        .join(id(&sandbox, "whole", "plain"))
        .join("model.safetensors");
    fs::remove_file(clean.join("cell.json")).expect("half a cell");
    let second = fine("two", &["--only", "plain/clean"]);
    holds(
        &second.stderr,
        &["1 finished cell fetched", "1 cell computed, 1 done before"],
    );
    // Workers leave the store to the process that started them.
    fine("two", &["--jobs", "2"]);
    assert_eq!(sandbox.results("two"), sandbox.results("whole"));
    assert_eq!(files(&store.join("cells")), files(&sandbox.path("two/cells")));
    // Nothing to compute on a third machine; nothing to copy or fetch when it is asked again.
    let third = fine("three", &[]);
    holds(&third.stdout, &["nothing was computed"]);
    assert_eq!(files(&sandbox.path("three/cells")), fetched(&store.join("cells")));
    assert!(files(&store.join("cells")).len() > fetched(&store.join("cells")).len());
    let again = fine("three", &[]);
    assert!(!again.stderr.contains("fetched"), "{}", again.stderr);
    // Damage is found on the way back, said, computed anew and written over.
    flip(&weights);
    let fourth = fine("four", &[]);
    holds(
        &fourth.stderr,
        &["model.safetensors", "it is refused", "1 cell computed"],
    );
    assert_eq!(
        fs::read_dir(sandbox.path("four/damaged")).expect("kept").count(),
        1
    );
    let mut whole = sandbox.results("whole");
    whole.retain(|(name, _)| !name.ends_with("adversarial.safetensors"));
    assert_eq!(sandbox.results("four"), whole);
    assert_eq!(
        fetched(&store.join("cells")),
        fetched(&sandbox.path("four/cells"))
    );
    // Damage to a copy that nobody fetches is found by --verify; what is here is copied again.
    flip(&clean.join("outcomes.parquet"));
    let verified = on("four", &["--verify"]);
    assert_eq!(verified.code, 1, "{}", verified.stderr);
    holds(
        &verified.stderr,
        &["outcomes.parquet", "file://", "1 of", "no longer counts"],
    );
    holds(&fine("four", &[]).stdout, &["nothing was computed"]);
    holds(
        &fine("four", &["--verify"]).stdout,
        &["in file://", "no file has changed"],
    );
    assert_eq!(
        fetched(&store.join("cells")),
        fetched(&sandbox.path("four/cells"))
    );
}

#[test]
fn a_report_of_a_url_is_the_report_of_the_folder() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let url = format!("file://{}", sandbox.path("store").display());
    let words = ["run", "s.toml", "--out", &url, "--work-dir", "work"];
    ok(&sandbox, &[&words[..], &PLAIN].concat());
    let draw = |run: &str, out: &str| ok(&sandbox, &["report", run, "--out", out, "--json"]).stdout;
    assert_eq!(draw(&url, "there"), draw("work", "here"));
    assert_eq!(files(&sandbox.path("there")), files(&sandbox.path("here")));
    let fetched = names(&sandbox.path("cache"));
    assert!(
        fetched.iter().any(|name| name.ends_with("outcomes.parquet")),
        "{fetched:?}"
    );
    assert!(
        !fetched.iter().any(|name| name.ends_with("model.safetensors")),
        "{fetched:?}"
    );
    // The second time it is there; elsewhere is the working folder.
    ok(&sandbox, &["report", &url, "--format", "html"]);
    assert!(
        names(&sandbox.path("cache"))
            .iter()
            .any(|name| name.ends_with("/report/index.html"))
    );
    holds(&ok(&sandbox, &["compare", "work", &url]).stdout, &["plain"]);
    // Rows that are not what was recorded make no report.
    let rows = id(&sandbox, "work", "plain/clean");
    fs::remove_dir_all(sandbox.path("cache")).expect("a cache");
    flip(&sandbox.path("store/cells").join(rows).join("outcomes.parquet"));
    refused(
        &run(&sandbox, &["report", &url]),
        2,
        &["plain/clean", "checksum", "--verify"],
    );
}

#[test]
fn a_place_that_is_none_is_refused_before_any_work() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    sandbox.write("file", "");
    let out =
        |url: &str, more: &[&str]| run(&sandbox, &[&["run", "s.toml", "--out", url][..], more].concat());
    let below = format!("file://{}", sandbox.path("file/below").display());
    let store = format!("file://{}", sandbox.path("store").display());
    refused(&out("s4://bucket/a", &[]), 2, &["s4://bucket/a", "s3://BUCKET"]);
    refused(&out("file://a/b", &[]), 2, &["file:///PATH"]);
    refused(
        &out("s3://me:secret@bucket/a", &[]),
        2,
        &["AWS_SECRET_ACCESS_KEY"],
    );
    refused(
        &out(&below, &["--work-dir", "w"]),
        2,
        &[&below, "a folder you may write to"],
    );
    refused(&out(&store, &["--executor", "slurm"]), 2, &["slurm", "share"]);
    refused(&out("out", &["--work-dir", "w"]), 2, &["--work-dir", "URL"]);
    refused(&run(&sandbox, &["report", &store]), 2, &[&store, "no run"]);
    let mut alone = command(&sandbox, &["run", "s.toml", "--out", "s3://bucket/a"]);
    alone.env("AWS_ACCESS_KEY_ID", "a");
    refused(
        &captured(alone.output().expect("a process")),
        2,
        &["s3://bucket/a", "AWS_SECRET_ACCESS_KEY"],
    );
    // Where EC2 would have credentials, there is nobody.
    let mut none = command(&sandbox, &["run", "s.toml", "--out", "s3://bucket/a"]);
    none.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9");
    let none = captured(none.output().expect("a process"));
    refused(
        &none,
        2,
        &["s3://bucket/a", "no credentials", "AWS_ACCESS_KEY_ID"],
    );
    refused(&out(&store, &["--status"]), 2, &[&store, "no run"]);
    // Other commands have folders only.
    let words = ["eval", "m.pt", "--dataset", "shapes", "--out", &store];
    refused(&run(&sandbox, &words), 2, &["rlnet run"]);
    let made = names(&sandbox.path("cache"));
    assert!(
        made.is_empty() && !sandbox.path("out").exists() && !sandbox.path("store").exists(),
        "{made:?}"
    );
}

/// An S3-compatible server, tests/peers/s3_server.py, that holds `bucket`.
pub struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    pub address: String,
}

impl Server {
    /// Starts it.
    pub fn start() -> Self {
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/s3_server.py"));
        let mut child = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut server = Self {
            output: BufReader::new(child.stdout.take().expect("its output")),
            child,
            address: String::new(),
        };
        assert_eq!(server.line(), "installed", "moto cannot be installed");
        server.address = server.line();
        assert!(
            server.address.starts_with("http://"),
            "a server that does not start"
        );
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output");
        line.trim().to_owned()
    }

    pub fn tell(&mut self, command: &str) -> String {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "{command}").expect("a living server");
        self.line()
    }

    pub fn command(&self, sandbox: &Sandbox, words: &[&str]) -> Command {
        let mut command = command(sandbox, words);
        command
            .env("AWS_ENDPOINT_URL", &self.address)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "tests")
            .env("AWS_SECRET_ACCESS_KEY", "tests");
        command
    }

    fn run(&self, sandbox: &Sandbox, words: &[&str]) -> CommandOutput {
        captured(self.command(sandbox, words).output().expect("a process"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
#[cfg_attr(not(have = "s3"), ignore = "needs moto (tests/peers/s3_server.py)")]
fn an_s3_server_that_goes_away_loses_nothing() {
    let mut server = Server::start();
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let words = |out: &'static str, machine: &'static str| {
        let words = ["run", "s.toml", "--out", out, "--work-dir", machine];
        [&words[..], &PLAIN].concat()
    };
    // No such bucket; no TLS without leave.
    refused(
        &server.run(&sandbox, &words("s3://buckets/a", "none")),
        2,
        &["s3://buckets/a", "NoSuchBucket", "make the bucket first"],
    );
    let mut strict = server.command(&sandbox, &words("s3://bucket/a", "none"));
    let strict = captured(strict.env_remove("AWS_ALLOW_HTTP").output().expect("a process"));
    refused(&strict, 2, &["s3://bucket/a", "AWS_ALLOW_HTTP"]);
    assert!(!sandbox.path("none").exists());
    // The server goes away when the first cell is finished.
    let mut child = server.command(&sandbox, &words("s3://bucket/a", "one"));
    let mut child = child
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let finished = || fs::read_dir(sandbox.path("one/cells")).map_or(0, Iterator::count);
    while finished() == 0 {
        assert!(
            child.try_wait().expect("a process").is_none(),
            "it ended before it had begun"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    server.tell("stop");
    let cut = captured(child.wait_with_output().expect("an end"));
    refused(
        &cut,
        1,
        &[
            "s3://bucket/a",
            "not all finished cells",
            "the same command",
            "AWS_ENDPOINT_URL",
        ],
    );
    assert_eq!(finished(), 6, "the work went on: {}", cut.stderr);
    // Nothing can be begun without it.
    let away = server.run(&sandbox, &words("s3://bucket/a", "two"));
    refused(&away, 1, &["s3://bucket/a", "AWS_ENDPOINT_URL", "refused"]);
    // It comes back with what it had, and gets the rest.
    server.tell("start");
    let healed = server.run(&sandbox, &words("s3://bucket/a", "one"));
    assert_eq!(healed.code, 0, "{}", healed.stderr);
    holds(&healed.stdout, &["nothing was computed"]);
    let keys = server.tell("list");
    let whole = keys.split(' ').filter(|key| key.ends_with("/cell.json")).count();
    assert_eq!(whole, 6, "{keys}");
    // Another machine goes on where this one stopped.
    let other = server.run(&sandbox, &words("s3://bucket/a", "two"));
    assert_eq!(other.code, 0, "{}", other.stderr);
    holds(&other.stderr, &["6 finished cells fetched", "0 cells computed"]);
    assert_eq!(
        files(&sandbox.path("two/cells")),
        fetched(&sandbox.path("one/cells"))
    );
    let report = server.run(&sandbox, &["report", "s3://bucket/a", "--out", "drawn"]);
    assert_eq!(report.code, 0, "{}", report.stderr);
    // A model that goes in parts, and comes back so.
    let large = |machine: &'static str| {
        let sets = [
            "network.arch=resnet18",
            "data.train=40",
            "data.test=8",
            "training.epochs=1",
        ];
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let words: Vec<&str> = [
            "run",
            "s.toml",
            "--out",
            "s3://bucket/large",
            "--work-dir",
            machine,
        ]
        .into_iter()
        .chain(["--threads", "1", "--only", "plain"])
        .chain(sets)
        .collect();
        let output = server.run(&sandbox, &words);
        assert_eq!(output.code, 0, "{}", output.stderr);
        fetched(&sandbox.path(machine).join("cells"))
    };
    let (made, back) = (large("three"), large("four"));
    assert!(made.iter().any(|(_, bytes)| bytes.len() > 40 << 20));
    assert!(made == back);
}

/// Cells that a finished process says it computed.
pub fn computed(output: &CommandOutput) -> usize {
    assert_eq!(output.code, 0, "{}", output.stderr);
    let line = output.stderr.lines().find(|line| line.starts_with("tiny: "));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or_else(|| panic!("no summary in {}", output.stderr))
}

/// Rows and models of cells by their paths: what must not depend on who computed them.
pub fn results(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = fetched(folder);
    found.retain(|(name, _)| name.ends_with("outcomes.parquet") || name.ends_with("model.safetensors"));
    found
}

#[test]
#[cfg_attr(not(have = "s3"), ignore = "needs moto (tests/peers/s3_server.py)")]
fn machines_that_share_only_a_store_compute_every_cell_once() {
    let mut server = Server::start();
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let start = |server: &Server, url: &str, machine: &str| {
        let words = [
            "run",
            "s.toml",
            "--threads",
            "1",
            "--out",
            url,
            "--work-dir",
            machine,
            "--patience",
            "4",
        ];
        let mut command = server.command(&sandbox, &words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("a process")
    };
    let wait = |child: Child| captured(child.wait_with_output().expect("an end"));
    let alone = start(&server, "s3://bucket/alone", "alone");
    let all = computed(&wait(alone));
    let wanted = results(&sandbox.path("alone/cells"));

    let machines: Vec<Child> = ["one", "two", "three"]
        .iter()
        .map(|machine| start(&server, "s3://bucket/many", machine))
        .collect();
    let shares: Vec<usize> = machines.into_iter().map(|child| computed(&wait(child))).collect();
    assert_eq!(shares.iter().sum::<usize>(), all, "{shares:?}");
    assert!(
        shares.iter().filter(|share| **share > 0).count() > 1,
        "{shares:?}"
    );
    for machine in ["one", "two", "three"] {
        assert!(
            results(&sandbox.path(&format!("{machine}/cells"))) == wanted,
            "{machine}"
        );
    }

    // One is killed with a cell in its hands; another takes the cell over.
    let mut killed = start(&server, "s3://bucket/killed", "four");
    while !server.tell("list").contains("killed/claims/") {
        assert!(
            killed.try_wait().expect("a process").is_none(),
            "it claimed nothing"
        );
    }
    killed.kill().expect("a living process");
    killed.wait().expect("an end");
    let done = fs::read_dir(sandbox.path("four/cells")).map_or(0, Iterator::count);
    let heir = wait(start(&server, "s3://bucket/killed", "five"));
    assert!(computed(&heir) >= all - done, "{}", heir.stderr);
    holds(&heir.stderr, &["has been silent for 4 s; its work is taken over"]);
    assert!(results(&sandbox.path("five/cells")) == wanted);
    let left: Vec<String> = server.tell("list").split(' ').map(str::to_owned).collect();
    let left: Vec<&String> = left.iter().filter(|key| key.contains("/claims/")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn parts_of_a_run_have_every_cell_once() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let start = |part: &str| {
        let words = ["run", "s.toml", "--threads", "1", "--out", "out", "--part", part];
        let mut command = command(&sandbox, &words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("a process")
    };
    let parts: Vec<Child> = ["1/2", "2/2"].map(start).into_iter().collect();
    let shares: Vec<usize> = parts
        .into_iter()
        .map(|child| computed(&captured(child.wait_with_output().expect("an end"))))
        .collect();
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    let whole = ok(&sandbox, &["run", "s.toml", "--threads", "1", "--out", "out"]);
    holds(&whole.stdout, &["nothing was computed"]);
    let there = fs::read_dir(sandbox.path("out/cells")).map_or(0, Iterator::count);
    assert_eq!(there, shares.iter().sum::<usize>());
    for (words, why) in [
        (&["run", "s.toml", "--part", "3/2"][..], "I/N"),
        (
            &["run", "s.toml", "--part", "1/2", "--executor", "slurm"],
            "--part",
        ),
        (&["run", "s.toml", "--patience", "1"], "--patience"),
    ] {
        refused(&run(&sandbox, words), 2, &[why]);
    }
}
