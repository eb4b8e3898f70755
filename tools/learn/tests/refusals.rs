//! Tables and options that nothing is learned from.

use learn::points::{self, FRAUDS_MIN, ROWS_MIN};
use learn::{FEATURES_MAX, FitOptions, LearnError, Row, Table};

use crate::world::{self, DAY_MS};

fn row(number: usize, fraud: bool) -> Row {
    Row {
        at_ms: number as i64 * DAY_MS / 20,
        card: 1,
        amount_minor: 1,
        fraud,
    }
}

/// A table of so many events, the first of them fraud.
fn labelled(rows: usize, frauds: usize) -> Table {
    let mut table = Table::new(["a"]).unwrap();
    for number in 0..rows {
        table
            .push(row(number, number < frauds), &[Some(number as f64)])
            .unwrap();
    }
    table
}

fn refused(table: &Table, options: &FitOptions) -> LearnError {
    points::fit(table, options).unwrap_err()
}

#[test]
fn too_few_events_frauds_and_others() {
    let options = world::options();
    assert_eq!(
        refused(&labelled(ROWS_MIN - 1, 100), &options),
        LearnError::TooFewRows {
            found: ROWS_MIN - 1,
            min: ROWS_MIN
        }
    );
    assert_eq!(
        refused(&labelled(ROWS_MIN, FRAUDS_MIN - 1), &options),
        LearnError::TooFewFrauds {
            found: FRAUDS_MIN - 1,
            min: FRAUDS_MIN
        }
    );
    assert_eq!(
        refused(&labelled(ROWS_MIN, ROWS_MIN - 3), &options),
        LearnError::TooFewGenuine {
            found: 3,
            min: FRAUDS_MIN
        }
    );
    assert!(points::fit(&labelled(ROWS_MIN, FRAUDS_MIN), &options).is_ok());
    let words = refused(&labelled(ROWS_MIN, 0), &options).to_string();
    assert_eq!(
        words,
        "0 events labelled as fraud are too few to learn from: at least 50 are needed"
    );
}

#[test]
fn nothing_varies() {
    let mut table = Table::new(["a", "b"]).unwrap();
    for number in 0..ROWS_MIN {
        table.push(row(number, number % 5 == 0), &[Some(3.0), None]).unwrap();
    }
    assert_eq!(refused(&table, &world::options()), LearnError::NothingVaries);
}

#[test]
fn names_and_values_of_a_table() {
    assert_eq!(Table::new(Vec::<String>::new()).unwrap_err(), LearnError::NoFeatures);
    let many = (0..=FEATURES_MAX).map(|number| format!("f{number}"));
    assert_eq!(
        Table::new(many).unwrap_err(),
        LearnError::TooManyFeatures {
            found: FEATURES_MAX + 1,
            max: FEATURES_MAX
        }
    );
    assert_eq!(
        Table::new(["a", "b", "a"]).unwrap_err(),
        LearnError::DuplicateFeature("a".to_owned())
    );
    let mut table = Table::new(["a", "b"]).unwrap();
    assert_eq!(
        table.push(row(0, false), &[Some(1.0)]).unwrap_err(),
        LearnError::WrongWidth {
            row: 0,
            found: 1,
            expected: 2
        }
    );
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(
            table.push(row(0, false), &[Some(1.0), Some(value)]).unwrap_err(),
            LearnError::NotFinite {
                row: 0,
                feature: "b".to_owned()
            }
        );
    }
    assert!(table.is_empty(), "what is refused leaves nothing behind");
}

#[test]
fn options_that_make_no_sense() {
    let table = labelled(ROWS_MIN, FRAUDS_MIN);
    let good = world::options();
    let bad = [
        (
            "folds",
            FitOptions {
                folds: 21,
                ..good.clone()
            },
        ),
        (
            "bins_max × smoothness × ridge",
            FitOptions {
                ridge: vec![1.0; 11],
                ..good.clone()
            },
        ),
        (
            "label_delay_ms",
            FitOptions {
                label_delay_ms: -1,
                ..good.clone()
            },
        ),
        (
            "validation_share",
            FitOptions {
                validation_share: f64::NAN,
                ..good.clone()
            },
        ),
        (
            "validation_share",
            FitOptions {
                validation_share: 1.0,
                ..good.clone()
            },
        ),
        (
            "bins_max",
            FitOptions {
                bins_max: vec![],
                ..good.clone()
            },
        ),
        (
            "bins_max",
            FitOptions {
                bins_max: vec![6, 16],
                ..good.clone()
            },
        ),
        (
            "smoothness",
            FitOptions {
                smoothness: vec![0.0],
                ..good.clone()
            },
        ),
        (
            "ridge",
            FitOptions {
                ridge: vec![f64::NAN],
                ..good.clone()
            },
        ),
    ];
    for (expected, options) in bad {
        let LearnError::Option { name, .. } = refused(&table, &options) else {
            panic!("{expected} is not refused by its name");
        };
        assert_eq!(name, expected);
    }
}

/// Frauds that every value tells: without a penalty their bits would grow without end.
#[test]
fn a_perfect_feature_has_finite_bits() {
    let mut table = Table::new(["perfect"]).unwrap();
    for number in 0..4_000 {
        let fraud = number % 20 == 0;
        table
            .push(row(number, fraud), &[Some(if fraud { 1.0 } else { 0.0 })])
            .unwrap();
    }
    let points = points::fit(&table, &world::options()).unwrap().points;
    let bits = points.features[0].bits.clone();
    assert_eq!((points.features[0].edges.clone(), bits.len()), (vec![1.0], 2));
    assert!(bits[1] > 6.0 && bits[1] < 40.0, "{bits:?}");
}
