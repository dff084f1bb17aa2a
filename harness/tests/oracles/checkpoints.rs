//! PyTorch checkpoints with other people's names: small ones that PyTorch wrote (see
//! `tests/fixtures/checkpoints.py`), and the reference's networks in the official layout.

use crate::networks::fill_value;
use crate::reference::{json, matrix, npy_f32, relative};
use rlnet::attack::{Classifier, TorchScript};
use rlnet::nn::{Network, NetworkSpec, Quirks};
use rlnet::pytorch::{ImportRequest, Imported, TorchFile, import, script};
use rlnet_suites::{Branch, NormBanks};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor, no_grad_guard};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures")).join(name)
}

pub fn said() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("checkpoints.json")).expect("a file")).expect("JSON")
}

pub fn request(said: &Value) -> ImportRequest {
    let three = |key: &str| serde_json::from_value(said[key].clone()).expect(key);
    ImportRequest {
        arch: "resnet8-w2".parse().expect("known"),
        image_size: 8,
        classes: 10,
        mean: three("mean"),
        std: three("std"),
        identity_skip: None,
    }
}

pub fn imported(name: &str, request: &ImportRequest) -> Imported {
    let file = TorchFile::open(&fixture(name)).expect(name);
    import(&file, None, request).expect(name)
}

/// Plain and folded logits are those that PyTorch's functions gave.
fn check(network: &Network, said: &Value, model: &str, branches: &[Branch]) {
    let _guard = no_grad_guard();
    let pixels: Vec<f32> = serde_json::from_value(said["images"].clone()).expect("images");
    let images = Tensor::from_slice(&pixels).reshape([3, 3, 8, 8]);
    for &branch in branches {
        let want = matrix(&said[format!("{model}/{branch}")]);
        for (how, logits) in [
            ("plain", network.logits(&images, branch)),
            ("folded", network.freeze().logits(&images, branch)),
        ] {
            let away = relative(&logits, &want);
            assert!(away < 1e-5, "{model} {branch} {how}: {away}");
        }
    }
}

const BOTH: [Branch; 2] = [Branch::Clean, Branch::Adversarial];

#[test]
fn the_official_students_layout() {
    let said = said();
    let student = imported("student.pth", &request(&said));
    assert_eq!(student.epoch, 12);
    let spec = student.network.spec();
    assert_eq!(spec.norm, NormBanks::Dual);
    assert!(spec.quirks.banked_shortcut && !spec.quirks.identity_skip);
    let kept: u64 = student.network.mask().kept().iter().sum();
    assert_eq!(Some(kept), said["kept"]["student"].as_u64());
    check(&student.network, &said, "student", &BOTH);
    // Told otherwise, the same weights are another network.
    let skipping = ImportRequest {
        identity_skip: Some(true),
        ..request(&said)
    };
    assert!(
        imported("student.pth", &skipping)
            .network
            .spec()
            .quirks
            .identity_skip
    );
}

#[test]
fn the_official_teachers_layout_behind_data_parallel() {
    let said = said();
    let teacher = imported("teacher.pth", &request(&said));
    let quirks = teacher.network.spec().quirks;
    assert!(!quirks.banked_shortcut && quirks.identity_skip);
    check(&teacher.network, &said, "teacher", &BOTH);
}

#[test]
fn torchvisions_names_in_the_old_format() {
    let said = said();
    let plain = imported("torchvision.pth", &request(&said));
    assert_eq!(plain.network.spec().norm, NormBanks::Single);
    assert_eq!(plain.network.mask().kept(), plain.network.layer_sizes());
    check(&plain.network, &said, "torchvision", &[Branch::Single]);
}

#[test]
fn snls_shares_become_a_mask() {
    let said = said();
    let snl = imported("snl.pth.tar", &request(&said));
    let kept = snl.network.mask().kept();
    assert_eq!(kept[0], 0, "SNL has no ReLU after the stem");
    assert_eq!(Some(kept.iter().sum()), said["kept"]["snl"].as_u64());
    check(&snl.network, &said, "snl", &[Branch::Single]);
}

