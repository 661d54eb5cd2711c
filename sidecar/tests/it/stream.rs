//! Streams pass event by event in both directions, and break where they broke.

use std::sync::Mutex;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::support::{
    Body, Client, Identity, Protocol, Sidecar, Upstream, eventually, line_of, soon, stream,
};

type Sender = mpsc::UnboundedSender<std::io::Result<Frame<Bytes>>>;

/// An upstream whose one answer is a stream, and the sender of that.
async fn streaming(protocol: Protocol) -> (Upstream, Sender) {
    let (sender, body) = stream();
    let body: Mutex<Option<Body>> = Mutex::new(Some(body));
    let upstream = Upstream::answering(protocol, move |_, _| {
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(body.lock().unwrap().take().unwrap())
            .unwrap()
    })
    .await;
    (upstream, sender)
}

async fn open(client: &mut Client) -> Response<Incoming> {
    let request = client
        .request("POST", "/openai/v1/chat/completions")
        .body(crate::support::full("{}"))
        .unwrap();
    soon("the stream began", client.open(request))
        .await
        .unwrap()
}

/// The next bytes. HTTP/2 may end a stream with a frame that has none.
async fn next(response: &mut Response<Incoming>) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        let frame = soon("the next event came", response.body_mut().frame()).await?;
        match frame.map(|frame| frame.into_data().unwrap()) {
            Ok(data) if data.is_empty() => {}
            data => return Some(data),
        }
    }
}

#[tokio::test]
async fn events_arrive_one_by_one_before_the_upstream_ends() {
    for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Plaintext] {
        for h2_caller in [false, true] {
            let (upstream, sender) = streaming(protocol).await;
            let sidecar = Identity::openai_at(&upstream).serve().await;
            let mut client = if h2_caller {
                Client::http2(sidecar.address).await
            } else {
                sidecar.client().await
            };
            // The head comes before any event.
            let mut response = open(&mut client).await;
            for number in 0..5 {
                let event = format!("data: {number}\n\n");
                sender.send(Ok(Frame::data(event.clone().into()))).unwrap();
                assert_eq!(next(&mut response).await.unwrap().unwrap(), event);
            }
            drop(sender);
            assert!(
                next(&mut response).await.is_none(),
                "the stream ends where the upstream ended it"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_the_upstream_breaks_off_does_not_end_cleanly() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for h2_caller in [false, true] {
            let (upstream, sender) = streaming(protocol).await;
            let sidecar = Identity::openai_at(&upstream).serve().await;
            let mut client = if h2_caller {
                Client::http2(sidecar.address).await
            } else {
                sidecar.client().await
            };
            let mut response = open(&mut client).await;
            let id = response.headers()["postern-request-id"]
                .to_str()
                .unwrap()
                .to_owned();
            sender.send(Ok(Frame::data("data: 1\n\n".into()))).unwrap();
            assert_eq!(next(&mut response).await.unwrap().unwrap(), "data: 1\n\n");

            sender.send(Err(std::io::Error::other("gone"))).unwrap();
            assert!(
                next(&mut response).await.unwrap().is_err(),
                "a broken answer must not look whole"
            );
            let line = line_of(&id).await;
            assert_eq!(line["outcome"], "upstream_aborted");
            assert_eq!(line["bytes_out"], 9);
            assert_eq!(line["decision"], "allow");
        }
    }
}

#[tokio::test]
async fn an_answer_shorter_than_announced_does_not_end_cleanly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
            .await
            .unwrap();
    });
    let sidecar = Sidecar::to_plaintext(address).await;
    let mut client = sidecar.client().await;
    let mut response = open(&mut client).await;
    assert_eq!(next(&mut response).await.unwrap().unwrap(), "short");
    assert!(next(&mut response).await.unwrap().is_err());
}

