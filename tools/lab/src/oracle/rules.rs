//! What the rules of a policy should have said, by another reading of them: the texts are taken apart by a library's parser, not by the
//! domain's, and the trees are walked naively, with values that carry their types.
//!
//! A number that comes of sums may differ from the score's in its last bits, so that a comparison this close has no answer here: such a
//! rule may have held or not.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Parser;
use tidemark_domain::catalogue::{FeatureKey, FeatureKind, KeyName, Unit};
use tidemark_domain::event::{Profile, Transaction};
use tidemark_domain::id::{DeviceId, LinkId};
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_domain::rules::RuleMode;

/// How close two numbers may be that are made of sums, as a share of them, before nobody can say which is greater.
const TOLERANCE: f64 = 1e-9;

/// What a rule should have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It holds.
    Held,
    /// It holds and only watches.
    Observed,
    /// Its arithmetic has no result.
    Undefined,
    /// It does not hold.
    Not,
    /// It may hold or not.
    Unsure,
}

/// A rule as it was read here.
#[derive(Debug)]
pub(super) struct ReadRule {
    name: String,
    reason: String,
    then: Decision,
    mode: RuleMode,
    /// `None`: the library's parser does not take it, which is an error of one of the two.
    tree: Option<IdedExpr>,
}

/// The rules of a policy.
#[derive(Debug, Default)]
pub(super) struct ReadRules(Vec<ReadRule>);

/// What a rule is evaluated on.
pub(super) struct Seen<'a> {
    pub(super) tx: &'a Transaction,
    pub(super) amount_base_minor: Option<u64>,
    pub(super) profile: Option<&'a Profile>,
    pub(super) score: u16,
    /// A feature's value, `None` where it is missing.
    pub(super) feature: &'a dyn Fn(FeatureKey) -> Option<f64>,
    /// Whether a list of the policy has a text, `None` where it is not at hand.
    pub(super) listed: Listed<'a>,
}

/// Asks a list by its name.
pub(super) type Listed<'a> = &'a dyn Fn(&str, &str) -> Option<bool>;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Bool(bool),
    Int(i128),
    /// With whether it is the very number that the score has.
    Double(f64, bool),
    Text(String),
    List(Vec<Value>),
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    Missing,
    Undefined,
    Unsure,
    /// The rule is not what the policy should have taken.
    Wrong,
}

type Found = Result<Value, Lack>;

impl ReadRules {
    pub(super) fn of(policy: &Policy) -> Self {
        let read = |rule: &tidemark_domain::rules::Rule| ReadRule {
            name: rule.says.name().to_owned(),
            reason: rule.says.reason().to_owned(),
            then: rule.then,
            mode: rule.mode,
            tree: Parser::default().parse(&rule.when).ok(),
        };
        Self(policy.rules.all().iter().map(read).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How each rule ends, in the policy's order.
    pub(super) fn ends(&self, seen: &Seen<'_>) -> Vec<End> {
        let end = |rule: &ReadRule| {
            let Some(tree) = &rule.tree else { return End::Not };
            match (value(&tree.expr, seen), rule.mode) {
                (Ok(Value::Bool(true)), RuleMode::Enforce) => End::Held,
                (Ok(Value::Bool(true)), RuleMode::Observe) => End::Observed,
                (Err(Lack::Undefined), _) => End::Undefined,
                (Err(Lack::Unsure), _) => End::Unsure,
                _ => End::Not,
            }
        };
        self.0.iter().map(end).collect()
    }

    /// Names and reasons, in the policy's order.
    pub(super) fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|rule| (rule.name.as_str(), rule.reason.as_str()))
    }