/// What is missing, left over, or of another shape is named.
#[test]
fn a_file_that_does_not_fit_is_refused() {
    let said = said();
    let refused = |name: &str, arch: &str, hints: &[&str]| {
        let request = ImportRequest {
            arch: arch.parse().expect(arch),
            ..request(&said)
        };
        let file = TorchFile::open(&fixture(name)).expect(name);
        let error = import(&file, None, &request).expect_err(arch);
        assert_eq!(error.exit_code(), 2);
        for hint in hints {
            assert!(error.to_string().contains(hint), "no {hint:?} in {error}");
        }
    };
    refused(
        "student.pth",
        "resnet8-w4",
        &["conv1.weight", "[2, 3, 3, 3]", "[4, 3, 3, 3]"],
    );
    refused("torchvision.pth", "resnet10-w2", &["it lacks `layer4.0"]);
    refused("teacher.pth", "wrn-10-1", &["it lacks", "besides", "layer1.0"]);
    let file = TorchFile::open(&fixture("student.pth")).expect("a checkpoint");
    let error = file
        .state_dict(Some("modle"))
        .expect_err("no such key")
        .to_string();
    assert!(error.contains("modle") && error.contains("mask_epoch"), "{error}");
    // At another resolution the weights fit and the masks do not.
    let larger = ImportRequest {
        image_size: 16,
        ..request(&said)
    };
    let error = import(&file, None, &larger).expect_err("masks").to_string();
    assert!(error.contains("mask of layer `stem`"), "{error}");
}

/// Every cut and many a changed byte: an error or another network, never a panic.
#[test]
fn damaged_files_are_refused() {
    let said = said();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged.pth");
    for name in ["student.pth", "torchvision.pth"] {
        let whole = std::fs::read(fixture(name)).expect(name);
        let step = whole.len() / 60;
        for cut in (0..whole.len()).step_by(step) {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let error = TorchFile::open(&path)
                .and_then(|file| import(&file, None, &request(&said)).map(|_| ()))
                .expect_err("cut short");
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.to_string().contains("damaged.pth"), "{error}");
        }
        for at in (0..whole.len()).step_by(step / 3 + 1) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x5a;
            std::fs::write(&path, &bytes).expect("written");
            if let Ok(file) = TorchFile::open(&path) {
                let _ = import(&file, None, &request(&said));
            }
        }
    }
}

/// Protocol 2 as `torch.save` writes it: `{"model": OrderedDict(names and tensors),
/// "mask_epoch": [masks]}`. A second writer of the format, for networks too large to keep.
struct Writer {
    pickle: Vec<u8>,
    records: Vec<(String, Vec<u8>)>,
}

impl Writer {
    fn text(&mut self, text: &str) {
        self.pickle.push(b'X');
        self.pickle.extend((text.len() as u32).to_le_bytes());
        self.pickle.extend(text.as_bytes());
    }

    fn int(&mut self, value: usize) {
        self.pickle.push(b'J');
        self.pickle.extend((value as u32).to_le_bytes());
    }

    fn tensor(&mut self, class: &str, shape: &[usize], bytes: Vec<u8>) {
        let key = self.records.len().to_string();
        let count = shape.iter().product();
        self.pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.pickle.extend(format!("ctorch\n{class}\n").as_bytes());
        self.text(&key);
        self.text("cuda:0");
        self.int(count);
        self.pickle.extend(b"tQK\x00(");
        shape.iter().for_each(|&side| self.int(side));
        self.pickle.extend(b"t(");
        (0..shape.len()).for_each(|i| self.int(shape[i + 1..].iter().product()));
        self.pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
        self.records.push((format!("archive/data/{key}"), bytes));
    }

    fn zip(mut self) -> Vec<u8> {
        self.pickle.push(b'.');
        self.records.push(("archive/data.pkl".to_owned(), self.pickle));
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, data) in &self.records {
            let at = (file.len() as u32).to_le_bytes();
            let size = (data.len() as u32).to_le_bytes();
            let common = [
                &[0_u8; 10][..],
                &[0; 4],
                &size,
                &size,
                &(name.len() as u16).to_le_bytes(),
                &[0; 2],
            ];
            file.extend([b"PK\x03\x04", &common.concat()[..], name.as_bytes(), data].concat());
            let entry = [
                b"PK\x01\x02\0\0",
                &common.concat()[..],
                &[0; 10],
                &at,
                name.as_bytes(),
            ];
            directory.extend(entry.concat());
        }
        let at = (file.len() as u32).to_le_bytes();
        let count = (self.records.len() as u16).to_le_bytes();
        let size = (directory.len() as u32).to_le_bytes();
        file.extend(directory);
        file.extend(
            [
                b"PK\x05\x06\0\0\0\0" as &[u8],
                &count,
                &count,
                &size,
                &at,
                &[0; 2],
            ]
            .concat(),
        );
        file
    }
}

