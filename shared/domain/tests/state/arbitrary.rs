//! Arbitrary valid states.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind, KeyName};
use tidemark_domain::event::{Country, Place, Verdict};
use tidemark_domain::history::{Entry, History, Truncation};
use tidemark_domain::lists::ListVersion;
use tidemark_domain::outcome::{
    Decision, KeyRead, ListRead, ListReads, Missing, POLICY_LISTS_MAX, Reason, RuleEnd, RuleHit, RuleSays,
    StoredOutcome, Tier,
};
use tidemark_domain::trees::TreeModelKey;

/// Mostly small, sometimes any.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..20_000, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

/// Few enough that they come again.
fn fingerprint() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0_u32..6, 1 => any::<u32>()]
}

fn country() -> impl Strategy<Value = Country> {
    prop::sample::select(vec!["FR", "DE", "US", "ZW", "AD"]).prop_map(|code| Country::new(code).unwrap())
}

fn place() -> impl Strategy<Value = Place> {
    let near = (0_i32..3, 0_i32..3);
    let any = (-900_000_i32..=900_000, -1_800_000_i32..=1_800_000);
    prop_oneof![near, any].prop_map(|(latitude_e4, longitude_e4)| Place {
        latitude_e4,
        longitude_e4,
    })
}

fn key() -> impl Strategy<Value = FeatureKey> {
    let window = prop_oneof![Just(0), Just(60), any::<u16>()];
    let of = prop_oneof![30 => Just(None), 1 => name().prop_map(Some)];
    (prop::sample::select(FeatureKind::ALL.to_vec()), window, of).prop_map(|(kind, window, of)| FeatureKey {
        kind,
        // Of a key it may be longer than 16 bits say.
        window_minutes: u32::from(window) * if of.is_some() { 4 } else { 1 },
        of,
    })
}

fn name() -> impl Strategy<Value = KeyName> {
    let names = vec!["card", "surprise", "terminal", "ip", "a234567890123456"];
    prop::sample::select(names).prop_map(|name| KeyName::new(name).unwrap())
}

fn keys() -> impl Strategy<Value = Vec<KeyRead>> {
    let version = option::of(number().prop_map(|number| number.max(1)));
    let read = (name(), version).prop_map(|(name, version)| KeyRead { name, version });
    prop_oneof![30 => Just(Vec::new()), 1 => vec(read, 1..=4)]
}

/// Upper halves of fingerprints: few different ones, as few merchants have.
fn high() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![30 => Just(None), 1 => (0_u32..3).prop_map(Some), 1 => any::<u32>().prop_map(Some)]
}

fn value() -> impl Strategy<Value = Option<f64>> {
    let special = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        4_294_967_295.0,
        4_294_967_296.0,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
    ];
    let any = any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("finite", |number| number.is_finite());
    option::of(prop_oneof![
        prop::sample::select(special),
        any,
        (0_u32..5_000).prop_map(f64::from)
    ])
}

fn outcome() -> impl Strategy<Value = StoredOutcome> {
    let decision = prop::sample::select(vec![Decision::Pass, Decision::Pass, Decision::Review, Decision::Alert]);
    let tier = prop::sample::select(vec![
        Tier::Full,
        Tier::Full,
        Tier::NoProfile,
        Tier::HistoryOnly,
        Tier::Neutral,
        Tier::LowRisk,
        Tier::LowRisk,
        Tier::NoKeys,
        Tier::NoLists,
    ]);
    let missing = prop_oneof![Just(0_u8), 0_u8..=Missing::KNOWN];
    let reasons = vec(
        (key(), 0_u8..=100).prop_map(|(key, share_pct)| Reason { key, share_pct }),
        0..=4,
    );
    let reasons = prop_oneof![Just(Vec::new()), reasons];
    let versions = (prop_oneof![Just(1_u32), any::<u32>()], option::of(number()));
    let features = prop_oneof![3 => Just(Vec::new()), 1 => vec((key(), value()), 1..6)];
    let error = prop_oneof![(1_u32..5_000).prop_map(f64::from), Just(0.5)];
    let errors = prop_oneof![50 => Just(Vec::new()), 1 => vec((key(), error), 1..4)];
    (
        0_u16..=1000,
        decision,
        tier,
        missing,
        reasons,
        versions,
        (features, errors),
        (
            prop_oneof![30 => Just(false), 1 => Just(true)],
            keys(),
            models(),
            rules(),
            lists(),
        ),
    )
        .prop_map(
            |(
                score,
                decision,
                tier,
                missing,
                reasons,
                versions,
                (features, approximate),
                (explained, keys, model, rules, lists),
            )| {
                let (policy_version, profile_version) = versions;
                StoredOutcome {
                    score,
                    decision,
                    tier,
                    // An override never decides for a review.
                    missing: Missing(if decision == Decision::Review {
                        missing & !Missing::OVERRIDDEN
                    } else {
                        missing
                    }),
                    reasons,
                    policy_version,
                    profile_version,
                    features,
                    approximate,
                    explained,
                    keys,
                    model,
                    rules,
                    lists,
                }
            },
        )
}