    /// The decision of a score's decision after the rules for which `is_held` holds, by their names.
    pub(super) fn decide(&self, by_score: &'static str, is_held: impl Fn(usize, &str) -> bool) -> &'static str {
        let strictness = |decision: &str| ["pass", "review", "alert"].iter().position(|one| *one == decision);
        let decides = |(at, rule): &(usize, &ReadRule)| rule.mode == RuleMode::Enforce && is_held(*at, &rule.name);
        match self.0.iter().enumerate().find(decides) {
            None => by_score,
            Some((_, rule)) if rule.then == Decision::Pass => "pass",
            Some((_, rule)) if strictness(rule.then.as_str()) > strictness(by_score) => rule.then.as_str(),
            Some(_) => by_score,
        }
    }
}

fn value(expr: &Expr, seen: &Seen<'_>) -> Found {
    match expr {
        Expr::Literal(literal) => Ok(match literal {
            LiteralValue::Boolean(holds) => Value::Bool(*holds.inner()),
            LiteralValue::Int(number) => Value::Int(i128::from(*number.inner())),
            LiteralValue::Double(number) => Value::Double(*number.inner(), true),
            LiteralValue::String(text) => Value::Text(text.inner().to_owned()),
            _ => return Err(Lack::Wrong),
        }),
        Expr::Select(select) if select.test => {
            let mut path = path(&select.operand.expr)?;
            path.push(&select.field);
            match named(&path, seen) {
                Err(Lack::Missing) => Ok(Value::Bool(false)),
                found => found.map(|_| Value::Bool(true)),
            }
        }
        Expr::Ident(_) | Expr::Select(_) => named(&path(expr)?, seen),
        Expr::List(list) => {
            let items = list.elements.iter().map(|item| value(&item.expr, seen));
            items.collect::<Result<_, _>>().map(Value::List)
        }
        Expr::Call(call) => called(call, seen),
        _ => Err(Lack::Wrong),
    }
}

/// The parts of a name with its members.
fn path(expr: &Expr) -> Result<Vec<&str>, Lack> {
    match expr {
        Expr::Ident(name) => Ok(vec![name]),
        Expr::Select(select) => {
            let mut parts = path(&select.operand.expr)?;
            parts.push(&select.field);
            Ok(parts)
        }
        _ => Err(Lack::Wrong),
    }
}

fn named(path: &[&str], seen: &Seen<'_>) -> Found {
    let (tx, profile) = (seen.tx, seen.profile);
    let text = |text: &str| Value::Text(text.to_owned());
    let found = match path {
        ["score"] => Some(Value::Int(seen.score.into())),
        ["event", "links", name] => {
            let id = KeyName::new(name).and_then(|name| tx.links.get(name));
            id.map(|id| text(LinkId::as_str(id)))
        }
        ["event", field] => match *field {
            "amount_minor" => Some(Value::Int(tx.amount_minor.into())),
            "amount_base_minor" => seen.amount_base_minor.map(|amount| Value::Int(amount.into())),
            "card_id" => Some(text(tx.card_id.as_str())),
            "currency" => Some(text(tx.currency.as_str())),
            "country" => Some(text(tx.country.as_str())),
            "merchant_id" => Some(text(tx.merchant_id.as_str())),
            "mcc" => Some(Value::Int(tx.mcc.into())),
            "channel" => Some(text(tx.channel.as_str())),
            "approved" => Some(Value::Bool(tx.approved)),
            "device_id" => tx.device_id.as_ref().map(|id| text(DeviceId::as_str(id))),
            "occurred_at_ms" => Some(Value::Int(tx.occurred_at_ms.into())),
            "account_opened_at_ms" => tx.account_opened_at_ms.map(|time_ms| Value::Int(time_ms.into())),
            _ => return Err(Lack::Wrong),
        },
        ["profile", field] => match (*field, profile) {
            (_, None) => None,
            ("usual_country", Some(profile)) => Some(text(profile.usual_country.as_str())),
            ("spend_mean_minor", Some(profile)) => Some(Value::Double(profile.spend_mean_minor, true)),
            ("spend_deviation_minor", Some(profile)) => Some(Value::Double(profile.spend_deviation_minor, true)),
            ("transactions_per_day", Some(profile)) => Some(Value::Double(profile.transactions_per_day, true)),
            ("account_opened_at_ms", Some(profile)) => Some(Value::Int(profile.account_opened_at_ms.into())),
            ("updated_at_ms", Some(profile)) => profile.updated_at_ms.map(|time_ms| Value::Int(time_ms.into())),
            ("profile_version", Some(profile)) => Some(Value::Int(profile.version.into())),
            _ => return Err(Lack::Wrong),
        },
        ["features", name @ ..] => {
            let key = FeatureKey::parse(&name.join(".")).map_err(|_| Lack::Wrong)?;
            (seen.feature)(key).map(|value| Value::Double(value, is_told_exactly(key)))
        }
        _ => return Err(Lack::Wrong),
    };
    found.ok_or(Lack::Missing)
}

/// Whether a feature is a count or a difference of times, and no quotient of sums.
fn is_told_exactly(key: FeatureKey) -> bool {
    let is_sum = matches!(key.kind, FeatureKind::Mean | FeatureKind::Deviation);
    let unit = key.kind.unit();
    let is_quotient = matches!(
        unit,
        Unit::Share | Unit::Deviations | Unit::Ratio | Unit::KmPerHour | Unit::Bits
    );
    !is_sum && !is_quotient && !key.is_surprise()
}

fn called(call: &CallExpr, seen: &Seen<'_>) -> Found {
    let of = |at: usize| {
        call.args
            .get(at)
            .map_or(Err(Lack::Wrong), |part| value(&part.expr, seen))
    };
    let member = || {
        call.target
            .as_ref()
            .map_or(Err(Lack::Wrong), |target| value(&target.expr, seen))
    };
    match call.func_name.as_str() {
        "_&&_" => both([of(0), of(1)], false),
        "_||_" => both([of(0), of(1)], true),
        "!_" => match of(0)? {
            Value::Bool(holds) => Ok(Value::Bool(!holds)),
            _ => Err(Lack::Wrong),
        },
        "_?_:_" => match of(0)? {
            Value::Bool(true) => of(1),
            Value::Bool(false) => of(2),
            _ => Err(Lack::Wrong),
        },
        "-_" => calculated("_-_", &zero_like(&of(0)?)?, &of(0)?),
        sign @ ("_+_" | "_-_" | "_*_" | "_/_" | "_%_") => calculated(sign, &of(0)?, &of(1)?),
        sign @ ("_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_") => compared(sign, &of(0)?, &of(1)?),
        "@in" if let Some(name) = list_named(call) => match of(0)? {
            Value::Text(text) => (seen.listed)(name, &text).map(Value::Bool).ok_or(Lack::Missing),
            _ => Err(Lack::Wrong),
        },
        "@in" => match (of(0)?, of(1)?) {
            (one, Value::List(list)) => {
                // In a list that has it for certain, it does not matter what is close.
                let mut is_unsure = false;
                for item in &list {
                    match compared("_==_", &one, item) {
                        Ok(Value::Bool(true)) => return Ok(Value::Bool(true)),
                        Ok(_) => {}
                        Err(Lack::Unsure) => is_unsure = true,
                        Err(other) => return Err(other),
                    }
                }
                if is_unsure {
                    Err(Lack::Unsure)
                } else {
                    Ok(Value::Bool(false))
                }
            }
            _ => Err(Lack::Wrong),
        },
        "double" => match of(0)? {
            Value::Int(number) => Ok(Value::Double(number as f64, true)),
            number @ Value::Double(..) => Ok(number),
            _ => Err(Lack::Wrong),
        },
        "size" => match if call.target.is_some() { member()? } else { of(0)? } {
            Value::Text(text) => Ok(Value::Int(text.chars().count() as i128)),
            _ => Err(Lack::Wrong),
        },
        name @ ("startsWith" | "endsWith" | "contains") => match (member()?, of(0)?) {
            (Value::Text(text), Value::Text(part)) => Ok(Value::Bool(match name {
                "startsWith" => text.get(..part.len()) == Some(part.as_str()),
                "endsWith" => text.len().checked_sub(part.len()).and_then(|at| text.get(at..)) == Some(part.as_str()),
                _ => (0..=text.len()).any(|at| text.get(at..at + part.len()) == Some(part.as_str())),
            })),
            _ => Err(Lack::Wrong),
        },
        _ => Err(Lack::Wrong),
    }
}

/// The list of the policy that stands behind an `in`.
fn list_named(call: &CallExpr) -> Option<&str> {
    match path(&call.args.get(1)?.expr).ok()?[..] {
        ["lists", name] => Some(name),
        _ => None,
    }
}

fn zero_like(value: &Value) -> Found {
    match value {
        Value::Int(_) => Ok(Value::Int(0)),
        Value::Double(..) => Ok(Value::Double(0.0, true)),
        _ => Err(Lack::Wrong),
    }
}

/// `&&` (decides: false) and `||` (decides: true): either side may decide alone; what is not sure is as good as either.
fn both(sides: [Found; 2], decides: bool) -> Found {
    if sides.contains(&Ok(Value::Bool(decides))) {
        return Ok(Value::Bool(decides));
    }
    if sides.contains(&Err(Lack::Unsure)) {
        return Err(Lack::Unsure);
    }
    let [one, other] = sides;
    match (one?, other?) {
        (Value::Bool(_), Value::Bool(_)) => Ok(Value::Bool(!decides)),
        _ => Err(Lack::Wrong),
    }
}

fn calculated(sign: &str, one: &Value, other: &Value) -> Found {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => {
            let result = match sign {
                "_+_" => one + other,
                "_-_" => one - other,
                "_*_" => one * other,
                _ if *other == 0 => return Err(Lack::Undefined),
                "_/_" => one / other,
                _ => one % other,
            };
            match i64::try_from(result) {
                // Of the least number, the machine has no remainder by −1, since its quotient is out of range.
                Ok(_) if sign == "_%_" && i64::try_from(one / other).is_err() => Err(Lack::Undefined),
                Ok(_) => Ok(Value::Int(result)),
                Err(_) => Err(Lack::Undefined),
            }
        }
        (Value::Double(one, one_exact), Value::Double(other, other_exact)) => {
            let result = match sign {
                "_+_" => one + other,
                "_-_" => one - other,
                "_*_" => one * other,
                "_/_" => one / other,
                _ => return Err(Lack::Wrong),
            };
            if result.is_finite() {
                Ok(Value::Double(result, *one_exact && *other_exact))
            } else {
                Err(Lack::Undefined)
            }
        }
        _ => Err(Lack::Wrong),
    }
}

