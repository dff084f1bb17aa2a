//! A server that this process starts, and ends with itself.

use crate::error::{Error, Result};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tempfile::TempDir;

/// Lines of a server's standard error that an error message shows.
const TAIL: usize = 12;

/// How to start a server of a model: `PYTHON -m rlnet.serve MODEL ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The Python that has the model's framework and the `rlnet` package.
    pub python: PathBuf,
    /// `FILE.py:factory`, an `.onnx` or a `.pt2` file, or with `--factory` a file of weights.
    pub model: String,
    /// Further options of `rlnet.serve`.
    pub options: Vec<String>,
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
    /// When it cannot be started, or ends before it listens: with what it wrote to standard error.
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
            // It ends when its standard input is closed, whatever ended this process.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("{} cannot be started: {error}", launch.python.display())))?;
        let tail = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Arc::clone(&tail));
        }
        let mut ready = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout);
            // Whatever else the model's code prints comes before.
            while ready.trim() != "ready" {
                ready.clear();
                if lines.read_line(&mut ready).unwrap_or(0) == 0 {
                    break;
                }
            }
            // And after: a full pipe would stop it.
            thread::spawn(move || std::io::copy(&mut lines.by_ref(), &mut std::io::sink()));
        }
        let mut server = Self { child, folder, tail };
        if ready.trim() == "ready" {
            return Ok(server);
        }
        let status = server.child.wait();
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Err(failed(format!(
            "its server ended ({status}):\n{}",
            server.last_lines()
        )))
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
