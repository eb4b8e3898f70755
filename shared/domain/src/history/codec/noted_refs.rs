//! References that are written as they were the last time.

use crate::history::bits::BitWriter;
use crate::history::sealed::SealedRef;
use crate::history::spelt::SpeltRefs;

use super::segments::put_refs;

/// Takes note of how references are written, unless that is known.
pub(in crate::history) fn note_refs(spelt: &mut SpeltRefs, refs: &[SealedRef]) {
    let keys = refs.iter().map(|segment| segment.key);
    if spelt.of.iter().copied().eq(keys.clone()) {
        return;
    }
    spelt.of = keys.collect();
    spelt.bytes.clear();
    let mut bits = BitWriter::new(&mut spelt.bytes);
    put_refs(&mut bits, refs);
    spelt.bits = bits.position();
    bits.finish();
}

/// Writes the references noted last.
pub(super) fn put_noted_refs(bits: &mut BitWriter<'_>, spelt: &SpeltRefs) {
    bits.copy(&spelt.bytes, 0..spelt.bits);
}
