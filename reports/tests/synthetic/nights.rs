//! Nights of one network: run directories whose accuracy can be set.

use super::{keyed, plan_of, write_run_of};
use rlnet_suites::{Branch, Outcome, Ranking};
use std::fs;
use std::path::Path;

const SUITE: &str = r#"
schema = 1
name = "nights"
title = "Nights"
description = "One network, measured every night."
[data]
dataset = "shapes"
[network]
arch = "resnet8-w8"
norm = "single"
[[train]]
name = "net"
stage = "teacher"
views = ["clean"]
[evaluation]
corruptions = "none"
attacks = []
"#;

/// Writes a night on which a share of 1,000 images is right, give or take chance.
pub fn night(dir: &Path, number: u64, share: f64) {
    let folder = dir.join(format!("night-{number:02}"));
    write_run_of(
        &folder,
        &plan_of(SUITE, &[]),
        |_| true,
        |_, conditions| {
            let rows = (0..1000_u32).map(|image| {
                let hard = keyed(&["image"], image.into());
                let luck = 0.04 * (keyed(&["night", &number.to_string()], image.into()) - 0.5);
                Outcome {
                    image,
                    branch: Branch::Single,
                    condition: conditions[0].clone(),
                    label: 1,
                    prediction: u16::from(hard + luck < share),
                    rounded: u16::from(hard + luck < share),
                    margin: (share - hard) as f32,
                    loss: 0.5,
                    norm: 0.0,
                    forwards: 1,
                    backwards: 0,
                    unstable: 0,
                    unusable: 0,
                    ranking: Ranking::default(),
                }
            });
            rows.collect()
        },
    );
    for cell in fs::read_dir(folder.join("cells")).expect("cells") {
        let file = cell.expect("a cell").path().join("cell.json");
        let text = fs::read_to_string(&file).expect("a record");
        let moved = text.replace(
            "\"started\": 1700000000",
            &format!("\"started\": {}", 1_700_000_000 + 86_400 * number),
        );
        fs::write(&file, moved).expect("written");
    }
}
