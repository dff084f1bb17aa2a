//! `rlnet data fetch` from servers that do not do what they should.

use crate::errors::refused;
use crate::support::{CommandOutput, Sandbox, walk};
use md5::{Digest, Md5};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What one answer of a server is: written to the client after its request and the bytes it has already.
type Answer = Box<dyn Fn(&mut TcpStream, usize, &[u8]) + Send>;

/// A server that gives these answers, one a request, the last one again and again; its address, and the requests.
fn serve(file: Vec<u8>, answers: Vec<Answer>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("its address"));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a client");
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().expect("a stream"));
            while lines.read_line(&mut head).is_ok_and(|n| n > 2) {}
            let range = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("range: bytes=")
                    .map(str::to_owned)
            });
            let have = range
                .and_then(|range| range.trim_end_matches('-').parse().ok())
                .unwrap_or(0);
            log.lock().expect("the log").push(head);
            answers[number.min(answers.len() - 1)](&mut stream, have, &file);
        }
    });
    (address, requests)
}

fn head(stream: &mut TcpStream, status: &str, length: usize, more: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
    );
}

/// The whole file, or what is missing of it.
fn right() -> Answer {
    Box::new(|stream, have, file| {
        let status = if have > 0 { "206 Partial Content" } else { "200 OK" };
        head(stream, status, file.len() - have, "");
        let _ = stream.write_all(&file[have..]);
    })
}

/// The head of the whole file, and only so many bytes of it.
fn cut(bytes: usize, then: Duration) -> Answer {
    Box::new(move |stream, have, file| {
        let status = if have > 0 { "206 Partial Content" } else { "200 OK" };
        head(stream, status, file.len() - have, "");
        let _ = stream.write_all(&file[have..(have + bytes).min(file.len())]);
        let _ = stream.flush();
        thread::sleep(then);
    })
}

fn says(status: &'static str, more: &'static str, body: &'static str) -> Answer {
    Box::new(move |stream, _, _| {
        head(stream, status, body.len(), more);
        let _ = stream.write_all(body.as_bytes());
    })
}

/// A small archive of a folder `set`, made by the system's tar.
fn archive(sandbox: &Sandbox) -> Vec<u8> {
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    sandbox.write("made/set/a.bin", noise);
    sandbox.write("made/set/deep/b.txt", "b");
    packed(sandbox, &["set"])
}

fn packed(sandbox: &Sandbox, names: &[&str]) -> Vec<u8> {
    let file = sandbox.path("made.tar.gz");
    let made = Command::new("tar")
        .arg("-czPf")
        .arg(&file)
        .args(names)
        .current_dir(sandbox.path("made"))
        .status();
    assert!(made.expect("tar").success());
    fs::read(file).expect("an archive")
}

/// The list of archives that names a file at these addresses.
fn list(sandbox: &Sandbox, file: &[u8], urls: &[String], unpacked: usize) {
    let urls: Vec<String> = urls.iter().map(|url| format!("{url}/set.tar.gz")).collect();
    sandbox.write(
        "list.toml",
        format!(
            "[[archive]]\nname = \"set\"\nfile = \"set.tar.gz\"\nurls = {urls:?}\nbytes = {}\nmd5 = \"{:x}\"\n\
             holds = \"set\"\nunpacked = {unpacked}\nlicense = \"none\"\n",
            file.len(),
            Md5::digest(file)
        ),
    );
}

fn fetch(sandbox: &Sandbox) -> CommandOutput {
    sandbox.run("data fetch set --archives list.toml --data-dir data --answer-within 1")
}

/// The folder is whole, and nothing else is left.
fn assert_there(sandbox: &Sandbox) {
    assert_eq!(
        fs::read(sandbox.path("data/set/deep/b.txt")).expect("a file"),
        b"b"
    );
    let mut left: Vec<_> = fs::read_dir(sandbox.path("data"))
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["set", "set.tar.gz"]);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let sandbox = Sandbox::new();
    let file = archive(&sandbox);
    let part = file.len() / 3;
    for (name, faults) in [
        (
            "cut short",
            vec![cut(part, Duration::ZERO), cut(part, Duration::ZERO)],
        ),
        ("stalled", vec![cut(part, Duration::from_secs(5))]),
        ("busy", vec![says("503 Service Unavailable", "", "later")]),
        ("moved", vec![says("302 Found", "Location: /elsewhere\r\n", "")]),
    ] {
        let _ = fs::remove_dir_all(sandbox.path("data"));
        let resumes = name == "cut short" || name == "stalled";
        let (address, requests) = serve(file.clone(), faults.into_iter().chain([right()]).collect());
        list(&sandbox, &file, &[address], 1 << 20);
        let output = fetch(&sandbox);
        assert_eq!(output.code, 0, "{name}: {}", output.stderr);
        assert_there(&sandbox);
        let requests = requests.lock().expect("the log");
        let last = requests.last().expect("a request").to_lowercase();
        assert_eq!(last.contains("range: bytes="), resumes, "{name}: {last}");
    }
    // A second time there is nothing to do; and without the folder the archive that lies there will do.
    assert!(fetch(&sandbox).stdout.contains("was there"));
    fs::remove_dir_all(sandbox.path("data/set")).expect("a folder");
    list(&sandbox, &file, &["http://127.0.0.1:9".into()], 1 << 20);
    let output = fetch(&sandbox);
    assert!(output.stdout.contains("beside it"), "{}", output.stderr);
    assert_there(&sandbox);
}

