//! The loop around the state machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemark_aws::admin::{Admin, AdminError, ReadFrom, RecordPage, Shard, ShardIterator};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::letter::{Letter, letter_key, with_payload};
use super::payload::{payload, record};
use super::{MappingSpec, MappingStats, Setting, mapping_id};
use crate::clock::{now_ms, sleep_ms};
use crate::error::LocalError;
use crate::esm::{Action, Esm, EsmRecord, InvokeOutcome, StartingPosition};
use crate::runtime_api::Invocation;

/// Records of one read. A page of larger ones is cut at 10 MB by Kinesis.
const READ_RECORDS_MAX: u32 = 2_000;
/// How often the stream's shards are listed, in milliseconds.
const DISCOVER_INTERVAL_MS: i64 = 1_000;
/// How often a mapping that is turned off tells its counts, in milliseconds.
const OFF_WAIT_MS: u64 = 1_000;
/// Wait after a failed read, in milliseconds.
const FAILURE_WAIT_MS: u64 = 200;

/// What a mapping's owner asks.
#[derive(Debug)]
pub(super) enum Command {
    Drained(oneshot::Sender<()>),
    Stop,
}

/// What a task brought.
enum Event {
    Shards(i64, Result<Vec<Shard>, AdminError>),
    Page {
        shard: String,
        began_ms: i64,
        result: Result<(RecordPage, Vec<EsmRecord>), AdminError>,
    },
    Invoked(u64, InvokeOutcome),
    Sent(u64),
}

/// A shard that is read.
#[derive(Debug)]
struct Reader {
    from: ReadFrom,
    iterator: Option<ShardIterator>,
    reading: bool,
    next_ms: i64,
    /// When the last read began that found nothing more.
    caught_up_ms: i64,
    behind_ms: i64,
}

pub(super) struct Driver {
    spec: MappingSpec,
    admin: Admin,
    stream_arn: Arc<str>,
    region: Arc<str>,
    esm: Esm,
    readers: BTreeMap<String, Reader>,
    tasks: JoinSet<Event>,
    in_flight: usize,
    discovering: bool,
    discovered_ms: i64,
    read_errors: u64,
    mapping_id: String,
    /// Letters written to a bucket so far.
    letters: u64,
    waiting: Vec<(i64, oneshot::Sender<()>)>,
    setting: watch::Receiver<Setting>,
    stats: watch::Sender<MappingStats>,
    checkpoints: watch::Sender<BTreeMap<String, String>>,
}

impl Driver {
    pub(super) fn new(
        spec: MappingSpec,
        admin: Admin,
        stream_arn: String,
        region: &str,
        setting: watch::Receiver<Setting>,
        stats: watch::Sender<MappingStats>,
        checkpoints: watch::Sender<BTreeMap<String, String>>,
    ) -> Self {
        let esm = Esm::new(spec.options.clone(), &stream_arn, &spec.target.arn());
        let mapping_id = mapping_id(&spec.target.arn(), &stream_arn);
        Self {
            spec,
            admin,
            stream_arn: stream_arn.into(),
            region: region.into(),
            esm,
            readers: BTreeMap::new(),
            tasks: JoinSet::new(),
            in_flight: 0,
            discovering: false,
            discovered_ms: 0,
            read_errors: 0,
            mapping_id,
            letters: 0,
            waiting: Vec::new(),
            setting,
            stats,
            checkpoints,
        }
    }

    /// Lists the shards for the first time and fixes where each is read from.
    pub(super) async fn discover(&mut self) -> Result<(), LocalError> {
        self.discovered_ms = now_ms();
        let shards = self.admin.list_shards(&self.spec.stream).await?;
        for shard in &shards {
            let from = self.first_position(&shard.id);
            self.add(shard, from);
        }
        for shard in shards
            .iter()
            .filter(|_| self.spec.options.starting_position == StartingPosition::Latest)
        {
            // An iterator fixes "now"; the words LATEST would mean the time of the first read.
            let from = self
                .readers
                .get(&shard.id)
                .map_or(ReadFrom::Latest, |reader| reader.from.clone());
            let iterator = self.admin.iterator(&self.spec.stream, &shard.id, &from).await?;
            if let Some(reader) = self.readers.get_mut(&shard.id) {
                reader.iterator = Some(iterator);
            }
        }
        Ok(())
    }

    fn first_position(&self, shard: &str) -> ReadFrom {
        if let Some(number) = self.spec.resume_after.get(shard) {
            return ReadFrom::After(number.clone());
        }
        match self.spec.options.starting_position {
            StartingPosition::TrimHorizon => ReadFrom::Oldest,
            StartingPosition::Latest => ReadFrom::Latest,
            StartingPosition::AtTimestamp(time_ms) => ReadFrom::Time(time_ms),
        }
    }

    fn add(&mut self, shard: &Shard, from: ReadFrom) {
        self.esm.add_shard(&shard.id, &shard.parents);
        let reader = Reader {
            from,
            iterator: None,
            reading: false,
            next_ms: 0,
            caught_up_ms: 0,
            behind_ms: 0,
        };
        self.readers.insert(shard.id.clone(), reader);
    }

