//! `rlnet corrupt`: the official layout, made, resumed, checked, drawn.

use crate::harness::{Place, skipped};
use serde_json::Value;
use std::fs;

/// Header of a `.npy` file of the official layout, and bytes of an image.
const HEADER: usize = 128;
const IMAGE: usize = 32 * 32 * 3;

fn files(place: &Place, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(place.path(folder))
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
    let place = Place::new();
    let make = ["corrupt", "shapes", "--limit", "50", "--out", "c", "--json"];
    let first = json(&place.ok(&make).stdout);
    assert_eq!((&first["made"], &first["images"]), (&20.into(), &50.into()));
    let made = files(&place, "c");
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
    let again = json(&place.ok(&make).stdout);
    assert_eq!(again["made"], 0);
    fs::remove_file(place.path("c/fog.npy")).expect("a file");
    place.write("c/snow.npy", b"damaged");
    let resumed = json(&place.ok(&make).stdout);
    assert_eq!(resumed["made"], 2);
    let by_name = |files: &[(String, Vec<u8>)]| {
        let npy = files.iter().filter(|file| file.0.ends_with(".npy"));
        npy.cloned().collect::<Vec<_>>()
    };
    assert!(by_name(&files(&place, "c")) == by_name(&made));

    // A folder never holds files of two makings, and nobody else's are overwritten.
    let other = place.run(&["corrupt", "shapes", "--limit", "50", "--out", "c", "--seed", "9"]);
    assert_eq!(other.code, 2);
    assert!(
        other.stderr.contains("source.seed is 0 there, 9 here"),
        "{}",
        other.stderr
    );
    place.write("official/fog.npy", b"precious");
    let foreign = place.run(&["corrupt", "shapes", "--limit", "50", "--out", "official"]);
    assert_eq!(foreign.code, 2);
    assert!(foreign.stderr.contains("fog.npy") && foreign.stderr.contains("overwritten"));
    assert_eq!(files(&place, "official").len(), 1);
}

#[test]
fn an_image_does_not_depend_on_how_many_there_are() {
    let place = Place::new();
    let make = |limit: &str, out: &str, more: &[&str]| {
        let names = [
            "--names",
            "gaussian_noise,glass_blur",
            "--out",
            out,
            "--limit",
            limit,
        ];
        place.ok(&[&["corrupt", "shapes"], &names[..], more].concat());
    };
    make("20", "few", &[]);
    make("50", "many", &["--threads", "1"]);
    for name in ["gaussian_noise.npy", "glass_blur.npy"] {
        let read = |folder: &str| fs::read(place.path(folder).join(name)).expect("a file");
        let (few, many) = (read("few"), read("many"));
        for severity in 0..5 {
            let few = &few[HEADER + severity * 20 * IMAGE..][..20 * IMAGE];
            let many = &many[HEADER + severity * 50 * IMAGE..][..20 * IMAGE];
            assert!(few == many, "{name}, severity {}", severity + 1);
        }
    }
    // The reference's stream is another source, and says so.
    make("20", "stream", &["--rng", "numpy", "--seed", "3"]);
    let stream = fs::read(place.path("stream/gaussian_noise.npy")).expect("a file");
    assert!(stream != fs::read(place.path("few/gaussian_noise.npy")).expect("a file"));
    let provenance = fs::read_to_string(place.path("stream/provenance.json")).expect("a file");
    assert!(provenance.contains("numpy"), "{provenance}");
}

#[test]
fn bad_names_and_parts_of_a_file_are_refused() {
    let place = Place::new();
    for (more, hint) in [
        (&["--names", "contrats"][..], "did you mean `contrast`"),
        (&["--names", "none"], "at least one"),
        (&["--severity", "3"], "all five severities"),
        (&["--limit", "999999"], "2000 test images"),
        (&["--stack", "ancient"], "release, modern"),
        (&["--rng", "numpy", "--seed", "4294967296"], "4294967295"),
        (&["--frost-textures", "nowhere"], "nowhere"),
    ] {
        let said = place.run(&[&["corrupt", "shapes", "--out", "c"], more].concat());
        assert_eq!(said.code, 2, "{more:?}: {}", said.stderr);
        assert!(said.stderr.contains(hint), "{more:?}: {}", said.stderr);
        assert!(!place.path("c").exists(), "{more:?}");
    }
    assert_eq!(place.run(&["corrupt", "shapes"]).code, 2);
    assert_eq!(place.run(&["corrupt"]).code, 2);
    for help in [&["corrupt"][..], &["corrupt", "verify"], &["corrupt", "preview"]] {
        let help = place.ok(&[help, &["--help"]].concat()).stdout;
        assert!(help.contains("Example: rlnet corrupt"), "{help}");
    }
}

