//! Heads and bodies that two readers could take for different messages: sent as raw bytes, refused, and nothing of them passed on.

use std::time::Duration;

use postern_sidecar::{Config, Source};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};

use crate::support::{Identity, Protocol, Sidecar, Upstream, raw, soon};

/// Sends `request` (with `{own}` for the sidecar's address) and checks that it is refused for `reason`, and that nothing was passed on.
async fn refuse(request: &str, status: u16, reason: &str) {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let request = request.replace("{own}", &sidecar.address.to_string());
    let answer = raw(sidecar.address, request.as_bytes()).await;
    let shown = &request[..request.len().min(300)];
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{shown}: {answer}"
    );
    assert!(
        answer.contains(&format!("postern-reason: {reason}\r\n")),
        "{shown}: {answer}"
    );
    assert!(answer.contains("postern-request-id: "), "{shown}: {answer}");
    assert!(
        answer.contains("connection: close\r\n"),
        "{shown}: {answer}"
    );
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "one answer and no more: {answer}"
    );
    assert!(upstream.seen().is_empty(), "{shown}");
}

const POST: &str = "POST /openai/v1/chat HTTP/1.1\r\nhost: {own}\r\n";
const SMUGGLED: &str = "GET /openai/v1/smuggled HTTP/1.1\r\nhost: {own}\r\n\r\n";

#[tokio::test]
async fn a_duplicated_content_length_is_refused() {
    for headers in [
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 5\r\n",
    ] {
        refuse(
            &format!("{POST}{headers}\r\nhello{SMUGGLED}"),
            400,
            "framing_invalid",
        )
        .await;
    }
}

#[tokio::test]
async fn content_length_beside_transfer_encoding_is_refused_in_both_orders() {
    for headers in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        refuse(
            &format!("{POST}{headers}\r\n0\r\n\r\n{SMUGGLED}"),
            400,
            "framing_invalid",
        )
        .await;
    }
}

#[tokio::test]
async fn transfer_encodings_that_not_every_server_understands_are_refused() {
    for value in [
        "xchunked",
        "chunked, identity",
        "gzip, chunked",
        "identity",
        "chunked\r\ntransfer-encoding: chunked",
    ] {
        refuse(
            &format!("{POST}transfer-encoding: {value}\r\n\r\n0\r\n\r\n{SMUGGLED}"),
            400,
            "framing_invalid",
        )
        .await;
    }
}

#[tokio::test]
async fn heads_that_lenient_servers_repair_are_refused() {
    for request in [
        "GET /openai/v1/models HTTP/1.1\nhost: {own}\n\n",
        "GET /openai/v1/models HTTP/1.1\r\nhost : {own}\r\n\r\n",
        "GET /openai/v1/models HTTP/1.1\r\nhost: {own}\r\n folded: x\r\n\r\n",
        "GET /openai/v1/models HTTP/1.1\r\nhost: {own}\r\nx: a\0b\r\n\r\n",
        "GET /openai/v1/models HTTP/1.1\r\nhost: {own}\r\nx: a\rb\r\n\r\n",
        "GET /openai/v1/a b HTTP/1.1\r\nhost: {own}\r\n\r\n",
        "GET /openai/v1/models HTTP/3.0\r\nhost: {own}\r\n\r\n",
        "\u{16}\u{3}\u{1} this is TLS to a plain port\r\n\r\n",
    ] {
        refuse(request, 400, "head_malformed").await;
    }
}

#[tokio::test]
async fn a_header_of_10_mib_is_refused() {
    let header = "x".repeat(10 * 1024 * 1024);
    refuse(
        &format!("GET /openai/v1/models HTTP/1.1\r\nhost: {{own}}\r\nx: {header}\r\n\r\n"),
        431,
        "head_too_large",
    )
    .await;
    let many = "x: y\r\n".repeat(101);
    refuse(
        &format!("GET /openai/v1/models HTTP/1.1\r\nhost: {{own}}\r\n{many}\r\n"),
        431,
        "head_too_large",
    )
    .await;
}

