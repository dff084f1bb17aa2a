//! A tensor as a file holds it: a view of numbers that lie elsewhere in the file.

use crate::error::Problem;
use std::rc::Rc;

/// A view that repeats its numbers (stride 0) could otherwise ask for any amount of memory: it has so many
/// times the numbers of its storage at most, and so many whatever it has.
const MOST: (usize, usize) = (64, 1 << 16);

/// The type of the stored numbers, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 64-bit floats.
    F64,
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper half of 32-bit floats.
    Bf16,
    /// Signed integers of so many bytes.
    Int(usize),
    /// Bytes.
    U8,
    /// 0 or 1.
    Bool,
}

impl Element {
    /// The type of a `torch.*Storage` class.
    pub fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "LongStorage" => Self::Int(8),
            "IntStorage" => Self::Int(4),
            "ShortStorage" => Self::Int(2),
            "CharStorage" => Self::Int(1),
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int(bytes) => bytes,
            Self::U8 | Self::Bool => 1,
        }
    }

    /// One number, rounded to 32 bits where it is wider.
    fn value(self, bytes: &[u8]) -> f32 {
        let word = bytes
            .iter()
            .rev()
            .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        match self {
            Self::F64 => f64::from_bits(word) as f32,
            Self::F32 => f32::from_bits(word as u32),
            Self::F16 => half(word as u16),
            Self::Bf16 => f32::from_bits((word as u32) << 16),
            Self::Int(bytes) => {
                let unused = 64 - 8 * bytes;
                ((word << unused) as i64 >> unused) as f32
            }
            Self::U8 | Self::Bool => word as f32,
        }
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

/// Numbers of the file that several tensors may share.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Its name in the file.
    pub key: Rc<str>,
    /// Type of its numbers.
    pub element: Element,
    /// How many there are.
    pub length: usize,
}

/// A tensor: which numbers of a storage, in which shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Where the numbers lie.
    pub storage: Storage,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Array {
    /// A view of a storage.
    ///
    /// # Errors
    /// When it reaches beyond the storage.
    pub fn new(
        storage: Storage,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, Problem> {
        let beyond = || {
            Problem::from(format!(
                "a tensor of shape {shape:?} reaches beyond its numbers: the file is damaged"
            ))
        };
        if shape.len() != strides.len() {
            return Err(beyond());
        }
        if !shape.contains(&0) {
            let most = storage.length.saturating_mul(MOST.0).saturating_add(MOST.1);
            let mut count = 1_usize;
            let mut last = offset;
            for (&side, &stride) in shape.iter().zip(&strides) {
                count = count
                    .checked_mul(side)
                    .filter(|&n| n <= most)
                    .ok_or_else(beyond)?;
                last = (side - 1)
                    .checked_mul(stride)
                    .and_then(|step| last.checked_add(step))
                    .ok_or_else(beyond)?;
            }
            if last >= storage.length {
                return Err(beyond());
            }
        }
        Ok(Self {
            storage,
            offset,
            shape,
            strides,
        })
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn is_contiguous(&self) -> bool {
        let mut step = 1;
        self.shape
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(&side, &stride)| {
                let dense = side == 1 || stride == step;
                step *= side;
                dense
            })
    }

    /// Its numbers in C order, taken from the storage's bytes.
    pub(super) fn values(&self, bytes: &[u8]) -> Vec<f32> {
        if self.shape.contains(&0) {
            return Vec::new();
        }
        let element = self.storage.element;
        let width = element.bytes();
        let count = self.shape.iter().product();
        if self.is_contiguous() {
            let bytes = &bytes[self.offset * width..(self.offset + count) * width];
            return bytes
                .chunks_exact(width)
                .map(|bytes| element.value(bytes))
                .collect();
        }
        let mut values = Vec::with_capacity(count);
        let mut place = vec![0; self.shape.len()];
        while values.len() < count {
            let steps = place
                .iter()
                .zip(&self.strides)
                .map(|(index, stride)| index * stride);
            let at = (self.offset + steps.sum::<usize>()) * width;
            values.push(element.value(&bytes[at..at + width]));
            // The next place: the last index first, as an odometer.
            for (index, &side) in place.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < side {
                    break;
                }
                *index = 0;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(element: Element, length: usize) -> Storage {
        let key = "0".into();
        Storage { key, element, length }
    }

    #[test]
    fn every_type_reads_as_its_number() {
        for (element, bytes, value) in [
            (Element::F64, &(-1.5_f64).to_le_bytes()[..], -1.5),
            (Element::F32, &0.1_f32.to_le_bytes(), 0.1),
            (Element::F16, &[0x00, 0xc0], -2.0),
            (Element::F16, &[0x55, 0x35], 0.333_251_95),
            (Element::F16, &[0x01, 0x00], 5.960_464_5e-8),
            (Element::F16, &[0x00, 0x7c], f32::INFINITY),
            (Element::Bf16, &[0xc0, 0x3f], 1.5),
            (Element::Int(8), &(-7_i64).to_le_bytes(), -7.0),
            (Element::Int(2), &(-300_i16).to_le_bytes(), -300.0),
            (Element::Int(1), &[0xff], -1.0),
            (Element::U8, &[0xff], 255.0),
            (Element::Bool, &[1], 1.0),
        ] {
            let array = Array::new(storage(element, 1), 0, vec![1], vec![1]).expect("one");
            assert_eq!(array.values(bytes), [value], "{element:?}");
        }
        let scalar = Array::new(storage(Element::U8, 1), 0, vec![], vec![]).expect("a scalar");
        assert_eq!(scalar.values(&[3]), [3.0]);
    }

    #[test]
    fn views_are_followed_and_kept_inside_their_storage() {
        let bytes: Vec<u8> = (0..12).collect();
        let view = |offset, shape: &[usize], strides: &[usize]| {
            Array::new(storage(Element::U8, 12), offset, shape.to_vec(), strides.to_vec())
        };
        let transposed = view(1, &[2, 3], &[1, 4]).expect("inside");
        assert_eq!(transposed.values(&bytes), [1.0, 5.0, 9.0, 2.0, 6.0, 10.0]);
        let repeated = view(5, &[3], &[0]).expect("inside");
        assert_eq!(repeated.values(&bytes), [5.0; 3]);
        assert!(
            view(99, &[0, 3], &[3, 1])
                .expect("empty")
                .values(&bytes)
                .is_empty()
        );
        for (offset, shape, strides) in [
            (2, &[3, 4][..], &[4, 1][..]),
            (usize::MAX, &[1], &[1]),
            (0, &[usize::MAX], &[usize::MAX]),
            (0, &[1 << 20, 1 << 20], &[0, 0]),
            (0, &[2], &[1, 1]),
        ] {
            assert!(view(offset, shape, strides).is_err(), "{offset} {shape:?}");
        }
    }
}
