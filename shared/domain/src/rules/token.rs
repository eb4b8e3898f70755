//! A rule's text as tokens.

use super::RuleProblem;

/// A token and its place, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) what: What,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A whole number.
    Whole(i64),
    /// A number with a fraction or an exponent.
    Number(f64),
    /// A text, without its quotes.
    Text(String),
    /// A name, or a word of the language.
    Word(String),
    /// One of [`SIGNS`].
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Signs, those of two characters first.
const SIGNS: [&str; 22] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")", "[", "]", ",", ".",
];

impl What {
    /// For a person.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Whole(number) => format!("`{number}`"),
            Self::Number(number) => format!("`{number}`"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Word(word) => format!("`{word}`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// The tokens of a text, the end last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, RuleProblem> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        if matches!(first, ' ' | '\t' | '\n' | '\r') {
            at += 1;
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            let (what, length) =
                token(rest, first).map_err(|(within, message)| RuleProblem::new(at + within, message))?;
            tokens.push(Token { at, what });
            at += length;
        }
    }
    tokens.push(Token { at, what: What::End });
    Ok(tokens)
}

/// A problem with its place within the token.
type Trouble = (usize, String);

fn token(rest: &str, first: char) -> Result<(What, usize), Trouble> {
    match first {
        'a'..='z' | 'A'..='Z' | '_' => word(rest),
        '0'..='9' => number(rest),
        '\'' | '"' => quoted(rest, first),
        _ => match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            Some(sign) => Ok((What::Sign(sign), sign.len())),
            None => Err((0, unknown_sign(first))),
        },
    }
}

fn unknown_sign(first: char) -> String {
    match first {
        '=' => "`=` alone means nothing, write `==` for \"is equal to\"".to_owned(),
        '&' => "`&` alone means nothing, write `&&` for \"and\"".to_owned(),
        '|' => "`|` alone means nothing, write `||` for \"or\"".to_owned(),
        '{' | '}' => "rules have no maps, expected an expression without `{` and `}`".to_owned(),
        other => format!("unknown character {other:?}, expected an expression such as `event.amount_minor > 20000`"),
    }
}

fn word(rest: &str) -> Result<(What, usize), Trouble> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let length = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
    let (word, after) = rest.split_at(length);
    if after.starts_with(['\'', '"']) && matches!(word, "r" | "R" | "b" | "B" | "br" | "rb") {
        return Err((
            0,
            format!("texts with `{word}` before them are not part of rules, write a plain text in quotes"),
        ));
    }
    Ok((What::Word(word.to_owned()), length))
}

fn number(rest: &str) -> Result<(What, usize), Trouble> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if rest.starts_with("0x") || rest.starts_with("0X") {
        return Err((
            0,
            "numbers in hexadecimal digits are not part of rules, write a decimal one".to_owned(),
        ));
    }
    let mut length = digits(0);
    let mut is_whole = true;
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
        is_whole = false;
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = bytes.get(length + 1 + sign..).map_or(0, |_| digits(length + 1 + sign));
        if exponent > 0 {
            length += 1 + sign + exponent;
            is_whole = false;
        }
    }
    let (text, after) = rest.split_at(length);
    if after.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_') {
        let message =
            format!("`{text}` is followed by a letter, expected a number such as 200 or 0.5 (rules have no `u`)");
        return Err((0, message));
    }
    let what = if is_whole {
        text.parse().ok().map(What::Whole)
    } else {
        text.parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(What::Number)
    };
    what.map(|what| (what, length)).ok_or_else(|| {
        (
            0,
            format!("the number {text} is too great, expected at most {}", i64::MAX),
        )
    })
}

fn quoted(rest: &str, quote: char) -> Result<(What, usize), Trouble> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if letter == quote => return Ok((What::Text(text), at + 1)),
            '\n' | '\r' => break,
            '\\' => {
                let escaped = letters.next().map(|(_, escaped)| escaped);
                let meant = match escaped {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(same @ ('\\' | '\'' | '"' | '?' | '`')) => same,
                    _ => {
                        let message = "unknown escape, expected one of \\\\, \\', \\\", \\n, \\t, \\r";
                        return Err((at, message.to_owned()));
                    }
                };
                text.push(meant);
            }
            _ => text.push(letter),
        }
    }
    Err((
        0,
        format!("the text that begins here has no end, expected a closing {quote}"),
    ))
}
