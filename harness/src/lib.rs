//! The harness: data, networks, training, attacks, evaluation, runs and the command line.
//!
//! libtorch lives here and nowhere else in the project. Data flows one way: a suite's plan
//! (`rlnet_suites`) names cells, `run` computes them with the modules below, and what comes
//! out are outcome rows and curves; no metric is computed here (that is `rlnet_reports`).

pub mod attack;
pub mod bench;
pub mod certify;
pub mod cli;
pub mod data;
pub mod deployed;
pub mod device;
pub mod error;
pub mod eval;
pub mod files;
#[doc(hidden)]
pub mod fuzz;
pub mod nn;
mod program;
pub mod progress;
pub mod pytorch;
pub mod request;
pub mod run;
pub mod served;
pub mod stop;
pub mod store;
pub mod terminal;
pub mod trace;
pub mod train;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Every Rust file below a folder.
    fn sources(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).expect("a folder of the sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                found.extend(sources(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
        found
    }

    /// Networks, data, attacks, training and evaluation can be used without the program around them.
    #[test]
    fn the_library_does_not_use_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for part in [
            "attack", "certify", "data", "deployed", "device", "eval", "nn", "pytorch", "served", "train",
        ] {
            let files = sources(&root.join(part));
            assert!(!files.is_empty(), "{part}");
            for file in files {
                let text = fs::read_to_string(&file).expect("a source file");
                for program in ["run", "store", "cli", "request", "terminal"] {
                    let path = format!("crate::{program}::");
                    assert!(!text.contains(&path), "{} uses {path}", file.display());
                }
            }
        }
    }
}
