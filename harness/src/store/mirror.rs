//! A thread that copies cells to a store as they are finished, whoever finishes them: this process,
//! its workers, or another one that shares the folder; and that fetches those that other machines have
//! copied there.
//!
//! Work does not wait for it. What a store does not take is said once and tried again; what is left
//! at the end is an error, and nothing is lost: the cells are in the folder.

use super::cells::Store;
use crate::error::{Error, Result};
use crate::progress::announce;
use crate::run::RunDirectory;
use crate::stop;
use rlnet_suites::{Cell, CellId};
use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks for finished cells.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks for cells that other machines finished.
const OTHERS: Duration = Duration::from_secs(10);
/// After a failure, until the next try.
const PAUSE: Duration = Duration::from_secs(30);

/// The thread.
#[derive(Debug)]
pub struct Mirror {
    /// Dropping it asks for the last round.
    end: Sender<()>,
    thread: JoinHandle<Result<()>>,
}

/// What the thread knows.
struct Copies {
    store: Arc<Store>,
    directory: RunDirectory,
    cells: Vec<Cell>,
    /// Those that the store has.
    there: Mutex<BTreeSet<CellId>>,
}

impl Mirror {
    /// Starts copying these cells, but those that are `there`.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn start(
        store: &Arc<Store>,
        directory: &RunDirectory,
        cells: Vec<Cell>,
        there: BTreeSet<CellId>,
    ) -> Result<Self> {
        let copies = Copies {
            store: Arc::clone(store),
            directory: RunDirectory::open(directory.root())?,
            cells,
            there: Mutex::new(there),
        };
        let (end, asked) = mpsc::channel();
        Ok(Self {
            end,
            thread: std::thread::spawn(move || {
                let (mut said, mut next) = (None, Instant::now());
                let mut listed = Instant::now();
                while asked.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if Instant::now() < next {
                        continue;
                    }
                    let mut round = copies.round();
                    if round.is_ok() && listed.elapsed() >= OTHERS {
                        round = copies.fetch();
                        listed = Instant::now();
                    }
                    if let Err(error) = round {
                        next = Instant::now() + PAUSE;
                        let text = error.to_string();
                        if said.as_ref() != Some(&text) {
                            announce(&format!(
                                "not copied yet: {text} (the work goes on; it is tried again)"
                            ));
                            said = Some(text);
                        }
                    }
                }
                copies.last_round()
            }),
        })
    }

    /// Copies what is left, and ends.
    ///
    /// # Errors
    /// When cells are left that the store does not take.
    pub fn finish(self) -> Result<()> {
        drop(self.end);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::Internal("copying to the store ended early".into())))
    }
}

impl Copies {
    fn left(&self) -> Vec<&CellId> {
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |id: &&CellId| !there.contains(id) && self.directory.is_done(id);
        self.cells.iter().map(|cell| &cell.id).filter(left).collect()
    }

    /// Copies what is finished and not there.
    fn round(&self) -> Result<()> {
        self.store
            .each(&self.left(), |id| {
                // Somebody else may have been first; two copies of one cell are as good as one.
                if !self.store.has(&self.directory, id)? {
                    self.store.keep(&self.directory, id)?;
                    Store::forget_refused(&self.directory, id);
                }
                self.store.release(id);
                let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
                there.insert((*id).clone());
                Ok(())
            })
            .map(|_| ())
    }

    /// Fetches what others have finished meanwhile.
    fn fetch(&self) -> Result<()> {
        if self.cells.iter().all(|cell| self.directory.is_done(&cell.id)) {
            return Ok(());
        }
        let mut finished = self.store.finished()?;
        for id in Store::refused(&self.directory) {
            // Not fetched and refused every time: it stays where nobody may delete.
            if !self.store.has(&self.directory, &id)? {
                finished.remove(&id);
            }
        }
        match self.store.fetch(&self.directory, &self.cells, &finished) {
            // What it had fetched by then is in the folder.
            Err(_) if stop::asked().is_some() => return Ok(()),
            fetched => {
                for id in fetched? {
                    finished.remove(&id);
                }
            }
        }
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        there.extend(finished.into_iter().filter(|id| self.directory.is_done(id)));
        Ok(())
    }

    fn last_round(&self) -> Result<()> {
        self.round().map_err(|error| {
            Error::External(format!(
                "not all finished cells are in {}: {error}\nwhat was computed is in {}, and the same command goes on",
                self.store.url(),
                self.directory.root().display()
            ))
        })
    }
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use super::super::{StoreClaims, example};
    use super::*;
    use crate::run::SharedClaims;
    use std::fs;

    #[test]
    fn a_damaged_copy_that_nobody_may_delete_is_computed_here_and_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = example::store(&folder.path().join("store"));
        let cells = example::cells();
        let id = &cells[0].id;
        let copies = Copies {
            store: Arc::clone(&store),
            directory: RunDirectory::open(&folder.path().join("work")).expect("a folder"),
            cells: cells.clone(),
            there: Mutex::default(),
        };
        let copy = folder.path().join("store/cells").join(&id.0);
        let lay = || {
            fs::create_dir_all(&copy).expect("a folder");
            fs::write(copy.join("cell.json"), "damaged").expect("a copy");
        };
        // Claims are those of a process that knows only the folder, as a worker does.
        let may_compute = || {
            let patience = Duration::from_secs(60);
            StoreClaims::start(Arc::clone(&store), &copies.directory, "a run", patience)
        };
        lay();
        assert!(!may_compute().take(id));
        copies.fetch().expect("an answer");
        // The folder has let go of it; another store would not have.
        assert!(!copy.join("cell.json").exists());
        lay();
        copies.fetch().expect("an answer");
        let damaged = fs::read_dir(copies.directory.root().join("damaged"));
        assert_eq!(damaged.expect("kept").count(), 1);
        assert!(may_compute().take(id));
        example::finish(&copies.directory, &cells[0], "computed here");
        copies.fetch().expect("an answer");
        copies.round().expect("copied");
        assert_eq!(store.check(id), Ok(None));
        assert!(!may_compute().take(id));
        // Another machine finishes a cell of which this one has refused a copy.
        lay();
        store.refuse(&copies.directory, id, b"damaged").expect("refused");
        lay();
        assert!(may_compute().take(id));
        fs::write(copy.join("cell.json"), "written anew").expect("a copy");
        assert!(!may_compute().take(id));
    }
}
