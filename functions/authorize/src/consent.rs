//! The consent page, and what comes back from it.

use askama::Template;
use http::StatusCode;
use shared::http::own_page;
use shared::http::parameters::Parameters;
use shared::http::shell::{Leads, Shell};
use shared::identity::Identity;
use shared::identity::signed_in::{SIGN_OUT, SignedIn};
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::directory::Standing;
use shared::store::wanted::Wanted;

use crate::asked::{self, Asked};
use crate::destination::Destination;

/// All that the page speaks of.
pub(crate) struct Consent<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) issuer: &'a Issuer,
    pub(crate) identity: &'a Identity,
    pub(crate) destination: &'a Destination,
    pub(crate) asked: &'a Asked,
    pub(crate) person: &'a SignedIn,
    /// Only where what is asked for can be given.
    pub(crate) standings: &'a [Standing],
    /// What the client has called for since it was last approved, tenant by tenant: offered beside what it asks for now.
    pub(crate) wanted: &'a Wanted,
}

/// What the person decided.
pub(crate) enum Choice<'a> {
    Deny,
    Approve(Approved<'a>),
}

/// Where, and what: only what was offered there, with `offline_access` if they stay connected.
pub(crate) struct Approved<'a> {
    pub(crate) standing: &'a Standing,
    pub(crate) scopes: Scopes,
}

