//! From a tree to a program: every part gets its type, or the rule a problem with its place.

use crate::lists::ListOf;

use super::facts::{Fact, Known, TextFact};
use super::program::{Arithmetic, Compare, Number, Test, Text, Whole};
use super::syntax::{Node, Tree};
use super::{RuleProblem, Slots};

/// Whole numbers up to here are numbers with a fraction, too, without a loss.
const EXACT_MAX: u64 = 1 << 53;

/// A part with its type.
enum Typed {
    Test(Test),
    Whole(Whole),
    Number(Number),
    Text(Text),
}

impl Typed {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Test(_) => "true or false",
            Self::Whole(_) => "a whole number",
            Self::Number(_) => "a number with a fraction",
            Self::Text(_) => "a text",
        }
    }
}

type Checked<T> = Result<T, RuleProblem>;

/// The program of an expression that is true or false.
pub(super) fn check(tree: &Tree, known: &Known<'_>, slots: &mut Slots) -> Checked<Test> {
    Checker { known, slots }.test(tree)
}

struct Checker<'k, 's> {
    known: &'k Known<'k>,
    slots: &'s mut Slots,
}

fn problem<T>(at: usize, message: impl Into<String>) -> Checked<T> {
    Err(RuleProblem::new(at, message))
}

impl Checker<'_, '_> {
    fn test(&mut self, tree: &Tree) -> Checked<Test> {
        match self.typed(tree)? {
            Typed::Test(test) => Ok(test),
            other => problem(
                tree.at,
                format!(
                    "expected something that is true or false here, such as a comparison, found {}",
                    other.kind()
                ),
            ),
        }
    }

    fn text(&mut self, tree: &Tree, of: &str) -> Checked<Text> {
        match self.typed(tree)? {
            Typed::Text(text) => Ok(text),
            other => problem(tree.at, format!("expected a text for {of}, found {}", other.kind())),
        }
    }

    fn tests(&mut self, trees: &[Tree]) -> Checked<Box<[Test]>> {
        trees.iter().map(|tree| self.test(tree)).collect()
    }

    fn typed(&mut self, tree: &Tree) -> Checked<Typed> {
        let at = tree.at;
        Ok(match &tree.node {
            Node::Bool(holds) => Typed::Test(Test::Always(*holds)),
            Node::Whole(number) => Typed::Whole(Whole::Constant(*number)),
            Node::Number(number) => Typed::Number(Number::Constant(*number)),
            Node::Text(text) => Typed::Text(Text::Constant(text.as_str().into())),
            Node::List(_) => {
                return problem(
                    at,
                    "a list stands only behind `in`, as in event.country in [\"DE\", \"FR\"]",
                );
            }
            Node::Name(_) | Node::Member(..) => match self.fact(tree)? {
                Fact::Whole(fact) => Typed::Whole(Whole::Fact(fact)),
                Fact::Number(fact) => Typed::Number(Number::Fact(fact)),
                Fact::Text(fact) => Typed::Text(Text::Fact(fact)),
                Fact::Approved => Typed::Test(Test::Approved),
            },
            Node::Not(of) => Typed::Test(Test::Not(Box::new(self.test(of)?))),
            Node::Negative(of) => match self.typed(of)? {
                Typed::Whole(Whole::Constant(number)) => Typed::Whole(Whole::Constant(-number)),
                Typed::Whole(whole) => Typed::Whole(Whole::Negative(Box::new(whole))),
                Typed::Number(Number::Constant(number)) => Typed::Number(Number::Constant(-number)),
                Typed::Number(number) => Typed::Number(Number::Negative(Box::new(number))),
                other => return problem(at, format!("expected a number behind `-`, found {}", other.kind())),
            },
            Node::All(parts) => Typed::Test(Test::All(self.tests(parts)?)),
            Node::Any(parts) => Typed::Test(Test::Any(self.tests(parts)?)),
            Node::Binary("in", pair) => Typed::Test(self.is_in(pair)?),
            Node::Binary(sign, pair) => match (Compare::of_sign(sign), Arithmetic::of_sign(sign)) {
                (Some(compare), _) => Typed::Test(self.compared(at, sign, compare, pair)?),
                (_, Some(arithmetic)) => self.calculated(at, sign, arithmetic, pair)?,
                _ => return problem(at, format!("`{sign}` is no operator of rules")),
            },
            Node::Choice(three) => self.chosen(at, three)?,
            Node::Call(of, name, arguments) => self.called(at, of.as_deref(), name, arguments)?,
        })
    }

