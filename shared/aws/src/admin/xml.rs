//! Answers in XML, as the older services of AWS give them: a tree of elements, without attributes.

use std::borrow::Cow;

use xmlparser::{ElementEnd, Token, Tokenizer};

/// Elements within elements: AWS's answers have ten or so.
const DEPTH_MAX: usize = 64;
/// Elements of one answer: a page of a hundred resources has some thousands.
const ELEMENTS_MAX: usize = 200_000;

/// An element: its name without a prefix, its own text, and the elements in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document; `None` when it is no XML, or larger or deeper than an answer of AWS is.
    pub(super) fn read(document: &str) -> Option<Self> {
        let mut open: Vec<Self> = Vec::new();
        let mut elements = 0;
        for token in Tokenizer::from(document) {
            match token.ok()? {
                Token::ElementStart { local, .. } => {
                    elements += 1;
                    if open.len() >= DEPTH_MAX || elements > ELEMENTS_MAX {
                        return None;
                    }
                    open.push(Self {
                        name: local.as_str().to_owned(),
                        ..Self::default()
                    });
                }
                Token::ElementEnd { end, .. } if end != ElementEnd::Open => {
                    let done = open.pop()?;
                    if matches!(end, ElementEnd::Close(_, name) if name.as_str() != done.name) {
                        return None;
                    }
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Some(done),
                    }
                }
                Token::Text { text } => open.last_mut()?.add(&unescaped(text.as_str())),
                Token::Cdata { text, .. } => open.last_mut()?.add(text.as_str()),
                _ => {}
            }
        }
        None
    }

    fn add(&mut self, text: &str) {
        self.text += text;
    }

    /// The first element of this name in this one.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element of this name in this one, where it has some.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.text.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The same as a value of its own; empty where it is not there.
    pub(super) fn owned(&self, name: &str) -> String {
        self.text_of(name).unwrap_or_default().to_owned()
    }

    /// The elements of this name in this one.
    pub(super) fn children_of(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The members of a list of this name in this one.
    pub(super) fn members(&self, name: &str) -> impl Iterator<Item = &Self> {
        let list = self.child(name).map_or(&[][..], |list| &list.children);
        list.iter().filter(|child| child.name == "member")
    }

    /// The first element of this name, this one or anywhere in it.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

/// Text with its entities replaced. One that is unknown stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain += &rest[..at];
        rest = &rest[at..];
        let entity = rest
            .find(';')
            .and_then(|end| Some((end, character(rest.get(1..end)?)?)));
        match entity {
            Some((end, letter)) => {
                plain.push(letter);
                rest = &rest[end + 1..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    Cow::Owned(plain + rest)
}

/// The character that an entity stands for.
fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_tree_of_names_and_texts() {
        let document = "<?xml version=\"1.0\"?>\n<R xmlns=\"http://aws/\"><Result><Stacks>\n<member><Name>a &amp; b&#x21;</Name><Empty/></member>\
                        <member><Name> c </Name></member><other/></Stacks></Result></R>";
        let root = Element::read(document).unwrap();
        let result = root.find("Result").unwrap();
        let names: Vec<String> = result.members("Stacks").map(|one| one.owned("Name")).collect();
        assert_eq!(names, ["a & b!", "c"]);
        assert_eq!(
            root.find("Empty").unwrap(),
            &Element {
                name: "Empty".to_owned(),
                ..Element::default()
            }
        );
        assert_eq!(result.members("Nothing").count(), 0);
        assert_eq!(root.text_of("Result"), None);
    }

    #[test]
    fn what_is_no_document_or_too_deep_is_none() {
        for wrong in ["", "{}", "<a>", "<a></b", "text", "<a><b></a></b>x<"] {
            assert_eq!(Element::read(wrong).map(|_| ()), None, "{wrong:?}");
        }
        let deep = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
        assert!(Element::read(&deep(DEPTH_MAX)).is_some());
        assert!(Element::read(&deep(DEPTH_MAX + 1)).is_none());
    }

    #[test]
    fn entities_that_are_none_stay_as_they_are() {
        assert_eq!(
            unescaped("a & b &unknown; &#0; &#55296; &lt;&gt;&quot;&apos;"),
            "a & b &unknown; \0 &#55296; <>\"'"
        );
    }
}
