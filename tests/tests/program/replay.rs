//! Stored adversarial images, shown to the model again.

use crate::archives::{eval, model, plan, refused};
use crate::given_images::npy;
use crate::support::{Sandbox, TINY, edit_rows, id, rows};
use safetensors::SafeTensors;
use std::fs;

const ATTACK: &str = "pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=3";

#[test]
fn stored_images_give_every_flag_again_and_tampering_shows() {
    let sandbox = Sandbox::new();
    sandbox.write("s.toml", TINY);
    let small = [
        "--set",
        "evaluation.corruptions=[]",
        "--set",
        "evaluation.models=[\"teacher\", \"plain\"]",
        "--set",
        "data.test=12",
    ];
    sandbox.ok(&[&["run", "s.toml", "--out", "out"], &small[..]].concat());
    let cell = |model: &str| {
        let name = cell_name(&sandbox, model);
        sandbox.path(&format!("out/cells/{}", id(&sandbox, "out", &name)))
    };
    let replay = |model: &str, more: &[&str]| {
        let cell = cell(model).display().to_string();
        sandbox.run(&[&["attack", "replay", &cell], more].concat())
    };
    for (model, branches) in [("teacher", &["clean", "adversarial"][..]), ("plain", &["single"])] {
        let output = replay(model, &["--json"]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!((&told["images"], &told["differ"]), (&12.into(), &0.into()));
        let rows = rows(&sandbox, "out", &cell_name(&sandbox, model));
        for (slot, branch) in branches.iter().enumerate() {
            let right = rows.iter().filter(|row| row.branch.name() == *branch);
            let right = right.filter(|row| row.prediction == row.label).count();
            let told = &told["branches"][slot];
            assert_eq!(told["branch"], *branch);
            assert_eq!(told["accuracy"], 100.0 * right as f64 / 12.0, "{model} {branch}");
        }
    }
    // Another model's answers are a transfer, not an error.
    let other = sandbox.path(&format!(
        "out/cells/{}/model.safetensors",
        id(&sandbox, "out", "plain")
    ));
    let output = replay("teacher", &["--json", "--model", &other.display().to_string()]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("\"differ\": null"), "{}", output.stdout);

    // A flag of one row turned round.
    let turn = |by: u16| {
        edit_rows(&cell("plain"), |rows| {
            rows[7].prediction = (rows[7].prediction + by) % 10
        })
    };
    turn(1);
    let output = replay("plain", &[]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        output.stderr.contains("1 of 12 predictions differ"),
        "{}",
        output.stderr
    );
    turn(9);
    assert_eq!(replay("plain", &[]).code, 0);

    // Other weights in the model's place: every logit has the other sign.
    negate(&other, &["param/linear.weight", "param/linear.bias"]);
    let output = replay("plain", &[]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        output.stderr.contains("12 of 12 predictions differ") && output.stderr.contains("model file"),
        "{}",
        output.stderr
    );

    // Cut short, and never stored.
    let images = cell("teacher").join("adversarial.safetensors");
    let bytes = std::fs::read(&images).expect("a file");
    std::fs::write(&images, &bytes[..bytes.len() / 2]).expect("cut");
    refused(&replay("teacher", &[]), &["adversarial.safetensors"]);
    let clean = sandbox.path(&format!("out/cells/{}", id(&sandbox, "out", "plain/clean")));
    refused(
        &sandbox.run(&["attack", "replay", &clean.display().to_string()]),
        &["adversarial.safetensors"],
    );
}

/// Turns the sign of every value of some f32 tensors of a safetensors file.
fn negate(file: &std::path::Path, names: &[&str]) {
    let mut bytes = std::fs::read(file).expect("a file");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    for name in names {
        let offset = |end: usize| {
            let offset = header[name]["data_offsets"][end].as_u64().expect("an offset");
            8 + length + offset as usize
        };
        for value in bytes[offset(0)..offset(1)].chunks_exact_mut(4) {
            value[3] ^= 0x80;
        }
    }
    std::fs::write(file, bytes).expect("written");
}

fn cell_name(sandbox: &Sandbox, model: &str) -> String {
    let plan = plan(sandbox, "out");
    let mut cells = plan.cells.iter().map(|cell| &cell.name);
    let attacked = |name: &&String| name.starts_with(&format!("{model}/")) && name.contains("pgd");
    cells.rfind(attacked).expect("a cell").clone()
}

/// A model that is not in the run is named; the same file is recognised and compared.
#[test]
fn an_evaluated_file_is_named_and_compared() {
    let sandbox = Sandbox::new();
    let model = model(&sandbox, TINY, "plain");
    let ask = ["--dataset", "shapes", "--limit", "6", "--attack", ATTACK];
    assert_eq!(eval(&sandbox, &model, "out", &ask).code, 0);
    let name = {
        let plan = plan(&sandbox, "out");
        plan.cells.last().expect("a cell").name.clone()
    };
    let cell = sandbox.path(&format!("out/cells/{}", id(&sandbox, "out", &name)));
    let text = cell.display().to_string();
    refused(
        &sandbox.run(&["attack", "replay", &text]),
        &["not in this run", "--model"],
    );
    let replay = ["attack", "replay", &text, "--model", &model, "--json"];
    assert!(sandbox.ok(&replay).stdout.contains("\"differ\": 0"));
    edit_rows(&cell, |rows| {
        for row in rows {
            row.rounded = (row.rounded + 1) % 10;
        }
    });
    let output = sandbox.run(&replay);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("6 of 6 predictions differ"),
        "{}",
        output.stderr
    );
}

