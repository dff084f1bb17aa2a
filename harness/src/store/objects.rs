//! One URL opened: objects in, objects out, in bounded memory.

use super::claims::{Conditional, Looked, Version};
use super::connect::{connect, scheme};
use super::error::StoreError;
use super::explain::explain;
use futures_util::StreamExt;
use object_store::path::Path as Key;
use object_store::{
    ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode, PutPayload, UpdateVersion, WriteMultipart,
};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// Larger objects go in parts of this size, and come back in such. S3 takes none below 5 MiB.
const PART: usize = 8 << 20;
/// Parts of one object on their way at once: with the one being read, all that is in memory.
const PARTS: usize = 2;
/// Parts an object may have: S3 takes 10,000.
const MOST: u64 = 9_000;

type Result<T> = std::result::Result<T, StoreError>;
type Raw<T> = object_store::Result<T>;

/// The objects under one URL.
#[derive(Debug)]
pub struct Objects {
    url: String,
    scheme: ObjectStoreScheme,
    prefix: Key,
    store: Box<dyn ObjectStore>,
    runtime: Runtime,
}

impl Objects {
    /// Opens a URL. Nothing is asked of the network yet. Options are those of the environment:
    /// `AWS_*`, `GOOGLE_*`, `AZURE_*`.
    ///
    /// # Errors
    /// When the URL or the environment's options are wrong.
    pub fn open(url: &Url) -> Result<Self> {
        let name = url.as_str().trim_end_matches('/').to_owned();
        let refused = |why: String| StoreError::Refused(format!("opening {name}: {why}"));
        let (scheme, prefix) = scheme(url).map_err(|why| refused(why.to_string()))?;
        // reqwest is built without a provider of cryptography of its own. Another thread may have
        // been first, with the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store =
            connect(url, &scheme).map_err(|error| explain(&format!("opening {name}"), &scheme, &error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.map_err(|error| refused(error.to_string()))?,
            url: name,
            scheme,
            prefix,
            store,
        })
    }

    /// The URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of an object.
    pub fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn key(&self, name: &str) -> Key {
        name.split('/')
            .fold(self.prefix.clone(), |key, part| key.join(part))
    }

    fn failed(&self, doing: &str, name: &str, error: &object_store::Error) -> StoreError {
        explain(&format!("{doing} {}", self.at(name)), &self.scheme, error)
    }