    /// Runs until it is stopped.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            // Turned off, it begins nothing; what is under way is brought to its end, and its place is kept.
            let Setting {
                enabled,
                record_age_s_max,
            } = *self.setting.borrow_and_update();
            self.esm.set_record_age(record_age_s_max);
            if enabled {
                self.act();
                self.read();
            }
            self.report();
            let wait_ms = if enabled { self.wait_ms() } else { OFF_WAIT_MS };
            tokio::select! {
                Ok(()) = self.setting.changed() => {}
                Some(event) = self.tasks.join_next(), if !self.tasks.is_empty() => self.take(event),
                command = commands.recv() => match command {
                    Some(Command::Drained(reply)) => self.waiting.push((now_ms(), reply)),
                    Some(Command::Stop) | None => break,
                },
                () = sleep_ms(wait_ms) => {}
            }
        }
        self.tasks.shutdown().await;
    }

    fn act(&mut self) {
        let actions = self.esm.poll(now_ms());
        self.spawn_all(actions);
    }

    fn spawn_all(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.in_flight += 1;
            match action {
                Action::Invoke { batch_id, records, .. } => {
                    let target = Arc::clone(&self.spec.target);
                    self.tasks.spawn(async move {
                        let invocation = target.invoke(payload(&records)).await;
                        Event::Invoked(batch_id, outcome(invocation))
                    });
                }
                Action::SendOnFailure {
                    batch_id,
                    message,
                    shard,
                    records,
                } => {
                    let letter = self.letter(message, &shard, &records);
                    let admin = self.admin.clone();
                    self.tasks.spawn(async move {
                        letter.send_until_taken(&admin).await;
                        Event::Sent(batch_id)
                    });
                }
            }
        }
    }

    /// Where a batch's letter goes, and what it is there.
    fn letter(&mut self, message: String, shard: &str, records: &[Arc<EsmRecord>]) -> Letter {
        if let Some(bucket) = self.spec.on_failure_bucket.clone() {
            self.letters += 1;
            let key = letter_key(&self.mapping_id, shard, now_ms(), self.letters);
            let text = with_payload(&message, &payload(records));
            return Letter::Object { bucket, key, text };
        }
        Letter::Message {
            queue_url: self.spec.on_failure_queue_url.clone().unwrap_or_default(),
            message,
        }
    }

    /// Begins the reads that are due, and the listing of shards.
    fn read(&mut self) {
        let now = now_ms();
        let readable: Vec<String> = self.esm.readable().map(str::to_owned).collect();
        for id in readable {
            let Some(reader) = self.readers.get_mut(&id) else {
                continue;
            };
            if reader.reading || reader.next_ms > now {
                continue;
            }
            reader.reading = true;
            let read = Read {
                admin: self.admin.clone(),
                stream: self.spec.stream.clone(),
                shard: id,
                from: reader.from.clone(),
                iterator: reader.iterator.take(),
                stream_arn: Arc::clone(&self.stream_arn),
                region: Arc::clone(&self.region),
            };
            self.tasks.spawn(read.run());
        }
        if !self.discovering && self.discover_due_ms() <= now {
            self.discovering = true;
            let (admin, stream) = (self.admin.clone(), self.spec.stream.clone());
            self.tasks
                .spawn(async move { Event::Shards(now, admin.list_shards(&stream).await) });
        }
    }

    /// When the shards are to be listed next: at once when somebody waits for what a listing begun after the question says.
    fn discover_due_ms(&self) -> i64 {
        let asked = self
            .waiting
            .iter()
            .map(|(asked_ms, _)| *asked_ms)
            .filter(|asked_ms| self.discovered_ms <= *asked_ms);
        let regular_ms = self.discovered_ms + DISCOVER_INTERVAL_MS;
        asked
            .map(|asked_ms| asked_ms + 1)
            .min()
            .map_or(regular_ms, |asked_ms| asked_ms.min(regular_ms))
    }

    fn take(&mut self, event: Result<Event, tokio::task::JoinError>) {
        match event {
            Ok(Event::Shards(began_ms, Ok(shards))) => self.take_shards(began_ms, &shards),
            Ok(Event::Shards(began_ms, Err(error))) => {
                tracing::warn!(%error, "the stream's shards could not be listed");
                self.read_errors += 1;
                self.discovering = false;
                self.discovered_ms = began_ms;
            }
            Ok(Event::Page {
                shard,
                began_ms,
                result,
            }) => self.take_page(&shard, began_ms, result),
            Ok(Event::Invoked(batch_id, outcome)) => {
                self.in_flight -= 1;
                let actions = self.esm.invoked(batch_id, &outcome, now_ms());
                self.spawn_all(actions);
            }
            Ok(Event::Sent(batch_id)) => {
                self.in_flight -= 1;
                self.esm.sent(batch_id);
            }
            Err(error) => tracing::error!(%error, "a task of the mapping failed"),
        }
    }

    fn take_shards(&mut self, began_ms: i64, shards: &[Shard]) {
        self.discovering = false;
        self.discovered_ms = began_ms;
        for shard in shards {
            if !self.esm.knows(&shard.id) {
                // Opened by a split or a merge after the start: every record of it is new.
                self.add(shard, ReadFrom::Oldest);
            }
        }
    }

    fn take_page(&mut self, id: &str, began_ms: i64, result: Result<(RecordPage, Vec<EsmRecord>), AdminError>) {
        let Some(reader) = self.readers.get_mut(id) else { return };
        reader.reading = false;
        let (page, records) = match result {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(%error, shard = id, "a read failed; a new iterator goes on after the last record seen");
                self.read_errors += 1;
                reader.next_ms = now_ms().saturating_add_unsigned(FAILURE_WAIT_MS);
                return;
            }
        };
        reader.behind_ms = page.behind_ms;
        if let Some(last) = records.last() {
            reader.from = ReadFrom::After(last.sequence_number.clone());
        } else if page.behind_ms == 0 {
            reader.caught_up_ms = began_ms;
        }
        let wait_ms = if page.behind_ms > 0 {
            0
        } else {
            self.spec.reads.interval_ms()
        };
        // From the begin of the read: the rhythm of the looks does not depend on how long one takes.
        reader.next_ms = began_ms.saturating_add_unsigned(wait_ms);
        let closed = page.next.is_none();
        reader.iterator = page.next;
        self.esm.accept(id, records, now_ms());
        if closed {
            self.esm.close_shard(id);
            // Its children are to be found now, not at the next turn.
            self.discovered_ms = 0;
        }
    }

    fn report(&mut self) {
        let unfinished: BTreeSet<&str> = self.esm.unfinished().collect();
        let lag = self
            .readers
            .iter()
            .filter(|(id, _)| unfinished.contains(id.as_str()))
            .map(|(_, r)| r.behind_ms)
            .max();
        if self.esm.is_idle() {
            let caught_up = |asked_ms: i64| {
                let reader = |id: &&str| {
                    self.readers
                        .get(*id)
                        .is_some_and(|reader| reader.caught_up_ms > asked_ms)
                };
                self.discovered_ms > asked_ms && unfinished.iter().all(reader)
            };
            let (done, waiting) = std::mem::take(&mut self.waiting)
                .into_iter()
                .partition(|(asked, _)| caught_up(*asked));
            self.waiting = waiting;
            let done: Vec<(i64, oneshot::Sender<()>)> = done;
            for (_, reply) in done {
                let _ = reply.send(());
            }
        }
        let stats = MappingStats {
            esm: self.esm.stats(),
            lag_ms: lag.unwrap_or_default(),
            read_errors: self.read_errors,
            in_flight: self.in_flight,
        };
        self.stats.send_if_modified(|old| {
            let changed = *old != stats;
            *old = stats;
            changed
        });
        let own = |(id, number): (&str, &str)| (id.to_owned(), number.to_owned());
        self.checkpoints.send_replace(self.esm.checkpoints().map(own).collect());
    }

    /// How long to wait for an event before looking again.
    fn wait_ms(&self) -> u64 {
        let now = now_ms();
        let reads = self.esm.readable().filter_map(|id| self.readers.get(id));
        let reads = reads.filter(|reader| !reader.reading).map(|reader| reader.next_ms);
        let discover = (!self.discovering).then(|| self.discover_due_ms());
        let next_ms = reads
            .chain(self.esm.wake_ms())
            .chain(discover)
            .min()
            .unwrap_or(now + DISCOVER_INTERVAL_MS);
        u64::try_from((next_ms - now).clamp(0, DISCOVER_INTERVAL_MS)).unwrap_or(0)
    }
}

