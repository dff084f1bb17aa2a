//! Who computes what, among machines that share nothing but a store.
//!
//! A claim on a cell is an object, `claims/<id>`, that names its owner. It is made on the condition that there is none
//! (If-None-Match), written again while the owner lives, and taken over, on the condition that nobody else was faster
//! (If-Match), when it has not been written for as long as its reader is patient. The clock is the store's: both
//! times are when it says that an object was written. What two machines compute of one cell all the same (a store that was
//! out of reach, a machine that slept) is the same cell twice, which does no harm.

use super::Store;
use super::error::StoreError;
use crate::progress::announce;
use crate::run::heartbeat::process;
use crate::run::{RunDirectory, SharedClaims};
use rlnet_suites::CellId;
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Renewals in the time after which a claim is given up.
const BEATS: u32 = 4;
/// After a failure of the store, until it is asked again.
const PAUSE: Duration = Duration::from_secs(30);

/// A version of an object that a later write may be bound to.
pub type Version = object_version::Version;

#[cfg(feature = "store")]
mod object_version {
    pub type Version = object_store::UpdateVersion;
}
#[cfg(not(feature = "store"))]
mod object_version {
    #[derive(Debug, Clone)]
    pub enum Version {}
}

/// What a write that had a condition came to.
#[derive(Debug)]
pub enum Conditional {
    /// The object was written.
    Written(Version),
    /// The condition did not hold.
    Refused,
    /// The store knows no conditions.
    Unknown,
}

/// An object and when it was written.
#[derive(Debug)]
pub struct Looked {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its version.
    pub version: Version,
    /// Seconds since 1970, by the store's clock.
    pub written: f64,
}

/// The claims of one process in a store.
#[derive(Debug)]
pub struct StoreClaims {
    shared: Arc<Shared>,
    /// Dropping it ends the renewals.
    end: Option<Sender<()>>,
    renewals: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    /// Where this run works.
    directory: RunDirectory,
    /// The run that this process belongs to: what one of its processes has claimed, all have.
    owner: String,
    patience: Duration,
    known: Mutex<Known>,
}

/// A claim that this run holds.
#[derive(Debug, Clone)]
struct Held {
    version: Version,
    /// Whether this process made it; else another process of the run did, and gives it up.
    made_here: bool,
}

/// What is known of the claims.
#[derive(Debug, Default)]
struct Known {
    held: BTreeMap<CellId, Held>,
    /// Cells in other hands, and when that was seen.
    others: BTreeMap<CellId, Instant>,
    /// Until when the store is not asked: it did not answer, or knows no conditions.
    silent: Option<Instant>,
    without: bool,
}

impl StoreClaims {
    /// Claims for a run in a directory. Those of others are taken over when their owners have been silent for `patience`.
    pub fn start(store: Arc<Store>, directory: &RunDirectory, owner: &str, patience: Duration) -> Self {
        let shared = Arc::new(Shared {
            store,
            directory: RunDirectory::at(directory.root()),
            owner: owner.to_owned(),
            patience,
            known: Mutex::default(),
        });
        let (end, asked) = mpsc::channel();
        let renewing = Arc::clone(&shared);
        let renewals = std::thread::spawn(move || {
            while asked.recv_timeout(patience / BEATS) == Err(RecvTimeoutError::Timeout) {
                renewing.renew();
            }
        });
        Self {
            shared,
            end: Some(end),
            renewals: Some(renewals),
        }
    }
}

impl SharedClaims for StoreClaims {
    fn take(&self, cell: &CellId) -> bool {
        self.shared.take(cell)
    }

    fn give_up(&self, cell: &CellId) {
        // Best effort: a claim that stays is taken over.
        let _ = self.shared.give_up(cell);
    }
}

impl Drop for StoreClaims {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(renewals) = self.renewals.take() {
            let _ = renewals.join();
        }
        let held: Vec<CellId> = self.shared.known().held.keys().cloned().collect();
        for cell in held {
            // A store that does not answer would be waited for with each claim; those that stay are taken over.
            if self.shared.give_up(&cell).is_err() {
                break;
            }
        }
    }
}

