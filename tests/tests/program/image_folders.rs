//! Data sets of picture files: Tiny-ImageNet and folders of one's own, trained on, evaluated,
//! corrupted into trees, read back.

use crate::archives::{corrupted_rows, eval, plan};
use crate::support::{CommandOutput, Sandbox};
use rlnet_corruptions::Image;
use rlnet_corruptions::archive::{write_jpeg, write_png};
use rlnet_suites::Outcome;
use rlnet_test_support::reference;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Class folders; not in sorted order, as in the official file.
const WNIDS: [&str; 3] = ["n03", "n01", "n02"];

/// A picture that tells its class by a stripe, and itself by its ground.
fn picture(side: usize, class: usize, number: usize) -> Image {
    let mut data = Vec::with_capacity(side * side * 3);
    for y in 0..side {
        for x in 0..side {
            let stripe = if x / 4 % 3 == class { 200 } else { 30 };
            data.extend([stripe, (number * 37 % 251) as u8, (y * 3 % 256) as u8]);
        }
    }
    Image::from_raw(side, side, data).expect("an image")
}

/// Tiny-ImageNet's layout with three classes, 20 training and 5 validation pictures of each.
fn tiny(sandbox: &Sandbox) -> String {
    sandbox.write("d/tiny-imagenet-200/wnids.txt", WNIDS.join("\n"));
    sandbox.write(
        "d/tiny-imagenet-200/words.txt",
        "n01\tgoldfish, Carassius\nn02\tslug\n",
    );
    let root = sandbox.path("d/tiny-imagenet-200");
    let mut annotations = String::new();
    for (class, wnid) in ["n01", "n02", "n03"].into_iter().enumerate() {
        let folder = root.join("train").join(wnid).join("images");
        fs::create_dir_all(&folder).expect("a folder");
        for number in 0..20 {
            let file = folder.join(format!("{wnid}_{number}.JPEG"));
            write_jpeg(&picture(64, class, number), 90, file).expect("a file");
        }
    }
    fs::create_dir_all(root.join("val/images")).expect("a folder");
    for number in 0..15 {
        // Mixed classes, and an order that is not that of the names' text.
        let class = number * 2 % 3;
        let name = format!("val_{number}.JPEG");
        write_jpeg(
            &picture(64, class, 100 + number),
            90,
            root.join("val/images").join(&name),
        )
        .expect("a file");
        annotations += &format!("{name}\t{}\t0\t0\t63\t63\n", ["n01", "n02", "n03"][class]);
    }
    fs::write(root.join("val/val_annotations.txt"), annotations).expect("a file");
    sandbox.path("d").display().to_string()
}

const SUITE: &str = r#"
schema = 1
name = "tiny-set"
title = "Seconds long"
description = "Pictures of 64 x 64 through training with every view."
[data]
dataset = "tiny-imagenet"
[network]
arch = "resnet8-w4"
[training]
batch = 16
epochs = 1
attack = "pgd:steps=1,alpha=5/255"
[[train]]
name = "teacher"
stage = "teacher"
[evaluation]
corruptions = ["fog"]
severities = [3]
attacks = ["fgsm"]
"#;

fn json(output: &CommandOutput) -> Value {
    assert_eq!(output.code, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).expect("JSON on stdout")
}

