//! `.npy` files of bytes: streamed, checked, moved into place when whole.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::{Error, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Writes a `.npy` file of unsigned bytes under a temporary name; [`Self::finish`] moves it
/// into place. Dropped earlier, it leaves nothing behind.
///
/// The header is NumPy's since 1.14: version 1.0, padded to a multiple of 64 bytes, which
/// is what the published archives have.
#[derive(Debug)]
pub struct NpyWriter {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
    digest: Md5,
    missing: u64,
}

impl NpyWriter {
    /// Starts a file of `shape` at `path`.
    ///
    /// # Errors
    /// When the shape is too large or the file cannot be created.
    ///
    /// ```
    /// use rlnet_corruptions::archive::{NpyReader, NpyWriter};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("labels.npy");
    /// let mut writer = NpyWriter::create(&path, &[3])?;
    /// writer.write(&[7, 8, 9])?;
    /// writer.finish()?;
    /// let mut labels = [0; 3];
    /// NpyReader::open(&path)?.read_rows(0, &mut labels)?;
    /// assert_eq!(labels, [7, 8, 9]);
    /// # Ok::<(), rlnet_corruptions::Error>(())
    /// ```
    pub fn create(path: impl AsRef<Path>, shape: &[usize]) -> Result<Self> {
        Self::start(path.as_ref(), shape, Element::Byte)
    }

    /// Starts a file of 64-bit labels; [`Self::write`] takes their little-endian bytes.
    pub(super) fn start(path: &Path, shape: &[usize], element: Element) -> Result<Self> {
        let path = path.to_path_buf();
        let items = element.bytes(shape);
        let missing = items.ok_or_else(|| Error::archive(&path, "the shape is too large"))?;
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(Error::io(&temporary))?;
        let mut writer = Self {
            path,
            temporary,
            file: Some(BufWriter::with_capacity(1 << 20, file)),
            digest: Md5::new(),
            missing,
        };
        writer.put(&header(shape, element))?;
        Ok(writer)
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// When the shape has no room for them or the file cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.missing = self
            .missing
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| Error::archive(&self.path, "more bytes than the shape holds"))?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.digest.update(bytes);
        match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(Error::io(&self.temporary)),
            None => Err(Error::archive(&self.path, "already finished")),
        }
    }

    /// Moves the file into place and returns its MD5.
    ///
    /// # Errors
    /// When bytes are missing or the file cannot be written.
    pub fn finish(mut self) -> Result<String> {
        if self.missing > 0 {
            let why = format!("{} bytes short of its shape", self.missing);
            return Err(Error::archive(&self.path, why));
        }
        if let Some(file) = self.file.take() {
            let file = file
                .into_inner()
                .map_err(|error| Error::io(&self.temporary)(error.into_error()))?;
            file.sync_all().map_err(Error::io(&self.temporary))?;
        }
        fs::rename(&self.temporary, &self.path).map_err(Error::io(&self.path))?;
        Ok(format!("{:x}", self.digest.finalize_reset()))
    }
}

impl Drop for NpyWriter {
    fn drop(&mut self) {
        // Gone already after `finish`; nothing can be done about other failures here.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// What an array holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// uint8.
    Byte,
    /// int64, little-endian: the labels of CIFAR-10-C-bar.
    Long,
}

impl Element {
    fn size(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Long => 8,
        }
    }

    /// Bytes of an array of this shape, unless they are too many.
    fn bytes(self, shape: &[usize]) -> Option<u64> {
        let mut sizes = shape.iter();
        sizes.try_fold(self.size(), |n, &k| n.checked_mul(k as u64))
    }
}

fn header(shape: &[usize], element: Element) -> Vec<u8> {
    let shape = match shape {
        [one] => format!("({one},)"),
        many => {
            let sizes: Vec<_> = many.iter().map(usize::to_string).collect();
            format!("({})", sizes.join(", "))
        }
    };
    let kind = match element {
        Element::Byte => "|u1",
        Element::Long => "<i8",
    };
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    let padding = unpadded.next_multiple_of(64) - unpadded;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes
}

