//! Takes lines to the stream: a few calls at a time, each card's events one behind the other.

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use terminal::clock;
use terminal::error::CliError;
use terminal::lines::LinesError;
use tidemark_aws::admin::{Admin, AdminError, Put, PutAnswer};
use tidemark_engine::port::PortError;
use tokio::sync::mpsc::Receiver;

use super::pack::Packer;
use super::turns::{Piece, Turns};
use super::{RECORD_BYTES_MAX, Read, Refused, TOO_LARGE, Tally};

/// Calls under way together. Two never hold records of one card.
const CALLS_MAX: usize = 4;
/// Records that are held: those that wait for their turn, and those under way.
const HELD_RECORDS_MAX: usize = 20_000;
/// Their bytes.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Calls in a row that bring nothing before the stream is given up. One that took a single record is progress.
const FRUITLESS_CALLS_MAX: u32 = 12;
/// Wait before a record, or a call that brought nothing, is tried again; it doubles up to [`REST_MS_MAX`].
const REST_MS: u64 = 50;
/// The longest such wait, ms.
const REST_MS_MAX: u64 = 2_000;
/// When Kinesis refuses so many records one by one and has taken none, it is not for what they hold.
const REFUSED_WITHOUT_ANY_TAKEN_MAX: u64 = 100;

const ADVICE: &str = "Check the stream's name, AWS_ENDPOINT_URL and credentials. Sending the whole input again is safe: events count once.";

/// What is waited for.
enum Step {
    /// A call has its answer.
    Answered(Vec<Piece>, Result<PutAnswer, AdminError>),
    /// Records have rested; where `pause` is set, all calls rested with them.
    Rested { pieces: Vec<Piece>, pause: bool },
}

/// Everything between the lines and the stream.
pub(super) struct Courier<'a> {
    admin: &'a Admin,
    stream: &'a str,
    told: Box<dyn Fn(u64) + Send + 'a>,
    packer: Packer,
    turns: Turns,
    tally: Tally,
    steps: FuturesUnordered<BoxFuture<'a, Step>>,
    calls: usize,
    pauses: usize,
    fruitless: u32,
    /// Why it ends before its time; calls under way are waited for.
    failure: Option<CliError>,
}

impl<'a> Courier<'a> {
    /// `told` hears how many events were sent.
    pub(super) fn new(admin: &'a Admin, stream: &'a str, aggregate: bool, told: impl Fn(u64) + Send + 'a) -> Self {
        Self {
            admin,
            stream,
            told: Box::new(told),
            packer: Packer::new(aggregate),
            turns: Turns::default(),
            tally: Tally::default(),
            steps: FuturesUnordered::new(),
            calls: 0,
            pauses: 0,
            fruitless: 0,
            failure: None,
        }
    }

    /// Takes lines until there are no more and all have their end.
    pub(super) async fn run(mut self, mut lines: Receiver<Result<Read, LinesError>>) -> Result<Tally, CliError> {
        let mut input_failed = None;
        let mut is_open = true;
        loop {
            self.send_what_may_go();
            if self.failure.is_some() && self.calls == 0 {
                break;
            }
            let has_room = self.turns.count() < HELD_RECORDS_MAX && self.turns.bytes() < HELD_BYTES_MAX;
            tokio::select! {
                line = lines.recv(), if is_open && has_room && self.failure.is_none() => match line {
                    Some(Ok(line)) => self.take(line),
                    other => {
                        is_open = false;
                        input_failed = other.and_then(Result::err);
                        let rest = self.packer.finish();
                        self.line_up(rest);
                    }
                },
                Some(step) = self.steps.next() => self.take_step(step),
                else => break,
            }
        }
        if let Some(failure) = self.failure.take() {
            return Err(self.ended_early(failure));
        }
        let sent = self.tally.sent;
        match input_failed {
            None => Ok(self.tally),
            Some(error) => Err(error.into_cli(&format!("; {sent} events before it were sent"))),
        }
    }

    fn take(&mut self, line: Read) {
        match line {
            Read::Refused(Refused { line, code, why }) => self.tally.refuse(line, &code, why),
            Read::Event { line, data, sort } => {
                let pieces = self.packer.push(line, data, sort);
                self.line_up(pieces);
            }
        }
    }

