//! Finds the protocol version that a request follows, and checks what that version demands of headers and metadata.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use rmcp::model::{ClientCapabilities, JsonObject};
use serde::Deserialize;
use serde_json::Value;

use crate::error::MessageError;
use crate::protocol_version::{LEGACY, MODERN, ProtocolVersion};

pub(crate) const VERSION_HEADER: &str = "mcp-protocol-version";
pub(crate) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// The protocol version of a request, whose rules its headers and metadata keep.
pub(crate) fn protocol_version(
    headers: &HeaderMap,
    method: &str,
    params: &JsonObject,
) -> Result<ProtocolVersion, MessageError> {
    let header = headers.get(VERSION_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let meta = params.get("_meta");
    match (meta.and_then(|meta| meta.get(VERSION_KEY)), header.as_deref()) {
        (Some(version), header) => {
            validate_metadata(headers, header, version, meta, method, params)?;
            Ok(ProtocolVersion::Modern)
        }
        // The handshake is what agrees on a version, so the header is not compared with what it asks for.
        (None, _) if method == "initialize" => Ok(ProtocolVersion::Legacy),
        // Claude has been seen to leave the header out; 2025-11-25 lets us assume an older version then.
        (None, None) => Ok(ProtocolVersion::Legacy),
        (None, Some(version)) if LEGACY.contains(&version) => Ok(ProtocolVersion::Legacy),
        // Serving it as legacy would forgive a client that has half moved on; none is known (base protocol, `_meta`).
        (None, Some(MODERN)) => Err(MessageError::MissingProtocolVersion),
        (None, Some(version)) => Err(MessageError::UnsupportedProtocolVersion(version.to_owned())),
    }
}

/// 2026-07-28, base protocol and transports: what every request carries, twice.
fn validate_metadata(
    headers: &HeaderMap,
    header: Option<&str>,
    version: &Value,
    meta: Option<&Value>,
    method: &str,
    params: &JsonObject,
) -> Result<(), MessageError> {
    let Value::String(version) = version else { return Err(MessageError::ProtocolVersionNotAString) };
    let capabilities = meta.and_then(|meta| meta.get(CAPABILITIES_KEY)).filter(|capabilities| capabilities.is_object());
    let capabilities = capabilities.ok_or(MessageError::MissingClientCapabilities)?;
    if header != Some(version) {
        return Err(MessageError::ProtocolVersionMismatch);
    }
    if version != MODERN {
        return Err(MessageError::UnsupportedProtocolVersion(version.clone()));
    }
    if single_header_value(headers, "mcp-method").as_deref() != Some(method) {
        return Err(MessageError::MethodMismatch);
    }
    let name = match method {
        "tools/call" | "prompts/get" => params.get("name"),
        "resources/read" => params.get("uri"),
        _ => None,
    };
    if let Some(name) = name.and_then(Value::as_str)
        && single_header_value(headers, "mcp-name").as_deref() != Some(name)
    {
        return Err(MessageError::NameMismatch);
    }
    match ClientCapabilities::deserialize(capabilities) {
        Ok(_) => Ok(()),
        Err(_) => Err(MessageError::MalformedClientCapabilities),
    }
}

/// The value of a header that occurs once, decoded if it is wrapped in `=?base64?…?=` (2026-07-28, transports).
fn single_header_value(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let value = value.to_str().ok()?.trim_matches([' ', '\t']);
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}
