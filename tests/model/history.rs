//! Histories: what a client, a thief, an administrator, AWS and the clock do to the grants that one person approves. Made up at random,
//! and cut down by proptest to the shortest that still goes wrong.

use std::fmt;

use proptest::prelude::*;
use shared::aws::MAX_ATTEMPTS;

/// The life of a grant, and of those that follow it.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// What the person approves first.
    pub(crate) approval: NewApproval,
    /// What their role is then.
    pub(crate) role: Role,
    /// Who takes part: steps of others are left out.
    pub(crate) participants: Participants,
    /// What becomes of the code before anything else happens.
    pub(crate) initial_exchange: InitialExchange,
    /// What happens then, in this order.
    pub(crate) steps: Vec<Step>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { approval, role, participants, initial_exchange, steps } = self;
        write!(f, "{approval:?} as {role:?}, {participants:?}, {initial_exchange:?}")?;
        steps.iter().try_for_each(|step| write!(f, "\n  {step:?}"))
    }
}

/// Who may act besides the client and the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Participants {
    pub(crate) thief: bool,
    pub(crate) administrator: bool,
    pub(crate) faults: bool,
}

/// What becomes of the code at first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InitialExchange {
    /// The client exchanges it.
    Once,
    /// … twice at once, in an order as at [`Step::Concurrent`].
    Twice(u16),
    /// It lies there for whoever comes first.
    NotYet,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Time passes, in seconds.
    Wait(i64),
    /// The client refreshes every 29 days, until it is so many seconds before the 180 days are over.
    RefreshUntilOld(i64),
    /// Somebody asks for something.
    Send(Request),
    /// Two requests meet: each bit says whose call to AWS goes next while both could.
    Concurrent(Request, Request, u16),
    /// An administrator, or the product, does something.
    Administer(Administration),
    /// A request meets that, in an order as at [`Step::Concurrent`].
    Meet(Request, Administration, u16),
    /// The person approves again, and the client goes on with the new grant. If they are not in the tenant, they are given a role
    /// there first, and the tenant is added if it is gone.
    Approve(NewApproval, Role),
    /// Something about an API key of the person.
    Key(KeyAction, Option<InjectedFault>),
    /// A first try arrives that AWS has not carried out yet, although the second was answered: that one of those under way.
    Arrive(u8),
}

/// What becomes of a key. Of several the newest is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyAction {
    /// The person makes one.
    Make,
    /// A script calls by it.
    Call(u8),
    Revoke(u8),
}

/// What the person approves, and how it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewApproval {
    pub(crate) approved: Approved,
    /// Whether the client had needed more before, so that the grant is stored by a transaction.
    pub(crate) settles: bool,
    /// What goes wrong at AWS.
    pub(crate) fault: Option<InjectedFault>,
}

/// Something that is done to what grants rest on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Administration {
    pub(crate) action: Action,
    /// Whether the index shows the grants that end by it. One that lags does not, and they are not marked.
    pub(crate) listed: bool,
    /// What goes wrong at AWS. It is done again then.
    pub(crate) fault: Option<InjectedFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The operator changes the person's role; with none, they are no longer in the tenant.
    Role(Option<Role>),
    /// The product does.
    Change(Option<Role>),
    /// An administrator ends the newest grant.
    Revoke,
    /// Many connections are ended together.
    RevokeTogether(Together),
    /// The tenant is removed.
    RemoveTenant,
    /// The tenant is added, or written again.
    PutTenant,
}

/// Whose connections end together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Together {
    /// The person's in the tenant.
    Person,
    /// The client's in the tenant.
    Client,
    /// Everybody's in the tenant.
    Tenant,
    /// Somebody else's in the tenant.
    AnotherPerson,
    /// Another client's in the tenant.
    AnotherClient,
    /// The person's in another tenant.
    AnotherTenant,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// For which of the grants: the newest is 0.
    pub(crate) grant: u8,
    pub(crate) sender: Sender,
    pub(crate) operation: Operation,
    /// Whether the answer arrives.
    pub(crate) lost: bool,
    /// What goes wrong at AWS.
    pub(crate) fault: Option<InjectedFault>,
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The client, which shows what it received last.
    Client,
    /// A thief, who shows any token there ever was: the newest is 0.
    Thief { nth: u8, impersonation: Impersonation },
}

/// As whom a thief asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Impersonation {
    /// As the client, with all that it knows.
    Client,
    /// As the client, without the verifier of its code.
    Unverified,
    /// As another client.
    Another,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Exchange,
    Refresh(RequestedScope),
    /// The MCP server is asked for something that needs no scope.
    Ping,
    /// … or `skills:read`.
    Skills,
    RevokeRefresh,
    RevokeAccess,
}

/// A call to AWS that fails: the first, second and so on of its request, or of its writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InjectedFault {
    pub(crate) place: usize,
    pub(crate) times: usize,
    pub(crate) kind: FaultKind,
}

