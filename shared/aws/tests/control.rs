//! The control plane against DynamoDB's API: dynoxide, in this process, on loopback.
#![allow(clippy::unwrap_used, clippy::panic)]

use tidemark_aws::admin::{Admin, ControlPut, Expected};
use tidemark_aws::{AwsSettings, DynamoControl, DynamoStore, connect};
use tidemark_domain::control::item::{ACTIVE, CHANGE_PREFIX, Field, Fields, MODE, change_key, policy_key};
use tidemark_domain::control::trial::{TRIAL_BUCKETS, TrialBatch, TrialKey, trial_partition};
use tidemark_domain::control::{ActivePointer, Change, ControlItem, Mode, ModeSetting, PolicyVersion, Stamp};
use tidemark_engine::control::ControlPlane;
use tidemark_engine::port::StateStore;

const TABLE: &str = "cards";

struct World {
    admin: Admin,
    control: DynamoControl,
    store: DynamoStore,
    raw: tidemark_aws::Clients,
}

async fn world() -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(
        listener,
        dynoxide::Database::memory().unwrap(),
    ));
    let settings = AwsSettings::local("eu-west-1", "http://127.0.0.1:1", Some(&endpoint));
    let (admin, raw) = (Admin::connect(&settings).await, connect(&settings).await);
    admin.create_table(TABLE).await.unwrap();
    World {
        admin,
        control: DynamoControl::new(raw.dynamodb.clone(), TABLE),
        store: DynamoStore::new(raw.dynamodb.clone(), TABLE),
        raw,
    }
}

fn stamp(at_ms: i64) -> Stamp {
    Stamp::new(at_ms, "on-call", "a test").unwrap()
}

/// An activation with its history, as the command writes it.
fn activation(current: Option<&ActivePointer>, version: u32, at_ms: i64) -> [ControlPut; 2] {
    let pointer = ActivePointer::activated(current, version, stamp(at_ms));
    let change = Change {
        item: ControlItem::Active,
        revision: pointer.revision,
        action: "activate".to_owned(),
        detail: format!("-> {version}"),
        stamp: stamp(at_ms),
    };
    let expected = current.map_or(Expected::Absent, |current| Expected::AsRead(current.to_fields()));
    [
        ControlPut {
            sort: ACTIVE.to_owned(),
            fields: pointer.to_fields(),
            expected,
        },
        ControlPut {
            sort: change_key(&change),
            fields: change.to_fields(),
            expected: Expected::Absent,
        },
    ]
}

async fn pointer(world: &World) -> ActivePointer {
    let fields = world.control.read().await.unwrap().value.active.unwrap();
    ActivePointer::from_fields(&fields).unwrap()
}

#[tokio::test]
async fn items_come_back_and_absent_ones_are_absent() {
    let world = world().await;
    let empty = world.control.read().await.unwrap();
    assert_eq!(empty.value, tidemark_engine::control::ControlItems::default());
    let mode = ModeSetting {
        revision: 1,
        mode: Mode::Shadow,
        record_age_s: None,
        stamp: stamp(1),
    };
    let policy = PolicyVersion {
        version: 2,
        text: "version = 2 # é".to_owned(),
        stamp: stamp(2),
    };
    let put = |sort: String, fields| ControlPut {
        sort,
        fields,
        expected: Expected::Absent,
    };
    let puts = [
        put(MODE.to_owned(), mode.to_fields()),
        put(policy_key(2), policy.to_fields()),
    ];
    assert!(world.admin.write_control(TABLE, &puts).await.unwrap());
    let read = world.control.read().await.unwrap();
    assert_eq!(ModeSetting::from_fields(&read.value.mode.unwrap()), Ok(mode));
    assert!(read.units.read > 0.0);
    let read = world.control.read_policy(2).await.unwrap().value.unwrap();
    assert_eq!(PolicyVersion::from_fields(2, &read), Ok(policy));
    assert_eq!(world.control.read_policy(3).await.unwrap().value, None);
}