    fn line_up(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            if piece.bytes() > RECORD_BYTES_MAX {
                self.refuse(&piece, TOO_LARGE);
            } else {
                self.turns.push(piece);
            }
        }
    }

    fn refuse(&mut self, piece: &Piece, code: &str) {
        for line in &piece.lines {
            self.tally.refuse(*line, code, None);
        }
    }

    /// Makes calls of what is ready. A call that is not full goes only when none is under way: what comes meanwhile fills it.
    fn send_what_may_go(&mut self) {
        let calls_max = if self.fruitless == 0 { CALLS_MAX } else { 1 };
        while self.failure.is_none()
            && self.pauses == 0
            && self.calls < calls_max
            && (self.calls == 0 || self.turns.is_call_full())
        {
            let pieces = self.turns.call();
            if pieces.is_empty() {
                return;
            }
            self.send(pieces);
        }
    }

    fn send(&mut self, pieces: Vec<Piece>) {
        let (admin, stream) = (self.admin, self.stream);
        let is_first = self.tally.sent == 0 && self.fruitless == 0;
        self.calls += 1;
        let call = async move {
            let records = pieces.iter().map(|piece| &piece.record);
            let mut answer = admin.put_call(stream, records).await;
            // Whatever else passes: credentials that are not there don't come by trying again.
            if is_first
                && answer.as_ref().is_err_and(AdminError::is_transient)
                && admin.credentials_problem().await.is_some()
            {
                answer = Err(PortError::Permanent("there are no credentials".to_owned()).into());
            }
            Step::Answered(pieces, answer)
        };
        self.steps.push(call.boxed());
    }

    fn rest(&mut self, pieces: Vec<Piece>, times: u32, pause: bool) {
        let wait_ms = (REST_MS << times.min(10)).min(REST_MS_MAX);
        self.pauses += usize::from(pause);
        let rested = async move {
            clock::pause(wait_ms).await;
            Step::Rested { pieces, pause }
        };
        self.steps.push(rested.boxed());
    }

    fn take_step(&mut self, step: Step) {
        match step {
            Step::Rested { pieces, pause } => {
                self.pauses -= usize::from(pause);
                for piece in pieces {
                    self.turns.again(piece);
                }
            }
            Step::Answered(pieces, answer) => {
                self.calls -= 1;
                match answer {
                    Ok(PutAnswer::Each(puts)) => self.take_each(pieces, &puts),
                    Ok(PutAnswer::Refused(code)) => self.take_refusal(pieces, &code),
                    Err(error) if error.is_transient() => self.take_nothing(pieces, &error.to_string()),
                    Err(error) => self.fail(&error.to_string()),
                }
            }
        }
    }

    /// Each record has its own answer.
    fn take_each(&mut self, pieces: Vec<Piece>, puts: &[Put]) {
        let mut not_taken = Vec::new();
        let mut cause = "no answer for the record";
        let all = pieces.len();
        for (at, mut piece) in pieces.into_iter().enumerate() {
            match puts.get(at) {
                Some(Put::Taken) => {
                    self.tally.sent += piece.lines.len() as u64;
                    for (all, of_piece) in self.tally.sent_by_sort.iter_mut().zip(piece.sorts) {
                        *all += of_piece;
                    }
                    self.tally.records += 1;
                    self.tally.bytes += piece.record.data.len() as u64;
                    self.turns.ended(&piece);
                }
                other => {
                    if let Some(Put::NotTaken(code)) = other {
                        cause = code;
                    }
                    piece.refusals += 1;
                    not_taken.push(piece);
                }
            }
        }
        if not_taken.len() == all {
            self.take_nothing(not_taken, cause);
            return;
        }
        self.fruitless = 0;
        (self.told)(self.tally.sent);
        if let Some(times) = not_taken.iter().map(|piece| piece.refusals).min() {
            self.rest(not_taken, times - 1, false);
        }
    }

    /// A call brought nothing, for a cause that passes.
    fn take_nothing(&mut self, pieces: Vec<Piece>, cause: &str) {
        self.fruitless += 1;
        if self.fruitless >= FRUITLESS_CALLS_MAX {
            self.fail(&format!("{FRUITLESS_CALLS_MAX} calls in a row took nothing: {cause}"));
            return;
        }
        let times = self.fruitless;
        self.rest(pieces, times, true);
    }

    /// Kinesis takes nothing of a call because of what is in it: halves tell which record it is.
    fn take_refusal(&mut self, mut pieces: Vec<Piece>, code: &str) {
        if self.failure.is_some() {
            return;
        }
        if pieces.len() > 1 {
            let half = pieces.split_off(pieces.len() / 2);
            self.send(pieces);
            self.send(half);
            return;
        }
        for piece in &pieces {
            self.refuse(piece, code);
            self.turns.ended(piece);
        }
        if self.tally.sent == 0 && self.tally.refused_total >= REFUSED_WITHOUT_ANY_TAKEN_MAX {
            self.fail(&format!(
                "every record is refused ({code}), so it is not for what they hold"
            ));
        }
    }

    fn fail(&mut self, why: &str) {
        if self.failure.is_none() {
            let what = format!("stream {}: {why}", self.stream);
            self.failure = Some(CliError::service("send", what, ADVICE));
        }
    }

    /// Says what was sent and what was not.
    fn ended_early(self, mut failure: CliError) -> CliError {
        let open = [self.turns.first_open(), self.packer.first_open()];
        let sent = self.tally.sent;
        failure.what += &match open.into_iter().flatten().min() {
            Some(line) => format!("; {sent} events were sent, and line {line} is the first that was not"),
            None => format!("; {sent} events were sent"),
        };
        failure
    }
}