/// Name of the claim on a cell.
pub(super) fn name(cell: &CellId) -> String {
    format!("claims/{cell}")
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this run may compute a cell. It may where the store cannot tell.
    fn take(&self, cell: &CellId) -> bool {
        {
            let known = self.known();
            let fresh = |seen: &Instant| seen.elapsed() < self.patience / BEATS;
            if known.without || known.held.contains_key(cell) {
                return true;
            }
            if known.others.get(cell).is_some_and(fresh) {
                return false;
            }
            if known.silent.is_some_and(|until| Instant::now() < until) {
                return true;
            }
        }
        match self.ask(cell) {
            Ok(Some(held)) => {
                self.known().held.insert(cell.clone(), held);
                true
            }
            Ok(None) => {
                let mut known = self.known();
                known.others.insert(cell.clone(), Instant::now());
                known.without
            }
            Err(error) => {
                announce(&format!(
                    "{error} (cells are computed unclaimed meanwhile; another machine may compute them too)"
                ));
                self.known().silent = Some(Instant::now() + PAUSE);
                true
            }
        }
    }

    /// Claims a cell; nothing when it is in other hands or finished.
    fn ask(&self, cell: &CellId) -> Result<Option<Held>, StoreError> {
        let (objects, name) = (&self.store.objects, name(cell));
        let mine = match objects.create(&name, self.owner.clone().into_bytes())? {
            Conditional::Written(version) => Some(Held {
                version,
                made_here: true,
            }),
            Conditional::Unknown => {
                announce(&format!(
                    "{} knows no conditional writes, so machines that run this at the same time compute cells twice",
                    self.store.url()
                ));
                self.known().without = true;
                return Ok(None);
            }
            Conditional::Refused => self.inherit(&name)?,
        };
        // It may have been finished before it was claimed.
        if mine.is_some() && self.store.has(&self.directory, cell)? {
            // Best effort: nobody looks at a claim of a finished cell.
            let _ = objects.delete(&name);
            return Ok(None);
        }
        Ok(mine)
    }

    /// Takes away a claim that this process made, unless another machine has taken it over by now.
    fn give_up(&self, cell: &CellId) -> Result<(), StoreError> {
        let held = self.known().held.remove(cell);
        if held.is_none_or(|held| !held.made_here) {
            return Ok(());
        }
        let (objects, name) = (&self.store.objects, name(cell));
        match objects.look(&name)? {
            Some(found) if found.bytes == self.owner.as_bytes() => objects.delete(&name),
            _ => Ok(()),
        }
    }

    /// A claim that is there: this run's own, or one whose owner has been silent for too long.
    fn inherit(&self, name: &str) -> Result<Option<Held>, StoreError> {
        let objects = &self.store.objects;
        let Some(found) = objects.look(name)? else {
            // It was given up this moment; the next visit finds out.
            return Ok(None);
        };
        if found.bytes == self.owner.as_bytes() {
            return Ok(Some(Held {
                version: found.version,
                made_here: false,
            }));
        }
        if self.now()? - found.written < self.patience.as_secs_f64() {
            return Ok(None);
        }
        let owner = String::from_utf8_lossy(&found.bytes).into_owned();
        match objects.replace(name, self.owner.clone().into_bytes(), found.version)? {
            Conditional::Written(version) => {
                announce(&format!(
                    "{owner} has been silent for {:.0} s; its work is taken over",
                    self.patience.as_secs_f64()
                ));
                Ok(Some(Held {
                    version,
                    made_here: true,
                }))
            }
            Conditional::Refused | Conditional::Unknown => Ok(None),
        }
    }

    /// The store's time: when it says that an object was written that was written now.
    fn now(&self) -> Result<f64, StoreError> {
        // The process's own: another one of the run would take it away before it is looked at.
        let name = format!("claims/clock-{}", process());
        self.store.objects.put(&name, Vec::new())?;
        let written = self.store.objects.look(&name)?.map(|found| found.written);
        // Best effort: one that stays is empty and harmless.
        let _ = self.store.objects.delete(&name);
        written
            .ok_or_else(|| StoreError::NoAnswer(format!("{} was taken away", self.store.objects.at(&name))))
    }

    /// Writes every claim again, so that others see that its owner lives. Ends where the store does not answer;
    /// the next round tries again.
    fn renew(&self) {
        let held = self.known().held.clone();
        for (cell, Held { version, .. }) in held {
            let bytes = self.owner.clone().into_bytes();
            let renewed = match self.store.objects.replace(&name(&cell), bytes, version) {
                Ok(Conditional::Written(version)) => Some(version),
                // Another process of this run was faster, or another machine took it over.
                Ok(Conditional::Refused) => match self.store.objects.look(&name(&cell)) {
                    Ok(Some(found)) if found.bytes == self.owner.as_bytes() => Some(found.version),
                    Ok(_) => None,
                    Err(_) => return,
                },
                Ok(Conditional::Unknown) => continue,
                Err(_) => return,
            };
            let mut known = self.known();
            match renewed {
                // It may have been given up meanwhile.
                Some(version) => {
                    if let Some(held) = known.held.get_mut(&cell) {
                        held.version = version;
                    }
                }
                None => {
                    known.held.remove(&cell);
                }
            }
        }
    }
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use super::super::example;
    use super::*;
    #[test]
    fn a_cell_is_claimed_once_renewed_and_taken_over_from_the_silent() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = RunDirectory::at(&folder.path().join("work"));
        let open = |owner: &str, patience: u64| {
            let store = example::store(folder.path());
            StoreClaims::start(store, &directory, owner, Duration::from_millis(patience))
        };
        let cell = |id: &str| CellId(id.to_owned());
        let (first, second) = (open("first", 1500), open("second", 1500));
        assert!(first.take(&cell("a")) && !second.take(&cell("a")));
        assert!(second.take(&cell("b")) && second.take(&cell("b")));
        // Another process of the same run has what the run has, and leaves it to the first when it ends.
        let sibling = open("first", 1500);
        assert!(sibling.take(&cell("a")));
        drop(sibling);
        assert!(!open("third", 1500).take(&cell("a")) && first.take(&cell("c")));
        // Longer than the patience, in which it is renewed.
        std::thread::sleep(Duration::from_millis(2500));
        assert!(!open("third", 1500).take(&cell("c")));
        // A process that died renews nothing.
        std::fs::write(folder.path().join("claims/d"), "dead").expect("a claim");
        assert!(!open("third", 1500).take(&cell("d")));
        std::thread::sleep(Duration::from_millis(1700));
        let third = open("third", 1500);
        assert!(third.take(&cell("d")));
        assert!(!second.take(&cell("d")));
        // What is finished is nobody's any more.
        std::fs::create_dir_all(folder.path().join("cells/e")).expect("a cell");
        std::fs::write(folder.path().join("cells/e/cell.json"), "{}").expect("a cell");
        assert!(!third.take(&cell("e")));
        third.give_up(&cell("d"));
        assert!(!folder.path().join("claims/d").exists() && !folder.path().join("claims/e").exists());
        // What another machine has taken over is not given up for it.
        std::fs::write(folder.path().join("claims/c"), "fourth").expect("a claim");
        first.give_up(&cell("c"));
        assert!(folder.path().join("claims/c").exists());
    }
}
