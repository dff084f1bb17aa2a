//! Private inference in a report: what is modelled, and what was measured beside it.

use crate::synthetic::{plan, write_run};
use rlnet_reports::{Format, MeasuredCost, PrivateInference, render_over};
use rlnet_suites::protocol::{Link, NamedLink};
use std::path::Path;

/// The rows of a table's CSV file whose first two cells are these.
fn rows(report: &Path, table: &str, model: &str, second: &str) -> Vec<Vec<String>> {
    let file = std::fs::File::open(report.join("tables").join(format!("{table}.csv"))).expect("the table");
    let mut reader = csv::Reader::from_reader(file);
    let all = reader
        .records()
        .map(|row| row.expect("a row").iter().map(str::to_owned).collect::<Vec<_>>());
    all.filter(|row| row[0] == model && row[1].contains(second))
        .collect()
}

fn measured(model: &str, mask: &str) -> MeasuredCost {
    let text = format!(
        r#"{{"format": "rlnet-private-inference", "version": 1, "measurements": [{{"engine": "SPU",
        "engine_version": "0.9.5", "protocol": "semi2k", "security": "dealer", "mask": "{mask}", "model": "{model}",
        "arch": "resnet8-w16", "branch": "clean", "relus": 1, "linear_bytes": 9000000, "relu_bytes": 1000000,
        "messages_from_server": 30, "messages_from_client": 31, "images": 4, "largest_logit_error": 0.001,
        "same_class": 4}}]}}"#
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cost.json");
    std::fs::write(&path, text).expect("a file");
    MeasuredCost::read(&path).expect("measurements").remove(0)
}

#[test]
fn a_report_says_what_a_reduction_buys_and_what_was_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(folder.path(), &plan(&[]), |_| true);
    let private = PrivateInference {
        link: Link::from(NamedLink::Wan),
        measured: vec![
            measured("weights of rlnet", "gather"),
            measured("weights of rlnet", "select"),
            measured("somebody else's", "gather"),
        ],
    };
    let rendered =
        render_over(&[folder.path().to_owned()], folder.path(), &Format::ALL, private).expect("a report");
    assert!(rendered.folder.join("figures/cost.svg").is_file());

    // The teacher keeps every ReLU: its reduction buys nothing, under any protocol.
    let of_teacher = rows(&rendered.folder, "private_inference", "teacher", "");
    assert_eq!(of_teacher.len(), 5);
    assert!(
        of_teacher.iter().all(|row| row[9].starts_with('1')),
        "{of_teacher:?}"
    );
    let factor = |protocol: &str, column: usize| -> f64 {
        let row = rows(&rendered.folder, "private_inference", "rlnet", protocol).remove(0);
        row[column].parse().expect("a number")
    };
    // Fewer ReLUs by the same factor under each; end to end less is bought, least where linear layers cost most.
    let fewer = factor("Delphi", 9);
    assert!(factor("Delphi", 10) > 0.99 * fewer && factor("Delphi", 12) < fewer);
    assert!(factor("Cheetah", 11) < factor("CrypTen", 11) && factor("CrypTen", 11) < fewer);

    let measured = rows(&rendered.folder, "private_inference_measured", "rlnet", "clean");
    assert_eq!(measured.len(), 2, "{measured:?}");
    let modelled: Vec<f64> = measured.iter().map(|row| row[9].parse().expect("MB")).collect();
    // A plan that selects computes all 73,728 ReLUs, 144 bytes each.
    let kept: f64 = rows(&rendered.folder, "private_inference", "rlnet", "SEMI2K").remove(0)[2]
        .parse()
        .expect("ReLUs");
    assert!(
        (modelled[1] - modelled[0] - 144e-6 * (73_728.0 - kept)).abs() < 2e-3,
        "{modelled:?} {kept}"
    );
}
