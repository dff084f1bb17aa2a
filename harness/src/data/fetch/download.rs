//! One archive over HTTP: resumed, checked before it is used.

use super::{Archive, check};
use crate::error::{Error, Result};
use crate::progress::{Progress, announce};
use crate::stop;
use reqwest::header::{CONTENT_TYPE, RANGE};
use reqwest::{Client, Response, StatusCode};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Builder;

/// Times that each address is asked; what has come so far is kept between them.
const TRIES: u32 = 4;

/// Why one try ended without the archive.
enum Failed {
    /// The server did not answer, or not to the end: another try may go on.
    Broken(String),
    /// It gives something else.
    Wrong(String),
    /// The program is asked to stop, or the file cannot be written.
    Here(Error),
}

/// Downloads an archive to `file`: to `file.part` first, which a later call resumes.
///
/// # Errors
/// When no address gives it: with what each one did.
pub(super) fn download(archive: &Archive, file: &Path, patience: Duration) -> Result<()> {
    // reqwest is built without a provider of cryptography of its own; another part may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let failed =
        |error: &dyn std::fmt::Display| Error::External(format!("fetching {}: {error}", archive.file));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let client = Client::builder()
        .connect_timeout(patience)
        .read_timeout(patience)
        .build();
    let client = client.map_err(|error| failed(&error))?;
    let part = file.with_file_name(format!("{}.part", archive.file));
    let mut said = Vec::new();
    for url in &archive.urls {
        let mut why = String::new();
        for attempt in 0..TRIES {
            let before = length(&part);
            match runtime.block_on(transfer(&client, archive, url, &part)) {
                Ok(()) => match check(archive, &part) {
                    Ok(()) => return fs::rename(&part, file).map_err(|error| Error::writing(file, &error)),
                    Err(error) => {
                        let _ = fs::remove_file(&part);
                        why = format!("it gives another file ({error})");
                        break;
                    }
                },
                Err(Failed::Broken(what)) => {
                    announce(&format!("{url}: {what}"));
                    why = what;
                    // A server that gives nothing new is not asked in a hurry.
                    if length(&part) <= before {
                        std::thread::sleep(patience.min(Duration::from_secs(u64::from(attempt))));
                    }
                }
                Err(Failed::Wrong(what)) => {
                    why = what;
                    break;
                }
                Err(Failed::Here(error)) => return Err(error),
            }
        }
        said.push(format!("{url}: {why}"));
    }
    Err(Error::External(format!(
        "{} could not be fetched: {}; the same command goes on where it stopped, or put the file at {}",
        archive.file,
        said.join("; "),
        file.display()
    )))
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}

/// One try: what is missing of the file.
async fn transfer(
    client: &Client,
    archive: &Archive,
    url: &str,
    part: &Path,
) -> std::result::Result<(), Failed> {
    let broken = |error: reqwest::Error| {
        let slow = error.is_timeout();
        Failed::Broken(if slow {
            "it does not answer in time".to_owned()
        } else {
            text(&error)
        })
    };
    let mut have = length(part);
    if have == archive.bytes {
        return Ok(());
    }
    if have > archive.bytes {
        let _ = fs::remove_file(part);
        have = 0;
    }
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut response = request.send().await.map_err(broken)?;
    let resumed = response.status() == StatusCode::PARTIAL_CONTENT && have > 0;
    if !resumed {
        have = 0;
    }
    refuse(archive, &response, have)?;
    let here = |error: std::io::Error| Failed::Here(Error::writing(part, &error));
    let mut out = match resumed {
        true => OpenOptions::new().append(true).open(part),
        false => File::create(part),
    }
    .map_err(here)?;
    let progress = Progress::new(&archive.file, "bytes", archive.bytes, have);
    while let Some(bytes) = response.chunk().await.map_err(broken)? {
        stop::check("what has come is kept, the same command goes on").map_err(Failed::Here)?;
        have += bytes.len() as u64;
        if have > archive.bytes {
            let _ = fs::remove_file(part);
            return Err(Failed::Wrong(format!(
                "it sends more than the {} bytes of the archive",
                archive.bytes
            )));
        }
        out.write_all(&bytes).map_err(here)?;
        progress.advance(bytes.len() as u64, String::new);
    }
    out.sync_all().map_err(here)?;
    progress.finish();
    match have == archive.bytes {
        true => Ok(()),
        false => Err(Failed::Broken(format!(
            "it ends after {have} of {} bytes",
            archive.bytes
        ))),
    }
}

/// Refuses what cannot be the archive before a byte of it is kept.
fn refuse(archive: &Archive, response: &Response, have: u64) -> std::result::Result<(), Failed> {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Failed::Broken(format!("it answers {status}")));
    }
    if !status.is_success() {
        return Err(Failed::Wrong(format!("it answers {status}")));
    }
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return Err(Failed::Wrong("it gives a web page, not the archive".to_owned()));
    }
    match response
        .content_length()
        .filter(|length| have + length != archive.bytes)
    {
        Some(length) => Err(Failed::Wrong(format!(
            "it says {} bytes, the archive has {}",
            have + length,
            archive.bytes
        ))),
        None => Ok(()),
    }
}

/// An error with its causes.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
