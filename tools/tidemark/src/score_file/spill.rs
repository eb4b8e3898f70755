//! Where cards go that memory has no room for: a file without a name, which ends with the process.
//!
//! ```text
//! record: card's length (4) · card · newest event: 0 | 1 · its time (8) · state: 0 | 1 · version (8) · tag: 0 | 1 · tag (8) · length (4) · bytes
//!         profile: 0 | 1 · version (8) · country (2) · mean, deviation, daily (8 each) · opened (8) · updated: 0 | 1 · ms (8)
//!         segments (4), each: key (8) · newest event's time (8) · length (4) · bytes
//! ```
//! All numbers are little-endian. Nothing is persisted: only the process that wrote a record reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use tidemark_domain::event::{Country, Profile};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::{CardId, fingerprint64};
use tidemark_engine::port::{StateItem, StateTag, StateVersion};

use super::stored::StoredCard;

/// Bytes of a record at most; a larger card stays in memory.
const RECORD_BYTES_MAX: usize = (1 << 23) - 1;
/// Bytes of the file at most.
const FILE_BYTES_MAX: u64 = 1 << 40;
/// Bytes of records that nobody needs any more, from which on the file is written anew where they are the most of it.
const WASTE_BYTES_MAX: u64 = 64 << 20;

/// Where a card's record is: its offset (40 bits), whether it counts as a card (a bit), its length (23 bits).
#[derive(Clone, Copy, Debug)]
struct Place(u64);

impl Place {
    fn new(offset: u64, counts: bool, len: usize) -> Option<Self> {
        let fits = len <= RECORD_BYTES_MAX && offset < FILE_BYTES_MAX;
        fits.then_some(Self(offset << 24 | u64::from(counts) << 23 | len as u64))
    }

    fn offset(self) -> u64 {
        self.0 >> 24
    }

    fn counts(self) -> bool {
        self.0 >> 23 & 1 == 1
    }

    fn len(self) -> usize {
        usize::try_from(self.0 & RECORD_BYTES_MAX as u64).unwrap_or_default()
    }
}

/// Cards that are not in memory.
#[derive(Debug, Default)]
pub(super) struct Spill {
    file: Option<File>,
    end: u64,
    waste: u64,
    /// By the card's fingerprint. Of two cards of one fingerprint, the second stays in memory. A hash map would be half empty, and twice
    /// there while it grows: of a million cards that is more than all that they are in memory for.
    places: BTreeMap<u64, Place>,
    buffer: Vec<u8>,
    puts: u64,
}

impl Spill {
    /// Takes a card, or says that it has to stay in memory.
    pub(super) fn put(&mut self, card: &CardId, stored: &StoredCard) -> io::Result<bool> {
        let fingerprint = fingerprint64(card.as_str());
        if self.places.contains_key(&fingerprint) {
            return Ok(false);
        }
        let mut record = std::mem::take(&mut self.buffer);
        record.clear();
        write(&mut record, card, stored);
        let place = Place::new(self.end, stored.counts(), record.len());
        let written = place.map(|_| self.append(&record)).transpose();
        self.buffer = record;
        if let (Some(()), Some(place)) = (written?, place) {
            self.places.insert(fingerprint, place);
            self.puts += 1;
            return Ok(true);
        }
        Ok(false)
    }

    /// Gives a card back, when it is here.
    pub(super) fn take(&mut self, card: &CardId) -> io::Result<Option<StoredCard>> {
        let fingerprint = fingerprint64(card.as_str());
        let Some(place) = self.places.get(&fingerprint).copied() else {
            return Ok(None);
        };
        let record = self.record(place)?;
        let mut reader = Reader(&record);
        if reader.text().is_none_or(|name| name != card.as_str()) {
            return Ok(None); // another card of the same fingerprint
        }
        let stored = read(&mut reader, card).ok_or(io::ErrorKind::InvalidData)?;
        self.places.remove(&fingerprint);
        self.waste += place.len() as u64;
        if self.waste > WASTE_BYTES_MAX && self.waste > self.end / 2 {
            self.compact()?;
        }
        Ok(Some(stored))
    }

    /// How many of the cards here count as such.
    pub(super) fn counted(&self) -> usize {
        self.places.values().filter(|place| place.counts()).count()
    }

    /// How often it took a card.
    #[cfg(test)]
    pub(super) fn puts(&self) -> u64 {
        self.puts
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(self.end))?;
            file.write_all(record)?;
        }
        self.end += record.len() as u64;
        Ok(())
    }

    fn record(&mut self, place: Place) -> io::Result<Vec<u8>> {
        let mut record = vec![0; place.len()];
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(place.offset()))?;
            file.read_exact(&mut record)?;
        }
        Ok(record)
    }

    /// Writes the file anew, without what nobody needs.
    fn compact(&mut self) -> io::Result<()> {
        let mut places: Vec<(u64, Place)> = self.places.iter().map(|(card, place)| (*card, *place)).collect();
        places.sort_unstable_by_key(|(_, place)| place.offset());
        let mut anew = Self {
            puts: self.puts,
            ..Self::default()
        };
        for (fingerprint, place) in places {
            let record = self.record(place)?;
            if let Some(moved) = Place::new(anew.end, place.counts(), record.len()) {
                anew.append(&record)?;
                anew.places.insert(fingerprint, moved);
            }
        }
        *self = anew;
        Ok(())
    }
}

