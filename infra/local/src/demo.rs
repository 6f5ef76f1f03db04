//! People, tenants and things to try the system with.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::environment::Environment;
use shared::oauth::api_key::ApiKey;
use shared::oauth::role::Role;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::directory::Tenant;
use shared::store::keys::KnownKey;
use shared::store::workspace::skill::{Argument, Skill};
use shared::store::workspace::tool::{Kind, Tool};
use shared::store::workspace::view::View;
use shared::store::workspace::{Name, Workspaces};
use stand_ins::supabase::seed::Person;
use uuid::Uuid;

use crate::folder::Folder;
use crate::{Failure, dice, words};

/// What is there, for whoever tries it.
#[derive(Clone, Serialize)]
pub struct Demo {
    /// Who can sign in.
    pub people: Vec<DemoPerson>,
    /// A key of the first person in their first tenant. Works until it is revoked, over restarts as well.
    pub api_key: String,
}

/// Someone who can sign in.
#[derive(Clone, Serialize)]
pub struct DemoPerson {
    /// Address.
    pub email: String,
    /// Password, which is no secret.
    pub password: String,
    /// Whom the directory knows.
    #[serde(skip)]
    pub id: PersonId,
    /// Where they are members.
    pub tenants: Vec<DemoTenant>,
}

/// A membership.
#[derive(Clone, Serialize)]
pub struct DemoTenant {
    /// The tenant's id.
    pub id: String,
    /// The tenant's name.
    pub name: String,
    /// The person's role in it.
    pub role: String,
}

struct Someone {
    name: &'static str,
    id: Uuid,
    /// Tenant and role.
    member: &'static [(&'static str, &'static str)],
}

const PEOPLE: [Someone; 4] = [
    Someone {
        name: "ana",
        id: Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e01),
        member: &[("acme", "owner"), ("globex", "viewer")],
    },
    Someone {
        name: "ben",
        id: Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e02),
        member: &[("acme", "member")],
    },
    Someone {
        name: "vera",
        id: Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e03),
        member: &[("acme", "viewer")],
    },
    Someone { name: "nora", id: Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e04), member: &[] },
];

const TENANTS: [(&str, &str); 2] = [("acme", "Acme"), ("globex", "Globex")];

/// Holds the key; that it is there says that everything else was laid out.
const KEY_FILE: &str = "api-key";

/// The people as the sign-in service is to know them.
pub(crate) fn people() -> impl Iterator<Item = Person> {
    PEOPLE.iter().map(|Someone { name, id, .. }| {
        let full_name = name.get(..1).unwrap_or_default().to_uppercase() + name.get(1..).unwrap_or_default();
        Person { id: Some(*id), ..Person::new(&email(name), &password(name), &full_name) }
    })
}

/// Lays everything out, once per folder: what was changed since stays changed. Only where the tool is served is written at
/// every start, as its port may be another.
pub(crate) async fn lay_out(
    operator: &Environment,
    tools_at: &str,
    folder: Option<&Folder>,
    now: Timestamp,
) -> Result<Demo, Failure> {
    let workspaces = operator.workspaces()?;
    let kept = folder.map(|folder| folder.read(KEY_FILE)).transpose()?.flatten();
    let kept = kept.and_then(|text| ApiKey::parse(std::str::from_utf8(&text).ok()?.trim()));
    if kept.is_none() {
        tenants_and_members(operator).await?;
        skills_and_views(&workspaces).await?;
        documents(&workspaces, now).await?;
    }
    for (tenant, _) in TENANTS {
        let workspace = workspaces.as_operator(&tenant_id(tenant)?);
        workspace.keep_tool(&roll_dice(tools_at)?).await?;
        workspace.keep_tool(&count_words()?).await?;
    }
    let keys = operator.keys()?;
    let key = match kept {
        // One that was revoked stays revoked.
        Some(key) if keys.find(&key.id, now).await?.is_some() => key,
        _ => {
            let key = ApiKey::random();
            keys.keep(&known(&key, now)?).await?;
            if let Some(folder) = folder {
                folder.write(KEY_FILE, key.to_text().as_bytes())?;
            }
            key
        }
    };
    let people = PEOPLE.iter().map(|someone| {
        Ok(DemoPerson {
            email: email(someone.name),
            password: password(someone.name),
            id: person_id(someone)?,
            tenants: someone.member.iter().map(|(tenant, role)| membership(tenant, role)).collect(),
        })
    });
    Ok(Demo { people: people.collect::<Result<_, Failure>>()?, api_key: key.to_text() })
}