/// One read of one shard.
struct Read {
    admin: Admin,
    stream: String,
    shard: String,
    from: ReadFrom,
    iterator: Option<ShardIterator>,
    stream_arn: Arc<str>,
    region: Arc<str>,
}

impl Read {
    async fn run(self) -> Event {
        let began_ms = now_ms();
        let result = self.page().await;
        Event::Page {
            shard: self.shard,
            began_ms,
            result,
        }
    }

    async fn page(&self) -> Result<(RecordPage, Vec<EsmRecord>), AdminError> {
        let iterator = match &self.iterator {
            Some(iterator) => iterator.clone(),
            None => self.admin.iterator(&self.stream, &self.shard, &self.from).await?,
        };
        let page = self.admin.records(&iterator, READ_RECORDS_MAX).await?;
        let records = page
            .records
            .iter()
            .map(|r| record(r, &self.shard, &self.stream_arn, &self.region))
            .collect();
        Ok((page, records))
    }
}

fn outcome(Invocation { request_id, result }: Invocation) -> InvokeOutcome {
    match result {
        Ok(response) => InvokeOutcome::Answered { request_id, response },
        Err(error) => {
            tracing::debug!(%error, request_id, "an invocation failed");
            InvokeOutcome::Failed { request_id }
        }
    }
}
