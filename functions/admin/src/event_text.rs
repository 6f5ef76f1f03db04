//! Audit events as text for people.

use shared::clock::Timestamp;
use shared::http::sanitized_text::SanitizedText;
use shared::oauth::scope::Scopes;
use shared::store::activity::{Activity, Section};

use crate::date_time::DateTime;
use crate::permission;

/// One event, for a person.
pub(crate) struct EventText {
    pub(crate) what: String,
    /// The person or key that did it, or the person whom it concerns.
    pub(crate) by: String,
    pub(crate) detail: String,
    /// Whether it deserves attention.
    pub(crate) bad: bool,
}

/// The events of a section that can be shown alone, by name, and what they are for people.
pub(crate) const fn choices(section: Section) -> &'static [(&'static str, &'static str)] {
    match section {
        Section::Changes => &[
            ("grant_approved", "An application was approved"),
            ("grant_activated", "An application was connected"),
            ("grant_used", "A first call"),
            ("grant_changed", "A person changed what a connection may do"),
            ("grant_ended", "A connection ended"),
            ("connections_ended", "Many connections ended"),
            ("late_retry_repeated", "Replaced tokens came again"),
            ("key_made", "An API key was made"),
            ("key_revoked", "An API key was revoked"),
            ("membership_followed", "The product changed a member"),
        ],
        Section::Calls | Section::Routine => &[
            ("tool_called", "A tool was called"),
            ("resource_read", "Something was read"),
            ("prompt_taken", "A skill was used"),
            ("consent_shown", "An application asked to be connected"),
            ("scope_wanted", "An application wanted more"),
            ("call_refused", "A call was refused"),
            ("key_refused", "An API key was refused"),
            ("token_refused", "A connection was not finished"),
            ("refresh_judged", "A connection could not stay"),
        ],
    }
}

/// The event, whose client is called `client`.
pub(crate) fn describe(activity: &Activity, client: Option<&str>) -> EventText {
    let part = |name: &str| activity.text(name).map(|text| SanitizedText(text).to_string()).unwrap_or_default();
    // Only our own words lose their underscores. Ids and names stay as they are.
    let word = |name: &str| part(name).replace('_', " ");
    let client = client.unwrap_or("An application");
    let scopes = || permission::titles(Scopes::parse(activity.text("scope").unwrap_or_default())).join(", ");
    let (mut bad, mut detail) = (false, scopes());
    let what = match activity.event.as_str() {
        "consent_shown" => format!("{client} asked to be connected"),
        "grant_approved" => format!("{client} was approved"),
        "grant_activated" => format!("{client} was connected"),
        "grant_used" => format!("{client} made its first call"),
        "grant_denied" => format!("{client} was denied"),
        "grant_changed" => {
            detail = scope_changes(activity);
            format!("What {client} may do was changed")
        }
        "grant_ended" => {
            let reason = part("reason");
            bad = matches!(reason.as_str(), "code_replayed" | "refresh_replayed");
            detail = match reason.as_str() {
                "revoked" => "disconnected in the application".to_owned(),
                "administrator" => "by an administrator".to_owned(),
                "person" => "by the person who had connected it".to_owned(),
                "revoked_together" => "with all others of its person, application or workspace".to_owned(),
                "membership_gone" => "the person is no longer in the workspace".to_owned(),
                "person_banned" => "the person's account is suspended".to_owned(),
                "person_deleted" => "the person's account was deleted".to_owned(),
                "person_ended" => "by those who run the service, with all else of the person".to_owned(),
                "code_replayed" => "its code was used twice: it may have been stolen".to_owned(),
                "refresh_replayed" => "an old token of it was used again: it may have been stolen".to_owned(),
                _ => reason,
            };
            format!("The connection of {client} ended")
        }
        "token_refused" | "code_judged" => {
            (bad, detail) = (true, list(&[word("reason"), word("verdict")]));
            format!("{client} could not finish connecting")
        }
        "refresh_judged" => {
            detail = word("verdict");
            bad = detail == "replayed";
            format!("{client} could not stay connected")
        }
        "call_refused" => {
            (bad, detail) = (true, word("reason"));
            format!("A call of {client} was refused")
        }
        "late_retry_repeated" => {
            bad = true;
            let earlier = activity.line.get("earlier").and_then(serde_json::Value::as_i64).unwrap_or_default();
            let [earlier, later] = [earlier, activity.at / 1000].map(|at| DateTime(Timestamp::from_seconds(at)));
            let networks = networks(activity);
            detail = format!("{earlier} and {later}{networks}: its new tokens were lost, or somebody else holds them");
            format!("{client} came twice with tokens that were replaced")
        }
        "grant_limited" => format!("What {client} may do was limited, as a role has changed"),
        "connections_ended" => {
            detail = word("reason");
            match (part("client").is_empty(), part("person").is_empty()) {
                (false, _) => format!("Every connection of {client} ended"),
                (true, false) => "Every connection of a member ended".to_owned(),
                (true, true) => "Every connection ended".to_owned(),
            }
        }
        "membership_followed" => {
            let role = part("role");
            bad = part("outcome") == "stale";
            let ignored = if bad { "ignored, as a later change is known" } else { "" };
            detail = list(&[role.clone(), ignored.to_owned()]);
            let what = if role.is_empty() { "The product let a member go" } else { "The product gave a member a role" };
            what.to_owned()
        }
        "scope_wanted" => format!("{client} wanted more than it may"),
        "key_made" => "An API key was made".to_owned(),
        "key_revoked" => "An API key was revoked".to_owned(),
        "key_refused" => {
            (bad, detail) = (true, list(&[word("reason"), scopes()]));
            "An API key was refused".to_owned()
        }
        "tool_called" => {
            detail = list(&[part("object"), word("outcome")]);
            format!("The tool {} was called", part("tool"))
        }
        "resource_read" => {
            detail = word("outcome");
            format!("{} was read", part("resource"))
        }
        "prompt_taken" => {
            detail = word("outcome");
            format!("The skill {} was used", part("prompt"))
        }
        other => SanitizedText(other).to_string().replace('_', " "),
    };
    let by = match (part("by"), part("person")) {
        (by, person) if by.is_empty() => person,
        (by, _) => by,
    };
    let key = part("key");
    let detail = if key.is_empty() { detail } else { list(&[format!("key {key}"), detail]) };
    EventText { what, by, detail, bad }
}

