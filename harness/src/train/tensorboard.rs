//! TensorBoard event files: scalars only.
//!
//! The format is TFRecord framing (length, masked CRC-32C, data, masked CRC-32C) around one
//! small protobuf a record; the crates that write it are stale or need `protoc`.

use crate::error::{Error, Result};
use rlnet_suites::CurvePoint;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An open event file.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Starts a file in `folder` over, with the points of the epochs already done.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(folder: &Path, history: &[CurvePoint]) -> Result<Self> {
        let path = folder.join("events.out.tfevents.0.rlnet");
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&path)
            .map_err(|error| Error::writing(&path, &error))?;
        let mut events = Self { file, path };
        let version = bytes_field(3, b"brain.Event:2");
        events.record(&[double_field(1, 0.0), version].concat())?;
        events.append(history)?;
        Ok(events)
    }

    /// Adds points; readers see them at once.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, points: &[CurvePoint]) -> Result<()> {
        for point in points {
            let value = [
                bytes_field(1, point.metric.as_bytes()),
                float_field(2, point.value as f32),
            ]
            .concat();
            let event = [
                // Steps stand for time: runs of one seed stay byte-identical.
                double_field(1, f64::from(point.epoch)),
                varint_field(2, u64::from(point.epoch)),
                bytes_field(5, &bytes_field(1, &value)),
            ]
            .concat();
            self.record(&event)?;
        }
        Ok(())
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let frame = [
            &length[..],
            &masked_crc(&length).to_le_bytes(),
            data,
            &masked_crc(data).to_le_bytes(),
        ]
        .concat();
        self.file
            .write_all(&frame)
            .map_err(|error| Error::writing(&self.path, &error))
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A protobuf key: field number and wire type.
fn key(field: u64, wire: u64) -> Vec<u8> {
    varint(field << 3 | wire)
}

fn varint_field(field: u64, value: u64) -> Vec<u8> {
    [key(field, 0), varint(value)].concat()
}

fn double_field(field: u64, value: f64) -> Vec<u8> {
    [key(field, 1), value.to_le_bytes().to_vec()].concat()
}

fn float_field(field: u64, value: f32) -> Vec<u8> {
    [key(field, 5), value.to_le_bytes().to_vec()].concat()
}

fn bytes_field(field: u64, bytes: &[u8]) -> Vec<u8> {
    [key(field, 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// TFRecord's masking of CRC-32C (Castagnoli, reflected polynomial 0x82f63b78).
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_matches_the_published_check_value() {
        // CRC-32C of "123456789" is 0xe3069283 (RFC 3720, appendix B.4).
        let masked = 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_crc(b"123456789"), masked);
    }

    #[test]
    fn a_file_starts_with_its_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let point = CurvePoint {
            epoch: 300,
            metric: "loss/total".into(),
            value: 0.5,
        };
        let mut events = EventFile::create(folder.path(), &[]).expect("a file");
        events.append(&[point]).expect("a record");
        let bytes = std::fs::read(&events.path).expect("the file");
        assert!(bytes.windows(13).any(|window| window == b"brain.Event:2"));
        assert!(bytes.windows(10).any(|window| window == b"loss/total"));
    }
}
