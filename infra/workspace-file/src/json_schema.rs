//! Makes `workspace-file.schema.json`, by which an editor checks and completes a workspace file while it is written.
//!
//! The reader does not use it: it says more, and in words of this file. The tests in here hold the two together. They change a
//! file in every place, and what the schema refuses, the reader refuses too; what the reader refuses, the schema does, but for
//! what no schema can know ([`BEYOND_SCHEMAS`]). `UPDATE_EXPECT=1` writes the schema anew.
//!
//! Its draft is 07, which the YAML support of every editor knows. A doc comment is what an editor shows.

#![expect(dead_code, reason = "these structs are the shape of a schema")]

use std::collections::BTreeMap;

use expect_test::expect_file;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use shared::oauth::scope::{Scope, Scopes};
use shared::store::workspace::query::{COLUMNS, CONDITIONS, FIELD_LIMIT, OPS, ORDERS};
use shared::store::workspace::skill::{ARGUMENT_DESCRIPTION_LIMIT, ARGUMENTS};
use shared::store::workspace::tool::BUILT_IN;
use shared::store::workspace::tool_timeout::ToolTimeout;
use shared::store::workspace::{CONTENT_LIMIT, DESCRIPTION_LIMIT, TITLE_LIMIT};

use crate::{Variables, WorkspaceFile, yaml};

/// The records of a type, each by its id, with its fields.
type Records = BTreeMap<Name, Map<String, Value>>;

/// What tenants are to have
#[derive(JsonSchema)]
#[schemars(title = "Workspace file", deny_unknown_fields)]
struct Root {
    /// Each tenant by its id
    #[schemars(extend("type" = ["object", "null"]))]
    tenants: BTreeMap<TenantId, Tenant>,
    /// What the local system may do besides; amble apply leaves it alone
    local: Option<Local>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Local {
    /// Origins at which tools may be called although they are on this machine or in its network, such as `http://localhost:3000`
    outbound_allow: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Tenant {
    /// What people call the workspace
    name: Title,
    /// Roles of its own, in addition to owner, admin, member and viewer: each by its name, with its permissions
    roles: Option<BTreeMap<Name, Vec<Permission>>>,
    /// Who is in it, each by their id at the sign-in service
    members: Option<BTreeMap<PersonId, Member>>,
    /// Tools that the tenant serves, each by its name
    #[schemars(extend("propertyNames" = { "not": { "enum": BUILT_IN } }))]
    tools: Option<BTreeMap<Name, Tool>>,
    /// Texts for recurring work, each by its name
    skills: Option<BTreeMap<Name, Skill>>,
    /// Kinds of records, each by its name
    entity_types: Option<BTreeMap<Name, EntityType>>,
    /// Records, by type and id
    entities: Option<BTreeMap<Name, Option<Records>>>,
    /// Saved queries over records, each by its name
    views: Option<BTreeMap<Name, View>>,
    /// Texts in Markdown, each by its id
    documents: Option<BTreeMap<Name, Document>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Member {
    /// For whoever reads the file
    #[schemars(default, skip_serializing_if = "Title::is_empty")]
    name: Title,
    /// A role of the tenant's own, or owner, admin, member or viewer
    role: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["url"] }, { "required": ["function"] }]))]
#[expect(clippy::struct_excessive_bools, reason = "a file says each of them")]
struct Tool {
    /// Its name for people
    title: Title,
    /// What it does and when to use it, for the model
    description: Description,
    /// Where it is; ${NAME} is a variable
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    url: String,
    /// The ARN of the Lambda function that it is, in place of a url; ${NAME} is a variable
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    function: String,
    /// How long it may take
    #[schemars(default = "timeout_seconds", range(min = *ToolTimeout::SECONDS.start(), max = *ToolTimeout::SECONDS.end()))]
    timeout_seconds: u64,
    /// It changes nothing
    #[schemars(default)]
    read_only: bool,
    /// It may remove or replace something
    #[schemars(default = "yes")]
    destructive: bool,
    /// A second call with the same arguments changes nothing more
    #[schemars(default)]
    idempotent: bool,
    /// It reaches things outside of the tenant
    #[schemars(default = "yes")]
    open_world: bool,
    /// JSON Schema of its arguments
    input_schema: ObjectSchema,
    /// JSON Schema of its answer; left out, no structure is promised
    #[schemars(default, skip_serializing_if = "ObjectSchema::is_empty")]
    output_schema: ObjectSchema,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["content"] }, { "required": ["content_file"] }]))]
