//! As much of the protocol buffers' wire format as an ONNX file needs
//! (protobuf.dev/programming-guides/encoding): varints and length-delimited fields.

/// A message under construction.
#[derive(Debug, Default, Clone)]
pub struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A whole number.
    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value as u64);
        self
    }

    /// Several whole numbers of one field.
    pub fn ints(self, field: u32, values: &[i64]) -> Self {
        values
            .iter()
            .fold(self, |message, &value| message.int(field, value))
    }

    /// Bytes or a text.
    pub fn bytes(mut self, field: u32, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// A message inside.
    pub fn message(self, field: u32, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    /// The encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A field of a message that is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field<'a> {
    /// A whole number.
    Int(i64),
    /// Four bytes.
    Word([u8; 4]),
    /// Eight bytes.
    Long([u8; 8]),
    /// A text, bytes, a message, or numbers one after the other.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    /// Its bytes; none for a number.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// A text.
    pub fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The whole numbers in it: one, or several one after the other.
    pub fn ints(self) -> Vec<i64> {
        match self {
            Self::Int(value) => vec![value],
            Self::Bytes(mut bytes) => std::iter::from_fn(|| varint(&mut bytes)).collect(),
            _ => Vec::new(),
        }
    }

    /// The numbers of four bytes in it: one, or several one after the other.
    pub fn floats(self) -> Vec<f32> {
        match self {
            Self::Word(word) => vec![f32::from_le_bytes(word)],
            Self::Bytes(bytes) => bytes
                .chunks_exact(4)
                .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value as i64);
        }
    }
    None
}

fn first<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// The fields of a message, with their numbers, in their order; none where it is damaged.
pub fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, Field<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Int(varint(&mut bytes)?),
            1 => Field::Long(first(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (head, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(head)
            }
            5 => Field::Word(first(&mut bytes)?),
            _ => return None,
        };
        found.push((u32::try_from(key >> 3).ok()?, field));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Message::default().int(1, -2).bytes(2, "testing");
        let bytes = Message::default()
            .ints(4, &[3, 270])
            .message(3, &inner)
            .into_bytes();
        let read = fields(&bytes).expect("a message");
        assert_eq!(read[..2], [(4, Field::Int(3)), (4, Field::Int(270))]);
        let inside = fields(read[2].1.bytes()).expect("a message inside");
        assert_eq!(inside, [(1, Field::Int(-2)), (2, Field::Bytes(b"testing"))]);
        // Packed numbers, floats, and damage.
        assert_eq!(Field::Bytes(&[3, 0x8e, 2]).ints(), [3, 270]);
        assert_eq!(
            fields(&[0x0d, 0, 0, 0x80, 0x3f]).expect("a float")[0].1.floats(),
            [1.0]
        );
        for cut in 1..bytes.len() {
            let _ = fields(&bytes[..cut]);
        }
        assert_eq!(fields(&[0x12, 200]), None);
    }

    /// The examples of the format's own description.
    #[test]
    fn the_wire_format_is_that_of_its_description() {
        assert_eq!(Message::default().int(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().bytes(2, "testing");
        assert_eq!(
            text.into_bytes(),
            [0x12, 7, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]
        );
        let inner = Message::default().int(1, 150);
        assert_eq!(
            Message::default().message(3, &inner).into_bytes(),
            [0x1a, 3, 0x08, 0x96, 0x01]
        );
        // Negative numbers take ten bytes.
        let minus_two = Message::default().int(1, -2).into_bytes();
        assert_eq!(minus_two.len(), 11);
        assert_eq!(
            minus_two[1..],
            [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
        );
    }
}
