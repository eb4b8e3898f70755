//! The timeline's rules and its item.

use proptest::prelude::*;

use super::*;

const START_MS: i64 = 1_790_000_000_000;

fn version(number: u64) -> MapVersion {
    MapVersion(number)
}

fn stamp() -> Stamp {
    Stamp::new(START_MS, "on-call", "a test").unwrap()
}

#[test]
fn a_version_is_the_hash_of_a_text_and_reads_back() {
    let version = MapVersion::of("version = 1");
    assert_eq!(MapVersion::from_name(&version.to_string()), Some(version));
    for wrong in [
        "",
        "none",
        "0123",
        "0123456789ABCDEF",
        "+123456789abcdef",
        "0123456789abcdef0",
    ] {
        assert_eq!(MapVersion::from_name(wrong), None, "{wrong}");
    }
}

#[test]
fn the_map_in_force_follows_the_activations_by_their_lead() {
    let none = MapTimeline::default();
    assert_eq!(none.at(START_MS), Ok(None));
    let first = none.activated(Some(version(1)), START_MS).unwrap();
    let since_ms = START_MS + MAP_LEAD_MS;
    assert_eq!(first.at(since_ms - 1), Ok(None));
    assert_eq!(first.at(since_ms), Ok(Some(version(1))));
    let ended = first.activated(None, START_MS + 1).unwrap();
    assert_eq!(
        (ended.revision, ended.at(since_ms), ended.at(since_ms + 1)),
        (2, Ok(Some(version(1))), Ok(None))
    );
    assert_eq!(ended.activated(None, START_MS), Err(MapChangeError::ClockBehind));
}

#[test]
fn activations_are_kept_for_400_days_and_before_that_nobody_guesses() {
    let day_ms = 24 * 3_600_000;
    let mut timeline = MapTimeline::default();
    for day in 0..900 {
        timeline = timeline
            .activated(Some(version(day as u64 % 3)), START_MS + day * day_ms)
            .unwrap();
    }
    let last_ms = START_MS + 899 * day_ms;
    assert_eq!(timeline.activations().len(), 402);
    assert_eq!(
        timeline.at(last_ms - MAP_KEPT_MS),
        timeline.at(last_ms - MAP_KEPT_MS + 1)
    );
    assert!(timeline.at(last_ms - MAP_KEPT_MS).is_ok());
    assert_eq!(timeline.at(START_MS), Err(BeforeTimeline));
    assert_eq!(MapTimeline::unknown().at(i64::MAX - 1), Err(BeforeTimeline));
    let mut many = MapTimeline::default();
    for at in 0..MAP_ACTIVATIONS_MAX as i64 {
        many = many.activated(Some(version(at as u64 % 3)), START_MS + at).unwrap();
    }
    let one_more = many.activated(None, START_MS + 1_000);
    assert_eq!(one_more, Err(MapChangeError::TooManyActivations));
}

#[test]
fn a_mend_only_adds_to_what_judges() {
    let timeline = MapTimeline::default().activated(Some(version(1)), START_MS).unwrap();
    let at_ms = START_MS + MAP_LEAD_MS;
    let mended = timeline.mended(Some(version(1)), version(2)).unwrap();
    assert_eq!(mended.judges(at_ms), Ok(vec![version(1), version(2)]));
    assert_eq!(mended.judges(at_ms - 1), Ok(vec![]));
    let further = mended.mended(Some(version(2)), version(3)).unwrap();
    assert_eq!(further.judges(at_ms), Ok(vec![version(1), version(2), version(3)]));
    let of_none = further.mended(None, version(1)).unwrap();
    assert_eq!(of_none.judges(at_ms - 1), Ok(vec![version(1), version(2), version(3)]));
    let again = further.mended(Some(version(1)), version(3));
    assert_eq!(again, Err(MapChangeError::MendedAlready(version(2))));
    let circle = further.mended(Some(version(3)), version(1));
    assert_eq!(circle, Err(MapChangeError::MendsInCircle));
    let mut long = timeline;
    for number in 1..=MENDS_IN_ROW_MAX as u64 {
        long = long.mended(Some(version(number)), version(number + 1)).unwrap();
    }
    assert_eq!(long.judges(at_ms).unwrap().len(), MENDS_IN_ROW_MAX + 1);
    let one_more = long.mended(Some(version(MENDS_IN_ROW_MAX as u64 + 1)), version(99));
    assert_eq!(one_more, Err(MapChangeError::MendsInCircle));
}

