//! What has ended stays ended, with tables as AWS documents them: indexes that lag, first tries that arrive late, conflicts.
//!
//! An index that stands still shows nothing of what was connected since. Whatever is ended meanwhile is refused at its next call all the
//! same: numbers decide, and not a search.

use std::time::Duration;

use local::table_faults::fault_kind::FaultKind;
use local::table_faults::fault_settings::FaultSettings;
use local::table_faults::one_shot::OneShot;
use serde_json::{Value, json};
use shared::joint_revocation::JointRevocation;
use shared::oauth::client::ClientId;
use shared::oauth::grant_id::GrantId;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::TenantId;
use shared::store::directory::Tenant;
use test_system::TestSystem;
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::person::{Form, Person};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const VERA: &str = "vera@example.com";
const SCOPE: &str = "skills:read entities:write offline_access";

async fn with_faults() -> TestSystem {
    TestSystem::with(|options| options.table_faults = Some(FaultSettings::default())).await
}

/// A connection, and a code that nobody has exchanged.
struct Held<'w> {
    client: Connector<'w>,
    tokens: Tokens,
    unused: (AuthorizationRequest, String),
}

impl<'w> Held<'w> {
    async fn by(test_system: &'w TestSystem, name: &str, email: &str) -> Self {
        let client = test_system.connector(name).await;
        let (ask, code) = client.approve_directly(SCOPE, email, "acme").await;
        let tokens = client.exchange(&ask, &code).await.tokens(test_system);
        let held = Self { unused: client.approve_directly(SCOPE, email, "acme").await, client, tokens };
        assert_eq!(held.calls().await, 200);
        held
    }

    async fn calls(&self) -> u16 {
        self.client.tool(&self.tokens.access, "list_skills", json!({})).await.status
    }

    /// Refused at its next call, refresh and exchange.
    async fn is_over(&self, how: &str) {
        assert_eq!(self.calls().await, 401, "{how}");
        let refreshed = self.client.refresh(self.tokens.refresh.as_ref().unwrap()).await;
        assert_eq!((refreshed.status, &refreshed.json()["error"]), (400, &json!("invalid_grant")), "{how}");
        let exchanged = self.client.exchange(&self.unused.0, &self.unused.1).await;
        assert_eq!((exchanged.status, &exchanged.json()["error"]), (400, &json!("invalid_grant")), "{how}");
    }
}

fn grant_of(tokens: &Tokens) -> GrantId {
    GrantId::parse(test_system::claims(&tokens.access).1["grant"].as_str().unwrap()).unwrap()
}

