//! Private inference in a report: what is modelled, and what was measured beside it.

use crate::synthetic::{plan, write_run};
use rlnet_reports::{CostLine, Format, MeasuredCost, PrivateInference, render_over};
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

/// A network of which 1,000 ReLUs are known, and what an engine sent: MB without ReLUs, and for them.
fn of_relus(relus: u64, linear: u64, own: i64) -> MeasuredCost {
    MeasuredCost {
        relus,
        relus_total: Some(1000),
        linear_bytes: linear,
        relu_bytes: own,
        ..measured("nobody's", "gather")
    }
}

/// By hand: the line through (0, 10), (500, 61), (1000, 110) has b = 100 / 1000, a = 31 / 3, and residuals -1/3, 2/3, -1/3.
#[test]
fn bytes_that_were_measured_have_a_line_and_its_residuals() {
    let own =
        [(0, 10, 0), (500, 10, 51), (1000, 10, 100)].map(|(relus, linear, own)| of_relus(relus, linear, own));
    // Another protocol at two numbers of ReLUs: two points always lie on a line.
    let other = [0, 1000].map(|relus| MeasuredCost {
        protocol: "cheetah".to_owned(),
        ..of_relus(relus, 10, 1)
    });
    let all = [own.to_vec(), other.to_vec()].concat();
    let lines = CostLine::of(&all);
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}: {line:?}");
    assert_eq!(line.networks, 3);
    close(line.slope, 0.1);
    close(line.intercept, 31.0 / 3.0);
    close(line.residual, 2.0 / 3.0);
    close(line.relative_residual, 1.0 / 30.0);
    close(line.linear, 10.0);
    // What a reduction buys is seen beside the network with every ReLU, of the same protocol.
    let whole = own[1].whole(&all).expect("it was measured");
    assert_eq!((whole.relus, whole.bytes()), (1000, 110.0));
    assert!(own[1].whole(&other).is_none());
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
            of_relus(500, 5_000_000, 72_000),
            of_relus(1000, 5_000_000, 144_000),
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

    // A network that is not in the report has no row of a model, but is not left out.
    let others = rows(
        &rendered.folder,
        "private_inference_measured",
        "resnet8-w16",
        "clean",
    );
    assert_eq!(others.len(), 3, "{others:?}");
    assert_eq!(others[0][9], "", "no model, nothing modelled: {others:?}");
    assert_eq!(
        (others[1][11].as_str(), others[1][12].as_str()),
        ("2", "1.0141955835962144")
    );
    let line = rows(
        &rendered.folder,
        "private_inference_lines",
        "resnet8-w16",
        "SPU 0.9.5, semi2k",
    )
    .remove(0);
    assert_eq!(line[4], "3", "{line:?}");
    assert!(rendered.folder.join("figures/measured_bytes.svg").is_file());

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
