//! Pictures of any shape: resized, cropped, trained on, corrupted, evaluated.

use crate::archives::{corrupted_rows, eval, plan};
use crate::support::{Sandbox, rows};
use rlnet_corruptions::Image;
use rlnet_corruptions::archive::{write_jpeg, write_png};
use rlnet_corruptions::picture::{Filter, Preparation};
use std::fs;
use std::path::Path;

/// A picture of a shape of its own, whose class is the direction of its stripes.
fn picture(class: usize, number: usize) -> Image {
    let (width, height) = (40 + number * 7 % 23, 38 + number * 5 % 31);
    let at = |x: usize, y: usize| {
        if (if class == 0 { x } else { y }) / 5 % 2 == 0 {
            210
        } else {
            40
        }
    };
    let pixels = (0..width * height).map(|i| (i % width, i / width));
    let data = pixels.flat_map(|(x, y)| [at(x, y), (number * 37 % 251) as u8, ((x + y) % 256) as u8]);
    Image::from_raw(width, height, data.collect()).expect("an image")
}

/// `FOLDER/train` and `FOLDER/val`; what is written of a picture is up to `made`.
fn folder(sandbox: &Sandbox, name: &str, made: impl Fn(&Image) -> Image) -> String {
    for (part, count, first) in [("train", 24, 0), ("val", 6, 100)] {
        for (class, word) in ["across", "down"].into_iter().enumerate() {
            let folder = sandbox.path(name).join(part).join(word);
            fs::create_dir_all(&folder).expect("a folder");
            for number in 0..count {
                let file = folder.join(format!("a{number}.png"));
                write_png(&made(&picture(class, first + number)), file).expect("a file");
            }
        }
    }
    format!("imagefolder:{name}")
}

const SUITE: [&str; 13] = [
    "run",
    "imagenet-small",
    "--set",
    "scale=smoke",
    "--set",
    "data.resize=36",
    "--set",
    "data.crop=32",
    "--set",
    "data.train=48",
    "--set",
    "data.test=12",
    "--threads=1",
];