/// Opens a question and says yes. The page of the outcome.
async fn confirms(person: &Person<'_>, url: &str) -> String {
    let page = person.open(url).await;
    let form = Form::find(&page, "numbers").or_else(|| Form::find(&page, "connection")).unwrap();
    person.submit_and_follow(&form).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_ended_together_is_over_whatever_the_index_shows() {
    let test_system = with_faults().await;
    let ana = test_system.person(ANA);
    ana.sign_in("/admin").await;
    let (ben, key) =
        (test_system.person_id(BEN), test_system.create_api_key(ANA, "acme", "connections:manage", None).await.0);
    let faults = test_system.table_faults();
    faults.settled().await;
    faults.freeze();

    for how in ["own console", "person", "client", "person by API", "client by API"] {
        let (whose, other) = if how == "own console" { (ANA, BEN) } else { (BEN, VERA) };
        let held = Held::by(&test_system, how, whose).await;
        let kept = Held::by(&test_system, "Kept", other).await;
        let client = &held.client.client_id;
        let by_api = async |body: Value| {
            let url = test_system.at("/admin/api/tenants/acme/connections/end");
            let request = test_system.http().post(url).header("authorization", format!("Bearer {key}")).json(&body);
            let answer = test_system.send(request).await;
            assert_eq!((answer.status, answer.json()), (200, json!({ "ended": 0 })), "{how}");
        };
        let told = match how {
            "own console" => confirms(&ana, "/admin/end?all=yes").await,
            "person" => confirms(&ana, &format!("/admin/acme/connections/end?person={ben}")).await,
            "client" => confirms(&ana, &format!("/admin/acme/connections/end?client={client}")).await,
            "person by API" => {
                by_api(json!({ "person": ben.as_str() })).await;
                String::new()
            }
            _ => {
                by_api(json!({ "client": client })).await;
                String::new()
            }
        };
        assert!(told.is_empty() || told.contains("has ended") && told.contains("None was listed."), "{how}: {told}");

        held.is_over(how).await;
        assert_eq!(kept.calls().await, 200, "{how}: another's");
        // It is marked and recorded when it is met; and who connects again is connected.
        let marked = test_system
            .audit("grant_ended")
            .into_iter()
            .find(|event| event["grant"] == grant_of(&held.tokens).to_text());
        assert_eq!(marked.expect("it was met")["reason"], "revoked_together", "{how}");
        assert_eq!(Held::by(&test_system, how, whose).await.calls().await, 200, "{how}: since");
    }
    let announced = test_system.audit("connections_ending").len();
    assert_eq!(test_system.audit("connections_ended").len(), announced, "each is announced and told");
}

/// A connection that the index hides ends with its membership, and so does a key; neither comes back with the person.
#[tokio::test(flavor = "multi_thread")]
async fn removal_counts_at_the_next_call_whatever_the_index_shows() {
    let test_system = with_faults().await;
    let faults = test_system.table_faults();
    faults.settled().await;
    faults.freeze();
    let held = Held::by(&test_system, "Claude", BEN).await;
    let (key, _) = test_system.create_api_key(BEN, "acme", "skills:read", None).await;
    let by_key = async || test_system.call(Some(&key), "tools/list", json!({})).await.status;
    assert_eq!(by_key().await, 200);

    assert_eq!(test_system.deliver_change(BEN, "acme", Some("member"), None, 1).await.status, 204);

    held.is_over("left").await;
    assert_eq!(by_key().await, 401);
    test_system.set_role("acme", BEN, "owner").await;
    held.is_over("back again").await;
    assert_eq!(by_key().await, 401, "back again");
    assert_eq!(Held::by(&test_system, "Claude", BEN).await.calls().await, 200, "connected since");
}

#[tokio::test(flavor = "multi_thread")]
async fn lower_role_counts_at_the_next_call_whatever_the_index_shows() {
    let test_system = with_faults().await;
    let faults = test_system.table_faults();
    faults.settled().await;
    faults.freeze();
    let held = Held::by(&test_system, "Claude", BEN).await;
    let writes = async || {
        let entity = json!({ "type": "invoice", "id": "made-up", "version": 1, "fields": {} });
        held.client.tool(&held.tokens.access, "update_entity", entity).await.status
    };
    assert_eq!(writes().await, 200);

    test_system.set_role("acme", BEN, "viewer").await;

    assert_eq!((writes().await, held.calls().await), (403, 200));
}

/// The exchange reads membership and tenant as the refresh does, and issues approved ∩ allowed now.
#[tokio::test(flavor = "multi_thread")]
async fn exchange_reads_the_membership_as_it_is_now() {
    let test_system = TestSystem::new().await;
    let client = test_system.connector("Claude").await;
    let ben = test_system.person(BEN);
    let approved = async || {
        let ask = client.authorization_request(SCOPE);
        let code = ben.code(&ask, "acme").await;
        (ask, code)
    };
    let (ask, code) = approved().await;
    test_system.set_role("acme", BEN, "viewer").await;
    assert_eq!(
        client.exchange(&ask, &code).await.tokens(&test_system).scope,
        "skills:read entities:read offline_access"
    );

    let (ask, code) = approved().await;
    test_system.remove_member("acme", BEN).await;
    let exchanged = client.exchange(&ask, &code).await;
    assert_eq!((exchanged.status, &exchanged.json()["error"]), (400, &json!("invalid_grant")), "{exchanged:?}");
    let ended = test_system.audit("grant_ended").pop().unwrap();
    assert_eq!(
        (&ended["reason"], &ended["person"]),
        (&json!("membership_gone"), &json!(test_system.person_id(BEN).as_str()))
    );
}

/// The exchange may go on when its code's minute is over, and the search for what is connected knows that.
#[tokio::test(flavor = "multi_thread")]
async fn code_in_its_last_second_ends_with_the_others() {
    let test_system = TestSystem::new().await;
    let ana = test_system.person(ANA);
    ana.sign_in("/admin").await;
    let client = test_system.connector("Claude").await;
    let (ask, code) = client.approve_directly(SCOPE, ANA, "acme").await;
    test_system.settled().await;
    test_system.advance(62);

    let told = confirms(&ana, "/admin/end?all=yes").await;

    assert!(told.contains("1 was listed."), "{told}");
    test_system.advance(-2);
    let exchanged = client.exchange(&ask, &code).await;
    assert_eq!((exchanged.status, &exchanged.json()["error"]), (400, &json!("invalid_grant")), "{exchanged:?}");
}

/// The first try of a write is carried out after its second try was answered, and after what followed.
#[tokio::test(flavor = "multi_thread")]
async fn first_write_that_arrives_late_undoes_nothing() {
    let test_system = with_faults().await;
    let faults = test_system.table_faults();
    faults.change(|settings| settings.zombie_after = Duration::from_millis(1800));
    let arrived = async || {
        assert_eq!(faults.pending(), 0, "the first try was held: {:?}", faults.counts());
        tokio::time::sleep(Duration::from_millis(2200)).await;
    };
    let ana = test_system.person(ANA);
    ana.sign_in("/admin").await;
    // The first approval renews the client, in a transaction; from then on an approval is a plain write.
    for (first, operation) in [(true, "TransactWriteItems"), (false, "PutItem")] {
        for ended in [false, true] {
            let context = format!("{operation}, ended: {ended}");
            let client = test_system.connector(&context).await;
            if !first {
                client.approve_directly(SCOPE, ANA, "acme").await;
            }
            faults.once(OneShot::new(FaultKind::Zombie).operation(operation).table("grants"));
            let (ask, code) = client.approve_directly(SCOPE, ANA, "acme").await;
            let tokens = client.exchange(&ask, &code).await.tokens(&test_system);
            let calls = async || client.tool(&tokens.access, "list_skills", json!({})).await.status;
            assert_eq!(calls().await, 200, "{context}");
            if ended {
                confirms(&ana, &format!("/admin/end?connection={}", grant_of(&tokens).to_text())).await;
            }
            arrived().await;

            assert_eq!(calls().await, if ended { 401 } else { 200 }, "{context}");
            if ended {
                let again = client.exchange(&ask, &code).await;
                assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_grant")), "{context}");
            } else {
                let refreshed = client.refresh(tokens.refresh.as_ref().unwrap()).await;
                assert_eq!(refreshed.tokens(&test_system).scope, tokens.scope, "{context}");
            }
        }
    }

    // A role that was taken away, and a member who was let go and taken in again.
    let held = Held::by(&test_system, "Cursor", BEN).await;
    let role = async || test_system.membership(BEN, "acme").await.role.name;
    faults.once(OneShot::new(FaultKind::Zombie).operation("UpdateItem").table("directory"));
    test_system.set_role("acme", BEN, "owner").await;
    test_system.set_role("acme", BEN, "viewer").await;
    arrived().await;
    assert_eq!(role().await, "viewer");
    faults.once(OneShot::new(FaultKind::Zombie).operation("UpdateItem").table("directory"));
    test_system.remove_member("acme", BEN).await;
    test_system.set_role("acme", BEN, "member").await;
    arrived().await;
    assert_eq!(role().await, "member");
    held.is_over("removed").await;

    // The ending of all: what was connected since stays.
    faults.once(OneShot::new(FaultKind::Zombie).operation("UpdateItem").table("directory"));
    confirms(&ana, "/admin/end?all=yes").await;
    let since = Held::by(&test_system, "Since", ANA).await;
    arrived().await;
    assert_eq!(since.calls().await, 200);
}

/// A conflict on a client's first approval must not leave the client to be forgotten after a month, and its connections with it.
#[tokio::test(flavor = "multi_thread")]
async fn conflict_at_the_first_approval_renews_the_client_all_the_same() {
    let test_system = with_faults().await;
    let client = test_system.connector("Some Client").await;
    test_system.table_faults().once(OneShot::new(FaultKind::TxConflict).item(1).times(3));
    let (ask, code) = client.approve_directly(SCOPE, ANA, "acme").await;
    assert_eq!(test_system.table_faults().pending(), 0, "they met");
    let mut tokens = client.exchange(&ask, &code).await.tokens(&test_system);

    for _ in 0..3 {
        test_system.advance(20 * 24 * 3600);
        tokens = client.refresh(tokens.refresh.as_ref().unwrap()).await.tokens(&test_system);
    }
}

/// A membership that the index hid when its tenant was removed makes nobody a member of a later tenant of the same id.
#[tokio::test(flavor = "multi_thread")]
async fn membership_of_a_removed_tenant_counts_in_no_later_one() {
    let test_system = with_faults().await;
    let (directory, id) = (test_system.system().directory(), TenantId::parse("initech").unwrap());
    let tenant = Tenant { id: id.clone(), name: "Initech".to_owned(), roles: Vec::new() };
    directory.put_tenant(&tenant).await.unwrap();
    test_system.table_faults().settled().await;
    test_system.table_faults().freeze();
    test_system.set_role("initech", BEN, "owner").await;
    assert_eq!(test_system.membership(BEN, "initech").await.role.name, "owner");
    assert!(directory.list_members(&id).await.unwrap().is_empty(), "the index hides it");

    directory.remove_tenant(&id, test_system.system().clock().now()).await.unwrap();
    directory.put_tenant(&tenant).await.unwrap();

    assert!(directory.membership(&test_system.person_id(BEN), &id).await.unwrap().is_none());
    test_system.table_faults().unfreeze();
    test_system.table_faults().settled().await;
    assert!(directory.list_members(&id).await.unwrap().is_empty(), "no list shows it");
}

/// A change that the product sent before its tenant was removed, and that arrives afterwards, makes nobody a member of a later tenant.
#[tokio::test(flavor = "multi_thread")]
async fn late_delivery_joins_no_later_tenant() {
    let test_system = TestSystem::new().await;
    let (directory, id) = (test_system.system().directory(), TenantId::parse("initech").unwrap());
    let tenant = Tenant { id: id.clone(), name: "Initech".to_owned(), roles: Vec::new() };
    directory.put_tenant(&tenant).await.unwrap();
    assert_eq!(test_system.deliver_change(BEN, "initech", None, Some("viewer"), 1).await.status, 204);
    directory.remove_tenant(&id, test_system.system().clock().now()).await.unwrap();

    let repeated = test_system.deliver_change(BEN, "initech", None, Some("viewer"), 1).await;
    let late = test_system.deliver_change(VERA, "initech", None, Some("owner"), 2).await;
    assert_eq!((repeated.status, late.status), (204, 503));
    directory.put_tenant(&tenant).await.unwrap();

    for email in [BEN, VERA] {
        let membership = directory.membership(&test_system.person_id(email), &id).await.unwrap();
        assert!(membership.is_none(), "{email}");
    }
    assert_eq!(test_system.deliver_change(VERA, "initech", None, Some("owner"), 2).await.status, 204);
    assert_eq!(test_system.membership(VERA, "initech").await.role.name, "owner", "sent again, for this tenant");
}

/// A tenant keeps the numbers of some clients. None is forgotten while an index may hide what it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn number_of_a_client_is_kept_until_all_that_it_ended_is_marked() {
    let test_system = with_faults().await;
    let system = test_system.system();
    let (directory, grants, acme) = (system.directory(), system.grants(), TenantId::parse("acme").unwrap());
    let end = async |client: &str| {
        let (client, numbers) =
            (ClientId::parse(client).unwrap(), directory.tenant_numbers(&acme).await.unwrap().unwrap());
        let reason = RevocationReason::Administrator;
        let joint = JointRevocation::new((directory, grants), reason, None, system.clock().now());
        joint.in_tenant(&acme, &numbers, Some(&client)).await.unwrap();
        directory.tenant_numbers(&acme).await.unwrap().unwrap()
    };
    test_system.table_faults().freeze();
    let held = Held::by(&test_system, "Some Client", BEN).await;
    end(&held.client.client_id).await;
    for number in 0..40 {
        end(&format!("c_made-up-{number}")).await;
    }
    held.is_over("forty others later").await;

    test_system.table_faults().unfreeze();
    test_system.settled().await;
    test_system.advance(660);
    let numbers = end("c_made-up-41").await;

    assert!(numbers.number_of(&ClientId::parse(&held.client.client_id).unwrap()).is_none(), "forgotten: {numbers:?}");
    assert_eq!(held.calls().await, 401, "by its own item");
}

