//! The store against DynamoDB's API: dynoxide, in this process, on loopback.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use tidemark_aws::{AwsSettings, Clients, DynamoStore, Writes, connect};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::{Country, Profile};
use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::{CardId, EventKey, fingerprint64};
use tidemark_domain::labelled::LabelledHistory;
use tidemark_engine::port::{
    Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem, StateStore,
    StateVersion, StateWrite,
};

const TABLE: &str = "cards";
const KINDS: [Writes; 2] = [Writes::Statements, Writes::Items];

async fn store() -> (DynamoStore, Clients) {
    store_of(Writes::default()).await
}

async fn store_of(writes: Writes) -> (DynamoStore, Clients) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(
        listener,
        dynoxide::Database::memory().unwrap(),
    ));
    // DynamoDB has its own endpoint here, as in the local AWS: the general one must not be used for it.
    let clients = connect(&AwsSettings::local("eu-west-1", "http://127.0.0.1:1", Some(&endpoint))).await;
    let attribute = |name| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    };
    let key = |name, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .unwrap()
    };
    let request = clients
        .dynamodb
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest);
    let request = request
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"));
    let request = request
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range));
    request.send().await.unwrap();
    let store = DynamoStore::new(clients.dynamodb.clone(), TABLE).with_writes(writes);
    (store, clients)
}

fn card(at: usize) -> CardId {
    CardId::new(&format!("card-{at}")).unwrap()
}

fn write(card_id: CardId, expected: Option<StateVersion>, bytes: Vec<u8>) -> Arc<StateWrite> {
    Arc::new(StateWrite {
        card_id,
        expected,
        item: StateItem::new(expected.map_or(0, |read| read.number) + 1, bytes),
        expires_at_s: 2_000_000_000,
    })
}

/// Makes a write by itself.
async fn commit(store: &DynamoStore, write: Arc<StateWrite>) -> Metered<Commit> {
    let answers = store.commit(&[write]).await.unwrap();
    only(answers)
}

fn only<T>(mut answers: Metered<Vec<Result<T, PortError>>>) -> Metered<T> {
    assert_eq!(answers.value.len(), 1);
    Metered {
        value: answers.value.pop().unwrap().unwrap(),
        units: answers.units,
    }
}

/// The version of an item that was read.
fn version(number: u64, bytes: &[u8]) -> StateVersion {
    StateItem::new(number, bytes.to_vec()).version
}

fn profile(version: u64, mean: f64) -> Profile {
    Profile {
        card_id: card(1),
        version,
        usual_country: Country::new("FR").unwrap(),
        spend_mean_minor: mean,
        spend_deviation_minor: 0.1 + 0.2,
        transactions_per_day: 1e-300,
        account_opened_at_ms: 1_500_000_000_000,
        updated_at_ms: None,
    }
}

#[tokio::test]
async fn only_the_version_that_was_read_can_be_replaced_and_the_winner_comes_back() {
    for writes in KINDS {
        let (store, _) = store_of(writes).await;
        let first = commit(&store, write(card(1), None, vec![1])).await;
        assert!(matches!(first.value, Commit::Written));
        assert!((first.units.write - 1.0).abs() < f64::EPSILON);

        // A second first write, a write on a number that is not there, and one on that number of another item: all lose and see
        // the winner (I5).
        let untagged = StateVersion {
            tag: None,
            ..version(1, &[1])
        };
        for expected in [None, Some(version(7, &[1])), Some(version(1, &[3])), Some(untagged)] {
            let lost = commit(&store, write(card(1), expected, vec![9])).await;
            let Commit::Conflict(winner) = lost.value else {
                panic!("{:?}", lost.value)
            };
            // An INSERT does not hand back the item that is there.
            let is_seen = expected.is_some() || writes == Writes::Items;
            assert_eq!(winner, is_seen.then(|| StateItem::new(1, vec![1])), "{writes:?}");
            assert!(
                (lost.units.write - 1.0).abs() < f64::EPSILON,
                "a failed condition costs too"
            );
        }
        let second = commit(&store, write(card(1), Some(version(1, &[1])), vec![2])).await;
        assert!(matches!(second.value, Commit::Written));
        let now = Some(StateItem::new(2, vec![2]));
        let loaded = store.load_states(&[card(1)]).await.unwrap();
        assert_eq!(loaded.value, std::slice::from_ref(&now));
        // Read alone it is strongly consistent: a unit in place of a half.
        let alone = store.load_state(&card(1)).await.unwrap();
        assert_eq!(alone.value, now);
        assert!((alone.units.read - 1.0).abs() < f64::EPSILON && (loaded.units.read - 0.5).abs() < f64::EPSILON);
        assert_eq!(store.load_state(&card(2)).await.unwrap().value, None);
    }
}

