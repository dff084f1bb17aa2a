//! `rlnet corrupt`: the official layout, made, resumed, checked, drawn.

use crate::archives::plan;
use crate::support::{Sandbox, untrained};
use rlnet_suites::{Condition, Outcome};
use serde_json::Value;
use std::fs;

/// Header of a `.npy` file of the official layout, and bytes of an image.
const HEADER: usize = 128;
const IMAGE: usize = 32 * 32 * 3;

fn files(sandbox: &Sandbox, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(sandbox.path(folder))
        .expect("a folder")
        .flatten()
        .map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            (name, fs::read(file.path()).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON on stdout")
}

#[test]
fn an_archive_has_the_official_layout_and_resumes_file_by_file() {
    let sandbox = Sandbox::new();
    let make = ["corrupt", "shapes", "--limit", "50", "--out", "c", "--json"];
    let first = json(&sandbox.ok(&make).stdout);
    assert_eq!((&first["made"], &first["images"]), (&20.into(), &50.into()));
    let made = files(&sandbox, "c");
    assert_eq!(made.len(), 21, "19 corruptions, labels, provenance.json");
    for (name, bytes) in made.iter().filter(|(name, _)| name.ends_with(".npy")) {
        let (shape, length) = match name.as_str() {
            "labels.npy" => ("(250,)", 250),
            _ => ("(250, 32, 32, 3)", 250 * IMAGE),
        };
        let header = String::from_utf8_lossy(&bytes[..HEADER]);
        assert!(
            bytes.starts_with(b"\x93NUMPY\x01\x00") && header.ends_with('\n'),
            "{name}"
        );
        assert!(header.contains(&format!("'shape': {shape}")), "{name}: {header}");
        assert_eq!(bytes.len(), HEADER + length, "{name}");
    }

    // Nothing is made twice; what is lost or damaged is made again, the same.
    let again = json(&sandbox.ok(&make).stdout);
    assert_eq!(again["made"], 0);
    fs::remove_file(sandbox.path("c/fog.npy")).expect("a file");
    sandbox.write("c/snow.npy", b"damaged");
    let resumed = json(&sandbox.ok(&make).stdout);
    assert_eq!(resumed["made"], 2);
    let by_name = |files: &[(String, Vec<u8>)]| {
        let npy = files.iter().filter(|file| file.0.ends_with(".npy"));
        npy.cloned().collect::<Vec<_>>()
    };
    assert!(by_name(&files(&sandbox, "c")) == by_name(&made));

    // A folder never holds files of two makings, and nobody else's are overwritten.
    let other = sandbox.run("corrupt shapes --limit 50 --out c --seed 9");
    assert_eq!(other.code, 2);
    assert!(
        other.stderr.contains("source.seed is 0 there, 9 here"),
        "{}",
        other.stderr
    );
    sandbox.write("official/fog.npy", b"precious");
    let foreign = sandbox.run("corrupt shapes --limit 50 --out official");
    assert_eq!(foreign.code, 2);
    assert!(foreign.stderr.contains("fog.npy") && foreign.stderr.contains("overwritten"));
    assert_eq!(files(&sandbox, "official").len(), 1);
}

#[test]
fn c_bar_has_its_own_layout_and_is_verified() {
    let sandbox = Sandbox::new();
    let make = [
        "corrupt", "shapes", "--limit", "20", "--out", "bar", "--family", "c-bar",
    ];
    sandbox.ok(&make);
    let made = files(&sandbox, "bar");
    assert_eq!(made.len(), 12, "10 corruptions, labels, provenance.json");
    let labels = fs::read(sandbox.path("bar/labels.npy")).expect("a file");
    assert_eq!(labels.len(), HEADER + 5 * 20 * 8, "64-bit labels");
    let verified = sandbox.ok(&["corrupt", "verify", "bar"]).stdout;
    assert!(verified.contains("11 equal, 0 differ, 0 missing"), "{verified}");
    // Of somebody else's files only the form is known: these are too short.
    let against = sandbox.run(&["corrupt", "verify", "bar", "--against", "cifar10-c-bar"]);
    assert_eq!(against.code, 1, "{}", against.stdout);
    assert!(
        against.stdout.contains("not [50000, 32, 32, 3]"),
        "{}",
        against.stdout
    );
    let both = [
        "corrupt", "shapes", "--out", "x", "--family", "c", "--names", "fog",
    ];
    assert_eq!(sandbox.run(&both).code, 2);
    let unknown = sandbox.run(&["corrupt", "shapes", "--out", "x", "--family", "d"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("c, c-extra, c-bar"), "{}", unknown.stderr);
}

#[test]
fn sequences_have_the_layout_of_cifar_10_p_and_are_verified_and_read() {
    let sandbox = Sandbox::new();
    let make = [
        "corrupt", "shapes", "--limit", "20", "--out", "p", "--family", "p",
    ];
    sandbox.ok(&make);
    let made = files(&sandbox, "p");
    assert_eq!(made.len(), 15, "14 sequences, provenance.json");
    for (name, frames) in [("translate", 16), ("motion_blur", 21), ("tilt", 31)] {
        let file = fs::read(sandbox.path(&format!("p/{name}.npy"))).expect("a file");
        assert_eq!(file.len(), HEADER + 20 * frames * IMAGE, "{name}");
    }
    assert!(
        sandbox
            .ok(&make)
            .stdout
            .contains("0 files made, 14 found finished")
    );
    let verified = sandbox.ok(&["corrupt", "verify", "p"]).stdout;
    assert!(verified.contains("14 equal, 0 differ, 0 missing"), "{verified}");
    let against = sandbox.run(&["corrupt", "verify", "p", "--against", "cifar10-p"]);
    assert!(
        against.stdout.contains("not [10000, 31, 32, 32, 3]"),
        "{}",
        against.stdout
    );

    // As the script draws, from one seed for each file; other names and other options.
    let hard = [
        "corrupt", "shapes", "--limit", "3", "--out", "hard", "--family", "p", "--rng", "numpy",
    ];
    sandbox.ok(&[&hard[..], &["--names", "gaussian_noise_3,snow"]].concat());
    assert_eq!(files(&sandbox, "hard").len(), 3);
    for wrong in [
        &["--names", "fog"][..],
        &["--severity", "3"],
        &["--format", "png"],
    ] {
        let refused = sandbox.run(&[&hard[..5], &["x", "--family", "p"], wrong].concat());
        assert_eq!(refused.code, 2, "{wrong:?}: {}", refused.stderr);
    }
}

/// Rows hold a frame's order of classes, and the report's distances are theirs: the definitions, written once more.
#[test]
fn answers_along_sequences_are_compared_by_class_and_by_order() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "m.safetensors");
    sandbox.ok(&format!(
        "eval {model} --dataset shapes --limit 4 --corruptions p/gaussian_noise,p/translate --out out"
    ));
    let cells = plan(&sandbox, "out").cells;
    let all: Vec<Outcome> = (cells.iter())
        .flat_map(|cell| {
            let file = sandbox.path(&format!("out/cells/{}/outcomes.parquet", cell.id));
            rlnet_reports::read_records::<Outcome>(&file).expect("rows")
        })
        .collect();
    let table = fs::read_to_string(sandbox.path("out/report/tables/rankings.csv")).expect("a table");
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let (head, row) = (lines.next().expect("a head"), lines.next().expect("a row"));
    for (name, frames, noise) in [("gaussian_noise", 31, true), ("translate", 16, false)] {
        let order = |frame: usize, image: u32| -> Vec<u16> {
            let condition = format!("p/{name}/{frame}");
            let of = |row: &&Outcome| row.image == image && row.condition.to_string() == condition;
            let row = all.iter().find(of).expect("a row");
            assert_eq!(row.ranking.classes()[0], row.prediction);
            row.ranking.classes().to_vec()
        };
        let mut sum = 0;
        for image in 0..4 {
            for frame in 1..frames {
                let before = order(if noise { 0 } else { frame - 1 }, image);
                let now = order(frame, image);
                for (place, class) in before.iter().enumerate().take(5) {
                    let moved = now.iter().position(|other| other == class).expect("the class");
                    sum += place.abs_diff(moved.min(5));
                }
            }
        }
        let expected = sum as f64 / (4 * (frames - 1)) as f64;
        let at = head.iter().position(|key| *key == name).expect("a column");
        let said: f64 = row[at].parse().expect("a number");
        assert!(
            expected > 0.0 && (said - expected).abs() < 1e-9,
            "{name}: {said}, {expected}"
        );
    }
    let clean = all.iter().filter(|row| row.condition == Condition::Clean);
    assert!(clean.map(|row| row.ranking.classes().len()).all(|kept| kept == 0));
}