fn refused(output: &CommandOutput, hints: &[&str]) {
    assert_eq!(output.code, 2, "{}", output.stderr);
    for hint in hints {
        assert!(output.stderr.contains(hint), "no {hint:?} in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("internal:"), "{}", output.stderr);
}

fn trained(sandbox: &Sandbox, data: &str, suite: &str) -> String {
    sandbox.write("s.toml", suite);
    sandbox.ok(&format!("run s.toml --out trained --data-dir {data} --threads 1"));
    let cells = plan(sandbox, "trained").cells;
    let cell = cells.iter().find(|cell| cell.name == "teacher").expect("a cell");
    let file = sandbox.path(&format!("trained/cells/{}/model.safetensors", cell.id));
    file.display().to_string()
}

/// A small Tiny-ImageNet, a network trained on it, and questions about corrupted images.
struct Tiny {
    sandbox: Sandbox,
    data: String,
    model: String,
}

impl Tiny {
    fn new() -> Self {
        static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
        let sandbox = Sandbox::new();
        let data = tiny(&sandbox);
        let train = || fs::read(trained(&sandbox, &data, SUITE)).expect("a model");
        let model = sandbox.write("model.safetensors", MODEL.get_or_init(train));
        Self {
            data,
            model: model.display().to_string(),
            sandbox,
        }
    }

    /// Corrupts into a tree of image files.
    fn corrupt(&self, more: &str) -> CommandOutput {
        self.sandbox.run(&format!(
            "corrupt tiny-imagenet --data-dir {} --severity 2,5 --names {NAMES} {more}",
            self.data
        ))
    }

    /// Evaluates the network under the same corruptions.
    fn evaluate(&self, out: &str, more: &str) -> CommandOutput {
        self.sandbox.run(&format!(
            "eval {} --dataset tiny-imagenet --data-dir {} --corruptions {NAMES} --severity 2,5 --threads 1 \
             --out {out} {more}",
            self.model, self.data
        ))
    }

    /// The rows of an evaluation that ends well.
    fn rows(&self, out: &str, more: &str) -> Vec<Outcome> {
        let output = self.evaluate(out, more);
        assert_eq!(output.code, 0, "{}", output.stderr);
        corrupted_rows(&self.sandbox, out)
    }
}

const NAMES: &str = "fog,glass_blur,frost";

#[test]
fn tiny_imagenet_is_recognised_and_trained_on() {
    let sandbox = Sandbox::new();
    let data = tiny(&sandbox);
    let verified = json(&sandbox.run(&format!("data verify tiny-imagenet --data-dir {data} --json")));
    assert_eq!(
        (
            &verified["train"],
            &verified["test"],
            &verified["classes"],
            &verified["size"]
        ),
        (&60.into(), &15.into(), &3.into(), &64.into())
    );
    let list = sandbox.ok(&["data", "list", "--data-dir", &data]).stdout;
    assert!(
        list.contains("60 training and 15 test images, 3 classes"),
        "{list}"
    );

    // A suite: AugMix, crops and attacks on 64 x 64 pictures; the labels are ranks of ids.
    trained(&sandbox, &data, SUITE);
    let rows = corrupted_rows(&sandbox, "trained");
    let fog = rows.iter().filter(|row| row.condition.to_string() == "fog/3");
    let labels: Vec<u16> = fog.take(15).map(|row| row.label).collect();
    assert_eq!(labels, (0..15).map(|n| n * 2 % 3).collect::<Vec<u16>>());
}

#[test]
fn a_tree_of_png_files_gives_every_answer_of_images_made_on_the_fly() {
    let tiny = Tiny::new();
    assert_eq!(json(&tiny.corrupt("--out tree --json"))["made"], 6);
    assert!(tiny.sandbox.path("tree/fog/5/n03/val_1.png").exists());
    assert!(!tiny.sandbox.path("tree/fog/1").exists());
    let on_the_fly = tiny.rows("made", "");
    assert_eq!(
        on_the_fly.len(),
        3 * 2 * 2 * 15,
        "corruptions, severities, branches, images"
    );
    assert_eq!(tiny.rows("read", "--corrupted-dir tree"), on_the_fly);
    let few = tiny.rows("few", "--corrupted-dir tree --limit 4");
    assert!(few.iter().all(|row| row.image < 4) && few.len() == 48);

    // Files of the original's kind are another corruption on top.
    assert_eq!(tiny.corrupt("--out lossy --format jpeg").code, 0);
    assert!(tiny.sandbox.path("lossy/fog/5/n03/val_1.JPEG").exists());
    let lossy = tiny.rows("lossy-read", "--corrupted-dir lossy");
    assert!(lossy != on_the_fly);
    let apart = lossy
        .iter()
        .zip(&on_the_fly)
        .map(|(a, b)| (a.margin - b.margin).abs());
    assert!(apart.fold(0.0, f32::max) < 2.0, "but not another image");
}

#[test]
fn a_tree_under_other_file_names_is_read_by_its_folders() {
    let tiny = Tiny::new();
    assert_eq!(tiny.corrupt("--out tree").code, 0);
    // As in the published archive.
    copy(
        &tiny.sandbox.path("tree"),
        &tiny.sandbox.path("other/Tiny-ImageNet-C"),
        &|name| name.replace("val_", "test_"),
    );
    let read = tiny.evaluate("other-read", "--corrupted-dir other");
    assert!(read.stderr.contains("not the test images"), "{}", read.stderr);
    assert_eq!(
        corrupted_rows(&tiny.sandbox, "other-read"),
        tiny.rows("made", ""),
        "these happen to be the same pictures in the same order"
    );
    fs::create_dir_all(tiny.sandbox.path("other/Tiny-ImageNet-C/fog/2/n99")).expect("a folder");
    fs::copy(
        tiny.sandbox.path("other/Tiny-ImageNet-C/fog/2/n03/test_1.png"),
        tiny.sandbox.path("other/Tiny-ImageNet-C/fog/2/n99/test_1.png"),
    )
    .expect("a copy");
    refused(&tiny.evaluate("bad", "--corrupted-dir other"), &["no class n99"]);
}

#[test]
fn a_damaged_tree_is_found_made_good_and_refused() {
    let tiny = Tiny::new();
    assert_eq!(tiny.corrupt("--out tree").code, 0);
    assert_eq!(json(&tiny.corrupt("--out tree --json"))["made"], 0, "made twice");
    let verify = || tiny.sandbox.run("corrupt verify tree");
    let equal = verify().stdout;
    assert!(equal.contains("6 equal, 0 differ, 0 missing"), "{equal}");

    let file = tiny.sandbox.path("tree/frost/2/n01/val_0.png");
    fs::write(&file, b"no").expect("a file");
    let differ = verify();
    assert_eq!(differ.code, 1);
    assert!(differ.stdout.contains("5 equal, 1 differ"), "{}", differ.stdout);
    let damaged = tiny.evaluate("bad", "--corrupted-dir tree");
    refused(&damaged, &["val_0.png", "neither a PNG nor a JPEG"]);
    let others = fs::read_dir(tiny.sandbox.path("bad/cells")).expect("cells");
    assert_eq!(
        others.count(),
        3,
        "clean, fog and glass_blur are evaluated all the same"
    );
    assert_eq!(tiny.corrupt("--out tree").code, 0);
    assert!(verify().stdout.contains("6 equal"));

    fs::remove_file(&file).expect("a file");
    let missing = tiny.evaluate("bad2", "--corrupted-dir tree");
    refused(&missing, &["frost/2 has no n01/val_0.png"]);
    let foreign = tiny.evaluate("bad3", "--corrupted-dir d");
    refused(&foreign, &["a folder of each corruption"]);
}

#[test]
fn formats_and_draws_that_a_data_set_does_not_have_are_refused() {
    let sandbox = Sandbox::new();
    let data = tiny(&sandbox);
    let numpy = format!("corrupt tiny-imagenet --data-dir {data} --severity 2,5 --out x --rng numpy");
    refused(&sandbox.run(&numpy), &["--rng keyed"]);
    let arrays = "corrupt shapes --limit 4 --out y --format jpeg";
    refused(&sandbox.run(arrays), &["--format", ".npy"]);
}

/// Copies a tree, renaming files.
fn copy(from: &Path, to: &Path, rename: &dyn Fn(&str) -> String) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name), rename);
        } else if name != "provenance.json" {
            fs::copy(entry.path(), to.join(rename(&name))).expect("a copy");
        }
    }
}

