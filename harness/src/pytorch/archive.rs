//! The zip archives that `torch.save` writes: what is where, nothing unpacked.
//!
//! PyTorch stores its records without compression, so a record is a range of the file's bytes.
//! Sizes and places come from the central directory (APPNOTE 6.3, sections 4.3.12 to 4.3.16);
//! every archive of PyTorch's has its 64-bit form. Checksums are not compared: PyTorch itself
//! may be told to leave them out (`torch.serialization.set_crc32_options`).

use std::collections::BTreeMap;
use std::ops::Range;

const END: &[u8] = b"PK\x05\x06";
const END64_LOCATOR: &[u8] = b"PK\x06\x07";
const END64: &[u8] = b"PK\x06\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// Bytes of the end record without its comment, of a central entry and of a local header
/// without names.
const END_LENGTH: usize = 22;
const ENTRY_LENGTH: usize = 46;
const LOCAL_LENGTH: usize = 30;
/// A comment's length is a 16-bit number.
const COMMENT: usize = 0xffff;
/// In a 32-bit field: look in the 64-bit one.
const ELSEWHERE: u64 = 0xffff_ffff;

/// Whether these bytes begin like a zip archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(LOCAL)
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
pub fn records(bytes: &[u8]) -> Result<BTreeMap<String, Record>, String> {
    let short = || "the zip archive is cut short or damaged: copy or download the file again".to_owned();
    let end = find_end(bytes).ok_or_else(short)?;
    let (mut at, count) = directory(bytes, end).ok_or_else(short)?;
    let mut records = BTreeMap::new();
    for _ in 0..count {
        let entry = entry(bytes, at).ok_or_else(short)?;
        at = entry.next;
        let record = Record {
            range: entry.data,
            stored: entry.method == 0,
        };
        records.insert(entry.name, record);
    }
    Ok(records)
}

/// The last end record, with a comment or without.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_LENGTH)?;
    (last.saturating_sub(COMMENT)..=last)
        .rev()
        .find(|&at| bytes[at..].starts_with(END))
}

/// Where the central directory begins and how many entries it has.
fn directory(bytes: &[u8], end: usize) -> Option<(usize, u64)> {
    if let Some(locator) = end.checked_sub(20)
        && bytes[locator..].starts_with(END64_LOCATOR)
    {
        let record = usize::try_from(number(bytes, locator + 8, 8)?).ok()?;
        if !bytes.get(record..)?.starts_with(END64) {
            return None;
        }
        let count = number(bytes, record + 32, 8)?;
        return Some((usize::try_from(number(bytes, record + 48, 8)?).ok()?, count));
    }
    let count = number(bytes, end + 10, 2)?;
    Some((usize::try_from(number(bytes, end + 16, 4)?).ok()?, count))
}

struct Entry {
    name: String,
    method: u64,
    data: Range<usize>,
    /// Where the next entry begins.
    next: usize,
}

fn entry(bytes: &[u8], at: usize) -> Option<Entry> {
    if !bytes.get(at..)?.starts_with(ENTRY) {
        return None;
    }
    let field = |place: usize, width: usize| number(bytes, at + place, width);
    let [name_length, extra_length, comment_length] = [field(28, 2)?, field(30, 2)?, field(32, 2)?];
    let name_at = at + ENTRY_LENGTH;
    let extra_at = name_at + name_length as usize;
    let next = extra_at + (extra_length + comment_length) as usize;
    let name = std::str::from_utf8(bytes.get(name_at..extra_at)?)
        .ok()?
        .to_owned();
    let extra = bytes.get(extra_at..extra_at + extra_length as usize)?;
    let [packed, size, local] = wide([field(20, 4)?, field(24, 4)?, field(42, 4)?], extra)?;
    if packed != size && field(10, 2)? == 0 {
        return None;
    }
    let local = usize::try_from(local).ok()?;
    if !bytes.get(local..)?.starts_with(LOCAL) {
        return None;
    }
    // The local header has lengths of its own; PyTorch pads its extra field to align the data.
    let skipped = number(bytes, local + 26, 2)? + number(bytes, local + 28, 2)?;
    let from = local + LOCAL_LENGTH + skipped as usize;
    let to = from.checked_add(usize::try_from(packed).ok()?)?;
    (to <= bytes.len()).then_some(Entry {
        name,
        method: field(10, 2)?,
        data: from..to,
        next,
    })
}

/// Packed size, size and place, with those that are [`ELSEWHERE`] taken from the 64-bit extra
/// field, where they stand as size, packed size, place.
fn wide([packed, size, local]: [u64; 3], extra: &[u8]) -> Option<[u64; 3]> {
    let mut fields = [size, packed, local];
    if fields.contains(&ELSEWHERE) {
        let mut at = 0;
        while number(extra, at, 2)? != 1 {
            at += 4 + number(extra, at + 2, 2)? as usize;
        }
        at += 4;
        for field in &mut fields {
            if *field == ELSEWHERE {
                *field = number(extra, at, 8)?;
                at += 8;
            }
        }
    }
    let [size, packed, local] = fields;
    Some([packed, size, local])
}

/// A little-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one stored record, in the plain 32-bit form.
    fn one(name: &str, data: &[u8], method: u8) -> Vec<u8> {
        let n = (data.len() as u32).to_le_bytes();
        let sizes = [[0; 4], n, n].concat();
        let length = (name.len() as u16).to_le_bytes();
        let mut file = [
            LOCAL,
            &[20, 0, 0, 0, method, 0, 0, 0, 0, 0],
            &sizes,
            &length,
            &[0, 0],
        ]
        .concat();
        file.extend([name.as_bytes(), data].concat());
        let directory = file.len() as u32;
        let entry = [
            ENTRY,
            &[20, 0, 20, 0, 0, 0, method, 0, 0, 0, 0, 0],
            &sizes,
            &length,
            &[0; 16],
            name.as_bytes(),
        ];
        file.extend(entry.concat());
        let size = (file.len() as u32 - directory).to_le_bytes();
        let end = [
            END,
            &[0, 0, 0, 0, 1, 0, 1, 0],
            &size,
            &directory.to_le_bytes(),
            &[0, 0],
        ];
        file.extend(end.concat());
        file
    }

    #[test]
    fn a_record_is_found_and_a_compressed_one_told_apart() {
        for (method, stored) in [(0, true), (8, false)] {
            let file = one("a/data.pkl", b"hello", method);
            let record = &records(&file).expect("an archive")["a/data.pkl"];
            assert_eq!(&file[record.range.clone()], b"hello");
            assert_eq!(record.stored, stored);
        }
    }

    /// No length, and no byte changed, may lead outside the file.
    #[test]
    fn damage_is_an_error_or_harmless_but_never_a_panic() {
        let file = one("a/data.pkl", b"hello", 0);
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
