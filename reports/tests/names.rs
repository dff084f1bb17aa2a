//! Names that hold the signs of every format: tables, figures and the page stay whole.

use crate::synthetic::{plan, write_run};
use rlnet_reports::{Format, render};
use rlnet_suites::Plan;

/// Ends a cell of Markdown, a line, a field of CSV, and begins an element of HTML, XML and SVG.
const NAME: &str = "a|b,\"c\"\n<img src=x> & d_e";

/// The synthetic plan, its student called [`NAME`].
fn named() -> Plan {
    let text = serde_json::to_string(&plan(&[])).expect("JSON");
    let quoted = serde_json::to_string(NAME).expect("JSON");
    let inner = quoted.trim_start_matches('"');
    let inner = inner.strip_suffix('"').expect("quotation marks");
    let text = text
        .replace("\"rlnet\"", &quoted)
        .replace("\"rlnet/", &format!("\"{inner}/"));
    serde_json::from_str(&text).expect("a plan")
}

#[test]
fn a_name_breaks_no_format() {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(folder.path(), &named(), |_| true);
    let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
    let read = |file: &str| std::fs::read_to_string(rendered.folder.join(file)).expect(file);

    let page = read("index.html");
    assert!(page.contains("&lt;img src=x&gt;") && !page.contains("<img src=x"));

    let markdown = read("tables/main.md");
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    // A heading, a rule, four rows of each network with two branches and one of the baseline.
    assert_eq!(rows.len(), 2 + 4 + 4 + 1, "{markdown}");
    assert!(rows.iter().all(|row| bars(row) == bars(rows[0])), "{markdown}");
    assert!(!markdown.contains("<img"), "{markdown}");

    let csv = read("tables/main.csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let names: Vec<String> = (reader.records())
        .map(|record| record.expect("a record")[0].to_owned())
        .collect();
    assert_eq!(names.iter().filter(|name| *name == NAME).count(), 4, "{csv}");

    let latex = read("tables/main.tex");
    assert!(latex.contains("d\\_e") && !latex.contains("\n$<$img"), "{latex}");
    let json: serde_json::Value = serde_json::from_str(&read("tables/main.json")).expect("JSON");
    assert_eq!(json["rows"][4]["model"], NAME);

    for file in [
        "figures/corruptions.svg",
        "figures/relus.svg",
        "figures/radius.svg",
    ] {
        let drawing = read(file);
        assert!(!drawing.contains("<img"), "{file}");
        assert!(drawing.contains("&lt;img"), "{file}");
    }
}
