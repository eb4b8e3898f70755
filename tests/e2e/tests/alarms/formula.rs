//! CloudWatch's metric math, as far as our alarms use it: numbers and series, arithmetic, comparisons, AND, OR, IF, FILL, MAX.
//!
//! A value is of one period; it may be missing. What a missing value touches is missing, but for FILL.

use std::collections::BTreeMap;

/// The value of an expression in one period. `None`: there is none.
pub type Value = Option<f64>;

/// Computes an expression over the values of one period. A missing series is not the same as an unknown one, which is a mistake.
///
/// # Errors
/// What is wrong with the expression.
pub fn compute(expression: &str, series: &BTreeMap<String, Value>) -> Result<Value, String> {
    let mut parser = Parser {
        tokens: tokens(expression)?,
        at: 0,
        series,
    };
    let value = parser.either()?;
    match parser.tokens.get(parser.at) {
        None => Ok(value),
        Some(rest) => Err(format!("{expression}: what is {rest:?} for?")),
    }
}

fn tokens(expression: &str) -> Result<Vec<String>, String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut letters = expression.chars().peekable();
    while let Some(letter) = letters.next() {
        let mut token = letter.to_string();
        match letter {
            ' ' => continue,
            'a'..='z' | 'A'..='Z' | '0'..='9' => {
                while let Some(next) = letters.next_if(|next| next.is_ascii_alphanumeric() || "_.".contains(*next)) {
                    token.push(next);
                }
            }
            '<' | '>' | '=' | '!' => token.extend(letters.next_if_eq(&'=')),
            '+' | '-' | '*' | '/' | '(' | ')' | ',' | '[' | ']' => {}
            _ => return Err(format!("{expression}: what is {letter:?}?")),
        }
        tokens.push(token);
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    series: &'a BTreeMap<String, Value>,
}

fn both(left: Value, right: Value, operation: impl Fn(f64, f64) -> f64) -> Value {
    let value = operation(left?, right?);
    // A division by zero gives no data point.
    value.is_finite().then_some(value)
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

impl Parser<'_> {
    fn next(&mut self) -> Result<String, String> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token.ok_or_else(|| "the expression ends too early".to_owned())
    }

    /// Takes the next token if it is one of these.
    fn take(&mut self, wanted: &[&str]) -> Option<String> {
        let token = self.tokens.get(self.at)?;
        let token = wanted.contains(&token.as_str()).then(|| token.clone())?;
        self.at += 1;
        Some(token)
    }

    fn must(&mut self, wanted: &str) -> Result<(), String> {
        match self.next()? {
            token if token == wanted => Ok(()),
            token => Err(format!("expected {wanted:?}, found {token:?}")),
        }
    }

    fn either(&mut self) -> Result<Value, String> {
        let mut left = self.and()?;
        while self.take(&["OR"]).is_some() {
            left = both(left, self.and()?, |l, r| truth(l != 0.0 || r != 0.0));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Value, String> {
        let mut left = self.comparison()?;
        while self.take(&["AND"]).is_some() {
            left = both(left, self.comparison()?, |l, r| truth(l != 0.0 && r != 0.0));
        }
        Ok(left)
    }

    #[allow(clippy::float_cmp, reason = "CloudWatch compares exactly, too")]
    fn comparison(&mut self) -> Result<Value, String> {
        let left = self.sum()?;
        let Some(operator) = self.take(&["<", "<=", ">", ">=", "==", "!="]) else {
            return Ok(left);
        };
        let right = self.sum()?;
        Ok(both(left, right, |l, r| {
            truth(match operator.as_str() {
                "<" => l < r,
                "<=" => l <= r,
                ">" => l > r,
                ">=" => l >= r,
                "==" => l == r,
                _ => l != r,
            })
        }))
    }

    fn sum(&mut self) -> Result<Value, String> {
        let mut left = self.product()?;
        while let Some(operator) = self.take(&["+", "-"]) {
            let sign = if operator == "+" { 1.0 } else { -1.0 };
            left = both(left, self.product()?, |l, r| l + sign * r);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Value, String> {
        let mut left = self.single()?;
        while let Some(operator) = self.take(&["*", "/"]) {
            let right = self.single()?;
            left = both(left, right, |l, r| if operator == "*" { l * r } else { l / r });
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Value, String> {
        let token = self.next()?;
        match token.as_str() {
            "(" => {
                let value = self.either()?;
                self.must(")")?;
                Ok(value)
            }
            "IF" => {
                let [condition, then, otherwise] = self.arguments()?;
                Ok(condition.and_then(|condition| if condition == 0.0 { otherwise } else { then }))
            }
            "FILL" => {
                let [value, filler] = self.arguments()?;
                Ok(value.or(filler))
            }
            "MAX" => {
                self.must("(")?;
                self.must("[")?;
                let mut most = self.either()?;
                while self.take(&[","]).is_some() {
                    most = both(most, self.either()?, f64::max);
                }
                self.must("]")?;
                self.must(")")?;
                Ok(most)
            }
            token if token.starts_with(|letter: char| letter.is_ascii_digit()) => {
                token.parse().map(Some).map_err(|error| format!("{token}: {error}"))
            }
            token => {
                let known = self.series.get(token).copied();
                known.ok_or_else(|| format!("no metric has the id {token:?}"))
            }
        }
    }

    fn arguments<const N: usize>(&mut self) -> Result<[Value; N], String> {
        let mut values = [None; N];
        self.must("(")?;
        for (at, value) in values.iter_mut().enumerate() {
            if at > 0 {
                self.must(",")?;
            }
            *value = self.either()?;
        }
        self.must(")")?;
        Ok(values)
    }
}

#[test]
fn expressions_mean_what_cloudwatch_means_by_them() {
    let series = BTreeMap::from([
        ("a".to_owned(), Some(6.0)),
        ("b_2".to_owned(), Some(0.0)),
        ("gone".to_owned(), None),
    ]);
    for (expression, value) in [
        ("a / 4 + 1", Some(2.5)),
        ("1 + a * 2 - 3", Some(10.0)),
        ("(1 + a) * 2", Some(14.0)),
        ("a - 1 - 2", Some(3.0)),
        ("a / b_2", None),
        ("a + gone", None),
        ("a / FILL(gone, 3)", Some(2.0)),
        ("IF(a > 5 AND FILL(gone, 0) == 0, 1, 0)", Some(1.0)),
        ("IF(a > 6 OR b_2 >= 1, 1, 0)", Some(0.0)),
        ("IF(gone > 0, 1, 0)", None),
        ("MAX([a / 60, FILL(gone, 0), 0.05])", Some(0.1)),
        ("a <= 6", Some(1.0)),
        ("a != 6", Some(0.0)),
    ] {
        assert_eq!(compute(expression, &series), Ok(value), "{expression}");
    }
    for wrong in ["a +", "c + 1", "IF(a, 1)", "a $ 2", "a b_2", "FILL(a, 1", "MAX(a, 1)"] {
        assert!(compute(wrong, &series).is_err(), "{wrong}");
    }
}
