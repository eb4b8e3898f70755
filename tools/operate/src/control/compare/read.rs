//! Reading what was recorded, and the labels that have come since.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, stream};
use terminal::error::CliError;
use tidemark_aws::admin::{Item, ItemValue};
use tidemark_aws::item;
use tidemark_domain::control::trial::{TRIAL, TRIAL_BUCKETS, TrialBatch, trial_partition};
use tidemark_domain::event::Verdict;
use tidemark_domain::history::{EventMark, History};
use tidemark_domain::id::{CardId, EventKey};
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;

use super::super::plane::Plane;
use super::measure::{Batch, Label, Limits, Sample, Samples};

/// Cards whose states are read for labels, at most.
const LABELLED_CARDS_MAX: usize = 20_000;
/// Reads under way at once.
const READS_CONCURRENT: usize = 16;
/// Bytes of a write unit.
const WRITE_UNIT_BYTES: usize = 1024;

/// Everything recorded of a candidate.
pub(super) async fn samples(plane: &Plane<'_>, candidate: u32) -> Result<Samples, CliError> {
    let reads = (0..TRIAL_BUCKETS).map(|bucket| async move {
        let partition = trial_partition(candidate, bucket);
        plane
            .admin()
            .partition(plane.table(), &partition)
            .await
            .map_err(|e| plane.failed(&e))
    });
    let buckets: Vec<Result<Vec<Item>, CliError>> = stream::iter(reads.collect::<Vec<_>>())
        .buffered(READS_CONCURRENT)
        .collect()
        .await;
    let mut samples = Samples {
        candidate,
        ..Samples::default()
    };
    for bucket in buckets {
        for item in bucket? {
            take(&mut samples, &item);
        }
    }
    samples.candidate_limits = limits(plane, candidate).await;
    if let Some(last) = samples.batches.iter().max_by_key(|batch| batch.at_ms) {
        samples.active_limits = limits(plane, last.active).await;
    }
    label(plane, &mut samples).await?;
    Ok(samples)
}

/// The limits of a version; nothing of one that was never published, such as a file of the functions' own.
async fn limits(plane: &Plane<'_>, version: u32) -> Option<Limits> {
    let built_in = Policy::default_policy();
    let policy = if version == built_in.version {
        built_in
    } else {
        plane.usable(version).await.ok()?
    };
    Some(Limits {
        review: policy.thresholds.review,
        alert: policy.thresholds.alert,
    })
}

fn take(samples: &mut Samples, item: &Item) {
    let Some(ItemValue::Text(json)) = item.get(TRIAL) else {
        samples.unreadable += 1;
        return;
    };
    let Ok(batch) = serde_json::from_str::<TrialBatch>(json) else {
        samples.unreadable += 1;
        return;
    };
    samples.batches.push(Batch {
        active: batch.active,
        at_ms: batch.at_ms,
        events: batch.trials.len(),
        timed: batch.timed,
        active_ns: batch.active_ns,
        candidate_ns: batch.candidate_ns,
        write_units: json.len().div_ceil(WRITE_UNIT_BYTES),
    });
    samples
        .events
        .extend(batch.trials.into_iter().map(|trial| Sample { trial, label: None }));
}

/// Labels are with the events, in the states of their cards. Only events that a policy flags need one.
async fn label(plane: &Plane<'_>, samples: &mut Samples) -> Result<(), CliError> {
    let flagged = |sample: &&Sample| {
        sample.trial.active.decision != Decision::Pass || sample.trial.candidate.decision != Decision::Pass
    };
    let cards: BTreeSet<&str> = samples
        .events
        .iter()
        .filter(flagged)
        .map(|sample| sample.trial.card_id.as_str())
        .collect();
    samples.cards_without_label_read = cards.len().saturating_sub(LABELLED_CARDS_MAX);
    let cards: Vec<CardId> = cards
        .into_iter()
        .take(LABELLED_CARDS_MAX)
        .filter_map(CardId::new)
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
    let mut labels: HashMap<CardId, Vec<(EventMark, Label)>> = HashMap::new();
    for answer in answers {
        let (card, found) = answer?;
        let Some(ItemValue::Binary(bytes)) = found.as_ref().and_then(|item| item.get(item::BYTES)) else {
            continue;
        };
        let Ok(state) = History::decode(bytes) else { continue };
        for entry in state.entries() {
            if let Some((verdict, _)) = entry.label {
                let label = if verdict == Verdict::Fraud {
                    Label::Fraud
                } else {
                    Label::Cleared
                };
                labels.entry(card.clone()).or_default().push((entry.mark(), label));
            }
        }
    }
    for sample in &mut samples.events {
        let trial = &sample.trial;
        let event = EventKey::new(&trial.card_id, &trial.event_id, trial.occurred_at_ms);
        sample.label = event.and_then(|event| label_of(&labels, &event));
    }
    Ok(())
}

/// The label of an event: the same id at another time is another event, with a label of its own or none.
fn label_of(labels: &HashMap<CardId, Vec<(EventMark, Label)>>, event: &EventKey) -> Option<Label> {
    let of_card = labels.get(&event.card_id)?;
    let its = of_card
        .iter()
        .find(|(mark, _)| mark.is_of(&event.event_id, event.occurred_at_ms));
    its.map(|(_, label)| *label)
}
