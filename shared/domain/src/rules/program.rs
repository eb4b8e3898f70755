//! A rule with types, over slots: what is evaluated for an event. Nothing in it allocates, loops over anything but what the rule itself
//! has, or fails otherwise than by a value that is missing or arithmetic that has no result.
//!
//! As the Common Expression Language has it, `&&` and `||` are of no order: one false part makes an `&&` false and one true part an `||`
//! true, whatever the others lack; otherwise the first part from the left that lacks something says what it is.

use std::cmp::Ordering;

use super::facts::{CodeFact, Facts, NumberFact, TextFact, WholeFact};

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Something that it reads is missing from the event.
    Missing,
    /// Arithmetic without a result: a division by zero, or a number that is out of range.
    Undefined,
}

/// A value, or why there is none.
type Value<T> = Result<T, Lack>;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Compare {
    pub(super) fn of_sign(sign: &str) -> Option<Self> {
        Some(match sign {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::More,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// The comparison with both sides exchanged.
    pub(super) const fn turned(self) -> Self {
        match self {
            Self::Equal | Self::Unequal => self,
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }

    #[inline(always)]
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// What is done with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// Of whole numbers alone.
    Remainder,
}

impl Arithmetic {
    pub(super) fn of_sign(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "%" => Self::Remainder,
            _ => return None,
        })
    }
}

/// What holds or does not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Always(bool),
    Approved,
    HasWhole(WholeFact),
    HasNumber(NumberFact),
    HasText(TextFact),
    Not(Box<Test>),
    All(Box<[Test]>),
    Any(Box<[Test]>),
    Choice(Box<[Test; 3]>),
    /// Whether two tests come to the same; the flag: to different things.
    Same(bool, Box<[Test; 2]>),
    /// The most usual tests of all: a fact against constants.
    WholeIs(WholeFact, Compare, i64),
    NumberIs(NumberFact, Compare, f64),
    /// The flag: it is another one.
    CodeIs(CodeFact, bool, u32),
    CodeIn(CodeFact, Box<[u32]>),
    /// The flag: it is another text.
    TextIs(TextFact, bool, Box<str>),
    Wholes(Compare, Box<[Whole; 2]>),
    Numbers(Compare, Box<[Number; 2]>),
    /// A whole number against one with a fraction, by their exact values.
    Mixed(Compare, Box<(Whole, Number)>),
    /// The flag: they differ.
    Texts(bool, Box<[Text; 2]>),
    WholeIn(Box<Whole>, Box<[i64]>),
    NumberIn(Box<Number>, Box<[f64]>),
    TextIn(Box<Text>, Box<[Box<str>]>),
    /// Whether a list of the policy has a text: its place among the policy's.
    Listed(Box<Text>, usize),
    StartsWith(Box<[Text; 2]>),
    EndsWith(Box<[Text; 2]>),
    Contains(Box<[Text; 2]>),
}

/// A whole number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Whole {
    Constant(i64),
    Fact(WholeFact),
    Negative(Box<Whole>),
    Of(Arithmetic, Box<[Whole; 2]>),
    Choice(Box<(Test, [Whole; 2])>),
    /// The characters of a text.
    Size(Box<Text>),
}

/// A number with a fraction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    Constant(f64),
    Fact(NumberFact),
    Negative(Box<Number>),
    Of(Arithmetic, Box<[Number; 2]>),
    Choice(Box<(Test, [Number; 2])>),
    OfWhole(Box<Whole>),
}

/// A text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Constant(Box<str>),
    Fact(TextFact),
    Choice(Box<(Test, [Text; 2])>),
}

impl Test {
    pub(super) fn holds<F: Facts>(&self, facts: &F) -> Value<bool> {
        match self {
            Self::All(parts) => every(parts, facts, false),
            Self::Any(parts) => every(parts, facts, true),
            Self::WholeIs(fact, compare, constant) => {
                let value = facts.whole(*fact).ok_or(Lack::Missing)?;
                Ok(compare.holds(value.cmp(constant)))
            }
            Self::CodeIs(fact, is_other, constant) => {
                let value = facts.code(*fact).ok_or(Lack::Missing)?;
                Ok((value == *constant) != *is_other)
            }
            Self::CodeIn(fact, list) => {
                let value = facts.code(*fact).ok_or(Lack::Missing)?;
                Ok(list.contains(&value))
            }
            Self::NumberIs(fact, compare, constant) => {
                let value = facts.number(*fact).ok_or(Lack::Missing)?;
                Ok(compare.holds(in_order(value, *constant)))
            }
            Self::TextIs(fact, is_other, constant) => {
                let value = facts.text(*fact).ok_or(Lack::Missing)?;
                Ok((value == &**constant) != *is_other)
            }
            Self::Not(part) => part.holds(facts).map(|holds| !holds),
            Self::Always(holds) => Ok(*holds),
            Self::Approved => Ok(facts.approved()),
            Self::HasWhole(fact) => Ok(facts.whole(*fact).is_some()),
            Self::HasNumber(fact) => Ok(facts.number(*fact).is_some()),
            Self::HasText(fact) => Ok(facts.text(*fact).is_some()),
            Self::Choice(three) => {
                let [test, holds, otherwise] = &**three;
                if test.holds(facts)? { holds } else { otherwise }.holds(facts)
            }
            Self::Same(differs, pair) => {
                let [one, other] = &**pair;
                Ok((one.holds(facts)? == other.holds(facts)?) != *differs)
            }
            Self::Wholes(compare, pair) => {
                let [one, other] = &**pair;
                Ok(compare.holds(one.value(facts)?.cmp(&other.value(facts)?)))
            }
            Self::Numbers(compare, pair) => {
                let [one, other] = &**pair;
                Ok(compare.holds(in_order(one.value(facts)?, other.value(facts)?)))
            }
            Self::Mixed(compare, pair) => {
                let (whole, number) = &**pair;
                Ok(compare.holds(mixed(whole.value(facts)?, number.value(facts)?)))
            }
            Self::Texts(differs, pair) => {
                let [one, other] = &**pair;
                Ok((one.value(facts)? == other.value(facts)?) != *differs)
            }
            Self::WholeIn(whole, list) => Ok(list.contains(&whole.value(facts)?)),
            Self::NumberIn(number, list) => {
                let number = number.value(facts)?;
                Ok(list.iter().any(|one| in_order(*one, number).is_eq()))
            }
            Self::TextIn(text, list) => {
                let text = text.value(facts)?;
                Ok(list.iter().any(|one| &**one == text))
            }
            Self::Listed(text, list) => facts.listed(*list, text.value(facts)?).ok_or(Lack::Missing),
            Self::StartsWith(pair) => of_texts(pair, facts, |text, part| text.starts_with(part)),
            Self::EndsWith(pair) => of_texts(pair, facts, |text, part| text.ends_with(part)),
            Self::Contains(pair) => of_texts(pair, facts, |text, part| text.contains(part)),
        }
    }
}

