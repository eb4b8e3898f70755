//! How rare values are, without a label.

use learn::rarity::{ORDINARY_BITS, Weighed, fit};
use learn::{LearnError, Row, Table};

fn table(values: impl Iterator<Item = [Option<f64>; 3]>) -> Table {
    let mut table = Table::new(["even", "seldom", "constant"]).unwrap();
    for (at, values) in values.enumerate() {
        let row = Row {
            at_ms: at as i64,
            card: 0,
            amount_minor: 0,
            fraud: false,
        };
        table.push(row, &values).unwrap();
    }
    table
}

fn weighed(weights: [f64; 3]) -> Vec<Weighed> {
    let names = ["even", "seldom", "constant"].into_iter().zip(weights);
    names
        .map(|(name, weight)| Weighed {
            name: name.to_owned(),
            weight,
        })
        .collect()
}

#[test]
fn bits_are_those_of_the_share_that_is_at_least_as_great_beyond_what_is_ordinary() {
    // Values from 0 to 9,999, each once; one in fifty has the flag; a third is missing.
    let values = (0..10_000_u32).map(|number| {
        let flag = (number % 3 != 0).then_some(f64::from(u8::from(number % 50 == 0)));
        [Some(f64::from(number)), flag, Some(7.0)]
    });
    let found = fit(&table(values), &weighed([1.0, 0.5, 1.0])).unwrap();
    assert_eq!(found.dropped, ["constant"]);
    let [even, seldom] = found.points.features.as_slice() else {
        panic!("{found:?}");
    };
    for (value, share) in [(0.0, 1.0), (9_000.0, 0.1), (9_700.0, 0.03), (9_950.0, 0.005)] {
        let rare = (-f64::log2(share) - ORDINARY_BITS).max(0.0);
        let bits = even.bits_of(Some(value));
        // A bin has the bits of its least rare value.
        assert!(bits <= rare + 0.005 && bits > rare - 0.4, "{value}: {bits} for {rare}");
    }
    assert_eq!(even.bits_of(None), 0.0);
    assert_eq!(
        even.bits_of(Some(1e9)),
        even.bits_of(Some(9_999.0)),
        "no value is rarer than ten events"
    );
    // Of 6,666 events with a value 133 have the flag; half the weight is half the bits.
    let flagged = (f64::log2(6_666.0 / 133.0) - ORDINARY_BITS) / 2.0;
    assert!((seldom.bits_of(Some(1.0)) - flagged).abs() < 0.006, "{seldom:?}");
    assert_eq!(seldom.bits_of(Some(0.0)), 0.0);
    assert_eq!(found.counts[1], [6_533, 133, 3_334]);
}

#[test]
fn what_is_never_rare_and_what_is_too_little_is_said() {
    let all = |_| [Some(1.0), None, None];
    let error = fit(&table((0..499).map(all)), &weighed([1.0; 3])).unwrap_err();
    assert_eq!(error, LearnError::TooFewRows { found: 499, min: 500 });
    let error = fit(&table((0..600).map(all)), &weighed([1.0; 3])).unwrap_err();
    assert_eq!(error, LearnError::NothingVaries);
}