#[test]
fn a_malformed_tiny_imagenet_names_file_line_and_reason() {
    let sandbox = Sandbox::new();
    let data = tiny(&sandbox);
    let root = sandbox.path("d/tiny-imagenet-200");
    let verify = || sandbox.run(&format!("data verify tiny-imagenet --data-dir {data}"));
    let first = verify().stdout;
    let check = |file: &str, text: &[u8], hints: &[&str]| {
        let path = root.join(file);
        let before = fs::read(&path).ok();
        fs::write(&path, text).expect("a file");
        refused(
            &verify(),
            &[&[file.rsplit('/').next().expect("a name")], hints].concat(),
        );
        match before {
            Some(bytes) => fs::write(&path, bytes).expect("a file"),
            None => fs::remove_file(&path).expect("a file"),
        }
    };
    let annotations = fs::read_to_string(root.join("val/val_annotations.txt")).expect("a file");
    let unknown = annotations.replacen("val_2.JPEG\tn02", "val_2.JPEG\tn77", 1);
    check("val/val_annotations.txt", unknown.as_bytes(), &["line 3", "n77"]);
    let twice = format!("{annotations}val_3.JPEG\tn01\n");
    check("val/val_annotations.txt", twice.as_bytes(), &["line 16", "twice"]);
    check("val/val_annotations.txt", b"val_0.JPEG n01\n", &["line 1", "tab"]);
    check(
        "val/val_annotations.txt",
        b"../../x.png\tn01\n",
        &["line 1", "name of a picture"],
    );
    check("val/val_annotations.txt", b"", &["names no picture"]);
    check("wnids.txt", b"n01\nn01\n", &["line 2", "twice"]);
    check("wnids.txt", b"../n01\n", &["line 1", "WordNet"]);
    check("wnids.txt", &[0xff, 0xfe], &["not text"]);
    let whole = fs::read(root.join("val/images/val_4.JPEG")).expect("a file");
    check("val/images/val_4.JPEG", &whole[..whole.len() / 2], &["cut short"]);
    check("val/images/val_4.JPEG", b"", &["neither a PNG nor a JPEG"]);
    write_png(&picture(32, 0, 0), sandbox.path("small.png")).expect("a file");
    let small = fs::read(sandbox.path("small.png")).expect("a file");
    check(
        "train/n02/images/n02_7.JPEG",
        &small,
        &["32 x 32 pixels, not 64 x 64"],
    );
    check("train/n02/images/n02_7.png", &small, &["same name"]);
    let named = "n01\nn02\nn03\nn04\n";
    let path = root.join("wnids.txt");
    fs::write(&path, named).expect("a file");
    refused(&verify(), &["n04"]);
    fs::write(&path, WNIDS.join("\n")).expect("a file");
    fs::remove_file(root.join("val/images/val_4.JPEG")).expect("a file");
    refused(&verify(), &["val_4.JPEG"]);
    fs::write(root.join("val/images/val_4.JPEG"), whole).expect("a file");
    assert_eq!(verify().stdout, first);
    let nowhere = sandbox.run("data verify tiny-imagenet --data-dir nowhere");
    refused(&nowhere, &["tiny-imagenet-200", "--data-dir"]);
}

