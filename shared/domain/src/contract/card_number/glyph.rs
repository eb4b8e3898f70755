//! Characters with the places that they were read from, and what a character is to a card number.

/// Bytes of the payload: the first one and the one after the last.
pub(super) type Span = (usize, usize);

/// A character and the bytes of the payload that spell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glyph {
    pub(super) character: char,
    start: u32,
    end: u32,
}

impl Glyph {
    pub(super) fn new(character: char, (start, end): Span) -> Self {
        // No payload has 4 GiB.
        let narrow = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        Self {
            character,
            start: narrow(start),
            end: narrow(end),
        }
    }

    /// The bytes of the payload that spell it.
    pub(super) const fn span(self) -> Span {
        (self.start as usize, self.end as usize)
    }

    /// The bytes of the payload from this character to another one.
    pub(super) const fn through(self, last: Self) -> Span {
        (self.start as usize, last.end as usize)
    }
}

/// What a character is to a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Digit(u8),
    Separator,
    /// A letter, or anything that may be part of a word.
    Letter,
    Other,
}

/// The zeros of the scripts whose digits a reader may meet in a number: Arabic, Persian, N'Ko, those of India, Thai, Lao,
/// Tibetan, Burmese, Khmer, Mongolian, and the full-width forms. The digits follow each zero in order.
const ZEROS: [u32; 20] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50, 0x0ED0,
    0x0F20, 0x1040, 0x17E0, 0x1810, 0x1946, 0xFF10,
];
/// The mathematical digits: five styles, one after the other.
const MATHEMATICAL: std::ops::RangeInclusive<u32> = 0x1D7CE..=0x1D7FF;

/// The scripts from here on (Thai, those of East Asia …) put no space between words and numbers: their letters glue nothing.
const UNSPACED_FROM: u32 = 0x0E00;

/// What a character is.
pub(super) fn kind_of(character: char) -> Kind {
    #[allow(clippy::cast_possible_truncation)] // an ASCII digit
    match character {
        '0'..='9' => Kind::Digit(character as u8 - b'0'),
        // A form writes a space as a plus.
        ' ' | '-' | '+' => Kind::Separator,
        'a'..='z' | 'A'..='Z' => Kind::Letter,
        '\0'..='\x7F' => Kind::Other,
        // No-break, en to hair, narrow no-break and ideographic spaces.
        '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{3000}' => Kind::Separator,
        // Hyphens and dashes, minus, small and full-width hyphen-minus.
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE63}' | '\u{FF0D}' => Kind::Separator,
        other => match digit(other as u32) {
            Some(value) => Kind::Digit(value),
            None if (other as u32) < UNSPACED_FROM && other.is_alphanumeric() => Kind::Letter,
            None => Kind::Other,
        },
    }
}

/// The value of a digit outside ASCII.
#[allow(clippy::cast_possible_truncation)] // below ten
fn digit(code: u32) -> Option<u8> {
    if MATHEMATICAL.contains(&code) {
        return Some(((code - MATHEMATICAL.start()) % 10) as u8);
    }
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    Some((code - zero) as u8)
}

/// Whether a character shows nothing and parts nothing: a reader sees the digits around it side by side. NUL is one, since
/// UTF-16 that was read as bytes has one in every ASCII character.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\0' | '\u{AD}'
            | '\u{61C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}'
    )
}
