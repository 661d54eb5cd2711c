//! What becomes of leases from look to look, with a server that makes a credential for each reading.

use std::{collections::BTreeMap, time::Duration};

use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use postern_crds::yaml;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{Metrics, object::StoreObject},
    stores::{
        Failure, Stores,
        fixtures::{Asked, Home, Said, Server},
    },
};

/// An identity, the stores it reads, and what it has of them.
struct Setting {
    server: Server,
    stores: Stores,
    _writer: reflector::store::Writer<StoreObject>,
    spec: AgentIdentitySpec,
    bundle: Option<Bundle>,
    leases: Vec<Lease>,
}

/// What the server says of look-ups and renewals of leases that it made.
type OfLeases = fn(&Asked) -> (u16, Value);

const ALIVE: OfLeases = |asked| match asked.line.as_str() {
    "POST /v1/sys/leases/revoke" => (204, Value::Null),
    _ => (
        200,
        json!({"lease_id": asked.body["lease_id"], "lease_duration": 900, "renewable": true}),
    ),
};

async fn setting(credentials: &str, of_leases: OfLeases) -> Setting {
    let made = Mutex::new(0);
    let server = Server::start(move |asked| {
        let said = if asked.line.starts_with("POST") {
            of_leases(asked)
        } else if asked.line.ends_with("/none") {
            (404, json!({"errors": []}))
        } else {
            let mut made = made.lock().unwrap();
            *made += 1;
            let id = format!("database/creds/agent/{made}");
            let data = json!({"username": format!("u{made}"), "password": "hunter2"});
            (
                200,
                json!({"lease_id": id, "lease_duration": 900, "renewable": true, "data": data}),
            )
        };
        Said::from(said)
    })
    .await;
    let object: StoreObject = serde_json::from_value(json!({
        "metadata": { "name": "corp", "uid": "uid-1", "generation": 1 },
        "spec": {
            "vault": {
                "address": server.url(),
                "auth": { "token": { "secret": { "name": "vault", "key": "token" } } },
                "engine": { "logical": { "mountPath": "database" } },
            },
            "tls": { "caBundle": { "configMap": { "name": "ca", "key": "ca.crt" } } },
            "allowedNamespaces": {},
        },
    }))
    .unwrap();
    let home = Home::default()
        .secret("vault", "token", "s.root")
        .config_map("ca", "ca.crt", &server.authority);
    let (known, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitApply(object));
    writer.apply_watcher_event(&Event::InitDone);
    let metrics = Metrics::register(&mut Registry::default());
    Setting {
        stores: Stores::new(home.client(), home.own(), metrics, Some(known)),
        server,
        _writer: writer,
        spec: spec(credentials),
        bundle: None,
        leases: Vec::new(),
    }
}

/// Credentials, each with a path and a key.
fn spec(credentials: &str) -> AgentIdentitySpec {
    let credentials: BTreeMap<String, Value> = yaml::from_str(credentials).unwrap();
    let credentials: Vec<Value> = credentials
        .into_iter()
        .map(|(name, place)| {
            let mut place = place;
            place["name"] = json!("corp");
            json!({"name": name, "provider": "openai", "source": {"store": place}})
        })
        .collect();
    serde_json::from_value(json!({"serviceAccountNames": ["bot"], "credentials": credentials}))
        .unwrap()
}

impl Setting {
    /// One look, whose result becomes the bundle; and what was asked for it.
    async fn look(&mut self) -> (Sources, Vec<String>) {
        let before = self.server.lines().len();
        let held = Held {
            namespace: "agents",
            identity: "bot",
            bundle: self.bundle.as_ref(),
            leases: &self.leases,
        };
        let mut sources = Sources::default();
        self.stores.resolve(held, &self.spec, &mut sources).await;
        let mut bundle: Bundle = serde_json::from_value(json!({
            "format": 4, "minReader": 4, "namespace": "agents", "identity": "bot",
            "spec": self.spec, "policies": [], "secrets": {},
        }))
        .unwrap();
        for (name, secret) in &sources.secrets {
            if let Ok(secret) = secret {
                bundle.secrets.insert(name.clone(), secret.clone());
            }
        }
        let (leases, useless) = beside(Some(&bundle), sources.leases.clone(), &self.leases);
        self.stores.give_back(useless);
        self.bundle = Some(bundle);
        self.leases = leases;
        (sources, self.server.lines().split_off(before))
    }