#[test]
fn pictures_of_ones_own_are_evaluated_trained_on_and_corrupted() {
    let sandbox = Sandbox::new();
    let mut files = 0;
    for (part, count) in [("train", 24), ("test", 6)] {
        for (class, name) in ["ants", "bees"].into_iter().enumerate() {
            let folder = sandbox.path("mine").join(part).join(name);
            fs::create_dir_all(&folder).expect("a folder");
            for number in 0..count {
                let image = picture(32, class, number + 50 * usize::from(part == "test"));
                if number % 2 == 0 {
                    write_png(&image, folder.join(format!("a{number}.png"))).expect("a file");
                } else {
                    write_jpeg(&image, 95, folder.join(format!("a{number}.jpg"))).expect("a file");
                }
                files += 1;
            }
        }
    }
    assert_eq!(files, 60);
    let suite = SUITE.replace("tiny-imagenet", "imagefolder:mine");
    let model = trained(&sandbox, "no-data", &suite);
    let ask = [
        "--dataset",
        "imagefolder:mine",
        "--corruptions",
        "contrast",
        "--severity",
        "3",
    ];
    assert_eq!(eval(&sandbox, &model, "made", &ask).code, 0);
    let rows = corrupted_rows(&sandbox, "made");
    // The third logit that this loss divides by is not there.
    for attack in ["apgd-dlr", "pgd:loss=dlr,steps=2"] {
        let ask = ["--dataset", "imagefolder:mine", "--attack", attack];
        refused(
            &eval(&sandbox, &model, "dlr", &ask),
            &["needs 3 classes", "has 2"],
        );
    }
    // Classes take turns, so that the first images hold all of them.
    let labels: Vec<u16> = rows.iter().take(12).map(|row| row.label).collect();
    assert_eq!(labels, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    sandbox.ok("corrupt imagefolder:mine --out tree --names contrast");
    assert!(sandbox.path("tree/contrast/3/bees/a5.png").exists());
    assert_eq!(
        eval(
            &sandbox,
            &model,
            "read",
            &[&ask[..], &["--corrupted-dir", "tree"]].concat()
        )
        .code,
        0
    );
    assert_eq!(corrupted_rows(&sandbox, "read"), rows);
    let preview = [
        "corrupt",
        "preview",
        "--dataset",
        "imagefolder:mine",
        "--index",
        "3",
        "--out",
        "p.png",
    ];
    sandbox.ok(&preview);

    // The class folders alone are a test set, for evaluation only.
    let flat = [
        "--dataset",
        "imagefolder:mine/test",
        "--corruptions",
        "contrast",
        "--severity",
        "3",
    ];
    assert_eq!(eval(&sandbox, &model, "flat", &flat).code, 0);
    assert_eq!(corrupted_rows(&sandbox, "flat"), rows);
    sandbox.write("f.toml", SUITE.replace("tiny-imagenet", "imagefolder:mine/test"));
    refused(
        &sandbox.run("run f.toml"),
        &["imagefolder:mine/test", "too few to train"],
    );

    let verify = |name: &str| sandbox.run(&["data", "verify", name]);
    refused(&verify("imagefolder:nowhere"), &["nowhere", "no such folder"]);
    // Pictures without classes can be corrupted, and not judged.
    assert_eq!(verify("imagefolder:mine/test/ants").code, 0);
    let ants = ["--dataset", "imagefolder:mine/test/ants"];
    refused(
        &eval(&sandbox, &model, "ants", &ants),
        &["nothing says what its pictures show"],
    );
    let odd = Image::from_raw(32, 16, vec![9; 32 * 16 * 3]).expect("an image");
    write_png(&odd, sandbox.path("mine/test/bees/odd.png")).expect("a file");
    refused(
        &verify("imagefolder:mine"),
        &["odd.png", "32 x 16 pixels", "square"],
    );
    fs::remove_file(sandbox.path("mine/test/bees/odd.png")).expect("a file");
    fs::create_dir_all(sandbox.path("mine/test/wasps")).expect("a folder");
    refused(&verify("imagefolder:mine"), &["wasps", "no PNG or JPEG"]);
    write_png(&picture(32, 0, 0), sandbox.path("mine/test/wasps/a.png")).expect("a file");
    refused(&verify("imagefolder:mine"), &["different classes", "wasps"]);
}

/// The real pictures, when they are there: grey JPEG files among them.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn real_pictures_are_read_as_they_are() {
    let sandbox = Sandbox::new();
    let packed = reference("data/tiny-imagenet-200-subset20.tar.xz");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xJf").arg(packed).arg("-C").arg(sandbox.path(""));
    assert!(tar.status().expect("tar").success());
    let root = sandbox.path("").display().to_string();
    let output = json(&sandbox.run(&format!("data verify tiny-imagenet --data-dir {root} --json")));
    assert_eq!(
        (&output["train"], &output["test"], &output["classes"]),
        (&1000.into(), &1000.into(), &20.into())
    );
    assert!(
        output["provenance"]
            .as_str()
            .is_some_and(|text| text.contains("20 of 200 classes"))
    );
    let corrupt = [
        "corrupt",
        "tiny-imagenet",
        "--data-dir",
        &root,
        "--limit",
        "30",
        "--out",
        "c",
    ];
    sandbox.ok(&[&corrupt[..], &["--names", "all", "--severity", "3"]].concat());
    assert_eq!(fs::read_dir(sandbox.path("c")).expect("a folder").count(), 20);
}