#[tokio::test]
async fn of_two_operators_who_activate_at_once_one_wins_and_the_loser_changes_nothing() {
    let world = world().await;
    assert!(world.admin.write_control(TABLE, &activation(None, 2, 1)).await.unwrap());
    let read = pointer(&world).await;
    let (three, four) = (activation(Some(&read), 3, 10), activation(Some(&read), 4, 20));
    let (first, second) = tokio::join!(
        world.admin.write_control(TABLE, &three),
        world.admin.write_control(TABLE, &four)
    );
    // A transaction in conflict may be told to come again; it must not have happened then.
    let won = [first, second].map(|written| written.unwrap_or(false));
    let now = pointer(&world).await;
    let winner = match won {
        [true, false] => 3,
        [false, true] => 4,
        other => panic!("exactly one must win: {other:?}"),
    };
    assert_eq!((now.active, now.previous, now.revision), (winner, Some(2), 2));
    let history = world
        .admin
        .control_items(TABLE, CHANGE_PREFIX, true, 100)
        .await
        .unwrap();
    let details: Vec<String> = history
        .iter()
        .map(|(_, fields)| Change::from_fields(fields).unwrap().detail)
        .collect();
    assert_eq!(
        details,
        [format!("-> {winner}"), "-> 2".to_owned()],
        "the loser left no trace"
    );
}

#[tokio::test]
async fn an_item_of_a_wrong_type_is_read_as_such_and_replaced_only_where_it_is() {
    use aws_sdk_dynamodb::types::AttributeValue;
    let world = world().await;
    let replace = [ControlPut {
        expected: Expected::AsRead(Fields::new()),
        ..activation(None, 2, 1)[0].clone()
    }];
    assert!(
        !world.admin.write_control(TABLE, &replace).await.unwrap(),
        "there is none"
    );
    let put = world.raw.dynamodb.put_item().table_name(TABLE);
    let put = put
        .item("pk", AttributeValue::S("control".to_owned()))
        .item("sk", AttributeValue::S(ACTIVE.to_owned()))
        .item("active", AttributeValue::Bool(true))
        .item("rev", AttributeValue::L(Vec::new()));
    put.send().await.unwrap();
    let fields = world.control.read().await.unwrap().value.active.unwrap();
    assert_eq!(fields["active"], Field::Other("a truth value (BOOL)"));
    assert!(ActivePointer::from_fields(&fields).is_err());
    // Two operators find it broken; the second must not take away what the first mended.
    let mend = |version| {
        [ControlPut {
            expected: Expected::AsRead(fields.clone()),
            ..activation(None, version, 1)[0].clone()
        }]
    };
    assert!(world.admin.write_control(TABLE, &mend(2)).await.unwrap());
    assert!(!world.admin.write_control(TABLE, &mend(3)).await.unwrap());
    assert_eq!(pointer(&world).await.active, 2);
}

/// After the item was put back from a backup its revisions are given again, to other pointers.
#[tokio::test]
async fn a_change_of_another_pointer_with_the_same_revision_changes_nothing() {
    let world = world().await;
    assert!(world.admin.write_control(TABLE, &activation(None, 2, 1)).await.unwrap());
    let backup = pointer(&world).await;
    let put = |puts: [ControlPut; 2]| {
        let admin = &world.admin;
        async move { admin.write_control(TABLE, &puts).await.unwrap() }
    };
    assert!(put(activation(Some(&backup), 3, 10)).await);
    let read = pointer(&world).await;
    let restored = [ControlPut {
        sort: ACTIVE.to_owned(),
        fields: backup.to_fields(),
        expected: Expected::AsRead(read.to_fields()),
    }];
    assert!(world.admin.write_control(TABLE, &restored).await.unwrap());
    assert!(put(activation(Some(&backup), 4, 20)).await);
    assert_eq!(pointer(&world).await.revision, read.revision);
    assert!(
        !put(activation(Some(&read), 5, 30)).await,
        "that is not the pointer that was read"
    );
    assert_eq!(pointer(&world).await.active, 4);
}

#[tokio::test]
async fn trials_are_kept_by_candidate_and_found_again() {
    let world = world().await;
    for number in 0..3 {
        let key = TrialKey {
            shard_id: format!("shardId-{number}"),
            sequence_number: "7".to_owned(),
            arrival_ms: 5,
        };
        let batch = TrialBatch {
            candidate: 2,
            at_ms: number,
            ..TrialBatch::default()
        };
        world.store.put_trials(&key, &batch, 2_000_000_000).await.unwrap();
    }
    let mut found = 0;
    for bucket in 0..TRIAL_BUCKETS {
        found += world
            .admin
            .partition(TABLE, &trial_partition(2, bucket))
            .await
            .unwrap()
            .len();
        assert!(
            world
                .admin
                .partition(TABLE, &trial_partition(3, bucket))
                .await
                .unwrap()
                .is_empty()
        );
    }
    assert_eq!(found, 3);
}
