//! One connection to a server: messages over the socket, arrays in the shared file.

use super::Description;
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The version of the protocol.
pub(super) const VERSION: u32 = 1;
/// Logits an image that there is room for.
pub(super) const MOST_CLASSES: i64 = 65_536;
/// No message is longer.
const LONGEST_MESSAGE: u32 = 1 << 20;
/// Arrays begin at multiples of so many bytes.
const ALIGNMENT: u64 = 64;

/// A reply of the server.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    ok: bool,
    kind: Option<String>,
    error: Option<String>,
    pub(super) shape: Option<Vec<i64>>,
    pub(super) pass: Option<u64>,
}

/// A connection, and the file for its arrays.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    memory: File,
    /// Where the file is, until the server has opened it too.
    path: Option<PathBuf>,
    length: u64,
    name: String,
    /// How long one answer may take.
    patience: Duration,
}

impl Connection {
    pub(super) fn open(socket: &Path, patience: Duration) -> Result<Self> {
        let refused = |what: &str, error: std::io::Error| {
            Error::Model(format!(
                "{}: {what}: {error}; start the model's server first (rlnet.evaluate does, and so does python:FILE.py:factory)",
                socket.display()
            ))
        };
        let stream = UnixStream::connect(socket).map_err(|error| refused("nobody listens there", error))?;
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .map_err(|error| refused("no time limit can be set", error))?;
        let (path, memory) =
            memory_file(socket).map_err(|error| refused("no shared file can be made", error))?;
        Ok(Self {
            stream,
            memory,
            path: Some(path),
            length: 0,
            name: socket.display().to_string(),
            patience,
        })
    }

    /// The first message: both sides say which version they speak.
    pub(super) fn hello(&mut self) -> Result<Description> {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let reply: Value = self.exchange(&json!({
            "op": "hello", "protocol": VERSION, "memory": path.display().to_string(),
        }))?;
        self.forget_path();
        let version = reply.get("protocol").and_then(Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            return Err(Error::Model(format!(
                "{}: the server speaks version {} of the protocol, this program version {VERSION}; install the \
                 package and the program of one release",
                self.name,
                version.map_or_else(|| "?".to_owned(), |version| version.to_string())
            )));
        }
        serde_json::from_value(reply).map_err(|error| {
            Error::Model(format!(
                "{}: the server does not describe its model: {error}",
                self.name
            ))
        })
    }

    /// Puts an array's bytes at the front of the shared file, and makes room behind it for a reply of so many
    /// bytes: gives where.
    pub(super) fn place(&mut self, bytes: &[u8], room: u64) -> Result<u64> {
        let out = (bytes.len() as u64).div_ceil(ALIGNMENT) * ALIGNMENT;
        let failed = |error| Error::External(format!("the file shared with the model's server: {error}"));
        if self.length < out + room {
            self.length = (out + room).next_power_of_two();
            self.memory.set_len(self.length).map_err(failed)?;
        }
        self.memory.write_all_at(bytes, 0).map_err(failed)?;
        Ok(out)
    }

    /// Bytes of the shared file.
    pub(super) fn fetch(&self, at: u64, count: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count as usize];
        let failed = |error| Error::External(format!("the file shared with the model's server: {error}"));
        self.memory.read_exact_at(&mut bytes, at).map_err(failed)?;
        Ok(bytes)
    }

    /// Sends a request and waits for its answer.
    pub(super) fn ask(&mut self, request: &Value) -> Result<Reply> {
        let reply: Value = self.exchange(request)?;
        serde_json::from_value(reply).map_err(|error| {
            Error::Model(format!(
                "{}: an answer of the server cannot be read: {error}",
                self.name
            ))
        })
    }

    fn exchange(&mut self, request: &Value) -> Result<Value> {
        let body = request.to_string();
        let mut message = (body.len() as u32).to_le_bytes().to_vec();
        message.extend_from_slice(body.as_bytes());
        self.stream
            .write_all(&message)
            .map_err(|error| self.gone(&error.to_string()))?;
        let deadline = Instant::now() + self.patience;
        let mut head = [0; 4];
        self.read(&mut head, deadline)?;
        let length = u32::from_le_bytes(head);
        if length > LONGEST_MESSAGE {
            return Err(Error::Model(format!(
                "{}: an answer of {length} bytes is none of this protocol",
                self.name
            )));
        }
        let mut body = vec![0; length as usize];
        self.read(&mut body, deadline)?;
        let value: Value = serde_json::from_slice(&body).map_err(|error| {
            Error::Model(format!(
                "{}: an answer of the server is not JSON: {error}",
                self.name
            ))
        })?;
        let reply: Reply = serde_json::from_value(value.clone()).map_err(|error| {
            Error::Model(format!(
                "{}: an answer of the server cannot be read: {error}",
                self.name
            ))
        })?;
        if reply.ok {
            return Ok(value);
        }
        let said = reply.error.unwrap_or_else(|| "no reason given".to_owned());
        Err(match reply.kind.as_deref() {
            Some("model") => Error::Model(format!("the model failed: {said}")),
            _ => Error::Model(format!("{}: {said}", self.name)),
        })
    }

    /// Fills a buffer from the socket, waiting until the deadline.
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.gone("it closed the connection")),
                Ok(count) => filled += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() > deadline {
                        return Err(self.gone(&format!(
                            "no answer for {} s (--answer-within says how long to wait)",
                            self.patience.as_secs()
                        )));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.gone(&error.to_string())),
            }
        }
        Ok(())
    }

    fn gone(&self, why: &str) -> Error {
        Error::External(format!(
            "{}: the model's server does not answer: {why}; finished work is kept, the same command goes on",
            self.name
        ))
    }

    fn forget_path(&mut self) {
        if let Some(path) = self.path.take() {
            // Both sides have it open: nothing is left behind, whatever ends them.
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.forget_path();
    }
}

/// An empty file for arrays, in memory where the system has such a folder, else beside the socket.
fn memory_file(socket: &Path) -> std::io::Result<(PathBuf, File)> {
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() {
        shared
    } else {
        socket.parent().unwrap_or(Path::new("."))
    };
    for attempt in 0..1000 {
        let path = folder.join(format!("rlnet-{}-{attempt}", std::process::id()));
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (path, file)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
