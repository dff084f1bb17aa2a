//! What a report needs of a run in a store: its plan, its cells' records and rows. Weights and
//! images stay there.

use super::cells::{Store, name};
use super::fetch::Fetched;
use crate::error::{Error, Result};
use crate::eval::saved;
use crate::files::{create_folder, write_atomic};
use crate::run::claim::Claims;
use std::fs;
use std::path::Path;

/// Files that no report reads.
const LEFT: [&str; 2] = ["model.safetensors", saved::FILE];

impl Store {
    /// That nothing was run with this URL.
    pub fn no_run(&self) -> Error {
        Error::Missing(format!(
            "{} has no run: there is no plan.json; name the URL that rlnet run had as --out",
            self.url()
        ))
    }

    /// Fetches into `folder` what a report needs. What is there is not fetched again.
    ///
    /// # Errors
    /// When there is no run at the URL, a cell is damaged, or the store or the disk refuses.
    pub fn view(&self, folder: &Path) -> Result<()> {
        let Some(plan) = self.objects.get("plan.json")? else {
            return Err(self.no_run());
        };
        let cells = self.plan()?.map(|plan| plan.cells).unwrap_or_default();
        create_folder(&folder.join("cells"))?;
        let _claim = Claims::open(folder)?.wait("view", "fetches these cells")?;
        let there = self.finished()?;
        self.each(&cells, |cell| {
            let place = folder.join("cells").join(&cell.id.0);
            if !there.contains(&cell.id) {
                // Perhaps withdrawn since.
                let _ = fs::remove_dir_all(&place);
                return Ok(());
            }
            // Written last, here too: a cell of this record is whole.
            let own = fs::read(place.join("cell.json")).ok();
            if own.is_some() && own == self.objects.get(&name(&cell.id, "cell.json"))? {
                return Ok(());
            }
            let _ = fs::remove_dir_all(&place);
            match self.fetch_files(&cell.id, &place, |file| !LEFT.contains(&file))? {
                Fetched::Whole | Fetched::Absent => Ok(()),
                Fetched::Damaged(why) => {
                    let _ = fs::remove_dir_all(&place);
                    Err(Error::Missing(format!(
                        "cell {} ({}) in {} is damaged: {why}; rlnet run with --out {} and --verify sets it aside, \
                         and without --verify computes it again",
                        cell.name,
                        cell.id,
                        self.url(),
                        self.url()
                    )))
                }
            }
        })?;
        write_atomic(&folder.join("plan.json"), &plan)
    }
}
