//! The report in a real browser: nothing fails, pictures load, tables sort and filter, and the
//! page can be read by everybody, on a desk, on a telephone and in the dark.

use crate::support::{Sandbox, TINY};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Opens a page, runs `browser.js` in it and gives what that found, and what the browser logged.
pub fn look(browser: &Path, sandbox: &Sandbox, page: &str, options: &[&str]) -> (Value, String) {
    let probed = page
        .replacen(
            "<head>",
            "<head><script>window.trouble = []; window.addEventListener('error', function (event) \
             { window.trouble.push('script: ' + event.message); });</script>",
            1,
        )
        .replacen(
            "</body>",
            &format!("<script>{}</script></body>", include_str!("browser.js")),
            1,
        );
    let file = sandbox.write("out/report/probed.html", probed);
    let profile = sandbox.path("profile");
    let output = Command::new(browser)
        .args([
            "--headless=new",
            // Root may not have a sandbox, and what is opened is this test's own page.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .args(options)
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .output()
        .expect("a browser");
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = page
        .rsplit_once("<pre id=\"found\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"));
    let Some((found, _)) = found else {
        panic!("the page's probe did not end; the browser said: {log}")
    };
    let found = found
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    (serde_json::from_str(&found).expect("JSON"), log)
}

#[test]
#[cfg_attr(not(have = "browser"), ignore = "needs chromium")]
fn a_report_works_in_a_browser_and_faults_are_found() {
    let browser = rlnet_test_support::browser().expect("chromium on the PATH");
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    sandbox.ok("run s.toml --out out");
    let page = std::fs::read_to_string(sandbox.path("out/report/index.html")).expect("the page");
    for (options, dark) in [
        (&["--window-size=1280,900"][..], false),
        (&["--window-size=500,844"], false),
        (
            &[
                "--window-size=1280,900",
                "--blink-settings=preferredColorScheme=0",
            ],
            true,
        ),
    ] {
        let (found, log) = look(&browser, &sandbox, &page, options);
        assert_eq!(found["wrong"], serde_json::json!([]), "{options:?}");
        let counts = &found["counts"];
        assert_eq!(counts["dark"], dark, "{options:?}: {counts}");
        assert!(counts["drawings"].as_u64() >= Some(4), "{counts}");
        assert!(counts["pictures"].as_u64() >= Some(1), "{counts}");
        assert!(
            counts["sorted"].as_u64() >= Some(5) && counts["filtered"].as_u64() >= Some(8),
            "{counts}"
        );
        let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{options:?}: {console:?}");
    }
    // All this can fail: each fault that is put into the page is found.
    let broken = page
        .replace("data:image/png;base64,", "data:image/png;base64,AAAA")
        .replace("--soft: #5b6168", "--soft: #c5c8ca")
        .replace("down ? b.value - a.value", "down ? a.value - b.value")
        .replacen(
            "</main>",
            "<a href=\"#nowhere\">x</a></main><script>missing();</script>",
            1,
        );
    let (found, log) = look(&browser, &sandbox, &broken, &["--window-size=1280,900"]);
    let wrong = found["wrong"].to_string();
    for fault in [
        "picture does not load",
        "contrast",
        "not descending",
        "link leads nowhere",
        "script:",
    ] {
        assert!(wrong.contains(fault), "{fault}: {wrong}");
    }
    assert!(log.contains("CONSOLE"), "{log}");
}
