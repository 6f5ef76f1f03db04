//! Expressions: read from a command, and worked out on a row or on a group of rows.

use serde_json::{Map, Value, json};

use crate::token::Token;
use crate::{Unanswered, compare};

type Row = Map<String, Value>;

/// Something that has a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Field(String),
    Literal(Value),
    Not(Box<Self>),
    Both(&'static str, Box<Self>, Box<Self>),
    In(Box<Self>, Vec<Value>),
    Call(String, Vec<Self>),
}

/// Reads one command.
pub(crate) struct Parser<'a> {
    rest: &'a [Token],
}

const AGGREGATES: [&str; 7] = ["count", "latest", "earliest", "max", "min", "avg", "sum"];

impl<'a> Parser<'a> {
    pub(crate) const fn new(rest: &'a [Token]) -> Self {
        Self { rest }
    }

    /// `a or b`, which binds least.
    pub(crate) fn expression(&mut self) -> Result<Expression, Unanswered> {
        self.joined("or", |parser| parser.joined("and", Self::negated))
    }

    /// `x as y, …`
    pub(crate) fn named(&mut self) -> Result<Vec<(String, Expression)>, Unanswered> {
        let mut named = Vec::new();
        loop {
            let expression = self.expression()?;
            self.word("as")?;
            named.push((self.name()?, expression));
            if !self.sign(",") {
                return Ok(named);
            }
        }
    }

    /// `x as y, … by z, …`
    #[expect(clippy::type_complexity, reason = "a command's two parts")]
    pub(crate) fn stats(&mut self) -> Result<(Vec<(String, Expression)>, Vec<String>), Unanswered> {
        let mut named = Vec::new();
        loop {
            let expression = self.expression()?;
            let name = if self.is_word("as") { self.name()? } else { String::from("unnamed") };
            named.push((name, expression));
            if !self.sign(",") {
                break;
            }
        }
        let by = if self.is_word("by") { self.fields()? } else { Vec::new() };
        Ok((named, by))
    }

    /// A field, and whether it is to descend.
    pub(crate) fn order(&mut self) -> Result<(String, bool), Unanswered> {
        let by = self.name()?;
        let descending = self.is_word("desc");
        if !descending {
            self.is_word("asc");
        }
        Ok((by, descending))
    }

    pub(crate) fn fields(&mut self) -> Result<Vec<String>, Unanswered> {
        let mut fields = vec![self.name()?];
        while self.sign(",") {
            fields.push(self.name()?);
        }
        Ok(fields)
    }

