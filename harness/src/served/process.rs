//! A server that this process starts, and ends with itself.

use crate::error::{Error, Result};
use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Lines of a server's standard error that an error message shows.
const TAIL: usize = 12;
/// The line with which a server says that it listens.
const READY: &str = "ready";

/// How to start a server of a model: `PYTHON -m rlnet.serve MODEL ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The Python that has the model's framework and the `rlnet` package.
    pub python: PathBuf,
    /// `FILE.py:factory`, an `.onnx` or a `.pt2` file, or with `--factory` a file of weights.
    pub model: String,
    /// Further options of `rlnet.serve`.
    pub options: Vec<String>,
    /// How long it may take until it listens.
    pub patience: Duration,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: TempDir,
    tail: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it listens, or takes too long: with what it wrote to standard error.
    pub fn start(launch: &Launch) -> Result<Self> {
        let failed = |why: String| {
            Error::Model(format!(
                "{}: {why}; --python names the Python that has the model's framework and `pip install ./python`",
                launch.model
            ))
        };
        let folder =
            tempfile::tempdir().map_err(|error| failed(format!("no folder for its socket: {error}")))?;
        let mut child = Command::new(&launch.python)
            .args(["-m", "rlnet.serve", &launch.model, "--socket"])
            .arg(folder.path().join("model.sock"))
            .args(&launch.options)
            .env("LD_LIBRARY_PATH", library_path())
            // It ends when its standard input is closed, whatever ended this process.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal is for this process, which still needs answers to save its work.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(format!("{} cannot be started: {error}", launch.python.display())))?;
        let tail = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Arc::clone(&tail));
        }
        let (listens, ready) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                // Whatever else the model's code prints is read too: a full pipe would stop it.
                for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                    if line.trim() == READY {
                        let _ = listens.send(());
                    }
                }
            });
        }
        let mut server = Self { child, folder, tail };
        let why = match ready.recv_timeout(launch.patience) {
            Ok(()) => return Ok(server),
            Err(mpsc::RecvTimeoutError::Timeout) => format!(
                "its server does not listen after {} s (--answer-within says how long to wait)",
                launch.patience.as_secs()
            ),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = server.child.wait();
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                format!("its server ended ({status})")
            }
        };
        Err(failed(format!("{why}:\n{}", server.last_lines())))
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("model.sock")
    }

    fn last_lines(&self) -> String {
        let lines = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a server looks for libraries: where this process does, without the libtorch that this process runs with,
/// which the framework of the model's Python would take for its own.
fn library_path() -> OsString {
    let folders = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let others = env::split_paths(&folders).filter(|folder| !folder.join("libtorch_cpu.so").exists());
    env::join_paths(others).unwrap_or_default()
}

/// Keeps the last lines of a server's standard error.
fn collect(stderr: ChildStderr, tail: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL {
                tail.remove(0);
            }
            tail.push(line);
        }
    });
}
