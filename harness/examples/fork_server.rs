//! `rlnet` for tests, started once: a process takes 0.18 s to start, nearly all of it libtorch's initialisers, and the
//! tests of the program run many hundreds of commands.
//!
//! With `RLNET_FORK_SERVER=SOCKET` it listens there. A request is one line of JSON: the words of a command, its folder,
//! the variables to set (null: to remove), and the files for its two streams. A child that is forked before anything
//! has run becomes that command; the answer is its exit status as `waitpid` gives it, four bytes. The server ends when its standard
//! input does. Without the variable it is `rlnet` itself, so that what starts itself again starts the right program.
#![expect(unsafe_code, reason = "fork, waitpid and dup2 have no safe form")]

use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

const SOCKET: &str = "RLNET_FORK_SERVER";

fn main() {
    match std::env::var_os(SOCKET) {
        Some(socket) => serve(Path::new(&socket)),
        None => rlnet::device::leave(rlnet::cli::main()),
    }
}

/// Forks a child for every connection and answers it when the child ends, until standard input ends.
fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let ended = ends_of_children();
    let mut running: Vec<(libc::pid_t, UnixStream)> = Vec::new();
    loop {
        let mut watched = [0, listener.as_raw_fd(), ended].map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: the array outlives the call, and its length is given.
        unsafe { libc::poll(watched.as_mut_ptr(), 3, -1) };
        let [input, request, end] = watched.map(|one| one.revents != 0);
        if input {
            let _ = std::fs::remove_file(socket);
            return;
        }
        if end {
            answer_ended(ended, &mut running);
        }
        if request {
            let (connection, _) = listener.accept().expect("a connection");
            // SAFETY: this process has one thread.
            match unsafe { libc::fork() } {
                0 => {
                    running.clear();
                    become_command(&connection);
                }
                child => running.push((child, connection)),
            }
        }
    }
}

/// What can be read from when a child has ended: its signal, which is blocked from now on.
fn ends_of_children() -> libc::c_int {
    // SAFETY: the set is initialised before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::signalfd(-1, &raw const set, 0)
    }
}

/// Answers the connections of all children that have ended.
fn answer_ended(ended: libc::c_int, running: &mut Vec<(libc::pid_t, UnixStream)>) {
    let mut signal = [0_u8; size_of::<libc::signalfd_siginfo>()];
    // SAFETY: the buffer is as long as the call is told.
    unsafe { libc::read(ended, signal.as_mut_ptr().cast(), signal.len()) };
    loop {
        let mut status: libc::c_int = 0;
        // SAFETY: `status` outlives the call.
        let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if child <= 0 {
            return;
        }
        if let Some(at) = running.iter().position(|(pid, _)| *pid == child) {
            let (_, mut connection) = running.swap_remove(at);
            // A test that gave up listens no more.
            let _ = connection.write_all(&status.to_le_bytes());
        }
    }
}

/// Reads the request, and is that command from now on.
fn become_command(connection: &UnixStream) -> ! {
    // SAFETY: the set is initialised before it is used. The command may wait for children of its own.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
    let mut line = String::new();
    BufReader::new(connection)
        .read_line(&mut line)
        .expect("a request");
    let request: Value = serde_json::from_str(&line).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    std::env::set_current_dir(text(&request["folder"])).expect("a folder");
    let no_more = (SOCKET.to_owned(), Value::Null);
    let variables = request["variables"].as_object().expect("variables").clone();
    for (name, value) in variables.into_iter().chain([no_more]) {
        // SAFETY: this process has one thread.
        unsafe {
            match value.as_str() {
                Some(value) => std::env::set_var(name, value),
                None => std::env::remove_var(name),
            }
        }
    }
    let streams = [
        File::open("/dev/null"),
        File::create(text(&request["stdout"])),
        File::create(text(&request["stderr"])),
    ];
    for (number, file) in (0..).zip(streams) {
        let file = file.expect("a stream");
        // SAFETY: both descriptors are open.
        unsafe { libc::dup2(file.as_raw_fd(), number) };
    }
    let words = request["words"].as_array().expect("words");
    let words = std::iter::once(OsString::from("rlnet")).chain(words.iter().map(|word| text(word).into()));
    rlnet::device::leave(rlnet::cli::main_with(words.collect()))
}
