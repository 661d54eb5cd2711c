//! Replicas that share a Secret, as the years go by.

mod api;

use jiff::{SignedDuration, ToSpan as _};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use self::api::FakeApi;
use super::*;
use crate::tls::serving::Leaf;

const NAME: &str = "postern-webhook.postern.svc";

fn start() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// One replica of the webhook.
fn replica(api: &FakeApi) -> Authority {
    let settings = Settings {
        namespace: "postern".into(),
        secret: "postern-webhook-ca".into(),
        configuration: "postern".into(),
        service: "postern-webhook".into(),
    };
    Authority::new(
        api.client(),
        settings,
        Arc::new(Serving::default()),
        Metrics::default(),
    )
}

fn leaf(replica: &Authority) -> Arc<Leaf> {
    replica.serving.leaf().expect("a certificate is served")
}

/// The authority that signed what `replica` serves.
fn issuer(replica: &Authority) -> CertificateDer<'static> {
    leaf(replica).chain()[1].clone()
}

/// Whether the API server, with the bundle it has, accepts what `replica` serves.
fn accepted(api: &FakeApi, replica: &Authority, now: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    for certificate in ca::certificates(&api.bundle()) {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let leaf = leaf(replica);
    let (own, rest) = leaf.chain().split_first().unwrap();
    let since_epoch = Duration::from_secs(now.as_second().unsigned_abs());
    verifier
        .verify_server_cert(
            own,
            rest,
            &ServerName::try_from(NAME).unwrap(),
            &[],
            UnixTime::since_unix_epoch(since_epoch),
        )
        .is_ok()
}

#[tokio::test]
async fn first_replica_makes_the_authority_and_the_second_adopts_it() {
    let api = FakeApi::new();
    let (one, two) = (replica(&api), replica(&api));
    assert!(!one.serving.is_useful(start()));

    one.round(start()).await.unwrap();
    two.round(start()).await.unwrap();
    assert_eq!(issuer(&one), issuer(&two));
    assert_ne!(leaf(&one).chain()[0], leaf(&two).chain()[0]);
    for replica in [&one, &two] {
        assert!(accepted(&api, replica, start()));
        assert!(replica.serving.is_useful(start()));
    }
    assert_eq!(api.writes(), ["POST secrets", "PATCH configuration"]);
}

#[tokio::test]
async fn replicas_that_start_together_converge() {
    let api = FakeApi::new();
    let replicas: Vec<_> = (0..4).map(|_| replica(&api)).collect();
    let rounds = replicas.iter().map(|replica| replica.round(start()));
    for result in futures::future::join_all(rounds).await {
        result.unwrap();
    }
    for one in &replicas {
        assert_eq!(issuer(one), issuer(&replicas[0]));
        assert!(accepted(&api, one, start()));
    }
}

#[tokio::test]
async fn replicas_that_renew_together_converge() {
    let api = FakeApi::new();
    let replicas: Vec<_> = (0..4).map(|_| replica(&api)).collect();
    for replica in &replicas {
        replica.round(start()).await.unwrap();
    }
    let later = start() + days(300);
    for _ in 0..2 {
        let rounds = replicas.iter().map(|replica| replica.round(later));
        for result in futures::future::join_all(rounds).await {
            result.unwrap();
        }
    }
    for one in &replicas {
        assert_eq!(issuer(one), issuer(&replicas[0]));
        assert!(accepted(&api, one, later));
    }
    assert_eq!(ca::certificates(&api.bundle()).len(), 2);
}

#[tokio::test]
async fn certificate_is_renewed_before_it_expires() {
    let api = FakeApi::new();
    let replica = replica(&api);
    replica.round(start()).await.unwrap();
    let first = leaf(&replica);

    replica.round(start() + days(4)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &leaf(&replica)));

    replica.round(start() + days(5)).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &leaf(&replica)));
    assert_eq!(first.chain()[1], issuer(&replica));
    assert!(accepted(&api, &replica, start() + days(11)));
}

#[tokio::test]
async fn replica_that_slept_past_expiry_is_not_useful_until_it_has_signed_anew() {
    let api = FakeApi::new();
    let replica = replica(&api);
    replica.round(start()).await.unwrap();
    let awake = start() + days(8);
    assert!(!replica.serving.is_useful(awake));
    replica.round(awake).await.unwrap();
    assert!(replica.serving.is_useful(awake));
    assert!(accepted(&api, &replica, awake));
}