#[test]
fn an_image_does_not_depend_on_how_many_there_are() {
    let sandbox = Sandbox::new();
    let make = |limit: &str, out: &str, more: &[&str]| {
        let names = [
            "--names",
            "gaussian_noise,glass_blur",
            "--out",
            out,
            "--limit",
            limit,
        ];
        sandbox.ok(&[&["corrupt", "shapes"], &names[..], more].concat());
    };
    make("20", "few", &[]);
    make("50", "many", &["--threads", "1"]);
    for name in ["gaussian_noise.npy", "glass_blur.npy"] {
        let read = |folder: &str| fs::read(sandbox.path(folder).join(name)).expect("a file");
        let (few, many) = (read("few"), read("many"));
        for severity in 0..5 {
            let few = &few[HEADER + severity * 20 * IMAGE..][..20 * IMAGE];
            let many = &many[HEADER + severity * 50 * IMAGE..][..20 * IMAGE];
            assert!(few == many, "{name}, severity {}", severity + 1);
        }
    }
    // The reference's stream is another source, and says so.
    make("20", "stream", &["--rng", "numpy", "--seed", "3"]);
    let stream = fs::read(sandbox.path("stream/gaussian_noise.npy")).expect("a file");
    assert!(stream != fs::read(sandbox.path("few/gaussian_noise.npy")).expect("a file"));
    let provenance = fs::read_to_string(sandbox.path("stream/provenance.json")).expect("a file");
    assert!(provenance.contains("numpy"), "{provenance}");
}

