//! How far a run is, for people: bars on a terminal, else a plain line now and then.

use super::directory::RunDirectory;
use super::eta::{Eta, Load};
use super::heartbeat::WorkerStatus;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(10);

/// A live view of a run directory.
pub struct RunProgress {
    cells: Vec<Load>,
    eta: Eta,
    started: Instant,
    spoke: Instant,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    workers: BTreeMap<String, ProgressBar>,
}

impl RunProgress {
    /// A view of these cells, which so many workers share.
    pub fn new(cells: &[Load], workers: usize) -> Self {
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(cells.len() as u64));
            total.set_style(style("{prefix:>14!} [{bar:20.cyan}] {pos}/{len} {wide_msg}"));
            total.set_prefix("cells");
            Bars {
                all,
                total,
                workers: BTreeMap::new(),
            }
        });
        Self {
            cells: cells.to_vec(),
            eta: Eta::new(cells, workers),
            started: Instant::now(),
            spoke: Instant::now(),
            bars,
        }
    }

    /// Shows what is so now.
    pub fn update(&mut self, directory: &RunDirectory, words: &[WorkerStatus], failed: usize) {
        let far: Vec<f64> = self
            .cells
            .iter()
            .map(|cell| far(cell, directory, words))
            .collect();
        let done = far.iter().filter(|far| **far >= 1.0).count();
        let left = self.eta.left(&far, self.started.elapsed().as_secs_f64());
        let left = left.map_or(String::new(), |left| format!(", about {} left", duration(left)));
        let message = format!("done, {} running, {failed} failed{left}", words.len());
        match &mut self.bars {
            Some(bars) => {
                bars.total.set_position(done as u64);
                bars.total.set_message(message);
                bars.show(words);
            }
            None if self.spoke.elapsed() >= EVERY => {
                self.spoke = Instant::now();
                let total = self.cells.len();
                let mut line = format!("cells: {done} of {total} {message}");
                for word in words {
                    line += &format!("; {}", describe(word));
                }
                self.note(&line);
            }
            None => {}
        }
    }

    /// A line worth keeping.
    pub fn note(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                let _ = bars.all.println(text);
            }
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }

    /// The end of the view.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn show(&mut self, words: &[WorkerStatus]) {
        let gone = |name: &String| words.iter().all(|word| word.process != *name);
        let left: Vec<String> = self.workers.keys().filter(|name| gone(name)).cloned().collect();
        for name in left {
            if let Some(bar) = self.workers.remove(&name) {
                self.all.remove(&bar);
            }
        }
        for word in words {
            let all = &self.all;
            let bar = self.workers.entry(word.process.clone()).or_insert_with(|| {
                let bar = all.add(ProgressBar::new(1));
                bar.set_style(style("{prefix:>14!} [{bar:20.cyan}] {percent:>3}% {wide_msg}"));
                bar
            });
            bar.set_length(word.report.total);
            bar.set_position(word.report.done);
            bar.set_prefix(word.report.title.clone());
            bar.set_message(format!("{} {}", word.device, word.report.message));
        }
    }
}

/// The share of a cell that is done: all of it, or what a process says of a training. Of pieces of
/// an evaluation only the whole is counted.
fn far(cell: &Load, directory: &RunDirectory, words: &[WorkerStatus]) -> f64 {
    if directory.is_done(&cell.id) {
        return 1.0;
    }
    let said = words.iter().map(|word| &word.report);
    let said = said.filter(|report| cell.is_trained && report.title == cell.name && report.total > 0);
    said.map(|report| report.done as f64 / report.total as f64)
        .fold(0.0, f64::max)
        .min(0.999)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// What a process does, in a few words.
pub fn describe(word: &WorkerStatus) -> String {
    let report = &word.report;
    if report.total == 0 {
        return report.title.clone();
    }
    let percent = 100.0 * report.done as f64 / report.total.max(1) as f64;
    format!(
        "{} {percent:.0} % ({}, {:.0} {}/s)",
        report.title, report.message, report.rate, report.unit
    )
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.0} days", s / 86400.0),
    }
}
