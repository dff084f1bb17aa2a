//! Corrupted images read from archives: the same answers as when they are made on the fly, and
//! a clear refusal of what is no archive of these images.

use crate::support::{CommandOutput, Sandbox, TINY};
use rlnet_suites::{Cell, CellSpec, Condition, Outcome, Plan};
use rlnet_test_support::reference;
use std::fs;
use std::sync::OnceLock;

/// Header of a `.npy` file of the official layout, and bytes of an image.
const HEADER: usize = 128;
const IMAGE: usize = 32 * 32 * 3;

/// A network trained for seconds; the path of its file.
pub fn model(sandbox: &Sandbox, suite: &str, name: &str) -> String {
    sandbox.write("s.toml", suite);
    sandbox.ok(&format!("run s.toml --out trained --only {name}"));
    let plan = plan(sandbox, "trained");
    let cell = plan.cells.iter().find(|cell| cell.name == name).expect("a cell");
    let file = sandbox.path(&format!("trained/cells/{}/model.safetensors", cell.id));
    file.display().to_string()
}

/// As [`model`], trained once for all tests of this process; the path of a copy of its file.
fn small_model(sandbox: &Sandbox) -> String {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = MODEL.get_or_init(|| {
        let sandbox = Sandbox::new();
        fs::read(model(&sandbox, TINY, "plain")).expect("a model")
    });
    sandbox
        .write("trained/model.safetensors", bytes)
        .display()
        .to_string()
}

