//! Queries of CloudWatch Logs Insights, answered from lines at hand: as much of the language as `template.yaml` uses, and an error
//! for the rest.
//!
//! Reference: "CloudWatch Logs Insights query syntax", CloudWatch Logs user guide.

mod expression;
mod token;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

use expression::{Expression, Parser};
use token::Token;

/// What a query finds: rows of named values.
pub type Rows = Vec<Map<String, Value>>;

/// Why a query has no result.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// It is not in the part of the language that is known here.
    #[error("not understood: {0}")]
    Unsupported(String),
    /// A function of aggregation stands where there is nothing to aggregate, or the other way round.
    #[error("{0} does not belong there")]
    Misplaced(String),
}

/// What `query` finds in `lines`, JSON objects with a `timestamp`, at `now` in seconds since 1970-01-01 UTC.
///
/// # Errors
/// When the query is not understood.
pub fn run_query(query: &str, lines: &[Value], now: i64) -> Result<Rows, QueryError> {
    let mut rows: Rows = lines.iter().filter_map(Value::as_object).cloned().map(with_timestamp).collect();
    let mut shown = None;
    for command in token::read(query)?.split(|token| *token == Token::Sign("|")) {
        let Some((Token::Word(name), rest)) = command.split_first() else {
            return Err(QueryError::Unsupported(format!("{command:?}")));
        };
        let mut parser = Parser::new(rest);
        match name.as_str() {
            "filter" => {
                let condition = parser.expression()?;
                let mut kept = Vec::new();
                for row in rows {
                    if condition.value(&row, now)? == Value::Bool(true) {
                        kept.push(row);
                    }
                }
                rows = kept;
            }
            "fields" => {
                for (name, expression) in parser.named()? {
                    for row in &mut rows {
                        let value = expression.value(row, now)?;
                        row.insert(name.clone(), value);
                    }
                }
            }
            "stats" => {
                let (named, by) = parser.stats()?;
                rows = stats(&rows, &named, &by, now)?;
                shown = None;
            }
            "sort" => {
                let (by, descending) = parser.order()?;
                rows.sort_by(|one, other| {
                    let order = compare(one.get(&by), other.get(&by));
                    if descending { order.reverse() } else { order }
                });
            }
            "limit" => rows.truncate(parser.number()?),
            "display" => shown = Some(parser.fields()?),
            other => return Err(QueryError::Unsupported(other.to_owned())),
        }
        parser.end()?;
    }
    if let Some(shown) = shown {
        for row in &mut rows {
            row.retain(|name, value| shown.contains(name) && !value.is_null());
        }
    }
    Ok(rows)
}

/// CloudWatch's own field, beside those of the line.
fn with_timestamp(mut line: Map<String, Value>) -> Map<String, Value> {
    let timestamp = line.get("timestamp").cloned().unwrap_or_default();
    line.insert("@timestamp".to_owned(), timestamp);
    line
}

/// One row for each combination of `by`, in the order in which they first appear.
fn stats(rows: &Rows, named: &[(String, Expression)], by: &[String], now: i64) -> Result<Rows, QueryError> {
    let mut groups: BTreeMap<String, Vec<&Map<String, Value>>> = BTreeMap::new();
    for row in rows {
        let key: Vec<_> = by.iter().map(|name| row.get(name).cloned().unwrap_or_default()).collect();
        groups.entry(Value::from(key).to_string()).or_default().push(row);
    }
    let mut found = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by(|one, other| compare(one.get("@timestamp"), other.get("@timestamp")));
        let first = group.first().copied();
        let of_group = by.iter().filter_map(|name| Some((name.clone(), first?.get(name)?.clone())));
        let mut row: Map<String, Value> = of_group.collect();
        for (name, expression) in named {
            row.insert(name.clone(), expression.aggregate(&group, now)?);
        }
        found.push(row);
    }
    Ok(found)
}

/// Numbers by value, texts by letter; what is missing comes first.
fn compare(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => text(one).cmp(&text(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn results(query: &str) -> Value {
        let lines = [
            json!({ "timestamp": "1", "event": "a", "n": 3, "who": "x" }),
            json!({ "timestamp": "2", "event": "b", "n": 1 }),
            json!({ "timestamp": "3", "event": "a", "n": 2, "who": "its y" }),
        ];
        json!(run_query(query, &lines, 100).unwrap())
    }

    #[test]
    fn queries_find_rows() {
        for (query, found) in [
            ("filter event = 'b' | display n", json!([{ "n": 1 }])),
            ("filter ispresent(who) and n > 2 | display who", json!([{ "who": "x" }])),
            ("filter not ispresent(who) | display n", json!([{ "n": 1 }])),
            ("filter who like 's y' or n = 1 | sort n desc | display n", json!([{ "n": 2 }, { "n": 1 }])),
            ("filter event in ['b', 'c'] | display event", json!([{ "event": "b" }])),
            ("filter event != 'a' | display event", json!([{ "event": "b" }])),
            ("filter who != 'x' | display who", json!([{ "who": "its y" }])),
            ("sort n asc | limit 1 | display n", json!([{ "n": 1 }])),
            ("fields strcontains(event, 'a') as is_a | filter is_a = 0 | display n", json!([{ "n": 1 }])),
            ("filter n < now() - 97 | sort n asc | display n", json!([{ "n": 1 }, { "n": 2 }])),
            (
                "stats count(*) as lines, latest(who) as last, max(n) as most, avg(n) * 2 as twice by event | sort lines desc",
                json!([
                    { "event": "a", "lines": 2, "last": "its y", "most": 3, "twice": 5.0 },
                    { "event": "b", "lines": 1, "last": null, "most": 1, "twice": 2.0 },
                ]),
            ),
        ] {
            assert_eq!(results(query), found, "{query}");
        }
    }

    #[test]
    fn unsupported_queries_are_errors() {
        for query in
            ["parse @message 'x' as y", "filter", "filter n =", "limit x", "filter pct(n, 99) > 1", "filter 'x"]
        {
            assert!(matches!(run_query(query, &[json!({})], 0), Err(QueryError::Unsupported(_))), "{query}");
        }
        for query in ["filter max(n) = 1", "stats n by event"] {
            assert!(matches!(run_query(query, &[json!({ "n": 1 })], 0), Err(QueryError::Misplaced(_))), "{query}");
        }
    }
}