    /// Names of the objects under a folder, from the URL on.
    ///
    /// # Errors
    /// When the store refuses or does not answer.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        let key = self.key(folder);
        let listed: Vec<Raw<_>> = self.runtime.block_on(self.store.list(Some(&key)).collect());
        let mut names = Vec::new();
        for object in listed {
            let object = object.map_err(|error| self.failed("listing", folder, &error))?;
            let parts = object.location.prefix_match(&self.prefix);
            let parts: Vec<String> = parts
                .into_iter()
                .flatten()
                .map(|part| part.as_ref().to_owned())
                .collect();
            names.push(parts.join("/"));
        }
        names.sort();
        Ok(names)
    }

    /// A small object; nothing when it is not there.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        Ok(self.read(name, &mut bytes)?.map(|_| bytes))
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn has(&self, name: &str) -> Result<bool> {
        match self.runtime.block_on(self.store.head(&self.key(name))) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("asking for", name, &error)),
        }
    }

    /// Reads an object, a part at a time, and gives its blake3; nothing when it is not there.
    ///
    /// # Errors
    /// As [`list`](Self::list), and when `into` cannot be written.
    pub fn read(&self, name: &str, into: &mut dyn Write) -> Result<Option<blake3::Hash>> {
        let key = self.key(name);
        let failed = |error| self.failed("reading", name, &error);
        let mut hash = blake3::Hasher::new();
        let mut take = |bytes: &[u8]| {
            hash.update(bytes);
            into.write_all(bytes)
                .map_err(|error| StoreError::NoAnswer(format!("keeping {}: {error}", self.at(name))))
        };
        let first = match self.runtime.block_on(self.store.get(&key)) {
            Ok(first) => first,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let size = first.meta.size;
        if size <= PART as u64 {
            take(&self.runtime.block_on(first.bytes()).map_err(failed)?)?;
        } else {
            // Each part is a request of its own, with its own time and its own retries.
            drop(first);
            let mut from = 0;
            while from < size {
                let to = size.min(from + PART as u64);
                take(
                    &self
                        .runtime
                        .block_on(self.store.get_range(&key, from..to))
                        .map_err(failed)?,
                )?;
                from = to;
            }
        }
        Ok(Some(hash.finalize()))
    }

    /// Writes an object.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let key = self.key(name);
        let put = self
            .runtime
            .block_on(self.store.put(&key, PutPayload::from(bytes)));
        put.map(|_| ())
            .map_err(|error| self.failed("writing", name, &error))
    }

    /// Copies a file into an object, which appears when all of it is there. Says whether the file
    /// had this blake3; if not, nothing is written.
    ///
    /// # Errors
    /// As [`list`](Self::list), and when the file cannot be read.
    pub fn put_file(&self, name: &str, path: &Path, sum: &str) -> Result<bool> {
        let unread =
            |error: std::io::Error| StoreError::NoAnswer(format!("reading {}: {error}", path.display()));
        let mut file = File::open(path).map_err(unread)?;
        let size = file.metadata().map_err(unread)?.len();
        if size <= PART as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(unread)?;
            if blake3::hash(&bytes).to_hex().as_str() != sum {
                return Ok(false);
            }
            return self.put(name, bytes).map(|()| true);
        }
        let failed = |error| self.failed("writing", name, &error);
        self.runtime.block_on(async {
            let upload = self.store.put_multipart(&self.key(name)).await.map_err(failed)?;
            let part = PART.max(usize::try_from(size / MOST).unwrap_or(usize::MAX));
            let mut upload = WriteMultipart::new_with_chunk_size(upload, part);
            match send(&mut file, part, &mut upload).await {
                Ok(hash) if hash.to_hex().as_str() == sum => {
                    upload.finish().await.map(|_| true).map_err(failed)
                }
                sent => {
                    // Best effort: what is left of it is the store's to clean up.
                    let _ = upload.abort().await;
                    match sent {
                        Ok(_) => Ok(false),
                        Err(Sending::File(error)) => Err(unread(error)),
                        Err(Sending::Store(error)) => Err(failed(error)),
                    }
                }
            }
        })
    }

    /// Writes an object if there is none of the name.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Conditional> {
        self.write_if(name, bytes, PutMode::Create)
    }

    /// Writes an object if it is still this version of it.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn replace(&self, name: &str, bytes: Vec<u8>, version: Version) -> Result<Conditional> {
        match self.write_if(name, bytes.clone(), PutMode::Update(version.clone()))? {
            // A folder has no such condition: between these steps somebody may come, and one cell is computed twice.
            Conditional::Unknown => match self.look(name)? {
                Some(found) if found.version.e_tag == version.e_tag => {
                    self.delete(name)?;
                    self.create(name, bytes)
                }
                _ => Ok(Conditional::Refused),
            },
            written => Ok(written),
        }
    }

    fn write_if(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<Conditional> {
        let key = self.key(name);
        let put = self.store.put_opts(&key, PutPayload::from(bytes), mode.into());
        match self.runtime.block_on(put) {
            Ok(put) => Ok(Conditional::Written(put.into())),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::NotFound { .. },
            ) => Ok(Conditional::Refused),
            Err(object_store::Error::NotImplemented { .. }) => Ok(Conditional::Unknown),
            Err(error) => Err(self.failed("writing", name, &error)),
        }
    }

    /// A small object, its version and when it was written; nothing when it is not there.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn look(&self, name: &str) -> Result<Option<Looked>> {
        let key = self.key(name);
        let failed = |error| self.failed("reading", name, &error);
        let found = match self.runtime.block_on(self.store.get(&key)) {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let meta = found.meta.clone();
        let bytes = self.runtime.block_on(found.bytes()).map_err(failed)?;
        Ok(Some(Looked {
            bytes: bytes.to_vec(),
            written: meta.last_modified.timestamp_micros() as f64 / 1e6,
            version: UpdateVersion {
                e_tag: meta.e_tag,
                version: meta.version,
            },
        }))
    }

    /// Removes an object.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn delete(&self, name: &str) -> Result<()> {
        match self.runtime.block_on(self.store.delete(&self.key(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("removing", name, &error)),
        }
    }
}

/// What may stop an upload.
enum Sending {
    File(std::io::Error),
    Store(object_store::Error),
}

/// Sends a file a part at a time; gives its blake3.
async fn send(
    file: &mut File,
    part: usize,
    upload: &mut WriteMultipart,
) -> std::result::Result<blake3::Hash, Sending> {
    let mut hash = blake3::Hasher::new();
    loop {
        let mut bytes = Vec::with_capacity(part);
        let read = Read::take(&mut *file, part as u64).read_to_end(&mut bytes);
        if read.map_err(Sending::File)? == 0 {
            return Ok(hash.finalize());
        }
        hash.update(&bytes);
        upload.wait_for_capacity(PARTS).await.map_err(Sending::Store)?;
        upload.put(bytes.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_go_in_parts_and_come_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model");
        // Two parts and a bit, no two alike.
        let bytes: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &bytes).expect("a file");
        let url = Url::from_directory_path(folder.path().join("a store")).expect("a URL");
        let objects = Objects::open(&url).expect("a store");
        let sum = blake3::hash(&bytes).to_hex();
        assert_eq!(
            objects.put_file("cells/a/model", &path, &"0".repeat(64)),
            Ok(false)
        );
        assert_eq!(objects.has("cells/a/model"), Ok(false));
        assert_eq!(objects.put_file("cells/a/model", &path, &sum), Ok(true));
        objects.put("cells/a/cell.json", b"{}".to_vec()).expect("written");
        assert_eq!(
            objects.list("cells"),
            Ok(vec!["cells/a/cell.json".to_owned(), "cells/a/model".to_owned()])
        );
        let mut back = Vec::new();
        let hash = objects
            .read("cells/a/model", &mut back)
            .expect("read")
            .expect("there");
        assert!(back == bytes && hash.to_hex() == sum);
        objects.delete("cells/a/cell.json").expect("removed");
        objects.delete("cells/a/cell.json").expect("gone as before");
        assert_eq!(objects.get("cells/a/cell.json"), Ok(None));
        assert_eq!(objects.list("other"), Ok(Vec::new()));
    }
}