#[test]
fn bad_names_and_parts_of_a_file_are_refused() {
    let sandbox = Sandbox::new();
    for (more, hint) in [
        (&["--names", "contrats"][..], "did you mean `contrast`"),
        (&["--names", "none"], "at least one"),
        (&["--severity", "3"], "all five severities"),
        (&["--limit", "999999"], "2000 test images"),
        (&["--stack", "ancient"], "release, modern"),
        (&["--rng", "numpy", "--seed", "4294967296"], "4294967295"),
        (&["--frost-textures", "nowhere"], "nowhere"),
    ] {
        let output = sandbox.run(&[&["corrupt", "shapes", "--out", "c"], more].concat());
        assert_eq!(output.code, 2, "{more:?}: {}", output.stderr);
        assert!(output.stderr.contains(hint), "{more:?}: {}", output.stderr);
        assert!(!sandbox.path("c").exists(), "{more:?}");
    }
    assert_eq!(sandbox.run("corrupt shapes").code, 2);
    assert_eq!(sandbox.run("corrupt").code, 2);
    for help in [&["corrupt"][..], &["corrupt", "verify"], &["corrupt", "preview"]] {
        let help = sandbox.ok(&[help, &["--help"]].concat()).stdout;
        assert!(help.contains("Example: rlnet corrupt"), "{help}");
    }
}

#[test]
fn verify_tells_the_published_files_from_others() {
    let sandbox = Sandbox::new();
    // The labels file of CIFAR-10-C needs the data set; its header and length do not.
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (50000,), }";
    let mut labels = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    labels.extend(format!("{header:<117}\n").into_bytes());
    labels.extend([0; 50_000]);
    sandbox.write("c/labels.npy", &labels);
    sandbox.write("c/fog.npy", &labels);
    let output = sandbox.run("corrupt verify c");
    assert_eq!(output.code, 1, "{}", output.stderr);
    let line = |name: &str| {
        output
            .stdout
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a line")
    };
    assert!(line("labels").contains("differs"), "{}", line("labels"));
    assert!(line("labels").contains("published c439b113295ed5254878798ffe28fd54"));
    assert!(line("fog").contains("shape"), "{}", line("fog"));
    assert!(line("snow").contains("missing"));
    assert!(
        output.stdout.contains("cifar10-c: 0 equal, 2 differ, 18 missing"),
        "{}",
        output.stdout
    );
    let output = sandbox.run("corrupt verify c --against cifar100-c --json");
    assert_eq!(output.code, 1);
    assert_eq!(
        json(&output.stdout)["files"][19]["published"],
        "bb4026e9ce52996b95f439544568cdb2"
    );
    for bad in [&["nowhere"][..], &["c", "--against", "cifar-c"]] {
        assert_eq!(
            sandbox.run(&[&["corrupt", "verify"], bad].concat()).code,
            2,
            "{bad:?}"
        );
    }
}