/// Scripts for PyTorch move the validation pictures into class folders; some delete the annotations.
#[test]
fn tiny_imagenet_with_moved_validation_pictures_is_the_same_data_set() {
    for inside in ["", "images"] {
        let sandbox = Sandbox::new();
        let data = tiny(&sandbox);
        let verify = || {
            let verified = json(&sandbox.run(&format!("data verify tiny-imagenet --data-dir {data} --json")));
            (verified["checksum"].clone(), verified["test"].clone())
        };
        let official = verify();
        let val = sandbox.path("d/tiny-imagenet-200/val");
        for number in 0..15 {
            let folder = val.join(["n01", "n02", "n03"][number * 2 % 3]).join(inside);
            fs::create_dir_all(&folder).expect("a folder");
            let name = format!("val_{number}.JPEG");
            fs::rename(val.join("images").join(&name), folder.join(&name)).expect("moved");
        }
        assert_eq!(verify(), official, "with val_annotations.txt");
        fs::remove_dir(val.join("images")).expect("an empty folder");
        let annotations = val.join("val_annotations.txt");
        let text = fs::read_to_string(&annotations).expect("a file");
        fs::remove_file(&annotations).expect("a file");
        assert_eq!(verify(), official, "without it");
        fs::write(&annotations, text).expect("a file");
        fs::remove_file(val.join("n02").join(inside).join("val_5.JPEG")).expect("a file");
        let output = sandbox.run(&format!("data verify tiny-imagenet --data-dir {data}"));
        refused(
            &output,
            &[
                "val_annotations.txt, line 6",
                "no val_5.JPEG in",
                "val/n02/images",
            ],
        );
    }
}

