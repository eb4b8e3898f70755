//! Ids: of one column or several, hashed where they must not leave the machine.

use std::borrow::Cow;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::code::{MapCode, Wrong};
use crate::row::{Cell, PathId, RowView};

use super::{Blame, nothing, text_of, without};

/// Bytes of a digest that are written: 32 hexadecimal digits, in which no card number is ever found.
const DIGEST_BYTES: usize = 16;

/// Where an id comes from.
#[derive(Clone, Debug)]
pub(crate) enum IdSource {
    Columns { paths: Vec<PathId>, join: String },
    LineNumber,
    Constant(String),
}

/// How an id is made.
#[derive(Clone, Debug)]
pub(crate) struct IdRule {
    pub(crate) source: IdSource,
    pub(crate) strip: String,
    pub(crate) lower: bool,
    pub(crate) salt: Option<Salt>,
    pub(crate) prefix: String,
    pub(crate) empty: Option<String>,
}

/// A salt: a key that is never shown.
#[derive(Clone)]
pub(crate) struct Salt(Hmac<Sha256>);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt")
    }
}

impl Salt {
    /// `None` where no key can be made of it, which HMAC never says.
    pub(crate) fn new(salt: &str) -> Option<Self> {
        Hmac::new_from_slice(salt.as_bytes()).ok().map(Self)
    }

    /// The first digits of a text's keyed digest.
    pub(crate) fn digest(&self, text: &str) -> String {
        let mut keyed = self.0.clone();
        keyed.update(text.as_bytes());
        let digest = keyed.finalize().into_bytes();
        let mut hexadecimal = String::with_capacity(2 * DIGEST_BYTES);
        for byte in digest.iter().take(DIGEST_BYTES) {
            // Writing to a string does not fail.
            let _ = write!(hexadecimal, "{byte:02x}");
        }
        hexadecimal
    }
}

impl IdRule {
    /// The id of a row; `None` where it has none.
    pub(crate) fn make(&self, row: &RowView<'_>) -> Result<Option<String>, Blame> {
        let text = match &self.source {
            IdSource::Constant(id) => Some(Cow::Borrowed(id.as_str())),
            IdSource::LineNumber => Some(Cow::Owned(row.line.to_string())),
            IdSource::Columns { paths, join } => self.of_columns(row, paths, join)?,
        };
        let Some(text) = text else {
            return Ok(self.empty.clone());
        };
        let text = if self.lower {
            Cow::Owned(text.to_lowercase())
        } else {
            text
        };
        let id = match &self.salt {
            Some(salt) => salt.digest(&text),
            None => text.into_owned(),
        };
        Ok(Some(if self.prefix.is_empty() {
            id
        } else {
            format!("{}{id}", self.prefix)
        }))
    }

    /// The same where there must be one.
    pub(crate) fn require(&self, row: &RowView<'_>) -> Result<String, Blame> {
        self.make(row)?.ok_or_else(|| nothing(self.path()))
    }

    /// The column to blame.
    pub(crate) fn path(&self) -> Option<PathId> {
        match &self.source {
            IdSource::Columns { paths, .. } => paths.first().copied(),
            IdSource::LineNumber | IdSource::Constant(_) => None,
        }
    }

    /// Whether it is made of what stands under a path.
    pub(crate) fn names(&self, path: PathId) -> bool {
        matches!(&self.source, IdSource::Columns { paths, .. } if paths.contains(&path))
    }

    /// Whether its values must not be shown.
    pub(crate) const fn is_hashed(&self) -> bool {
        self.salt.is_some()
    }

    fn of_columns<'r>(&self, row: &RowView<'r>, paths: &[PathId], join: &str) -> Result<Option<Cow<'r, str>>, Blame> {
        if let [path] = paths {
            return self.part(row, *path);
        }
        // Each part has its place, so that ("1", "") and ("", "1") are two ids.
        let mut joined = String::new();
        let mut is_all_empty = true;
        for (at, path) in paths.iter().enumerate() {
            if at > 0 {
                joined += join;
            }
            if let Some(part) = self.part(row, *path)? {
                is_all_empty = false;
                joined += &part;
            }
        }
        Ok((!is_all_empty).then_some(Cow::Owned(joined)))
    }

    fn part<'r>(&self, row: &RowView<'r>, path: PathId) -> Result<Option<Cow<'r, str>>, Blame> {
        if let Cell::Fraction(number) = row.cell(path) {
            let why = "expected an id, found a number with a fraction, an exponent, or too many digits";
            let wrong = match self.is_hashed() {
                true => Wrong::new(MapCode::IdNumber, why),
                false => Wrong::of(MapCode::IdNumber, &number, why),
            };
            return Err((Some(path), wrong));
        }
        let text = text_of(row, path)?.map(|text| without(text, &self.strip));
        Ok(text.filter(|text| !text.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_other_programs_compute() {
        // printf %s 4111111111111111 | openssl dgst -sha256 -hmac 'a salt of 16 bytes'
        let salt = Salt::new("a salt of 16 bytes").unwrap();
        assert_eq!(salt.digest("4111111111111111"), "87f4bf45e0cba6aab8cac481bc1b576c");
        assert_eq!(format!("{salt:?}"), "Salt");
    }
}