/// Of the real CIFAR-10: a published file to the byte, and a flipped byte.
#[test]
#[cfg_attr(not(have = "images"), ignore = "needs CIFAR-10 and CIFAR-100 in RLNET_DATA")]
fn a_regenerated_file_is_the_published_one_until_a_byte_is_flipped() {
    let sandbox = Sandbox::new();
    let data = rlnet_test_support::images().display().to_string();
    sandbox.ok(&format!("data verify cifar10 --data-dir {data}"));
    sandbox.ok(&format!(
        "corrupt cifar10 --data-dir {data} --out c --names brightness"
    ));
    let verify = ["corrupt", "verify", "c", "--data-dir", &data];
    let output = sandbox.ok(&verify).stdout;
    assert!(
        output.contains("cifar10-c: 2 equal, 0 differ, 18 missing"),
        "{output}"
    );
    let mut bytes = fs::read(sandbox.path("c/brightness.npy")).expect("a file");
    bytes[HEADER + 1_000_000] ^= 1;
    sandbox.write("c/brightness.npy", bytes);
    let output = sandbox.run(&verify);
    assert_eq!(output.code, 1);
    assert!(
        output
            .stdout
            .contains("(1) differ from a regeneration, by 1 at most"),
        "{}",
        output.stdout
    );
}

#[test]
fn a_preview_shows_every_corruption_at_every_severity() {
    let sandbox = Sandbox::new();
    sandbox.ok("corrupt preview --dataset shapes --index 3 --out p.png");
    let png = fs::read(sandbox.path("p.png")).expect("a picture");
    assert!(png.starts_with(b"\x89PNG"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    // Twice as large, with the names of rows at the left and of columns above.
    let (left, top) = (number(16) - 2 * (19 * 34 + 2), number(20) - 2 * (5 * 34 + 2));
    assert!(
        (10..100).contains(&left) && (100..400).contains(&top),
        "{left} {top}"
    );
    // The sheet itself is a picture too, but of a size no parameters were published for.
    let sheet = ["corrupt", "preview", "--image", "p.png", "--out", "q.png"];
    let output = sandbox.run(&sheet);
    assert_eq!(output.code, 2);
    let size = format!("{}x{}", number(16), number(20));
    assert!(output.stderr.contains(&size), "{}", output.stderr);
    for bad in [
        &["corrupt", "preview", "--out", "q.png"][..],
        &[
            "corrupt",
            "preview",
            "--dataset",
            "shapes",
            "--index",
            "2000",
            "--out",
            "q.png",
        ],
        &["corrupt", "preview", "--image", "nothing.png", "--out", "q.png"],
        &["corrupt", "preview", "--dataset", "shapes", "--out", "q.jpg"],
    ] {
        assert_eq!(sandbox.run(bad).code, 2, "{bad:?}");
    }
    assert!(!sandbox.path("q.png").exists() && !sandbox.path("q.jpg").exists());
    let output = sandbox.run("corrupt preview --out q.png");
    assert!(
        output.stderr.contains("--image") && output.stderr.contains("--dataset"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_folder_without_a_file_of_the_archive_is_no_archive() {
    let sandbox = Sandbox::new();
    sandbox.write("wrong/readme.txt", "nothing to see");
    for folder in ["wrong", "nowhere"] {
        let output = sandbox.run(&["corrupt", "verify", folder]);
        assert_eq!(output.code, 2, "{}", output.stderr);
        assert!(
            output.stderr.contains(folder) && output.stdout.is_empty(),
            "{}",
            output.stderr
        );
    }
}