    fn fact(&mut self, tree: &Tree) -> Checked<Fact> {
        match tree.path() {
            Some(path) => self.known.find(&path, tree.at, self.slots),
            None => problem(tree.at, "only names have members, as in event.country"),
        }
    }

    fn compared(&mut self, at: usize, sign: &str, compare: Compare, pair: &[Tree; 2]) -> Checked<Test> {
        let [one, other] = pair;
        let (left, right) = (self.typed(one)?, self.typed(other)?);
        let is_equality = matches!(compare, Compare::Equal | Compare::Unequal);
        Ok(match (left, right) {
            (Typed::Whole(Whole::Fact(fact)), Typed::Whole(Whole::Constant(number))) => {
                Test::WholeIs(fact, compare, number)
            }
            (Typed::Whole(Whole::Constant(number)), Typed::Whole(Whole::Fact(fact))) => {
                Test::WholeIs(fact, compare.turned(), number)
            }
            (Typed::Whole(one), Typed::Whole(other)) => Test::Wholes(compare, Box::new([one, other])),
            (Typed::Number(one), Typed::Number(other)) => of_numbers(one, compare, other),
            (Typed::Number(number), Typed::Whole(Whole::Constant(whole))) if whole.unsigned_abs() <= EXACT_MAX => {
                of_numbers(number, compare, Number::Constant(whole as f64))
            }
            (Typed::Whole(Whole::Constant(whole)), Typed::Number(number)) if whole.unsigned_abs() <= EXACT_MAX => {
                of_numbers(number, compare.turned(), Number::Constant(whole as f64))
            }
            (Typed::Whole(whole), Typed::Number(number)) => Test::Mixed(compare, Box::new((whole, number))),
            (Typed::Number(number), Typed::Whole(whole)) => Test::Mixed(compare.turned(), Box::new((whole, number))),
            (Typed::Text(left), Typed::Text(right)) if is_equality => {
                let differs = compare == Compare::Unequal;
                takes(&left, &right, other.at)?;
                takes(&right, &left, one.at)?;
                match (left, right) {
                    (Text::Fact(fact), Text::Constant(text)) | (Text::Constant(text), Text::Fact(fact)) => {
                        let code = fact.code().and_then(|code| Some((code, code.number_of(&text)?)));
                        match code {
                            Some((code, number)) => Test::CodeIs(code, differs, number),
                            None => Test::TextIs(fact, differs, text),
                        }
                    }
                    (left, right) => Test::Texts(differs, Box::new([left, right])),
                }
            }
            (Typed::Test(left), Typed::Test(right)) if is_equality => {
                Test::Same(compare == Compare::Unequal, Box::new([left, right]))
            }
            (Typed::Text(_), Typed::Text(_)) | (Typed::Test(_), Typed::Test(_)) => {
                return problem(
                    at,
                    format!("`{sign}` compares numbers only, expected `==` or `!=` here"),
                );
            }
            (left, right) => {
                let message = format!(
                    "`{sign}` compares {} with {}, expected two numbers or two of the same kind",
                    left.kind(),
                    right.kind()
                );
                return problem(at, message);
            }
        })
    }

