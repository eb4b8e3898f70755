//! An error in words: what it says, and what its causes say.

use std::error::Error;

/// An error and every cause behind it, from the outermost to the innermost. An error's own text never repeats its cause.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
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

    #[test]
    fn each_cause_is_told_once() {
        assert_eq!(causes(&Outer(Middle(Inner))), "the read failed: no answer");
    }
}
