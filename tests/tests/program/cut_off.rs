//! A machine that loses the network with a cell in its hands, and the one that takes the cell over.

use crate::errors::refused;
use crate::proxy::Proxy;
use crate::resume::send;
use crate::store::{Server, computed, fetched, files, holds, results};
use crate::support::{CommandOutput, Sandbox, TINY, captured};
use std::process::{Child, Stdio};

/// Two machines with one store, of which the first has the network through a proxy.
struct Machines {
    sandbox: Sandbox,
    server: Server,
    proxy: Proxy,
    /// Cells of the suite.
    all: usize,
    /// Rows and models of a machine that is alone.
    wanted: Vec<(String, Vec<u8>)>,
}

impl Machines {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("s.toml", TINY);
        let server = Server::start();
        let mut machines = Self {
            proxy: Proxy::to(&server.address),
            sandbox,
            server,
            all: 0,
            wanted: Vec::new(),
        };
        let alone = machines.start("s3://bucket/alone", "alone", false);
        machines.all = computed(&wait(alone));
        machines.wanted = machines.results("alone");
        machines
    }

    fn start(&self, url: &str, machine: &str, through_proxy: bool) -> Child {
        let words = format!("run s.toml --threads 1 --out {url} --work-dir {machine} --patience 4");
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = self.server.command(&self.sandbox, &words);
        if through_proxy {
            command.env("AWS_ENDPOINT_URL", self.proxy.address());
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("a process")
    }

    /// Starts the machine `one`, and cuts it off when it works on a cell that it has claimed.
    fn start_and_cut_off(&mut self, url: &str) -> Child {
        let mut first = self.start(url, "one", true);
        let work = self.sandbox.path("one/work");
        let is_at_work = || std::fs::read_dir(&work).is_ok_and(|mut cells| cells.next().is_some());
        while !(is_at_work() && self.names(url).iter().any(|name| name.starts_with("claims/"))) {
            assert!(
                first.try_wait().expect("a process").is_none(),
                "it claimed nothing"
            );
        }
        self.proxy.cut();
        first
    }

    /// The objects under a URL.
    fn names(&mut self, url: &str) -> Vec<String> {
        let prefix = format!(
            "{}/",
            url.strip_prefix("s3://bucket/").expect("a URL of the bucket")
        );
        let keys = self.server.tell("list");
        let names = keys.split(' ').filter_map(|key| key.strip_prefix(&prefix));
        names.map(str::to_owned).collect()
    }

    /// Cells that are whole in the store.
    fn stored(&mut self, url: &str) -> usize {
        let names = self.names(url);
        names.iter().filter(|name| name.ends_with("/cell.json")).count()
    }

    fn results(&self, machine: &str) -> Vec<(String, Vec<u8>)> {
        results(&self.sandbox.path(machine).join("cells"))
    }

    /// Expects that the machine `two` finished what was left of a run, and that the store still has its cells, its
    /// records byte for byte, and no claims.
    fn expect_whole(&mut self, url: &str, (second, before): (&CommandOutput, usize)) {
        assert_eq!(computed(second), self.all - before, "{}", second.stderr);
        holds(
            &second.stderr,
            &["has been silent for 4 s; its work is taken over"],
        );
        let third = wait(self.start(url, "three", false));
        assert_eq!(computed(&third), 0, "{}", third.stderr);
        assert!(!third.stderr.contains("damaged"), "{}", third.stderr);
        let cells = |machine: &str| self.sandbox.path(machine).join("cells");
        assert!(files(&cells("three")) == fetched(&cells("two")));
        for machine in ["one", "two", "three"] {
            assert!(self.results(machine) == self.wanted, "{machine}");
        }
        let names = self.names(url);
        let left: Vec<&String> = names.iter().filter(|name| name.starts_with("claims/")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn wait(child: Child) -> CommandOutput {
    captured(child.wait_with_output().expect("an end"))
}

#[test]
#[cfg_attr(not(have = "s3"), ignore = "needs moto (tests/peers/s3_server.py)")]
fn a_machine_that_comes_back_finds_its_work_done_and_spoils_nothing() {
    let mut machines = Machines::new();
    let url = "s3://bucket/back";
    let mut first = machines.start_and_cut_off(url);
    while machines.proxy.refused() == 0 {
        assert!(
            first.try_wait().expect("a process").is_none(),
            "it asked for nothing"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // It stands still, so that it has its cell in its hands when the second machine has finished everything.
    send("-STOP", &first);
    let before = machines.stored(url);
    let second = wait(machines.start(url, "two", false));
    let after = machines.stored(url);
    machines.proxy.heal();
    send("-CONT", &first);
    let first = wait(first);
    assert_eq!(after, machines.all, "{}", second.stderr);
    assert_eq!(first.code, 0, "{}", first.stderr);
    machines.expect_whole(url, (&second, before));
}

#[test]
#[cfg_attr(not(have = "s3"), ignore = "needs moto (tests/peers/s3_server.py)")]
fn a_machine_that_stays_cut_off_finishes_alone_and_says_what_is_not_copied() {
    let mut machines = Machines::new();
    let url = "s3://bucket/gone";
    let first = machines.start_and_cut_off(url);
    let before = machines.stored(url);
    let second = machines.start(url, "two", false);
    let first = wait(first);
    refused(
        &first,
        1,
        &[
            url,
            "not all finished cells",
            "the same command",
            "check the network",
        ],
    );
    holds(&first.stderr, &["cells are computed unclaimed meanwhile"]);
    assert!(machines.results("one") == machines.wanted);
    let second = wait(second);
    // With the network again it has nothing to do, and nothing to copy.
    let again = wait(machines.start(url, "one", false));
    assert_eq!(again.code, 0, "{}", again.stderr);
    holds(&again.stdout, &["nothing was computed"]);
    machines.expect_whole(url, (&second, before));
}
