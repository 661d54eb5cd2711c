//! An upstream that sends the credential back, in every place and every form, and a caller that does not get it.

use std::{fmt::Write as _, io::Write as _, sync::Mutex};

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, request::Parts};
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{
    Answer, Body, Client, Identity, Protocol, Sidecar, Upstream, eventually, full, soon, stream,
    whole_log,
};

/// With characters that every encoding writes otherwise, and longer than its placeholder.
const KEY: &str = "sk-proj-reflected+by/an=upstream&in\"all\"forms%41-and-places";

const BEARER: &str = "Bearer ";

/// What `key` may look like, each with a name.
fn forms(key: &str) -> Vec<(String, String)> {
    let written = |escape: fn(u8) -> String| key.bytes().map(escape).collect::<String>();
    let mut forms: Vec<(String, String)> = vec![
        ("raw".into(), key.into()),
        (
            "in a URL".into(),
            key.replace('%', "%25")
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D")
                .replace('&', "%26")
                .replace('"', "%22"),
        ),
        (
            "wholly in a URL".into(),
            written(|byte| format!("%{byte:02x}")),
        ),
        (
            "in JSON".into(),
            serde_json::to_string(key).unwrap().replace('/', "\\/"),
        ),
        (
            "wholly in JSON".into(),
            written(|byte| format!("\\u{byte:04X}")),
        ),
        (
            "in HTML".into(),
            key.replace('&', "&amp;").replace('"', "&quot;"),
        ),
        (
            "wholly in HTML".into(),
            written(|byte| format!("&#x{byte:x};")),
        ),
        (
            "in hexadecimal digits".into(),
            written(|byte| format!("{byte:02x}")),
        ),
        (
            "in large hexadecimal digits".into(),
            written(|byte| format!("{byte:02X}")),
        ),
    ];
    for before in ["", "a", "ab"] {
        let text = format!("{before}{key}:z");
        forms.push((
            format!("in base64 after {before:?}"),
            BASE64_STANDARD.encode(&text),
        ));
        forms.push((
            format!("in base64 for URLs after {before:?}"),
            BASE64_URL_SAFE_NO_PAD.encode(&text),
        ));
        let mut escaped = String::new();
        for character in BASE64_STANDARD.encode(&text).chars() {
            match character {
                '+' | '/' | '=' => write!(escaped, "%{:02X}", u32::from(character)).unwrap(),
                other => escaped.push(other),
            }
        }
        forms.push((format!("in base64 in a URL after {before:?}"), escaped));
    }
    forms
}

/// An upstream that takes the key out of a request and sends it back: `/v1/{number of the form}/{place}`.
async fn reflecting(protocol: Protocol) -> Upstream {
    Upstream::answering(protocol, |head, _| {
        let key = head.headers["authorization"].to_str().unwrap();
        reflect(head, key.strip_prefix(BEARER).unwrap())
    })
    .await
}

fn reflect(head: &Parts, key: &str) -> Response<Body> {
    let mut segments = head.uri.path().rsplit('/');
    let place = segments.next().unwrap();
    let number: usize = segments.next().unwrap().parse().unwrap();
    let (_, form) = forms(key).swap_remove(number);
    let message = json!({"error": {"message": format!("the key {form} is wrong")}}).to_string();
    let response = Response::builder();
    match place {
        "head" => response
            .status(401)
            .header("location", format!("https://a/?k={form}"))
            .header("set-cookie", "sid=1; Path=/")
            .header("set-cookie", format!("k={form}"))
            .header("www-authenticate", format!("Bearer error={form}"))
            .header("x-debug", &form)
            .body(full("{}")),
        "body" => response
            .header("content-type", "application/json")
            .body(full(message)),
        "events" => {
            let event = format!("data: {message}\n\n");
            let (one, other) = event.split_at(event.len() / 2);
            let frames = ["data: 1\n\n", one, other, "data: [DONE]\n\n"];
            response
                .header("content-type", "text/event-stream")
                .body(in_frames(frames.map(str::to_owned), None))
        }
        "bytes" => response.body(in_frames(message.chars().map(String::from), None)),
        "trailers" => {
            let trailers =
                HeaderMap::from_iter([(HeaderName::from_static("x-echo"), form.parse().unwrap())]);
            response.body(in_frames(["data".to_owned()], Some(trailers)))
        }
        other => panic!("{other} is no place"),
    }
    .unwrap()
}