    pub(crate) fn number(&mut self) -> Result<usize, Unanswered> {
        match self.next()? {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a limit is a small whole number"
            )]
            Token::Number(number) => Ok(*number as usize),
            other => Err(not_understood(other)),
        }
    }

    pub(crate) fn end(&self) -> Result<(), Unanswered> {
        self.rest.first().map_or(Ok(()), |left| Err(not_understood(left)))
    }

    fn joined(
        &mut self,
        word: &'static str,
        part: impl Fn(&mut Self) -> Result<Expression, Unanswered>,
    ) -> Result<Expression, Unanswered> {
        let mut left = part(self)?;
        while self.is_word(word) {
            left = Expression::Both(word, Box::new(left), Box::new(part(self)?));
        }
        Ok(left)
    }

    fn negated(&mut self) -> Result<Expression, Unanswered> {
        if self.is_word("not") {
            return Ok(Expression::Not(Box::new(self.negated()?)));
        }
        let left = self.sum()?;
        if self.is_word("in") {
            return Ok(Expression::In(Box::new(left), self.list()?));
        }
        if self.is_word("like") {
            return Ok(Expression::Both("like", Box::new(left), Box::new(self.sum()?)));
        }
        for sign in ["=", "!=", "<=", ">=", "<", ">"] {
            if self.sign(sign) {
                return Ok(Expression::Both(sign, Box::new(left), Box::new(self.sum()?)));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expression, Unanswered> {
        let mut left = self.product()?;
        while let Some(sign) = ["+", "-"].into_iter().find(|sign| self.sign(sign)) {
            left = Expression::Both(sign, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, Unanswered> {
        let mut left = self.primary()?;
        while let Some(sign) = ["*", "/"].into_iter().find(|sign| self.sign(sign)) {
            left = Expression::Both(sign, Box::new(left), Box::new(self.primary()?));
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Expression, Unanswered> {
        match self.next()? {
            Token::Text(text) => Ok(Expression::Literal(json!(text))),
            Token::Number(number) => Ok(Expression::Literal(json!(number))),
            Token::Sign("*") => Ok(Expression::Literal(Value::Bool(true))),
            Token::Sign("(") => {
                let inside = self.expression()?;
                self.closed(")")?;
                Ok(inside)
            }
            Token::Word(name) if self.sign("(") => {
                let known =
                    AGGREGATES.contains(&name.as_str()) || ["ispresent", "strcontains", "now"].contains(&name.as_str());
                if !known {
                    return Err(Unanswered::NotUnderstood(name.clone()));
                }
                let mut arguments = Vec::new();
                while !self.sign(")") {
                    arguments.push(self.expression()?);
                    self.sign(",");
                }
                Ok(Expression::Call(name.clone(), arguments))
            }
            Token::Word(name) => Ok(Expression::Field(name.clone())),
            other @ Token::Sign(_) => Err(not_understood(other)),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, Unanswered> {
        self.closed("[")?;
        let mut values = Vec::new();
        while !self.sign("]") {
            match self.next()? {
                Token::Text(text) => values.push(json!(text)),
                Token::Number(number) => values.push(json!(number)),
                other => return Err(not_understood(other)),
            }
            self.sign(",");
        }
        Ok(values)
    }

    fn next(&mut self) -> Result<&'a Token, Unanswered> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| Unanswered::NotUnderstood("its end".to_owned()))?;
        self.rest = rest;
        Ok(first)
    }

    fn name(&mut self) -> Result<String, Unanswered> {
        match self.next()? {
            Token::Word(name) => Ok(name.clone()),
            other => Err(not_understood(other)),
        }
    }

    fn is_word(&mut self, word: &str) -> bool {
        self.taken(|token| matches!(token, Token::Word(it) if it == word))
    }

    fn word(&mut self, word: &str) -> Result<(), Unanswered> {
        if self.is_word(word) { Ok(()) } else { Err(Unanswered::NotUnderstood(format!("no {word}"))) }
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.taken(|token| matches!(token, Token::Sign(it) if *it == sign))
    }

    fn closed(&mut self, sign: &str) -> Result<(), Unanswered> {
        if self.sign(sign) { Ok(()) } else { Err(Unanswered::NotUnderstood(format!("no {sign}"))) }
    }

    fn taken(&mut self, fits: impl Fn(&Token) -> bool) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if fits(first) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

impl Expression {
    /// On one row. What is missing is null, and compares with nothing.
    pub(crate) fn value(&self, row: &Row, now: i64) -> Result<Value, Unanswered> {
        Ok(match self {
            Self::Field(name) => row.get(name).cloned().unwrap_or_default(),
            Self::Literal(value) => value.clone(),
            Self::Not(inside) => json!(inside.value(row, now)? != json!(true)),
            Self::In(left, values) => {
                let left = left.value(row, now)?;
                json!(values.iter().any(|value| same(value, &left)))
            }
            Self::Both(sign, left, right) => both(sign, &left.value(row, now)?, &right.value(row, now)?),
            Self::Call(name, arguments) => {
                let values = arguments.iter().map(|argument| argument.value(row, now));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                match (name.as_str(), values.as_slice()) {
                    ("ispresent", [value]) => json!(!value.is_null()),
                    ("now", []) => json!(now),
                    ("strcontains", [text, part]) => json!(u8::from(contains(text, part))),
                    _ => return Err(Unanswered::Misplaced(name.clone())),
                }
            }
        })
    }

    /// On a group of rows, in the order of time.
    pub(crate) fn aggregate(&self, rows: &[&Row], now: i64) -> Result<Value, Unanswered> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Both(sign, left, right) => both(sign, &left.aggregate(rows, now)?, &right.aggregate(rows, now)?),
            Self::Call(name, arguments) if AGGREGATES.contains(&name.as_str()) => {
                let [argument] = arguments.as_slice() else { return Err(Unanswered::Misplaced(name.clone())) };
                let values = rows.iter().map(|row| argument.value(row, now));
                let values = values.filter(|value| value.as_ref().map_or(true, |value| !value.is_null()));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                #[expect(clippy::cast_precision_loss, reason = "few lines")]
                let count = values.len() as f64;
                let sum: f64 = values.iter().filter_map(Value::as_f64).sum();
                let ordered = |one: &&Value, other: &&Value| compare(Some(one), Some(other));
                match name.as_str() {
                    "count" => json!(values.len()),
                    "latest" => values.last().cloned().unwrap_or_default(),
                    "earliest" => values.first().cloned().unwrap_or_default(),
                    "max" => values.iter().max_by(ordered).cloned().unwrap_or_default(),
                    "min" => values.iter().min_by(ordered).cloned().unwrap_or_default(),
                    "sum" => json!(sum),
                    _ => json!(sum / count),
                }
            }
            other => return Err(Unanswered::Misplaced(format!("{other:?}"))),
        })
    }
}

fn both(sign: &str, left: &Value, right: &Value) -> Value {
    let truth = |value: &Value| *value == json!(true);
    let there = !left.is_null() && !right.is_null();
    let order = || compare(Some(left), Some(right));
    let number = |work: fn(f64, f64) -> f64| match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => json!(work(left, right)),
        _ => Value::Null,
    };
    match sign {
        "and" => json!(truth(left) && truth(right)),
        "or" => json!(truth(left) || truth(right)),
        "like" => json!(there && contains(left, right)),
        "=" => json!(there && same(left, right)),
        "!=" => json!(there && !same(left, right)),
        "<" => json!(there && order().is_lt()),
        "<=" => json!(there && order().is_le()),
        ">" => json!(there && order().is_gt()),
        ">=" => json!(there && order().is_ge()),
        "+" => number(|left, right| left + right),
        "-" => number(|left, right| left - right),
        "*" => number(|left, right| left * right),
        _ => number(|left, right| left / right),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && one.as_f64() == other.as_f64())
}

fn contains(text: &Value, part: &Value) -> bool {
    matches!((text.as_str(), part.as_str()), (Some(text), Some(part)) if text.contains(part))
}

fn not_understood(token: &Token) -> Unanswered {
    Unanswered::NotUnderstood(format!("{token:?}"))
}