#[tokio::test]
async fn no_call_fails_while_the_authority_is_renewed() {
    let api = FakeApi::new();
    let (one, two) = (replica(&api), replica(&api));
    // Certificates fresh enough that only the authority is due.
    let due = start() + days(245);
    for replica in [&one, &two] {
        replica.round(start()).await.unwrap();
        replica
            .round(due - SignedDuration::from_hours(48))
            .await
            .unwrap();
    }
    let earlier = issuer(&one);

    one.round(due).await.unwrap();
    assert_eq!(
        issuer(&one),
        earlier,
        "the API server needs time to notice the new authority"
    );
    assert_eq!(ca::certificates(&api.bundle()).len(), 2);
    for replica in [&one, &two] {
        assert!(accepted(&api, replica, due));
    }

    for replica in [&two, &one] {
        replica.round(due + 10.seconds()).await.unwrap();
        assert_ne!(issuer(replica), earlier);
        for replica in [&one, &two] {
            assert!(accepted(&api, replica, due));
        }
    }
    assert_eq!(issuer(&one), issuer(&two));
}

#[tokio::test]
async fn earlier_authority_is_forgotten_once_it_has_expired() {
    let api = FakeApi::new();
    let replica = replica(&api);
    replica.round(start()).await.unwrap();
    replica.round(start() + days(245)).await.unwrap();
    assert_eq!(ca::certificates(&api.bundle()).len(), 2);
    replica.round(start() + days(366)).await.unwrap();
    assert_eq!(ca::certificates(&api.bundle()).len(), 1);
    assert!(accepted(&api, &replica, start() + days(366)));
}

#[tokio::test]
async fn replica_with_an_old_view_does_not_take_the_new_authority_out_of_the_bundle() {
    let api = FakeApi::new();
    let replica = replica(&api);
    let old = ca_secret::current(&replica.secrets, &replica.secret, start())
        .await
        .unwrap();
    let due = start() + days(245);
    replica.round(due).await.unwrap();
    replica.round(due).await.unwrap();

    let trust = trust::establish(&replica.configurations, "postern", &old, due)
        .await
        .unwrap();
    assert_eq!(trust, Trust::Established);
    assert!(accepted(&api, &replica, due));
}

#[tokio::test]
async fn deleting_the_secret_revokes_the_authority() {
    let api = FakeApi::new();
    let (one, two) = (replica(&api), replica(&api));
    one.round(start()).await.unwrap();
    two.round(start()).await.unwrap();
    let revoked = issuer(&one);

    api.delete_secret();
    for replica in [&one, &two] {
        replica.round(start()).await.unwrap();
        assert_ne!(issuer(replica), revoked);
        assert!(accepted(&api, replica, start()));
    }
    assert!(!ca::certificates(&api.bundle()).contains(&revoked));
}

#[tokio::test]
async fn secret_that_holds_no_authority_is_filled() {
    let api = FakeApi::new();
    let replica = replica(&api);
    for (what, data) in [
        ("nothing", serde_json::json!(null)),
        (
            "empty values",
            serde_json::json!({"tls.crt": "", "tls.key": ""}),
        ),
        (
            "nonsense",
            serde_json::json!({"tls.crt": "bm9uc2Vuc2U=", "tls.key": "bm9uc2Vuc2U="}),
        ),
        ("another certificate's key", api::mixed_pair()),
    ] {
        api.set_secret(&data);
        replica.round(start()).await.unwrap();
        assert!(accepted(&api, &replica, start()), "{what}");
    }
}

#[tokio::test]
async fn webhook_is_not_useful_before_the_configuration_carries_its_authority() {
    let api = FakeApi::new();
    let replica = replica(&api);
    api.set_webhook("other.example.com");
    assert!(matches!(
        replica.round(start()).await,
        Err(Error::NoWebhook(_))
    ));
    assert!(!replica.serving.is_useful(start()));
    api.set_webhook("inject.postern.dev");
    replica.round(start()).await.unwrap();
    assert!(replica.serving.is_useful(start()));
}
