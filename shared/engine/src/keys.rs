//! Keys beyond the card: their labelled histories are read before a batch is folded, behind a cache and a breaker of their own, and
//! taught by its labels once these are durable in their cards.
//!
//! The card's write is the truth. A key's history is a set that only grows, so that a label may teach it any number of times, in
//! any order: a label's record has its end only when every key has it, and until then it comes again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use tidemark_domain::control::Mode;
use tidemark_domain::event::{Event, Transaction, Verdict};
use tidemark_domain::fold::Taught;
use tidemark_domain::labelled::{Added, KeyInput, LabelledEvent, LabelledHistory};
use tidemark_domain::policy::{KeyTerms, Policy};

use crate::breaker::Breaker;
use crate::cache::Cache;
use crate::call::{BatchContext, WriteDesk};
use crate::config::{EngineConfig, LOAD_CARDS_MAX, LOADS_CONCURRENT_MAX};
use crate::desk::Desk;
use crate::hash::FixedMap;
use crate::lock::lock;
use crate::plan::CardPlan;
use crate::port::{Clock, Commit, KeyId, KeyWrite, Metered, StateItem, StateStore, StateVersion};
use crate::profile::ProfileView;
use crate::report::Returned;

type KeyDesk = WriteDesk<KeyWrite, Commit>;

/// A key's history in memory besides its labels, bytes (estimated).
const KEY_BYTES: usize = 120;

/// What is known of a key while a batch lasts.
#[derive(Clone, Debug)]
pub(crate) enum KeyView {
    /// Its labelled history.
    Known(Arc<LabelledHistory>),
    /// No label has come for it yet.
    Absent,
    /// It could not be read.
    Unavailable,
}

impl KeyView {
    fn input(&self) -> KeyInput<'_> {
        match self {
            Self::Known(history) => KeyInput::Known(history),
            Self::Absent => KeyInput::Absent,
            Self::Unavailable => KeyInput::Unavailable,
        }
    }
}

/// What is known of the keys of a batch's transactions.
#[derive(Debug, Default)]
pub(crate) struct KeyViews {
    views: FixedMap<KeyId, KeyView>,
}

impl KeyViews {
    /// The labelled histories for a transaction, in the order of a policy's keys.
    pub(crate) fn inputs(&self, tx: &Transaction, policy: &Policy) -> Vec<KeyInput<'_>> {
        let input = |terms: &KeyTerms| match key_of(tx, terms) {
            Some(key) => self.views.get(&key).map_or(KeyInput::Unavailable, KeyView::input),
            None => KeyInput::Unnamed,
        };
        policy.keys.iter().map(input).collect()
    }
}

/// What is known of a card and of the keys of its events besides its history.
#[derive(Clone, Copy)]
pub(crate) struct CardInputs<'a> {
    pub(crate) profile: &'a ProfileView,
    pub(crate) keys: &'a KeyViews,
}

/// The key that a transaction names.
fn key_of(tx: &Transaction, terms: &KeyTerms) -> Option<KeyId> {
    terms.field.identity_of(tx).map(|identity| KeyId {
        name: terms.name,
        identity,
    })
}

/// A history kept warm, or its absence: which version the next writer must name, and since when it is warm.
#[derive(Clone, Debug, Default)]
struct WarmKey {
    history: Arc<LabelledHistory>,
    version: Option<StateVersion>,
    loaded_at_ms: i64,
}

impl WarmKey {
    /// What an item holds.
    fn of(item: Option<&StateItem>, loaded_at_ms: i64) -> Result<Self, Returned> {
        let Some(item) = item else {
            return Ok(Self {
                loaded_at_ms,
                ..Self::default()
            });
        };
        let history = LabelledHistory::decode(&item.bytes).map_err(|_| Returned::StateCorrupt)?;
        Ok(Self {
            history: Arc::new(history),
            version: Some(item.version),
            loaded_at_ms,
        })
    }

    fn is_fresh(&self, now_ms: i64, age_ms_max: i64) -> bool {
        now_ms.saturating_sub(self.loaded_at_ms) < age_ms_max
    }

    fn view(&self) -> KeyView {
        match self.version {
            Some(_) => KeyView::Known(Arc::clone(&self.history)),
            None => KeyView::Absent,
        }
    }

    fn bytes(&self) -> usize {
        KEY_BYTES + size_of_val(self.history.labels())
    }
}

/// The keys of a process: those that are warm, and the breaker before the others.
pub(crate) struct Keys {
    warm: Mutex<Cache<KeyId, WarmKey>>,
    breaker: Mutex<Breaker>,
}