fn write(out: &mut Vec<u8>, card: &CardId, stored: &StoredCard) {
    put_bytes(out, card.as_str().as_bytes());
    put_option(out, stored.newest_ms.map(i64::cast_unsigned));
    out.push(u8::from(stored.state.is_some()));
    if let Some(state) = &stored.state {
        out.extend(state.version.number.to_le_bytes());
        put_option(out, state.version.tag.map(|tag| tag.0));
        put_bytes(out, &state.bytes);
    }
    out.push(u8::from(stored.profile.is_some()));
    if let Some(profile) = &stored.profile {
        out.extend(profile.version.to_le_bytes());
        out.extend(profile.usual_country.as_str().as_bytes());
        for number in [
            profile.spend_mean_minor,
            profile.spend_deviation_minor,
            profile.transactions_per_day,
        ] {
            out.extend(number.to_bits().to_le_bytes());
        }
        out.extend(profile.account_opened_at_ms.to_le_bytes());
        put_option(out, profile.updated_at_ms.map(i64::cast_unsigned));
    }
    out.extend(length(stored.segments.count()).to_le_bytes());
    for (last_ms, key, bytes) in stored.segments.each() {
        out.extend(key.0.to_le_bytes());
        out.extend(last_ms.to_le_bytes());
        put_bytes(out, bytes);
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(length(bytes.len()).to_le_bytes());
    out.extend(bytes);
}

fn put_option(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(u8::from(value.is_some()));
    out.extend(value.unwrap_or_default().to_le_bytes());
}

/// A length; what is longer than a record makes the record too long as well.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn read(reader: &mut Reader<'_>, card: &CardId) -> Option<StoredCard> {
    let mut stored = StoredCard {
        newest_ms: reader.option()?.map(u64::cast_signed),
        ..StoredCard::default()
    };
    if reader.flag()? {
        let number = reader.number()?;
        let tag = reader.option()?.map(StateTag);
        stored.state = Some(StateItem {
            version: StateVersion { number, tag },
            bytes: reader.bytes()?.to_vec(),
        });
    }
    if reader.flag()? {
        stored.profile = Some(Box::new(Profile {
            card_id: card.clone(),
            version: reader.number()?,
            usual_country: Country::new(std::str::from_utf8(&reader.array::<2>()?).ok()?)?,
            spend_mean_minor: f64::from_bits(reader.number()?),
            spend_deviation_minor: f64::from_bits(reader.number()?),
            transactions_per_day: f64::from_bits(reader.number()?),
            account_opened_at_ms: reader.number()?.cast_signed(),
            updated_at_ms: reader.option()?.map(u64::cast_signed),
        }));
    }
    for _ in 0..u32::from_le_bytes(reader.array()?) {
        let key = SegmentKey(reader.number()?);
        let last_ms = reader.number()?.cast_signed();
        stored.segments.keep(key, last_ms, reader.bytes()?.to_vec());
    }
    Some(stored)
}

/// What is left of a record.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        self.array::<1>().map(|[byte]| byte == 1)
    }

    fn option(&mut self) -> Option<Option<u64>> {
        let there = self.flag()?;
        self.number().map(|value| there.then_some(value))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = u32::from_le_bytes(self.array()?);
        self.take(usize::try_from(len).ok()?)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(number: u64) -> StoredCard {
        let card = CardId::new(&format!("c{number}")).unwrap();
        let state = (number % 3 != 1).then(|| StateItem {
            version: StateVersion {
                number,
                tag: (number.is_multiple_of(2)).then_some(StateTag(number)),
            },
            bytes: vec![7; 1_000],
        });
        let profile = (number.is_multiple_of(4)).then(|| {
            Box::new(Profile {
                card_id: card,
                version: number,
                usual_country: Country::new("FR").unwrap(),
                spend_mean_minor: 0.1 + number as f64,
                spend_deviation_minor: f64::MIN_POSITIVE,
                transactions_per_day: 2.5,
                account_opened_at_ms: -5,
                updated_at_ms: (number.is_multiple_of(8)).then_some(-9),
            })
        });
        let mut stored = StoredCard {
            newest_ms: number.is_multiple_of(5).then_some(-7),
            state,
            profile,
            ..StoredCard::default()
        };
        for at in 0..number % 3 {
            let ms = i64::try_from(at).unwrap();
            stored.segments.keep(SegmentKey(at * 3), -ms, vec![1; 10]);
        }
        stored
    }

    #[test]
    fn what_is_taken_back_is_what_was_put_and_the_file_does_not_grow_with_the_visits() {
        let card = |number: u64| CardId::new(&format!("c{number}")).unwrap();
        let mut spill = Spill::default();
        for number in 0..1_000 {
            assert!(spill.put(&card(number), &stored(number)).unwrap());
        }
        // One in four has a profile, one in five an event, one in 20 both.
        assert_eq!(spill.counted(), 400);
        for visit in 0..100_000 {
            let number = visit * 7 % 1_000;
            let back = spill.take(&card(number)).unwrap().unwrap();
            assert!(visit > 2_000 || back == stored(number), "{number}");
            assert!(spill.take(&card(number)).unwrap().is_none(), "{number} is taken once");
            assert!(spill.put(&card(number), &back).unwrap());
        }
        assert!(spill.end < 100_000_000, "{} bytes", spill.end);
    }

    #[test]
    fn a_card_that_is_too_large_stays() {
        let card = CardId::new("large").unwrap();
        let mut large = stored(0);
        large.segments.keep(SegmentKey(9), 0, vec![0; RECORD_BYTES_MAX]);
        let mut spill = Spill::default();
        assert!(!spill.put(&card, &large).unwrap());
        assert!(spill.take(&card).unwrap().is_none());
    }
}
