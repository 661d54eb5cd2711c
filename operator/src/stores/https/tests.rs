//! What goes wrong between the operator and a store is told apart, and nothing of an answer is quoted.

use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::stores::fixtures::{Said, Server};

async fn get(https: &Https, url: &str) -> Result<Answer, Problem> {
    let request = Request::get(url).body(Full::default()).unwrap();
    https.send(request).await
}

fn problem(result: Result<Answer, Problem>) -> Problem {
    result.err().expect("there is a problem")
}

#[tokio::test]
async fn a_whole_answer_comes_from_a_server_that_is_trusted() {
    let server = Server::start(|_| (404, json!({"errors": []})).into()).await;
    let https = Https::new(Some(&server.authority)).ok().unwrap();
    let answer = get(&https, &server.url()).await.ok().unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.body.as_slice(), br#"{"errors":[]}"#);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_a_problem_of_tls() {
    let server = Server::start(|_| (200, json!({})).into()).await;
    let other = Server::start(|_| (200, json!({})).into()).await;
    for authorities in [None, Some(other.authority.as_str())] {
        let https = Https::new(authorities).ok().unwrap();
        let problem = problem(get(&https, &server.url()).await);
        assert_eq!(problem.reason(), "StoreTlsFailed", "{problem}");
        assert!(problem.to_string().contains("certificate"), "{problem}");
    }
    assert!(server.lines().is_empty(), "nothing was sent to it");
    assert!(
        Https::new(Some(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        ))
        .is_err()
    );
}

#[tokio::test]
async fn a_server_without_tls_is_a_problem_of_tls_and_none_at_all_one_of_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let https = Https::new(None).ok().unwrap();
    let plain = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut tcp, answer)
            .await
            .unwrap();
        tcp
    };
    let (result, _tcp) = tokio::join!(get(&https, &address), plain);
    assert_eq!(problem(result).reason(), "StoreTlsFailed");

    drop(listener);
    let problem = problem(get(&https, &address).await);
    assert_eq!(problem.reason(), "StoreUnreachable", "{problem}");
    assert!(problem.to_string().contains("refused"), "{problem}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_long_answer_is_not_read() {
    let server = Server::start(|asked| match asked.line.as_str() {
        "GET /moved" => Said(307, String::new()),
        _ => Said(200, "x".repeat(MAX_ANSWER + 1)),
    })
    .await;
    let https = Https::new(Some(&server.authority)).ok().unwrap();
    let moved = problem(get(&https, &format!("{}/moved", server.url())).await);
    assert_eq!(moved, Problem::Redirect(307));
    let long = problem(get(&https, &format!("{}/long", server.url())).await);
    assert_eq!(long, Problem::TooLong(MAX_ANSWER));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let https = Https::new(None).ok().unwrap();
    let asked = get(&https, &address);
    let (result, _tcp) = tokio::join!(asked, async {
        let accepted = listener.accept().await;
        tokio::time::pause();
        accepted
    });
    assert_eq!(problem(result), Problem::TimedOut(REQUEST));
}