/// Images of a stronger attack, shown as somebody else's: held to box and ball, counted where the cell's attack failed,
/// and named by the report.
#[test]
fn images_from_elsewhere_lower_the_numbers_of_an_attack() {
    let sandbox = Sandbox::new();
    let model = model(&sandbox, TINY, "plain");
    let attacked = |out: &str, attack: &str| {
        let ask = ["--dataset", "shapes", "--limit", "40", "--attack", attack];
        let output = eval(&sandbox, &model, out, &ask);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let name = plan(&sandbox, out).cells.last().expect("a cell").name.clone();
        let folder = sandbox.path(&format!("{out}/cells/{}", id(&sandbox, out, &name)));
        (folder, rows(&sandbox, out, &name))
    };
    // In which ball a tiny network has images for the stronger attack alone, the last bits of its training say.
    let tried = [16, 8, 4, 2].into_iter().map(|eps| {
        for out in ["weak", "strong"] {
            let _ = fs::remove_dir_all(sandbox.path(out));
        }
        let (cell, weak) = attacked(
            "weak",
            &format!("pgd:eps={eps}/255,alpha={}/255,steps=1", eps / 2),
        );
        let (other, strong) = attacked("strong", &format!("apgd-ce:eps={eps}/255,steps=20"));
        let broken = weak.iter().zip(&strong).filter(|(weak, strong)| {
            assert_eq!(weak.image, strong.image);
            weak.prediction == weak.label && strong.prediction != strong.label
        });
        (eps, cell, other, broken.count())
    });
    let found = tried.into_iter().find(|(.., broken)| *broken > 0);
    let (eps, cell, other, broken) = found.expect("a ball in which the stronger attack breaks more");

    let saved = fs::read(other.join("adversarial.safetensors")).expect("images");
    let saved = SafeTensors::deserialize(&saved).expect("safetensors");
    let pixels = saved.tensor("single").expect("a branch").data().to_vec();
    let cell = cell.display().to_string();
    let shown = |shape: &str, pixels: &[u8]| {
        let file = sandbox.write("theirs.npy", npy("<f4", shape, pixels));
        let file = file.display().to_string();
        let from = ["--source", "a stronger attack", "--dataset", "shapes", "--json"];
        let replay = ["attack", "replay", &cell, "--model", &model, "--images", &file];
        sandbox.run(&[&replay[..], &from].concat())
    };
    let with_first = |value: f32| {
        let mut changed = pixels.clone();
        changed[..4].copy_from_slice(&value.to_le_bytes());
        changed
    };
    const SHAPE: &str = "(40, 3, 32, 32)";
    refused(
        &shown(SHAPE, &with_first(1.5)),
        &["image 0", "images lie in [0, 1]"],
    );
    let first = f32::from_le_bytes(pixels[..4].try_into().expect("four bytes"));
    let far = if first < 0.5 { 1.0 } else { 0.0 };
    refused(
        &shown(SHAPE, &with_first(far)),
        &["image 0", &format!("the attack's ball has the radius {eps}/255")],
    );
    refused(&shown(SHAPE, &with_first(f32::NAN)), &["image 0", "no number"]);
    refused(
        &shown("(20, 3, 32, 32)", &pixels[..pixels.len() / 2]),
        &["the cell has 40 images"],
    );
    assert!(!sandbox.path("weak/external").exists());

    let before = right_under_attack(&sandbox, "before");
    let output = shown(SHAPE, &pixels);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&told["images"], &told["broken"]), (&40.into(), &broken.into()));
    assert_eq!(right_under_attack(&sandbox, "after"), before - broken);
    let table = fs::read_to_string(sandbox.path("after/report/tables/external.csv")).expect("a table");
    assert!(table.contains("a stronger attack"), "{table}");
}

/// The images that are right under the attack of the run `weak`, by a new report of it.
fn right_under_attack(sandbox: &Sandbox, report: &str) -> usize {
    sandbox.ok(&format!("report weak --out {report}"));
    let table =
        fs::read_to_string(sandbox.path(&format!("{report}/report/tables/main.csv"))).expect("a table");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let column = lines[0]
        .iter()
        .position(|head| *head == "adva_right")
        .expect("a column");
    lines[1][column].parse().expect("a number of images")
}
