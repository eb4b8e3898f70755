//! Bytes read as text in every encoding that a reader would try: UTF-8, UTF-16 and UTF-32 of both byte orders at every
//! alignment (with or without a byte order mark), and EBCDIC, which card systems on mainframes write.

use super::glyph::{Glyph, Span, is_invisible};

/// Bytes, and where in the payload they were read from.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    pub(super) values: &'a [u8],
    pub(super) places: Places<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Places<'a> {
    /// They are the payload's own bytes from here on.
    From(usize),
    /// Each was decoded from bytes of its own.
    Each(&'a [Span]),
}

impl Bytes<'_> {
    fn span(self, start: usize, end: usize) -> Span {
        match self.places {
            Places::From(first) => (first + start, first + end),
            Places::Each(spans) => (spans[start].0, spans[end - 1].1),
        }
    }

    fn push(self, text: &mut Vec<Glyph>, character: char, start: usize, end: usize) {
        if !is_invisible(character) {
            text.push(Glyph::new(character, self.span(start, end)));
        }
    }
}

/// Calls with each text that the bytes may be.
pub(super) fn readings(bytes: Bytes<'_>, read: &mut dyn FnMut(&[Glyph])) {
    read(&utf8(bytes));
    let is_plain = std::str::from_utf8(bytes.values).is_ok() && !bytes.values.contains(&0);
    if is_plain {
        return;
    }
    for big_endian in [true, false] {
        for at in 0..2 {
            read(&utf16(bytes, at, big_endian));
        }
        for at in 0..4 {
            read(&utf32(bytes, at, big_endian));
        }
    }
    read(&ebcdic(bytes));
}

/// UTF-8; a byte that is not stands alone, as something that parts words.
pub(super) fn utf8(bytes: Bytes<'_>) -> Vec<Glyph> {
    let mut text = Vec::with_capacity(bytes.values.len());
    let mut at = 0;
    for chunk in bytes.values.utf8_chunks() {
        for character in chunk.valid().chars() {
            let end = at + character.len_utf8();
            bytes.push(&mut text, character, at, end);
            at = end;
        }
        for _ in chunk.invalid() {
            bytes.push(&mut text, char::REPLACEMENT_CHARACTER, at, at + 1);
            at += 1;
        }
    }
    text
}

fn utf16(bytes: Bytes<'_>, first: usize, big_endian: bool) -> Vec<Glyph> {
    let units = bytes
        .values
        .get(first..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|unit| {
            let unit = [unit[0], unit[1]];
            if big_endian {
                u16::from_be_bytes(unit)
            } else {
                u16::from_le_bytes(unit)
            }
        });
    let mut text = Vec::with_capacity(bytes.values.len() / 2);
    let mut at = first;
    for character in char::decode_utf16(units) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        let end = at + 2 * character.len_utf16();
        bytes.push(&mut text, character, at, end);
        at = end;
    }
    text
}

fn utf32(bytes: Bytes<'_>, first: usize, big_endian: bool) -> Vec<Glyph> {
    let mut text = Vec::with_capacity(bytes.values.len() / 4);
    let mut at = first;
    for unit in bytes.values.get(first..).unwrap_or_default().chunks_exact(4) {
        let unit = [unit[0], unit[1], unit[2], unit[3]];
        let code = if big_endian {
            u32::from_be_bytes(unit)
        } else {
            u32::from_le_bytes(unit)
        };
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        bytes.push(&mut text, character, at, at + 4);
        at += 4;
    }
    text
}

/// Digits, letters, space and dash of EBCDIC, which are the same in all its code pages; the rest parts words.
fn ebcdic(bytes: Bytes<'_>) -> Vec<Glyph> {
    let mut text = Vec::with_capacity(bytes.values.len());
    for (at, &byte) in bytes.values.iter().enumerate() {
        let character = match byte {
            0xF0..=0xF9 => char::from(b'0' + (byte - 0xF0)),
            0x40 => ' ',
            0x60 => '-',
            0x81..=0x89 | 0x91..=0x99 | 0xA2..=0xA9 | 0xC1..=0xC9 | 0xD1..=0xD9 | 0xE2..=0xE9 => 'x',
            _ => char::REPLACEMENT_CHARACTER,
        };
        bytes.push(&mut text, character, at, at + 1);
    }
    text
}
