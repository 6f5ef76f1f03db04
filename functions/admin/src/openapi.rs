//! Makes `openapi.json` of the operations of the API and of the structs that are read and written.
//!
//! The file is what is served: a function holds nothing that makes it. The test in here holds it to what is made, and
//! `UPDATE_EXPECT=1` writes it anew.

use expect_test::expect_file;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::{
    ActivityPage, ConnectionsPage, CreateKeyRequest, CreatedKeyJson, KeysPage, RevokeConnectionsRequest,
    RevokeKeyRequest, RevokedConnectionsJson, RevokedKeyJson,
};
use crate::error::Body;
use crate::route::Route;

#[test]
fn description_is_made_of_routes_and_structs() {
    let document = document();

    for (path, methods) in document["paths"].as_object().unwrap() {
        let route = Route::parse(&path.replace("{tenant}", "acme")).filter(Route::is_api).expect(path);
        let methods: Vec<_> = methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        assert_eq!(methods.join(", "), route.methods(), "{path}");
    }
    let file = expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/src/openapi.json")];
    file.assert_eq(&derived_schema::file_text(&document));
}

/// The document, operation by operation.
fn document() -> Value {
    let mut document = Document::new();
    let (connections, activity) = (
        document.written::<ConnectionsPage>("A page of connections."),
        document.written::<ActivityPage>("A page of events."),
    );
    let after = query("after", "`next` of the page before.", &json!({ "type": "string", "maxLength": 512 }));
    let (key, key_or_session) = (json!([{ "key": [] }]), json!([{ "key": [] }, { "session": [] }]));

    document.add(
        "get",
        "/admin/api/openapi.json",
        json!({
            "operationId": "describe",
            "summary": "This description.",
            "security": [],
            "responses": {
                "200": answer("An OpenAPI document.", &json!({ "type": "object", "required": ["openapi", "paths"] })),
            },
        }),
    );
    document.add(
        "get",
        "/admin/api/me/connections",
        json!({
            "operationId": "listOwnConnections",
            "summary": "What the person who is signed in has connected, in every tenant; the newest first.",
            "parameters": [after],
            "security": [{ "session": [] }],
            "responses": { "200": connections },
        }),
    );
    let person = json!({ "type": "string", "format": "uuid", "description": "A user's id in Supabase Auth." });
    document.add(
        "get",
        "/admin/api/tenants/{tenant}/connections",
        json!({
            "operationId": "listConnections",
            "summary": "What is connected in the tenant; the newest first.",
            "description": "What has ended is never listed. What was connected just now may not be yet.",
            "parameters": [
                query("person", "Only those of this person.", &person),
                query("client", "Only those of this client.", &json!({ "type": "string", "maxLength": 256 })),
                after,
            ],
            "security": key_or_session,
            "responses": { "200": connections },
        }),
    );
    let operation = json!({
        "operationId": "endConnections",
        "summary": "Ends one connection, or those of a person or of a client.",
        "description": "From the next call on they are refused.",
            "security": key,
        "requestBody": document.read::<RevokeConnectionsRequest>(),
        "responses": { "200": document.written::<RevokedConnectionsJson>("How many have ended.") },
    });
    document.add("post", "/admin/api/tenants/{tenant}/connections/end", operation);
    add_keys(&mut document, &after);
    document.add(
        "get",
        "/admin/api/tenants/{tenant}/activity",
        json!({
            "operationId": "listActivity",
            "summary": "What has happened in the tenant in the last 90 days; the newest first.",
            "description": "An event appears within a minute or two. The audit log is the complete record.",
            "parameters": [
                query(
                    "section",
                    "Only changes of connections, keys and members; or only what was called, read, asked for and refused.",
                    &json!({ "type": "string", "enum": ["changes", "calls"] }),
                ),
                query("event", "Only events of this name.", &json!({ "type": "string", "maxLength": 64 })),
                query("person", "Only events that this person did, or that concern them.", &person),
                after,
            ],
            "security": key_or_session,
            "responses": { "200": activity },
        }),
    );
    document.finish()
}

/// The operations on API keys.
fn add_keys(document: &mut Document, after: &Value) {
    let key = json!([{ "key": [] }]);
    let keys = document.written::<KeysPage>("A page of keys.");
    document.add(
        "get",
        "/admin/api/tenants/{tenant}/keys",
        json!({
            "operationId": "listKeys",
            "summary": "The tenant's API keys; the newest first.",
            "description": "A revoked key is never listed. One that was made in the last few seconds may not be listed \
                            yet.",
            "parameters": [after],
            "security": [{ "key": [] }, { "session": [] }],
            "responses": { "200": keys },
        }),
    );
    let mut operation = json!({
        "operationId": "makeKey",
        "summary": "Makes an API key.",
        "description": "It is the maker's of the key with which it is made, and can do no more than that one.",
        "security": key,
        "requestBody": document.read::<CreateKeyRequest>(),
        "responses": { "201": document.written::<CreatedKeyJson>("The key. It is told here and never again.") },
    });
    operation["responses"]["429"] = json!({ "$ref": "#/components/responses/TooManyKeys" });
    document.add("post", "/admin/api/tenants/{tenant}/keys", operation);
    let operation = json!({
        "operationId": "revokeKey",
        "summary": "Revokes an API key.",
        "security": key,
        "requestBody": document.read::<RevokeKeyRequest>(),
        "responses": { "200": document.written::<RevokedKeyJson>("It is refused from the next call on.") },
    });
    document.add("post", "/admin/api/tenants/{tenant}/keys/revoke", operation);
}