/// Pictures of other kinds, and in sub-folders, are counted and named wherever a data set is read.
#[test]
fn files_that_are_left_out_are_named() {
    let sandbox = Sandbox::new();
    folders(&sandbox, "mixed", 32, 2);
    for other in ["a.bmp", "b.webp", "c.tif", "nested/d.png"] {
        sandbox.write(&format!("mixed/test/c0/{other}"), b"x");
    }
    let named = ["4 files under", "1 .bmp", "1 .tif", "1 .webp", "1 in sub-folders"];
    let verified = sandbox.ok("data verify imagefolder:mixed");
    let corrupted = sandbox.ok("corrupt imagefolder:mixed --out tree --names contrast --severity 1");
    for hint in named {
        assert!(verified.stdout.contains(hint), "{}", verified.stdout);
        assert!(corrupted.stderr.contains(hint), "{}", corrupted.stderr);
    }
    fs::create_dir_all(sandbox.path("mixed/test/c9")).expect("a folder");
    sandbox.write("mixed/test/c9/a.gif", b"x");
    let output = sandbox.run("data verify imagefolder:mixed");
    refused(&output, &["no PNG or JPEG pictures", "1 .gif"]);
}

/// A budget that no channel is small enough for is refused by the plan, batches of one image too.
#[test]
fn budgets_and_batches_that_cannot_be_used_are_refused_before_training() {
    let sandbox = Sandbox::new();
    let mask = "[[train]]\nname = \"mask\"\nstage = \"mask\"\nteacher = \"teacher\"\nbudget = \"63\"\nwith = { \
                granularity = \"channel\" }\n[evaluation]";
    let suite = SUITE.replace("\"tiny-imagenet\"", "\"shapes\"");
    sandbox.write("channels.toml", suite.replace("[evaluation]", mask));
    refused(
        &sandbox.run("suite check channels.toml"),
        &["channels.toml:", "64 units", "budget"],
    );
    sandbox.ok("suite show channels.toml --set train.mask.budget=\"64\"");
    sandbox.write("batch.toml", suite.replace("batch = 16", "batch = 1"));
    refused(
        &sandbox.run("suite check batch.toml"),
        &["batch.toml:", "training.batch is 1", "from 6"],
    );
}

