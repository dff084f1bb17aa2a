//! Requests to stop: by a signal, by a time limit, or by the process that started this one.
//!
//! Work calls [`asked`] between two steps. Whoever sees a reason saves and returns
//! [`Error::Stopped`](crate::error::Error::Stopped). Signals belong to the whole process, and so
//! does this.

use crate::error::{Error, Result};
use crate::progress::{self, announce};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The signals that ask to stop. Slurm sends SIGTERM at a time limit and before a requeue, and
/// SIGUSR1 where `--signal` asks for a warning.
const SIGNALS: [(i32, &str); 3] = [(SIGINT, "Ctrl-C"), (SIGTERM, "SIGTERM"), (SIGUSR1, "SIGUSR1")];

static SEEN: OnceLock<Vec<(Arc<AtomicBool>, &'static str)>> = OnceLock::new();
static LIMIT: OnceLock<(Instant, f64)> = OnceLock::new();
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Time between two looks for a signal to answer.
const ANSWER: Duration = Duration::from_millis(50);

static PARENT_GONE: AtomicBool = AtomicBool::new(false);

/// Listens to the signals. The first one asks to stop; a second Ctrl-C ends the process at once
/// (which loses the step in flight and nothing else). A second SIGTERM is the first one over
/// again: Slurm sends one to the program, and one to its script, which hands it on.
///
/// # Errors
/// When the system refuses.
pub fn on_signals() -> Result<()> {
    if SEEN.get().is_some() {
        return Ok(());
    }
    let mut seen = Vec::new();
    for (signal, name) in SIGNALS {
        let asked = Arc::new(AtomicBool::new(false));
        let failed = |why: std::io::Error| Error::Internal(format!("listening to {name}: {why}"));
        if signal == SIGINT {
            // Registered first, so that it acts on the second signal, not on the first.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked)).map_err(failed)?;
        }
        flag::register(signal, Arc::clone(&asked)).map_err(failed)?;
        seen.push((asked, name));
    }
    let _ = SEEN.set(seen);
    // A step may take minutes; the answer to a signal comes at once.
    std::thread::spawn(|| {
        loop {
            if let Some(name) = signalled() {
                return answer(name);
            }
            std::thread::sleep(ANSWER);
        }
    });
    Ok(())
}

/// The signal that arrived.
fn signalled() -> Option<&'static str> {
    let mut seen = SEEN.get().into_iter().flatten();
    seen.find(|(asked, _)| asked.load(Ordering::Relaxed))
        .map(|(_, name)| *name)
}

/// Prints, once, what the program finishes before it stops.
fn answer(signal: &str) {
    if ANSWERED.swap(true, Ordering::Relaxed) {
        return;
    }
    let of = progress::current().map_or(String::new(), |title| format!(" of {title}"));
    announce(&format!(
        "{signal}: finishing the current step{of}, then saving; Ctrl-C again stops at once"
    ));
}

/// Asks to stop this many minutes from now.
///
/// # Errors
/// When the number is not above zero.
pub fn after_minutes(minutes: f64) -> Result<()> {
    let limit = Duration::try_from_secs_f64(60.0 * minutes)
        .ok()
        .filter(|limit| !limit.is_zero());
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let Some(end) = end else {
        return Err(Error::Usage(format!(
            "--minutes {minutes}: write a number above 0, as 90 or 0.5"
        )));
    };
    let _ = LIMIT.set((end, minutes));
    Ok(())
}

/// Asks to stop when standard input ends: it is a pipe whose other end the parent holds, so a
/// parent that closes it, or dies in any way, stops its children.
pub fn with_parent() {
    std::thread::spawn(|| {
        let mut bytes = [0; 64];
        while matches!(std::io::stdin().read(&mut bytes), Ok(n) if n > 0) {}
        PARENT_GONE.store(true, Ordering::Relaxed);
    });
}

/// In tests, asks this thread's work to stop at its `n`-th question from now.
#[cfg(test)]
pub fn at_question(n: u32) {
    QUESTIONS.set(Some(n));
}

#[cfg(test)]
thread_local! {
    static QUESTIONS: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
}

/// Why the work should stop now; nothing when it should go on.
pub fn asked() -> Option<String> {
    #[cfg(test)]
    if let Some(left) = QUESTIONS.get() {
        QUESTIONS.set(Some(left.saturating_sub(1)));
        if left <= 1 {
            return Some("the test says so".to_owned());
        }
    }
    if let Some(name) = signalled() {
        answer(name);
        return Some(name.to_owned());
    }
    if PARENT_GONE.load(Ordering::Relaxed) {
        return Some("the process that started it stopped it".to_owned());
    }
    match LIMIT.get() {
        Some((end, minutes)) if Instant::now() >= *end => Some(format!("--minutes {minutes} are over")),
        _ => None,
    }
}

/// An error that hands the request up, when there is one. `saved` says what is kept.
///
/// # Errors
/// Exactly when [`asked`] gives a reason.
pub fn check(saved: &str) -> Result<()> {
    match asked() {
        Some(why) => Err(Error::Stopped(format!("{why}; {saved}"))),
        None => Ok(()),
    }
}
