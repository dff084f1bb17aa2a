//! Runs that lose nothing: killed, resumed, repeated, raced.

use crate::support::{Sandbox, TINY, captured, id, walk};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Interruptions that hit a running suite, in one test.
const INTERRUPTIONS: usize = 20;

/// Small shards, so that evaluations too are interrupted between pieces.
fn run(out: &str) -> [&str; 8] {
    ["run", "s.toml", "--threads", "1", "--shard", "8", "--out", out]
}

fn same(sandbox: &Sandbox, whole: &str, other: &str, how: &str) {
    let (whole, other) = (sandbox.results(whole), sandbox.results(other));
    assert!(whole.iter().any(|(name, _)| name.ends_with("model.safetensors")));
    assert!(whole.iter().any(|(name, _)| name.ends_with("outcomes.parquet")));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&whole), names(&other), "{how}");
    for ((name, whole), (_, other)) in whole.iter().zip(&other) {
        assert_eq!(whole, other, "{name} differs {how}");
    }
}

pub fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("a kill").success());
}

/// Writes a suite of small batches, so that there are many steps to stop between, and runs it to
/// its end.
fn uninterrupted(sandbox: &Sandbox) {
    let suite = TINY.replace("batch = 32", "batch = 8");
    sandbox.write(
        "s.toml",
        suite.replace("[evaluation]\n", "[evaluation]\nbatch = 8\n"),
    );
    sandbox.ok("run s.toml --threads 1 --out whole");
}

/// Kills and signals at random moments of a training-and-evaluation suite, each followed by a
/// resume: weights and outcome rows must end byte for byte as those of an uninterrupted run.
/// Files get times in the future on the way, as if the clock had jumped back.
#[test]
fn a_suite_interrupted_again_and_again_ends_as_if_it_never_was() {
    let sandbox = Sandbox::new();
    uninterrupted(&sandbox);
    let (mut hits, mut killed, mut stopped, mut runs) = (0, 0, 0, 0);
    // Any sequence would do; a fixed one can be run again.
    let mut random = 0x2545_f491_u64;
    let mut out = "interrupted-0".to_owned();
    while hits < INTERRUPTIONS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let live = sandbox.path(&out).join("live");
        let _ = std::fs::remove_dir_all(&live);
        let mut child = sandbox.command(&run(&out));
        let mut child = child
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        // Moments spread over start-up, training, checkpoints and evaluation: every fourth from
        // the start of the process, the others from the start of its work.
        let working = || std::fs::read_dir(&live).is_ok_and(|mut files| files.next().is_some());
        while hits % 4 != 0 && !working() && child.try_wait().expect("a process").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis((random >> 33) % 700));
        if child.try_wait().expect("a process").is_none() {
            hits += 1;
            match hits % 4 {
                0 | 2 => child.kill().expect("a kill"),
                1 => send("-TERM", &child),
                _ => send("-USR1", &child),
            }
        }
        let output = captured(child.wait_with_output().expect("an end"));
        match output.code {
            0 => {
                same(&sandbox, "whole", &out, "after interruptions");
                runs += 1;
                out = format!("interrupted-{runs}");
            }
            3 => {
                stopped += 1;
                for hint in ["finishing the current step", "to resume: "] {
                    assert!(output.stderr.contains(hint), "no {hint} in {}", output.stderr);
                }
            }
            // A signal, before or (SIGKILL) after the program listens.
            -1 => killed += 1,
            code => panic!("exit code {code}: {}", output.stderr),
        }
        if hits == INTERRUPTIONS / 2 {
            let future = SystemTime::now() + Duration::from_secs(400 * 24 * 3600);
            for file in walk(&sandbox.path(&out)) {
                let file = File::options().append(true).open(file);
                let _ = file.and_then(|file| file.set_modified(future));
            }
        }
    }
    sandbox.ok(&run(&out));
    same(
        &sandbox,
        "whole",
        &out,
        &format!("after {killed} kills and {stopped} stops"),
    );
    assert!(stopped >= 3, "only {stopped} signals met a listening process");
}