#[test]
fn what_is_not_the_archive_is_refused_and_the_next_mirror_asked() {
    let sandbox = Sandbox::new();
    let file = archive(&sandbox);
    let mut other = file.clone();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    let twisted: Answer = Box::new(move |stream, have, _| {
        head(stream, "200 OK", other.len() - have, "");
        let _ = stream.write_all(&other[have..]);
    });
    let endless: Answer = Box::new(|stream, _, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[0; 65_536]).is_ok() {}
    });
    let page = says("200 OK", "Content-Type: text/html\r\n", "<html>log in</html>");
    for (answer, said) in [
        (twisted, "its MD5 is"),
        (endless, "more than the"),
        (page, "a web page"),
        (says("200 OK", "", "short"), "it says 5 bytes"),
        (says("404 Not Found", "", ""), "404"),
    ] {
        let _ = fs::remove_dir_all(sandbox.path("data"));
        let (bad, _) = serve(file.clone(), vec![answer]);
        list(&sandbox, &file, std::slice::from_ref(&bad), 1 << 20);
        let output = fetch(&sandbox);
        refused(
            &output,
            1,
            &[&bad, said, "the same command goes on", "data/set.tar.gz"],
        );
        assert_eq!(
            walk(&sandbox.path("data"))
                .iter()
                .filter(|file| !file.ends_with(".part"))
                .count(),
            0
        );
        let (good, _) = serve(file.clone(), vec![right()]);
        list(&sandbox, &file, &[bad, good], 1 << 20);
        let output = fetch(&sandbox);
        assert_eq!(output.code, 0, "{said}: {}", output.stderr);
        assert_there(&sandbox);
    }
    refused(
        &sandbox.run("data fetch cifar-10 --data-dir data"),
        2,
        &["cifar10"],
    );
}

#[test]
fn an_archive_that_would_write_elsewhere_is_not_unpacked() {
    let sandbox = Sandbox::new();
    let whole = archive(&sandbox);
    let try_one = |file: &[u8], unpacked: usize, said: &str| {
        let _ = fs::remove_dir_all(sandbox.path("data"));
        sandbox.write("data/set.tar.gz", file);
        list(&sandbox, file, &["http://127.0.0.1:9".into()], unpacked);
        refused(&fetch(&sandbox), 2, &["set.tar.gz", said]);
        assert_eq!(
            walk(&sandbox.path("data")),
            [sandbox.path("data/set.tar.gz").display().to_string()]
        );
    };
    try_one(&whole, 1000, "more bytes");
    let outside = sandbox.write("outside.txt", "o");
    try_one(
        &packed(&sandbox, &["set", "../outside.txt"]),
        1 << 20,
        "leads out",
    );
    try_one(
        &packed(&sandbox, &[&outside.display().to_string()]),
        1 << 20,
        "leads out",
    );
    std::os::unix::fs::symlink("/etc", sandbox.path("made/set/link")).expect("a link");
    try_one(&packed(&sandbox, &["set"]), 1 << 20, "no place");
    let half = whole[..whole.len() / 2].to_vec();
    try_one(&half, 1 << 20, "not readable");
    let mut read = Vec::new();
    fs::File::open(Path::new(&outside))
        .expect("a file")
        .read_to_end(&mut read)
        .expect("bytes");
    assert_eq!(read, b"o");
}

#[test]
fn a_data_set_that_is_not_there_names_the_command_that_gets_it() {
    let sandbox = Sandbox::new();
    let ask = "data verify cifar10 --data-dir data";
    refused(&sandbox.run(ask), 2, &["`rlnet data fetch cifar10` gets it"]);
    sandbox.write("data/cifar-10-python.tar.gz", "half");
    refused(
        &sandbox.run(ask),
        2,
        &["checks and unpacks data/cifar-10-python.tar.gz"],
    );
    refused(
        &sandbox.run("data fetch cifar10 --data-dir data"),
        2,
        &["4 bytes, the official archive has 170498071"],
    );
}
