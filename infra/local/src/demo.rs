//! People, tenants and things to try the system with.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::environment::Environment;
use shared::oauth::api_key::{ApiKey, KeyName};
use shared::oauth::role::Role;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::directory::{Standing, Tenant};
use shared::store::keys::Unmade;
use shared::store::workspace::entity_type::EntityType;
use shared::store::workspace::skill::Skill;
use shared::store::workspace::tool::Tool;
use shared::store::workspace::view::{Definition, View};
use shared::store::workspace::{Name, Workspaces};
use stand_ins::supabase::seed::Person;
use uuid::Uuid;

use crate::folder::Folder;
use crate::{Failure, dice};

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
        invoices(&workspaces, now).await?;
    }
    for (tenant, _) in TENANTS {
        workspaces.as_operator(&tenant_id(tenant)?).keep_tool(&roll_dice(tools_at)?).await?;
    }
    let keys = operator.keys()?;
    let key = match kept {
        // One that was revoked stays revoked.
        Some(key) if keys.find(&key.id, now).await?.is_some() => key,
        _ => {
            let name = KeyName::parse("demo script").ok_or(Failure::Demo("a key's name"))?;
            let made = keys.make(&ana_in_acme()?, name, Scopes::DEFAULT, None, now).await;
            let (key, _) = made.map_err(|unmade| match unmade {
                Unmade::Fault(fault) => fault.into(),
                _ => Failure::Demo("a key's scopes"),
            })?;
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
        },
        Skill {
            name: name("house-style")?,
            title: "House style".to_owned(),
            description: "How Acme writes to customers. Use it before drafting any message that leaves the house."
                .to_owned(),
            content: HOUSE_STYLE.to_owned(),
        },
    ];
    for skill in &skills {
        acme.keep_skill(skill).await?;
    }
    let open_invoices = View {
        name: name("open-invoices")?,
        title: "Open invoices".to_owned(),
        description: "Invoices that have not been paid, the oldest first".to_owned(),
        definition: Definition::parse(&object(json!({
            "type": "invoice",
            "filter": [{ "field": "paid", "op": "eq", "value": false }],
            "sort": [{ "field": "due", "direction": "asc" }],
            "columns": ["customer", "amount", "currency", "due"],
        })))
        .map_err(|_| Failure::Demo("a view"))?,
    };
    acme.keep_view(&open_invoices).await?;
    // What one tenant has, the other must not see.
    let globex_only = Skill {
        name: name("incident-response")?,
        title: "Incident response".to_owned(),
        description: "What Globex does when something is down. Use it when an incident is reported.".to_owned(),
        content: INCIDENT_RESPONSE.to_owned(),
    };
    workspaces.as_operator(&tenant_id("globex")?).keep_skill(&globex_only).await?;
    Ok(())
}

async fn invoices(workspaces: &Workspaces, now: Timestamp) -> Result<(), Failure> {
    let acme = workspaces.as_operator(&tenant_id("acme")?);
    let invoice = EntityType {
        name: name("invoice")?,
        title: "Invoice".to_owned(),
        description: "An invoice that Acme has sent to a customer. Its id is its number.".to_owned(),
        schema: object(json!({
            "type": "object",
            "properties": {
                "customer": { "type": "string", "minLength": 1 },
                "amount": { "type": "number", "exclusiveMinimum": 0, "description": "With tax, in units of the currency" },
                "currency": { "enum": ["EUR", "USD"] },
                "issued": { "type": "string", "format": "date" },
                "due": { "type": "string", "format": "date" },
                "paid": { "type": "boolean" },
                "note": { "type": "string" },
            },
            "required": ["customer", "amount", "currency", "issued", "due", "paid"],
            "additionalProperties": false,
        })),
    };
    acme.keep_entity_type(&invoice).await?;
    for (id, customer, amount, currency, issued, due, paid) in INVOICES {
        let fields = object(json!({
            "customer": customer, "amount": amount, "currency": currency, "issued": issued, "due": due, "paid": paid,
        }));
        acme.keep_entity(&invoice.name, &name(id)?, &fields, now).await?;
    }
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
        url: format!("{tools_at}{}", dice::PATH),
        timeout: Duration::from_secs(5),
        read_only: true,
        destructive: false,
    })
}

/// As it was laid out. If she has left since, her key is made all the same, and refused wherever it is shown.
fn ana_in_acme() -> Result<Standing, Failure> {
    let [ana, ..] = &PEOPLE;
    let role = Role::built_in("owner").ok_or(Failure::Demo("a role"))?;
    Ok(Standing { person: person_id(ana)?, tenant: tenant_id("acme")?, name: "Acme".to_owned(), role })
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

/// Id, customer, amount, currency, issued, due, paid.
const INVOICES: [(&str, &str, f64, &str, &str, &str, bool); 12] = [
    ("2026-0101", "Harbour Bakery", 420.5, "EUR", "2026-08-03", "2026-09-02", true),
    ("2026-0102", "Northwind Cycles", 1890.0, "EUR", "2026-08-17", "2026-09-16", false),
    ("2026-0103", "Lumen Studio", 260.0, "USD", "2026-08-28", "2026-09-27", true),
    ("2026-0104", "Harbour Bakery", 435.0, "EUR", "2026-09-03", "2026-10-03", true),
    ("2026-0105", "Orchard Press", 7200.0, "EUR", "2026-09-11", "2026-10-11", false),
    ("2026-0106", "Tidewater Clinic", 980.75, "USD", "2026-09-21", "2026-10-21", true),
    ("2026-0107", "Harbour Bakery", 418.25, "EUR", "2026-10-02", "2026-11-01", false),
    ("2026-0108", "Northwind Cycles", 2140.0, "EUR", "2026-10-09", "2026-11-08", true),
    ("2026-0109", "Lumen Studio", 310.0, "USD", "2026-10-20", "2026-11-19", false),
    ("2026-0110", "Orchard Press", 3650.0, "EUR", "2026-11-02", "2026-12-02", false),
    ("2026-0111", "Harbour Bakery", 441.0, "EUR", "2026-11-04", "2026-12-04", false),
    ("2026-0112", "Tidewater Clinic", 1275.0, "USD", "2026-11-16", "2026-12-16", true),
];

const WEEKLY_REPORT: &str = "\
# Weekly report

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