async fn tenants_and_members(operator: &Environment) -> Result<(), Failure> {
    let directory = operator.directory()?;
    let names = ["skills:read", "views:read", "documents:read", "documents:write"];
    let editor = Role { name: "editor".to_owned(), permissions: Scopes::of_names(names) };
    for (id, name) in TENANTS {
        // A role of the tenant's own, to be tried.
        let roles = if id == "acme" { vec![editor.clone()] } else { Vec::new() };
        directory.keep_tenant(&Tenant { id: tenant_id(id)?, name: name.to_owned(), roles }).await?;
    }
    for someone in &PEOPLE {
        for (tenant, role) in someone.member {
            directory.keep_member(&tenant_id(tenant)?, &person_id(someone)?, role).await?;
        }
    }
    Ok(())
}

async fn skills_and_views(workspaces: &Workspaces) -> Result<(), Failure> {
    let acme = workspaces.as_operator(&tenant_id("acme")?);
    let skills = [
        Skill {
            name: name("weekly-report")?,
            title: "Weekly report".to_owned(),
            description: "How Acme writes its report of the week. Use it when asked for a weekly report or status."
                .to_owned(),
            content: WEEKLY_REPORT.to_owned(),
            arguments: vec![
                Argument {
                    name: name("week")?,
                    description: "Which week, such as 2026-W47".to_owned(),
                    required: true,
                },
                Argument {
                    name: name("audience")?,
                    description: "Who reads it, if not the whole house".to_owned(),
                    required: false,
                },
            ],
        },
        Skill {
            name: name("house-style")?,
            title: "House style".to_owned(),
            description: "How Acme writes to customers. Use it before drafting any message that leaves the house."
                .to_owned(),
            content: HOUSE_STYLE.to_owned(),
            arguments: Vec::new(),
        },
    ];
    for skill in &skills {
        acme.keep_skill(skill).await?;
    }
    let open_invoices = View {
        name: name("open-invoices")?,
        title: "Open invoices".to_owned(),
        description: "Invoices that have not been paid, the oldest first".to_owned(),
        definition: object(json!({
            "entity": "invoice",
            "filter": { "paid": false },
            "order": [{ "by": "due", "direction": "ascending" }],
            "columns": ["number", "customer", "amount", "due"],
        })),
    };
    acme.keep_view(&open_invoices).await?;
    // What one tenant has, the other must not see.
    let globex_only = Skill {
        name: name("incident-response")?,
        title: "Incident response".to_owned(),
        description: "What Globex does when something is down. Use it when an incident is reported.".to_owned(),
        content: INCIDENT_RESPONSE.to_owned(),
        arguments: Vec::new(),
    };
    workspaces.as_operator(&tenant_id("globex")?).keep_skill(&globex_only).await?;
    Ok(())
}

async fn documents(workspaces: &Workspaces, now: Timestamp) -> Result<(), Failure> {
    let acme = workspaces.as_operator(&tenant_id("acme")?);
    acme.keep_document(&name("refund-policy")?, "Refund policy", REFUND_POLICY, now).await?;
    acme.keep_document(&name("office-handbook")?, "Office handbook", OFFICE_HANDBOOK, now).await?;
    Ok(())
}

