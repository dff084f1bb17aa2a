//! How far a run is, for people: bars on a terminal, else a plain line now and then.

use super::directory::RunDirectory;
use super::live::Word;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rlnet_suites::CellId;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(10);

/// A live view of a run directory.
pub struct View {
    cells: Vec<CellId>,
    /// Cells done when it began.
    before: usize,
    done: usize,
    started: Instant,
    spoke: Instant,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    workers: BTreeMap<String, ProgressBar>,
}

impl View {
    /// A view of these cells.
    pub fn new(cells: &[CellId], directory: &RunDirectory) -> Self {
        let before = cells.iter().filter(|id| directory.is_done(id)).count();
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(cells.len() as u64));
            total.set_style(style("{prefix:>14} [{bar:30}] {pos}/{len} {msg}"));
            total.set_prefix("cells");
            Bars {
                all,
                total,
                workers: BTreeMap::new(),
            }
        });
        Self {
            cells: cells.to_vec(),
            before,
            done: before,
            started: Instant::now(),
            spoke: Instant::now(),
            bars,
        }
    }

    /// Shows what is so now.
    pub fn update(&mut self, directory: &RunDirectory, words: &[Word], failed: usize) {
        self.done = self.cells.iter().filter(|id| directory.is_done(id)).count();
        let message = format!("done, {} running, {failed} failed{}", words.len(), self.eta());
        match &mut self.bars {
            Some(bars) => {
                bars.total.set_position(self.done as u64);
                bars.total.set_message(message);
                bars.show(words);
            }
            None if self.spoke.elapsed() >= EVERY => {
                self.spoke = Instant::now();
                let total = self.cells.len();
                let mut line = format!("cells: {} of {total} {message}", self.done);
                for word in words {
                    line += &format!("; {}", describe(word));
                }
                self.note(&line);
            }
            None => {}
        }
    }

    /// Time left, from the cells finished since it began: an average over unequal cells, so a
    /// rough one, and none before the first.
    fn eta(&self) -> String {
        let (now, left) = (self.done - self.before, self.cells.len() - self.done);
        if now == 0 || left == 0 {
            return String::new();
        }
        let seconds = self.started.elapsed().as_secs_f64() / now as f64 * left as f64;
        format!(", about {} left", duration(seconds))
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
    fn show(&mut self, words: &[Word]) {
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
                bar.set_style(style("{prefix:>14.14} [{bar:30}] {percent:>3}% {msg}"));
                bar
            });
            bar.set_length(word.report.total);
            bar.set_position(word.report.done);
            bar.set_prefix(word.report.title.clone());
            bar.set_message(format!("{} {}", word.device, word.report.message));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// What a process does, in a few words.
pub fn describe(word: &Word) -> String {
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
        s => format!("{:.1} h", s / 3600.0),
    }
}