/// The five reference networks, under their official names, give the reference's logits.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn the_references_networks_by_their_own_names() {
    let (reference, input) = (json("rlnet/networks.json"), npy_f32("rlnet/network_input.npy"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("official.pth");
    for (model, arch) in [
        ("resnet18_AR_dualbn_official", "resnet18"),
        ("resnet18_AR_dualbn_dual_shortcut", "resnet18"),
        ("resnet18_PR_dualbn_official", "resnet18"),
        ("wrn22_8_AR_dualbn_official", "wrn-22-8"),
        ("wrn22_8_PR_dualbn_official", "wrn-22-8"),
    ] {
        let entry = &reference["models"][model];
        let mut writer = Writer {
            pickle: b"\x80\x02}(".to_vec(),
            records: Vec::new(),
        };
        writer.text("model");
        writer.pickle.extend(b"ccollections\nOrderedDict\n)R(");
        for tensor in entry["parameter_order"].as_array().expect("an order") {
            writer.text(tensor["name"].as_str().expect("a name"));
            let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).expect("a shape");
            let values = fill_value(tensor);
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            writer.tensor("FloatStorage", &shape, bytes);
        }
        writer.pickle.push(b'u');
        let request = ImportRequest {
            arch: arch.parse().expect(arch),
            image_size: 32,
            classes: 10,
            mean: [0.0; 3],
            std: [1.0; 3],
            identity_skip: None,
        };
        if entry["mask"].is_object() {
            writer.text("mask_epoch");
            writer.pickle.extend(b"](");
            let layers = request.arch.survey(32, 10).layers;
            for (l, layer) in layers.iter().enumerate() {
                let unit = |j: u64| i64::from((7 * j + 3 * l as u64).is_multiple_of(5));
                let bytes = (0..layer.total()).flat_map(|j| unit(j).to_le_bytes()).collect();
                let [c, h, w] = layer.shape.map(|side| side as usize);
                writer.tensor("LongStorage", &[1, c, h, w], bytes);
            }
            writer.pickle.push(b'e');
        }
        writer.pickle.push(b'u');
        std::fs::write(&path, writer.zip()).expect("written");

        let file = TorchFile::open(&path).expect(model);
        let imported = import(&file, None, &request).expect(model);
        let kept: u64 = imported.network.mask().kept().iter().sum();
        if let Some(want) = entry["mask"]["total_active"].as_u64() {
            assert_eq!(kept, want, "{model}");
        }
        let _guard = no_grad_guard();
        for (key, branch) in [("0", Branch::Clean), ("1", Branch::Adversarial)] {
            let want = matrix(&entry["branches"][key]["eval_logits"]);
            let away = relative(&imported.network.logits(&input, branch), &want);
            assert!(away < 1e-4, "{model} {branch}: {away}");
        }
    }
}

/// Our name as the official code has it, for the families that the fixtures leave out.
fn official(arch: &str, ours: &str) -> String {
    let banked = ours
        .replace(".clean.", ".BN_c.")
        .replace(".natural.", ".BN_r.")
        .replace(".adversarial.", ".BN_a.");
    if arch.starts_with("resnet") {
        return banked
            .replace(".shortcut.conv.", ".conv_sc.")
            .replace(".shortcut.bn.", ".bn_sc.");
    }
    let parts: Vec<&str> = banked.split('.').collect();
    match &parts[..] {
        [group, place, module @ ("conv" | "bn"), part] if arch.starts_with("vgg") => {
            let place: usize = place.parse().expect("a number");
            format!("{group}.{}.{part}", 3 * place + usize::from(*module == "bn"))
        }
        ["linear", part] if arch.starts_with("vgg") => format!("classifier.{part}"),
        ["linear", part] => format!("classifier.0.{part}"),
        ["stem", module, part] => format!("conv1.{}.{part}", usize::from(*module == "bn")),
        ["last", module, part] => format!("conv2.{}.{part}", usize::from(*module == "bn")),
        ["blocks", stage, block, kind, module, part] => {
            let kind = match *kind {
                "expand" => "conv_pw",
                "depthwise" => "conv_dw",
                _ => "conv_pw_linear",
            };
            let place = usize::from(*module == "bn");
            format!("blocks.{stage}.{block}.{kind}.{place}.{part}")
        }
        _ => panic!("no official name for {ours}"),
    }
}