fn roll_dice(tools_at: &str) -> Result<Tool, Failure> {
    let (dice, sides) = (dice::MOST_DICE, dice::MOST_SIDES);
    Ok(Tool {
        name: name("roll_dice")?,
        title: "Roll dice".to_owned(),
        description: "Rolls dice and tells each of them and their sum.".to_owned(),
        input_schema: object(json!({
            "type": "object",
            "properties": {
                "dice": { "type": "integer", "minimum": 1, "maximum": dice, "default": 1, "description": "How many dice" },
                "sides": { "type": "integer", "minimum": 2, "maximum": sides, "default": 6, "description": "Sides of each" },
            },
            "additionalProperties": false,
        })),
        output_schema: Some(object(json!({
            "type": "object",
            "properties": {
                "rolls": { "type": "array", "items": { "type": "integer" } },
                "total": { "type": "integer" },
            },
            "required": ["rolls", "total"],
        }))),
        kind: Kind::Http { url: format!("{tools_at}{}", dice::PATH) },
        timeout: Duration::from_secs(5),
        read_only: true,
        destructive: false,
        idempotent: false,
        open_world: false,
    })
}

fn count_words() -> Result<Tool, Failure> {
    Ok(Tool {
        name: name("count_words")?,
        title: "Count words".to_owned(),
        description: "Counts the words and letters of a text.".to_owned(),
        input_schema: object(json!({
            "type": "object",
            "properties": { "text": { "type": "string", "description": "The text" } },
            "required": ["text"],
            "additionalProperties": false,
        })),
        output_schema: Some(object(json!({
            "type": "object",
            "properties": { "words": { "type": "integer" }, "letters": { "type": "integer" } },
            "required": ["words", "letters"],
        }))),
        kind: Kind::Lambda { function: words::ARN.to_owned() },
        timeout: Duration::from_secs(5),
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    })
}

fn known(key: &ApiKey, now: Timestamp) -> Result<KnownKey, Failure> {
    let [ana, ..] = &PEOPLE;
    Ok(KnownKey {
        id: key.id.clone(),
        tenant: tenant_id("acme")?,
        name: "demo script".to_owned(),
        digest: key.secret.digest(),
        scopes: Scopes::DEFAULT.permissions(),
        maker: person_id(ana)?,
        created: now,
        expires: None,
    })
}

fn membership(tenant: &str, role: &str) -> DemoTenant {
    let name = TENANTS.iter().find(|(id, _)| *id == tenant).map_or(tenant, |(_, name)| name);
    DemoTenant { id: tenant.to_owned(), name: name.to_owned(), role: role.to_owned() }
}

fn email(name: &str) -> String {
    format!("{name}@example.com")
}

fn password(name: &str) -> String {
    format!("{name}-demo")
}

fn tenant_id(id: &str) -> Result<TenantId, Failure> {
    TenantId::parse(id).ok_or(Failure::Demo("a tenant's id"))
}

fn person_id(someone: &Someone) -> Result<PersonId, Failure> {
    PersonId::parse(&someone.id.to_string()).ok_or(Failure::Demo("a person's id"))
}

fn name(name: &str) -> Result<Name, Failure> {
    Name::parse(name).ok_or(Failure::Demo("a name"))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

const WEEKLY_REPORT: &str = "\
# Weekly report

For {{week}}. Readers, if not the whole house: {{audience}}

1. Start with the one number that changed most, and why.
2. Three things that were finished, one line each, with who did them.
3. What is stuck, and what would unstick it.
4. Close with next week's single priority.

At most 200 words. No adjectives that a customer would not use.
";

const HOUSE_STYLE: &str = "\
# House style

- Answer the question in the first sentence.
- Write \"we\", never \"the team\".
- Dates as 22 November 2026, amounts with their currency.
- Offer one next step, not three.
";

const INCIDENT_RESPONSE: &str = "\
# Incident response

1. Say in the incident channel what is known, and since when.
2. One person leads, another writes down what is tried.
3. Undo the last change first, understand it afterwards.
4. Tell customers every thirty minutes, even if nothing is new.
";

const REFUND_POLICY: &str = "\
# Refund policy

- Within 30 days the whole amount, without asking why.
- After that, what has not been used.
- Refunds above 500 EUR are approved by the finance lead.
- Money goes back the way it came, within five working days.
";

const OFFICE_HANDBOOK: &str = "\
# Office handbook

- The door code changes on the first Monday of the month; ask at the front desk.
- Visitors are signed in by whoever invited them.
- The last one out sets the alarm.
";