impl InjectedFault {
    /// Whether nobody must notice: the write is tried again.
    pub(crate) const fn goes_unnoticed(self) -> bool {
        match self.kind {
            FaultKind::Late => true,
            FaultKind::Conflict => self.times == 1,
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// 500, before it takes effect; it is tried again.
    Before,
    /// 500, after.
    After,
    /// Refused for good.
    Refused,
    /// Carried out, then the function dies.
    Crash,
    /// Carried out, and nothing is heard of it.
    Silence,
    /// A write that meets a transaction, or a transaction that meets another.
    Conflict,
    /// The first try of a write is carried out later, long after the second was answered.
    Late,
}

impl FaultKind {
    /// Whether it is a write's alone.
    pub(crate) const fn is_of_writes(self) -> bool {
        matches!(self, Self::Conflict | Self::Late)
    }
}

/// What the person approves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Approved {
    Default,
    Skills,
    Writing,
    Everything,
    /// Not to stay connected.
    Once,
}

impl Approved {
    pub(crate) const fn scope(self) -> &'static str {
        match self {
            Self::Default => "tools:execute skills:read views:read offline_access",
            Self::Skills => "skills:read offline_access",
            Self::Writing => "entities:read entities:write documents:read offline_access",
            Self::Everything => {
                "tools:execute skills:read views:read entities:read entities:write documents:read documents:write \
                 chat:create offline_access"
            }
            Self::Once => "skills:read views:read",
        }
    }
}

/// A role; what the tenant calls it, and what it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Owner,
    Member,
    Viewer,
    /// One that its tenant does not define: it allows nothing.
    Undefined,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Undefined => "renamed",
        }
    }

    pub(crate) fn allows(self, scope: &str) -> bool {
        match self {
            Self::Owner => scope != "offline_access",
            Self::Member => scope != "offline_access" && scope != "connections:manage",
            Self::Viewer => scope.ends_with(":read"),
            Self::Undefined => false,
        }
    }
}

/// The `scope` of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestedScope {
    Not,
    Skills,
    /// Not every grant covers it.
    Writing,
    Staying,
    /// Nothing that there is.
    Nonsense,
}

impl RequestedScope {
    /// What is sent.
    pub(crate) const fn sent(self) -> Option<&'static str> {
        match self {
            Self::Not => None,
            Self::Skills => Some("skills:read"),
            Self::Writing => Some("entities:write openid"),
            Self::Staying => Some("skills:read offline_access"),
            Self::Nonsense => Some("everything"),
        }
    }

    /// What there is of it, word by word.
    pub(crate) const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Writing => &["entities:write"],
            _ => self.means(),
        }
    }

    /// What that means (what is unknown is ignored, `write` implies `read`).
    pub(crate) const fn means(self) -> &'static [&'static str] {
        match self {
            Self::Not | Self::Nonsense => &[],
            Self::Skills => &["skills:read"],
            Self::Writing => &["entities:read", "entities:write"],
            Self::Staying => &["skills:read", "offline_access"],
        }
    }
}

/// Any history.
pub(crate) fn any() -> impl Strategy<Value = History> {
    let participants = (prop::bool::weighted(0.5), prop::bool::weighted(0.5), prop::bool::weighted(0.5));
    let participants =
        participants.prop_map(|(thief, administrator, faults)| Participants { thief, administrator, faults });
    let initial_exchange = prop_oneof![
        16 => Just(InitialExchange::Once),
        1 => any_order().prop_map(InitialExchange::Twice),
        2 => Just(InitialExchange::NotYet),
    ];
    (approval(), role(), participants, initial_exchange, prop::collection::vec(step(), 0..40)).prop_map(
        |(approval, role, participants, initial_exchange, steps)| History {
            approval,
            role,
            participants,
            initial_exchange,
            steps,
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Owner, Role::Member, Role::Viewer])
}

fn approval() -> impl Strategy<Value = NewApproval> {
    (approved(), prop::bool::weighted(0.3), prop::option::weighted(0.3, fault()))
        .prop_map(|(approved, settles, fault)| NewApproval { approved, settles, fault })
}

fn approved() -> impl Strategy<Value = Approved> {
    prop_oneof![
        4 => Just(Approved::Default),
        2 => Just(Approved::Skills),
        2 => Just(Approved::Writing),
        1 => Just(Approved::Everything),
        1 => Just(Approved::Once),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => request().prop_map(Step::Send),
        24 => wait().prop_map(Step::Wait),
        8 => (request(), request(), any_order()).prop_map(|(one, other, order)| Step::Concurrent(one, other, order)),
        6 => (refresh(), any_order()).prop_map(|(refresh, order)| Step::Concurrent(refresh, refresh, order)),
        2 => prop::sample::select(vec![1, 1800, 3599, 3601, 60 * 24 * 3600]).prop_map(Step::RefreshUntilOld),
        8 => administration().prop_map(Step::Administer),
        4 => (request(), administration(), any_order()).prop_map(|(one, other, order)| Step::Meet(one, other, order)),
        4 => (approval(), role()).prop_map(|(approval, role)| Step::Approve(approval, role)),
        6 => (key_action(), prop::option::weighted(0.3, fault())).prop_map(|(action, fault)| Step::Key(action, fault)),
        5 => (0..6_u8).prop_map(Step::Arrive),
    ]
}