/// Names of every family lead back to the tensor they came from, also with three banks.
#[test]
fn families_come_back_from_their_official_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("official.pth");
    for (arch, norm) in [
        ("resnet8-w2", NormBanks::Triple),
        ("vgg11-bn-w4", NormBanks::Single),
        ("mobilenetv2-x0.25", NormBanks::Single),
    ] {
        let spec = NetworkSpec {
            arch: arch.parse().expect(arch),
            image_size: 32,
            classes: 10,
            norm,
            quirks: Quirks::default(),
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let network = Network::new(spec, 3, Device::Cpu);
        let mut writer = Writer {
            pickle: b"\x80\x02}(".to_vec(),
            records: Vec::new(),
        };
        let _guard = no_grad_guard();
        for (k, param) in network.params().iter().enumerate() {
            // No two tensors alike, norms included.
            let mut tensor = param.tensor.shallow_clone();
            tensor += k as f64;
            writer.text(&official(arch, &param.name));
            let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
            let values = Vec::<f64>::try_from(tensor.flatten(0, -1).to_kind(Kind::Double)).expect("doubles");
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            writer.tensor("DoubleStorage", &shape, bytes);
        }
        writer.pickle.push(b'u');
        std::fs::write(&path, writer.zip()).expect("written");
        let request = ImportRequest {
            arch: arch.parse().expect(arch),
            image_size: 32,
            classes: 10,
            mean: [0.0; 3],
            std: [1.0; 3],
            identity_skip: None,
        };
        let file = TorchFile::open(&path).expect(arch);
        let back = import(&file, None, &request).expect(arch).network;
        assert_eq!(back.spec().norm, norm);
        assert_eq!(back.spec().quirks.identity_skip, norm == NormBanks::Single);
        for (was, is) in network.params().iter().zip(back.params().iter()) {
            assert_eq!(was.name, is.name);
            assert!(was.tensor.equal(&is.tensor), "{arch}: {}", was.name);
        }
    }
}

/// A masked, dual-norm network as TorchScript: the same logits and input gradients from a batch
/// of any size, whatever the tracer watched.
#[test]
fn a_branch_becomes_torchscript() {
    let said = said();
    let folder = tempfile::tempdir().expect("a folder");
    for (name, branches) in [("student.pth", &BOTH[..]), ("snl.pth.tar", &[Branch::Single])] {
        for &branch in branches {
            let path = folder.path().join("branch.pt");
            let network = imported(name, &request(&said)).network;
            script::export(imported(name, &request(&said)).network, branch, &path).expect(name);
            let script = TorchScript::load(&path, Device::Cpu).expect(name);
            let frozen = network.freeze();
            for n in [1, 2, 7, 40] {
                let values: Vec<f32> = (0..n * 3 * 64).map(|i| ((i * 37) % 101) as f32 / 100.0).collect();
                let images = Tensor::from_slice(&values).reshape([n, 3, 8, 8]);
                let answer = |model: &dyn Classifier| {
                    let variable = images.detach().copy().set_requires_grad(true);
                    let logits = model.logits(&variable, branch).expect("logits");
                    assert_eq!(logits.size(), [n, 10]);
                    let sum = logits.square().sum(Kind::Float);
                    let slope = Tensor::run_backward(&[&sum], &[&variable], false, false).remove(0);
                    (logits.detach(), slope)
                };
                let (ours, theirs) = (answer(&frozen), answer(&script));
                assert!(relative(&theirs.0, &ours.0) < 1e-5, "{name} {branch}, {n} images");
                assert!(
                    relative(&theirs.1, &ours.1) < 1e-5,
                    "{name} {branch}, {n} images: gradient"
                );
            }
        }
    }
}
