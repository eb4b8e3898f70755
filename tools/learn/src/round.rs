//! Numbers that a person can read: 1, 2 or 5 times a power of ten, and their multiples.

/// Decimal digits of a double: finer steps find nothing new.
const DIGITS_MAX: i32 = 17;
/// Whole numbers up to here are exact in a double.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Powers of ten up to this one are exact in a double.
const EXPONENT_MAX: i32 = 22;

/// `count · 10^exponent`, correctly rounded, so that it is the number that its decimal notation gives when it is read.
fn decimal(count: f64, exponent: i32) -> f64 {
    // Powers of ten up to 10^22 are exact in a double, so one operation rounds once.
    let power = (0..exponent.abs()).fold(1.0, |power, _| power * 10.0);
    if exponent >= 0 { count * power } else { count / power }
}

/// The roundest number in `(above, to]`: a multiple of the greatest step, of 1, 2 or 5 times a power of ten, that has one there.
pub(crate) fn roundest(above: f64, to: f64) -> f64 {
    if above < 0.0 && to >= 0.0 {
        return 0.0;
    }
    let scale = libm::log10(above.abs().max(to.abs()).max(f64::MIN_POSITIVE));
    let first = libm::floor(scale) as i32;
    let exponents = (first - DIGITS_MAX..=first).rev();
    let steps = exponents.flat_map(|exponent| [5.0, 2.0, 1.0].map(|digit| (digit, exponent)));
    let multiples = steps.flat_map(|(digit, exponent)| {
        let count = libm::floor(to / decimal(digit, exponent));
        // The division may have rounded up to the next whole number.
        [count, count - 1.0].map(|count| (count * digit, exponent))
    });
    multiples
        .filter(|(count, exponent)| count.abs() < WHOLE_MAX && exponent.abs() <= EXPONENT_MAX)
        .map(|(count, exponent)| decimal(count, exponent))
        .find(|number| above < *number && *number <= to)
        .unwrap_or(to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_roundest_number_has_the_fewest_digits() {
        for (above, to, number) in [
            (0.0, 1.0, 1.0),
            (0.0, 0.9, 0.5),
            (3.17, 4.9, 4.0),
            (3.17, 5.3, 5.0),
            (10.0, 19.5, 15.0),
            (217.3, 221.9, 220.0),
            (0.0612, 0.0698, 0.065),
            (-7.3, -2.2, -5.0),
            (-1.0, 3.0, 0.0),
            (-1.0, 0.0, 0.0),
            (1.0, 2.0, 2.0),
            (99.0, 1_234_567.0, 1_000_000.0),
            (0.69, 0.7, 0.7),
        ] {
            assert_eq!(roundest(above, to), number, "in ({above}, {to}]");
        }
    }

    proptest! {
        #[test]
        fn it_lies_in_the_interval_and_no_cut_of_the_end_has_fewer_digits(a in -1e9..1e9_f64, scale in 1e-9..10.0_f64) {
            let b = a + scale * a.abs().max(1.0);
            let number = roundest(a, b);
            prop_assert!(a < number && number <= b);
            let digits = |number: f64| {
                let text = format!("{number:e}");
                text.split('e').next().unwrap().chars().filter(char::is_ascii_digit).count()
            };
            for places in 0..17 {
                let cut: f64 = format!("{b:.places$e}").parse().unwrap();
                prop_assert!(cut <= a || cut > b || digits(number) <= digits(cut), "{} and {}", number, cut);
            }
        }

        #[test]
        fn neighbouring_doubles_have_one_too(a in -1e-3..1e12_f64) {
            let next = f64::from_bits(a.to_bits() + 1);
            let (above, to) = (a.min(next), a.max(next));
            prop_assert_eq!(roundest(above, to), to);
        }
    }
}