/// Whether both retries came from one network, where both are known.
fn networks(activity: &Activity) -> &'static str {
    match (activity.text("network"), activity.text("earlier_network")) {
        (Some(one), Some(other)) if one == other => ", from one network",
        (Some(_), Some(_)) => ", from two networks",
        _ => "",
    }
}

/// What a person has added and taken away.
fn scope_changes(activity: &Activity) -> String {
    let [before, after] = ["before", "scope"].map(|name| Scopes::parse(activity.text(name).unwrap_or_default()));
    let part = |what: &str, scopes: Scopes| match permission::titles(scopes) {
        titles if titles.is_empty() => String::new(),
        titles => format!("{what}: {}", titles.join(", ")),
    };
    list(&[part("more", after.difference(before)), part("no longer", before.difference(after))])
}

fn list(parts: &[String]) -> String {
    let parts = parts.iter().map(String::as_str).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::oauth::tenant::TenantId;

    use super::*;

    fn activity(line: &serde_json::Value) -> Activity {
        Activity {
            tenant: TenantId::parse("acme").unwrap(),
            at: 0,
            id: "1".to_owned(),
            event: line["event"].as_str().unwrap().to_owned(),
            line: line.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn events_are_described_and_ids_stay_as_they_are() {
        for (line, what, detail) in [
            (
                json!({ "event": "key_made", "key": "a_b-c_d", "scope": "skills:read" }),
                "An API key was made",
                "key a_b-c_d, Read skills",
            ),
            (
                json!({ "event": "tool_called", "tool": "roll_dice", "object": "in_1", "outcome": "not_found" }),
                "The tool roll_dice was called",
                "in_1, not found",
            ),
            (
                json!({ "event": "late_retry_repeated", "earlier": 1_795_000_000 }),
                "Claude came twice with tokens that were replaced",
                "2026-11-18 11:06 UTC and 1970-01-01 00:00 UTC: its new tokens were lost, or somebody else holds them",
            ),
            (
                json!({ "event": "late_retry_repeated", "earlier": 0, "network": "a", "earlier_network": "b" }),
                "Claude came twice with tokens that were replaced",
                "1970-01-01 00:00 UTC and 1970-01-01 00:00 UTC, from two networks: its new tokens were lost, or somebody else \
                 holds them",
            ),
            (json!({ "event": "call_refused", "reason": "not_in_use" }), "A call of Claude was refused", "not in use"),
            (
                json!({ "event": "grant_limited", "scope": "skills:read" }),
                "What Claude may do was limited, as a role has changed",
                "Read skills",
            ),
            (
                json!({ "event": "membership_followed", "role": "vice_editor", "change": 7, "outcome": "applied" }),
                "The product gave a member a role",
                "vice_editor",
            ),
            (
                json!({ "event": "membership_followed", "change": 7, "outcome": "stale" }),
                "The product let a member go",
                "ignored, as a later change is known",
            ),
            (json!({ "event": "something_new", "person": "p" }), "something new", ""),
        ] {
            let activity = activity(&line);
            let text = describe(&activity, Some("Claude"));
            assert_eq!((text.what.as_str(), text.detail.as_str()), (what, detail));
            let bad = ["refused", "replaced"].iter().any(|word| what.contains(word)) || detail.starts_with("ignored");
            assert_eq!(text.bad, bad, "{what}");
        }
    }
}
