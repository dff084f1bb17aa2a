//! What a newcomer sees: a report that says what it is of, a plain model spoken of plainly, a terminal that is not
//! too wide.

use crate::browser::look;
use crate::support::{Sandbox, TINY, captured, untrained};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// The text of a page, without its style and script.
fn text(page: &str) -> String {
    let mut rest = page.to_owned();
    for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
        while let Some((before, after)) = rest.split_once(open) {
            let (_, after) = after.split_once(close).expect(close);
            rest = format!("{before}{after}");
        }
    }
    rest
}

#[test]
fn the_report_of_a_smoke_run_says_so_and_says_alike_things_once() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let output = sandbox.ok("run s.toml --set scale=smoke --out out");
    let page = fs::read_to_string(sandbox.path("out/report/index.html")).expect("the page");
    let page = text(&page);
    let (head, _) = page.split_once("class=\"verdict\"").expect("a verdict");
    for said in [
        "Seconds long (scale smoke)",
        "Scale smoke (does it run?",
        "train 200 -&gt; 71",
        "severities 1 and 5 -&gt; 1",
        "epochs",
    ] {
        assert!(head.contains(said), "no {said:?} in {head}");
    }
    assert!(
        output.stdout.contains("Scale smoke (does it run?"),
        "{}",
        output.stdout
    );
    // Two networks that guess: one sentence.
    let (_, notices) = page.split_once("Suspicious numbers").expect("flags");
    let (notices, _) = notices.split_once("</div>").expect("an end");
    assert!(
        notices.contains("rlnet and plain: on clean images they"),
        "{notices}"
    );
    assert_eq!(notices.matches("guessing").count(), 1, "{notices}");
    // A suite as it stands has no scale.
    sandbox.ok("run s.toml --out whole --only plain/clean");
    let page = fs::read_to_string(sandbox.path("whole/report/index.html")).expect("the page");
    let page = text(&page);
    assert!(
        !page.contains("(scale ") && !page.contains("class=\"scale\""),
        "a scale was picked"
    );
}

/// A TorchScript file of one branch, evaluated on clean, corrupted and attacked images.
fn plain(sandbox: &Sandbox) {
    untrained(sandbox, "net.safetensors");
    sandbox.ok("export net.safetensors --format torchscript --branch clean --out plain.pt");
}

const ASK: &str = "eval plain.pt --dataset shapes --limit 60 --attack fgsm --attack pgd:steps=2 --attack fgsm:norm=l2 \
                   --corruptions fog,contrast --severity 1,3 --out out";

#[test]
fn the_report_of_one_plain_model_never_speaks_of_branches() {
    let sandbox = Sandbox::new();
    plain(&sandbox);
    let output = sandbox.ok(ASK);
    let page = fs::read_to_string(sandbox.path("out/report/index.html")).expect("the page");
    let page = text(&page).to_lowercase();
    for word in ["branch", "oracle", "read through"] {
        let at = page.find(word).map(|at| &page[at.saturating_sub(200)..at + 60]);
        assert!(at.is_none(), "{word}: {at:?}");
        assert!(!output.stdout.to_lowercase().contains(word), "{}", output.stdout);
    }
    // Each corruption has its row in the terminal.
    for row in ["| fog ", "| contrast ", "| mean of the benchmark (NPA) "] {
        assert!(output.stdout.contains(row), "no {row:?} in {}", output.stdout);
    }
    // Programs are given every table.
    let told: Value = serde_json::from_str(&sandbox.ok(&format!("{ASK} --json")).stdout).expect("JSON");
    for table in [
        "main",
        "corruptions",
        "severities",
        "attacks",
        "worst_class",
        "calibration",
    ] {
        let rows = told["tables"][table]["rows"].as_array();
        assert!(
            rows.is_some_and(|rows| !rows.is_empty()),
            "{table}: {}",
            told["tables"]
        );
    }
}

#[test]
#[cfg_attr(not(have = "browser"), ignore = "needs chromium")]
fn nothing_of_such_a_report_is_cut_on_a_desk_on_a_telephone_or_in_the_dark() {
    let browser = rlnet_test_support::browser().expect("chromium on the PATH");
    let sandbox = Sandbox::new();
    plain(&sandbox);
    // Two models, so that there is something to sort.
    sandbox.ok("export net.safetensors --format torchscript --branch adversarial --out other.pt");
    sandbox.ok(&ASK.replace("plain.pt", "plain.pt other.pt --baseline plain"));
    let page = fs::read_to_string(sandbox.path("out/report/index.html")).expect("the page");
    for (options, dark) in [
        (&["--window-size=1280,900"][..], false),
        (&["--window-size=400,900"], false),
        (
            &[
                "--window-size=1280,900",
                "--blink-settings=preferredColorScheme=0",
            ],
            true,
        ),
    ] {
        let (found, _) = look(&browser, &sandbox, &page, options);
        let wrong: Vec<&str> = found["wrong"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        // What the probe wants of a large run's page: tables long enough to be filtered.
        let wrong: Vec<&&str> = wrong
            .iter()
            .filter(|what| !what.contains("no table has a filter"))
            .collect();
        assert!(wrong.is_empty(), "{options:?}: {wrong:?}");
        assert_eq!(found["counts"]["dark"], dark);
    }
}

/// Runs a command in a terminal of 80 columns and gives what it showed.
fn on_a_terminal(sandbox: &Sandbox, command: &str, variable: (&str, &str)) -> String {
    let program = crate::support::binary();
    let output = Command::new("script")
        .args([
            "-qec",
            &format!("stty cols 80; {} {command}", program.display()),
            "/dev/null",
        ])
        .current_dir(sandbox.path(""))
        .env("TERM", "xterm")
        .env("OMP_NUM_THREADS", "1")
        .env(variable.0, variable.1)
        .stdin(std::process::Stdio::null())
        .output();
    captured(output.expect("script, of util-linux")).stdout
}

/// A text without its escape sequences.
fn plainly(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(part.len(), |at| at + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

#[test]
fn a_terminal_of_eighty_columns_has_room_for_progress_and_colour_unless_unwanted() {
    let sandbox = Sandbox::new();
    plain(&sandbox);
    let ask = ASK.replace("--limit 60", "--limit 300");
    let shown = on_a_terminal(&sandbox, &ask, ("LANG", "C.UTF-8"));
    let plain = plainly(&shown);
    let bars: Vec<&str> = plain
        .split(['\r', '\n'])
        .filter(|line| line.contains("] ") && line.contains('%'))
        .collect();
    let widest = bars.iter().map(|line| line.trim_end().chars().count()).max();
    assert!(bars.len() > 5 && widest <= Some(80), "{widest:?} {bars:?}");
    // How long all of it takes, once a cell is done.
    assert!(
        plain.contains(", about ") && plain.contains(" left] evaluate plain/"),
        "{plain}"
    );
    assert!(shown.contains("\x1b[36m"), "no colour");
    let failed = |variable| on_a_terminal(&sandbox, "eval nothing.pt --dataset shapes", variable);
    assert!(failed(("LANG", "C")).contains("\x1b[1;31merror"));
    let quiet = failed(("NO_COLOR", "1"));
    assert!(quiet.contains("error: ") && !quiet.contains("\x1b["), "{quiet:?}");
    let bars = on_a_terminal(
        &sandbox,
        &ask.replace("--out out", "--out more"),
        ("NO_COLOR", "1"),
    );
    assert!(bars.contains('%') && !bars.contains("\x1b[36m"), "{bars:?}");
}
