//! Progress on stderr: a bar with rate and ETA on a terminal, else a plain line every few
//! seconds, so that a log of a long run is never silent.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds between two plain lines.
const EVERY: Duration = Duration::from_secs(10);

/// Time between two messages beside a bar.
const REFRESH: Duration = Duration::from_millis(250);

/// Time between two reports to whoever listens.
const TOLD: Duration = Duration::from_secs(1);

/// How far a piece of work is, for other processes to see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What is being worked on.
    pub title: String,
    /// What is counted.
    pub unit: String,
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// Units a second, in this process.
    pub rate: f64,
    /// What was said last.
    pub message: String,
}

/// Tells that this process waits for others.
pub fn idle() {
    let report = Report {
        title: "waiting".into(),
        unit: "images".into(),
        done: 0,
        total: 0,
        rate: 0.0,
        message: "for other processes".into(),
    };
    if let Some(listener) = &*LISTENER.lock().unwrap_or_else(PoisonError::into_inner) {
        listener(&report);
    }
}

type Listener = Box<dyn Fn(&Report) + Send>;

/// What this process works on now, and its bar.
static CURRENT: Mutex<Option<(String, Option<ProgressBar>)>> = Mutex::new(None);

/// Columns of a title beside a bar, and of a message: with the bar, a line has 100 at most.
const TITLE: usize = 26;
const MESSAGE: usize = 22;

/// What this process works on now.
pub fn current() -> Option<String> {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.as_ref().map(|(title, _)| title.clone())
}

/// At most so many characters of a text.
fn shorten(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// Has every piece of work tell how far it is, about once a second.
pub fn tell(listener: impl Fn(&Report) + Send + 'static) {
    *LISTENER.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(listener));
}

/// A running piece of work.
pub struct Progress {
    title: String,
    unit: &'static str,
    bar: Option<ProgressBar>,
    total: u64,
    done: Cell<u64>,
    /// Work done before this process, which must not count in the rate.
    before: u64,
    started: Instant,
    spoke: RefCell<Instant>,
    told: Cell<Option<Instant>>,
}

/// One line on stderr; a closed stderr is nobody's loss.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Progress {
    /// Work of `total` units, `already` of them done by an earlier process.
    pub fn new(title: &str, unit: &'static str, total: u64, already: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix:>14} [{bar:20.cyan}] {percent:>3}% {rate:>9} {eta:>4} left {wide_msg}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", |state: &ProgressState, line: &mut dyn std::fmt::Write| {
                let _ = write!(line, "{:.0}/s", state.per_sec());
            })
            .progress_chars("=> ");
            let bar = ProgressBar::new(total)
                .with_style(style)
                .with_prefix(shorten(title, TITLE));
            bar.set_position(already);
            bar.reset_eta();
            bar
        });
        let current = Some((title.to_owned(), bar.clone()));
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = current;
        Self {
            title: title.to_owned(),
            unit,
            bar,
            total,
            done: Cell::new(already),
            before: already,
            started: Instant::now(),
            spoke: RefCell::new(Instant::now()),
            told: Cell::new(None),
        }
    }

    fn tell<M: ToString>(&self, message: &impl Fn() -> M) {
        if self.told.get().is_some_and(|told| told.elapsed() < TOLD) {
            return;
        }
        self.told.set(Some(Instant::now()));
        if let Some(listener) = &*LISTENER.lock().unwrap_or_else(PoisonError::into_inner) {
            let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
            listener(&Report {
                title: self.title.clone(),
                unit: self.unit.to_owned(),
                done: self.done.get(),
                total: self.total,
                rate: (self.done.get() - self.before) as f64 / seconds,
                message: message().to_string(),
            });
        }
    }

    /// `units` more are done. The message is made only when it is shown.
    pub fn advance<M: ToString>(&self, units: u64, message: impl Fn() -> M) {
        self.done.set(self.done.get() + units);
        self.tell(&message);
        let pause = if self.bar.is_some() { REFRESH } else { EVERY };
        let due = self.spoke.borrow().elapsed() >= pause;
        if due {
            *self.spoke.borrow_mut() = Instant::now();
        }
        if let Some(bar) = &self.bar {
            if due {
                bar.set_message(shorten(&message().to_string(), MESSAGE));
            }
            bar.inc(units);
        } else if due {
            let message = message().to_string();
            let rate = (self.done.get() - self.before) as f64 / self.started.elapsed().as_secs_f64();
            let left = self.total.saturating_sub(self.done.get()) as f64 / rate;
            line(&format!(
                "{}: {:.0} % of {} {}, {rate:.0}/s, {left:.0} s left, {message}",
                self.title,
                100.0 * self.done.get() as f64 / self.total.max(1) as f64,
                self.total,
                self.unit
            ));
        }
    }

    /// A line worth keeping.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => line(text),
        }
    }

    /// The work is done.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A line about the run as a whole, above the bar if there is one.
pub fn announce(text: &str) {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    match current.as_ref() {
        Some((_, Some(bar))) => bar.println(text),
        _ => line(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_title_is_cut_to_its_columns() {
        assert_eq!(shorten("rlnet/fog", 26), "rlnet/fog");
        let long = shorten("rlnet/apgd-t:eps=8/255,steps=100", 26);
        assert_eq!((long.chars().count(), long.ends_with('…')), (26, true));
    }
}
