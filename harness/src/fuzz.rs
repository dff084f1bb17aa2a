//! What reads bytes of strangers, a function a format: for the targets of `fuzz/`, and for the tests that try the same
//! with bounded input. None of them may panic, run anything, or take memory that the input does not pay for; that it
//! is refused is fine.

use crate::attack::Classifier;
use crate::data::cifar::{self, CIFAR100};
use crate::data::{LoadOptions, tiny};
use crate::eval::Saved;
use crate::nn::{Network, NetworkSpec, Quirks, mask_file, model};
use crate::pytorch::TorchFile;
use crate::served::{self, Served};
use rlnet_corruptions::Image;
use rlnet_corruptions::archive::{NpyReader, read_labels};
use rlnet_reports::bundle;
use rlnet_reports::columns::from_parquet;
use rlnet_suites::plan::PlanContext;
use rlnet_suites::{AttackSpec, Branch, Condition, CurvePoint, Gate, NormBanks, Outcome, Suite};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Once, OnceLock};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

/// A format by its name, and what reads it.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 14] = [
    ("npy", npy),
    ("cifar_binary", cifar_binary),
    ("cifar_pickle", cifar_pickle),
    ("tiny_imagenet", tiny_imagenet),
    ("picture", picture),
    ("suite", suite),
    ("attack", attack),
    ("mask", mask),
    ("checkpoint", checkpoint),
    ("network", network),
    ("parquet", parquet),
    ("run_directory", run_directory),
    ("protocol", protocol),
    ("bundle", bundle),
];

/// Reads an input by the name of its target.
pub fn run(name: &str, data: &[u8]) {
    // A fuzzer ends the process at every panic, also at those of a library that a reader catches. One that nobody
    // catches still ends it.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| drop(std::panic::take_hook()));
    if let Some((_, read)) = TARGETS.iter().find(|(known, _)| *known == name) {
        read(data);
    }
}

/// What separates files in the input of a target that reads several.
pub const BETWEEN: &[u8] = b"\0--\0";

/// A folder in memory, where the system has one.
fn folder() -> TempDir {
    let shared = Path::new("/dev/shm");
    let made = match shared.is_dir() {
        true => tempfile::tempdir_in(shared),
        false => tempfile::tempdir(),
    };
    made.unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

/// Writes a file below a folder.
fn put(path: &Path, bytes: &[u8]) {
    let parent = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(path, bytes));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The parts of an input, as many as asked for.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut rest = data;
    std::array::from_fn(|_| {
        let at = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let (part, after) = at.map_or((rest, &rest[rest.len()..]), |at| {
            (&rest[..at], &rest[at + BETWEEN.len()..])
        });
        rest = after;
        part
    })
}

fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

fn npy(data: &[u8]) {
    let folder = folder();
    let path = folder.path().join("a.npy");
    put(&path, data);
    let _ = read_labels(&path);
    if let Ok(mut reader) = NpyReader::open(&path) {
        let row: usize = reader.shape().iter().skip(1).product();
        let _ = reader.read_rows(0, &mut vec![0; row.min(1 << 16)]);
    }
}

/// The official layout with these bytes in place of the training and of the test images.
fn cifar(data: &[u8], folder: &str, train: &str, test: &str) {
    let root = self::folder();
    put(&root.path().join(folder).join(train), data);
    put(&root.path().join(folder).join(test), data);
    let options = LoadOptions {
        allow_modified: true,
        ..LoadOptions::default()
    };
    let _ = cifar::load(&CIFAR100, root.path(), options);
}

fn cifar_binary(data: &[u8]) {
    const RECORD: usize = 2 + 3 * 32 * 32;
    let mut whole = data.to_vec();
    whole.resize(data.len().div_ceil(RECORD) * RECORD, 0);
    cifar(&whole, "cifar-100-binary", "train.bin", "test.bin");
}

fn cifar_pickle(data: &[u8]) {
    cifar(data, "cifar-100-python", "train", "test");
}