pub fn plan(sandbox: &Sandbox, out: &str) -> Plan {
    let bytes = fs::read(sandbox.path(out).join("plan.json")).expect("a plan");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The rows of every corrupted cell of a run, in the plan's order.
pub fn corrupted_rows(sandbox: &Sandbox, out: &str) -> Vec<Outcome> {
    let cells = plan(sandbox, out).cells;
    let is_corrupted = |cell: &&Cell| match &cell.spec {
        CellSpec::Evaluate(spec) => matches!(spec.conditions[0], Condition::Corruption { .. }),
        CellSpec::Train(_) => false,
    };
    let corrupted = cells.iter().filter(is_corrupted);
    corrupted
        .flat_map(|cell| {
            let path = sandbox
                .path(out)
                .join(format!("cells/{}/outcomes.parquet", cell.id));
            rlnet_reports::read_records::<rlnet_suites::Outcome>(&path).expect("rows")
        })
        .collect()
}

pub fn eval(sandbox: &Sandbox, model: &str, out: &str, more: &[&str]) -> CommandOutput {
    sandbox.run(&[&["eval", model, "--out", out, "--threads", "1"], more].concat())
}

fn done(output: CommandOutput) -> CommandOutput {
    assert_eq!(output.code, 0, "{}", output.stderr);
    output
}

pub fn refused(output: &CommandOutput, hints: &[&str]) {
    assert_eq!(output.code, 2, "{}", output.stderr);
    for hint in hints {
        assert!(output.stderr.contains(hint), "no {hint:?} in: {}", output.stderr);
    }
}

/// The strongest check there is of generator, layout and reader: every prediction, margin and
/// loss of images read from an archive equals that of images made on the fly.
#[test]
fn an_archive_gives_every_answer_of_images_made_on_the_fly() {
    let sandbox = Sandbox::new();
    let model = small_model(&sandbox);
    let names = "gaussian_noise,glass_blur,frost,jpeg_compression,spatter";
    let ask = ["--dataset", "shapes", "--corruptions", names, "--limit", "40"];
    for (variant, make, on_the_fly) in [
        ("keyed", &["--seed", "5"][..], &["--seed", "5"][..]),
        ("modern", &["--stack", "modern"], &["--stack", "modern"]),
    ] {
        let archive = format!("archive-{variant}");
        // More images in the archive than are asked about: the first of each severity are used.
        let corrupt = [
            "corrupt", "shapes", "--limit", "64", "--names", names, "--out", &archive,
        ];
        sandbox.ok(&[&corrupt[..], make].concat());
        let (made, read) = (format!("made-{variant}"), format!("read-{variant}"));
        done(eval(&sandbox, &model, &made, &[&ask[..], on_the_fly].concat()));
        done(eval(
            &sandbox,
            &model,
            &read,
            &[&ask[..], &["--corrupted-dir", &archive]].concat(),
        ));
        let (made, read) = (corrupted_rows(&sandbox, &made), corrupted_rows(&sandbox, &read));
        assert_eq!(made.len(), 5 * 5 * 40);
        assert_eq!(made, read, "{variant}");
        let wrong = made.iter().filter(|row| row.prediction != row.label).count();
        assert!(wrong > 0, "nothing is tested when corruption changes nothing");
    }
    // Severities in any choice, batches of any size.
    let some = [&ask[..], &["--severity", "2,4", "--batch", "7"]].concat();
    done(eval(
        &sandbox,
        &model,
        "some",
        &[&some[..], &["--corrupted-dir", "archive-modern"]].concat(),
    ));
    let all = corrupted_rows(&sandbox, "made-modern");
    let wanted = |row: &&Outcome| {
        let condition = row.condition.to_string();
        condition.ends_with("/2") || condition.ends_with("/4")
    };
    let all: Vec<Outcome> = all.iter().filter(wanted).cloned().collect();
    let close = |a: &Outcome, b: &Outcome| {
        (a.image, &a.condition, a.prediction, a.label) == (b.image, &b.condition, b.prediction, b.label)
            && (a.margin - b.margin).abs() < 1e-4
    };
    let some = corrupted_rows(&sandbox, "some");
    assert_eq!(all.len(), some.len());
    assert!(all.iter().zip(&some).all(|(a, b)| close(a, b)));
}

#[test]
fn a_numpy_stream_is_written_once_and_gives_the_answers_of_its_archive() {
    let sandbox = Sandbox::new();
    let model = small_model(&sandbox);
    let names = "gaussian_noise,motion_blur,spatter";
    let ask = ["--dataset", "shapes", "--corruptions", names, "--limit", "20"];
    let stream = ["--rng", "numpy", "--seed", "3"];
    sandbox.ok(&[
        &[
            "corrupt", "shapes", "--limit", "20", "--names", names, "--out", "c",
        ],
        &stream[..],
    ]
    .concat());
    done(eval(&sandbox, &model, "made", &[&ask[..], &stream].concat()));
    done(eval(
        &sandbox,
        &model,
        "read",
        &[&ask[..], &["--corrupted-dir", "c"]].concat(),
    ));
    assert_eq!(corrupted_rows(&sandbox, "made"), corrupted_rows(&sandbox, "read"));
    for name in ["gaussian_noise.npy", "spatter.npy", "labels.npy"] {
        let of = |folder: &str| fs::read(sandbox.path(folder).join(name)).expect("a file");
        assert!(of("made/corrupted") == of("c"), "{name}");
    }
    let again = done(eval(&sandbox, &model, "made", &[&ask[..], &stream].concat()));
    assert!(again.stdout.contains("nothing was computed"), "{}", again.stdout);
    // Each draw depends on those before it, so another list is another stream: nothing is reused.
    let shorter = ["--dataset", "shapes", "--corruptions", "spatter", "--limit", "20"];
    done(eval(
        &sandbox,
        &model,
        "shorter",
        &[&shorter[..], &stream].concat(),
    ));
    let id = |out: &str| {
        let cells = plan(&sandbox, out).cells;
        let cell = cells.iter().find(|cell| cell.name.ends_with("/spatter"));
        cell.expect("a cell").id.clone()
    };
    assert_ne!(id("made"), id("shorter"));
    let big = ["--seed", "4294967296", "--rng", "numpy"];
    refused(
        &eval(&sandbox, &model, "big", &[&ask[..], &big].concat()),
        &["4294967295"],
    );
}

#[test]
fn what_was_read_is_in_the_record_and_mixed_sources_are_labelled() {
    let sandbox = Sandbox::new();
    let model = small_model(&sandbox);
    let names = "fog,contrast";
    let ask = ["--dataset", "shapes", "--corruptions", names, "--limit", "20"];
    sandbox.ok(&format!("corrupt shapes --limit 20 --names {names} --out c"));
    done(eval(&sandbox, &model, "made", &ask));
    let read = [&ask[..], &["--corrupted-dir", "c"]].concat();
    done(eval(&sandbox, &model, "read", &read));
    let cell = |out: &str, name: &str| {
        let cells = plan(&sandbox, out).cells;
        let cell = cells
            .iter()
            .find(|cell| cell.name.ends_with(name))
            .expect("a cell")
            .clone();
        let path = sandbox.path(&format!("{out}/cells/{}/cell.json", cell.id));
        let record: rlnet_suites::CellRecord =
            serde_json::from_slice(&fs::read(path).expect("a record")).expect("JSON");
        (cell.id, record.provenance.corruptions)
    };
    let (made, read_once) = (cell("made", "/fog"), cell("read", "/fog"));
    assert_ne!(made.0, read_once.0);
    assert_eq!(cell("made", "/clean").0, cell("read", "/clean").0);
    assert!(
        made.1.contains("\"source\":\"generated\"") && made.1.contains("procedural"),
        "{}",
        made.1
    );
    let md5 = rlnet_corruptions::archive::md5_of(&sandbox.path("c/fog.npy")).expect("a file");
    for part in ["\"source\":\"archive\"", &md5, "keyed draws of seed 0"] {
        assert!(read_once.1.contains(part), "{part} is not in {}", read_once.1);
    }
    // One byte more or less is another cell; that of the file that did not change stays.
    let mut bytes = fs::read(sandbox.path("c/fog.npy")).expect("a file");
    bytes[HEADER + 7] ^= 1;
    sandbox.write("c/fog.npy", bytes);
    done(eval(&sandbox, &model, "changed", &read));
    assert_ne!(cell("changed", "/fog").0, read_once.0);
    assert_eq!(cell("changed", "/contrast").0, cell("read", "/contrast").0);

    let alone = sandbox.ok("report read --out alone").stdout;
    assert!(
        !alone.contains("mixed-corruption-sources") && !alone.contains("[files"),
        "{alone}"
    );
    let both = sandbox.ok("report made read --out both").stdout;
    assert!(both.contains("Warning (mixed-corruption-sources)"), "{both}");
    for label in [
        "[generated, release stack, procedural frost]",
        "[files made by rlnet corrupt]",
    ] {
        for file in ["tables/corruptions.md", "tables/main.md", "index.html"] {
            let text = fs::read_to_string(sandbox.path("both/report").join(file)).expect(file);
            assert!(text.contains(label), "{label} is not in {file}");
        }
    }
}

/// A file as other writers of NumPy files form it.
fn npy(version: u8, dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    let text = format!("{dictionary}\n");
    match version {
        1 => bytes.extend((text.len() as u16).to_le_bytes()),
        _ => bytes.extend((text.len() as u32).to_le_bytes()),
    }
    bytes.extend(text.bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn every_header_version_is_read_and_what_is_no_archive_of_these_images_is_refused() {
    let sandbox = Sandbox::new();
    let model = small_model(&sandbox);
    sandbox.ok("corrupt shapes --limit 20 --names fog --out c");
    let ask = |limit: &'static str| {
        let ask = ["--dataset", "shapes", "--corruptions", "fog", "--limit", limit];
        [&ask[..], &["--corrupted-dir", "c"]].concat()
    };
    done(eval(&sandbox, &model, "first", &ask("20")));
    let good = fs::read(sandbox.path("c/fog.npy")).expect("a file");
    let labels = fs::read(sandbox.path("c/labels.npy")).expect("a file");
    let shape = "'shape': (100, 32, 32, 3)";
    for version in [1, 2, 3] {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, {shape}, }}");
        sandbox.write("c/fog.npy", npy(version, &text, &good[HEADER..]));
        let out = format!("version{version}");
        done(eval(&sandbox, &model, &out, &ask("20")));
        assert_eq!(corrupted_rows(&sandbox, &out), corrupted_rows(&sandbox, "first"));
    }
    let u1 = |shape: &str, data: &[u8]| {
        npy(
            1,
            &format!("{{'descr': '|u1', 'fortran_order': False, {shape}, }}"),
            data,
        )
    };
    let f4 = format!("{{'descr': '<f4', 'fortran_order': False, {shape}, }}");
    let mut odd = labels.clone();
    odd[HEADER + 45] ^= 1;
    let cases: [(&str, Vec<u8>, &str, &[&str]); 9] = [
        (
            "fog",
            npy(1, &f4, &[0; 4]),
            "20",
            &["fog.npy", "<f4", "unsigned bytes"],
        ),
        (
            "fog",
            good[..good.len() - 1].to_vec(),
            "20",
            &["fog.npy", "bytes do not hold"],
        ),
        ("fog", b"PK".to_vec(), "20", &["fog.npy", "not a whole .npy file"]),
        (
            "fog",
            u1("'shape': (50, 32, 32, 3)", &good[..50 * IMAGE]),
            "20",
            &["fog.npy", "[50, 32, 32, 3]", "[100, 32, 32, 3]"],
        ),
        (
            "fog",
            u1("'shape': (100, 3072)", &good[HEADER..]),
            "20",
            &["fog.npy", "[100, 3072]"],
        ),
        (
            "labels",
            odd,
            "20",
            &[
                "labels.npy",
                "row 45 (severity 3)",
                "test image 5",
                "another data set",
            ],
        ),
        (
            "labels",
            u1("'shape': (4,)", &[0; 4]),
            "20",
            &["labels.npy", "5 severities"],
        ),
        (
            "labels",
            labels.clone(),
            "21",
            &["holds 20 images a severity", "21 test images", "--limit 20"],
        ),
        (
            "labels",
            Vec::new(),
            "20",
            &["labels.npy", "not a whole .npy file"],
        ),
    ];
    for (name, bytes, limit, hints) in cases {
        sandbox.write("c/fog.npy", &good);
        sandbox.write("c/labels.npy", &labels);
        sandbox.write(&format!("c/{name}.npy"), bytes);
        refused(&eval(&sandbox, &model, "bad", &ask(limit)), hints);
    }
    sandbox.write("c/labels.npy", &labels);
    fs::remove_file(sandbox.path("c/fog.npy")).expect("a file");
    refused(
        &eval(&sandbox, &model, "bad", &ask("20")),
        &["has no fog.npy", "rlnet corrupt"],
    );
    let nowhere = [
        "--dataset",
        "shapes",
        "--corruptions",
        "fog",
        "--corrupted-dir",
        "nowhere",
    ];
    refused(
        &eval(&sandbox, &model, "bad", &nowhere),
        &["nowhere", "rlnet corrupt shapes --out"],
    );
    let nothing = ["--dataset", "shapes", "--corrupted-dir", "c"];
    refused(&eval(&sandbox, &model, "bad", &nothing), &["--corruptions all"]);
    let both = [&ask("20")[..], &["--stack", "modern"]].concat();
    refused(&eval(&sandbox, &model, "bad", &both), &["--stack"]);
    let frost = [&ask("20")[..], &["--frost-textures", "c"]].concat();
    refused(
        &eval(&sandbox, &model, "bad", &frost),
        &["--frost-textures", "read"],
    );
    assert!(!sandbox.path("bad").exists(), "nothing half-written");
}

