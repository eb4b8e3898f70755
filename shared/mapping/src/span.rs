//! Lengths of time as people write them: `90s`, `15m`, `2h`, `7d`.

/// A number and its unit, in milliseconds; `None`: it is none, or longer than can be counted.
#[must_use]
pub fn span_ms(text: &str) -> Option<i64> {
    let unit_ms = match text.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    let number: u32 = text.get(..text.len() - 1)?.parse().ok()?;
    i64::from(number).checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(
            ["90s", "15m", "2h", "7d"].map(span_ms),
            [90_000, 900_000, 7_200_000, 604_800_000].map(Some)
        );
        assert_eq!(
            ["", "d", "7", "-5h", "é", "7w", "99999999999999999999d"].map(span_ms),
            [None; 7]
        );
    }
}