impl Keys {
    /// Nothing is warm, and the breaker is closed.
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self {
            warm: Mutex::new(Cache::new(config.key_cache_max, config.key_cache_bytes_max)),
            breaker: Mutex::new(Breaker::new(config.breaker_failures_max, config.breaker_open_ms)),
        }
    }

    /// What is known of the keys that a batch's transactions name, under the policies that score them.
    pub(crate) async fn load<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        store: &S,
        plans: &[CardPlan],
    ) -> KeyViews {
        let mut views = KeyViews::default();
        if context.directives.mode == Mode::Degraded {
            return views;
        }
        let (named, now_ms) = (named(context, plans), context.clock.now_ms());
        let mut missing = Vec::new();
        {
            let warm = lock(&self.warm);
            for key in named {
                let known = warm.peek(&key);
                match known.filter(|known| known.is_fresh(now_ms, context.config.key_max_age_ms)) {
                    Some(known) => _ = views.views.insert(key, known.view()),
                    None => missing.push(key),
                }
            }
        }
        {
            let mut report = context.report();
            report.cache.key_hits = views.views.len() as u64;
            report.cache.key_misses = missing.len() as u64;
        }
        let reads = missing
            .chunks(LOAD_CARDS_MAX)
            .map(|keys| self.read(context, store, keys));
        let reads = stream::iter(reads.collect::<Vec<_>>()).buffered(LOADS_CONCURRENT_MAX);
        for (key, view) in reads.concat().await {
            views.views.insert(key, view);
        }
        views
    }

    /// Reads histories, and keeps them warm. One that can't be read or decoded is unavailable.
    async fn read<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        store: &S,
        keys: &[KeyId],
    ) -> Vec<(KeyId, KeyView)> {
        let unavailable = || keys.iter().map(|key| (*key, KeyView::Unavailable)).collect();
        if !lock(&self.breaker).allow(context.clock.now_ms()) {
            context.report().breaker_rejected += keys.len() as u64;
            return unavailable();
        }
        let call = || store.load_keys(keys);
        let (attempts_max, until_ms) = (context.config.profile_attempts_max, context.bounds.stop_at_ms);
        let answer = context.with_attempts(attempts_max, until_ms, call).await;
        let items = match answer {
            Ok(answer) if answer.value.len() == keys.len() => context.metered(answer),
            _ => {
                let now_ms = context.clock.now_ms();
                lock(&self.breaker).failed(now_ms);
                context.report().keys_unread += keys.len() as u64;
                return unavailable();
            }
        };
        lock(&self.breaker).succeeded();
        let found = keys
            .iter()
            .zip(&items)
            .map(|(key, item)| match understood(context, *key, item.as_ref()) {
                Ok(warm) => {
                    let view = warm.view();
                    self.keep(*key, warm);
                    (*key, view)
                }
                Err(_) => {
                    context.report().keys_unread += 1;
                    (*key, KeyView::Unavailable)
                }
            });
        found.collect()
    }

    fn keep(&self, key: KeyId, warm: WarmKey) {
        let bytes = warm.bytes();
        lock(&self.warm).put(key, warm, bytes);
    }

    /// Teaches the keys of a policy what labels say. The answer is for each of `lessons`: whether all its keys have it.
    pub(crate) async fn teach<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        store: &S,
        lessons: &[Taught],
    ) -> Vec<Result<(), Returned>> {
        let mut by_key: BTreeMap<KeyId, Vec<(usize, LabelledEvent)>> = BTreeMap::new();
        for (at, taught) in lessons
            .iter()
            .enumerate()
            .filter(|(_, taught)| !taught.labels.is_empty())
        {
            for terms in &context.directives.policy.keys {
                let Some(identity) = taught.identity(terms.field) else {
                    let is_lost = taught.labels.iter().any(|label| label.verdict == Verdict::Fraud);
                    context.report().labels_without_key += u64::from(is_lost);
                    continue;
                };
                let key = KeyId {
                    name: terms.name,
                    identity,
                };
                let of_key = by_key.entry(key).or_default();
                of_key.extend(taught.labels.iter().map(|label| (at, *label)));
            }
        }
        let desk = &Desk::default();
        let keys = by_key.iter().map(|(key, labels)| async move {
            let labels: Vec<LabelledEvent> = labels.iter().map(|(_, label)| *label).collect();
            (key, self.teach_one(context, (store, desk), *key, &labels).await)
        });
        let keys = stream::iter(keys.collect::<Vec<_>>()).buffer_unordered(context.config.commits_concurrent_max);
        let write = |writes: Vec<Arc<KeyWrite>>| async move { store.commit_keys(&writes).await };
        let is_late = BatchContext::is_stopped;
        let taught: Vec<_> = context
            .serve_writes(desk, |write| write.item.bytes.len(), is_late, write, keys.collect())
            .await;
        let mut ends = vec![Ok(()); lessons.len()];
        for (key, written) in taught {
            let of_key = by_key.get(key).into_iter().flatten();
            for (at, _) in of_key.filter(|_| written.is_err()) {
                ends[*at] = written;
            }
        }
        ends
    }

    /// Puts labels into one key's history, against other writers if need be.
    async fn teach_one<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        (store, desk): (&S, &KeyDesk),
        key: KeyId,
        labels: &[LabelledEvent],
    ) -> Result<(), Returned> {
        let (now_ms, age_ms_max) = (context.clock.now_ms(), context.config.key_max_age_ms);
        let known = lock(&self.warm)
            .peek(&key)
            .filter(|known| known.is_fresh(now_ms, age_ms_max))
            .cloned();
        // Whether what is at hand is what the store holds.
        let mut is_current = known.is_none();
        let mut warm = match known {
            Some(warm) => warm,
            None => self.read_for_write(context, store, key).await?,
        };
        for _ in 0..=context.config.conflicts_per_card_max {
            if context.clock.now_ms() >= context.bounds.stop_at_ms {
                return Err(Returned::Deadline);
            }
            let mut history = LabelledHistory::clone(&warm.history);
            let added = history.learn(labels);
            if !added.contains(&Added::Now) {
                if is_current || !added.contains(&Added::NeverFraud) {
                    // What was read is the store's or older, and a set that only grows holds them there, too.
                    count_forgotten(context, labels, &added);
                    return Ok(());
                }
                // Another process may have taught the fraud since: what is not there can be told by the store alone.
                warm = self.read_for_write(context, store, key).await?;
                is_current = true;
                continue;
            }
            let number = warm.version.map_or(0, |read| read.number) + 1;
            let write = Arc::new(KeyWrite {
                key,
                expected: warm.version,
                expires_at_s: KeyWrite::expires_at_s(&history),
                item: StateItem::new(number, history.encode()),
            });
            match commit(context, desk, &write).await? {
                Commit::Written => {
                    count_forgotten(context, labels, &added);
                    let now_ms = context.clock.now_ms();
                    let written = WarmKey {
                        history: Arc::new(history),
                        version: Some(write.item.version),
                        loaded_at_ms: now_ms,
                    };
                    self.keep(key, written);
                    return Ok(());
                }
                Commit::Conflict(Some(winner)) => warm = understood(context, key, Some(&winner))?,
                Commit::Conflict(None) => warm = self.read_for_write(context, store, key).await?,
            }
            is_current = true;
        }
        Err(Returned::ConflictLimit)
    }

    async fn read_for_write<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        store: &S,
        key: KeyId,
    ) -> Result<WarmKey, Returned> {
        let call = || store.load_key(key);
        let answer = context.with_retries(context.bounds.stop_at_ms, call).await;
        let item: Metered<Option<StateItem>> = answer.map_err(|_| Returned::KeyFailed)?;
        let item = context.metered(item);
        understood(context, key, item.as_ref())
    }
}

