//! What some tests need besides the code: reference data, Slurm, a browser, a GPU.
//!
//! A build script calls [`declare`], and a test names its need:
//! `#[cfg_attr(not(have = "slurm"), ignore = "needs Slurm")]`. The runner then reports the test as ignored where the
//! need is absent, never as passed. `RLNET_REQUIRE=reference,slurm` declares these needs as present: their tests
//! run, and fail where the need is absent.
#![allow(
    clippy::print_stdout,
    reason = "a build script speaks to cargo on standard output"
)]

pub mod documents;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something outside the repository.
struct Need {
    /// The word in `cfg(have = "..")` and in `RLNET_REQUIRE`.
    name: &'static str,
    /// What it is, and how to get it.
    what: &'static str,
    found: fn() -> bool,
}

const NEEDS: [Need; 11] = [
    Need {
        name: "reference",
        what: "the reference data in $RLNET_SHARED (default: `shared` beside the repository), and xz",
        found: || shared().join("oracles").is_dir() && succeeds("xz", &["--version"]),
    },
    Need {
        name: "images",
        what: "CIFAR-10 and CIFAR-100 in $RLNET_DATA",
        found: || {
            let folder = PathBuf::from(env::var_os("RLNET_DATA").unwrap_or_default());
            folder.join(CIFAR10_TEST).is_file() && folder.join("cifar-100-binary/test.bin").is_file()
        },
    },
    Need {
        name: "cuda",
        what: "a CUDA device, and a libtorch for CUDA",
        found: || {
            let libtorch = PathBuf::from(env::var_os("LIBTORCH").unwrap_or_default());
            Path::new("/dev/nvidiactl").exists() && libtorch.join("lib/libtorch_cuda.so").exists()
        },
    },
    Need {
        name: "slurm",
        what: "Slurm on this machine, and root: apt-get install slurm-wlm munge",
        found: || {
            let programs = [
                "munged",
                "slurmctld",
                "slurmd",
                "sbatch",
                "squeue",
                "scontrol",
                "scancel",
            ];
            let installed = |name: &&str| {
                ["/usr/sbin", "/usr/bin"]
                    .iter()
                    .any(|dir| Path::new(dir).join(name).exists())
            };
            programs.iter().all(installed) && is_root()
        },
    },
    Need {
        name: "browser",
        what: "chromium, chromium-browser or google-chrome on the PATH",
        found: || browser().is_some(),
    },
    Need {
        name: "torch",
        what: "a Python with PyTorch: `make python-env` makes one; or $RLNET_PYTHON, else python3",
        found: || {
            let find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)";
            succeeds(&python(), &["-c", find])
        },
    },
    Need {
        name: "s3",
        what: "an S3 server: `python3 tests/peers/s3_server.py </dev/null` installs moto",
        found: || peer("moto"),
    },
    Need {
        name: "spu",
        what: "SPU, a two-party engine: `python3 tests/peers/private_inference.py --help` installs it",
        found: || peer("spu"),
    },
    Need {
        name: "onnxruntime",
        what: "onnxruntime: `python3 tests/peers/verify.py logits --help` installs it",
        found: || peer("logits"),
    },
    Need {
        name: "marabou",
        what: "Marabou, a complete verifier: `python3 tests/peers/verify.py marabou --help` installs it",
        found: || peer("marabou"),
    },
    Need {
        name: "mount",
        what: "root, and the right to mount a file system (unshare --mount)",
        found: || is_root() && succeeds("unshare", &["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]),
    },
];

const CIFAR10_TEST: &str = "cifar-10-batches-bin/test_batch.bin";

/// For a build script: sets `cfg(have = "name")` for each of these needs that is present or required.
///
/// # Panics
/// For a name that is not in the list, here or in `RLNET_REQUIRE`.
pub fn declare(names: &[&str]) {
    for variable in ["RLNET_REQUIRE", "RLNET_SHARED", "RLNET_DATA", "RLNET_PYTHON"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    println!("cargo:rustc-check-cfg=cfg(have, values({}))", quoted.join(", "));
    let required = env::var("RLNET_REQUIRE").unwrap_or_default();
    let required: Vec<&str> = required
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    for name in &required {
        let _ = need(name);
    }
    let (present, absent): (Vec<&str>, Vec<&str>) = names
        .iter()
        .partition(|name| required.contains(name) || (need(name).found)());
    for name in present {
        println!("cargo:rustc-cfg=have={name:?}");
    }
    println!("cargo:rustc-env=RLNET_ABSENT={}", absent.join(","));
}

/// For a test: what was absent when the tests were built (`env!("RLNET_ABSENT")`) is still absent.
///
/// # Panics
/// When it is not: a test is ignored although it could run.
pub fn assert_still_absent(absent: &str) {
    for name in absent.split(',').filter(|name| !name.is_empty()) {
        let need = need(name);
        assert!(
            !(need.found)(),
            "{name} is here now, and its tests are ignored because it was not when they were built ({}); \
             touch the build scripts: touch */build.rs",
            need.what
        );
    }
}

fn need(name: &str) -> &'static Need {
    let found = NEEDS.iter().find(|need| need.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<&str> = NEEDS.iter().map(|need| need.name).collect();
        panic!("RLNET_REQUIRE knows no {name:?}, only {}", names.join(", "))
    })
}

