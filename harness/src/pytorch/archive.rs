//! The zip archives that `torch.save` writes: where each record lies in the file. Nothing is unpacked.
//!
//! PyTorch stores its records without compression, so a record is a range of the file's bytes. Checksums
//! are not compared: PyTorch itself may leave them out (`torch.serialization.set_crc32_options`).

use crate::error::Problem;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use zip::{CompressionMethod, ZipArchive};

/// Whether these bytes begin like a zip archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// A record: where it lies, and whether as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its bytes in the file.
    pub range: Range<usize>,
    /// Whether they are the record itself; PyTorch compresses the source code of TorchScript
    /// and nothing else.
    pub stored: bool,
}

/// The records by name.
///
/// # Errors
/// When the archive is cut short or damaged.
pub fn records(bytes: &[u8]) -> Result<BTreeMap<String, Record>, Problem> {
    let short = || Problem::from("the zip archive is cut short or damaged: copy or download the file again");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| short())?;
    let mut records = BTreeMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|_| short())?;
        let stored = file.compression() == CompressionMethod::Stored;
        let from = usize::try_from(file.data_start()).map_err(|_| short())?;
        let size = usize::try_from(file.compressed_size()).map_err(|_| short())?;
        let to = from
            .checked_add(size)
            .filter(|&to| to <= bytes.len())
            .ok_or_else(short)?;
        if stored && file.size() != file.compressed_size() {
            return Err(short());
        }
        let record = Record {
            range: from..to,
            stored,
        };
        records.insert(file.name().to_owned(), record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::FileOptions;

    /// An archive of one record.
    fn one(name: &str, data: &[u8], method: CompressionMethod) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = FileOptions::default().compression_method(method);
        writer.start_file(name, options).expect("begun");
        writer.write_all(data).expect("written");
        writer.finish().expect("finished").into_inner()
    }

    #[test]
    fn a_record_is_found_and_a_compressed_one_told_apart() {
        let file = one("a/data.pkl", b"hello", CompressionMethod::Stored);
        let record = &records(&file).expect("an archive")["a/data.pkl"];
        assert_eq!(&file[record.range.clone()], b"hello");
        assert!(record.stored && is_archive(&file));
        let file = one("a/data.pkl", b"hello", CompressionMethod::Deflated);
        assert!(!records(&file).expect("an archive")["a/data.pkl"].stored);
    }

    /// No length, and no byte changed, may lead outside the file.
    #[test]
    fn damage_is_an_error_or_harmless_but_never_a_panic() {
        let file = one("a/data.pkl", b"hello", CompressionMethod::Stored);
        for cut in 0..file.len() {
            assert!(records(&file[..cut]).is_err(), "{cut} bytes");
        }
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut file = file.clone();
                file[at] = value;
                if let Ok(records) = records(&file) {
                    assert!(records.values().all(|record| record.range.end <= file.len()));
                }
            }
        }
    }
}