struct Skill {
    /// Its name for people
    title: Title,
    /// When to use it, for the model
    description: Description,
    /// What {{name}} in the content stands for, each by its name
    #[schemars(extend("maxProperties" = ARGUMENTS))]
    arguments: Option<BTreeMap<Name, Argument>>,
    /// The instructions, in Markdown
    #[schemars(default, skip_serializing_if = "Content::is_empty")]
    content: Content,
    /// A file below the folder of this one, in place of the content
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    content_file: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Argument {
    /// What is to be given
    #[schemars(length(min = 1, max = ARGUMENT_DESCRIPTION_LIMIT))]
    description: String,
    /// Whether it must be given
    #[schemars(default)]
    required: bool,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct EntityType {
    /// Its name for people
    title: Title,
    /// What such a record is, for the model
    description: Description,
    /// JSON Schema of a record's fields
    schema: ObjectSchema,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct View {
    /// Its name for people
    title: Title,
    /// What it shows, for the model
    description: Description,
    /// One of the entity types
    #[schemars(rename = "type")]
    kind: Name,
    /// Conditions that must all hold
    #[schemars(length(max = CONDITIONS))]
    filter: Option<Vec<Condition>>,
    /// By these fields in turn, then by id
    #[schemars(length(max = ORDERS))]
    sort: Option<Vec<Order>>,
    /// The fields that are shown; every field, if they are left out
    #[schemars(length(max = COLUMNS))]
    columns: Option<Vec<Field>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Condition {
    field: Field,
    #[schemars(extend("enum" = OPS))]
    op: String,
    /// A text, number, boolean or null; for in, a list of these; not needed for exists
    #[schemars(default, skip_serializing_if = "Value::is_null")]
    value: Value,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Order {
    field: Field,
    #[schemars(default = "ascending", extend("enum" = ["asc", "desc"]))]
    direction: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["content"] }, { "required": ["content_file"] }]))]
struct Document {
    /// Its name for people
    title: Title,
    /// The text, in Markdown
    #[schemars(default, skip_serializing_if = "Content::is_empty")]
    content: Content,
    /// A file below the folder of this one, in place of the content
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    content_file: String,
}

#[derive(JsonSchema)]
struct TenantId(#[schemars(regex(pattern = "^[a-z0-9_-]{1,64}$"))] String);

#[derive(JsonSchema)]
struct PersonId(#[schemars(regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))] String);

#[derive(JsonSchema)]
struct Name(#[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$"))] String);

#[derive(Default, JsonSchema)]
struct Title(#[schemars(length(min = 1, max = TITLE_LIMIT))] String);

#[derive(JsonSchema)]
struct Description(#[schemars(length(min = 1, max = DESCRIPTION_LIMIT))] String);

#[derive(Default, JsonSchema)]
struct Content(#[schemars(length(max = CONTENT_LIMIT))] String);

/// A field of the type, with dots into objects; or $id, $version, $created, $updated, $updatedBy of the record itself
#[derive(JsonSchema)]
struct Field(#[schemars(length(min = 1, max = FIELD_LIMIT))] String);

#[derive(JsonSchema)]
#[schemars(transform = name_permissions)]
struct Permission(String);

#[derive(Default, JsonSchema)]
#[schemars(extend("properties" = { "type": { "const": "object" } }, "required" = ["type"]))]
struct ObjectSchema(Map<String, Value>);

impl Title {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Content {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ObjectSchema {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const fn timeout_seconds() -> u64 {
    ToolTimeout::DEFAULT.seconds()
}

const fn yes() -> bool {
    true
}

const fn ascending() -> &'static str {
    "asc"
}

fn name_permissions(schema: &mut Schema) {
    let names: Vec<_> = Scopes::ALL_PERMISSIONS.iter().map(Scope::as_str).collect();
    schema.insert("enum".to_owned(), names.into());
}

fn schema() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let settings = settings.with_transform(RecursiveTransform(derived_schema::simplify));
    settings.into_generator().into_root_schema_for::<Root>().to_value()
}

#[test]
fn published_schema_is_derived_from_the_limits() {
    let file = expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/workspace-file.schema.json")];
    file.assert_eq(&derived_schema::file_text(&schema()));
}

/// What an error says that no schema can know: what other parts of the file name, what an address means, and which value an
/// operator takes.
const BEYOND_SCHEMAS: [&str; 8] = [
    "is no origin",
    "is no usable entity type",
    "is no role of this tenant",
    "is no field of",
    "is none of its arguments",
    "the url must be",
    "the function must be",
    "`filter[0]`: value is",
];

/// A file with everything that there is.
const EXAMPLE: &str = r#"
tenants:
  acme:
    name: Acme
    roles: { clerk: [skills:read, "entities:write"] }
    members:
      5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01: { name: Ana, role: clerk }
      5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02: { role: owner }
    tools:
      dice:
        title: Dice
        description: Rolls dice
        url: https://tools.example.com/dice
        timeout_seconds: 5
        read_only: true
        destructive: false
        idempotent: false
        open_world: false
        input_schema: { type: object }
        output_schema: { type: object }
      invoices:
        title: Invoices
        description: Makes invoices
        function: arn:aws:lambda:eu-central-1:123456789012:function:invoices
        input_schema: { type: object }
    skills:
      report:
        title: Report
        description: How to report
        arguments: { week: { description: Which, required: true } }
        content: Of {{week}}
    entity_types:
      invoice: { title: Invoice, description: One, schema: { type: object, properties: { due: { type: string } } } }
    entities: { invoice: { one: { due: soon } } }
    views:
      open:
        title: Open
        description: Open ones
        type: invoice
        filter: [{ field: due, op: eq, value: soon }]
        sort: [{ field: due, direction: desc }]
        columns: [due, $id]
    documents: { coffee: { title: Coffee, content: Good } }
local: { outbound_allow: [http://localhost:3000] }
"#;

#[test]
fn schema_and_reader_refuse_the_same() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let example = to_json(EXAMPLE);
    assert_eq!(errors(&example), [""; 0]);

    let (mut changes, mut mistakes) = (0, Vec::new());
    change(&example, "", &mut |place, file| {
        changes += 1;
        let (fits, errors) = (schema.is_valid(&file), errors(&file));
        let known = errors.iter().all(|error| BEYOND_SCHEMAS.iter().any(|beyond| error.contains(beyond)));
        if !fits && errors.is_empty() {
            mistakes.push(format!("only the schema refuses {place}"));
        } else if fits && !known {
            mistakes.push(format!("only the reader refuses {place}: {errors:?}"));
        }
    });

    assert!(changes > 500, "{changes}");
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn files_of_this_repository_fit_the_schema() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let demo = std::fs::read_to_string(format!("{root}/infra/local/demo.yaml")).unwrap();
    let page = std::fs::read_to_string(format!("{root}/docs/workspace-files.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();

    for text in [EXAMPLE, &demo, example] {
        let file = to_json(text);
        let mistakes: Vec<_> = schema.iter_errors(&file).map(|error| error.to_string()).collect();
        assert_eq!(mistakes, [""; 0]);
    }
}

/// Calls `changed` with the file with one thing left out, replaced or added, for every place of it.
fn change(file: &Value, place: &str, changed: &mut dyn FnMut(&str, Value)) {
    match file {
        Value::Object(members) => {
            let with = |name: &str, value| {
                let mut members = members.clone();
                members.insert(name.to_owned(), value);
                Value::Object(members)
            };
            for (name, value) in members {
                let place = format!("{place}/{name}");
                let mut others = members.clone();
                others.remove(name);
                changed(&format!("{place}: left out"), Value::Object(others));
                for other in replacements() {
                    changed(&format!("{place}: {other}"), with(name, other));
                }
                // What a tenant's own schema says, and what has to fit that, is no matter of this one.
                if !["input_schema", "output_schema", "schema", "entities"].contains(&name.as_str()) {
                    change(value, &place, &mut |place, value| changed(place, with(name, value)));
                }
            }
            for other in replacements() {
                changed(&format!("{place}/unknown: {other}"), with("unknown", other.clone()));
                changed(&format!("{place}/un known: {other}"), with("un known", other));
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                let with = |value| {
                    let mut items = items.clone();
                    items[number] = value;
                    Value::Array(items)
                };
                let place = format!("{place}/{number}");
                for other in replacements() {
                    changed(&format!("{place}: {other}"), with(other));
                }
                change(item, &place, &mut |place, value| changed(place, with(value)));
            }
            changed(&format!("{place}: many"), Value::Array(items.iter().cycle().take(60).cloned().collect()));
        }
        _ => {}
    }
}

fn replacements() -> [Value; 8] {
    [json!(null), json!(true), json!(7), json!(99), json!(""), json!("text"), json!([]), json!({})]
}

/// The errors of the reader. JSON is YAML.
fn errors(file: &Value) -> Vec<String> {
    let read = WorkspaceFile::parse(&format!("{file:#}"), "file", None, &Variables::new());
    read.err().map_or_else(Vec::new, |errors| errors.to_string().lines().map(str::to_owned).collect())
}

fn to_json(text: &str) -> Value {
    let mut errors = Vec::new();
    let file = yaml::read(text, &mut errors).unwrap().json();
    assert_eq!(errors, []);
    file
}