/// Twenty-five writes in a call, each with its own answer: new cards, replaced ones, lost ones, one that is too large.
#[tokio::test]
async fn of_many_writes_each_has_its_own_answer() {
    for writes in KINDS {
        let (store, _) = store_of(writes).await;
        for at in 0..15 {
            commit(&store, write(card(at), None, vec![1])).await;
        }
        let of = |at: usize| match at {
            // As it was read; as somebody else read it; new; larger than an item may be.
            0..10 => write(card(at), Some(version(1, &[1])), vec![2; 1_100]),
            10..15 => write(card(at), Some(version(1, &[7])), vec![3]),
            24 => write(card(at), None, vec![4; 500_000]),
            _ => write(card(at), None, vec![5]),
        };
        let all: Vec<Arc<StateWrite>> = (0..25).map(of).collect();
        let answers = store.commit(&all).await.unwrap();
        assert_eq!(answers.value.len(), 25);
        for (at, answer) in answers.value.iter().enumerate() {
            match (at, answer) {
                (0..10 | 15..24, Ok(Commit::Written)) => {}
                (10..15, Ok(Commit::Conflict(Some(winner)))) => assert_eq!(*winner, StateItem::new(1, vec![1])),
                (24, Err(PortError::Permanent(_))) => {}
                _ => panic!("{writes:?}, {at}: {answer:?}"),
            }
        }
        // Ten of two units, five that lost and nine of one; nobody says what the large one costs.
        let units = answers.units.write;
        assert!((34.0..600.0).contains(&units), "{writes:?}: {units}");
        let cards: Vec<CardId> = (0..25).map(card).collect();
        let stored = store.load_states(&cards).await.unwrap().value;
        for (at, item) in stored.iter().enumerate() {
            let expected = match at {
                0..10 | 15..24 => Some(all[at].item.clone()),
                10..15 => Some(StateItem::new(1, vec![1])),
                _ => None,
            };
            assert_eq!(*item, expected, "{writes:?}, {at}");
        }
    }
}

/// Releases before the tag wrote items without one: they are read, and replaced by one that has it.
#[tokio::test]
async fn an_item_without_a_tag_is_replaced_once_by_one_with_a_tag() {
    for writes in KINDS {
        let (store, clients) = store_of(writes).await;
        let put = clients.dynamodb.put_item().table_name(TABLE);
        let put = put.item("pk", AttributeValue::S("c#card-1".to_owned()));
        let put = put.item("sk", AttributeValue::S("s".to_owned()));
        let put = put.item("v", AttributeValue::N("4".to_owned()));
        let put = put.item("b", AttributeValue::B(Blob::new(vec![1])));
        put.send().await.unwrap();
        let loaded = store.load_states(&[card(1)]).await.unwrap();
        let read = loaded.value[0].clone().unwrap().version;
        assert_eq!(read, StateVersion { number: 4, tag: None });
        let next = commit(&store, write(card(1), Some(read), vec![2])).await;
        assert!(matches!(next.value, Commit::Written));
        let late = commit(&store, write(card(1), Some(read), vec![3])).await;
        assert!(matches!(late.value, Commit::Conflict(Some(winner)) if winner == StateItem::new(5, vec![2])));
        let stored = clients.dynamodb.scan().table_name(TABLE).send().await.unwrap();
        assert_eq!(stored.items()[0]["ttl"].as_n().unwrap(), "2000000000");
    }
}

#[tokio::test]
async fn a_write_on_a_version_of_an_item_that_is_gone_is_a_conflict_without_a_winner() {
    for writes in KINDS {
        let (store, _) = store_of(writes).await;
        let lost = commit(&store, write(card(1), Some(version(3, &[1])), vec![1])).await;
        assert!(matches!(lost.value, Commit::Conflict(None)), "{:?}", lost.value);
        let stored = store.load_states(&[card(1)]).await.unwrap().value;
        assert_eq!(stored, [None], "{writes:?} writes nothing that was not there");
    }
}

#[tokio::test]
async fn a_failed_condition_costs_by_the_size_of_the_item() {
    for writes in KINDS {
        let (store, _) = store_of(writes).await;
        let written = commit(&store, write(card(1), None, vec![1; 2_500])).await;
        let lost = commit(&store, write(card(1), Some(version(9, &[1])), vec![1])).await;
        assert!((written.units.write - 3.0).abs() < f64::EPSILON, "{:?}", written.units);
        assert!(
            (lost.units.write - written.units.write).abs() < f64::EPSILON,
            "{:?}",
            lost.units
        );
    }
}

