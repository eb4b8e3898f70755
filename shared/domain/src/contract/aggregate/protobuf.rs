//! As much of protobuf's wire format as an aggregated record needs, read without copying: prost, for one, copies what it
//! decodes from a slice. A test holds this reader to prost's.

/// Not protobuf, or a field of another type than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A field's value, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Eight or four bytes; no field that we know has them.
    Fixed,
}

impl<'a> Value<'a> {
    pub(super) fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) | Self::Fixed => Err(Malformed),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) | Self::Fixed => Err(Malformed),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

/// The wire types that are still in use; groups (3 and 4) are not.
pub(super) mod wire_type {
    pub(in super::super) const VARINT: u64 = 0;
    pub(super) const FIXED_64: u64 = 1;
    pub(in super::super) const LENGTH: u64 = 2;
    pub(super) const FIXED_32: u64 = 5;
}

/// The highest field number.
const FIELD_MAX: u64 = (1 << 29) - 1;
/// Bytes of the longest varint.
const VARINT_BYTES_MAX: usize = 10;

/// Reads a message field by field.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value; `None` at the end.
    pub(super) fn next_field(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        if !(1..=FIELD_MAX).contains(&number) {
            return Err(Malformed);
        }
        let value = match key & 7 {
            wire_type::VARINT => Value::Number(self.varint()?),
            wire_type::FIXED_64 => self.take(8).map(|_| Value::Fixed)?,
            wire_type::FIXED_32 => self.take(4).map(|_| Value::Fixed)?,
            wire_type::LENGTH => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            _ => return Err(Malformed),
        };
        Ok(Some((u32::try_from(number).map_err(|_| Malformed)?, value)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for at in 0..VARINT_BYTES_MAX {
            let byte = *self.rest.get(at).ok_or(Malformed)?;
            // The tenth byte has room for the 64th bit only.
            if at == VARINT_BYTES_MAX - 1 && byte > 1 {
                return Err(Malformed);
            }
            number |= u64::from(byte & 0x7F) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}
