//! What a request may say. Pure.

use tidemark_domain::refusal::RefusalCode;
use tidemark_telemetry::ErrorCode;

use crate::api::{RangeRequest, Request};
use crate::cursor::{CURSOR_VERSION, Cursor};
use crate::letter::is_shard_id;
use crate::limits::{PARTS_MAX, SEEN_MESSAGES_MAX, SHARDS_MAX};
use crate::number::{is_before, is_sequence_number};
use crate::source::Source;

/// The conditions under which Lambda gives a batch up.
pub const CONDITIONS: [&str; 2] = ["RetryAttemptsExhausted", "RecordAgeExceeded"];

/// Why a request is refused. Nothing was read and nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct RequestError {
    /// Its page in docs/errors.
    pub code: ErrorCode,
    /// Which field, and what was expected.
    pub detail: String,
}

fn refused<T>(code: ErrorCode, detail: impl Into<String>) -> Result<T, RequestError> {
    Err(RequestError {
        code,
        detail: detail.into(),
    })
}

/// Where a request is wrong, never with what: it is answered and logged, and somebody may have sent a payload for one (I9).
pub(crate) fn misshapen(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let what = if error.is_data() {
        "a field or value is not a request's"
    } else {
        "not JSON"
    };
    format!("{what}, at line {line}, column {column}: expected source, and fields that go with it")
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is not JSON, not of this shape, or when its fields contradict each other.
    pub fn parse(json: &str) -> Result<Self, RequestError> {
        let request: Self = match serde_json::from_str(json) {
            Ok(request) => request,
            Err(error) => return refused(ErrorCode::RedriveRequestInvalid, misshapen(&error)),
        };
        request.check()?;
        Ok(request)
    }

    /// Looks for contradictions.
    ///
    /// # Errors
    /// The first one found.
    pub fn check(&self) -> Result<(), RequestError> {
        let invalid = ErrorCode::RedriveRequestInvalid;
        if self.records_max == Some(0) || self.rate_per_second == Some(0) {
            return refused(invalid, "records_max, rate_per_second: expected at least 1");
        }
        if self.look && self.source != Source::DeadLetter {
            return refused(invalid, "look: goes with the source dead_letter only");
        }
        if let Some(share) = self.share
            && (self.source != Source::DeadLetter || self.dry_run || self.look || share.index >= share.of)
        {
            return refused(
                invalid,
                "share: goes with a redrive of the source dead_letter; expected index below of",
            );
        }
        self.check_reasons()?;
        match (&self.range, self.source) {
            (Some(range), Source::Range) => range.check()?,
            (None, Source::Range) => return refused(invalid, "range: the source range needs one"),
            (Some(_), _) => return refused(invalid, "range: goes with the source range only"),
            (None, _) => {}
        }
        self.cursor.as_ref().map_or(Ok(()), |cursor| cursor.check(self.source))
    }

    fn check_reasons(&self) -> Result<(), RequestError> {
        let known = |reason: &String| match self.source {
            Source::DeadLetter => CONDITIONS.contains(&reason.as_str()),
            Source::Quarantine => RefusalCode::ALL.iter().any(|code| code.as_str() == reason),
            Source::Range => false,
        };
        match self.reasons.iter().position(|reason| !known(reason)) {
            Some(at) => refused(
                ErrorCode::RedriveRequestInvalid,
                format!(
                    "reasons[{at}]: the source {} knows no such reason",
                    self.source.as_str()
                ),
            ),
            None => Ok(()),
        }
    }
}

impl RangeRequest {
    fn check(&self) -> Result<(), RequestError> {
        let invalid = ErrorCode::RedriveRangeInvalid;
        let (from, to) = (self.from_sequence_number.as_ref(), self.to_sequence_number.as_ref());
        if self.shard_id.as_ref().is_some_and(|id| !is_shard_id(id)) {
            return refused(invalid, "range.shard_id: not the id of a shard");
        }
        if (from.is_some() || to.is_some()) && self.shard_id.is_none() {
            return refused(invalid, "range.shard_id: sequence numbers are of one shard");
        }
        for (field, number) in [("from_sequence_number", from), ("to_sequence_number", to)] {
            if number.is_some_and(|number| !is_sequence_number(number)) {
                return refused(invalid, format!("range.{field}: not a sequence number"));
            }
        }
        if let (Some(from), Some(to)) = (from, to)
            && is_before(to, from)
        {
            return refused(invalid, "range: to_sequence_number is lower than from_sequence_number");
        }
        if let (Some(since_ms), Some(until_ms)) = (self.since_ms, self.until_ms)
            && until_ms < since_ms
        {
            return refused(invalid, "range: until_ms is before since_ms");
        }
        let cut = self.cut.unwrap_or_default();
        if self.cut.is_some() && (self.shard_id.is_none() || from.is_some() || to.is_some()) {
            return refused(invalid, "range.cut: goes with a shard and times");
        }
        if let (Some(begin_ms), Some(end_ms)) = (cut.begin_ms, cut.end_ms)
            && end_ms <= begin_ms
        {
            return refused(invalid, "range.cut: end_ms is not after begin_ms");
        }
        if [self.since_ms, self.until_ms, cut.begin_ms, cut.end_ms]
            .into_iter()
            .flatten()
            .any(|time_ms| time_ms < 0)
        {
            return refused(invalid, "range: a time before 1970");
        }
        Ok(())
    }
}

impl Cursor {
    fn check(&self, source: Source) -> Result<(), RequestError> {
        let sizes =
            self.seen.len() <= SEEN_MESSAGES_MAX && self.parts.len() <= PARTS_MAX && self.shards.len() <= SHARDS_MAX;
        let places = self.parts.iter().flat_map(|part| part.after.iter().chain(&part.done));
        let of_shards = self
            .shards
            .iter()
            .flat_map(|shard| shard.after.iter().chain(&shard.done));
        let numbers = places.chain(of_shards).all(|number| is_sequence_number(number));
        let shards = self.shards.iter().all(|shard| is_shard_id(&shard.shard_id));
        if self.version == CURSOR_VERSION && self.source == source && sizes && numbers && shards {
            return Ok(());
        }
        refused(
            ErrorCode::CursorInvalid,
            "cursor: not one that this function gave for this source",
        )
    }
}
