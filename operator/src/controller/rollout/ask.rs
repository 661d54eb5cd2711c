//! Asks sidecars which bundle they use, and tells them that there is a newer one.

use std::{net::SocketAddr, time::Duration};

use futures::future;
use http::{Method, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use postern_crds::control::{BUNDLE_PATH, BundleInUse, REFRESH_PATH};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

pub(super) mod running;

/// How many sidecars are asked at the same time, of all identities.
const CONCURRENT: usize = 64;
/// How long one may take.
const ANSWER: Duration = Duration::from_secs(3);
/// The longest answer that is read. A version of a credential is short, and an identity has at most 32.
const MAX_ANSWER: usize = 64 * 1024;

/// All sidecars.
pub(super) struct Sidecars {
    turns: Semaphore,
}

/// What a sidecar said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It uses the bundle of this revision.
    Uses(String),
    /// It has no bundle.
    Empty,
    /// It does not know the question.
    Mute,
    /// It did not answer, or nothing that can be understood.
    None,
    /// It was not asked, since it does not run yet.
    NotStarted,
}

impl Default for Sidecars {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(CONCURRENT),
        }
    }
}

impl Sidecars {
    /// What the sidecars of `pods` say.
    pub(super) async fn ask<'a>(&self, pods: &'a [running::Pod]) -> Vec<(&'a str, Answer)> {
        let mut answers = Vec::new();
        for pod in pods {
            answers.push(async {
                let answer = match pod.admin {
                    Some(address) => self.ask_one(address).await,
                    None => Answer::NotStarted,
                };
                (pod.name.as_str(), answer)
            });
        }
        future::join_all(answers).await
    }

    /// Tells the sidecars of `pods` that there is a newer bundle, and how each took it. There is nothing in it that one would have to believe: it makes a
    /// sidecar ask.
    pub(super) async fn nudge(
        &self,
        pods: impl Iterator<Item = &running::Pod>,
    ) -> Vec<&'static str> {
        let addresses = pods.filter_map(|pod| pod.admin);
        let nudges = addresses.map(|address| async move {
            match self.exchange(Method::POST, REFRESH_PATH, address).await {
                Some((StatusCode::ACCEPTED, _)) => "accepted",
                Some(_) => "refused",
                None => "unanswered",
            }
        });
        future::join_all(nudges).await
    }

    async fn ask_one(&self, address: SocketAddr) -> Answer {
        match self.exchange(Method::GET, BUNDLE_PATH, address).await {
            Some((StatusCode::OK, body)) => serde_json::from_slice::<BundleInUse>(&body)
                .map_or(Answer::None, |bundle| Answer::Uses(bundle.revision)),
            Some((StatusCode::SERVICE_UNAVAILABLE, _)) => Answer::Empty,
            Some((StatusCode::NOT_FOUND, _)) => Answer::Mute,
            Some(_) | None => Answer::None,
        }
    }

    /// One exchange with the sidecar at `address`, when it is its turn; `None` if it does not come to an end.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        address: SocketAddr,
    ) -> Option<(StatusCode, Bytes)> {
        let _turn = self
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let exchanged = timeout(ANSWER, exchange(method, path, address)).await;
        exchanged.ok().flatten()
    }
}

/// Plain HTTP, as the kubelet's probes are: there is no secret in question or answer.
async fn exchange(method: Method, path: &str, address: SocketAddr) -> Option<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .ok()?;
    let exchange = async move {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        let bytes = body.collect().await.ok()?.to_bytes();
        Some((status, bytes))
    };
    // The connection is driven until the exchange lets go of it. What it ends with shows in the exchange.
    let (answer, _) = tokio::join!(exchange, connection);
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::watch,
    };

    use super::*;

    /// A sidecar that answers every connection with `response`.
    async fn sidecar(response: String) -> running::Pod {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                let asks = request[..length].starts_with(b"GET /bundle HTTP/1.1\r\n");
                assert!(asks || request[..length].starts_with(b"POST /refresh HTTP/1.1\r\n"));
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        running::Pod {
            name: "pod".to_owned(),
            admin: Some(address),
        }
    }

    async fn answer(status: &str, body: &str) -> Answer {
        let length = body.len();
        let response = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        let pods = [sidecar(response).await];
        Sidecars::default().ask(&pods).await.remove(0).1
    }

    #[tokio::test]
    async fn a_sidecar_says_which_bundle_it_uses() {
        let body = r#"{"revision":"abc","format":1,"credentials":{},"loadedAt":"now","more":1}"#;
        assert_eq!(answer("200 OK", body).await, Answer::Uses("abc".to_owned()));
        assert_eq!(answer("503 No", "none").await, Answer::Empty);
        assert_eq!(answer("404 No", "there are others").await, Answer::Mute);
    }

    #[tokio::test]
    async fn what_cannot_be_understood_is_no_answer() {
        assert_eq!(answer("200 OK", "{}").await, Answer::None);
        assert_eq!(answer("302 Found", "").await, Answer::None);
        let huge = "x".repeat(MAX_ANSWER + 1);
        assert_eq!(answer("200 OK", &huge).await, Answer::None);
    }

    #[tokio::test]
    async fn a_hundred_sidecars_are_told_in_one_go_and_no_more_at_a_time_than_may_be() {
        let gate = Arc::new(Semaphore::new(0));
        // How many are being told, and how many were at most.
        let (open, mut told) = watch::channel((0, 0));
        let open = Arc::new(open);
        let mut pods = Vec::new();
        for number in 0..100 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            pods.push(running::Pod {
                name: format!("pod-{number}"),
                admin: listener.local_addr().ok(),
            });
            let (gate, open) = (Arc::clone(&gate), Arc::clone(&open));
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                open.send_modify(|(now, most)| {
                    *now += 1;
                    *most = (*most).max(*now);
                });
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"POST /refresh HTTP/1.1\r\n"));
                gate.acquire().await.unwrap().forget();
                open.send_modify(|(now, _)| *now -= 1);
                let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            });
        }
        let nudges = tokio::spawn(async move { Sidecars::default().nudge(pods.iter()).await });
        told.wait_for(|(now, _)| *now == CONCURRENT).await.unwrap();
        gate.add_permits(100);
        assert_eq!(nudges.await.unwrap(), ["accepted"; 100]);
        assert_eq!(told.borrow().1, CONCURRENT);
    }

    #[tokio::test]
    async fn a_sidecar_that_knows_no_nudge_refuses_it() {
        let response = "HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n";
        let pod = sidecar(response.to_owned()).await;
        assert_eq!(Sidecars::default().nudge([pod].iter()).await, ["refused"]);
    }

    #[tokio::test]
    async fn one_that_is_not_there_or_says_nothing_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pod = |name: &str, admin| running::Pod {
            name: name.to_owned(),
            admin,
        };
        let gone = {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let pods = [
            pod("silent", listener.local_addr().ok()),
            pod("gone", Some(gone)),
            pod("not-yet", None),
        ];
        let answers = Sidecars::default().ask(&pods).await;
        assert_eq!(
            answers,
            [
                ("silent", Answer::None),
                ("gone", Answer::None),
                ("not-yet", Answer::NotStarted)
            ]
        );
    }
}