/// What an earlier version has written has neither identity nor numbers. Nothing of it ends by an upgrade, and all of it can be ended.
#[tokio::test(flavor = "multi_thread")]
async fn items_of_earlier_versions_live_on_and_can_be_ended() {
    const NEW: [&str; 9] = [
        "instance",
        "tenant_instance",
        "revocations",
        "all_revoked",
        "clients_revoked",
        "membership",
        "membership_revocations",
        "tenant_revocations",
        "made_by",
    ];
    let test_system = TestSystem::new().await;
    let held = Held::by(&test_system, "Claude", BEN).await;
    let veras = Held::by(&test_system, "Claude", VERA).await;
    let (key, _) = test_system.create_api_key(BEN, "acme", "skills:read", None).await;
    for (table, mut item) in test_system.system().items().unwrap() {
        let Some(attributes) = item.as_object_mut().filter(|item| NEW.iter().any(|name| item.contains_key(*name)))
        else {
            continue;
        };
        attributes.retain(|name, _| !NEW.contains(&name.as_str()));
        test_system.put_item(&table, &item).await;
    }
    let by_key = async || test_system.call(Some(&key), "tools/list", json!({})).await.status;

    // Nothing ends.
    assert_eq!((held.calls().await, veras.calls().await, by_key().await), (200, 200, 200));
    let refreshed = held.client.refresh(held.tokens.refresh.as_ref().unwrap()).await.tokens(&test_system);
    let late = held.client.exchange(&held.unused.0, &held.unused.1).await.tokens(&test_system);
    let calls = async |tokens: &Tokens| held.client.tool(&tokens.access, "list_skills", json!({})).await.status;
    assert_eq!((calls(&refreshed).await, calls(&late).await), (200, 200));

    // All of a person's can be ended together, without the tenant or the membership being anew.
    let ana = test_system.person(ANA);
    ana.sign_in("/admin").await;
    let ben = test_system.person_id(BEN);
    confirms(&ana, &format!("/admin/acme/connections/end?person={ben}")).await;
    assert_eq!((calls(&refreshed).await, calls(&late).await, by_key().await), (401, 401, 200), "keys stay");
    confirms(&ana, &format!("/admin/acme/connections/end?client={}", veras.client.client_id)).await;
    assert_eq!(veras.calls().await, 401);

    // Who leaves and comes back has an identity from then on, which nothing of before fits.
    let again = Held::by(&test_system, "Claude", BEN).await;
    test_system.remove_member("acme", BEN).await;
    test_system.set_role("acme", BEN, "member").await;
    again.is_over("back again").await;
    assert_eq!(by_key().await, 401, "back again");
}
