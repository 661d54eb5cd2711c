//! The process as the kubelet and Prometheus see it.

use clap::Parser as _;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use postern_operator::{app::App, config::Cli};
use tokio_util::sync::CancellationToken;

use crate::{
    api_server::ApiServer,
    cluster::{cluster, ready},
};

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(path)
        .header("host", "admin")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn start(
    server: &ApiServer,
) -> (
    std::net::SocketAddr,
    CancellationToken,
    tokio::task::JoinHandle<anyhow::Result<()>>,
) {
    let line = [
        "postern-operator",
        "controller",
        "--namespace=agents",
        "--pod-name=one",
        "--sidecar-image=postern:test",
        "--admin-address=127.0.0.1:0",
    ];
    let Cli::Run(role) = Cli::try_parse_from(line).unwrap() else {
        panic!("a role is asked for");
    };
    let app = App::bind(role).await.unwrap();
    let (address, shutdown) = (app.admin_address(), CancellationToken::new());
    let task = tokio::spawn(app.run(server.client(), shutdown.clone()));
    (address, shutdown, task)
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served_until_the_end() {
    let server = cluster();
    let (address, shutdown, task) = start(&server).await;
    assert_eq!(get(address, "/livez").await.0, 200);
    while ready(&server) != "True/Ready" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(get(address, "/readyz").await.0, 200);
    let (status, metrics) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "postern_operator_build_info{version=",
        "postern_operator_leader 1",
        r#"postern_operator_reconciles_total{kind="AgentIdentity",result="ok"}"#,
        r#"postern_operator_reconcile_duration_seconds_bucket{le="0.005",kind="AgentIdentity"}"#,
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    shutdown.cancel();
    task.await.unwrap().unwrap();
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "the port is given back"
    );
}

#[tokio::test]
async fn without_an_api_server_it_is_alive_and_not_ready() {
    let server = ApiServer::default();
    server.fail("", 500);
    let (address, shutdown, task) = start(&server).await;
    assert_eq!(get(address, "/livez").await.0, 200);
    while !server
        .requests()
        .iter()
        .any(|request| request.starts_with("GET leases/"))
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(get(address, "/readyz").await.0, 503);
    shutdown.cancel();
    task.await.unwrap().unwrap();
}