/// Few sets of lists, which come again: mostly none.
fn lists() -> impl Strategy<Value = ListReads> {
    let version = option::of(prop_oneof![4 => 0_u64..3, 1 => any::<u64>()].prop_map(ListVersion));
    let name = "[a-c]|[a-z][a-z0-9_]{0,15}";
    let reads = prop::collection::btree_map(name, version, 1..=POLICY_LISTS_MAX).prop_map(|reads| {
        let read = |(name, version): (String, _)| ListRead {
            name: KeyName::new(&name).unwrap(),
            version,
        };
        ListReads::new(reads.into_iter().map(read).collect())
    });
    prop_oneof![20 => Just(ListReads::NONE), 1 => reads]
}

/// Few rules, each once, with words that are mostly the same: in most entries none.
fn rules() -> impl Strategy<Value = Vec<RuleHit>> {
    let reason = prop_oneof![9 => Just("words".to_owned()), 1 => "[a-z\u{e4}\u{20ac}]{1,40}"];
    let end = prop::sample::select(RuleEnd::ALL.to_vec());
    let name = "[a-c]|[a-z][a-z0-9_]{0,31}";
    let hits = prop::collection::btree_map(name, (reason, end), 1..4).prop_map(|hits| {
        let hit = |(name, (reason, end)): (String, (String, RuleEnd))| RuleHit {
            says: Arc::new(RuleSays::new(&name, &reason).unwrap()),
            end,
        };
        hits.into_iter().map(hit).collect()
    });
    prop_oneof![30 => Just(Vec::new()), 1 => hits]
}

/// Links of few different ids, the same as in the entry before or not.
fn links() -> impl Strategy<Value = Vec<(KeyName, u64)>> {
    let identity = prop_oneof![3 => 0_u64..3, 1 => any::<u64>()];
    let links = prop::collection::btree_map(name(), identity, 1..=4).prop_map(|links| links.into_iter().collect());
    prop_oneof![30 => Just(Vec::new()), 1 => links]
}

fn category() -> impl Strategy<Value = Option<u16>> {
    prop_oneof![30 => Just(None), 1 => (0_u16..3).prop_map(Some), 1 => Just(Some(9_999))]
}

/// Few models: most of a card's events are scored by one and the same.
fn models() -> impl Strategy<Value = Option<TreeModelKey>> {
    let one_of = prop::sample::select(vec![0, 1, u64::MAX]).prop_map(|key| Some(TreeModelKey(key)));
    prop_oneof![30 => Just(None), 2 => one_of]
}

pub fn entry() -> impl Strategy<Value = Entry> {
    let label = option::of((
        prop::sample::select(vec![Verdict::Fraud, Verdict::Cleared]),
        any::<i64>(),
    ));
    let what = (
        (
            any::<u32>(),
            prop_oneof![8 => Just(None), 1 => any::<u32>().prop_map(Some)],
        ),
        number(),
        fingerprint(),
        country(),
        (option::of(fingerprint()), high(), high(), links(), category()),
        option::of(place()),
    );
    let time = prop_oneof![4 => 1_780_000_000_000_i64..1_790_000_000_000, 1 => any::<i64>(), 1 => Just(0)];
    (time, what, any::<bool>(), outcome(), label).prop_map(
        |(
            time_ms,
            (
                (event_fp, event_fp_high),
                amount_base_minor,
                merchant_fp,
                country,
                (device_fp, one, two, links, category),
                place,
            ),
            approved,
            outcome,
            label,
        )| {
            Entry {
                time_ms,
                seq: 0,
                event_fp,
                event_fp_high,
                amount_base_minor,
                merchant_fp,
                merchant_fp_high: one,
                country,
                device_fp,
                device_fp_high: two.filter(|_| device_fp.is_some()),
                links,
                category,
                place,
                approved,
                outcome,
                label,
            }
        },
    )
}

/// A state of entries in any order: they are numbered as given, with gaps of `gap`, and sorted.
pub fn state_of(mut entries: Vec<Entry>, gap: u64, floors: Option<(u32, Option<(u64, u32)>)>) -> History {
    for (seq, entry) in (0..).zip(&mut entries) {
        entry.seq = seq * gap;
    }
    let next_seq = entries.len() as u64 * gap;
    entries.sort_by_key(|entry| (entry.time_ms, entry.seq));
    let first_ms = entries.first().map_or(0, |entry| entry.time_ms);
    let floor_ms = floors.map(|(below, _)| first_ms.saturating_sub(i64::from(below)));
    let cut = floors.and_then(|(_, cut)| cut).zip(floor_ms);
    let truncation = cut.map(|((events, below), floor_ms)| Truncation {
        events,
        floor_ms: floor_ms.saturating_sub(i64::from(below)),
    });
    History::from_parts(entries, next_seq, floor_ms, truncation).unwrap()
}

pub fn state() -> impl Strategy<Value = History> {
    let floors = option::of((any::<u32>(), option::of((number(), any::<u32>()))));
    (vec(entry(), 0..40), 1_u64..4, floors).prop_map(|(entries, gap, floors)| state_of(entries, gap, floors))
}