/// Writes under the condition. What landed without an answer conflicts with itself: its labels are found there then.
async fn commit<C: Clock>(
    context: &BatchContext<'_, C>,
    desk: &KeyDesk,
    write: &Arc<KeyWrite>,
) -> Result<Commit, Returned> {
    let until_ms = context.bounds.stop_at_ms;
    let (commit, _) = context.write(desk, write, until_ms, Returned::KeyFailed).await?;
    let mut report = context.report();
    match commit {
        Commit::Written => report.key_commits += 1,
        Commit::Conflict(_) => report.conflicts += 1,
    }
    Ok(commit)
}

/// What an item holds that was read now. One that can't be understood is named in the report.
fn understood<C: Clock>(
    context: &BatchContext<'_, C>,
    key: KeyId,
    item: Option<&StateItem>,
) -> Result<WarmKey, Returned> {
    let found = WarmKey::of(item, context.clock.now_ms());
    found.inspect_err(|_| context.report().name_damaged(key))
}

/// Counts the frauds that a key is too far on for.
fn count_forgotten<C: Clock>(context: &BatchContext<'_, C>, labels: &[LabelledEvent], added: &[Added]) {
    let of_fraud = labels
        .iter()
        .zip(added)
        .filter(|(label, _)| label.verdict == Verdict::Fraud);
    let forgotten = of_fraud.filter(|(_, added)| **added == Added::Forgotten).count();
    context.report().labels_forgotten += forgotten as u64;
}

/// Every key that a policy in force wants for some transaction of the batch, each once, in the order in which they come.
fn named<C: Clock>(context: &BatchContext<'_, C>, plans: &[CardPlan]) -> Vec<KeyId> {
    let directives = &context.directives;
    let candidate = directives.candidate.as_ref().map(|candidate| &*candidate.policy);
    let policies = || std::iter::once(&*directives.policy).chain(candidate);
    if policies().all(|policy| policy.keys.is_empty()) {
        return Vec::new();
    }
    let mut seen: FixedMap<KeyId, ()> = FixedMap::default();
    let mut named = Vec::new();
    for planned in plans.iter().flat_map(|plan| &plan.events) {
        let Event::Transaction(tx) = &planned.event else {
            continue;
        };
        for policy in policies().filter(|policy| policy.low_risk_for(tx).is_none()) {
            for key in policy.keys.iter().filter_map(|terms| key_of(tx, terms)) {
                if seen.insert(key, ()).is_none() {
                    named.push(key);
                }
            }
        }
    }
    named
}