/// Class folders of `classes` classes, two test and ten training pictures each.
fn folders(sandbox: &Sandbox, name: &str, side: usize, classes: usize) {
    for class in 0..classes {
        for (part, count) in [("test", 2), ("train", 10)] {
            let folder = sandbox.path(&format!("{name}/{part}/c{class}"));
            fs::create_dir_all(&folder).expect("a folder");
            for number in 0..count {
                write_png(
                    &picture(side, class % 3, number),
                    folder.join(format!("{number}.png")),
                )
                .expect("a file");
            }
        }
    }
}

/// `suite check`, the dry run and the run know before any work what a run would find out after it.
#[test]
fn what_cannot_be_measured_on_the_pictures_is_refused_before_training() {
    let sandbox = Sandbox::new();
    folders(&sandbox, "odd", 48, 3);
    folders(&sandbox, "few", 32, 3);
    folders(&sandbox, "many", 64, 4);
    let attacks = ["autoattack", "apgd-t", "apgd-t:norm=l2", "pgd:loss=dlr"];
    let cases = [
        (
            "odd",
            "[\"fog\"]",
            "[\"fgsm\"]",
            &["48 x 48", "fog", "32, 64 and 224"][..],
        ),
        ("odd", "[]", "[\"pgd:base=snow/2\"]", &["48 x 48", "snow"]),
        (
            "many",
            "[\"ripple\", \"fog\", \"sparkles\"]",
            "[]",
            &["64 x 64", "ripple", "keep fog"],
        ),
        (
            "few",
            "[]",
            "[\"autoattack\"]",
            &["3 classes", "needs 4 classes", "use apgd-ce"],
        ),
        (
            "few",
            "[]",
            "[\"fgsm\", \"apgd-t\"]",
            &["3 classes", "needs 4 classes", "use apgd-ce"],
        ),
        (
            "few",
            "[]",
            "[\"pgd:surrogate=teacher,branch=natural\"]",
            &["teacher"],
        ),
    ];
    for (number, (data, corruptions, attacks, hints)) in cases.into_iter().enumerate() {
        let suite = SUITE
            .replace("\"tiny-imagenet\"", &format!("\"imagefolder:{data}\""))
            .replace("[\"fog\"]", corruptions)
            .replace("[\"fgsm\"]", attacks);
        let file = format!("late{number}.toml");
        sandbox.write(&file, suite);
        for command in [
            "suite check FILE",
            "run FILE --dry-run --out late",
            "run FILE --out late",
        ] {
            let output = sandbox.run(&command.replace("FILE", &file));
            refused(&output, &[hints, &[&format!("{file}:")]].concat());
        }
        assert!(!sandbox.path("late/cells").exists(), "{data} {attacks}");
    }
    // Four classes are enough, and 64 pixels for fog.
    for attack in attacks {
        let suite = SUITE
            .replace("\"tiny-imagenet\"", "\"imagefolder:many\"")
            .replace("[\"fgsm\"]", &format!("[\"{attack}\"]"));
        sandbox.write("fits.toml", suite);
        sandbox.ok("suite check fits.toml");
    }
}