/// A file or folder of the reference data.
///
/// # Panics
/// When it does not exist.
pub fn reference(path: &str) -> PathBuf {
    let full = shared().join(path);
    assert!(
        full.exists(),
        "{} does not exist; set RLNET_SHARED",
        full.display()
    );
    full
}

fn shared() -> PathBuf {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into();
    env::var_os("RLNET_SHARED").map_or_else(beside, PathBuf::from)
}

/// The folder of the real data sets.
///
/// # Panics
/// When `RLNET_DATA` is not set.
pub fn images() -> PathBuf {
    let folder = env::var_os("RLNET_DATA");
    folder
        .expect("RLNET_DATA is not set; name the folder of CIFAR-10 and CIFAR-100")
        .into()
}

/// The records of CIFAR-10's test images, a label and 3,072 bytes each; from `RLNET_DATA` or the reference data.
///
/// # Panics
/// When neither has them.
pub fn cifar10_test() -> Vec<u8> {
    if let Some(folder) = env::var_os("RLNET_DATA")
        && let Ok(bytes) = std::fs::read(Path::new(&folder).join(CIFAR10_TEST))
    {
        return bytes;
    }
    let packed = reference(&format!("data/{CIFAR10_TEST}.xz"));
    let unpacked = Command::new("xz")
        .arg("-dc")
        .arg(&packed)
        .output()
        .expect("the program xz");
    assert!(unpacked.status.success(), "xz cannot unpack {}", packed.display());
    unpacked.stdout
}

/// A browser of the Chromium family on the PATH.
#[must_use]
pub fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// The Python that may have PyTorch: the one that is named, else that of `make python-env`, else the system's.
#[must_use]
pub fn python() -> String {
    let made = || environment("torch").map(|python| python.display().to_string());
    let named = env::var("RLNET_PYTHON").ok();
    named.or_else(made).unwrap_or_else(|| "python3".to_owned())
}

/// The Python of a virtual environment that `tests/peers/python_env.py` has made.
#[must_use]
pub fn environment(name: &str) -> Option<PathBuf> {
    let folder = cache()?.join(format!("rlnet/python-{name}"));
    folder.join("ready").exists().then(|| folder.join("bin/python"))
}

/// The user's cache folder.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)
}

/// Whether the environment of a peer has been installed.
fn peer(name: &str) -> bool {
    cache().is_some_and(|cache| cache.join(format!("rlnet/peers-{name}/ready")).exists())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The `main.rs` of every test program below a folder.
    fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            programs(&path, found);
        }
        found.extend(Some(folder.join("main.rs")).filter(|main| main.is_file()));
    }

    /// A test whose file no `mod` names is never compiled, and no runner says so.
    #[test]
    fn every_file_of_a_test_program_is_compiled() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut mains = Vec::new();
        for folder in [
            "corruptions/tests",
            "suites/tests",
            "harness/tests",
            "reports/tests",
            "tests/tests",
        ] {
            programs(&root.join(folder), &mut mains);
        }
        assert!(mains.len() >= 6, "{mains:?}");
        for main in mains {
            let text = fs::read_to_string(&main).expect("a file");
            let folder = main.parent().expect("a folder");
            for path in fs::read_dir(folder)
                .expect("a folder")
                .flatten()
                .map(|entry| entry.path())
            {
                let is_module =
                    path.join("mod.rs").is_file() || path.extension().is_some_and(|end| end == "rs");
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                if is_module && name != "main" {
                    let named = text.lines().any(|line| line.trim_end() == format!("mod {name};"));
                    assert!(named, "{} has no `mod {name};`", main.display());
                }
            }
        }
    }
}
