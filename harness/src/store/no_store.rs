//! Object stores in a program that was built without the cargo feature `store`: none can be opened, so no
//! value of these types exists.

use super::claims::{Conditional, Looked, Version};
use super::error::StoreError;
use std::io::Write;
use std::path::Path;
use url::Url;

type Result<T> = std::result::Result<T, StoreError>;

/// Why a URL cannot be used.
pub(super) fn absent(url: &Url) -> String {
    format!(
        "{url}: this rlnet was built without object stores; name a folder, or build it with the cargo feature `store`"
    )
}

/// The objects under one URL.
#[derive(Debug)]
pub enum Objects {}

impl Objects {
    /// # Errors
    /// Always.
    pub fn open(url: &Url) -> Result<Self> {
        Err(StoreError::Refused(absent(url)))
    }

    pub fn url(&self) -> &str {
        match *self {}
    }

    pub fn at(&self, _name: &str) -> String {
        match *self {}
    }

    pub fn list(&self, _folder: &str) -> Result<Vec<String>> {
        match *self {}
    }

    pub fn get(&self, _name: &str) -> Result<Option<Vec<u8>>> {
        match *self {}
    }

    pub fn has(&self, _name: &str) -> Result<bool> {
        match *self {}
    }

    pub fn read(&self, _name: &str, _into: &mut dyn Write) -> Result<Option<blake3::Hash>> {
        match *self {}
    }

    pub fn put(&self, _name: &str, _bytes: Vec<u8>) -> Result<()> {
        match *self {}
    }

    pub fn put_file(&self, _name: &str, _path: &Path, _sum: &str) -> Result<bool> {
        match *self {}
    }

    pub fn create(&self, _name: &str, _bytes: Vec<u8>) -> Result<Conditional> {
        match *self {}
    }

    pub fn replace(&self, _name: &str, _bytes: Vec<u8>, _version: Version) -> Result<Conditional> {
        match *self {}
    }

    pub fn look(&self, _name: &str) -> Result<Option<Looked>> {
        match *self {}
    }

    pub fn delete(&self, _name: &str) -> Result<()> {
        match *self {}
    }
}