/// Whether one part is `decides`; where none is, the first lack from the left.
fn every<F: Facts>(parts: &[Test], facts: &F, decides: bool) -> Value<bool> {
    let mut lack = None;
    for part in parts {
        match part.holds(facts) {
            Ok(holds) if holds == decides => return Ok(decides),
            Ok(_) => {}
            Err(found) => lack = lack.or(Some(found)),
        }
    }
    lack.map_or(Ok(!decides), Err)
}

fn of_texts<F: Facts>(pair: &[Text; 2], facts: &F, is: impl Fn(&str, &str) -> bool) -> Value<bool> {
    let [text, part] = pair;
    Ok(is(text.value(facts)?, part.value(facts)?))
}

/// Finite numbers by their values: 0 and −0 are one.
fn in_order(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or(Ordering::Equal)
}

/// A whole number against a finite one, by their exact values.
fn mixed(whole: i64, number: f64) -> Ordering {
    /// 2⁶³: no whole number reaches it.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if number >= BEYOND {
        return Ordering::Less;
    }
    if number < -BEYOND {
        return Ordering::Greater;
    }
    let floor = number.floor();
    // Within the range of whole numbers.
    let order = whole.cmp(&(floor as i64));
    if order.is_eq() && number > floor {
        Ordering::Less
    } else {
        order
    }
}

impl Whole {
    fn value<F: Facts>(&self, facts: &F) -> Value<i64> {
        match self {
            Self::Constant(number) => Ok(*number),
            Self::Fact(fact) => facts.whole(*fact).ok_or(Lack::Missing),
            Self::Negative(of) => of.value(facts)?.checked_neg().ok_or(Lack::Undefined),
            Self::Of(arithmetic, pair) => {
                let [one, other] = &**pair;
                let (one, other) = (one.value(facts)?, other.value(facts)?);
                let result = match arithmetic {
                    Arithmetic::Add => one.checked_add(other),
                    Arithmetic::Subtract => one.checked_sub(other),
                    Arithmetic::Multiply => one.checked_mul(other),
                    Arithmetic::Divide => one.checked_div(other),
                    Arithmetic::Remainder => one.checked_rem(other),
                };
                result.ok_or(Lack::Undefined)
            }
            Self::Choice(choice) => {
                let (test, [holds, otherwise]) = &**choice;
                if test.holds(facts)? { holds } else { otherwise }.value(facts)
            }
            Self::Size(text) => Ok(i64::try_from(text.value(facts)?.chars().count()).unwrap_or(i64::MAX)),
        }
    }
}

impl Number {
    fn value<F: Facts>(&self, facts: &F) -> Value<f64> {
        match self {
            Self::Constant(number) => Ok(*number),
            Self::Fact(fact) => facts.number(*fact).ok_or(Lack::Missing),
            Self::Negative(of) => Ok(-of.value(facts)?),
            Self::Of(arithmetic, pair) => {
                let [one, other] = &**pair;
                let (one, other) = (one.value(facts)?, other.value(facts)?);
                let result = match arithmetic {
                    Arithmetic::Add => one + other,
                    Arithmetic::Subtract => one - other,
                    Arithmetic::Multiply => one * other,
                    // There is no remainder of these: `check` refuses it.
                    Arithmetic::Divide | Arithmetic::Remainder => one / other,
                };
                if result.is_finite() {
                    Ok(result)
                } else {
                    Err(Lack::Undefined)
                }
            }
            Self::Choice(choice) => {
                let (test, [holds, otherwise]) = &**choice;
                if test.holds(facts)? { holds } else { otherwise }.value(facts)
            }
            Self::OfWhole(whole) => Ok(whole.value(facts)? as f64),
        }
    }
}

impl Text {
    fn value<'v, F: Facts>(&'v self, facts: &'v F) -> Value<&'v str> {
        match self {
            Self::Constant(text) => Ok(text),
            Self::Fact(fact) => facts.text(*fact).ok_or(Lack::Missing),
            Self::Choice(choice) => {
                let (test, [holds, otherwise]) = &**choice;
                if test.holds(facts)? { holds } else { otherwise }.value(facts)
            }
        }
    }
}
