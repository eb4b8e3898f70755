//! A source as a row of tokens: words, `::`, and single marks. Comments are gone, and a literal is one token.

/// What stands for a string, a byte string or a character.
const LITERAL: &str = "\"";

/// The tokens of a source.
pub(super) fn tokens(source: &str) -> Vec<String> {
    let letters: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let (token, next) = token_at(&letters, at);
        found.extend(token);
        at = next;
    }
    found
}

/// The token that begins there, if one does, and where the next one may begin.
fn token_at(letters: &[char], at: usize) -> (Option<String>, usize) {
    let next = letters.get(at + 1).copied();
    match (letters[at], next) {
        (letter, _) if letter.is_whitespace() => (None, at + 1),
        ('/', Some('/')) => (None, end_of_line(letters, at)),
        ('/', Some('*')) => (None, end_of_comment(letters, at)),
        ('"', _) => (Some(LITERAL.to_owned()), end_of_string(letters, at)),
        ('\'', _) => end_of_quote(letters, at),
        (':', Some(':')) => (Some("::".to_owned()), at + 2),
        (letter, _) if is_word(letter) => word_at(letters, at),
        (mark, _) => (Some(mark.to_string()), at + 1),
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn end_of_line(letters: &[char], at: usize) -> usize {
    let length = letters[at..].iter().take_while(|letter| **letter != '\n').count();
    at + length
}

/// Comments stand within comments in Rust.
fn end_of_comment(letters: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < letters.len() {
        match (letters[at], letters.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(letters: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < letters.len() && letters[at] != '"' {
        at += if letters[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A character, or a lifetime, which is no token.
fn end_of_quote(letters: &[char], at: usize) -> (Option<String>, usize) {
    let is_escape = letters.get(at + 1) == Some(&'\\');
    if is_escape || letters.get(at + 2) == Some(&'\'') {
        // What follows a backslash may be a quote itself.
        let from = at + if is_escape { 3 } else { 2 };
        let length = letters[from..].iter().take_while(|letter| **letter != '\'').count();
        return (Some(LITERAL.to_owned()), from + length + 1);
    }
    let length = letters[at + 1..].iter().take_while(|letter| is_word(**letter)).count();
    (None, at + 1 + length)
}

/// A word, a raw word without its `r#`, or a string with a prefix.
fn word_at(letters: &[char], at: usize) -> (Option<String>, usize) {
    let word: String = letters[at..].iter().take_while(|letter| is_word(**letter)).collect();
    let end = at + word.chars().count();
    let hashes = letters[end..].iter().take_while(|letter| **letter == '#').count();
    let is_quoted = letters.get(end + hashes) == Some(&'"');
    match word.as_str() {
        "r" | "br" | "cr" if is_quoted => (Some(LITERAL.to_owned()), end_of_raw(letters, end + hashes, hashes)),
        "b" | "c" if is_quoted && hashes == 0 => (Some(LITERAL.to_owned()), end_of_string(letters, end)),
        "b" if letters.get(end) == Some(&'\'') => end_of_quote(letters, end),
        "r" if hashes == 1 => word_at(letters, end + 1),
        _ => (Some(word), end),
    }
}

/// A raw string ends with a quote and as many hashes as it began with.
fn end_of_raw(letters: &[char], quote: usize, hashes: usize) -> usize {
    let mut at = quote + 1;
    while at < letters.len() {
        let closes =
            letters[at] == '"' && letters[at + 1..].iter().take_while(|letter| **letter == '#').count() >= hashes;
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    at
}

#[test]
fn comments_and_literals_hold_no_words() {
    let source = r##"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        fn f<'long>(x: &'long str) -> char { g("crate::e \" crate::f"); h(r#"crate::"g"#); i(b'\''); '\u{41}' }
        r#type::x;
    "##;
    let words: Vec<String> = tokens(source).into_iter().filter(|token| token != LITERAL).collect();
    let wanted = "fn f < > ( x : & str ) - > char { g ( ) ; h ( ) ; i ( ) ; } type :: x ;";
    assert_eq!(words.join(" "), wanted);
}
