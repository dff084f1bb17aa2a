//! Commands without the start of a process: `harness/examples/fork_server.rs` becomes them, once it has been started.

use crate::support::{CommandOutput, binary};
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;

/// The server of this test program; it ends with it, because its standard input does.
struct Server {
    folder: TempDir,
    _process: Child,
}

impl Server {
    /// None where it is older than the program: `cargo test --workspace` links both, one soon after the other,
    /// `cargo build -p rlnet` the program alone.
    fn start() -> Option<Self> {
        let program = binary();
        let server = program.with_file_name("examples").join("fork_server");
        let linked = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
        if linked(&server)? + Duration::from_secs(60) < linked(&program)? {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = Command::new(server)
            .env("RLNET_FORK_SERVER", folder.path().join("socket"))
            // libgomp reads it once.
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the fork server");
        while !folder.path().join("socket").exists() {
            let ended = process.try_wait().expect("the fork server");
            assert!(ended.is_none(), "the fork server ended at once: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self {
            folder,
            _process: process,
        })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

/// Runs a command of the program to its end; None where there is no server.
pub fn output(command: &Command) -> Option<CommandOutput> {
    static SERVER: LazyLock<Option<Server>> = LazyLock::new(Server::start);
    let server = SERVER.as_ref()?;
    let text = |value: &std::ffi::OsStr| value.to_str().expect("UTF-8").to_owned();
    let variables: Map<String, Value> = command
        .get_envs()
        .map(|(name, value)| (text(name), value.map_or(Value::Null, |value| text(value).into())))
        .collect();
    let streams = tempfile::tempdir_in(server.folder.path()).expect("a folder");
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| streams.path().join(name));
    let request = json!({
        "words": command.get_args().map(text).collect::<Vec<_>>(),
        "folder": command.get_current_dir().expect("a folder"),
        "variables": variables,
        "stdout": stdout,
        "stderr": stderr,
    });
    let mut connection = UnixStream::connect(server.socket()).expect("the fork server");
    connection
        .write_all(format!("{request}\n").as_bytes())
        .expect("a request");
    let mut status = [0; 4];
    connection.read_exact(&mut status).expect("an answer");
    let read = |path: &Path| {
        let bytes = std::fs::read(path).expect("a stream");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Some(CommandOutput {
        code: ExitStatus::from_raw(i32::from_le_bytes(status))
            .code()
            .unwrap_or(-1),
        stdout: read(&stdout),
        stderr: read(&stderr),
    })
}
