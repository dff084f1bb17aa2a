//! Runs that lose nothing: killed, resumed, repeated, raced.

use crate::harness::{Place, TINY};
use std::time::Duration;

/// `kill -9` at many moments of a training-and-evaluation suite, each followed by a resume:
/// weights and outcome rows must end byte for byte as those of an uninterrupted run.
#[test]
fn a_suite_killed_again_and_again_ends_as_if_it_never_was() {
    let place = Place::new();
    place.write("s.toml", TINY);
    let run = |out| ["run", "s.toml", "--threads", "1", "--out", out];
    place.ok(&run("whole"));
    let mut kills = 0;
    for round in 0..60 {
        let mut child = place.spawn(&run("killed"));
        // Moments spread over start-up, training, checkpoints and evaluation.
        std::thread::sleep(Duration::from_millis(150 + 97 * (round % 11)));
        match child.try_wait().expect("a process") {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => {
                child.kill().expect("a kill");
                child.wait().expect("an end");
                kills += 1;
            }
        }
    }
    place.ok(&run("killed"));
    assert!(kills >= 3, "only {kills} kills hit a running suite");
    let (whole, killed) = (place.results("whole"), place.results("killed"));
    assert!(whole.iter().any(|(name, _)| name.ends_with("model.safetensors")));
    assert!(whole.iter().any(|(name, _)| name.ends_with("outcomes.parquet")));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&whole), names(&killed));
    for ((name, whole), (_, killed)) in whole.iter().zip(&killed) {
        assert_eq!(whole, killed, "{name} differs after {kills} kills");
    }
}

#[test]
fn the_same_command_again_does_nothing_and_says_so() {
    let place = Place::new();
    place.write("s.toml", TINY);
    let run = ["run", "s.toml", "--out", "out", "--only", "plain/*"];
    place.ok(&run);
    let first = place.results("out");
    let again = place.ok(&run);
    assert!(again.stdout.contains("nothing was computed"), "{}", again.stdout);
    assert_eq!(place.results("out"), first);
    let plan = place.ok(&["run", "s.toml", "--out", "out", "--dry-run"]);
    assert!(
        plan.stdout.contains("done") && plan.stdout.contains("to do"),
        "{}",
        plan.stdout
    );
}

#[test]
fn two_processes_in_one_folder_share_the_work() {
    let place = Place::new();
    place.write("s.toml", TINY);
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
    let mut children = [place.spawn(&run), place.spawn(&run)];
    for child in &mut children {
        assert!(child.wait().expect("an end").success());
    }
    place.ok(&[
        "run",
        "s.toml",
        "--threads",
        "1",
        "--out",
        "alone",
        "--only",
        "plain/clean",
    ]);
    assert_eq!(place.results("out"), place.results("alone"));
}