    fn calculated(&mut self, at: usize, sign: &str, arithmetic: Arithmetic, pair: &[Tree; 2]) -> Checked<Typed> {
        let [one, other] = pair;
        Ok(match (self.typed(one)?, self.typed(other)?) {
            (Typed::Whole(_), Typed::Whole(Whole::Constant(0)))
                if matches!(arithmetic, Arithmetic::Divide | Arithmetic::Remainder) =>
            {
                return problem(other.at, "this divides by zero, so that the rule would never hold");
            }
            (Typed::Number(_), Typed::Number(Number::Constant(0.0))) if arithmetic == Arithmetic::Divide => {
                return problem(other.at, "this divides by zero, so that the rule would never hold");
            }
            (Typed::Whole(one), Typed::Whole(other)) => Typed::Whole(Whole::Of(arithmetic, Box::new([one, other]))),
            (Typed::Number(_), Typed::Number(_)) if arithmetic == Arithmetic::Remainder => {
                return problem(at, "`%` is of whole numbers only, found numbers with a fraction");
            }
            (Typed::Number(one), Typed::Number(other)) => Typed::Number(Number::Of(arithmetic, Box::new([one, other]))),
            (Typed::Whole(_), Typed::Number(_)) | (Typed::Number(_), Typed::Whole(_)) => {
                let message = format!(
                    "`{sign}` takes two whole numbers or two with a fraction, found one of each: write 2.0 for 2, and double(x) for a \
                     whole number x"
                );
                return problem(at, message);
            }
            (left, right) => {
                let message = format!("`{sign}` takes two numbers, found {} and {}", left.kind(), right.kind());
                return problem(at, message);
            }
        })
    }

    fn chosen(&mut self, at: usize, three: &[Tree; 3]) -> Checked<Typed> {
        let [test, holds, otherwise] = three;
        let test = self.test(test)?;
        Ok(match (self.typed(holds)?, self.typed(otherwise)?) {
            (Typed::Test(one), Typed::Test(other)) => Typed::Test(Test::Choice(Box::new([test, one, other]))),
            (Typed::Whole(one), Typed::Whole(other)) => Typed::Whole(Whole::Choice(Box::new((test, [one, other])))),
            (Typed::Number(one), Typed::Number(other)) => Typed::Number(Number::Choice(Box::new((test, [one, other])))),
            (Typed::Text(one), Typed::Text(other)) => Typed::Text(Text::Choice(Box::new((test, [one, other])))),
            (one, other) => {
                let message = format!(
                    "`? :` chooses between {} and {}, expected two of the same kind",
                    one.kind(),
                    other.kind()
                );
                return problem(at, message);
            }
        })
    }

    fn is_in(&mut self, pair: &[Tree; 2]) -> Checked<Test> {
        let [one, list] = pair;
        if let Some(["lists", name]) = list.path().as_deref() {
            return self.is_listed(one, name, list.at);
        }
        let Node::List(items) = &list.node else {
            return problem(
                list.at,
                "expected a list in brackets behind `in`, as in event.country in [\"DE\", \"FR\"], or one of the policy's, as in \
                 event.merchant_id in lists.mules",
            );
        };
        let of_kind = |item: &Tree, kind: &str, found: &Typed| {
            let message = format!("expected {kind} as a constant in this list, found {}", found.kind());
            RuleProblem::new(item.at, message)
        };
        Ok(match self.typed(one)? {
            Typed::Whole(whole) => {
                let items = items.iter().map(|item| match self.typed(item)? {
                    Typed::Whole(Whole::Constant(number)) => Ok(number),
                    other => Err(of_kind(item, "a whole number", &other)),
                });
                Test::WholeIn(Box::new(whole), items.collect::<Checked<_>>()?)
            }
            Typed::Number(number) => {
                let items = items.iter().map(|item| match self.typed(item)? {
                    Typed::Number(Number::Constant(number)) => Ok(number),
                    Typed::Whole(Whole::Constant(whole)) if whole.unsigned_abs() <= EXACT_MAX => Ok(whole as f64),
                    other => Err(of_kind(item, "a number", &other)),
                });
                Test::NumberIn(Box::new(number), items.collect::<Checked<_>>()?)
            }
            Typed::Text(text) => {
                let items = items.iter().map(|item| match self.typed(item)? {
                    Typed::Text(item_text) => {
                        takes(&text, &item_text, item.at)?;
                        match item_text {
                            Text::Constant(constant) => Ok(constant),
                            other => Err(of_kind(item, "a text", &Typed::Text(other))),
                        }
                    }
                    other => Err(of_kind(item, "a text", &other)),
                });
                let items: Box<[Box<str>]> = items.collect::<Checked<_>>()?;
                let codes = match &text {
                    Text::Fact(fact) => fact.code(),
                    _ => None,
                };
                let numbers = codes.map(|code| {
                    items
                        .iter()
                        .map(|item| code.number_of(item))
                        .collect::<Option<Box<[u32]>>>()
                });
                match codes.zip(numbers.flatten()) {
                    Some((code, numbers)) => Test::CodeIn(code, numbers),
                    None => Test::TextIn(Box::new(text), items),
                }
            }
            other @ Typed::Test(_) => {
                return problem(
                    one.at,
                    format!("expected a number or a text before `in`, found {}", other.kind()),
                );
            }
        })
    }