fn key_action() -> impl Strategy<Value = KeyAction> {
    prop_oneof![
        3 => Just(KeyAction::Make),
        4 => (0..3_u8).prop_map(KeyAction::Call),
        2 => (0..3_u8).prop_map(KeyAction::Revoke),
    ]
}

fn administration() -> impl Strategy<Value = Administration> {
    let role = || {
        prop_oneof![
            2 => prop::sample::select(vec![Role::Owner, Role::Member, Role::Viewer, Role::Undefined]).prop_map(Some),
            1 => Just(None),
        ]
    };
    let together = prop_oneof![
        2 => prop::sample::select(vec![Together::Person, Together::Client, Together::Tenant]),
        1 => prop::sample::select(vec![Together::AnotherPerson, Together::AnotherClient, Together::AnotherTenant]),
    ];
    let action = prop_oneof![
        8 => role().prop_map(Action::Role),
        4 => role().prop_map(Action::Change),
        2 => Just(Action::Revoke),
        8 => together.prop_map(Action::RevokeTogether),
        1 => Just(Action::RemoveTenant),
        1 => Just(Action::PutTenant),
    ];
    (action, proptest::bool::ANY, prop::option::weighted(0.3, fault()))
        .prop_map(|(action, listed, fault)| Administration { action, listed, fault })
}

fn any_order() -> impl Strategy<Value = u16> {
    proptest::num::u16::ANY
}

/// What a client does most.
fn refresh() -> impl Strategy<Value = Request> {
    prop::bool::weighted(0.3).prop_map(|lost| Request {
        grant: 0,
        sender: Sender::Client,
        operation: Operation::Refresh(RequestedScope::Not),
        lost,
        fault: None,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let requested_scope = prop_oneof![
        6 => Just(RequestedScope::Not),
        1 => Just(RequestedScope::Skills),
        1 => Just(RequestedScope::Writing),
        1 => Just(RequestedScope::Staying),
        1 => Just(RequestedScope::Nonsense),
    ];
    let operation = prop_oneof![
        12 => requested_scope.prop_map(Operation::Refresh),
        5 => Just(Operation::Ping),
        3 => Just(Operation::Skills),
        2 => Just(Operation::Exchange),
        1 => prop_oneof![2 => Just(Operation::RevokeRefresh), 1 => Just(Operation::RevokeAccess)],
    ];
    let lost = prop::bool::weighted(0.25);
    let grant = prop_oneof![5 => Just(0), 1 => 1..3_u8];
    (grant, sender(), operation, lost, prop::option::weighted(0.2, fault()))
        .prop_map(|(grant, sender, operation, lost, fault)| Request { grant, sender, operation, lost, fault })
}

fn sender() -> impl Strategy<Value = Sender> {
    let impersonation = prop_oneof![8 => Just(Impersonation::Client), 1 => Just(Impersonation::Unverified), 1 => Just(Impersonation::Another)];
    let nth = prop_oneof![3 => 0..3_u8, 1 => 0..20_u8];
    prop_oneof![
        6 => Just(Sender::Client),
        1 => (nth, impersonation).prop_map(|(nth, impersonation)| Sender::Thief { nth, impersonation }),
    ]
}

fn fault() -> impl Strategy<Value = InjectedFault> {
    let of_calls = prop::sample::select(vec![
        FaultKind::Before,
        FaultKind::After,
        FaultKind::Refused,
        FaultKind::Crash,
        FaultKind::Silence,
    ]);
    let of_writes = prop_oneof![2 => Just(FaultKind::Late), 1 => Just(FaultKind::Conflict)];
    // Once goes unnoticed; as often as the SDK tries is an outage.
    let times = || prop::sample::select(vec![1, MAX_ATTEMPTS as usize]);
    prop_oneof![(0..4_usize, times(), of_calls), (0..2_usize, times(), of_writes)]
        .prop_map(|(place, times, kind)| InjectedFault { place, times, kind })
}

/// Moments, and both sides of every limit there is.
fn wait() -> impl Strategy<Value = i64> {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    prop_oneof![
        6 => 1..5_i64,
        6 => 59..62_i64,
        3 => 62..900_i64,
        3 => prop::sample::select(vec![HOUR - 1, HOUR, HOUR + 1]),
        3 => HOUR..DAY,
        3 => DAY..20 * DAY,
        1 => prop::sample::select(vec![30 * DAY - 60, 30 * DAY - 1, 30 * DAY, 30 * DAY + 1]),
        1 => prop::sample::select(vec![180 * DAY - 1, 180 * DAY, 200 * DAY]),
    ]
}
