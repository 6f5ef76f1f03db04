//! Expressions: read from a command, and worked out on a row or on a group of rows.

use serde_json::{Map, Value, json};

use crate::token::Token;
use crate::{QueryError, compare};

type Row = Map<String, Value>;

/// Something that has a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Field(String),
    Literal(Value),
    Not(Box<Self>),
    Binary(&'static str, Box<Self>, Box<Self>),
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
    pub(crate) fn expression(&mut self) -> Result<Expression, QueryError> {
        self.binary_chain("or", |parser| parser.binary_chain("and", Self::negation))
    }

    /// `x as y, …`
    pub(crate) fn named(&mut self) -> Result<Vec<(String, Expression)>, QueryError> {
        let mut named = Vec::new();
        loop {
            let expression = self.expression()?;
            self.expect_word("as")?;
            named.push((self.name()?, expression));
            if !self.consume_sign(",") {
                return Ok(named);
            }
        }
    }

    /// `x as y, … by z, …`
    #[expect(clippy::type_complexity, reason = "a command's two parts")]
    pub(crate) fn stats(&mut self) -> Result<(Vec<(String, Expression)>, Vec<String>), QueryError> {
        let mut named = Vec::new();
        loop {
            let expression = self.expression()?;
            let name = if self.consume_word("as") { self.name()? } else { String::from("unnamed") };
            named.push((name, expression));
            if !self.consume_sign(",") {
                break;
            }
        }
        let by = if self.consume_word("by") { self.fields()? } else { Vec::new() };
        Ok((named, by))
    }

    /// A field, and whether it is to descend.
    pub(crate) fn order(&mut self) -> Result<(String, bool), QueryError> {
        let by = self.name()?;
        let descending = self.consume_word("desc");
        if !descending {
            self.consume_word("asc");
        }
        Ok((by, descending))
    }

    pub(crate) fn fields(&mut self) -> Result<Vec<String>, QueryError> {
        let mut fields = vec![self.name()?];
        while self.consume_sign(",") {
            fields.push(self.name()?);
        }
        Ok(fields)
    }

    pub(crate) fn number(&mut self) -> Result<usize, QueryError> {
        match self.next()? {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a limit is a small whole number"
            )]
            Token::Number(number) => Ok(*number as usize),
            other => Err(unsupported(other)),
        }
    }

    pub(crate) fn end(&self) -> Result<(), QueryError> {
        self.rest.first().map_or(Ok(()), |left| Err(unsupported(left)))
    }

    fn binary_chain(
        &mut self,
        word: &'static str,
        part: impl Fn(&mut Self) -> Result<Expression, QueryError>,
    ) -> Result<Expression, QueryError> {
        let mut left = part(self)?;
        while self.consume_word(word) {
            left = Expression::Binary(word, Box::new(left), Box::new(part(self)?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, QueryError> {
        if self.consume_word("not") {
            return Ok(Expression::Not(Box::new(self.negation()?)));
        }
        let left = self.sum()?;
        if self.consume_word("in") {
            return Ok(Expression::In(Box::new(left), self.list()?));
        }
        if self.consume_word("like") {
            return Ok(Expression::Binary("like", Box::new(left), Box::new(self.sum()?)));
        }
        for sign in ["=", "!=", "<=", ">=", "<", ">"] {
            if self.consume_sign(sign) {
                return Ok(Expression::Binary(sign, Box::new(left), Box::new(self.sum()?)));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expression, QueryError> {
        let mut left = self.product()?;
        while let Some(sign) = ["+", "-"].into_iter().find(|sign| self.consume_sign(sign)) {
            left = Expression::Binary(sign, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, QueryError> {
        let mut left = self.primary()?;
        while let Some(sign) = ["*", "/"].into_iter().find(|sign| self.consume_sign(sign)) {
            left = Expression::Binary(sign, Box::new(left), Box::new(self.primary()?));
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Expression, QueryError> {
        match self.next()? {
            Token::Text(text) => Ok(Expression::Literal(json!(text))),
            Token::Number(number) => Ok(Expression::Literal(json!(number))),
            Token::Sign("*") => Ok(Expression::Literal(Value::Bool(true))),
            Token::Sign("(") => {
                let inside = self.expression()?;
                self.expect_sign(")")?;
                Ok(inside)
            }
            Token::Word(name) if self.consume_sign("(") => {
                let known =
                    AGGREGATES.contains(&name.as_str()) || ["ispresent", "strcontains", "now"].contains(&name.as_str());
                if !known {
                    return Err(QueryError::Unsupported(name.clone()));
                }
                let mut arguments = Vec::new();
                while !self.consume_sign(")") {
                    arguments.push(self.expression()?);
                    self.consume_sign(",");
                }
                Ok(Expression::Call(name.clone(), arguments))
            }
            Token::Word(name) => Ok(Expression::Field(name.clone())),
            other @ Token::Sign(_) => Err(unsupported(other)),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, QueryError> {
        self.expect_sign("[")?;
        let mut values = Vec::new();
        while !self.consume_sign("]") {
            match self.next()? {
                Token::Text(text) => values.push(json!(text)),
                Token::Number(number) => values.push(json!(number)),
                other => return Err(unsupported(other)),
            }
            self.consume_sign(",");
        }
        Ok(values)
    }

    fn next(&mut self) -> Result<&'a Token, QueryError> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| QueryError::Unsupported("its end".to_owned()))?;
        self.rest = rest;
        Ok(first)
    }

    fn name(&mut self) -> Result<String, QueryError> {
        match self.next()? {
            Token::Word(name) => Ok(name.clone()),
            other => Err(unsupported(other)),
        }
    }

    fn consume_word(&mut self, word: &str) -> bool {
        self.consume_if(|token| matches!(token, Token::Word(it) if it == word))
    }

    fn expect_word(&mut self, word: &str) -> Result<(), QueryError> {
        if self.consume_word(word) { Ok(()) } else { Err(QueryError::Unsupported(format!("no {word}"))) }
    }

    fn consume_sign(&mut self, sign: &str) -> bool {
        self.consume_if(|token| matches!(token, Token::Sign(it) if *it == sign))
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), QueryError> {
        if self.consume_sign(sign) { Ok(()) } else { Err(QueryError::Unsupported(format!("no {sign}"))) }
    }

    fn consume_if(&mut self, fits: impl Fn(&Token) -> bool) -> bool {
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
    pub(crate) fn value(&self, row: &Row, now: i64) -> Result<Value, QueryError> {
        Ok(match self {
            Self::Field(name) => row.get(name).cloned().unwrap_or_default(),
            Self::Literal(value) => value.clone(),
            Self::Not(inside) => json!(inside.value(row, now)? != json!(true)),
            Self::In(left, values) => {
                let left = left.value(row, now)?;
                json!(values.iter().any(|value| is_equal(value, &left)))
            }
            Self::Binary(sign, left, right) => apply_binary(sign, &left.value(row, now)?, &right.value(row, now)?),
            Self::Call(name, arguments) => {
                let values = arguments.iter().map(|argument| argument.value(row, now));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                match (name.as_str(), values.as_slice()) {
                    ("ispresent", [value]) => json!(!value.is_null()),
                    ("now", []) => json!(now),
                    ("strcontains", [text, part]) => json!(u8::from(contains(text, part))),
                    _ => return Err(QueryError::Misplaced(name.clone())),
                }
            }
        })
    }

    /// On a group of rows, in the order of time.
    pub(crate) fn aggregate(&self, rows: &[&Row], now: i64) -> Result<Value, QueryError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Binary(sign, left, right) => {
                apply_binary(sign, &left.aggregate(rows, now)?, &right.aggregate(rows, now)?)
            }
            Self::Call(name, arguments) if AGGREGATES.contains(&name.as_str()) => {
                let [argument] = arguments.as_slice() else { return Err(QueryError::Misplaced(name.clone())) };
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
            other => return Err(QueryError::Misplaced(format!("{other:?}"))),
        })
    }
}

fn apply_binary(sign: &str, left: &Value, right: &Value) -> Value {
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
        "=" => json!(there && is_equal(left, right)),
        "!=" => json!(there && !is_equal(left, right)),
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

fn is_equal(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && one.as_f64() == other.as_f64())
}

fn contains(text: &Value, part: &Value) -> bool {
    matches!((text.as_str(), part.as_str()), (Some(text), Some(part)) if text.contains(part))
}

fn unsupported(token: &Token) -> QueryError {
    QueryError::Unsupported(format!("{token:?}"))
}