#[tokio::test]
async fn loads_of_more_than_a_hundred_keep_their_order_and_count_their_units() {
    let (store, _) = store().await;
    for at in (0..250).step_by(2) {
        commit(&store, write(card(at), None, vec![u8::try_from(at % 251).unwrap()])).await;
    }
    let mut cards: Vec<CardId> = (0..250).rev().map(card).collect();
    cards.push(card(248)); // asked for twice
    let loaded = store.load_states(&cards).await.unwrap();
    assert_eq!(loaded.value.len(), cards.len());
    for (asked, found) in cards.iter().zip(&loaded.value) {
        let at: usize = asked.as_str()["card-".len()..].parse().unwrap();
        let expected = (at.is_multiple_of(2)).then(|| vec![u8::try_from(at % 251).unwrap()]);
        assert_eq!(found.as_ref().map(|state| state.bytes.clone()), expected, "{asked}");
    }
    assert!(
        loaded.units.read > 0.0 && loaded.units.read <= 0.5 * 250.0,
        "{:?}",
        loaded.units
    );
    assert!(store.load_states(&[]).await.unwrap().value.is_empty());
}

#[tokio::test]
async fn the_newest_profile_wins_and_keeps_its_bits() {
    let (store, _) = store().await;
    assert_eq!(
        store.put_profile(&profile(2, 20.0)).await.unwrap().value,
        PutOnce::Written
    );
    assert_eq!(
        store.put_profile(&profile(2, 99.0)).await.unwrap().value,
        PutOnce::Already
    );
    assert_eq!(
        store.put_profile(&profile(1, 10.0)).await.unwrap().value,
        PutOnce::Already
    );
    assert_eq!(
        store.put_profile(&profile(10, 30.0)).await.unwrap().value,
        PutOnce::Written
    );
    let loaded = store.load_profiles(&[card(0), card(1), card(1)]).await.unwrap();
    assert_eq!(loaded.value, [None, Some(profile(10, 30.0)), Some(profile(10, 30.0))]);
}

#[tokio::test]
async fn a_decision_is_recorded_once() {
    for writes in KINDS {
        record_decisions(writes).await;
    }
}

async fn record_decisions(writes: Writes) {
    let (store, clients) = store_of(writes).await;
    let put = async |decision: DecisionItem| {
        let answers = store.put_decisions(&[Arc::new(decision)]).await;
        only(answers.unwrap()).value
    };
    let decision_of = |id: &str, time_ms, outcome: &str| DecisionItem {
        event: EventKey::new(card(1).as_str(), id, time_ms).unwrap(),
        outcome_json: outcome.as_bytes().to_vec(),
        expires_at_s: 2_000_000_000,
    };
    let decision = |outcome: &str| decision_of("event-1", 1_795_399_200_250, outcome);
    assert_eq!(put(decision("{\"score\":900}")).await, PutOnce::Written);
    assert_eq!(put(decision("{\"score\":1}")).await, PutOnce::Already);
    let stored = clients.dynamodb.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!(stored.items().len(), 1);
    assert_eq!(stored.items()[0]["o"].as_s().unwrap(), "{\"score\":900}");
    assert_eq!(stored.items()[0]["sk"].as_s().unwrap(), "d2#001795399200250#event-1");

    // The same id at another time is another event, and so its decision is another one.
    let again = decision_of("event-1", 1_795_399_200_251, "{\"score\":950}");
    assert_eq!(put(again).await, PutOnce::Written);
    let stored = clients.dynamodb.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!(stored.items().len(), 2);
}

#[tokio::test]
async fn a_table_that_is_not_there_is_a_permanent_error() {
    let (_, clients) = store().await;
    let error = DynamoStore::new(clients.dynamodb, "nowhere")
        .load_states(&[card(1)])
        .await
        .unwrap_err();
    assert!(matches!(error, PortError::Permanent(_)), "{error}");
}

#[tokio::test]
async fn segments_are_read_back_in_the_order_that_was_asked_for() {
    let (store, _) = store().await;
    let segment = |at: u64| SegmentItem {
        card_id: card(1),
        key: SegmentKey(at),
        bytes: vec![u8::try_from(at % 251).unwrap(); 1_500],
        expires_at_s: 2_000_000_000,
    };
    let segments: Vec<SegmentItem> = (0..130).map(segment).collect();
    let put = store.put_segments(&segments).await.unwrap();
    assert!((put.units.write - 260.0).abs() < f64::EPSILON, "{:?}", put.units);
    // Whoever makes the same segment writes the same item.
    store.put_segments(&segments[..1]).await.unwrap();
    // Those of another card are others, whatever their names.
    let places = [(1, 129), (1, 5), (1, 5_000), (2, 129), (1, 5), (1, 0)];
    let asked = places.map(|(of, at)| (card(of), SegmentKey(at)));
    let expected = places.map(|(of, at)| (of == 1 && at < 130).then(|| segment(at).bytes));
    let eventual = store.load_segments(&asked, Freshness::Eventual).await.unwrap();
    let strong = store.load_segments(&asked, Freshness::Strong).await.unwrap();
    assert_eq!((&eventual.value[..], &strong.value[..]), (&expected[..], &expected[..]));
    // Three that are there and two that are not: half a unit each, or a whole one.
    assert!((1.5..=2.5).contains(&eventual.units.read), "{:?}", eventual.units);
    assert!(
        (strong.units.read - 2.0 * eventual.units.read).abs() < f64::EPSILON,
        "{:?}",
        strong.units
    );
}

