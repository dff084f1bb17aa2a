//! The example that `tests/peers/step.py` times: a figure of every kind, on a CPU.

use crate::support::binary;
use std::process::Command;

#[test]
fn the_step_example_says_a_rate_for_every_stage_and_arithmetic() {
    let example = binary().with_file_name("examples").join("step");
    let run = |arguments: &[&str]| {
        let output = Command::new(&example)
            .args(arguments)
            .output()
            .expect("the example");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (done, printed, errors) = run(&["cpu", "resnet8-w2", "8", "2"]);
    assert!(done, "{errors}");
    let mut figures: Vec<&str> = Vec::new();
    for line in printed.lines() {
        let [what, value, unit] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert!(value.parse::<f64>().expect("a number") > 0.0, "{line}");
        assert_eq!(unit, "images/s");
        figures.push(what);
    }
    let stages = ["teacher", "student"]
        .map(|stage| ["fp32", "tf32", "bf16"].map(|precision| format!("{stage} step, {precision}")));
    let mut wanted: Vec<String> = stages.concat();
    wanted.push("making batches".into());
    wanted.extend(["fp32", "bf16"].map(|precision| format!("PGD-20 evaluation, {precision}")));
    assert_eq!(figures, wanted);
    let (done, _, errors) = run(&["cpu", "resnet8-w2", "one", "2"]);
    assert!(!done && errors.contains("BATCH one"), "{errors}");
}
