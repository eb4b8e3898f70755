//! A program as a list of steps with two ways on from each: what nearly every rule takes for nearly every event.
//!
//! A step looks at one fact and goes on where that leads. The first thing that is missing or has no result ends the walk: then the tree is
//! evaluated, which knows what follows of it. As long as nothing is, the order of `&&` and `||` can't be told, and both say the same.

use super::facts::{CodeFact, Facts, NumberFact, WholeFact};
use super::program::{Compare, Lack, Test};

/// Where a walk ends.
const HOLDS: u16 = u16::MAX;
const HOLDS_NOT: u16 = u16::MAX - 1;

/// Codes that are compared one by one.
const FEW: usize = 4;

/// The steps of a program. The last one is the first to be taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps(Box<[Step]>);

#[derive(Clone, Debug, PartialEq)]
struct Step {
    look: Look,
    /// Where it goes on when it is not so, and when it is.
    next: [u16; 2],
}

#[derive(Clone, Debug, PartialEq)]
enum Look {
    /// The bits: whether less, equal and more are so.
    Whole(WholeFact, u8, i64),
    Number(NumberFact, u8, f64),
    Code(CodeFact, u32),
    /// One of a few; of fewer the last one stands again.
    CodeAmong(CodeFact, [u32; FEW]),
    CodeIn(CodeFact, Box<[u32]>),
    Other(Test),
}

impl Steps {
    pub(super) fn of(test: &Test) -> Self {
        let mut steps = Vec::new();
        add(test, [HOLDS_NOT, HOLDS], &mut steps);
        Self(steps.into())
    }

    /// Whether the program holds; `None`: only the tree can tell.
    #[inline(always)]
    pub(super) fn walk<F: Facts>(&self, facts: &F) -> Option<bool> {
        let mut step = self.0.last()?;
        loop {
            let is_so = match &step.look {
                Look::Whole(fact, bits, constant) => bits >> order(&facts.whole(*fact)?, constant) & 1 == 1,
                Look::Code(fact, constant) => facts.code(*fact)? == *constant,
                Look::CodeAmong(fact, few) => {
                    let code = facts.code(*fact)?;
                    few.iter().fold(false, |found, one| found | (*one == code))
                }
                Look::CodeIn(fact, list) => {
                    let code = facts.code(*fact)?;
                    list.contains(&code)
                }
                Look::Number(fact, bits, constant) => bits >> order(&facts.number(*fact)?, constant) & 1 == 1,
                Look::Other(test) => test.holds(facts).ok()?,
            };
            let next = step.next[usize::from(is_so)];
            match self.0.get(usize::from(next)) {
                Some(found) => step = found,
                None => return Some(next == HOLDS),
            }
        }
    }
}

/// 0 for less, 1 for equal, 2 for more.
#[inline(always)]
fn order<T: PartialOrd>(one: &T, other: &T) -> u8 {
    u8::from(one >= other) + u8::from(one > other)
}

const fn bits_of(compare: Compare) -> u8 {
    match compare {
        Compare::Equal => 0b010,
        Compare::Unequal => 0b101,
        Compare::Less => 0b001,
        Compare::AtMost => 0b011,
        Compare::More => 0b100,
        Compare::AtLeast => 0b110,
    }
}

/// One of a list of codes.
fn among(fact: CodeFact, list: &[u32]) -> Look {
    match list.split_last() {
        Some((last, others)) if others.len() < FEW => {
            let mut few = [*last; FEW];
            few[..others.len()].copy_from_slice(others);
            Look::CodeAmong(fact, few)
        }
        _ => Look::CodeIn(fact, list.into()),
    }
}

/// Adds the steps of a test before those that are there, and says where they begin.
fn add(test: &Test, next: [u16; 2], steps: &mut Vec<Step>) -> u16 {
    let [not, so] = next;
    let (look, next) = match test {
        Test::All(parts) => return parts.iter().rev().fold(so, |so, part| add(part, [not, so], steps)),
        Test::Any(parts) => return parts.iter().rev().fold(not, |not, part| add(part, [not, so], steps)),
        Test::Not(part) => return add(part, [so, not], steps),
        Test::WholeIs(fact, compare, constant) => (Look::Whole(*fact, bits_of(*compare), *constant), next),
        Test::NumberIs(fact, compare, constant) => (Look::Number(*fact, bits_of(*compare), *constant), next),
        Test::CodeIs(fact, false, constant) => (Look::Code(*fact, *constant), next),
        Test::CodeIs(fact, true, constant) => (Look::Code(*fact, *constant), [so, not]),
        Test::CodeIn(fact, list) => (among(*fact, list), next),
        other => (Look::Other(other.clone()), next),
    };
    steps.push(Step { look, next });
    // An expression of so many bytes has fewer parts.
    u16::try_from(steps.len() - 1).unwrap_or(HOLDS_NOT)
}

const _: () = assert!(super::RULE_BYTES_MAX < HOLDS_NOT as usize);

/// What a program comes to.
#[inline]
pub(super) fn holds<F: Facts>(steps: &Steps, test: &Test, facts: &F) -> Result<bool, Lack> {
    match steps.walk(facts) {
        Some(holds) => Ok(holds),
        None => test.holds(facts),
    }
}