#[test]
fn a_suite_says_where_corrupted_images_come_from() {
    let sandbox = Sandbox::new();
    let suite = TINY.replace("[evaluation]", "[evaluation]\ncorrupted = \"official\"");
    sandbox.write("o.toml", &suite);
    let run = ["run", "o.toml", "--out", "out", "--only", "plain/*"];
    refused(&sandbox.run(&run), &["--corrupted-dir"]);
    sandbox.ok("corrupt shapes --limit 40 --names gaussian_noise,contrast --out c");
    sandbox.ok(&[&run[..], &["--corrupted-dir", "c"]].concat());
    sandbox.write("g.toml", TINY);
    let made = ["run", "g.toml", "--out", "made", "--only", "plain/*"];
    refused(
        &sandbox.run(&[&made[..], &["--corrupted-dir", "c"]].concat()),
        &["evaluation.corrupted=official"],
    );
    sandbox.ok(&made);
    let of = |out: &str| {
        let rows = plan(&sandbox, out)
            .cells
            .into_iter()
            .filter(|cell| cell.name.starts_with("plain/"));
        let corrupted = rows.filter(|cell| cell.name.contains("noise") || cell.name.contains("contrast"));
        corrupted
            .flat_map(|cell| {
                let path = sandbox
                    .path(out)
                    .join(format!("cells/{}/outcomes.parquet", cell.id));
                rlnet_reports::read_records::<rlnet_suites::Outcome>(&path).expect("rows")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of("out").len(), 2 * 2 * 40);
    assert_eq!(of("out"), of("made"));

    let bad = suite.replace("\"official\"", "\"offical\"");
    sandbox.write("bad.toml", bad);
    refused(
        &sandbox.run("suite check bad.toml"),
        &["`offical`", "did you mean `official`?"],
    );
    sandbox.write(
        "both.toml",
        suite.replace("corrupted =", "rng = \"numpy\"\ncorrupted ="),
    );
    refused(&sandbox.run("suite check both.toml"), &["read and not made"]);
}

/// Of the suites that only measure, on images that take seconds.
const FROST_ONLY: [&str; 6] = [
    "--set",
    "data.dataset=shapes",
    "--limit",
    "20",
    "--set",
    "evaluation.corruptions=[\"frost\"]",
];

#[test]
fn suites_that_only_measure_are_shown_and_refused_by_run() {
    let sandbox = Sandbox::new();
    for name in ["official", "official-parity"] {
        assert!(sandbox.ok(&["suite", "show", name]).stdout.contains(name));
        refused(&sandbox.run(&["run", name]), &["rlnet eval MODEL --suite"]);
    }
    let model = small_model(&sandbox);
    let parity = [&["--suite", "official-parity"][..], &FROST_ONLY].concat();
    refused(
        &eval(&sandbox, &model, "p", &parity),
        &["--frost-textures", "original"],
    );
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_original_frost_photographs_make_other_images() {
    let sandbox = Sandbox::new();
    let model = small_model(&sandbox);
    let parity = [&["--suite", "official-parity"][..], &FROST_ONLY].concat();
    let frost = reference("data/frost");
    let frost = frost.display().to_string();
    let textures = ["--frost-textures", frost.as_str()];
    done(eval(&sandbox, &model, "p", &[&parity[..], &textures].concat()));
    // The same images, written by `corrupt`, measured by the suite that reads.
    let corrupt = [
        "corrupt", "shapes", "--limit", "20", "--names", "frost", "--rng", "numpy", "--out", "f",
    ];
    sandbox.ok(&[&corrupt[..], &textures].concat());
    let official = [
        &["--suite", "official"][..],
        &FROST_ONLY,
        &["--corrupted-dir", "f"],
    ]
    .concat();
    done(eval(&sandbox, &model, "o", &official));
    assert_eq!(corrupted_rows(&sandbox, "p"), corrupted_rows(&sandbox, "o"));
    // Other textures: other images, another cell, and the record names them.
    let ask = ["--dataset", "shapes", "--corruptions", "frost", "--limit", "20"];
    done(eval(&sandbox, &model, "formula", &ask));
    done(eval(
        &sandbox,
        &model,
        "photographs",
        &[&ask[..], &textures].concat(),
    ));
    assert_ne!(
        corrupted_rows(&sandbox, "formula"),
        corrupted_rows(&sandbox, "photographs")
    );
    let page = fs::read_to_string(sandbox.path("photographs/report/index.html")).expect("a page");
    assert!(page.contains("frost textures original, 5 files, MD5 7258f303"));
    let folder = sandbox.write("wrong/frost1.png", b"no photograph");
    let wrong = folder.parent().expect("a folder").display().to_string();
    let wrong = [&ask[..], &["--frost-textures", &wrong]].concat();
    refused(&eval(&sandbox, &model, "bad", &wrong), &["frost1.png", "MD5"]);
}
