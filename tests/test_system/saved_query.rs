//! A saved query of CloudWatch Logs Insights, as far as it can be held against the lines that it is to find.

use std::collections::BTreeSet;

/// What a query reads, and what it waits for. What the query itself calls something is neither.
#[derive(Debug, PartialEq, Eq)]
pub struct SavedQuery {
    /// The fields that it names.
    pub fields: BTreeSet<String>,
    /// The texts that it compares with, placeholders (`PUT THE … HERE`) among them.
    pub texts: BTreeSet<String>,
}

impl SavedQuery {
    /// Reads a query.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let (outside, inside): (Vec<_>, Vec<_>) = query.split('\'').enumerate().partition(|(at, _)| at % 2 == 0);
        let outside: Vec<_> = outside.into_iter().map(|(_, text)| text).collect();
        let text = outside.join(" ");
        let words: Vec<_> = text
            .split(|letter: char| !(letter.is_ascii_alphanumeric() || "@_.".contains(letter)))
            .filter(|word| !word.is_empty() && !word.chars().all(|letter| letter.is_ascii_digit()))
            .collect();
        let own: BTreeSet<_> = words.windows(2).filter(|pair| pair[0] == "as").map(|pair| pair[1]).collect();
        let fields = words.into_iter().filter(|word| !WORDS.contains(word) && !own.contains(word));
        Self {
            fields: fields.map(str::to_owned).collect(),
            texts: inside.into_iter().map(|(_, text)| text.to_owned()).collect(),
        }
    }
}

/// Of the query language: commands, operators and functions.
const WORDS: [&str; 24] = [
    "filter",
    "fields",
    "stats",
    "sort",
    "limit",
    "display",
    "and",
    "or",
    "not",
    "in",
    "as",
    "by",
    "asc",
    "desc",
    "like",
    "ispresent",
    "strcontains",
    "latest",
    "earliest",
    "max",
    "min",
    "avg",
    "now",
    "count",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_texts_are_told_from_the_language() {
        let query = "filter event in ['grant_ended'] and ispresent(flow)\n\
                     | stats count(*) as refusals, avg(microseconds) / 1000 as mean by clinet\n\
                     | filter refusals > 2 | sort mean desc | limit 200";

        let SavedQuery { fields, texts } = SavedQuery::parse(query);

        assert_eq!(fields.into_iter().collect::<Vec<_>>(), ["clinet", "event", "flow", "microseconds"]);
        assert_eq!(texts.into_iter().collect::<Vec<_>>(), ["grant_ended"]);
    }
}