fn in_frames(frames: impl IntoIterator<Item = String>, trailers: Option<HeaderMap>) -> Body {
    let (sender, body) = stream();
    let data = frames.into_iter().map(|frame| Frame::data(frame.into()));
    for frame in data.chain(trailers.map(Frame::trailers)) {
        sender.send(Ok(frame)).unwrap();
    }
    body
}

/// That `text` has the placeholder where a form of the key was.
fn is_clean(text: &str, form: &str) -> bool {
    let middle = &form[form.len() / 4..form.len() * 3 / 4];
    text.contains(&Identity::placeholder("openai")) && !text.contains(middle)
}

async fn serve(upstream: &Upstream) -> Sidecar {
    Identity::openai_at(upstream)
        .secret("openai", KEY)
        .serve()
        .await
}

async fn client(sidecar: &Sidecar, protocol: Protocol) -> Client {
    match protocol {
        Protocol::Http2 => Client::http2(sidecar.address).await,
        Protocol::Http1 | Protocol::Plaintext => sidecar.client().await,
    }
}

#[tokio::test]
async fn a_secret_that_comes_back_in_a_head_or_a_body_is_replaced_by_the_placeholder() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = reflecting(protocol).await;
        let sidecar = serve(&upstream).await;
        let mut client = client(&sidecar, protocol).await;
        let mut found = 0;
        for (number, (name, form)) in forms(KEY).into_iter().enumerate() {
            let answer = client.get(&format!("/openai/v1/{number}/head")).await;
            assert_eq!(answer.status, 401);
            let cookies = answer.headers.get_all("set-cookie");
            let cookies: Vec<&str> = cookies.iter().map(|c| c.to_str().unwrap()).collect();
            assert_eq!(cookies[0], "sid=1; Path=/");
            for (value, begin) in [
                (answer.header("location").unwrap(), "https://a/?k="),
                (cookies[1], "k="),
                (answer.header("www-authenticate").unwrap(), "Bearer error="),
                (answer.header("x-debug").unwrap(), ""),
            ] {
                assert!(
                    value.starts_with(begin) && is_clean(value, &form),
                    "{name}: {value}"
                );
            }
            found += 4;

            for place in ["body", "events", "bytes"] {
                let answer = client.get(&format!("/openai/v1/{number}/{place}")).await;
                let text = answer.text();
                let text = match place {
                    "events" => text
                        .strip_prefix("data: 1\n\ndata: ")
                        .and_then(|text| text.strip_suffix("\n\ndata: [DONE]\n\n"))
                        .unwrap(),
                    _ => &text,
                };
                let message: Value = serde_json::from_str(text).unwrap();
                let message = message["error"]["message"].as_str().unwrap();
                assert!(
                    message.starts_with("the key ")
                        && message.ends_with(" is wrong")
                        && is_clean(message, &form),
                    "{name}: {message}"
                );
                found += 1;
            }
        }
        let counted = format!(r#"postern_secret_echo_total{{route="openai"}} {found}"#);
        eventually("all were counted", async || {
            sidecar.metrics().await.contains(&counted).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_secret_that_comes_back_in_trailers_is_replaced() {
    let upstream = reflecting(Protocol::Http2).await;
    let sidecar = serve(&upstream).await;
    let mut client = Client::http2(sidecar.address).await;
    for (number, (name, form)) in forms(KEY).into_iter().enumerate() {
        let answer = client.get(&format!("/openai/v1/{number}/trailers")).await;
        assert_eq!(answer.text(), "data");
        let trailers = answer.trailers.unwrap();
        let value = trailers["x-echo"].to_str().unwrap();
        assert!(is_clean(value, &form), "{name}: {value}");
    }
}

/// One plain upstream that writes `answer` as it is.
async fn writing(answer: String) -> Sidecar {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let bystander = Upstream::ok(Protocol::Plaintext).await;
    Identity::new()
        .at(
            "openai",
            "openai",
            &bystander,
            &format!("http://{address}/v1"),
            KEY,
        )
        .allowing_all()
        .serve()
        .await
}

#[tokio::test]
async fn trailers_after_chunks_and_the_words_behind_a_status_are_searched_too() {
    let sidecar = writing(format!(
        "HTTP/1.1 401 {KEY}\r\ntransfer-encoding: chunked\r\ntrailer: x-echo\r\n\r\n2\r\nsk\r\n0\r\nx-echo: {KEY}\r\n\r\n"
    ))
    .await;
    let answer = Client::http2(sidecar.address)
        .await
        .get("/openai/v1/a")
        .await;
    assert_eq!(answer.text(), "sk", "what begins like the key and is none");
    let trailers = answer.trailers.unwrap();
    assert!(is_clean(trailers["x-echo"].to_str().unwrap(), KEY));

    let sidecar = writing(format!("HTTP/1.1 401 {KEY}\r\ncontent-length: 0\r\n\r\n")).await;
    let request = format!(
        "GET /openai/v1/a HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        sidecar.address
    );
    let answer = crate::support::raw(sidecar.address, request.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && !answer.contains(KEY),
        "{answer}"
    );
    assert!(
        sidecar
            .metrics()
            .await
            .contains(r#"postern_secret_echo_total{route="openai"} 1"#)
    );
}

#[tokio::test]
async fn a_length_that_was_told_stays_true() {
    let echo = format!("<{KEY}>");
    let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
        Response::builder()
            .header("content-length", echo.len())
            .body(full(echo.clone()))
            .unwrap()
    })
    .await;
    // A key that is shorter than its placeholder, too.
    for key in [KEY, &KEY[..12]] {
        let sidecar = Identity::openai_at(&upstream)
            .secret("openai", key)
            .serve()
            .await;
        for mut client in [sidecar.client().await, Client::http2(sidecar.address).await] {
            let answer = client.get("/openai/v1/a").await;
            let length = (KEY.len() + 2).to_string();
            assert_eq!(answer.header("content-length"), Some(length.as_str()));
            let text = answer.text();
            let begin = &Identity::placeholder("openai")[..12];
            assert!(
                text.starts_with(&format!("<{begin}")) && !text.contains(key),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn what_begins_like_a_secret_waits_and_all_before_it_does_not() {
    let (sender, body) = stream();
    let body = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
        Response::new(body.lock().unwrap().take().unwrap())
    })
    .await;
    let sidecar = serve(&upstream).await;
    let mut client = sidecar.client().await;
    let request = client
        .request("GET", "/openai/v1/a")
        .body(full(""))
        .unwrap();
    let mut response = soon("the stream began", client.open(request))
        .await
        .unwrap();
    let mut pass = async |sent: &'static str| -> Option<Bytes> {
        sender.send(Ok(Frame::data(sent.into()))).unwrap();
        let frame = soon("a frame came", response.body_mut().frame()).await?;
        Some(frame.unwrap().into_data().unwrap())
    };
    assert_eq!(pass("data: 1\n\n").await.unwrap(), "data: 1\n\n");
    assert_eq!(pass("data: sk-proj-re").await.unwrap(), "data: ");
    assert_eq!(pass("d\n\n").await.unwrap(), "sk-proj-red\n\n");
    // What is held when the upstream breaks off is nothing that anybody gets.
    assert_eq!(pass("data: sk-proj-refl").await.unwrap(), "data: ");
    sender.send(Err(std::io::Error::other("gone"))).unwrap();
    let end = soon("the stream broke", response.body_mut().frame()).await;
    assert!(end.unwrap().is_err());
}

#[tokio::test]
async fn an_echo_is_told_once_and_its_secret_is_in_no_log_line() {
    let upstream = Upstream::answering(Protocol::Http1, |_, _| {
        let answer = json!({
            "object": "chat.completion",
            "model": KEY,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": format!("{KEY} {KEY}")}, "finish_reason": KEY}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        });
        Response::builder()
            .header("content-type", "application/json")
            .body(full(answer.to_string()))
            .unwrap()
    })
    .await;
    let sidecar = serve(&upstream).await;
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", "/openai/v1/chat/completions")
        .header("content-type", "application/json")
        .body(full(r#"{"model":"gpt-4o-mini","messages":[]}"#))
        .unwrap();
    let answer: Answer = client.send(request).await;
    let model = answer.json()["model"].clone();
    assert!(is_clean(model.as_str().unwrap(), KEY), "{model}");
    let lines = eventually("the call was logged", async || {
        let log = whole_log();
        let mine = log
            .lines()
            .filter(|line| line.contains(answer.request_id()));
        let mine: Vec<String> = mine.map(str::to_owned).collect();
        mine.iter()
            .any(|line| line.contains("bytes_out"))
            .then_some(mine)
    })
    .await;
    let told = lines
        .iter()
        .filter(|line| line.contains("sent the secret back"));
    assert_eq!(told.count(), 1, "{lines:?}");
    let lines = lines.concat();
    assert!(lines.contains(r#""secret_echoes":6"#), "{lines}");
    assert!(
        lines.contains("gen_ai.response.model") && !lines.contains("reflected"),
        "{lines}"
    );
    // The model and the reason in the body, the two of the text, and again the two that are logged.
    let counted = r#"postern_secret_echo_total{route="openai"} 6"#;
    assert!(sidecar.metrics().await.contains(counted));
}

/// The key in hexadecimal digits that signs calls to S3 in region `r` on `date`, of which AWS has this definition:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>, step 4.
fn signing_key(secret: &str, date: &str) -> String {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, "r", "s3", "aws4_request"] {
        let with = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&with, part.as_bytes()).as_ref().to_vec();
    }
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_a_secret_is_made_into_and_what_it_buys_is_replaced_too() {
    const SECRET: &str = "sk/live+of=the-ways-to-put-one-into-a-call";
    const TOKEN: &str = "token/that+a=secret-bought-for-an-hour-or-so";
    // A page that shows what was asked for, and a server of tokens.
    let upstream = Upstream::answering(Protocol::Http1, |head, _| {
        if head.uri.path() == "/token" {
            return Response::new(full(json!({"access_token": TOKEN}).to_string()));
        }
        let headers: Vec<&str> = head
            .headers
            .values()
            .filter_map(|v| v.to_str().ok())
            .collect();
        let target = head.uri.to_string();
        let date = head
            .headers
            .get("x-amz-date")
            .map(|date| &date.to_str().unwrap()[..8]);
        let key = date.map(|date| signing_key(SECRET, date));
        Response::new(full(
            json!({"target": target, "headers": headers, "key": key}).to_string(),
        ))
    })
    .await;
    let aws =
        json!({"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": SECRET, "sessionToken": TOKEN});
    let buying = json!({"oauth2ClientCredentials": {"tokenUrl": format!("{}/token", upstream.endpoint()), "clientId": "bot", "authStyle": "Body"}});
    let pair = format!("me:{SECRET}");
    let in_basic = BASE64_STANDARD.encode(&pair);
    let in_query = SECRET
        .replace('/', "%2F")
        .replace('+', "%2B")
        .replace('=', "%3D");
    let ways = [
        ("bearer", json!({"bearer": {}}), SECRET, SECRET),
        (
            "header",
            json!({"header": {"name": "X-Crm-Key"}}),
            SECRET,
            SECRET,
        ),
        (
            "query",
            json!({"query": {"name": "token"}}),
            SECRET,
            &in_query,
        ),
        (
            "basic",
            json!({"basic": {"username": "me"}}),
            SECRET,
            &in_basic,
        ),
        ("pair", json!({"basic": {}}), &pair, &in_basic),
        ("cookie", json!({"cookie": {"name": "sid"}}), SECRET, SECRET),
        (
            "aws",
            json!({"awsSigV4": {"service": "s3", "region": "r"}}),
            &aws.to_string(),
            TOKEN,
        ),
        ("bought", buying, SECRET, TOKEN),
    ];
    let mut identity = Identity::new().allowing_all();
    for (name, inject, secret, _) in &ways {
        identity = identity.injected(name, &upstream, inject, secret);
    }
    let sidecar = identity.serve().await;
    let mut client = sidecar.client().await;
    for (name, .., sent) in &ways {
        let answer = client.get(&format!("/{name}/x")).await;
        let text = answer.text();
        let seen = upstream.seen().pop().unwrap();
        assert!(
            format!(
                "{} {:?}",
                seen.target,
                seen.headers
                    .values()
                    .map(|v| v.as_bytes().escape_ascii().to_string())
                    .collect::<Vec<_>>()
            )
            .contains(sent),
            "{name}: or the test would prove nothing"
        );
        let placeholder = postern_crds::placeholder::render("postern-{}", "agents", "bot", name);
        assert!(
            text.contains(&placeholder) && !text.contains(sent),
            "{name}: {text}"
        );
        // The key that signed, too.
        let key = answer.json()["key"].as_str().map(str::to_owned);
        assert!(
            key.is_none_or(|key| key.starts_with(&placeholder)),
            "{name}: {text}"
        );
        let count = if *name == "aws" { 2 } else { 1 };
        let echoes = format!(r#"postern_secret_echo_total{{route="{name}"}} {count}"#);
        let metrics = sidecar.metrics().await;
        assert!(metrics.contains(&echoes), "{name}: {metrics}");
    }
}

#[tokio::test]
async fn alerts_are_about_metrics_that_there_are_before_anything_happened() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = serve(&upstream).await;
    let metrics = sidecar.metrics().await;
    let rules = include_str!("../../../charts/postern/templates/monitoring/prometheusrule.yaml");
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        // What rises is counted here; the others are about a rate, which misses the first event alone, or what the operator measures.
        .filter(|expression| expression.contains("(increase("))
        .map(|expression| {
            let name = &expression[expression.find("postern_").unwrap()..];
            &name[..name.find('[').unwrap()]
        })
        .collect();
    assert_eq!(alerts.len(), 4);
    for name in alerts {
        let series = metrics.lines().find(|line| line.starts_with(name));
        let series = series.unwrap_or_else(|| panic!("{name} is not in {metrics}"));
        assert!(
            series.ends_with(" 0") || series.ends_with(" 0.0"),
            "{series}"
        );
    }
}

#[tokio::test]
async fn a_secret_under_a_compression_that_nobody_asked_for_is_replaced() {
    for encoding in ["gzip", "deflate"] {
        let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
            let page = json!({"you": "sent", "key": KEY}).to_string();
            let (level, bytes) = (flate2::Compression::default(), Vec::new());
            let compressed = if encoding == "gzip" {
                let mut encoder = flate2::write::GzEncoder::new(bytes, level);
                encoder.write_all(page.as_bytes()).unwrap();
                encoder.finish()
            } else {
                let mut encoder = flate2::write::ZlibEncoder::new(bytes, level);
                encoder.write_all(page.as_bytes()).unwrap();
                encoder.finish()
            };
            // Byte by byte, so that the secret comes in pieces.
            let (sender, body) = stream();
            for byte in compressed.unwrap() {
                sender.send(Ok(Frame::data(vec![byte].into()))).unwrap();
            }
            Response::builder()
                .header("content-encoding", encoding)
                .body(body)
                .unwrap()
        })
        .await;
        let sidecar = serve(&upstream).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut client = client(&sidecar, protocol).await;
            let request = client
                .request("GET", "/openai/v1/a")
                .header("accept-encoding", "gzip, deflate")
                .body(full(""))
                .unwrap();
            let answer = client.send(request).await;
            assert_eq!(answer.header("content-encoding"), None);
            let key = answer.json()["key"].as_str().unwrap().to_owned();
            assert!(is_clean(&key, KEY), "{encoding}: {key}");
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(seen.header("accept-encoding"), Some("identity"));
        }
    }
}