    fn value(&self, credential: &str) -> String {
        let secret = &self.bundle.as_ref().unwrap().secrets[credential];
        String::from_utf8(secret.value.expose().to_vec()).unwrap()
    }

    /// Waits until the server was asked to revoke so many leases in all.
    async fn revoked(&self, count: usize) {
        let all = async {
            let asked = || {
                self.server
                    .lines()
                    .into_iter()
                    .filter(|line| line == REVOKE)
            };
            while asked().count() < count {
                tokio::task::yield_now().await;
            }
            assert_eq!(asked().count(), count);
        };
        tokio::select! {
            () = all => {}
            () = self.stores.revoke_released() => {}
        }
    }

    /// Makes all leases older.
    fn pass(&mut self, seconds: u64) {
        for lease in &mut self.leases {
            lease.age(Duration::from_secs(seconds));
        }
    }
}

const READ: &str = "GET /v1/database/creds/agent";
const LOOK_UP: &str = "POST /v1/sys/leases/lookup";
const RENEW: &str = "POST /v1/sys/leases/renew";
const REVOKE: &str = "POST /v1/sys/leases/revoke";
const USER: &str = "{user: {path: creds/agent, key: username}}";
const BOTH: &str =
    "{user: {path: creds/agent, key: username}, word: {path: creds/agent, key: password}}";

#[tokio::test]
async fn members_of_one_reading_have_one_lease_which_is_kept_and_renewed() {
    let mut setting = setting(BOTH, ALIVE).await;
    let (sources, asked) = setting.look().await;
    assert_eq!(asked, [READ]);
    assert_eq!(
        (setting.value("user").as_str(), setting.leases.len()),
        ("u1", 1)
    );
    let due = sources.due.unwrap().as_secs();
    assert!((598..=600).contains(&due), "{due}");
    for (seconds, expected) in [(1, LOOK_UP), (598, LOOK_UP), (10, RENEW), (10, LOOK_UP)] {
        setting.pass(seconds);
        let (_, asked) = setting.look().await;
        assert_eq!(asked, [expected]);
        assert_eq!(
            (setting.value("user").as_str(), setting.leases.len()),
            ("u1", 1)
        );
    }
}

#[tokio::test]
async fn one_that_lasts_no_longer_is_replaced_and_revoked_when_sidecars_have_the_next() {
    let mut setting = setting(USER, |asked| match asked.line.as_str() {
        RENEW => (
            200,
            json!({"lease_id": asked.body["lease_id"], "lease_duration": 500, "renewable": true}),
        ),
        _ => ALIVE(asked),
    })
    .await;
    let _ = setting.look().await;
    setting.pass(600);
    let (_, asked) = setting.look().await;
    assert_eq!(asked, [RENEW, READ]);
    assert_eq!(
        (setting.value("user").as_str(), setting.leases.len()),
        ("u2", 2)
    );
    setting.pass(140);
    let (_, asked) = setting.look().await;
    assert_eq!((asked, setting.leases.len()), (vec![LOOK_UP.to_owned()], 2));
    setting.pass(10);
    let (_, asked) = setting.look().await;
    assert_eq!(
        (asked, setting.leases.len()),
        (vec![LOOK_UP.to_owned(), REVOKE.to_owned()], 1)
    );
    assert_eq!(
        setting.server.asked().last().unwrap().body["lease_id"],
        "database/creds/agent/1"
    );
}

