//! The target for parts and manifests of lists: what must hold of any bytes whatever.

use std::sync::Arc;

use tidemark_domain::lists::{
    LIST_PART_ENTRIES_MAX, ListDraft, ListManifest, ListNote, ListOf, ListPart, ListPartKey, NewEntry,
};

/// A part and the manifest of a small list: what mutations start from.
#[must_use]
pub fn samples() -> Vec<Vec<u8>> {
    let note = Arc::new(ListNote {
        at_ms: 1_780_000_000_000,
        who: "ana".to_owned(),
        reason: "words".to_owned(),
    });
    let mut draft = ListDraft::new(ListOf::Addresses);
    for value in ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"] {
        let entry = NewEntry {
            value: value.to_owned(),
            until_ms: Some(1_790_000_000_000),
            reason: None,
        };
        // Three entries fit.
        let _put = draft.put(entry, &note);
    }
    let Ok(change) = draft.finish() else { return Vec::new() };
    let parts = change.parts.into_iter().map(|(_, bytes)| bytes);
    parts.chain([change.manifest.encode()]).collect()
}

/// Checks bytes in the place of a part and of a manifest, each under the name that they have. Either they are refused, and the answer says
/// why; or they are one: a part within its limits, which asks nothing but its entries, or a manifest that is written as it was read.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check(bytes: &[u8]) -> Result<Option<String>, String> {
    let key = ListPartKey::of(bytes);
    let mut refused = None;
    let mut is_read = false;
    for of in ListOf::ALL {
        match ListPart::decode(key, of, bytes) {
            Ok(part) if part.len() > LIST_PART_ENTRIES_MAX => return Err(format!("a part of {} entries", part.len())),
            Ok(part) if ListPart::decode(key, of, bytes).as_ref() != Ok(&part) => {
                return Err("a part reads as two".to_owned());
            }
            Ok(_) => is_read = true,
            Err(why) => refused = Some(why.to_string()),
        }
    }
    match ListManifest::decode(key, bytes) {
        Ok(manifest) => {
            is_read = true;
            // A number may be spelt longer than it has to be: what is written again is the shortest, and means the same.
            let written = manifest.encode();
            let again = ListManifest::decode(ListPartKey::of(&written), &written);
            if again.as_ref() != Ok(&manifest) {
                return Err("a manifest is written as another".to_owned());
            }
        }
        Err(why) => refused = Some(why.to_string()),
    }
    Ok(refused.filter(|_| !is_read))
}