#[test]
fn a_timeline_reads_back_and_one_changed_by_hand_is_refused() {
    let timeline = MapTimeline::default().activated(Some(version(7)), START_MS).unwrap();
    let timeline = timeline.activated(None, START_MS + 5).unwrap();
    let timeline = timeline.mended(None, version(8)).unwrap();
    let fields = timeline.to_fields(&stamp());
    assert_eq!(MapTimeline::from_fields(&fields), Ok(timeline));
    let wrong = |attribute: &str, text: &str| {
        let mut fields = fields.clone();
        fields.insert(attribute.to_owned(), Field::Text(text.to_owned()));
        MapTimeline::from_fields(&fields).unwrap_err().to_string()
    };
    let twice = r#"[{"since_ms":1,"map":"none"},{"since_ms":1,"map":"none"}]"#;
    assert!(wrong("list", twice).contains("in the order of their times"));
    assert!(wrong("list", r#"[{"since_ms":1,"map":"v1"}]"#).contains("versions of maps"));
    assert!(wrong("list", "7").contains("a JSON array of activations"));
    let circle = r#"[{"refused_by":"0000000000000001","then":"0000000000000001"}]"#;
    assert!(wrong("mends", circle).contains("within their limits"));
}

#[test]
fn a_published_map_reads_back_and_another_text_is_refused() {
    let map = MapText {
        version: MapVersion::of("text"),
        text: "text".to_owned(),
        salt_mark: Some("mark".to_owned()),
        stamp: stamp(),
    };
    let fields = map.to_fields();
    assert_eq!(MapText::from_fields(map.version, &fields), Ok(map.clone()));
    assert!(MapText::from_fields(version(1), &fields).is_err());
}

/// Whether somebody who read the timeline at `read_ms` finds another map for an arrival than somebody who reads it at the end, where
/// copies judge what arrived within `copy_ms`. A change is written up to `late_ms` after its time, and clocks differ by `skew_ms`.
fn disagrees(
    changes: &[(i64, u64)],
    read_ms: i64,
    arrival_ms: i64,
    (copy_ms, late_ms, skew_ms): (i64, i64, i64),
) -> bool {
    let mut timeline = MapTimeline::default();
    let mut copy = MapTimeline::default();
    for (at_ms, number) in changes {
        timeline = timeline.activated(Some(version(*number)), *at_ms).unwrap();
        // By the reader's clock it was there at this time at the latest.
        if at_ms + late_ms + skew_ms <= read_ms {
            copy = timeline.clone();
        }
    }
    // A copy without any activation bounds nothing: what is not the contract's own is refused by it, and counts nowhere.
    let judges = !copy.activations().is_empty() && arrival_ms <= read_ms + copy_ms;
    judges && copy.at(arrival_ms) != timeline.at(arrival_ms)
}

proptest! {
    #[test]
    fn whoever_judges_by_a_copy_agrees_with_whoever_judges_later(
        gaps in prop::collection::vec((1_i64..200_000, 0_u64..3), 1..8),
        read_ms in 0_i64..1_000_000,
        after_ms in -300_000_i64..MAP_COPY_MS,
        (late_ms, skew_ms) in (0_i64..30_000, -30_000_i64..30_000),
    ) {
        let mut at_ms = 0;
        let changes: Vec<(i64, u64)> = gaps.iter().map(|(gap, number)| { at_ms += gap; (at_ms, *number) }).collect();
        prop_assert!(!disagrees(&changes, read_ms, read_ms + after_ms, (MAP_COPY_MS, late_ms, skew_ms)));
    }
}

/// The property is not blind: with copies that judge as long as the lead, a change that is written late is missed.
#[test]
fn copies_that_judge_longer_would_disagree() {
    let changes = [(0, 1), (1_000_000, 2)];
    let arrival_ms = 1_000_000 + MAP_LEAD_MS;
    assert!(disagrees(&changes, 1_010_000, arrival_ms, (MAP_LEAD_MS, 30_000, 0)));
    assert!(!disagrees(&changes, 1_010_000, arrival_ms, (MAP_COPY_MS, 30_000, 0)));
}