/// Reads a `.npy` file of unsigned bytes in C order, of any header version that NumPy
/// writes (1.0, 2.0, 3.0). Other element types and orders are refused.
#[derive(Debug)]
pub struct NpyReader {
    path: PathBuf,
    file: BufReader<File>,
    shape: Vec<usize>,
    start: u64,
}

impl NpyReader {
    /// Opens `path` and checks that its length is what its shape needs.
    ///
    /// # Errors
    /// When it cannot be read, or is not a whole `.npy` file of unsigned bytes in C order.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (reader, element) = Self::open_any(path.as_ref())?;
        if element == Element::Byte {
            return Ok(reader);
        }
        let why = "its elements are 64-bit integers, not unsigned bytes";
        Err(Error::archive(&reader.path, why))
    }

    fn open_any(path: &Path) -> Result<(Self, Element)> {
        let path = path.to_path_buf();
        let file = File::open(&path).map_err(Error::io(&path))?;
        let length = file.metadata().map_err(Error::io(&path))?.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let short = |_| Error::archive(&path, "not a whole .npy file");
        let mut prefix = [0; 8];
        file.read_exact(&mut prefix).map_err(short)?;
        if &prefix[..6] != MAGIC {
            return Err(Error::archive(&path, "not a .npy file"));
        }
        let (size, start) = match prefix[6] {
            1 => {
                let mut size = [0; 2];
                file.read_exact(&mut size).map_err(short)?;
                (u64::from(u16::from_le_bytes(size)), 10)
            }
            2 | 3 => {
                let mut size = [0; 4];
                file.read_exact(&mut size).map_err(short)?;
                (u64::from(u32::from_le_bytes(size)), 12)
            }
            other => {
                let why = format!(".npy version {other} is unknown");
                return Err(Error::archive(&path, why));
            }
        };
        if size > length.min(1 << 20) {
            return Err(Error::archive(&path, "not a whole .npy file"));
        }
        let mut text = vec![0; size as usize];
        file.read_exact(&mut text).map_err(short)?;
        let (shape, element) =
            parse(&String::from_utf8_lossy(&text)).map_err(|why| Error::archive(&path, why))?;
        let start = start + size;
        if element.bytes(&shape).and_then(|n| n.checked_add(start)) != Some(length) {
            let why = format!("{length} bytes do not hold an array of {shape:?}");
            return Err(Error::archive(&path, why));
        }
        let reader = Self {
            path,
            file,
            shape,
            start,
        };
        Ok((reader, element))
    }

    /// The array's shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Refuses any other shape.
    ///
    /// # Errors
    /// When the array has another shape.
    pub fn expect(self, shape: &[usize]) -> Result<Self> {
        if self.shape == shape {
            return Ok(self);
        }
        let why = format!("its shape is {:?}, not {shape:?}", self.shape);
        Err(Error::archive(&self.path, why))
    }

    /// Fills `out` with bytes of row `row` (an entry of the first axis), from byte `from` of it on.
    ///
    /// # Errors
    /// When the row does not hold them, or the file cannot be read.
    pub fn read_within(&mut self, row: usize, from: usize, out: &mut [u8]) -> Result<()> {
        let stride: usize = self.shape.iter().skip(1).product();
        let inside = row < self.shape.first().copied().unwrap_or(0) && from + out.len() <= stride;
        if !inside {
            let why = format!("{} bytes from byte {from} of row {row} are not in it", out.len());
            return Err(Error::archive(&self.path, why));
        }
        self.read_at(row as u64 * stride as u64 + from as u64, out)
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<()> {
        self.file
            .seek(SeekFrom::Start(self.start + at))
            .and_then(|_| self.file.read_exact(out))
            .map_err(Error::io(&self.path))
    }

    /// Fills `out` with whole rows (entries of the first axis) from row `first` on.
    ///
    /// # Errors
    /// When those are not whole rows of the array, or the file cannot be read.
    pub fn read_rows(&mut self, first: usize, out: &mut [u8]) -> Result<()> {
        let row: usize = self.shape.iter().skip(1).product();
        let rows = self.shape.first().copied().unwrap_or(0);
        let whole = row > 0 && out.len().is_multiple_of(row);
        if !whole || first > rows || out.len() / row.max(1) > rows - first {
            let why = format!("{} bytes from row {first} are not whole rows of it", out.len());
            return Err(Error::archive(&self.path, why));
        }
        self.read_at(first as u64 * row as u64, out)
    }
}

