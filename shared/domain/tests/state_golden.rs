//! The bytes of format versions 1 to 7, for ever: each golden file decodes to its state and is what that state encodes to.
//!
//! `TIDEMARK_BLESS=1` writes the files. A change of a file that was ever released is a new format version instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind, KeyName};
use tidemark_domain::event::{Channel, Country, Currency, Links, Place, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::history::{Entry, History, Truncation};
use tidemark_domain::id::{CardId, DeviceId, EventId, LinkId, MerchantId, fingerprint32, fingerprint64};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::{Decision, KeyRead, Missing, Reason, StoredOutcome, Tier};
use tidemark_domain::policy::Policy;
use tidemark_domain::trees::TreeModelKey;

pub const TIME_MS: i64 = 1_780_000_000_000;

pub fn entry(time_ms: i64, seq: u64) -> Entry {
    Entry {
        time_ms,
        seq,
        event_fp: 0x0123_4567,
        event_fp_high: None,
        amount_base_minor: 4_990,
        merchant_fp: 0x89AB_CDEF,
        country: Country::new("FR").unwrap(),
        device_fp: None,
        device_fp_high: None,
        merchant_fp_high: None,
        links: Vec::new(),
        category: None,
        place: None,
        approved: true,
        outcome: StoredOutcome {
            score: 12,
            decision: Decision::Pass,
            tier: Tier::Full,
            missing: Missing(Missing::PROFILE_ABSENT),
            reasons: Vec::new(),
            policy_version: 1,
            profile_version: None,
            features: Vec::new(),
            approximate: Vec::new(),
            explained: false,
            keys: Vec::new(),
            model: None,
            rules: Vec::new(),
            lists: tidemark_domain::outcome::ListReads::NONE,
        },
        label: None,
    }
}

fn one() -> History {
    History::from_parts(vec![entry(TIME_MS, 0)], 1, None, None).unwrap()
}

fn all_fields() -> History {
    let key = |kind, window_minutes| FeatureKey {
        kind,
        window_minutes,
        of: None,
    };
    let full = Entry {
        device_fp: Some(0xDEAD_BEEF),
        device_fp_high: None,
        merchant_fp_high: None,
        links: Vec::new(),
        category: None,
        place: Some(Place {
            latitude_e4: 488_566,
            longitude_e4: -23_522,
        }),
        approved: false,
        outcome: StoredOutcome {
            score: 987,
            decision: Decision::Alert,
            tier: Tier::NoProfile,
            missing: Missing(Missing::PROFILE_UNAVAILABLE | Missing::HISTORY_TRUNCATED | Missing::CURRENCY_RATE),
            reasons: vec![
                Reason {
                    key: key(FeatureKind::Count, 5),
                    share_pct: 60,
                },
                Reason {
                    key: key(FeatureKind::Speed, 0),
                    share_pct: 40,
                },
            ],
            policy_version: 7,
            profile_version: Some(1 << 40),
            features: vec![
                (key(FeatureKind::Count, 60), Some(3.0)),
                (key(FeatureKind::Mean, 43_200), Some(1234.5)),
                (key(FeatureKind::AmountZ, 0), Some(-0.75)),
                (key(FeatureKind::ForeignToProfile, 0), None),
            ],
            approximate: Vec::new(),
            explained: false,
            keys: Vec::new(),
            model: None,
            rules: Vec::new(),
            lists: tidemark_domain::outcome::ListReads::NONE,
        },
        label: Some((Verdict::Fraud, TIME_MS + 3 * 86_400_000)),
        ..entry(TIME_MS, 41)
    };
    let mut late = full.clone();
    (late.time_ms, late.seq, late.event_fp) = (TIME_MS + 5, 40, 1);
    late.outcome.decision = Decision::Review;
    late.outcome.tier = Tier::HistoryOnly;
    late.outcome.features[0].1 = None;
    late.label = Some((Verdict::Cleared, TIME_MS - 1));
    let mut abroad = entry(TIME_MS + 5, 42);
    abroad.country = Country::new("ZW").unwrap();
    abroad.place = Some(Place {
        latitude_e4: -900_000,
        longitude_e4: 1_800_000,
    });
    abroad.outcome.tier = Tier::Neutral;
    let truncation = Truncation {
        events: 39,
        floor_ms: TIME_MS - 200_000,
    };
    History::from_parts(vec![full, late, abroad], 43, Some(TIME_MS - 100_000), Some(truncation)).unwrap()
}

fn full_head() -> History {
    let entries = (0..400_u32).map(|index| {
        let mut entry = entry(TIME_MS + i64::from(index) * 6_000_000, u64::from(index) + 600);
        entry.event_fp = index.wrapping_mul(0x9E37_79B9);
        entry.amount_base_minor = u64::from(index * index % 9_973) + 1;
        entry.merchant_fp = index % 23 * 0x0101_0101;
        entry.device_fp = index.is_multiple_of(2).then_some(index % 3);
        entry.place = (!index.is_multiple_of(5)).then_some(Place {
            latitude_e4: 488_566 + (index % 23) as i32,
            longitude_e4: 23_522,
        });
        entry.approved = !index.is_multiple_of(25);
        entry.outcome.score = (index % 101) as u16;
        entry
    });
    History::from_parts(entries.collect(), 1_000, Some(TIME_MS), None).unwrap()
}

/// Three events of a millisecond, two of them with one lower half, and the newest arrival.
fn told_apart() -> History {
    let of = |time_ms, seq, event_fp, event_fp_high| Entry {
        event_fp,
        event_fp_high,
        ..entry(time_ms, seq)
    };
    let entries = vec![
        of(TIME_MS, 0, 1, None),
        of(TIME_MS + 7, 1, 0x0123_4567, Some(0x89AB_CDEF)),
        of(TIME_MS + 7, 2, 0x0123_4567, Some(1)),
        of(TIME_MS + 7, 4, 3, Some(u32::MAX)),
        of(TIME_MS + 9, 3, 0x0123_4567, None),
        of(TIME_MS + 9, 5, 5, Some(0xDEAD_BEEF)),
    ];
    History::from_parts(entries, 6, None, None).unwrap()
}

/// Entries that say something of keys beyond the card: identities that are new, known, other and gone, names, versions, the tier.
fn with_keys() -> History {
    let name = |name| KeyName::new(name).unwrap();
    let of = |kind, window_minutes| FeatureKey::of_key(name("terminal"), kind, window_minutes);
    let mut plain = entry(TIME_MS, 0);
    plain.merchant_fp_high = Some(0x0BAD_CAFE);
    let mut same = entry(TIME_MS + 10, 1);
    same.merchant_fp_high = Some(0x0BAD_CAFE);
    (same.device_fp, same.device_fp_high) = (Some(7), Some(u32::MAX));
    same.outcome.explained = true;
    let mut other = entry(TIME_MS + 20, 2);
    (other.device_fp, other.device_fp_high) = (Some(7), None);
    other.outcome.tier = Tier::NoKeys;
    other.outcome.keys = vec![
        KeyRead {
            name: name("terminal"),
            version: Some(300),
        },
        KeyRead {
            name: name("a_longer_name_16"),
            version: None,
        },
    ];
    other.outcome.reasons = vec![
        Reason {
            key: of(FeatureKind::FraudRun, 0),
            share_pct: 70,
        },
        Reason {
            key: FeatureKey::of_key(KeyName::SURPRISE, FeatureKind::Sum, 10_080),
            share_pct: 30,
        },
    ];
    other.outcome.features = vec![
        (of(FeatureKind::Frauds, 172_800), Some(2.0)),
        (FeatureKey::of_key(KeyName::CARD, FeatureKind::Frauds, 43_200), None),
        (FeatureKey::new(FeatureKind::AmountPopulation, 0), Some(7.25)),
    ];
    other.label = Some((Verdict::Fraud, TIME_MS + 86_400_000));
    History::from_parts(vec![plain, same, other], 3, None, None).unwrap()
}

/// Entries with links and merchant categories: identities that are new, known and gone, the same under two names, categories that
/// a merchant has, changes and loses.
fn with_links() -> History {
    let name = |name| KeyName::new(name).unwrap();
    let of = |seq: u64, links: &[(&'static str, u64)], category| Entry {
        links: links.iter().map(|(link, identity)| (name(*link), *identity)).collect(),
        category,
        event_fp: seq as u32,
        ..entry(TIME_MS + 1_000 * seq as i64, seq)
    };
    let mut elsewhere = of(4, &[("account", u64::MAX), ("ip", 7)], None);
    (elsewhere.merchant_fp, elsewhere.merchant_fp_high) = (5, Some(6));
    let entries = vec![
        of(0, &[], Some(5_411)),
        of(1, &[("account", 7), ("ip", 0x0123_4567_89AB_CDEF)], Some(5_411)),
        of(2, &[("account", 7), ("ip", 0x0123_4567_89AB_CDEF)], Some(0)),
        of(3, &[("ip", 7)], Some(0)),
        elsewhere,
        of(5, &[("a_longer_name_16", 1)], None),
        of(6, &[], Some(9_999)),
    ];
    History::from_parts(entries, 7, None, None).unwrap()
}

/// Entries that were scored by models of trees: none, one, the same, another, none again, and the first.
fn with_models() -> History {
    let models = [
        None,
        Some(0x0123_4567_89AB_CDEF),
        Some(0x0123_4567_89AB_CDEF),
        Some(1),
        None,
        Some(0x0123_4567_89AB_CDEF),
    ];
    let entries = (0_u64..).zip(models).map(|(at, model)| {
        let mut entry = entry(TIME_MS + 10 * at as i64, at);
        entry.outcome.model = model.map(TreeModelKey);
        entry.merchant_fp_high = (at == 2).then_some(0x0BAD_CAFE);
        entry
    });
    History::from_parts(entries.collect(), 6, None, None).unwrap()
}

fn golden() -> [(&'static str, History); 10] {
    [
        ("state-v7-lists.bin", crate::listed::with_lists_of_every_kind()),
        ("state-v6-rules.bin", crate::ruled::with_rules()),
        ("state-v5-links.bin", with_links()),
        ("state-v5-models.bin", with_models()),
        ("state-v4-keys.bin", with_keys()),
        ("state-v3-told-apart.bin", told_apart()),
        ("state-v1-empty.bin", History::default()),
        ("state-v1-one.bin", one()),
        ("state-v1-all-fields.bin", all_fields()),
        ("state-v1-400-events.bin", full_head()),
    ]
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

#[test]
#[allow(clippy::disallowed_methods)] // a switch for whoever runs the test, not configuration
fn golden_files_hold() {
    let bless = std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1");
    for (name, state) in golden() {
        if bless {
            std::fs::write(path(name), state.encode()).unwrap();
        }
        let bytes = std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            History::decode(&bytes).as_ref(),
            Ok(&state),
            "{name} does not decode to its state"
        );
        assert_eq!(
            state.encode(),
            bytes,
            "the bytes of {name} changed: that is a new format version"
        );
    }
    // What earlier versions dropped is still known.
    let state = all_fields();
    assert_eq!(state.floor_ms(), Some(TIME_MS - 100_000));
    assert_eq!(
        state.truncation().map(|cut| (cut.events, cut.floor_ms)),
        Some((39, TIME_MS - 200_000))
    );
}

/// A hot card's transaction, of every kind that sums tell apart.
fn transaction(number: u32) -> Transaction {
    let countries = ["FR", "DE", "IT"];
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: TIME_MS + i64::from(number) * 400_000 - i64::from(number % 9 / 8) * 9_000_000,
        amount_minor: u64::from(number * number % 977) + 1,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new(&format!("merchant-{}", number % 37)).unwrap(),
        mcc: 5411,
        country: Country::new(countries[(number % 3) as usize]).unwrap(),
        channel: Channel::Ecommerce,
        approved: !number.is_multiple_of(11),
        device_id: number.is_multiple_of(2).then(|| DeviceId::new("device").unwrap()),
        // No policy but that of links keeps anything of these.
        links: links_of(number),
        account_opened_at_ms: None,
        place: number.is_multiple_of(4).then_some(Place {
            latitude_e4: 488_566,
            longitude_e4: -23_522,
        }),
    }
}

fn links_of(number: u32) -> Links {
    let link = |name: &str, id: String| (KeyName::new(name).unwrap(), LinkId::new(&id).unwrap());
    let account = (!number.is_multiple_of(5)).then(|| link("account", "account".to_owned()));
    Links::new(
        account
            .into_iter()
            .chain([link("ip", format!("ip-{}", number / 3 % 11))]),
    )
    .unwrap()
}

/// A hot card of a policy with keys by links and a feature of merchant categories.
fn hot_policy_of_links() -> Policy {
    let text = r#"
version = 1
windows_minutes = [1440, 43200]
features = ["count_1d", "new_merchant_category"]
head_events_max = 24
[weights]
count_1d = 1
[thresholds]
review = 500
alert = 700
[[keys]]
name = "network"
field = "links.ip"
keeps = "labelled"
[[keys]]
name = "account"
field = "links.account"
keeps = "labelled"
"#;
    Policy::parse(text, "links.toml").unwrap()
}

fn hot_policy() -> Policy {
    Policy {
        head_events_max: 24,
        ..Policy::default_policy()
    }
}

/// Writes the new segments of a state, each with its length before it.
fn write_segments(file: &str, state: &History) {
    let segments = state.new_segments().flat_map(|segment| {
        let length = u32::try_from(segment.bytes.len()).unwrap().to_le_bytes();
        length.into_iter().chain(segment.bytes.clone())
    });
    std::fs::write(path(file), segments.collect::<Vec<u8>>()).unwrap();
}

/// A golden hot card, with its segments, each of which has its length before it.
fn golden_hot_card(state: &str, segments: &str) -> History {
    let bytes = std::fs::read(path(state)).unwrap();
    let mut state = History::decode(&bytes).unwrap();
    assert_eq!(state.encode(), bytes, "the bytes changed: that is a new format version");
    let segments = std::fs::read(path(segments)).unwrap();
    let mut rest = segments.as_slice();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (segment, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        state.supply_segment(SegmentKey::of(segment), segment).unwrap();
        rest = tail;
    }
    assert_eq!(state.missing_segments(), []);
    state
}

/// Versions 2 and 3, and the segments that the states name, of versions 1 and 2: whatever becomes of scores, these bytes are
/// read and written.
#[test]
#[allow(clippy::disallowed_methods)] // a switch for whoever runs the test, not configuration
fn golden_files_of_a_hot_card_hold() {
    let policy = hot_policy();
    if std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1") {
        let mut state = History::default();
        for number in 0..150 {
            let _ = fold_transaction(&mut state, &transaction(number), ProfileInput::Absent, &policy);
        }
        std::fs::write(path("state-v3-hot.bin"), state.encode()).unwrap();
        write_segments("segments-v2.bin", &state);
    }
    let mut expected: Vec<(i64, u64, u32)> = (0..150)
        .map(|number| {
            let tx = transaction(number);
            (
                tx.occurred_at_ms,
                u64::from(number),
                fingerprint32(tx.event_id.as_str()),
            )
        })
        .collect();
    expected.sort_unstable();
    for (version, file, segments) in [
        (2, "state-v2-hot.bin", "segments-v1.bin"),
        (3, "state-v3-hot.bin", "segments-v2.bin"),
    ] {
        let mut state = golden_hot_card(file, segments);
        assert_eq!(state.encode()[0], version);
        let entries = state.all_entries();
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.time_ms, entry.seq, entry.event_fp))
            .collect();
        assert_eq!(found, expected);
        // Sums, sets and sketches too: the next event is scored on them.
        let before = state.clone();
        let again = fold_transaction(&mut state, &transaction(8), ProfileInput::Absent, &policy);
        assert!(matches!(again, FoldAnswer::Duplicate { .. }));
        assert_eq!(state, before);
    }
}