/// `wnids.txt`, `words.txt` and `val_annotations.txt`, beside pictures that are there.
fn tiny_imagenet(data: &[u8]) {
    static PICTURES: OnceLock<TempDir> = OnceLock::new();
    let root = folder();
    let pictures = PICTURES.get_or_init(|| {
        let made = folder();
        let png = crate::eval::examples::write_strip(&made.path().join("a.png"), &[128; 64 * 64 * 3], 64);
        png.unwrap_or_else(|error| panic!("{error}"));
        made
    });
    for name in ["train/n01/images", "train/n02/images", "val/images"] {
        let place = root.path().join(name);
        let linked = fs::create_dir_all(&place)
            .and_then(|()| std::os::unix::fs::symlink(pictures.path().join("a.png"), place.join("a.png")));
        linked.unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    }
    let [wnids, words, annotations] = parts(data);
    for (name, bytes) in [
        ("wnids.txt", wnids),
        ("words.txt", words),
        ("val/val_annotations.txt", annotations),
    ] {
        put(&root.path().join(name), bytes);
    }
    let _ = tiny::load(root.path(), LoadOptions::default());
}

fn picture(data: &[u8]) {
    let _ = Image::decode(data);
}

fn suite(data: &[u8]) {
    let text = text(data);
    let _ = Gate::parse(&text, "a gate");
    if let Ok(suite) = Suite::parse(&text, "a suite", &[]) {
        let _ = suite.plan(&PlanContext::unread(&suite));
    }
}

fn attack(data: &[u8]) {
    let text = text(data);
    let _ = rlnet_suites::attack::group(&text);
    if let Ok(spec) = text.parse::<AttackSpec>() {
        assert_eq!(spec.to_string().parse::<AttackSpec>().ok(), Some(spec));
    }
    if let Ok(condition) = text.parse::<Condition>() {
        assert_eq!(condition.to_string().parse::<Condition>().ok(), Some(condition));
    }
}

fn mask(data: &[u8]) {
    thread_local! {
        static NETWORK: Option<Network> = "resnet8-w4".parse().ok().map(|arch| {
            let spec = NetworkSpec {
                arch,
                image_size: 16,
                classes: 4,
                norm: NormBanks::Single,
                quirks: Quirks::default(),
                mean: [0.0; 3],
                std: [1.0; 3],
            };
            Network::new(spec, 0, Device::Cpu)
        });
    }
    let folder = folder();
    let path = folder.path().join("mask.safetensors");
    put(&path, data);
    NETWORK.with(|network| {
        if let Some(network) = network {
            let _ = mask_file::load(&path, network);
        }
    });
}

fn checkpoint(data: &[u8]) {
    let folder = folder();
    let path = folder.path().join("a.pth");
    put(&path, data);
    if let Ok(file) = TorchFile::open(&path) {
        let _ = (file.list("masks"), file.integer("epoch"));
        for (_, array) in file.state_dict(None).unwrap_or_default() {
            let _ = file.values(&array);
        }
    }
}

/// A network of this program, and a file of adversarial images.
fn network(data: &[u8]) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    put(&path, data);
    let _ = model::load(&path, Device::Cpu);
    if let Ok(saved) = Saved::read(&path) {
        assert_eq!(saved.indices().len(), saved.labels().len());
        for made in saved.images() {
            assert_eq!(made.images.size()[0], saved.indices().len() as i64);
        }
    }
}

fn parquet(data: &[u8]) {
    let path = Path::new("outcomes.parquet");
    let _ = from_parquet::<Outcome>(data, path);
    let _ = from_parquet::<CurvePoint>(data, path);
}

/// `plan.json` and the record of one cell, whose identity is given before it.
fn run_directory(data: &[u8]) {
    let folder = folder();
    let [plan, id, record] = parts(data);
    put(&folder.path().join("plan.json"), plan);
    let id: String = text(id)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(32)
        .collect();
    put(&folder.path().join("cells").join(id).join("cell.json"), record);
    let _ = rlnet_reports::Run::load(folder.path());
}

/// What a server says before, and after, it is asked for logits.
fn protocol(data: &[u8]) {
    let folder = folder();
    let socket = folder.path().join("s");
    let Ok(listener) = UnixListener::bind(&socket) else {
        return;
    };
    let said = data.to_vec();
    let server = std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else {
            return;
        };
        let _ = stream.write_all(&said);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // Until the other side goes.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    if let Ok(served) = Served::connect(&socket, served::PATIENCE) {
        let images = Tensor::zeros([2, 3, 4, 4], (Kind::Float, Device::Cpu));
        let _ = served.logits(&images, Branch::Single);
    }
    let _ = server.join();
}

fn bundle(data: &[u8]) {
    let folder = folder();
    let path = folder.path().join("a.zip");
    put(&path, data);
    if let Ok(bundle) = bundle::unpack(&path, &folder.path().join("unpacked")) {
        let _ = bundle::inspect(&bundle);
    }
}
