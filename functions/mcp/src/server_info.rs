//! What the server says of itself: to `initialize`, to `server/discover`, and in the metadata of results.

use rmcp::model::{
    CacheScope, DiscoverResult, Implementation, InitializeResult, JsonObject, MetaObject, PromptsCapability,
    ProtocolVersion, ResourcesCapability, ServerCapabilities, ToolsCapability,
};
use serde_json::Value;
use shared::environment::{ConfigError, Environment};

use crate::protocol_version::LEGACY;

/// The server's name and version, as results carry it.
#[derive(Clone)]
pub(crate) struct ServerInfo {
    implementation: Implementation,
    meta: MetaObject,
}

/// How long a client may keep what the server says of itself, in milliseconds: the instructions differ by connection and by role.
const DISCOVERY_TTL: u64 = 0;

const SUPPORTED: [ProtocolVersion; 1 + LEGACY.len()] =
    [ProtocolVersion::V_2026_07_28, ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2025_06_18];

impl ServerInfo {
    /// With the product's name from the environment.
    pub(crate) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self::titled(&environment.product_name()?))
    }

    /// Of a product of that name.
    pub(crate) fn titled(product: &str) -> Self {
        let implementation = Implementation::new("amble-connect", env!("CARGO_PKG_VERSION")).with_title(product);
        // Text and nothing else: it would take a mistake in rmcp to fail.
        let named = serde_json::to_value(&implementation).unwrap_or(Value::Null);
        let meta = MetaObject(std::iter::once(("io.modelcontextprotocol/serverInfo".to_owned(), named)).collect());
        Self { implementation, meta }
    }

    /// The result of `initialize`: the version that was asked for if it is served and has that handshake, else the newest such.
    pub(crate) fn initialize(&self, requested: &ProtocolVersion, instructions: String) -> InitializeResult {
        let agreed = SUPPORTED.into_iter().find(|version| version == requested && version.has_initialize());
        let mut capabilities = ServerCapabilities::default();
        capabilities.tools = Some(ToolsCapability::default());
        capabilities.prompts = Some(PromptsCapability::default());
        capabilities.resources = Some(ResourcesCapability::default());
        capabilities.completions = Some(JsonObject::new());
        InitializeResult::new(capabilities)
            .with_server_info(self.implementation.clone())
            .with_protocol_version(agreed.unwrap_or(ProtocolVersion::LATEST_WITH_INITIALIZE))
            .with_instructions(instructions)
    }

    /// The result of `server/discover`.
    pub(crate) fn discover(&self, instructions: String) -> DiscoverResult {
        let described = self.initialize(&ProtocolVersion::LATEST_WITH_INITIALIZE, instructions);
        let mut discovered = DiscoverResult::from_server_info(SUPPORTED.to_vec(), described);
        discovered.ttl_ms = DISCOVERY_TTL;
        discovered.cache_scope = CacheScope::Private;
        discovered
    }

    /// The metadata that names the server (2026-07-28, base protocol).
    pub(crate) fn meta(&self) -> MetaObject {
        self.meta.clone()
    }
}
