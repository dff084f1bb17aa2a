//! Image data sets as Hugging Face hosts them: Parquet files with a column `image` (or `img`) of encoded pictures, a struct
//! of `bytes` and `path`, and a column `label`. The names of classes stand in the file's key-value metadata.

use crate::error::ReportError;
use crate::files;
use polars_arrow::array::{Array, BinaryViewArray, PrimitiveArray, StructArray, Utf8ViewArray};
use polars_arrow::datatypes::Field;
use polars_buffer::Buffer;
use polars_parquet::read::{
    BasicDecompressor, FileMetadata, PageReader, RowGroupMetadata, column_iter_to_arrays, infer_schema,
    read_metadata,
};
use serde_json::Value;
use std::fmt::Display;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Names of the column of pictures, and of that of classes. Of several the first that is there.
const IMAGES: [&str; 4] = ["image", "img", "images", "jpg"];
const LABELS: [&str; 4] = ["label", "fine_label", "labels", "cls"];

/// The pictures of a file, in the order of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostedImages {
    /// Each picture's encoded bytes (PNG, JPEG) and its class.
    pub rows: Vec<(Vec<u8>, u32)>,
    /// Names of the classes in order; empty where the file has none.
    pub classes: Vec<String>,
}

/// Reads a Parquet file of pictures.
///
/// # Errors
/// When the file cannot be read, is no Parquet file, or has no such columns (the message names what it has).
pub fn read_hosted_images(path: &Path) -> Result<HostedImages, ReportError> {
    let bytes = Buffer::from_vec(files::read(path)?);
    // Where a file's own description is damaged, the reader panics.
    let read = AssertUnwindSafe(|| File { path, bytes }.read());
    catch_unwind(read).unwrap_or_else(|_| {
        Err(fault(
            path,
            &"not a readable Parquet file; its description is damaged",
        ))
    })
}

fn fault(path: &Path, why: &dyn Display) -> ReportError {
    ReportError::file(path, why.to_string())
}

struct File<'a> {
    path: &'a Path,
    bytes: Buffer<u8>,
}

impl File<'_> {
    fn fault(&self, why: &dyn Display) -> ReportError {
        fault(self.path, why)
    }

    fn read(&self) -> Result<HostedImages, ReportError> {
        let unreadable =
            |why: &dyn Display| self.fault(&format!("not a readable Parquet file ({why}); fetch it again"));
        let metadata = read_metadata(&mut Cursor::new(&self.bytes[..])).map_err(|why| unreadable(&why))?;
        let schema = infer_schema(&metadata).map_err(|why| unreadable(&why))?;
        let fields: Vec<&Field> = schema.iter_values().collect();
        let of = |wanted: &[&str]| {
            wanted
                .iter()
                .find_map(|name| fields.iter().find(|field| field.name == *name))
        };
        let (Some(images), Some(labels)) = (of(&IMAGES), of(&LABELS)) else {
            let there: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            return Err(self.fault(&format!(
                "its columns are {}; a data set of pictures has a column image (or img) and a column label",
                there.join(", ")
            )));
        };
        let mut rows = Vec::new();
        for group in &metadata.row_groups {
            let (images, labels) = (self.column(group, images)?, self.column(group, labels)?);
            let images = images.iter().map(|array| self.pictures(array.as_ref()));
            let labels = labels.iter().map(|array| self.labels(array.as_ref()));
            let images: Vec<Vec<u8>> = images.collect::<Result<Vec<_>, _>>()?.concat();
            let labels: Vec<u32> = labels.collect::<Result<Vec<_>, _>>()?.concat();
            rows.extend(images.into_iter().zip(labels));
        }
        Ok(HostedImages {
            rows,
            classes: classes(&metadata, labels.name.as_str()),
        })
    }

    /// A column of a row group.
    fn column(&self, group: &RowGroupMetadata, field: &Field) -> Result<Vec<Box<dyn Array>>, ReportError> {
        let parts = group.columns_under_root_iter(&field.name).into_iter().flatten();
        let (pages, types): (Vec<_>, Vec<_>) = parts
            .map(|part| {
                let range = part.byte_range();
                let (from, to) = (range.start as usize, range.end as usize);
                let bytes = Cursor::new(self.bytes.clone().sliced(from..to));
                let pages = PageReader::new(bytes, part, Vec::new(), usize::MAX);
                (
                    BasicDecompressor::new(pages, Vec::new()),
                    &part.descriptor().descriptor.primitive_type,
                )
            })
            .unzip();
        let arrays = column_iter_to_arrays(pages, types, field.clone(), None);
        let (arrays, _) = arrays.map_err(|why| self.fault(&format!("column {}: {why}", field.name)))?;
        Ok(arrays)
    }

    /// The encoded pictures of an array: of bytes, or of structs with a field `bytes`.
    fn pictures(&self, array: &dyn Array) -> Result<Vec<Vec<u8>>, ReportError> {
        let any = array.as_any();
        if let Some(parts) = any.downcast_ref::<StructArray>() {
            let at = parts.fields().iter().position(|field| field.name == "bytes");
            let at = at.ok_or_else(|| {
                self.fault(&"its pictures are files elsewhere; only files with the bytes are read")
            })?;
            return self.pictures(parts.values()[at].as_ref());
        }
        let Some(bytes) = any.downcast_ref::<BinaryViewArray>() else {
            return Err(self.fault(&format!(
                "its column of pictures is {:?}, not the bytes of PNG or JPEG files",
                array.dtype()
            )));
        };
        let missing =
            || self.fault(&"it has rows without a picture's bytes; fetch the version that embeds them");
        let rows = bytes.iter().map(|bytes| Some(bytes?.to_vec()));
        rows.collect::<Option<_>>().ok_or_else(missing)
    }

    fn labels(&self, array: &dyn Array) -> Result<Vec<u32>, ReportError> {
        let any = array.as_any();
        let wrong = || self.fault(&"it has rows whose class is missing or no whole number from 0 on");
        let narrow = |label: Option<i64>| label.and_then(|label| u32::try_from(label).ok());
        let found: Option<Vec<u32>> = if let Some(labels) = any.downcast_ref::<PrimitiveArray<i64>>() {
            labels.iter().map(|label| narrow(label.copied())).collect()
        } else if let Some(labels) = any.downcast_ref::<PrimitiveArray<i32>>() {
            labels
                .iter()
                .map(|label| narrow(label.copied().map(i64::from)))
                .collect()
        } else if let Some(labels) = any.downcast_ref::<PrimitiveArray<u8>>() {
            labels
                .iter()
                .map(|label| narrow(label.copied().map(i64::from)))
                .collect()
        } else if let Some(labels) = any.downcast_ref::<Utf8ViewArray>() {
            // WebDataset's `cls` as text.
            labels.iter().map(|label| label?.parse().ok()).collect()
        } else {
            None
        };
        found.ok_or_else(wrong)
    }
}

/// The names of a `ClassLabel`, as the library `datasets` keeps them.
fn classes(metadata: &FileMetadata, label: &str) -> Vec<String> {
    let pairs = metadata.key_value_metadata().iter().flatten();
    let described = pairs.filter(|pair| pair.key == "huggingface").find_map(|pair| {
        let value: Value = serde_json::from_str(pair.value.as_ref()?).ok()?;
        Some(value["info"]["features"][label]["names"].clone())
    });
    let names = described.as_ref().and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(|name| Some(name.as_str()?.to_owned()))
        .collect()
}