fn compared(sign: &str, one: &Value, other: &Value) -> Found {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (one, other) {
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Int(one), Value::Int(other)) => one.cmp(other),
        (Value::Double(one, one_exact), Value::Double(other, other_exact)) => {
            let is_close = (one - other).abs() <= TOLERANCE * one.abs().max(1.0);
            if is_close && !(*one_exact && *other_exact) {
                return Err(Lack::Unsure);
            }
            one.partial_cmp(other).ok_or(Lack::Wrong)?
        }
        (Value::Int(one), Value::Double(other, exact)) => {
            if !exact && (*one as f64 - other).abs() <= TOLERANCE * other.abs().max(1.0) {
                return Err(Lack::Unsure);
            }
            whole_against(*one, *other)
        }
        (Value::Double(one, exact), Value::Int(other)) => {
            if !exact && (one - *other as f64).abs() <= TOLERANCE * one.abs().max(1.0) {
                return Err(Lack::Unsure);
            }
            whole_against(*other, *one).reverse()
        }
        _ => return Err(Lack::Wrong),
    };
    Ok(Value::Bool(match sign {
        "_==_" => order == Equal,
        "_!=_" => order != Equal,
        "_<_" => order == Less,
        "_<=_" => order != Greater,
        "_>_" => order == Greater,
        _ => order != Less,
    }))
}

/// A whole number against another: by the number's whole part, then by what is left.
fn whole_against(whole: i128, number: f64) -> std::cmp::Ordering {
    // The whole part of any number that a rule may have fits, or lies beyond on its own side.
    let part = number.trunc() as i128;
    whole.cmp(&part).then_with(|| 0.0_f64.total_cmp(&number.fract()))
}