/// Why the page is shown again.
#[derive(Clone, Copy)]
pub(crate) enum Again {
    /// The form is not one that we gave to this session for this request.
    Forged,
    NoDecision,
    NoTenant,
    /// The address is for one tenant, and another was chosen.
    AnotherTenant,
    NothingTicked,
    NothingAllowed,
    Unavailable,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    shell: &'a Shell,
    client: &'a str,
    named: bool,
    host: String,
    loopback: bool,
    vouched: Vouched,
    email: Option<&'a str>,
    /// Proof for signing out, where that is ours to do, and the way back.
    sign_out: Option<(String, &'a str)>,
    sentence: Option<&'static str>,
    hidden: Vec<(&'static str, String)>,
    confirmation: String,
    place: Place<'a>,
    usable: bool,
    scopes: Vec<ScopeChoice>,
    also: Vec<AlsoChoice<'a>>,
    /// Whether staying connected is ticked, if it is offered.
    stay: Option<bool>,
}

/// Where the connection can be.
enum Place<'a> {
    /// Nowhere: the person is in no tenant.
    Nowhere,
    /// Nowhere: they are not in the one that the address is for, which may not even exist.
    Outside(&'a str),
    /// In the one that the address is for.
    Fixed(TenantChoice<'a>),
    Open(Vec<TenantChoice<'a>>),
}

/// Who says that the client may be answered there.
enum Vouched {
    /// Its own host, which is where the answer goes: who gets it is who wrote the client's description.
    ByItself,
    /// The host that its description is from.
    By(String),
    ByNobody,
}

struct TenantChoice<'a> {
    id: &'a str,
    name: &'a str,
    role: &'a str,
    checked: bool,
    /// The role allows nothing of what is offered.
    useless: bool,
    /// What is asked and the role does not allow, in plain words.
    missing: String,
}

struct ScopeChoice {
    field: String,
    title: &'static str,
    hint: &'static str,
    checked: bool,
}

/// A scope that is offered in one tenant only.
struct AlsoChoice<'a> {
    tenant: &'a str,
    scope: ScopeChoice,
}

impl<'a> Consent<'a> {
    /// The page; `again` with the reason and the choices that `parameters` hold, else as new.
    pub(crate) fn page(&self, again: Option<Again>, parameters: &Parameters) -> Response {
        let asked = self.asked.scopes.permissions();
        let ticked = |field: &str| again.is_none() || parameters.value(field).is_some();
        let choice = |scope, field: String| {
            let (title, hint) = words(scope);
            ScopeChoice { checked: ticked(&field), field, title, hint }
        };
        let client = self.destination.client();
        let tenants: Vec<_> = self
            .standings
            .iter()
            .map(|standing| {
                let missing = asked.iter().filter(|scope| !standing.role.permissions.contains(*scope));
                TenantChoice {
                    id: standing.tenant.as_str(),
                    name: &standing.name,
                    role: &standing.role.name,
                    checked: parameters.value("tenant").map_or(self.standings.len() == 1, |chosen| {
                        again.is_some() && chosen == standing.tenant.as_str()
                    }),
                    useless: asked.union(self.also(standing)).intersection(standing.role.permissions).is_empty(),
                    missing: missing.map(|scope| words(scope).0).collect::<Vec<_>>().join(", ").to_lowercase(),
                }
            })
            .collect();
        let way_back = asked::way_back(parameters);
        let page = Page {
            shell: self.shell,
            client: client.name.as_deref().unwrap_or("An application without a name"),
            named: client.name.is_some(),
            host: self.destination.redirect_uri().host(),
            loopback: self.destination.redirect_uri().is_loopback(),
            vouched: match client.id.document_host() {
                Some(_) if self.destination.is_at_home() => Vouched::ByItself,
                Some(host) => Vouched::By(host),
                None => Vouched::ByNobody,
            },
            email: self.person.email.as_deref(),
            sign_out: self.identity.hosts_login().then(|| (self.person.anti_forgery(SIGN_OUT), way_back.as_str())),
            sentence: again.map(Again::sentence),
            hidden: asked::repeated(parameters),
            confirmation: self.person.anti_forgery(&way_back),
            usable: tenants.iter().any(|tenant| !tenant.useless),
            place: match self.asked.resource.tenant() {
                None if tenants.is_empty() => Place::Nowhere,
                None => Place::Open(tenants),
                Some(only) => tenants.into_iter().next().map_or(Place::Outside(only.as_str()), Place::Fixed),
            },
            scopes: asked.iter().map(|scope| choice(scope, field(scope))).collect(),
            also: self
                .standings
                .iter()
                .flat_map(|standing| self.also(standing).iter().map(move |scope| (standing, scope)))
                .map(|(standing, scope)| AlsoChoice {
                    tenant: &standing.name,
                    scope: choice(scope, field_in(standing, scope)),
                })
                .collect(),
            stay: self.asked.scopes.contains(Scope::OfflineAccess).then(|| ticked(&field(Scope::OfflineAccess))),
        };
        let status = match again {
            None => StatusCode::OK,
            Some(Again::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Some(_) => StatusCode::BAD_REQUEST,
        };
        self.shell.page(status, Leads::Anywhere, None, page.render())
    }

    /// What the person decided, or why they have to be asked again.
    pub(crate) fn read(&self, request: &Request, parameters: &Parameters) -> Result<Choice<'a>, Again> {
        let confirmation = parameters.value("confirmation").unwrap_or_default();
        if !own_page::sent(request, self.issuer) || !self.person.allows(&asked::way_back(parameters), confirmation) {
            return Err(Again::Forged);
        }
        match parameters.value("decision") {
            Some("deny") => return Ok(Choice::Deny),
            Some("approve") => {}
            _ => return Err(Again::NoDecision),
        }
        let chosen = parameters.value("tenant");
        let standing = self.standings.iter().find(|standing| Some(standing.tenant.as_str()) == chosen);
        let standing = standing.ok_or(match self.asked.resource.tenant() {
            None => Again::NoTenant,
            Some(_) => Again::AnotherTenant,
        })?;
        let ticked = |field: String| parameters.value(&field).is_some();
        // What was wanted in another tenant does not count in this one, ticked or not.
        let asked = self.asked.scopes.iter().filter(|scope| ticked(field(*scope)));
        let also = self.also(standing).iter().filter(|scope| ticked(field_in(standing, *scope)));
        let scopes = asked.chain(also).fold(Scopes::NONE, Scopes::with);
        if scopes.permissions().is_empty() {
            return Err(Again::NothingTicked);
        }
        let approved = Approved { standing, scopes };
        if approved.effective().is_empty() { Err(Again::NothingAllowed) } else { Ok(Choice::Approve(approved)) }
    }

    /// What is offered in that tenant beside what is asked for: what the client has wanted there, as far as the role allows it. More may
    /// be granted than was asked for, at the person's word (RFC 6749 §3.3); the token's answer says what was.
    fn also(&self, standing: &Standing) -> Scopes {
        let wanted = self.wanted.in_tenant(&standing.tenant);
        wanted.intersection(standing.role.permissions).difference(self.asked.scopes)
    }
}

impl Approved<'_> {
    /// Approved ∩ what the role allows now.
    pub(crate) const fn effective(&self) -> Scopes {
        self.scopes.intersection(self.standing.role.permissions)
    }
}

impl Again {
    /// For the audit.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::NoDecision => "no_decision",
            Self::NoTenant => "no_tenant",
            Self::AnotherTenant => "another_tenant",
            Self::NothingTicked => "nothing_ticked",
            Self::NothingAllowed => "nothing_allowed",
            Self::Unavailable => "unavailable",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Forged => {
                "This page was open for too long, or your account has changed. Please look again and decide."
            }
            Self::NoDecision => "Choose Approve or Deny.",
            Self::NoTenant => "Choose the workspace that this connection is for.",
            Self::AnotherTenant => "This address is for one workspace, and connects no other.",
            Self::NothingTicked => "Leave at least one permission ticked, or choose Deny.",
            Self::NothingAllowed => "Your role in that workspace allows nothing of what is ticked.",
            Self::Unavailable => "That did not work just now; nothing was connected. Please try again in a moment.",
        }
    }
}

fn field(scope: Scope) -> String {
    format!("allow:{}", scope.as_str())
}

fn field_in(standing: &Standing, scope: Scope) -> String {
    format!("also:{}:{}", standing.tenant, scope.as_str())
}

/// A scope in plain words: a title, and what it means.
const fn words(scope: Scope) -> (&'static str, &'static str) {
    match scope {
        Scope::ToolsExecute => {
            ("Run tools", "Use the tools that the workspace has set up. They may change things in other systems.")
        }
        Scope::SkillsRead => ("Read skills", "Look up how your team does things."),
        Scope::ViewsRead => ("Read views", "See the saved views of the workspace."),
        Scope::EntitiesRead => ("Read records", "See and search the records of the workspace."),
        Scope::EntitiesWrite => ("Change records", "Create, change and delete records."),
        Scope::DocumentsRead => ("Read documents", "See and search the documents of the workspace."),
        Scope::DocumentsWrite => ("Change documents", "Create, change and delete documents."),
        Scope::ChatCreate => ("Start conversations", "Open a new conversation in your name."),
        Scope::OfflineAccess => ("Stay connected", "Keep working until you or an administrator end the connection."),
        Scope::ConnectionsManage => ("Manage connections", "See and end connections of the workspace."),
    }
}
