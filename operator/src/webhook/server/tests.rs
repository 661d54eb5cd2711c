//! The real server and a real TLS client.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{
    tls::serving::Leaf,
    webhook::{admit::tests as admit, cluster::Cluster},
};

mod events;

/// A running server, and what its clients must trust.
struct Running {
    address: SocketAddr,
    serving: Arc<Serving>,
    roots: RootCertStore,
    metrics: Metrics,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

async fn start(cluster: Cluster) -> Running {
    start_with(cluster, Metrics::default(), None).await
}

/// One that hears of events of stores too.
async fn start_with(cluster: Cluster, metrics: Metrics, events: Option<Arc<Events>>) -> Running {
    let serving = Arc::new(Serving::default());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(any, Arc::clone(&serving), metrics.clone())
        .await
        .unwrap();
    let address = server.address().unwrap();
    let shutdown = CancellationToken::new();
    let admission = Arc::new(Admission::new(cluster, admit::template(), metrics.clone()));
    let mut running = Running {
        address,
        serving,
        roots: RootCertStore::empty(),
        metrics,
        server: tokio::spawn(server.serve(admission, events, shutdown.clone())),
        shutdown,
    };
    running.renew();
    running
}

impl Running {
    /// Serves a new certificate, and trusts it.
    fn renew(&mut self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["webhook.svc".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        self.roots.add(certificate.clone()).unwrap();
        self.serving
            .swap(Leaf::new(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key)).unwrap());
        certificate
    }

    async fn connect(&self, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(self.roots.clone())
                .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("webhook.svc").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        self.metrics.clone().expose(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    async fn http1(&self) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(self.connect("http/1.1").await.unwrap());
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn review(annotations: &Value) -> Value {
    let request = admit::request(annotations);
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": request.uid, "namespace": request.namespace, "object": request.object},
    })
}

fn asking() -> Value {
    review(&json!({"postern.dev/identity": "support-bot"}))
}

fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("https://webhook.svc/inject")
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn patch(answer: &Value) -> json_patch::Patch {
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    let encoded = answer["response"]["patch"].as_str().unwrap();
    serde_json::from_slice(&STANDARD.decode(encoded).unwrap()).unwrap()
}

#[tokio::test]
async fn pod_is_injected_over_http1_and_http2() {
    let (cluster, _add) = Cluster::of(None, [admit::identity()]);
    let running = start(cluster).await;
    let body = asking().to_string();

    let mut http1 = running.http1().await;
    let one = read(http1.send_request(post(body.clone())).await.unwrap()).await;

    let stream = TokioIo::new(running.connect("h2").await.unwrap());
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
    tokio::spawn(connection);
    let two = read(http2.send_request(post(body)).await.unwrap()).await;

    assert_eq!(one, two);
    assert!(!patch(&one).is_empty());
    assert_eq!(one["response"]["uid"], admit::request(&json!({})).uid);
}

#[tokio::test]
async fn new_certificate_is_served_without_closing_anything() {
    let (cluster, _add) = Cluster::of(None, [admit::identity()]);
    let mut running = start(cluster).await;
    let mut before = running.http1().await;
    read(
        before
            .send_request(post(asking().to_string()))
            .await
            .unwrap(),
    )
    .await;

    let renewed = running.renew();
    let stream = running.connect("http/1.1").await.unwrap();
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap(), [renewed]);
    read(
        before
            .send_request(post(asking().to_string()))
            .await
            .unwrap(),
    )
    .await;
}

#[tokio::test]
async fn what_is_no_review_or_too_large_is_refused() {
    let (cluster, _add) = Cluster::of(None, []);
    let running = start(cluster).await;
    for (body, status) in [
        ("{}".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        ("nonsense".to_owned(), StatusCode::BAD_REQUEST),
        (" ".repeat(BODY_LIMIT + 1), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let mut client = running.http1().await;
        assert_eq!(
            client.send_request(post(body)).await.unwrap().status(),
            status
        );
    }
    let largest = format!(
        "{}{}",
        asking(),
        " ".repeat(BODY_LIMIT - asking().to_string().len())
    );
    let response = running
        .http1()
        .await
        .send_request(post(largest))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn client_that_does_not_trust_us_is_counted_and_harms_nobody() {
    let (cluster, _add) = Cluster::of(None, []);
    let mut running = start(cluster).await;
    let trusted = std::mem::replace(&mut running.roots, RootCertStore::empty());
    assert!(running.connect("h2").await.is_err());
    running.roots = trusted;
    read(
        running
            .http1()
            .await
            .send_request(post(review(&json!({})).to_string()))
            .await
            .unwrap(),
    )
    .await;
    let text = running.metrics();
    assert!(text.contains("webhook_handshake_errors_total 1"), "{text}");
    assert!(
        text.contains(r#"webhook_admissions_total{outcome="untouched",reason="none"} 1"#),
        "{text}"
    );
}

#[tokio::test]
async fn stop_lets_an_admission_end_and_takes_no_other() {
    let (cluster, mut add) = Cluster::of(None, []);
    let running = start(cluster).await;
    let mut client = running.http1().await;
    // It waits for its identity, and so is under way.
    let body = asking().to_string();
    let answering =
        tokio::spawn(async move { read(client.send_request(post(body)).await.unwrap()).await });
    while !running.metrics().contains("webhook_admissions_in_flight 1") {
        tokio::task::yield_now().await;
    }

    running.shutdown.cancel();
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    add(admit::identity());
    assert!(!patch(&answering.await.unwrap()).is_empty());
    running.server.await.unwrap();
}

#[test]
fn admission_ends_before_the_api_server_gives_up() {
    for (query, seconds) in [
        (None, 3),
        (Some("timeout=5s"), 3),
        (Some("timeout=30s"), 3),
        (Some("a=b&timeout=3s"), 1),
        (Some("timeout=1s"), 0),
        (Some("timeout=1m0s"), 3),
    ] {
        assert_eq!(patience(query), Duration::from_secs(seconds), "{query:?}");
    }
}