/// Reads `labels.npy`: the labels at every severity, stored as unsigned bytes (CIFAR-10-C) or as
/// 64-bit integers (CIFAR-10-C-bar).
///
/// # Errors
/// When the file cannot be read, is no list of such numbers, or holds a negative one.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u64>> {
    let path = path.as_ref();
    let (mut reader, element) = NpyReader::open_any(path)?;
    let [_] = reader.shape() else {
        let why = format!("its shape is {:?}, not that of a list of labels", reader.shape());
        return Err(Error::archive(path, why));
    };
    let mut bytes = Vec::new();
    reader.file.read_to_end(&mut bytes).map_err(Error::io(path))?;
    match element {
        Element::Byte => Ok(bytes.into_iter().map(u64::from).collect()),
        Element::Long => {
            let words = bytes.as_chunks().0.iter().map(|&word| i64::from_le_bytes(word));
            words
                .map(|label| {
                    u64::try_from(label)
                        .map_err(|_| Error::archive(path, format!("it has the label {label}")))
                })
                .collect()
        }
    }
}

/// The shape and the elements in a header's dictionary, if the rest of it is what this crate reads.
fn parse(text: &str) -> Result<(Vec<usize>, Element), String> {
    let value = |key: &str| {
        let quoted = [format!("'{key}'"), format!("\"{key}\"")];
        let at = quoted.iter().find_map(|key| Some(text.find(key)? + key.len()));
        let rest = at.map(|at| text[at..].trim_start());
        rest.and_then(|rest| rest.strip_prefix(':'))
            .map(str::trim_start)
            .ok_or_else(|| format!("its header has no {key:?}"))
    };
    let descr = value("descr")?;
    let quote = descr.chars().next().unwrap_or(' ');
    let descr = descr.split(quote).nth(1).unwrap_or(descr);
    let element = match descr {
        "|u1" | "<u1" | ">u1" | "=u1" | "u1" | "B" | "|B" => Element::Byte,
        "<i8" => Element::Long,
        other => return Err(format!("its elements are {other:?}, not unsigned bytes")),
    };
    if !value("fortran_order")?.starts_with("False") {
        return Err("it is in Fortran order".to_owned());
    }
    let shape = value("shape")?;
    let inside = shape
        .strip_prefix('(')
        .and_then(|shape| shape.split_once(')'))
        .ok_or("its shape is not a tuple")?
        .0;
    let sizes: Result<Vec<usize>, String> = inside
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| {
            // Python 2 wrote long integers with a suffix.
            let digits = size.trim_end_matches('L');
            digits.parse().map_err(|_| format!("its shape has {size:?}"))
        })
        .collect();
    Ok((sizes?, element))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_header_is_128_bytes() {
        let bytes = header(&[50_000, 32, 32, 3], Element::Byte);
        assert_eq!(bytes.len(), 128);
        assert_eq!(
            parse(&String::from_utf8_lossy(&bytes[10..])),
            Ok((vec![50_000, 32, 32, 3], Element::Byte))
        );
        let labels = header(&[50_000], Element::Long);
        assert_eq!(labels.len(), 128);
        assert_eq!(
            parse(&String::from_utf8_lossy(&labels[10..])),
            Ok((vec![50_000], Element::Long))
        );
    }

    #[test]
    fn headers_as_other_writers_form_them_are_read() {
        let text = "{\"shape\":(5L,),\"fortran_order\":False,\"descr\":\"<u1\"}";
        assert_eq!(parse(text), Ok((vec![5], Element::Byte)));
        assert!(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }").is_err());
        assert!(parse("{'descr': '|u1', 'fortran_order': True, 'shape': (5, 2), }").is_err());
        assert_eq!(
            parse("{'descr': '|u1', 'fortran_order': False, 'shape': (), }"),
            Ok((vec![], Element::Byte))
        );
    }
}
