//! Reading what was recorded, and the labels that have come since.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, stream};
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, AdminError, Item, ItemValue};
use tidemark_aws::item;
use tidemark_domain::control::trial::{TRIAL, TRIAL_BUCKETS, Trial, TrialBatch, trial_partition};
use tidemark_domain::event::Verdict;
use tidemark_domain::history::{EventMark, History};
use tidemark_domain::id::{CardId, EventKey};
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;

use super::super::plane::Plane;
use super::measure::{LabelledTrial, Limits, RecordedBatch, Samples};

/// Cards whose states are read for labels, at most.
const LABELLED_CARDS_MAX: usize = 20_000;
/// Reads under way at once.
const READS_CONCURRENT: usize = 16;
/// Bytes of a write unit.
const WRITE_UNIT_BYTES: usize = 1024;

/// Everything recorded of a candidate.
pub(super) async fn samples(plane: &Plane<'_>, candidate: u32) -> Result<Samples, CliError> {
    let mut samples = Samples {
        candidate,
        ..Samples::default()
    };
    for item in items(plane.admin(), plane.table(), candidate)
        .await
        .map_err(|e| plane.failed(&e))?
    {
        match batch_of(&item) {
            Some((batch, bytes)) => take(&mut samples, batch, bytes),
            None => samples.unreadable += 1,
        }
    }
    let candidate = policy(plane, candidate).await;
    samples.candidate_limits = candidate.as_ref().map(limits);
    samples.currency = candidate.map(|policy| policy.currency.base);
    if let Some(last) = samples.batches.iter().max_by_key(|batch| batch.at_ms) {
        samples.active_limits = policy(plane, last.active).await.as_ref().map(limits);
    }
    label(plane, &mut samples).await?;
    Ok(samples)
}

/// The events that were recorded of a candidate.
///
/// # Errors
/// When the table can't be read.
pub async fn trials(admin: &Admin, table: &str, candidate: u32) -> Result<Vec<Trial>, AdminError> {
    let items = items(admin, table, candidate).await?;
    let batches = items.iter().filter_map(batch_of);
    Ok(batches.flat_map(|(batch, _)| batch.trials).collect())
}

/// All that was recorded of a candidate.
async fn items(admin: &Admin, table: &str, candidate: u32) -> Result<Vec<Item>, AdminError> {
    let reads = (0..TRIAL_BUCKETS).map(|bucket| async move {
        let partition = trial_partition(candidate, bucket);
        admin.partition(table, &partition).await
    });
    let buckets: Vec<Result<Vec<Item>, AdminError>> = stream::iter(reads.collect::<Vec<_>>())
        .buffered(READS_CONCURRENT)
        .collect()
        .await;
    let buckets: Result<Vec<Vec<Item>>, AdminError> = buckets.into_iter().collect();
    Ok(buckets?.concat())
}

/// The batch of an item, and its bytes; nothing where it is none of ours.
fn batch_of(item: &Item) -> Option<(TrialBatch, usize)> {
    let Some(ItemValue::Text(json)) = item.get(TRIAL) else {
        return None;
    };
    Some((serde_json::from_str(json).ok()?, json.len()))
}

/// The policy of a version; nothing of one that was never published, such as a file of the functions' own.
async fn policy(plane: &Plane<'_>, version: u32) -> Option<Policy> {
    let built_in = Policy::default_policy();
    if version == built_in.version {
        return Some(built_in);
    }
    plane.usable(version).await.ok()
}

fn limits(policy: &Policy) -> Limits {
    Limits {
        review: policy.thresholds.review,
        alert: policy.thresholds.alert,
    }
}

