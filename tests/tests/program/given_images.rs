//! Images as people have them: Parquet files as Hugging Face hosts them, arrays of NumPy, flat folders of photographs.

use crate::archives::plan;
use crate::errors::refused;
use crate::support::{Sandbox, captured, rows, untrained, walk};
use rlnet_corruptions::archive::write_png;
use rlnet_corruptions::{Corruption, Generator, Image, Severity};
use rlnet_suites::Outcome;
use rlnet_test_support::python;
use std::fs;
use std::process::Command;

const NAMES: [&str; 10] = [
    "ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay",
];

/// Bytes before the numbers in a `.npy` file that is written here.
const HEADER: usize = 128;

/// A `.npy` file.
pub fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((HEADER as u16 - 10).to_le_bytes());
    file.extend(format!("{text:<width$}\n", width = HEADER - 11).as_bytes());
    file.extend(bytes);
    file
}

/// Pixels of picture `number`, whose class is the remainder by ten.
fn pixels(width: usize, height: usize, number: usize) -> Vec<u8> {
    let value = |i: usize| (i * (7 + number % 10) + number * 31) % 251;
    (0..3 * width * height).map(|i| value(i) as u8).collect()
}

/// Twenty pictures of ten classes, in the order that `imagefolder` gives folders: as folders, as an array, and
/// what Python needs to make a Parquet file of them.
fn written(sandbox: &Sandbox) {
    let (mut all, mut labels) = (Vec::new(), Vec::new());
    for number in 0..20 {
        let class = NAMES[number % 10];
        let file = sandbox.path(&format!("folders/{class}/{number}.png"));
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        let image = Image::from_raw(32, 32, pixels(32, 32, number)).expect("an image");
        write_png(&image, file).expect("a file");
        all.extend(pixels(32, 32, number));
        labels.extend((number as i64 % 10).to_le_bytes());
    }
    sandbox.write("arrays/images.npy", npy("|u1", "(20, 32, 32, 3)", &all));
    sandbox.write("arrays/labels.npy", npy("<i8", "(20,)", &labels));
}

fn answers(sandbox: &Sandbox, out: &str) -> Vec<Outcome> {
    let cells = plan(sandbox, out).cells;
    cells
        .iter()
        .flat_map(|cell| rows(sandbox, out, &cell.name))
        .collect()
}

fn evaluated(sandbox: &Sandbox, data: &str, out: &str) -> Vec<Outcome> {
    sandbox.ok(&format!(
        "eval net.safetensors --branch clean --dataset imagefolder:{data} --attack fgsm --corruptions fog --severity 3 \
         --out {out}"
    ));
    answers(sandbox, out)
}

#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyArrow")]
fn hosted_parquet_and_arrays_give_the_rows_of_the_same_pictures_in_folders() {
    let sandbox = Sandbox::new();
    written(&sandbox);
    untrained(&sandbox, "net.safetensors");
    // As the library `datasets` writes it, with other columns around, in two row groups; and CIFAR's names.
    let made = Command::new(python())
        .current_dir(sandbox.path(""))
        .args([
            "-c",
            "import glob, json, pathlib, pyarrow as pa, pyarrow.parquet as pq\n\
             def table(image, label, names, files):\n\
             \x20   rows = [{'bytes': pathlib.Path(f).read_bytes(), 'path': None} for f in files]\n\
             \x20   column = pa.array(rows, pa.struct([('bytes', pa.binary()), ('path', pa.string())]))\n\
             \x20   labels = pa.array([int(pathlib.Path(f).stem) % 10 for f in files], pa.int64())\n\
             \x20   made = pa.table({'id': pa.array(range(len(files))), image: column, label: labels})\n\
             \x20   said = {'info': {'features': {label: {'names': names, '_type': 'ClassLabel'}}}}\n\
             \x20   return made.replace_schema_metadata({'huggingface': json.dumps(said)})\n\
             files = sorted(glob.glob('folders/*/*.png'), key=lambda f: int(pathlib.Path(f).stem))\n\
             names = 'ant bee cat dog eel fox gnu hen ibis jay'.split()\n\
             pathlib.Path('hosted/data').mkdir(parents=True)\n\
             pq.write_table(table('image', 'label', names, files[:12]), 'hosted/data/test-00000-of-00002.parquet', \
             row_group_size=4)\n\
             pq.write_table(table('image', 'label', names, files[12:]), 'hosted/data/test-00001-of-00002.parquet', \
             compression='zstd')\n\
             pq.write_table(table('image', 'label', names, files[:3]), 'hosted/data/train-00000-of-00001.parquet')\n\
             pq.write_table(table('img', 'fine_label', names, files), 'one.parquet')\n\
             pq.write_table(pa.table({'text': ['a'], 'label': [1]}), 'text.parquet')\n",
        ])
        .output();
    let made = captured(made.expect("a process"));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let folders = evaluated(&sandbox, "folders", "a");
    assert_eq!(folders.len(), 3 * 20);
    for (data, out) in [
        ("arrays", "b"),
        ("hosted", "c"),
        ("one.parquet", "d"),
        ("arrays/images.npy", "e"),
    ] {
        assert_eq!(evaluated(&sandbox, data, out), folders, "{data}");
    }
    // Classes go by their names in reports, also of a model that knows none.
    sandbox.ok("export net.safetensors --format torchscript --branch clean --out plain.pt");
    sandbox.ok("eval plain.pt --dataset imagefolder:hosted --out named");
    let table = fs::read_to_string(sandbox.path("named/report/tables/classes.csv")).expect("a table");
    assert!(NAMES.iter().all(|name| table.contains(name)), "{table}");
    let ask = "eval net.safetensors --branch clean --dataset imagefolder:";
    refused(
        &sandbox.run(&format!("{ask}text.parquet")),
        2,
        &["text.parquet", "text, label", "column image"],
    );
    let half = fs::read(sandbox.path("one.parquet")).expect("a file");
    sandbox.write("half.parquet", &half[..half.len() / 2]);
    refused(
        &sandbox.run(&format!("{ask}half.parquet")),
        2,
        &["half.parquet", "Parquet"],
    );
}