/// A stop is between two steps or batches, whatever asked for it; several processes share shards.
#[test]
fn a_time_limit_stops_and_workers_finish_the_same_files() {
    let sandbox = Sandbox::new();
    uninterrupted(&sandbox);
    let limited = [&run("out")[..], &["--minutes", "0.02"]].concat();
    let output = sandbox.run(&limited);
    assert_eq!(output.code, 3, "{}", output.stderr);
    for hint in ["--minutes 0.02 are over", "to resume: ", "s.toml"] {
        assert!(output.stderr.contains(hint), "no {hint:?} in {}", output.stderr);
    }
    let bad = sandbox.run(&[&run("out")[..], &["--minutes", "0"]].concat());
    assert_eq!(bad.code, 2, "{}", bad.stderr);
    // A request to stop reaches the workers, and so does the death of who started them.
    let live = |out: &str| {
        let files = std::fs::read_dir(sandbox.path(out).join("live"));
        files.map_or(0, |files| {
            files
                .flatten()
                .filter(|file| file.path().extension() == Some("lock".as_ref()))
                .count()
        })
    };
    for (signal, out) in [("-TERM", "told"), ("-KILL", "orphaned")] {
        let mut parent = sandbox.spawn(&[&run(out)[..], &["--jobs", "2"]].concat());
        while live(out) < 2 {
            assert!(
                parent.try_wait().expect("a process").is_none(),
                "it ended before its workers began"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        send(signal, &parent);
        let code = parent.wait().expect("an end").code();
        assert_eq!(code, if signal == "-TERM" { Some(3) } else { None });
        let started = Instant::now();
        while live(out) > 0 {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "workers outlive {signal}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // Both run at once, and beside a third process that knows nothing of them.
    let mut third = sandbox.spawn(&run("out"));
    let output = sandbox.ok(&[&run("out")[..], &["--jobs", "2"]].concat());
    assert!(third.wait().expect("an end").success());
    assert!(output.stderr.contains("2 workers"), "{}", output.stderr);
    same(&sandbox, "whole", "out", "with three processes");
    assert!(sandbox.path("out/logs/worker-2.log").exists());
    for left in ["out/work", "out/live", "out/failed"] {
        assert_eq!(
            std::fs::read_dir(sandbox.path(left)).expect(left).count(),
            0,
            "{left}"
        );
    }
}

/// Runs until something is so, given what it has said, then kills.
fn until(sandbox: &Sandbox, words: &[&str], so: impl Fn(&str) -> bool) -> String {
    let path = sandbox.path("output");
    let log = File::create(&path).expect("a file");
    let mut child = sandbox
        .command(words)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("a process");
    let output = || std::fs::read_to_string(&path).expect("a file");
    while !so(&output()) {
        assert!(
            child.try_wait().expect("a process").is_none(),
            "it ended: {}",
            output()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("a kill");
    child.wait().expect("an end");
    output()
}

/// What lies on the disk is not believed, but looked at.
#[test]
fn damage_is_found_said_and_repaired() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let only = |out: &str, only: &str| {
        let only = ["--only", only].map(str::to_owned);
        run(out)
            .map(str::to_owned)
            .into_iter()
            .chain(only)
            .collect::<Vec<_>>()
    };
    let ok = |out: &str, pattern: &str| {
        let words = only(out, pattern);
        sandbox.ok(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    ok("whole", "plain/*");
    // A checkpoint cut short, as by a disk that lied about a flush.
    let long = only("out", "plain/clean");
    let long = long
        .iter()
        .map(String::as_str)
        .chain(["--set", "training.epochs=4000"]);
    let long: Vec<&str> = long.collect();
    let checkpoint = || {
        let files = walk(&sandbox.path("out/work"));
        files.into_iter().find(|file| file.ends_with("state.safetensors"))
    };
    until(&sandbox, &long, |_| checkpoint().is_some());
    let checkpoint = checkpoint().expect("a checkpoint");
    let bytes = std::fs::read(&checkpoint).expect("a checkpoint");
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).expect("cut");
    let output = until(&sandbox, &long, |output| output.contains("starts over"));
    assert!(
        output.contains("state.safetensors") && output.contains("truncated"),
        "{output}"
    );
    // One bit of its weights: the file still looks like a checkpoint.
    let mut flipped = bytes;
    let last = flipped.len() - 3;
    flipped[last] ^= 1;
    std::fs::write(&checkpoint, flipped).expect("flipped");
    let output = until(&sandbox, &long, |output| output.contains("starts over"));
    assert!(output.contains("checksum is wrong"), "{output}");
    // Files of finished cells: rows are looked at by every run, models when they are used.
    ok("out", "plain/*");
    let model = sandbox.path(&format!(
        "out/cells/{}/model.safetensors",
        id(&sandbox, "out", "plain")
    ));
    let rows = sandbox.path(&format!(
        "out/cells/{}/outcomes.parquet",
        id(&sandbox, "out", "plain/clean")
    ));
    for file in [&model, &rows] {
        let mut bytes = std::fs::read(file).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 16;
        std::fs::write(file, bytes).expect("damage");
    }
    let verified = sandbox.run(&[&run("out")[..], &["--verify"]].concat());
    assert_eq!(verified.code, 1, "{}", verified.stderr);
    for hint in [
        "model.safetensors",
        "outcomes.parquet",
        "2 of",
        "run the same command",
    ] {
        assert!(
            verified.stderr.contains(hint),
            "no {hint:?} in {}",
            verified.stderr
        );
    }
    let output = ok("out", "plain/*");
    assert!(output.stderr.contains("2 cells computed"), "{}", output.stderr);
    same(&sandbox, "whole", "out", "after damage");
    let verified = sandbox.ok(&[&run("out")[..], &["--verify"]].concat());
    assert!(
        verified.stdout.contains("no file has changed"),
        "{}",
        verified.stdout
    );
}

/// Real disks of a few sizes, full at one kind of write after the other, and one that may not be
/// written to.
#[test]
#[cfg_attr(not(have = "mount"), ignore = "needs root, and the right to mount")]
fn full_and_read_only_disks_are_clean_errors_and_lose_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let plain = ["--threads", "1", "--only", "plain/*"];
    sandbox.ok(&[&["run", "s.toml", "--out", "whole"][..], &plain].concat());
    sandbox.write("disk/keep", "");
    let script = r#"
        mount -t tmpfs -o size=4k none disk || exit 77
        for size in 8k 48k 96k 160k 200k 240k 300k 400k; do
            mount -o remount,size=$size disk || exit 77
            "$0" run s.toml --out disk/out "$@" >said 2>&1
            echo "$size $? $(grep -c 'free some space' said) $(find disk -name '*.part' | wc -l)"
        done
        mount -o remount,ro,size=50m disk || exit 77
        "$0" run s.toml --out disk/out "$@" >said 2>&1
        echo "ro $? $(grep -c 'you may write to' said) 0"
        mount -o remount,rw,size=50m disk || exit 77
        "$0" run s.toml --out disk/out "$@" >said 2>&1
        echo "50m $? 0 0"
        cat said >&2
        cp -r disk/out out
    "#;
    let rlnet = sandbox.command("").get_program().to_owned();
    let mut shell = Command::new("unshare");
    shell
        .args(["--mount", "sh", "-c", script])
        .arg(&rlnet)
        .args(plain);
    shell.env("OMP_NUM_THREADS", "1").current_dir(sandbox.path(""));
    let output = captured(shell.output().expect("unshare"));
    assert_ne!(output.code, 77, "a disk cannot be mounted: {}", output.stderr);
    let lines: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    let mut full = 0;
    for line in &lines[..lines.len() - 2] {
        match line[1] {
            "1" => {
                full += 1;
                assert_eq!(line[2..], ["1", "0"], "{}", output.stdout);
            }
            code => assert_eq!(code, "0", "{}", output.stdout),
        }
    }
    assert!(full >= 3, "{}", output.stdout);
    assert_eq!(lines[lines.len() - 2][..3], ["ro", "2", "1"], "{}", output.stdout);
    assert_eq!(
        lines[lines.len() - 1][1],
        "0",
        "{}{}",
        output.stdout,
        output.stderr
    );
    same(&sandbox, "whole", "out", "after full disks");
}

#[test]
fn the_same_command_again_does_nothing_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let run = ["run", "s.toml", "--out", "out", "--only", "plain/*"];
    sandbox.ok(&run);
    let first = sandbox.results("out");
    let again = sandbox.ok(&run);
    assert!(again.stdout.contains("nothing was computed"), "{}", again.stdout);
    assert_eq!(sandbox.results("out"), first);
    let plan = sandbox.ok("run s.toml --out out --dry-run");
    assert!(
        plan.stdout.contains("done") && plan.stdout.contains("to do"),
        "{}",
        plan.stdout
    );
    assert!(
        plan.stdout.contains("<- plain") && plan.stdout.contains("like none measured"),
        "{}",
        plan.stdout
    );
    // What lies beside it has been measured too.
    let beside = sandbox.ok("run s.toml --out other --dry-run --json");
    let beside: serde_json::Value = serde_json::from_str(&beside.stdout).expect("JSON");
    let cells = beside["cells"].as_array().expect("cells");
    let seconds =
        |name: &str| cells.iter().find(|cell| cell["name"] == name).expect(name)["seconds"].as_f64();
    assert!(
        seconds("plain").is_some_and(|seconds| seconds > 0.0) && seconds("plain/fgsm:eps=8/255").is_some()
    );
    assert_eq!(seconds("teacher"), None);
    // Two records of one cell, or of two.
    let diff = sandbox
        .ok("report diff out:plain/clean out:plain/fgsm:eps=8/255")
        .stdout;
    assert!(
        diff.contains("cell.spec.conditions") && diff.contains("provenance.forwards"),
        "{diff}"
    );
    // Cells are shared by what they are, whatever a suite calls them.
    sandbox.write(
        "t.toml",
        TINY.replace("name = \"plain\"", "name = \"simple\"")
            .replace("plain", "simple"),
    );
    let other = sandbox.ok("run t.toml --out out --only simple/*");
    assert!(other.stderr.contains("0 cells computed"), "{}", other.stderr);
}

/// A plan of 500 cells that is done is seen to be done at once.
#[test]
fn a_large_plan_that_is_done_takes_no_time() {
    let sandbox = Sandbox::new();
    let mut suite = TINY[..TINY.find("[[train]]").expect("stages")].to_owned();
    suite = suite
        .replace("train = 200", "train = 64")
        .replace("test = 40", "test = 8");
    for number in 0..24 {
        suite += &format!(
            "[[train]]\nname = \"m{number}\"\nstage = \"teacher\"\nviews = [\"clean\"]\nnorm = \"single\"\n\
             with.epochs = 1\nwith.lr = 0.0{}\n\n",
            10 + number
        );
    }
    // 24 models, each clean and under 19 corruptions.
    suite += "[evaluation]\ncorruptions = \"all\"\nseverities = [1]\nattacks = []\n";
    sandbox.write("s.toml", suite);
    let run = ["run", "s.toml", "--threads", "1", "--out", "out"];
    let first = sandbox.ok(&run);
    let rlnet = sandbox.command("").get_program().to_owned();
    let mut again = Command::new("bash");
    again
        .args(["-c", "TIMEFORMAT='%U %S'; time \"$0\" \"$@\""])
        .arg(rlnet)
        .args(run);
    again.current_dir(sandbox.path("")).env("OMP_NUM_THREADS", "1");
    let again = captured(again.output().expect("bash"));
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stdout.contains("nothing was computed"), "{}", again.stdout);
    assert!(
        first.stdout.lines().all(|line| again.stdout.contains(line)),
        "another report"
    );
    assert_eq!(
        std::fs::read_dir(sandbox.path("out/cells"))
            .expect("cells")
            .count(),
        504
    );
    // Seconds of a processor, which other tests beside this one do not change.
    let seconds: f64 = again
        .stderr
        .lines()
        .last()
        .into_iter()
        .flat_map(|line| line.split(' ').filter_map(|word| word.parse::<f64>().ok()))
        .sum();
    assert!(seconds > 0.0 && seconds < 2.0, "{seconds} s: {}", again.stderr);
}

#[test]
fn two_processes_in_one_folder_share_the_work() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let run = [
        "run",
        "s.toml",
        "--threads",
        "1",
        "--out",
        "out",
        "--only",
        "plain/clean",
    ];
    let mut children = [sandbox.spawn(&run), sandbox.spawn(&run)];
    for child in &mut children {
        assert!(child.wait().expect("an end").success());
    }
    sandbox.ok("run s.toml --threads 1 --out alone --only plain/clean");
    assert_eq!(sandbox.results("out"), sandbox.results("alone"));
}