    /// Whether one of the policy's lists has a text.
    fn is_listed(&mut self, one: &Tree, name: &str, at: usize) -> Checked<Test> {
        let (list, terms) = self.known.list(name, at)?;
        let text = self.text(one, "a list of the policy")?;
        may_be_in(&text, terms.of).or_else(|message| problem(one.at, message))?;
        Ok(Test::Listed(Box::new(text), list))
    }

    fn called(&mut self, at: usize, of: Option<&Tree>, name: &str, arguments: &[Tree]) -> Checked<Typed> {
        Ok(match (name, of, arguments) {
            ("has", None, [asked]) => Typed::Test(match self.fact(asked)? {
                Fact::Whole(fact) => Test::HasWhole(fact),
                Fact::Number(fact) => Test::HasNumber(fact),
                Fact::Text(fact) => Test::HasText(fact),
                Fact::Approved => Test::Always(true),
            }),
            ("size", None, [text]) | ("size", Some(text), []) => {
                Typed::Whole(Whole::Size(Box::new(self.text(text, "size()")?)))
            }
            ("startsWith" | "endsWith" | "contains", Some(text), [part]) => {
                let pair = Box::new([self.text(text, name)?, self.text(part, name)?]);
                Typed::Test(match name {
                    "startsWith" => Test::StartsWith(pair),
                    "endsWith" => Test::EndsWith(pair),
                    _ => Test::Contains(pair),
                })
            }
            ("double", None, [of]) => match self.typed(of)? {
                Typed::Whole(whole) => Typed::Number(Number::OfWhole(Box::new(whole))),
                Typed::Number(number) => Typed::Number(number),
                other => return problem(of.at, format!("expected a number for double(), found {}", other.kind())),
            },
            ("matches", ..) => {
                return problem(
                    at,
                    "rules have no matches(): its cost has no bound. Use startsWith, endsWith, contains, or `in` and a list",
                );
            }
            ("has" | "size" | "startsWith" | "endsWith" | "contains" | "double", ..) => {
                return problem(at, format!("`{name}` is called otherwise, expected {}", CALLS));
            }
            _ => return problem(at, format!("unknown function `{name}`, expected {}", CALLS)),
        })
    }
}

/// The functions as they are called.
const CALLS: &str =
    "one of: has(name), size(text), text.startsWith(part), text.endsWith(part), text.contains(part), double(number)";

fn of_numbers(one: Number, compare: Compare, other: Number) -> Test {
    match (one, other) {
        (Number::Fact(fact), Number::Constant(number)) => Test::NumberIs(fact, compare, number),
        (Number::Constant(number), Number::Fact(fact)) => Test::NumberIs(fact, compare.turned(), number),
        (one, other) => Test::Numbers(compare, Box::new([one, other])),
    }
}

/// Whether a list of such entries can hold a text; if not, why.
fn may_be_in(text: &Text, list: ListOf) -> Result<(), String> {
    match text {
        Text::Fact(fact) => fact.may_be_in(list),
        Text::Constant(_) => Err("expected a name such as event.merchant_id before a list of the policy".to_owned()),
        Text::Choice(choice) => choice.1.iter().try_for_each(|text| may_be_in(text, list)),
    }
}

/// Whether a fact can be a constant that it is compared with.
fn takes(one: &Text, other: &Text, at: usize) -> Checked<()> {
    let (Text::Fact(fact), Text::Constant(text)) = (one, other) else {
        return Ok(());
    };
    TextFact::takes(*fact, text).or_else(|message| problem(at, message))
}