#[test]
fn verify_tells_the_published_files_from_others() {
    let place = Place::new();
    // The labels file of CIFAR-10-C needs the data set; its header and length do not.
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (50000,), }";
    let mut labels = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    labels.extend(format!("{header:<117}\n").into_bytes());
    labels.extend([0; 50_000]);
    place.write("c/labels.npy", &labels);
    place.write("c/fog.npy", &labels);
    let said = place.run(&["corrupt", "verify", "c"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let line = |name: &str| {
        said.stdout
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a line")
    };
    assert!(line("labels").contains("differs"), "{}", line("labels"));
    assert!(line("labels").contains("published c439b113295ed5254878798ffe28fd54"));
    assert!(line("fog").contains("shape"), "{}", line("fog"));
    assert!(line("snow").contains("missing"));
    assert!(
        said.stdout.contains("cifar10-c: 0 equal, 2 differ, 18 missing"),
        "{}",
        said.stdout
    );
    let said = place.run(&["corrupt", "verify", "c", "--against", "cifar100-c", "--json"]);
    assert_eq!(said.code, 1);
    assert_eq!(
        json(&said.stdout)["files"][19]["published"],
        "bb4026e9ce52996b95f439544568cdb2"
    );
    for bad in [&["nowhere"][..], &["c", "--against", "cifar-c"]] {
        assert_eq!(
            place.run(&[&["corrupt", "verify"], bad].concat()).code,
            2,
            "{bad:?}"
        );
    }
}

/// With CIFAR-10 at hand (`RLNET_DATA`): a published file to the byte, and a flipped byte.
#[test]
fn a_regenerated_file_is_the_published_one_until_a_byte_is_flipped() {
    let place = Place::new();
    let Some(data) = std::env::var_os("RLNET_DATA") else {
        skipped("no CIFAR-10; set RLNET_DATA");
        return;
    };
    let data = data.to_string_lossy().into_owned();
    if place
        .run(&["data", "verify", "cifar10", "--data-dir", &data])
        .code
        != 0
    {
        skipped(format_args!("no CIFAR-10 in {data}"));
        return;
    }
    place.ok(&[
        "corrupt",
        "cifar10",
        "--data-dir",
        &data,
        "--out",
        "c",
        "--names",
        "brightness",
    ]);
    let verify = ["corrupt", "verify", "c", "--data-dir", &data];
    let said = place.ok(&verify).stdout;
    assert!(
        said.contains("cifar10-c: 2 equal, 0 differ, 18 missing"),
        "{said}"
    );
    let mut bytes = fs::read(place.path("c/brightness.npy")).expect("a file");
    bytes[HEADER + 1_000_000] ^= 1;
    place.write("c/brightness.npy", bytes);
    let said = place.run(&verify);
    assert_eq!(said.code, 1);
    assert!(
        said.stdout
            .contains("(1) differ from a regeneration, by 1 at most"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_preview_shows_every_corruption_at_every_severity() {
    let place = Place::new();
    place.ok(&[
        "corrupt",
        "preview",
        "--dataset",
        "shapes",
        "--index",
        "3",
        "--out",
        "p.png",
    ]);
    let png = fs::read(place.path("p.png")).expect("a picture");
    assert!(png.starts_with(b"\x89PNG"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((number(16), number(20)), (5 * 34 + 2, 19 * 34 + 2));
    // The sheet itself is a picture too, but of a size no parameters were published for.
    let sheet = ["corrupt", "preview", "--image", "p.png", "--out", "q.png"];
    let said = place.run(&sheet);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("172x648"), "{}", said.stderr);
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
        assert_eq!(place.run(bad).code, 2, "{bad:?}");
    }
    assert!(!place.path("q.png").exists() && !place.path("q.jpg").exists());
    let said = place.run(&["corrupt", "preview", "--out", "q.png"]);
    assert!(
        said.stderr.contains("--image") && said.stderr.contains("--dataset"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_folder_without_a_file_of_the_archive_is_no_archive() {
    let place = Place::new();
    place.write("wrong/readme.txt", "nothing to see");
    for folder in ["wrong", "nowhere"] {
        let said = place.run(&["corrupt", "verify", folder]);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(
            said.stderr.contains(folder) && said.stdout.is_empty(),
            "{}",
            said.stderr
        );
    }
}
