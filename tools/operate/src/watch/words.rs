//! Texts and numbers that fit a screen.

/// A text in lines of at most so many characters, which end at words; only a longer word is cut.
pub(super) fn broken_at_words(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + length <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.chars().take(width).collect()),
        }
    }
    lines
}

/// A shard's number without its prefix and leading zeros.
pub(super) fn short(shard_id: &str) -> &str {
    let digits = shard_id.trim_start_matches("shardId-").trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

/// A length of time in a word: one unit.
pub(super) fn seconds(duration_ms: i64) -> String {
    match duration_ms {
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms < 120_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms if ms < 7_200_000 => format!("{} min", rounded(ms, 60_000)),
        ms if ms < 172_800_000 => format!("{} h", rounded(ms, 3_600_000)),
        ms => format!("{} d", rounded(ms, 86_400_000)),
    }
}

const fn rounded(length_ms: i64, unit_ms: i64) -> i64 {
    (length_ms + unit_ms / 2) / unit_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_one_unit_that_a_person_reads() {
        let times = [999, 1_250, 119_999, 7_199_999, 46_633_996, 172_800_000].map(seconds);
        assert_eq!(times, ["999 ms", "1.2 s", "119.9 s", "120 min", "13 h", "2 d"]);
    }

    #[test]
    fn lines_end_at_words() {
        assert_eq!(broken_at_words("many small amounts", 10), ["many small", "amounts"]);
        assert_eq!(broken_at_words("  unbreakable x", 5), ["unbre", "x"]);
        assert_eq!(broken_at_words("", 5), Vec::<String>::new());
    }
}
