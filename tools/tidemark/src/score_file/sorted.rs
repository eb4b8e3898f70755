//! A file in the order of time: what `--sort` does before anything is scored.

use std::io::BufRead;

use serde::Deserialize;
use terminal::lines::{Lines, Unread};

use super::ScoreFileError;

/// Bytes of lines that are held to be sorted. What is larger is sorted outside.
pub(super) const SORT_BYTES_MAX: u64 = 4 << 30;

/// What a held line takes besides its text, bytes.
const LINE_BYTES: u64 = 64;

/// When something happened, in the order in which a card should hear of it.
#[derive(Deserialize)]
struct When {
    occurred_at_ms: Option<i64>,
    known_since_ms: Option<i64>,
    updated_at_ms: Option<i64>,
}

/// A line that is held, or why there is no text of it.
pub(crate) type HeldLine = Result<Vec<u8>, Unread>;

/// All lines with their numbers by event time; those of one time, and those that tell none, stay behind the line before them.
///
/// # Errors
/// When they can't be read, or are more than can be held.
pub(crate) fn all<R: BufRead>(lines: &mut Lines<R>) -> Result<Vec<(u64, HeldLine)>, ScoreFileError> {
    let mut held: Vec<(i64, u64, HeldLine)> = Vec::new();
    let (mut time_ms, mut sum) = (i64::MIN, 0_u64);
    while let Some((number, line)) = lines.next()? {
        sum += LINE_BYTES
            + line
                .as_ref()
                .map_or_else(|unread| unread.why.len(), |payload| payload.len()) as u64;
        if let Ok(payload) = line {
            let when = serde_json::from_slice::<When>(payload).ok();
            let when = when.and_then(|when| when.occurred_at_ms.or(when.known_since_ms).or(when.updated_at_ms));
            time_ms = when.unwrap_or(time_ms);
        }
        if sum > SORT_BYTES_MAX {
            return Err(ScoreFileError::TooLargeToSort);
        }
        held.push((time_ms, number, line.map(<[u8]>::to_vec)));
    }
    // Stable: what happened at one time stays in the file's order.
    held.sort_by_key(|(time_ms, ..)| *time_ms);
    Ok(held.into_iter().map(|(_, number, line)| (number, line)).collect())
}