#[tokio::test]
async fn one_that_was_revoked_is_replaced_at_once_and_nobody_revokes_it_again() {
    let mut setting = setting(USER, |asked| match asked.line.as_str() {
        LOOK_UP => (400, json!({"errors": ["invalid lease"]})),
        _ => ALIVE(asked),
    })
    .await;
    let _ = setting.look().await;
    let (_, asked) = setting.look().await;
    assert_eq!(asked, [LOOK_UP, READ]);
    assert_eq!(
        (setting.value("user").as_str(), setting.leases.len()),
        ("u2", 1)
    );
}

#[tokio::test]
async fn while_the_server_cannot_be_asked_what_it_made_stays() {
    let mut setting = setting(USER, |_| (503, json!({"errors": ["Vault is sealed"]}))).await;
    let _ = setting.look().await;
    let held = setting.leases.clone();
    let (sources, _) = setting.look().await;
    let failure = sources.secrets["user"].as_ref().unwrap_err();
    assert_eq!(
        (failure.reason(), failure.is_definitive()),
        ("StoreSealed", false)
    );
    assert_eq!(sources.leases, held);
}

#[tokio::test]
async fn a_login_that_may_not_look_up_leases_goes_on_with_them() {
    let mut setting = setting(USER, |_| (403, json!({"errors": ["permission denied"]}))).await;
    let _ = setting.look().await;
    let (_, asked) = setting.look().await;
    assert!(!asked.contains(&READ.to_owned()), "{asked:?}");
    assert_eq!(setting.value("user"), "u1");
}

#[tokio::test]
async fn what_is_given_up_is_revoked_later_and_what_is_of_no_use_at_once() {
    let mut setting = setting(USER, ALIVE).await;
    let _ = setting.look().await;
    setting.spec = spec("{user: {path: creds/none, key: username}}");
    let (sources, asked) = setting.look().await;
    assert!(matches!(
        &sources.secrets["user"],
        Err(Failure::Store {
            problem: Problem::Path(_),
            ..
        })
    ));
    assert!(!asked.contains(&REVOKE.to_owned()));
    setting.pass(150);
    let (_, asked) = setting.look().await;
    assert!(asked.contains(&REVOKE.to_owned()) && setting.leases.is_empty());

    setting.spec = spec("{user: {path: creds/agent, key: nothing}}");
    let _ = setting.look().await;
    assert!(setting.leases.is_empty());
    setting.revoked(2).await;
}

#[test]
fn what_the_bundle_still_has_is_not_given_up_for_what_could_not_be_delivered() {
    let lease = |id: &str, version: &str| {
        let granted = crate::stores::lease::Granted {
            id: id.to_owned(),
            seconds: 900,
            renewable: true,
            login_ends: None,
        };
        Lease::new(
            "corp",
            "store/corp/1/",
            "creds/agent",
            version,
            &granted,
            Timestamp::now(),
        )
    };
    let (old, new) = (lease("1", "a"), lease("2", "b"));
    let mut retired = old.clone();
    retired.retire(Timestamp::now());
    let after = || vec![retired.clone(), new.clone()];
    let bundle = |version: &str| -> Bundle {
        serde_json::from_value(json!({
            "format": 4, "minReader": 4, "namespace": "agents", "identity": "bot",
            "spec": {"serviceAccountNames": ["bot"], "credentials": []}, "policies": [],
            "secrets": {"user": {"value": "c2s=", "version": format!("store/corp/1/{version}")}},
        }))
        .unwrap()
    };
    let before = std::slice::from_ref(&old);
    assert_eq!(
        beside(Some(&bundle("b")), after(), before),
        (after(), vec![])
    );
    assert_eq!(
        beside(Some(&bundle("a")), after(), before),
        (vec![old.clone()], vec![new.clone()])
    );
    assert_eq!(beside(None, after(), before).1, [new]);
}

#[tokio::test]
async fn what_a_deleted_identity_held_and_what_was_never_written_down_is_revoked() {
    let mut setting = setting(USER, ALIVE).await;
    let _ = setting.look().await;
    setting.stores.holds("agents", "bot", &setting.leases);
    setting.stores.release("agents", "other-bot");
    setting.stores.release("agents", "bot");
    setting.stores.release("agents", "bot");
    setting.revoked(1).await;
}