fn take(samples: &mut Samples, batch: TrialBatch, bytes: usize) {
    samples.batches.push(RecordedBatch {
        active: batch.active,
        at_ms: batch.at_ms,
        events: batch.trials.len(),
        timed: batch.timed,
        active_ns: batch.active_ns,
        candidate_ns: batch.candidate_ns,
        write_units: bytes.div_ceil(WRITE_UNIT_BYTES),
    });
    let names = [batch.active_rules, batch.candidate_rules];
    for (all, names) in samples.rules.iter_mut().zip(&names) {
        all.extend(names.iter().cloned());
    }
    samples
        .events
        .extend(batch.trials.into_iter().map(|trial| LabelledTrial {
            rules: [
                held(&names[0], trial.active_rules),
                held(&names[1], trial.candidate_rules),
            ],
            trial,
            label: None,
            amount_minor: 0,
        }));
}

/// Those of the names whose bits are set.
fn held(names: &[String], bits: u64) -> Vec<String> {
    let named = names.iter().zip(0_u32..u64::BITS);
    let held = named.filter(|(_, bit)| bits >> bit & 1 == 1);
    held.map(|(name, _)| name.clone()).collect()
}

/// Labels are with the events, in the states of their cards. Cards with an event that a policy flags come first: a policy is right or
/// wrong in these. The others say what was missed.
async fn label(plane: &Plane<'_>, samples: &mut Samples) -> Result<(), CliError> {
    let mut by_card: BTreeMap<&str, bool> = BTreeMap::new();
    for LabelledTrial { trial, .. } in &samples.events {
        let is_flagged = trial.active.decision != Decision::Pass || trial.candidate.decision != Decision::Pass;
        *by_card.entry(&trial.card_id).or_default() |= is_flagged;
    }
    let mut cards: Vec<(&str, bool)> = by_card.into_iter().collect();
    // Stable: by their ids otherwise.
    cards.sort_by_key(|(_, is_flagged)| !is_flagged);
    samples.cards_without_label_read = cards.len().saturating_sub(LABELLED_CARDS_MAX);
    let cards: Vec<CardId> = cards
        .into_iter()
        .take(LABELLED_CARDS_MAX)
        .filter_map(|(card, _)| CardId::new(card))
        .collect();
    let reads = cards.iter().map(|card| async move {
        let read = plane
            .admin()
            .get_item(plane.table(), &item::partition_key(card), item::STATE)
            .await;
        read.map(|found| (card, found)).map_err(|e| plane.failed(&e))
    });
    let answers: Vec<_> = stream::iter(reads.collect::<Vec<_>>())
        .buffered(READS_CONCURRENT)
        .collect()
        .await;
    let mut labels: HashMap<CardId, Vec<Labelled>> = HashMap::new();
    for answer in answers {
        let (card, found) = answer?;
        let Some(ItemValue::Binary(bytes)) = found.as_ref().and_then(|item| item.get(item::BYTES)) else {
            continue;
        };
        let Ok(state) = History::decode(bytes) else { continue };
        for entry in state.entries() {
            if let Some((verdict, _)) = entry.label {
                let labelled = (entry.mark(), verdict, entry.amount_base_minor);
                labels.entry(card.clone()).or_default().push(labelled);
            }
        }
    }
    for sample in &mut samples.events {
        let trial = &sample.trial;
        let event = EventKey::new(&trial.card_id, &trial.event_id, trial.occurred_at_ms);
        if let Some((label, amount_minor)) = event.and_then(|event| label_of(&labels, &event)) {
            (sample.label, sample.amount_minor) = (Some(label), amount_minor);
        }
    }
    Ok(())
}

/// An event of a card, what became known of it, and its amount.
type Labelled = (EventMark, Verdict, u64);

/// The label and the amount of an event: the same id at another time is another event, with a label of its own or none.
fn label_of(labels: &HashMap<CardId, Vec<Labelled>>, event: &EventKey) -> Option<(Verdict, u64)> {
    let of_card = labels.get(&event.card_id)?;
    let its = of_card
        .iter()
        .find(|(mark, _, _)| mark.is_of(&event.event_id, event.occurred_at_ms));
    its.map(|(_, label, amount_minor)| (*label, *amount_minor))
}