/// Version 5, and the segments of version 4 that such a state names.
#[test]
#[allow(clippy::disallowed_methods)] // a switch for whoever runs the test, not configuration
fn golden_files_of_a_hot_card_with_links_hold() {
    let policy = hot_policy_of_links();
    let (file, segments) = ("state-v5-hot.bin", "segments-v4.bin");
    if std::env::var("TIDEMARK_BLESS").is_ok_and(|value| value == "1") && !path(file).exists() {
        let mut state = History::default();
        for number in 0..150 {
            let _ = fold_transaction(&mut state, &transaction(number), ProfileInput::Absent, &policy);
        }
        std::fs::write(path(file), state.encode()).unwrap();
        write_segments(segments, &state);
    }
    let mut state = golden_hot_card(file, segments);
    assert_eq!(state.encode()[0], 5);
    let entries = state.all_entries();
    assert_eq!(entries.len(), 150);
    for entry in entries {
        let number = u32::try_from(entry.seq).unwrap();
        let links = links_of(number);
        let links: Vec<_> = links
            .iter()
            .map(|(name, id)| (*name, fingerprint64(id.as_str())))
            .collect();
        assert_eq!((&entry.links, entry.category), (&links, Some(5_411)), "event {number}");
    }
    let before = state.clone();
    let again = fold_transaction(&mut state, &transaction(8), ProfileInput::Absent, &policy);
    assert!(matches!(again, FoldAnswer::Duplicate { .. }));
    assert_eq!(state, before);
}

/// Inner nodes of version 1 have no lists of their merchants: what is made of them is an estimate, and says so.
#[test]
fn what_rests_on_an_inner_node_without_lists_says_so() {
    let mut stranger = transaction(150);
    stranger.merchant_id = MerchantId::new("never seen").unwrap();
    let stated = |file, segments| {
        let mut state = golden_hot_card(file, segments);
        let applied = fold_transaction(&mut state, &stranger, ProfileInput::Absent, &hot_policy());
        let FoldAnswer::Scored { entry } = applied else {
            panic!("{applied:?}")
        };
        let stated = entry.outcome.approximate.into_iter();
        stated.map(|(key, _)| key.kind).collect::<Vec<_>>()
    };
    let of_merchants = [FeatureKind::DistinctMerchants, FeatureKind::NewMerchant];
    assert_eq!(stated("state-v2-hot.bin", "segments-v1.bin"), of_merchants);
    assert_eq!(stated("state-v3-hot.bin", "segments-v2.bin"), []);
}
