//! Several workers on one machine: processes of this same program that share the run directory
//! through its claims, as any others would. This one starts them, shows how far they are, and
//! hands a request to stop on to them.

use super::directory::RunDirectory;
use super::eta::Load;
use super::failure::Failures;
use super::heartbeat::worker_statuses;
use super::progress::RunProgress;
use crate::error::{BAD_INPUT, Error, FAILED, OUT_OF_MEMORY, Result, STOPPED};
use crate::progress::announce;
use crate::stop;
use rlnet_suites::Plan;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Between two looks at the workers.
const LOOK: Duration = Duration::from_millis(200);

/// The workers to start.
pub struct WorkerPool {
    /// Arguments of each: this program's own, made ready for a worker.
    pub arguments: Vec<Vec<OsString>>,
    /// The name they share.
    pub session: String,
    /// The cells they are to finish, for the view.
    pub cells: Vec<Load>,
}

struct Worker {
    child: Child,
    log: PathBuf,
    /// Length of the log before this run.
    before: u64,
    ended: Option<ExitStatus>,
}

impl WorkerPool {
    /// Runs the workers to their end.
    ///
    /// # Errors
    /// When one cannot be started, a cell failed, the input is bad, or a stop was asked for.
    pub fn run(&self, directory: &RunDirectory, plan: &Plan) -> Result<()> {
        let logs = directory.root().join("logs");
        crate::files::create_folder(&logs)?;
        let mut workers = Vec::new();
        for (number, arguments) in self.arguments.iter().enumerate() {
            workers.push(start(arguments, logs.join(format!("worker-{}.log", number + 1)))?);
        }
        announce(&format!(
            "{} workers; what they say is in {}",
            workers.len(),
            logs.display()
        ));
        let failures = Failures::new(directory, &self.session)?;
        let mut view = RunProgress::new(&self.cells, self.arguments.len());
        let mut told = false;
        loop {
            let mut all = true;
            for (number, worker) in workers.iter_mut().enumerate() {
                if worker.ended.is_some() {
                    continue;
                }
                let ended = worker.child.try_wait();
                worker.ended =
                    ended.map_err(|error| Error::External(format!("worker {}: {error}", number + 1)))?;
                all &= worker.ended.is_some();
                if code(worker) == Some(OUT_OF_MEMORY) {
                    view.note(&format!(
                        "worker {} found no memory; the others go on with what it had claimed",
                        number + 1
                    ));
                }
                if let Some(signal) = worker.ended.and_then(|status| status.signal()) {
                    view.note(&format!(
                        "worker {} was killed by signal {signal}; the others go on with what it had claimed",
                        number + 1
                    ));
                }
            }
            let failed = plan.cells.iter().filter(|cell| failures.of(&cell.id).is_some());
            view.update(directory, &worker_statuses(directory.root()), failed.count());
            if all {
                break;
            }
            // A worker that found bad input has found it for all.
            let bad = workers.iter().any(|worker| code(worker) == Some(BAD_INPUT));
            if !told && (stop::asked().is_some() || bad) {
                told = true;
                for worker in &mut workers {
                    // The end of its standard input is the request.
                    drop(worker.child.stdin.take());
                }
                view.note("stopping: every worker finishes its step or batch and saves it");
            }
            std::thread::sleep(LOOK);
        }
        view.finish();
        self.judge(&workers, &failures, plan)
    }

    fn judge(&self, workers: &[Worker], failures: &Failures, plan: &Plan) -> Result<()> {
        let with = |wanted: u8| workers.iter().find(|worker| code(worker) == Some(wanted));
        if let Some(worker) = with(BAD_INPUT) {
            return Err(worker_error(worker, BAD_INPUT));
        }
        if let Some(why) = stop::asked() {
            return Err(Error::Stopped(format!("{why}; what was done is saved")));
        }
        failures.judge(plan)?;
        if let Some(worker) = with(FAILED) {
            return Err(worker_error(worker, FAILED));
        }
        if with(STOPPED).is_some() {
            return Err(Error::Stopped(
                "a worker was asked to stop; what was done is saved".into(),
            ));
        }
        // A worker that ended well has finished the work of those that did not.
        if with(0).is_some() {
            return Ok(());
        }
        if let Some(worker) = with(OUT_OF_MEMORY) {
            return Err(worker_error(worker, OUT_OF_MEMORY));
        }
        let Some(worker) = workers.first() else {
            return Ok(());
        };
        Err(Error::External(format!(
            "every worker was killed ({}); is there memory enough? Run the same command again to continue",
            worker.log.display()
        )))
    }
}

fn start(arguments: &[OsString], log: PathBuf) -> Result<Worker> {
    let program =
        std::env::current_exe().map_err(|error| Error::External(format!("finding rlnet itself: {error}")))?;
    let file = OpenOptions::new().create(true).append(true).open(&log);
    let file = file.map_err(|error| Error::writing(&log, &error))?;
    let before = file.metadata().map_or(0, |metadata| metadata.len());
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(file)
        // Ctrl-C on the terminal is for this process, which hands it on.
        .process_group(0)
        .spawn()
        .map_err(|error| Error::External(format!("starting a worker: {error}")))?;
    Ok(Worker {
        child,
        log,
        before,
        ended: None,
    })
}

/// The exit code of a worker; nothing while it runs, or when a signal ended it.
fn code(worker: &Worker) -> Option<u8> {
    worker.ended?.code().and_then(|code| u8::try_from(code).ok())
}

/// The error that a worker ended with.
fn worker_error(worker: &Worker, code: u8) -> Error {
    Error::Worker {
        code,
        why: stderr_tail(worker),
    }
}

/// The error that a worker ended with, from its log.
fn stderr_tail(worker: &Worker) -> String {
    let mut text = String::new();
    let read = File::open(&worker.log).and_then(|mut file| {
        file.seek(SeekFrom::Start(worker.before))?;
        file.read_to_string(&mut text)
    });
    match (read, last_error(&text)) {
        (Ok(_), Some(error)) => error.to_owned(),
        _ => format!("a worker failed; see {}", worker.log.display()),
    }
}

/// The last error of a log, to its end.
fn last_error(log: &str) -> Option<&str> {
    const START: &str = "error: ";
    let at = match log.rfind(&format!("\n{START}")) {
        Some(line) => line + 1,
        None if log.starts_with(START) => 0,
        None => return None,
    };
    Some(log[at + START.len()..].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_a_line_that_begins_with_it_and_what_follows() {
        assert_eq!(last_error("error: one\n"), Some("one"));
        assert_eq!(
            last_error("a\nerror: one\nb\nerror: two:\n  more\n"),
            Some("two:\n  more")
        );
        let inner = "x\nerror: out of memory: CUDA error: out of memory; use fewer --jobs";
        assert!(last_error(inner).is_some_and(|error| error.starts_with("out of memory: CUDA")));
        assert_eq!(last_error("an error: inside"), None);
    }
}