#[test]
fn networks_are_trained_on_pictures_of_any_shape_and_see_what_torchvision_would_show_them() {
    let sandbox = Sandbox::new();
    let whole = folder(&sandbox, "whole", Image::clone);
    let usual = Preparation {
        resize: Some(36),
        crop: Some(32),
        filter: Filter::Bicubic,
    };
    let squares = folder(&sandbox, "squares", |image| usual.apply(image).expect("a square"));
    let dataset = format!("data.dataset={whole}");
    let more = ["--set", "data.filter=bicubic", "--set", &dataset, "--out", "r"];
    sandbox.ok(&[&SUITE[..], &more].concat());
    let cells = plan(&sandbox, "r").cells;
    let model = cells.iter().find(|cell| cell.name == "rlnet").expect("a student");
    assert!(
        model.data.dataset.ends_with("?resize=36&crop=32&filter=bicubic"),
        "{}",
        model.data.dataset
    );
    assert_eq!(rows(&sandbox, "r", "rlnet/clean").len(), 2 * 12);
    // Prepared here or beforehand, an image is the same.
    let model = sandbox
        .path(&format!("r/cells/{}/model.safetensors", model.id))
        .display()
        .to_string();
    let ask = ["--corruptions", "contrast,gaussian_noise", "--severity", "2"];
    let options = [
        "--dataset",
        &whole,
        "--resize",
        "36",
        "--crop",
        "32",
        "--filter",
        "bicubic",
    ];
    assert_eq!(
        eval(&sandbox, &model, "a", &[&options[..], &ask].concat()).code,
        0
    );
    assert_eq!(
        eval(
            &sandbox,
            &model,
            "b",
            &[&["--dataset", &squares][..], &ask].concat()
        )
        .code,
        0
    );
    let (made, read) = (corrupted_rows(&sandbox, "a"), corrupted_rows(&sandbox, "b"));
    assert_eq!(made.len(), 2 * 2 * 12);
    assert_eq!(made, read);
    // A tree of corrupted images, and answers to it.
    sandbox.ok(&[
        &[
            "corrupt",
            &whole,
            "--out",
            "tree",
            "--names",
            "contrast,gaussian_noise",
        ][..],
        &options[2..],
    ]
    .concat());
    let tree = ["--corrupted-dir", "tree"];
    assert_eq!(
        eval(&sandbox, &model, "c", &[&options[..], &ask, &tree].concat()).code,
        0
    );
    assert_eq!(made, corrupted_rows(&sandbox, "c"));

    for (options, hint) in [
        (&["--dataset", &whole][..], "--resize 256 --crop 224"),
        (
            &["--dataset", &whole, "--crop", "64"],
            "too few for a crop of 64 x 64",
        ),
        (&["--dataset", "cifar10", "--crop", "16"], "pictures of one's own"),
        (
            &["--dataset", &whole, "--resize", "32", "--crop", "40"],
            "larger than resize",
        ),
        (&["--dataset", &whole, "--filter", "lanczos"], "changes nothing"),
    ] {
        let refused = eval(&sandbox, &model, "no", options);
        assert_eq!(refused.code, 2, "{options:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(hint), "{options:?}: {}", refused.stderr);
        assert!(
            !Path::new(&sandbox.path("no")).exists()
                || fs::read_dir(sandbox.path("no")).expect("a folder").count() == 0
        );
    }
}

/// What stands beside AugMix: PixMix, noise, and a corruption that no benchmark averages, each drawn by key.
#[test]
fn pictures_of_any_shape_take_every_augmentation() {
    let sandbox = Sandbox::new();
    let whole = format!("data.dataset={}", folder(&sandbox, "whole", Image::clone));
    let mut weights = Vec::new();
    for (out, augmentation) in [("a", "pixmix"), ("b", "corruption"), ("c", "corruption")] {
        let augmentation = format!("training.augmentation={augmentation}");
        let more = [
            "--set",
            &whole,
            "--set",
            &augmentation,
            "--only",
            "teacher*",
            "--out",
            out,
        ];
        sandbox.ok(&[&SUITE[..], &more].concat());
        let cells = plan(&sandbox, out).cells;
        let teacher = cells
            .iter()
            .find(|cell| cell.name == "teacher")
            .expect("a teacher");
        let file = sandbox.path(&format!("{out}/cells/{}/model.safetensors", teacher.id));
        weights.push(fs::read(file).expect("a model"));
    }
    assert!(weights[1] == weights[2] && weights[0] != weights[1]);
}

/// JPEG files that are cut short are found when they are read, with their name.
#[test]
fn a_damaged_picture_is_named() {
    let sandbox = Sandbox::new();
    let whole = folder(&sandbox, "whole", Image::clone);
    let file = sandbox.path("whole/val/down/a3.jpg");
    fs::remove_file(sandbox.path("whole/val/down/a3.png")).expect("a file");
    write_jpeg(&picture(1, 3), 90, &file).expect("a file");
    let bytes = fs::read(&file).expect("a file");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("a file");
    let name = format!("{whole}?resize=36&crop=32");
    let refused = sandbox.run(&["data", "verify", &name]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("a3.jpg") && refused.stderr.contains("cut short"),
        "{}",
        refused.stderr
    );
}

/// Folders of some classes only, numbered by a list of all of them.
#[test]
fn a_list_of_classes_numbers_them() {
    let sandbox = Sandbox::new();
    let whole = folder(&sandbox, "whole", Image::clone);
    let name = format!("{whole}?crop=32");
    let verify = ["data", "verify", &name, "--json"];
    let facts = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("JSON") };
    let two = facts(&sandbox.ok(&verify).stdout);
    sandbox.write("whole/classes.txt", "down\nsideways\nacross\n");
    let three = facts(&sandbox.ok(&verify).stdout);
    assert_eq!((&two["classes"], &three["classes"]), (&2.into(), &3.into()));
    assert_eq!(two["test"], three["test"]);
    assert_ne!(two["checksum"], three["checksum"]);
    for (list, hint) in [
        ("down\nup", "lists no class of this name"),
        ("down\nacross\ndown", "twice"),
    ] {
        sandbox.write("whole/classes.txt", list);
        let refused = sandbox.run(&verify);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    }
}
