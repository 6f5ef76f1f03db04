//! A tool as a tenant would serve it: arguments come as the JSON of a POST, the result goes back as JSON.

use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where the tool is, below its origin.
pub(crate) const PATH: &str = "/roll-dice";

/// Most dice in one roll.
pub(crate) const MAX_DICE: u8 = 20;
/// Most sides of a die.
pub(crate) const MAX_SIDES: u16 = 1000;

/// `POST /roll-dice`
pub(crate) fn router() -> Router {
    Router::new().route(PATH, post(roll))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default = "one")]
    dice: u8,
    #[serde(default = "six")]
    sides: u16,
}

#[derive(Serialize)]
struct RollResult {
    rolls: Vec<u16>,
    total: u32,
}

async fn roll(arguments: Result<Json<Arguments>, JsonRejection>) -> Response {
    let Ok(Json(Arguments { dice: dice @ 1..=MAX_DICE, sides: sides @ 2..=MAX_SIDES })) = arguments else {
        let error = format!("dice from 1 to {MAX_DICE}, sides from 2 to {MAX_SIDES}");
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    };
    let rolls: Option<Vec<_>> = (0..dice).map(|_| roll_die(sides)).collect();
    match rolls {
        Some(rolls) => Json(RollResult { total: rolls.iter().copied().map(u32::from).sum(), rolls }).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A number from 1 to `sides`, each as likely as the next; none when the operating system has no randomness.
fn roll_die(sides: u16) -> Option<u16> {
    // What is above the last whole multiple of `sides` would favour low numbers.
    let fair = u16::MAX - u16::MAX % sides;
    loop {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).ok()?;
        let number = u16::from_le_bytes(bytes);
        if number < fair {
            return Some(number % sides + 1);
        }
    }
}

const fn one() -> u8 {
    1
}

const fn six() -> u16 {
    6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throw_yields_every_side_and_no_other() {
        let mut seen = [false; 6];
        for _ in 0..1000 {
            seen[usize::from(roll_die(6).unwrap()) - 1] = true;
        }
        assert_eq!(seen, [true; 6]);
    }
}
