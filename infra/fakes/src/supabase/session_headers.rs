//! The headers that name a session and its person.

use axum::http::HeaderValue;
use axum::response::Response;
use uuid::Uuid;

/// Whose session it is about, for the logs of the gateway.
pub(super) fn add_session_headers(response: &mut Response, session: Uuid, person: Uuid) {
    for (name, id) in [("sb-auth-session-id", session), ("sb-auth-user-id", person)] {
        // The text of a UUID is always a header's.
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            response.headers_mut().insert(name, id);
        }
    }
}
