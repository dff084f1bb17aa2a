//! A suite on a real Slurm: a cluster of one machine, started for the test (Debian's packages
//! `slurm-wlm` and `munge`, as root).

use crate::support::{CommandOutput, Sandbox, TINY, walk};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Daemons that end with the test.
struct Cluster {
    folder: PathBuf,
    /// Requeued tasks whose start was brought forward, and when.
    hurried: RefCell<BTreeMap<String, Instant>>,
}

impl Cluster {
    fn start(folder: &Path) -> Self {
        let port = 20_000 + std::process::id() % 20_000;
        let script = r#"
            set -e
            cd "$1"; mkdir state spool
            head -c 1024 /dev/urandom > munge.key; chmod 600 munge.key
            /usr/sbin/munged --force --key-file=$PWD/munge.key --socket=$PWD/munge.socket \
                --pid-file=$PWD/munged.pid --log-file=$PWD/munged.log --seed-file=$PWD/munge.seed
            cat > slurm.conf <<END
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort=$2
SlurmdPort=$(($2 + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$PWD/munge.socket
StateSaveLocation=$PWD/state
SlurmdSpoolDir=$PWD/spool
SlurmctldPidFile=$PWD/slurmctld.pid
SlurmdPidFile=$PWD/slurmd.pid
SlurmctldLogFile=$PWD/slurmctld.log
SlurmdLogFile=$PWD/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
KillWait=20
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 Sockets=1 CoresPerSocket=2 ThreadsPerCore=1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
            /usr/sbin/slurmctld -c -f $PWD/slurm.conf
            /usr/sbin/slurmd -c -N localhost -f $PWD/slurm.conf
        "#;
        let started = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(folder)
            .arg(port.to_string())
            .status()
            .expect("bash");
        let cluster = Self {
            folder: folder.to_path_buf(),
            hurried: RefCell::default(),
        };
        assert!(started.success(), "the daemons did not start: {}", cluster.logs());
        cluster.wait("a node", 30, || {
            cluster.ask("sinfo", &["-h", "-o", "%T"]).contains("idle")
        });
        cluster
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("slurm.conf")
    }

    fn logs(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        ["munged.log", "slurmctld.log", "slurmd.log"].map(read).join("\n")
    }

    /// What a command of Slurm's says.
    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        let output = command.args(arguments).env("SLURM_CONF", self.conf()).output();
        String::from_utf8_lossy(&output.expect(program).stdout).into_owned()
    }

    /// Has a requeued task start soon. Slurm lets it wait for two minutes, because nodes refuse
    /// the credential of a task that has just ended; a new one is that of a later second.
    fn hurry(&self, task: &str) {
        let mut hurried = self.hurried.borrow_mut();
        let lately = hurried
            .get(task)
            .is_some_and(|at| at.elapsed() < Duration::from_secs(20));
        if !lately {
            self.ask(
                "scontrol",
                &["update", &format!("JobId={task}"), "StartTime=now+3"],
            );
            hurried.insert(task.to_owned(), Instant::now());
        }
    }

    /// Waits until something is so, and has requeued tasks start soon.
    fn wait(&self, what: &str, seconds: u64, so: impl Fn() -> bool) {
        let started = Instant::now();
        while !so() {
            assert!(
                started.elapsed() < Duration::from_secs(seconds),
                "no {what} in {seconds} s: {}\n{}",
                self.ask("squeue", &[]),
                self.logs()
            );
            for line in self.ask("squeue", &["-h", "-o", "%i %r"]).lines() {
                if let Some(task) = line.strip_suffix(" BeginTime") {
                    self.hurry(task);
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.ask("scancel", &["--user=root", "--signal=KILL", "--full"]);
        for name in ["slurmctld.pid", "slurmd.pid", "munged.pid"] {
            if let Ok(pid) = std::fs::read_to_string(self.folder.join(name)) {
                let _ = Command::new("kill").args(["-9", pid.trim()]).status();
            }
        }
    }
}

fn run(sandbox: &Sandbox, cluster: &Cluster, arguments: &[&str]) -> CommandOutput {
    let mut command = sandbox.command(arguments);
    command
        .env("SLURM_CONF", cluster.conf())
        .env("XDG_CONFIG_HOME", sandbox.path("config"));
    crate::support::captured(command.output().expect("a process"))
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).into_iter().flatten().count()
}

/// Every log of the run's tasks.
fn logs(out: &Path) -> String {
    let logs = walk(&out.join("slurm"))
        .into_iter()
        .filter(|file| file.ends_with(".log"));
    logs.map(|file| std::fs::read_to_string(file).unwrap_or_default())
        .collect()
}

/// The process that works in a run directory now.
fn worker(out: &Path) -> Option<String> {
    let name = std::fs::read_dir(out.join("live"))
        .ok()?
        .flatten()
        .find_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_suffix(".json").map(str::to_owned)
        })?;
    name.rsplit('-').nth(1).map(str::to_owned)
}

#[test]
#[cfg_attr(not(have = "slurm"), ignore = "needs Slurm, and root")]
fn tasks_that_are_killed_or_told_to_stop_are_requeued_and_go_on_exactly() {
    let sandbox = Sandbox::new();
    let suite = TINY.replace("batch = 32", "batch = 8") + "\n[slurm]\ncpus = 1\ntasks = 2\n";
    sandbox.write("s.toml", suite);
    // Options of the user's own file are used where the suite says nothing.
    sandbox.write(
        "config/rlnet/slurm.toml",
        "partition = \"main\"\ntime = \"00:30:00\"\n",
    );
    sandbox.write("cluster/keep", "");
    let cluster = Cluster::start(&sandbox.path("cluster"));
    let suite = [
        "run",
        "s.toml",
        "--threads",
        "1",
        "--only",
        "plain/clean",
        "--set",
        "train.plain.with.epochs=30",
    ];
    let on = |out: &str, more: &[&str]| {
        let words = [&suite[..], &["--out", out], more].concat();
        run(&sandbox, &cluster, &words)
    };
    let out = sandbox.path("out");
    let output = on("out", &["--executor", "slurm"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output.stdout.contains("level-1") && output.stdout.contains("2 cells submitted"),
        "{}",
        output.stdout
    );
    let script = std::fs::read_to_string(
        walk(&out.join("slurm"))
            .into_iter()
            .find(|file| file.ends_with("level-0.sh"))
            .expect("a script"),
    );
    let script = script.expect("a script");
    for option in [
        "--partition=main",
        "--time=00:30:00",
        "--cpus-per-task=1",
        "--requeue",
    ] {
        assert!(script.contains(option), "no {option} in {script}");
    }
    let again = on("out", &["--executor", "slurm"]);
    assert_eq!(again.code, 2, "{}", again.stderr);
    // Killed in the middle of training: the task is requeued and goes on from its checkpoint.
    let trained = || {
        walk(&out.join("work"))
            .iter()
            .any(|file| file.ends_with("state.safetensors"))
    };
    cluster.wait("checkpoint", 60, || trained() && worker(&out).is_some());
    let pid = worker(&out).expect("a worker");
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .expect("kill")
            .success()
    );
    cluster.wait("requeue", 30, || logs(&out).contains("exit code 137: requeued"));
    cluster.wait("resume", 60, || logs(&out).contains("plain: going on after"));
    let status = on("out", &["--status"]);
    assert!(
        status.stdout.contains("cells done") && status.stdout.contains("level-0"),
        "{}",
        status.stdout
    );
    // Told to stop, as before a time limit: it saves, is requeued and goes on.
    let task = cluster.ask("squeue", &["-h", "-t", "RUNNING", "-o", "%i"]);
    let task = task.lines().next().expect("a running task");
    cluster.ask("scancel", &["--signal=USR1", "--batch", task]);
    cluster.wait("stop", 30, || logs(&out).contains("exit code 3: requeued"));
    assert!(logs(&out).contains("is saved after"), "{}", logs(&out));
    let page = out.join("report/index.html");
    cluster.wait("report", 120, || page.exists() && count(&out.join("cells")) == 2);
    cluster.wait("empty queue", 30, || cluster.ask("squeue", &["-h"]).is_empty());
    let status = on("out", &["--status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(status["done"], 2, "{status}");
    assert_eq!(on("alone", &[]).code, 0);
    assert_eq!(sandbox.results("out"), sandbox.results("alone"));
    // Cancelled tasks save too, and are not requeued.
    let long = ["--set", "train.plain.with.epochs=3000"];
    let output = on("long", &[&long[..], &["--executor", "slurm"]].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    let long_out = sandbox.path("long");
    cluster.wait("checkpoint", 60, || {
        !walk(&long_out.join("work")).is_empty() && worker(&long_out).is_some()
    });
    assert_eq!(on("long", &["--cancel"]).code, 0);
    cluster.wait("empty queue", 40, || cluster.ask("squeue", &["-h"]).is_empty());
    let output = logs(&long_out);
    assert!(
        output.contains("is saved after") && !output.contains("requeued"),
        "{output}"
    );
}