#[tokio::test]
async fn a_target_that_grows_too_long_on_its_way_is_refused() {
    let upstream = Upstream::ok(Protocol::Plaintext).await;
    let endpoint = format!("{}/{}", upstream.endpoint(), "base".repeat(100));
    let sidecar = Identity::new()
        .at("a", "openai", &upstream, &endpoint, "k")
        .allowing_all()
        .serve()
        .await;
    for length in [60_000, 65_300] {
        let path = format!("/a/{}", "x".repeat(length));
        let answer = sidecar.get(&path).await;
        let expected = if length < 65_000 { 200 } else { 431 };
        assert_eq!(answer.status, expected, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_request_that_dribbles_in_is_given_up() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let source = Source::Fixed(Box::new(Identity::openai_at(&upstream).bundle()));
    let mut config = Config::on_free_ports(source);
    config.head_timeout = Duration::from_millis(200);
    let sidecar = Sidecar::with(config).await;
    for beginning in [
        "G",
        "GET /openai/v1/models HTTP/1.1\r\nhost: x\r\nx: ",
        "PRI * HT",
    ] {
        let answer = raw(sidecar.address, beginning.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{beginning}: {answer}");
        assert!(
            answer.contains("postern-reason: head_too_slow\r\n"),
            "{beginning}: {answer}"
        );
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_connection_may_wait_between_requests_for_longer_than_a_head_may_take() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let source = Source::Fixed(Box::new(Identity::openai_at(&upstream).bundle()));
    let mut config = Config::on_free_ports(source);
    config.head_timeout = Duration::from_millis(50);
    let sidecar = Sidecar::with(config).await;
    let mut client = sidecar.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/openai/v1/models").await.status, 200);
        // What is tested is the passing of time itself.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_its_own_framing_smuggles_nothing() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    for body in [
        "5\r\nhelloGET ",
        "5\nhello\n0\n\n",
        "0x5\r\nhello\r\n",
        "-1\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let request = format!("{POST}transfer-encoding: chunked\r\n\r\n{body}{SMUGGLED}")
            .replace("{own}", &sidecar.address.to_string());
        let answer = raw(sidecar.address, request.as_bytes()).await;
        assert!(!answer.contains("200 OK"), "{body}: {answer}");
    }
    let seen = upstream.seen();
    assert!(
        !seen.iter().any(|seen| seen.target.contains("smuggled")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let own = sidecar.address;
    let requests = format!(
        "POST /openai/v1/a HTTP/1.1\r\nhost: {own}\r\ncontent-length: 3\r\n\r\none\
         \r\nPOST /openai/v1/b HTTP/1.1\r\nhost: {own}\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
         GET /nowhere HTTP/1.1\r\nhost: {own}\r\n\r\n\
         GET /openai/v1/c HTTP/1.1\r\nhost: {own}\r\nconnection: close\r\n\r\n"
    );
    let answer = raw(own, requests.as_bytes()).await;
    let statuses: Vec<&str> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answer[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "200", "404", "200"], "{answer}");
    let seen: Vec<(String, String)> = upstream
        .seen()
        .into_iter()
        .map(|seen| (seen.target, String::from_utf8(seen.body.to_vec()).unwrap()))
        .collect();
    let expected = [("/v1/a", "one"), ("/v1/b", "two"), ("/v1/c", "")]
        .map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_follows_a_long_body_is_the_next_request() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let own = sidecar.address;
    // Longer than all that is read at once, and such that any piece of it would be a request of its own.
    let body = format!("GET /openai/v1/smuggled HTTP/1.1\r\nhost: {own}\r\n\r\n").repeat(5_000);
    let (length, half) = (body.len(), body.len() / 2);
    let requests = format!(
        "POST /openai/v1/a HTTP/1.1\r\nhost: {own}\r\ncontent-length: {length}\r\n\r\n{body}\
         POST /openai/v1/b HTTP/1.1\r\nhost: {own}\r\ntransfer-encoding: chunked\r\n\r\n\
         {half:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n\
         GET /openai/v1/c HTTP/1.1\r\nhost: {own}\r\nconnection: close\r\n\r\n",
        &body[..half],
        length - half,
        &body[half..],
    );
    raw(own, requests.as_bytes()).await;
    let seen: Vec<(String, bool, usize)> = upstream
        .seen()
        .into_iter()
        .map(|seen| (seen.target, seen.body == body, seen.body.len()))
        .collect();
    let expected = [
        ("/v1/a", true, length),
        ("/v1/b", true, length),
        ("/v1/c", false, 0),
    ]
    .map(|(target, is_whole, length)| (target.to_owned(), is_whole, length));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn an_answer_reaches_a_caller_that_is_still_sending() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let size = 20 * 1024 * 1024;
    let head = format!(
        "POST /nowhere HTTP/1.1\r\nhost: {}\r\ncontent-length: {size}\r\n\r\n",
        sidecar.address
    );
    let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
    let mut answer = String::new();
    // As most clients do: all of it is written before the answer is read.
    soon("the answer came", async {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; size]).await.unwrap();
        stream.read_to_string(&mut answer).await.unwrap();
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("postern-reason: unknown_route"), "{answer}");
}

#[tokio::test]
async fn a_head_may_come_in_single_bytes() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!(
        "POST /openai/v1/chat HTTP/1.1\r\nhost: {}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi",
        sidecar.address
    );
    for byte in request.bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    soon("the answer came", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(upstream.saw_one().body, "hi");
}
