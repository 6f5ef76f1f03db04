//! What a query is written in.

use crate::QueryError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name of a field or function, or a keyword.
    Word(String),
    /// Between quotes.
    Text(String),
    Number(f64),
    Sign(&'static str),
}

const SIGNS: [&str; 18] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", "|", "+", "-", "*", "/", "~", "%"];

pub(crate) fn read(query: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = |inside: fn(char) -> bool| rest.find(|letter| !inside(letter)).unwrap_or(rest.len());
        let (token, length) = if first == '\'' {
            let length = rest.get(1..).and_then(|rest| rest.find('\'')).map(|at| at + 2);
            let length = length.ok_or_else(|| QueryError::Unsupported(rest.to_owned()))?;
            (Token::Text(rest.get(1..length - 1).unwrap_or_default().to_owned()), length)
        } else if first.is_ascii_digit() {
            let length = end(|letter| letter.is_ascii_digit() || letter == '.');
            let number = rest.get(..length).and_then(|number| number.parse().ok());
            (Token::Number(number.ok_or_else(|| QueryError::Unsupported(rest.to_owned()))?), length)
        } else if first.is_ascii_alphabetic() || first == '@' || first == '_' {
            let length = end(|letter| letter.is_ascii_alphanumeric() || "@_.".contains(letter));
            (Token::Word(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| QueryError::Unsupported(rest.to_owned()))?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}