#[tokio::test]
async fn a_keys_labelled_history_is_kept_under_its_version_and_read_by_key() {
    let (store, clients) = store().await;
    let key = |name: &str, id: &str| KeyId {
        name: KeyName::new(name).unwrap(),
        identity: fingerprint64(id),
    };
    let commit = async |key: KeyId, expected: Option<StateVersion>, bytes: Vec<u8>| {
        let write = KeyWrite {
            key,
            expected,
            item: StateItem::new(expected.map_or(0, |read| read.number) + 1, bytes),
            expires_at_s: 2_000_000_000,
        };
        only(store.commit_keys(&[Arc::new(write)]).await.unwrap())
    };
    let (bad, other) = (key("terminal", "bad"), key("ip", "bad"));
    let first = commit(bad, None, vec![1]).await;
    assert!(matches!(first.value, Commit::Written));
    assert!((first.units.write - 1.0).abs() < f64::EPSILON);
    // Another writer's: it loses, and sees the winner (I5).
    for expected in [None, Some(version(1, &[2])), Some(version(2, &[1]))] {
        let lost = commit(bad, expected, vec![9]).await;
        let Commit::Conflict(winner) = lost.value else {
            panic!("{:?}", lost.value)
        };
        // An INSERT does not hand back the item that is there.
        assert_eq!(winner, expected.map(|_| StateItem::new(1, vec![1])));
    }
    let second = commit(bad, Some(version(1, &[1])), vec![1, 2]).await;
    assert!(matches!(second.value, Commit::Written));
    // In the order asked for, one of them twice, and two that are not there: names are part of a key.
    let asked = [other, bad, key("terminal", "good"), bad];
    let found = store.load_keys(&asked).await.unwrap();
    let item = Some(StateItem::new(2, vec![1, 2]));
    assert_eq!(found.value, [None, item.clone(), None, item]);
    assert!(found.units.read > 0.0);
    // Persisted: the key of the item is never changed.
    let stored = clients.dynamodb.get_item().table_name(TABLE);
    let partition = format!("k#terminal#{:016x}", fingerprint64("bad"));
    let stored = stored
        .key("pk", AttributeValue::S(partition))
        .key("sk", AttributeValue::S("l".to_owned()));
    let stored = stored.send().await.unwrap().item.unwrap();
    assert_eq!(stored["ttl"], AttributeValue::N("2000000000".to_owned()));
}

/// Somebody wrote to the table by hand. The other cards and keys of the batch are not touched by that.
#[tokio::test]
async fn an_item_without_its_attributes_holds_up_no_other() {
    let (store, clients) = store().await;
    commit(&store, write(card(1), None, vec![1])).await;
    let key = |id: &str| KeyId {
        name: KeyName::new("terminal").unwrap(),
        identity: fingerprint64(id),
    };
    let good = KeyWrite {
        key: key("good"),
        expected: None,
        item: StateItem::new(1, vec![1]),
        expires_at_s: 2_000_000_000,
    };
    only(store.commit_keys(&[Arc::new(good)]).await.unwrap());
    for (pk, sk) in [("c#card-2".to_owned(), "s"), (format!("k#{}", key("bad")), "l")] {
        let put = clients.dynamodb.put_item().table_name(TABLE);
        let put = put
            .item("pk", AttributeValue::S(pk))
            .item("sk", AttributeValue::S(sk.to_owned()));
        put.send().await.unwrap();
    }
    let states = store.load_states(&[card(1), card(2), card(3)]).await.unwrap().value;
    let keys = store
        .load_keys(&[key("good"), key("bad"), key("none")])
        .await
        .unwrap()
        .value;
    // Nor is it a call that failed when it is read alone, to be taught: that would name no item.
    let alone = store.load_key(key("bad")).await.unwrap().value;
    assert_eq!(alone, keys[1]);
    for found in [states, keys] {
        assert_eq!(found[0], Some(StateItem::new(1, vec![1])));
        let damaged = found[1].as_ref().unwrap();
        assert!(History::decode(&damaged.bytes).is_err() && LabelledHistory::decode(&damaged.bytes).is_err());
        assert_eq!(found[2], None);
    }
}