#[tokio::test]
async fn an_upstream_that_closes_without_an_answer_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut accepted = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            accepted += 1;
            assert_eq!(accepted, 1, "nothing is sent again after a byte was sent");
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
        }
    });
    let sidecar = Sidecar::to_plaintext(address).await;
    let answer = sidecar.client().await.post("/openai/v1/chat", "{}").await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.reason(), Some("upstream_broken"));
    assert_eq!(answer.json()["error"]["type"], "upstream_error");
    assert_eq!(line_of(answer.request_id()).await["decision"], "allow");
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_call_at_the_upstream() {
    for h2_caller in [false, true] {
        let (upstream, sender) = streaming(Protocol::Http1).await;
        let sidecar = Identity::openai_at(&upstream).serve().await;
        let mut client = if h2_caller {
            Client::http2(sidecar.address).await
        } else {
            sidecar.client().await
        };
        let mut response = open(&mut client).await;
        let id = response.headers()["postern-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        sender.send(Ok(Frame::data("data: 1\n\n".into()))).unwrap();
        next(&mut response).await.unwrap().unwrap();
        drop(response);
        drop(client);
        assert_eq!(line_of(&id).await["outcome"], "client_aborted");
        soon("the upstream's stream was closed", sender.closed()).await;
    }
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_ends_the_call_at_the_upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sidecar = Sidecar::to_plaintext(address).await;
    let mut caller = TcpStream::connect(sidecar.address).await.unwrap();
    let request = format!(
        "GET /openai/v1/slow-thought HTTP/1.1\r\nhost: {}\r\n\r\n",
        sidecar.address
    );
    caller.write_all(request.as_bytes()).await.unwrap();
    let (mut stream, _) = soon("the call reached the upstream", listener.accept())
        .await
        .unwrap();
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);

    drop(caller);

    let read = soon("the upstream noticed", stream.read(&mut buffer)).await;
    assert_eq!(read.unwrap_or(0), 0);
    eventually("it was counted", async || {
        let metrics = sidecar.metrics().await;
        metrics
            .contains("status=\"none\",outcome=\"client_aborted\"} 1")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_is_streamed_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sidecar = Sidecar::to_plaintext(address).await;
    let mut caller = TcpStream::connect(sidecar.address).await.unwrap();
    let head = format!(
        "POST /openai/v1/audio HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        sidecar.address
    );
    caller.write_all(head.as_bytes()).await.unwrap();

    let (mut stream, _) = soon("the call reached the upstream", listener.accept())
        .await
        .unwrap();
    let mut received = String::new();
    let mut buffer = [0; 4096];
    while !received.contains("first") {
        let length = soon("the first part came", stream.read(&mut buffer))
            .await
            .unwrap();
        received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    assert!(!received.contains("last"));

    caller.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
    while !received.ends_with("0\r\n\r\n") {
        let length = soon("the last part came", stream.read(&mut buffer))
            .await
            .unwrap();
        received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    assert!(received.contains("last"));
}

#[tokio::test]
async fn large_bodies_pass_byte_for_byte() {
    let upstream = Upstream::answering(Protocol::Http1, |_, body| {
        Response::new(crate::support::full(body.clone()))
    })
    .await;
    let h2 = Upstream::answering(Protocol::Http2, |_, body| {
        Response::new(crate::support::full(body.clone()))
    })
    .await;
    let sidecar = Identity::openai_at(&upstream)
        .credential("other", "openai", &h2, "k")
        .serve()
        .await;
    let bytes: Vec<u8> = (0..3_000_000u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for path in ["/openai/v1/files", "/other/v1/files"] {
        for h2_caller in [false, true] {
            let mut client = if h2_caller {
                Client::http2(sidecar.address).await
            } else {
                sidecar.client().await
            };
            let request = client
                .request("POST", path)
                .body(crate::support::full(bytes.clone()))
                .unwrap();
            let response = soon("the answer came", client.open(request)).await.unwrap();
            let answer = soon("the answer ended", response.into_body().collect())
                .await
                .unwrap()
                .to_bytes();
            assert!(answer == bytes, "{path}: {} bytes", answer.len());
        }
    }
}
