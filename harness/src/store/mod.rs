//! Finished cells in an object store, and back: S3 and what speaks like it, Google, Azure, WebDAV,
//! a folder.
//!
//! Work happens in a folder; a store has copies of what is finished, laid out as the folder is:
//! `plan.json`, `cells/<id>/`, `report/`. A cell's `cell.json` is written last, so that a cell whose
//! `cell.json` can be seen is whole, and it has the checksums by which copies are checked on their
//! way back. `claims/` says who computes what, among machines that share nothing else; work in flight stays in the folder.

mod cells;
mod claims;
#[cfg(feature = "store")]
mod connect;
mod error;
#[cfg(all(test, feature = "store"))]
mod example;
#[cfg(feature = "store")]
mod explain;
mod fetch;
mod location;
mod mirror;
#[cfg(not(feature = "store"))]
mod no_store;
#[cfg(feature = "store")]
mod objects;
mod refused;
pub mod remote;
mod report;

#[cfg(not(feature = "store"))]
use no_store::Objects;
#[cfg(feature = "store")]
use objects::Objects;

pub use cells::Store;
pub use claims::StoreClaims;
pub use error::StoreError;
pub use location::{OutputLocation, folder_only};
pub use mirror::Mirror;
