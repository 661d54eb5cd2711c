//! The upstream: OpenAI's chat completions and Responses, and Anthropic's messages. What it is asked is which writing to answer in.

mod chat;
mod messages;
mod responses;
mod says;
mod write;

use std::{convert::Infallible, fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use self::{says::Answers, write::Event};

/// A running upstream, which ends with its runtime.
pub(crate) struct Upstream {
    /// Where it listens, on the loopback.
    pub(crate) port: u16,
}

impl Upstream {
    /// Starts one that says what `answers` has.
    pub(crate) async fn start(answers: &Path) -> Result<Self> {
        let answers: Arc<Answers> = Arc::new(serde_json::from_slice(&fs::read(answers)?)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let answers = Arc::clone(&answers);
                let service = service_fn(move |request| respond(Arc::clone(&answers), request));
                // A caller that goes away is no error of the upstream.
                tokio::spawn(
                    http1::Builder::new().serve_connection(TokioIo::new(connection), service),
                );
            }
        });
        Ok(Self { port })
    }
}

type Body = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn respond(answers: Arc<Answers>, request: Request<Incoming>) -> Result<Response<Body>> {
    let path = request.uri().path().to_owned();
    let body: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let asked = body
        .pointer("/messages/0/content")
        .or(body.get("input"))
        .and_then(Value::as_str)
        .context("what is asked")?;
    let (writing, fails) = match asked.split_once(' ') {
        Some((writing, _)) => (writing, true),
        None => (asked, false),
    };
    let writing = &answers.writings[writing.parse::<usize>()?];
    let is_stream = body["stream"] == true;
    let says = &answers.says;
    let (whole, events): (Value, Vec<Event>) = match (path.as_str(), fails) {
        ("/v1/chat/completions", false) => {
            (chat::whole(says, writing), chat::events(says, writing))
        }
        ("/v1/chat/completions", true) => (chat::error(says), chat::broken(says, writing)),
        ("/v1/responses", false) => (
            responses::whole(says, writing),
            responses::events(says, writing),
        ),
        ("/v1/responses", true) => (chat::error(says), responses::broken(says, writing)),
        ("/v1/messages", false) => (messages::whole(says), messages::events(says, writing)),
        ("/v1/messages", true) => (messages::error(says), messages::broken(says, writing)),
        _ => anyhow::bail!("asked at {path}"),
    };
    let (status, kind, text) = if is_stream {
        (
            200,
            "text/event-stream; charset=utf-8",
            writing.stream(&events),
        )
    } else {
        let status = if fails { 400 } else { 200 };
        (status, "application/json", writing.json(&whole))
    };
    let frames: Vec<_> = text
        .as_bytes()
        .chunks(writing.frame)
        .map(|frame| Ok(Frame::data(Bytes::copy_from_slice(frame))))
        .collect();
    Ok(Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(StreamBody::new(stream::iter(frames)))?)
}
