//! Tokens as a tree: the grammar of the Common Expression Language, without what rules have no use for.
//!
//! ```text
//! choice    = any ["?" any ":" choice]
//! any       = all {"||" all}
//! all       = relation {"&&" relation}
//! relation  = sum {("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") sum}
//! sum       = product {("+" | "-") product}
//! product   = unary {("*" | "/" | "%") unary}
//! unary     = "!" {"!"} member | "-" {"-"} member | member
//! member    = primary {"." word ["(" [choice {"," choice}] ")"]}
//! primary   = number | text | "true" | "false" | "(" choice ")" | "[" [choice {"," choice}] "]" | word ["(" … ")"]
//! ```

use super::token::{Token, What, tokens};
use super::{RULE_BYTES_MAX, RULE_NESTING_MAX, RuleProblem};

/// A part of an expression, with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    pub(super) at: usize,
    pub(super) node: Node,
    /// How many levels lie below it, itself counted.
    depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Name(String),
    /// A member, and its name.
    Member(Box<Tree>, String),
    /// A function, what it is called on if anything, and its arguments.
    Call(Option<Box<Tree>>, String, Vec<Tree>),
    Not(Box<Tree>),
    Negative(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    /// An operator between two.
    Binary(&'static str, Box<[Tree; 2]>),
    /// A test, and what holds by it or else.
    Choice(Box<[Tree; 3]>),
}

/// The tree of an expression.
pub(super) fn parse(text: &str) -> Result<Tree, RuleProblem> {
    if text.len() > RULE_BYTES_MAX {
        let message = format!(
            "the expression has {} bytes, expected at most {RULE_BYTES_MAX}: make several rules of it",
            text.len()
        );
        return Err(RuleProblem::new(RULE_BYTES_MAX, message));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        depth: 0,
    };
    let tree = parser.choice()?;
    let left = parser.peek();
    match &left.what {
        What::End => Ok(tree),
        What::Word(word) if matches!(word.as_str(), "and" | "or" | "AND" | "OR") => {
            let sign = if word.eq_ignore_ascii_case("and") { "&&" } else { "||" };
            Err(RuleProblem::new(
                left.at,
                format!("`{word}` means nothing here, write `{sign}`"),
            ))
        }
        other => Err(RuleProblem::new(
            left.at,
            format!("{} means nothing here, expected an operator or the end", other.shown()),
        )),
    }
}

impl Tree {
    /// Calls with the parts of every name with its members, as in `event`, `links`, `ip`.
    pub(super) fn each_path(&self, take: &mut impl FnMut(&[&str])) {
        if let Some(path) = self.path() {
            take(&path);
            return;
        }
        match &self.node {
            Node::Bool(_) | Node::Whole(_) | Node::Number(_) | Node::Text(_) | Node::Name(_) => {}
            Node::Member(of, _) | Node::Not(of) | Node::Negative(of) => of.each_path(take),
            Node::List(all) | Node::All(all) | Node::Any(all) => all.iter().for_each(|one| one.each_path(take)),
            Node::Call(of, _, arguments) => {
                let of = of.iter().map(|of| &**of);
                of.chain(arguments).for_each(|one| one.each_path(take));
            }
            Node::Binary(_, pair) => pair.iter().for_each(|one| one.each_path(take)),
            Node::Choice(three) => three.iter().for_each(|one| one.each_path(take)),
        }
    }

    /// The parts of a name with its members; `None` for anything else.
    pub(super) fn path(&self) -> Option<Vec<&str>> {
        let (mut parts, mut tree) = (Vec::new(), self);
        loop {
            match &tree.node {
                Node::Name(name) => {
                    parts.push(name.as_str());
                    parts.reverse();
                    return Some(parts);
                }
                Node::Member(of, name) => {
                    parts.push(name.as_str());
                    tree = of;
                }
                _ => return None,
            }
        }
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        // The end stays the last.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// Takes one of these signs or words, if it comes.
    fn take(&mut self, signs: &[&'static str]) -> Option<(usize, &'static str)> {
        let token = self.peek();
        let found = match &token.what {
            What::Sign(found) => signs.iter().find(|sign| *sign == found),
            What::Word(found) => signs.iter().find(|sign| *sign == found),
            _ => None,
        };
        let found = found.map(|sign| (token.at, *sign))?;
        self.at += 1;
        Some(found)
    }

    fn expect(&mut self, sign: &'static str, why: &str) -> Result<(), RuleProblem> {
        if self.take(&[sign]).is_some() {
            return Ok(());
        }
        let found = self.peek();
        let message = format!("expected `{sign}` {why}, found {}", found.what.shown());
        Err(RuleProblem::new(found.at, message))
    }

    fn choice(&mut self) -> Result<Tree, RuleProblem> {
        self.depth += 1;
        if self.depth > RULE_NESTING_MAX {
            return Err(too_deep(self.peek().at));
        }
        let test = self.any()?;
        let tree = match self.take(&["?"]) {
            None => test,
            Some((at, _)) => {
                let holds = self.any()?;
                self.expect(":", "and what holds otherwise")?;
                let otherwise = self.choice()?;
                tree(at, Node::Choice(Box::new([test, holds, otherwise])))?
            }
        };
        self.depth -= 1;
        Ok(tree)
    }

    fn any(&mut self) -> Result<Tree, RuleProblem> {
        let first = self.all()?;
        self.chain(first, "||", Self::all, Node::Any)
    }

    fn all(&mut self) -> Result<Tree, RuleProblem> {
        let first = self.relation()?;
        self.chain(first, "&&", Self::relation, Node::All)
    }

    /// What stands between signs of one kind, as one list.
    fn chain(
        &mut self,
        first: Tree,
        sign: &'static str,
        part: fn(&mut Self) -> Result<Tree, RuleProblem>,
        node: fn(Vec<Tree>) -> Node,
    ) -> Result<Tree, RuleProblem> {
        let at = first.at;
        let mut parts = vec![first];
        while self.take(&[sign]).is_some() {
            parts.push(part(self)?);
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                tree(at, node(parts))
            }
        }
    }

    fn relation(&mut self) -> Result<Tree, RuleProblem> {
        self.binary(&["==", "!=", "<=", ">=", "<", ">", "in"], Self::sum)
    }

    fn sum(&mut self) -> Result<Tree, RuleProblem> {
        self.binary(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Result<Tree, RuleProblem> {
        self.binary(&["*", "/", "%"], Self::unary)
    }

    fn binary(
        &mut self,
        signs: &[&'static str],
        part: fn(&mut Self) -> Result<Tree, RuleProblem>,
    ) -> Result<Tree, RuleProblem> {
        let mut left = part(self)?;
        while let Some((at, sign)) = self.take(signs) {
            let right = part(self)?;
            left = tree(at, Node::Binary(sign, Box::new([left, right])))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Tree, RuleProblem> {
        let Some((at, sign)) = self.take(&["!", "-"]) else {
            return self.member();
        };
        let mut places = vec![at];
        while let Some((at, _)) = self.take(&[sign]) {
            places.push(at);
        }
        let mut made = self.member()?;
        for at in places.into_iter().rev() {
            let node = if sign == "!" { Node::Not } else { Node::Negative };
            made = tree(at, node(Box::new(made)))?;
        }
        Ok(made)
    }

    fn member(&mut self) -> Result<Tree, RuleProblem> {
        let mut made = self.primary()?;
        loop {
            let at = made.at;
            if self.take(&["."]).is_some() {
                let token = self.next();
                let What::Word(name) = token.what else {
                    let message = format!("expected a name after `.`, found {}", token.what.shown());
                    return Err(RuleProblem::new(token.at, message));
                };
                made = if self.take(&["("]).is_some() {
                    let arguments = self.list(")")?;
                    tree(at, Node::Call(Some(Box::new(made)), name, arguments))?
                } else {
                    tree(at, Node::Member(Box::new(made), name))?
                };
            } else if let Some((at, _)) = self.take(&["["]) {
                let message = "rules have no members in brackets, write the name after a point, as in event.links.ip";
                return Err(RuleProblem::new(at, message));
            } else {
                return Ok(made);
            }
        }
    }

    fn primary(&mut self) -> Result<Tree, RuleProblem> {
        let Token { at, what } = self.next();
        match what {
            What::Whole(number) => tree(at, Node::Whole(number)),
            What::Number(number) => tree(at, Node::Number(number)),
            What::Text(text) => tree(at, Node::Text(text)),
            What::Word(word) => match word.as_str() {
                "true" => tree(at, Node::Bool(true)),
                "false" => tree(at, Node::Bool(false)),
                "null" => Err(RuleProblem::new(
                    at,
                    "rules have no null, ask with has(), as in has(event.device_id)",
                )),
                "in" => Err(RuleProblem::new(at, "expected a value before `in`")),
                "not" | "NOT" => Err(RuleProblem::new(at, "`not` means nothing here, write `!`")),
                _ if self.take(&["("]).is_some() => {
                    let arguments = self.list(")")?;
                    tree(at, Node::Call(None, word, arguments))
                }
                _ => tree(at, Node::Name(word)),
            },
            What::Sign("(") => {
                let inside = self.choice()?;
                self.expect(")", "to close the bracket")?;
                Ok(inside)
            }
            What::Sign("[") => {
                let parts = self.list("]")?;
                tree(at, Node::List(parts))
            }
            other => Err(RuleProblem::new(
                at,
                format!("expected a value or a name, found {}", other.shown()),
            )),
        }
    }

    /// What stands between commas, up to the closing sign.
    fn list(&mut self, close: &'static str) -> Result<Vec<Tree>, RuleProblem> {
        let mut parts = Vec::new();
        if self.take(&[close]).is_some() {
            return Ok(parts);
        }
        loop {
            parts.push(self.choice()?);
            if self.take(&[","]).is_none() {
                self.expect(close, "or a comma")?;
                return Ok(parts);
            }
        }
    }
}

fn too_deep(at: usize) -> RuleProblem {
    let message =
        format!("the expression is nested deeper than {RULE_NESTING_MAX} levels here: make several rules of it");
    RuleProblem::new(at, message)
}

fn tree(at: usize, node: Node) -> Result<Tree, RuleProblem> {
    let deepest = |all: &[Tree]| all.iter().map(|one| one.depth).max().unwrap_or(0);
    let below = match &node {
        Node::Bool(_) | Node::Whole(_) | Node::Number(_) | Node::Text(_) | Node::Name(_) => 0,
        Node::Member(of, _) | Node::Not(of) | Node::Negative(of) => of.depth,
        Node::List(all) | Node::All(all) | Node::Any(all) => deepest(all),
        Node::Call(of, _, arguments) => of.as_ref().map_or(0, |of| of.depth).max(deepest(arguments)),
        Node::Binary(_, pair) => deepest(&**pair),
        Node::Choice(three) => deepest(&**three),
    };
    if below >= RULE_NESTING_MAX {
        return Err(too_deep(at));
    }
    let depth = below + 1;
    Ok(Tree { at, node, depth })
}
