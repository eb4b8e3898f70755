//! Learning without labels.

use super::*;

/// The stream, where now and then a card pays ten times as much as it always does.
fn with_large() -> Vec<Value> {
    let (mut events, _) = stream();
    for (number, event) in events.iter_mut().enumerate() {
        event["amount_minor"] = json!(1_000 + number * 7 % 400);
        if number % 400 == 399 {
            event["amount_minor"] = json!(10_000 + number);
        }
    }
    events
}

fn unlabelled(input: &Path) -> TrainOptions {
    TrainOptions {
        unlabelled: true,
        ..options(input)
    }
}

#[test]
fn without_labels_it_is_learned_what_is_rare_and_nothing_of_labels_or_later_days() {
    let folder = tempfile::tempdir().unwrap();
    let events = with_large();
    let file = write(folder.path(), "events.jsonl", &events.iter().collect::<Vec<_>>());
    let trained = train(&unlabelled(&file)).unwrap();
    assert!(trained.points.is_none() && trained.policy.population.is_some());
    assert_eq!((trained.policy.version, trained.policy.keys.len()), (2, 0));
    let rarity = trained.rarity.as_ref().unwrap();
    let learned = |name: &str| rarity.points.features.iter().find(|feature| feature.name == name);
    for name in ["amount_population", "amount_before_ratio_7d", "surprise.amount_z"] {
        let bits = &learned(name).unwrap_or_else(|| panic!("{name}: {rarity:?}")).bits;
        assert!(
            bits.windows(2).all(|pair| pair[0] <= pair[1]) && bits[0] == 0.0,
            "{name}: {bits:?}"
        );
    }
    // One country: it is never rare.
    assert!(
        rarity.dropped.contains(&"surprise.new_country".to_owned()),
        "{:?}",
        rarity.dropped
    );
    // The budget is three alerts a day, and what is as rare as that has even bits.
    let expected = trained.policy.expected.unwrap();
    assert!(
        expected.alert_share > 0.0 && expected.alert_share * CARDS as f64 <= 3.0,
        "{expected:?}"
    );
    assert_eq!(trained.policy.thresholds.alert, 500);

    // Neither labels nor later days change a byte.
    let (_, labels) = stream();
    let until_ms = unlabelled(&file).until_ms;
    let mut other = events.clone();
    for event in &mut other {
        if event["occurred_at_ms"].as_i64().unwrap() >= until_ms {
            event["amount_minor"] = json!(999_999);
        }
    }
    let all: Vec<&Value> = other.iter().chain(&labels).collect();
    let labelled = write(folder.path(), "labelled.jsonl", &all);
    assert_eq!(train(&unlabelled(&labelled)).unwrap().text, trained.text);

    // On later days the large payments are found.
    let mut alerts = (0, 0);
    replay(&file, &trained.policy, &Labels::default(), i64::MAX, |scored| {
        if scored.time_ms >= until_ms {
            let is_large = scored.amount_minor >= 10_000;
            alerts.0 += u32::from(is_large && scored.decision == "alert");
            alerts.1 += u32::from(is_large);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(alerts, (5, 5));
}

#[test]
fn too_few_events_are_refused_without_labels_too() {
    let folder = tempfile::tempdir().unwrap();
    let events = with_large();
    let file = write(folder.path(), "few.jsonl", &events.iter().collect::<Vec<_>>());
    let few = TrainOptions {
        from_ms: Some(unlabelled(&file).until_ms - DAY_MS),
        ..unlabelled(&file)
    };
    let error = train(&few).unwrap_err();
    assert!(
        matches!(
            error,
            LearningError::Learn(learn::LearnError::TooFewRows { found: 120, min: 500 })
        ),
        "{error}"
    );
}
