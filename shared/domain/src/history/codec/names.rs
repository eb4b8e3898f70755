//! Names of keys, links and lists, as they are written and read: each is spelt once a state or segment.

use crate::catalogue::KeyName;
use crate::history::bits::{BitReader, BitWriter, index_bits};
use crate::history::error::{CodecError, InvalidState};

use super::fields::get_index;
use super::format::{CHARACTER_BITS, Context, NAME_BITS};

/// The index of a name among those so far; a new one is spelt.
pub(super) fn put_name(bits: &mut BitWriter<'_>, context: &mut Context, name: KeyName) {
    let known = context.names.len();
    let index = context.names.iter().position(|other| *other == name).unwrap_or(known);
    bits.put(index as u64, index_bits(known + 1));
    if index == known {
        bits.put(name.as_str().len() as u64 - 1, NAME_BITS);
        name.as_str()
            .bytes()
            .for_each(|byte| bits.put(u64::from(byte), CHARACTER_BITS));
        context.names.push(name);
    }
}

/// The name that an index stands for, or that is spelt.
pub(super) fn get_name(bits: &mut BitReader<'_>, context: &mut Context) -> Result<KeyName, CodecError> {
    let index = get_index(bits, context.names.len())?;
    if let Some(name) = context.names.get(index) {
        return Ok(*name);
    }
    let length = bits.get(NAME_BITS)? as usize + 1;
    let mut bytes = [0; KeyName::BYTES_MAX];
    for byte in bytes.iter_mut().take(length) {
        *byte = bits.get(CHARACTER_BITS)? as u8;
    }
    let name = std::str::from_utf8(&bytes[..length]).ok().and_then(KeyName::new);
    let name = name
        .filter(|name| !context.names.contains(name))
        .ok_or(InvalidState::Spelling)?;
    context.names.push(name);
    Ok(name)
}
