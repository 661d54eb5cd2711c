//! Bundles that are fetched from the operator when somebody says that there is a newer one, and what a mount is worth beside that.

use std::fs;

use http::{Response, StatusCode};
use postern_sidecar::{Config, Source};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::{JoinSet, LocalSet};

use crate::{
    bundle::Mount,
    support::{
        Authority, Client, Identity, Protocol, Sidecar, Upstream, eventually, full, whole_log,
    },
};

const OLD: &str = "sk-mounted";
const NEW: &str = "sk-fetched-in-no-time";
const TICKET: &str = "the-ticket-of-the-identity";
const TOKEN: &str = "the.token.of-the-pod";

/// The provider that the identity leads to.
async fn start_provider() -> Upstream {
    Upstream::ok(Protocol::Http1).await
}

/// An operator that answers every question so.
async fn start_operator(status: u16, body: impl Into<Vec<u8>>) -> Upstream {
    let body = body.into();
    Upstream::with_names(Protocol::Http1, &["localhost"], move |_, _| {
        let mut response = Response::new(full(body.clone()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    })
    .await
}

/// The document of an identity with `key`, whose sidecars find a newer bundle at `port`.
fn document(provider: &Upstream, key: &str, serial: u64, port: u16, authority: &str) -> Value {
    let identity = Identity::openai_at(provider).secret("openai", key);
    let mut document = identity.document();
    document["spec"]["delivery"] = json!({"nudge": true});
    let ticket = postern_crds::Secret::new(TICKET.into());
    document["fetch"] = json!({
        "serial": serial,
        "address": format!("https://localhost:{port}"),
        "authorities": authority,
        "ticket": ticket,
    });
    document
}

/// A sidecar with a mount and the token of a pod.
struct Pod {
    mount: Mount,
    sidecar: Sidecar,
    _token: TempDir,
}

impl Pod {
    async fn start(document: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        fs::write(&token, format!("{TOKEN}\n")).unwrap();
        let mount = Mount::of(document);
        let source = Source::Directory(mount.path().to_owned());
        let sidecar = Sidecar::with(Config {
            token: Some(token),
            ..Config::on_free_ports(source)
        })
        .await;
        Self {
            mount,
            sidecar,
            _token: directory,
        }
    }

    async fn nudge(&self) {
        let mut client = Client::http1(self.sidecar.admin).await;
        let answer = client.post("/refresh", "").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
    }

    fn mount(&self, document: &Value) {
        self.mount.swap(document.to_string().as_bytes());
    }

    /// The key that the provider sees next.
    async fn key(&self, provider: &Upstream) -> String {
        let answer = self.sidecar.get("/openai/v1/models").await;
        assert_eq!(answer.status, StatusCode::OK);
        let seen = provider.seen().pop().unwrap();
        let bearer = seen.header("authorization").unwrap();
        bearer.strip_prefix("Bearer ").unwrap().to_owned()
    }

    async fn until_key(&self, provider: &Upstream, key: &str) {
        eventually("the key was used", async || {
            (self.key(provider).await == key).then_some(())
        })
        .await;
    }

    /// How many fetches ended with `outcome`.
    async fn fetches(&self, outcome: &str) -> u32 {
        let metrics = self.sidecar.metrics().await;
        let series = format!("postern_bundle_fetches_total{{outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0, |number| number.parse().unwrap())
    }

    async fn until_fetches(&self, outcome: &str, number: u32) {
        eventually(outcome, async || {
            (self.fetches(outcome).await == number).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_nudged_sidecar_uses_the_new_key_while_its_mount_has_the_old_one() {
    let provider = start_provider().await;
    let newer = document(&provider, NEW, 30, 1, &Authority::new().pem());
    let operator = start_operator(200, newer.to_string()).await;
    let port = operator.address.port();
    let mounted = document(&provider, OLD, 10, port, &operator.authority.pem());
    let pod = Pod::start(&mounted).await;
    assert_eq!(pod.key(&provider).await, OLD);

    pod.nudge().await;
    pod.until_key(&provider, NEW).await;
    pod.until_fetches("taken", 1).await;
    let asked = operator.saw_one();
    assert_eq!((&*asked.method, &*asked.target), ("GET", "/v1/bundle"));
    assert_eq!(
        asked.header("authorization"),
        Some(&*format!("Bearer {TOKEN}"))
    );
    assert_eq!(asked.header("postern-ticket"), Some(TICKET));
    let log = whole_log();
    for secret in [NEW, TOKEN, TICKET] {
        assert!(!log.contains(secret), "{secret}");
    }

    // What was written in between comes by the mount, and is not taken; nor is what was fetched, again.
    let between = document(&provider, "sk-between", 20, port, "PEM");
    pod.mount(&between);
    eventually("the mount was looked at", async || {
        whole_log()
            .contains("the mount has an older bundle than was fetched")
            .then_some(())
    })
    .await;
    assert_eq!(pod.key(&provider).await, NEW);
    pod.mount(&newer);
    // From here on the mount is right again, as it was before.
    let newest = document(&provider, "sk-mounted-last", 40, port, "PEM");
    pod.mount(&newest);
    pod.until_key(&provider, "sk-mounted-last").await;
    pod.mount(&mounted);
    pod.until_key(&provider, OLD).await;
}

#[tokio::test]
async fn a_mount_without_a_number_is_taken_whatever_was_fetched() {
    let provider = start_provider().await;
    let newer = document(&provider, NEW, 30, 1, "PEM");
    let operator = start_operator(200, newer.to_string()).await;
    let port = operator.address.port();
    let mounted = document(&provider, OLD, 10, port, &operator.authority.pem());
    let pod = Pod::start(&mounted).await;
    pod.nudge().await;
    pod.until_key(&provider, NEW).await;
    // As by an operator that knows of no numbers.
    let mut plain = document(&provider, "sk-plain", 0, port, "PEM");
    plain.as_object_mut().unwrap().remove("fetch");
    pod.mount(&plain);
    pod.until_key(&provider, "sk-plain").await;
}

#[tokio::test]
async fn what_is_not_a_newer_bundle_of_the_identity_is_not_taken_and_the_mount_goes_on() {
    let provider = start_provider().await;
    let of = |serial| document(&provider, NEW, serial, 1, "PEM");
    let foreign = {
        let mut document = of(30);
        document["identity"] = json!("admin");
        document
    };
    let meaningless = {
        let mut document = of(30);
        document["policies"][0]["spec"]["rules"][0]["paths"] = json!(["no-slash"]);
        document
    };
    let unnumbered = {
        let mut document = of(30);
        document.as_object_mut().unwrap().remove("fetch");
        document
    };
    let cases = [
        (200, of(10).to_string().into_bytes(), "current"),
        (200, of(9).to_string().into_bytes(), "current"),
        (200, unnumbered.to_string().into_bytes(), "current"),
        (200, foreign.to_string().into_bytes(), "invalid"),
        (200, meaningless.to_string().into_bytes(), "invalid"),
        (200, b"{\"sk-hostile\"".to_vec(), "invalid"),
        (200, vec![b'['; 1024 * 1024], "invalid"),
        (200, vec![b' '; 2 * 1024 * 1024], "invalid"),
        (302, of(30).to_string().into_bytes(), "unavailable"),
        (403, of(30).to_string().into_bytes(), "denied"),
        (503, Vec::new(), "unavailable"),
    ];
    // All at once: each waits for a mount, which is looked at every second.
    LocalSet::new()
        .run_until(async {
            let mut running = JoinSet::new();
            for (status, body, outcome) in cases {
                running.spawn_local(async move {
                    let provider = start_provider().await;
                    let operator = start_operator(status, body).await;
                    let port = operator.address.port();
                    let mounted = document(&provider, OLD, 10, port, &operator.authority.pem());
                    let pod = Pod::start(&mounted).await;
                    pod.nudge().await;
                    pod.until_fetches(outcome, 1).await;
                    assert_eq!(pod.key(&provider).await, OLD, "{status} {outcome}");
                    pod.mount(&document(&provider, "sk-by-the-mount", 20, port, "PEM"));
                    pod.until_key(&provider, "sk-by-the-mount").await;
                });
            }
            while let Some(ended) = running.join_next().await {
                ended.unwrap();
            }
        })
        .await;
    assert!(!whole_log().contains("sk-hostile"));
}

#[tokio::test]
async fn who_is_not_known_to_be_the_operator_is_told_nothing() {
    let provider = start_provider().await;
    let newer = document(&provider, NEW, 30, 1, "PEM").to_string();
    let operator = start_operator(200, newer.clone()).await;
    // Another authority's, and another name's. The public authorities are not asked either: theirs is none of these.
    let misnamed = Upstream::with_names(Protocol::Http1, &["operator.example"], move |_, _| {
        Response::new(full(newer.clone()))
    })
    .await;
    let authority = misnamed.authority.pem();
    for (server, authority) in [(&operator, &authority), (&misnamed, &authority)] {
        let port = server.address.port();
        let pod = Pod::start(&document(&provider, OLD, 10, port, authority)).await;
        pod.nudge().await;
        pod.until_fetches("untrusted", 1).await;
        assert_eq!(pod.key(&provider).await, OLD);
        assert_eq!(server.seen().len(), 0);
    }
    let port = operator.address.port();
    let pod = Pod::start(&document(&provider, OLD, 10, port, "no PEM")).await;
    pod.nudge().await;
    pod.until_fetches("untrusted", 1).await;
}

#[tokio::test]
async fn while_the_operator_is_down_the_mount_goes_on() {
    let provider = start_provider().await;
    let gone = start_operator(200, "").await;
    let port = {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().port()
    };
    let pod = Pod::start(&document(&provider, OLD, 10, port, &gone.authority.pem())).await;
    pod.nudge().await;
    pod.until_fetches("unavailable", 1).await;
    assert_eq!(pod.key(&provider).await, OLD);
    pod.mount(&document(&provider, NEW, 20, port, "PEM"));
    pod.until_key(&provider, NEW).await;
}

#[tokio::test]
async fn however_often_it_is_nudged_a_sidecar_asks_once_and_once_more() {
    let provider = start_provider().await;
    let same = document(&provider, OLD, 10, 1, "PEM");
    let operator = start_operator(200, same.to_string()).await;
    operator.hold(true);
    let port = operator.address.port();
    let pod = Pod::start(&document(
        &provider,
        OLD,
        10,
        port,
        &operator.authority.pem(),
    ))
    .await;
    pod.nudge().await;
    eventually("the operator was asked", async || {
        (operator.seen().len() == 1).then_some(())
    })
    .await;
    for _ in 0..50 {
        pod.nudge().await;
    }
    assert_eq!(operator.seen().len(), 1, "one at a time");
    operator.hold(false);
    pod.until_fetches("current", 2).await;
    pod.nudge().await;
    pod.until_fetches("current", 3).await;
    assert_eq!(operator.seen().len(), 3, "fifty nudges are one");
}

#[tokio::test]
async fn a_bundle_that_does_not_say_where_makes_nobody_ask() {
    let provider = start_provider().await;
    let identity = Identity::openai_at(&provider).secret("openai", OLD);
    let pod = Pod::start(&identity.document()).await;
    pod.nudge().await;
    pod.mount(&document(&provider, NEW, 20, 1, "PEM"));
    pod.until_key(&provider, NEW).await;
    assert!(
        !pod.sidecar
            .metrics()
            .await
            .contains("postern_bundle_fetches_total{")
    );

    // One that was given its bundle once and for all takes no nudges.
    let fixed = identity.serve().await;
    let answer = Client::http1(fixed.admin).await.post("/refresh", "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}
