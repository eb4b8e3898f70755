//! An error in words: what it says, and what its causes say.

use std::error::Error;

/// An error and every cause behind it, from the outermost to the innermost. Our own errors never repeat their cause in their
/// text; what others' repeat is told once.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no answer")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("the read failed")]
    struct Middle(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Outer(Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("the call failed: {0}")]
    struct Repeats(#[source] Middle);

    #[test]
    fn each_cause_is_told_once() {
        assert_eq!(causes(&Outer(Middle(Inner))), "the read failed: no answer");
        assert_eq!(
            causes(&Repeats(Middle(Inner))),
            "the call failed: the read failed: no answer"
        );
    }
}