struct Document {
    paths: Map<String, Value>,
    reads: SchemaGenerator,
    writes: SchemaGenerator,
}

impl Document {
    fn new() -> Self {
        let of = |settings: SchemaSettings| {
            settings.with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator()
        };
        let settings = derived_schema::settings;
        Self { paths: Map::new(), reads: of(settings()), writes: of(settings().for_serialize()) }
    }

    /// A body that is read.
    fn read<T: JsonSchema>(&mut self) -> Value {
        let schema = self.reads.subschema_for::<T>();
        json!({ "required": true, "content": { "application/json": { "schema": schema } } })
    }

    /// An answer that is written.
    fn written<T: JsonSchema>(&mut self, description: &str) -> Value {
        answer(description, &self.writes.subschema_for::<T>().to_value())
    }

    /// Adds an operation, with what its path says by itself: the tenant, and the errors.
    fn add(&mut self, method: &str, path: &str, mut operation: Value) {
        let mut errors = vec![("400", "Malformed"), ("401", "Unauthenticated"), ("503", "Unavailable")];
        let takes_session = |taken: &Value| taken.get("session").is_some();
        if operation["security"].as_array().is_some_and(|taken| taken.iter().any(takes_session)) {
            errors.push(("429", "TooManyRequests"));
        }
        if path.contains("{tenant}") {
            errors.extend([("403", "Forbidden"), ("404", "NotFound")]);
            let tenant = json!({
                "name": "tenant",
                "in": "path",
                "required": true,
                "description": "The tenant's id.",
                "schema": { "type": "string", "pattern": "^[a-z0-9_-]{1,64}$" },
            });
            let others = operation["parameters"].take();
            let others = others.as_array().cloned().unwrap_or_default();
            operation["parameters"] = [tenant].into_iter().chain(others).collect();
        }
        if operation["security"] != json!([]) {
            for (status, name) in errors {
                operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{name}") });
            }
        }
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        operations[method] = operation;
    }

    fn finish(mut self) -> Value {
        let error = self.writes.subschema_for::<Body>();
        let refused = |description: &str, header: Option<&str>| {
            let mut refused = answer(description, &error.clone().to_value());
            if let Some(header) = header {
                refused["headers"] = json!({ header: { "schema": { "type": "string" } } });
            }
            refused
        };
        let responses = json!({
            "Malformed": refused("The request is not what this description says, or its cursor is none of ours.", None),
            "Unauthenticated": refused(
                "No credentials that count here: neither a key nor, for what only reads, a session.",
                Some("WWW-Authenticate"),
            ),
            "Forbidden": refused("The key or role lacks connections:manage, or would hand on more than it has.", None),
            "NotFound": refused("There is no such tenant or thing, or it is another's: the two look alike.", None),
            "TooManyRequests": refused(
                "The service that signs people in wants us to slow down; try again in a moment.",
                Some("Retry-After"),
            ),
            "TooManyKeys": refused(
                "As many were made as one person may make in an hour; try again when it is over.",
                Some("Retry-After"),
            ),
            "Unavailable": refused(
                "Something that we depend on did not answer; try again in a moment.",
                Some("Retry-After"),
            ),
        });
        let mut schemas = self.reads.take_definitions(true);
        schemas.extend(self.writes.take_definitions(true));
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Console",
                "version": "1",
                "description": "What is connected in a tenant, its API keys, and what has happened in it. For scripts with an \
                                API key (`sk_…`) whose permissions hold `connections:manage`; such a key works in its own \
                                tenant, as far as its maker's role allows at the time. What only reads also takes the session \
                                of a person who is signed in.",
            },
            "paths": self.paths,
            "components": {
                "securitySchemes": {
                    "key": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "sk_…",
                        "description": "An API key with the permission connections:manage.",
                    },
                    "session": {
                        "type": "apiKey",
                        "in": "cookie",
                        "name": "sb-auth-token",
                        "description": "The session cookies of @supabase/ssr, whose name follows from the project's address; `__Host-` stands before it where our own page signs people in.",
                    },
                },
                "responses": responses,
                "schemas": schemas,
            },
        })
    }
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}
