//! How a column writes amounts.

/// What a column's values have in common as amounts.
#[derive(Default)]
pub(crate) struct Amounts {
    /// Values that are no amounts.
    others: u64,
    numbers: u64,
    pub(crate) has_negative: bool,
    pub(crate) has_fraction: bool,
    /// Signs such as € that stand beside the digits.
    pub(crate) signs: String,
    /// Votes for what stands before the fraction, and for what groups digits.
    dot: Votes,
    comma: Votes,
}

#[derive(Clone, Copy, Default)]
struct Votes {
    decimal: u64,
    thousands: u64,
}

impl Amounts {
    pub(crate) fn take(&mut self, value: &str) {
        const SIGNS: [char; 8] = ['€', '$', '£', '¥', '₹', ' ', '\u{a0}', '\u{202f}'];
        let bare: String = value.chars().filter(|c| !SIGNS.contains(c)).collect();
        let unsigned = bare.trim_start_matches(['-', '+', '−']);
        let is_number = unsigned.chars().any(|c| c.is_ascii_digit())
            && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
        if !is_number {
            self.others += 1;
            return;
        }
        self.numbers += 1;
        self.has_negative |= bare.starts_with(['-', '−']);
        for sign in value.chars().filter(|c| SIGNS.contains(c)) {
            if !self.signs.contains(sign) {
                self.signs.push(sign);
            }
        }
        let (dot, comma) = (unsigned.rfind('.'), unsigned.rfind(','));
        self.has_fraction |= dot.is_some() || comma.is_some();
        match (dot, comma) {
            (Some(dot), Some(comma)) => {
                let (decimal, thousands) = if dot > comma {
                    (&mut self.dot, &mut self.comma)
                } else {
                    (&mut self.comma, &mut self.dot)
                };
                decimal.decimal += 1;
                thousands.thousands += 1;
            }
            (Some(at), None) => vote(&mut self.dot, unsigned, at, '.'),
            (None, Some(at)) => vote(&mut self.comma, unsigned, at, ','),
            (None, None) => {}
        }
    }

    /// Whether the column is one of numbers.
    pub(crate) const fn is_numeric(&self) -> bool {
        self.numbers > 0 && self.others == 0
    }

    /// What stands before the fraction, and between groups of digits; `None` where the values contradict each other, or tell nothing
    /// and could be read in two ways.
    pub(crate) const fn separators(&self) -> Option<(char, Option<char>)> {
        let (dot, comma) = (self.dot, self.comma);
        match (dot.decimal > 0, comma.decimal > 0) {
            (true, true) => None,
            (true, false) if dot.thousands == 0 => Some(('.', if comma.thousands > 0 { Some(',') } else { None })),
            (false, true) if comma.thousands == 0 => Some((',', if dot.thousands > 0 { Some('.') } else { None })),
            (false, false) if dot.thousands == 0 && comma.thousands == 0 => Some(('.', None)),
            _ => None,
        }
    }
}

/// Three digits behind one separator may be a fraction or a thousand: that is a vote for neither but for a group of thousands.
fn vote(votes: &mut Votes, text: &str, at: usize, sign: char) {
    let behind = text.len() - at - sign.len_utf8();
    if text.matches(sign).count() > 1 || behind == 3 {
        votes.thousands += 1;
    } else {
        votes.decimal += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Amounts {
        let mut amounts = Amounts::default();
        values.iter().for_each(|value| amounts.take(value));
        amounts
    }

    #[test]
    fn separators_are_told_by_all_values_together() {
        assert_eq!(of(&["12.34", "5", "0.5"]).separators(), Some(('.', None)));
        assert_eq!(of(&["1,234.56", "7.10"]).separators(), Some(('.', Some(','))));
        assert_eq!(of(&["1.234,56", "7,10"]).separators(), Some((',', Some('.'))));
        assert_eq!(of(&["12,50"]).separators(), Some((',', None)));
        assert_eq!(of(&["1.234"]).separators(), None, "a thousand, or a fraction");
        assert_eq!(of(&["1.50", "1,50"]).separators(), None);
        assert!(!of(&["12", "n/a"]).is_numeric() && of(&["€ 12", "-3"]).is_numeric());
        assert_eq!(of(&["€ 12.00"]).signs, "€ ");
    }
}