#[test]
fn arrays_that_are_no_images_and_images_without_classes_are_refused() {
    let sandbox = Sandbox::new();
    written(&sandbox);
    untrained(&sandbox, "net.safetensors");
    let ask = |data: &str| sandbox.run(&format!("eval net.safetensors --dataset imagefolder:{data}"));
    sandbox.write("chw.npy", npy("|u1", "(2, 3, 4, 4)", &[0; 96]));
    refused(&ask("chw.npy"), 2, &["[2, 3, 4, 4]", "transpose"]);
    sandbox.write("labels.npy", npy("|u1", "(3,)", &[0; 3]));
    let images = fs::read(sandbox.path("arrays/images.npy")).expect("a file");
    sandbox.write("images.npy", &images);
    refused(&ask("images.npy"), 2, &["3 labels of the 20 images"]);
    sandbox.write("alone/some.npy", &images);
    refused(&ask("alone/some.npy"), 2, &["labels.npy", "rlnet corrupt"]);
    refused(&ask("nowhere.npy"), 2, &["no such"]);
    sandbox.write("notes.txt", "no images");
    refused(&ask("notes.txt"), 2, &["notes.txt", ".parquet or .npy"]);
}

#[test]
fn an_array_and_photographs_of_any_shape_are_corrupted() {
    let sandbox = Sandbox::new();
    written(&sandbox);
    sandbox.ok("corrupt arrays/images.npy --names fog --seed 5 --out c");
    let fog = fs::read(sandbox.path("c/fog.npy")).expect("a file");
    let images: Vec<u8> = (0..20).flat_map(|number| pixels(32, 32, number)).collect();
    let mut expected = Vec::new();
    for severity in Severity::ALL {
        let mut made = vec![0; images.len()];
        let generator = Generator::default();
        let batch = generator.batch(Corruption::Fog, severity).seed(5);
        batch.run(&images, (32, 32), &mut made).expect("corrupted");
        expected.extend(made);
    }
    assert!(fog[HEADER..] == expected, "not the bytes of the crate");
    let some = sandbox.run("corrupt arrays/images.npy --names fog --images 3,17-18 --out some");
    refused(&some, 2, &["--images", "--limit"]);
    // Of some of them each is what it is among all.
    sandbox.ok("corrupt folders --names fog --severity 2 --out whole");
    sandbox.ok("corrupt folders --names fog --severity 2 --images 3,17-18 --out some");
    let some = walk(&sandbox.path("some/fog"));
    assert_eq!(some.len(), 3, "{some:?}");
    for file in some {
        let same = file.replace("/some/", "/whole/");
        assert!(
            fs::read(&file).expect("a file") == fs::read(same).expect("a file"),
            "{file}"
        );
    }
    // A flat folder of photographs, by ImageNet-C's protocol at 224 pixels.
    for (number, (width, height)) in [(400, 300), (280, 500)].into_iter().enumerate() {
        let image = Image::from_raw(width, height, pixels(width, height, number)).expect("an image");
        let file = sandbox.path(&format!("photographs/holiday_{number}.png"));
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        write_png(&image, file).expect("a file");
    }
    let whole = sandbox.run("corrupt photographs --names fog --out t");
    refused(&whole, 2, &["--resize 256 --crop 224"]);
    sandbox.ok(
        "corrupt photographs --resize 256 --crop 224 --names fog,contrast --severity 2 --format jpeg --out t",
    );
    let mut made = walk(&sandbox.path("t"));
    made.retain(|file| file.ends_with(".jpg") || file.ends_with(".JPEG") || file.ends_with(".jpeg"));
    assert_eq!(made.len(), 4, "{made:?}");
    for file in made {
        assert!(file.contains("/2/photographs/holiday_"), "{file}");
        let image = Image::decode(&fs::read(&file).expect("a file")).expect("a picture");
        assert_eq!((image.width(), image.height()), (224, 224));
    }
}
