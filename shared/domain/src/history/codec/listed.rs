//! The lists that an outcome was made with, as they are written and read: their names and versions once a state or segment, and an index
//! where they are others than those of the entry before.

use crate::history::bits::{BitReader, BitWriter, index_bits};
use crate::history::error::{CodecError, InvalidState};
use crate::lists::ListVersion;
use crate::outcome::{ListRead, ListReads};

use super::fields::get_index;
use super::format::{Context, LISTS_BITS};
use super::names::{get_name, put_name};

pub(super) fn put_lists(bits: &mut BitWriter<'_>, context: &mut Context, lists: &ListReads) {
    bits.flag(!lists.is_empty());
    if lists.is_empty() {
        return;
    }
    let known = context.list_reads.len();
    let index = context
        .list_reads
        .iter()
        .position(|other| other == lists)
        .unwrap_or(known);
    bits.put(index as u64, index_bits(known + 1));
    if index == known {
        bits.put(lists.all().len() as u64 - 1, LISTS_BITS);
        for ListRead { name, version } in lists.all() {
            put_name(bits, context, *name);
            bits.flag(version.is_some());
            if let Some(version) = version {
                bits.put(version.0, 64);
            }
        }
        context.list_reads.push(lists.clone());
    }
}

pub(super) fn get_lists(bits: &mut BitReader<'_>, context: &mut Context) -> Result<ListReads, CodecError> {
    if !bits.flag()? {
        return Ok(ListReads::NONE);
    }
    let index = get_index(bits, context.list_reads.len())?;
    if let Some(lists) = context.list_reads.get(index) {
        return Ok(lists.clone());
    }
    let count = bits.get(LISTS_BITS)? + 1;
    let reads = (0..count).map(|_| {
        let name = get_name(bits, context)?;
        let version = if bits.flag()? {
            Some(ListVersion(bits.get(64)?))
        } else {
            None
        };
        Ok(ListRead { name, version })
    });
    let lists = ListReads::new(reads.collect::<Result<_, CodecError>>()?);
    if context.list_reads.contains(&lists) {
        return Err(InvalidState::Spelling.into());
    }
    context.list_reads.push(lists.clone());
    Ok(lists)
}
