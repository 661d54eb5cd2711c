//! What is asked of any store, and what is made of its answers: the shapes of several vendors among them.

use postern_crds::{source::Shape, yaml};
use serde_json::json;

use super::*;
use crate::stores::fixtures::{Home, Said, Server, assert_told};

/// A server that answers so, and the store of it that `spec` describes; `URL` in it is the server's address.
async fn store(spec: &str, status: u16, answer: Value) -> (Server, Http, Https) {
    let server = Server::start(move |_| Said::from((status, answer.clone()))).await;
    let spec: HttpStore = yaml::from_str(&spec.replace("URL", &server.url())).unwrap();
    let https = Https::new(Some(&server.authority)).ok().unwrap();
    let home = Home::default().secret("login", "token", "t-1\n");
    (server, Http::new(spec, home.own()), https)
}

fn place(text: &str) -> StoreRef {
    yaml::from_str(&format!("{{name: s, {text}}}")).unwrap()
}

async fn secret(http: &Http, https: &Https, place: &StoreRef) -> Result<(String, String), Problem> {
    let reading = http.read(https, place).await?;
    let secret = reading.secret(place, Shape::Text)?;
    let text = String::from_utf8(secret.expose().to_vec()).unwrap();
    Ok((text, reading.version.clone()))
}

#[tokio::test]
async fn the_answers_of_several_vendors_are_read_as_examples_say() {
    for (spec, at, answer, line, expected) in [
        (
            "{url: 'URL/v1/vaults/{path}', value: '/fields/label={key}/value', version: /version}",
            "path: prod/items/openai, key: api/key",
            json!({"version": 3, "fields": [{"label": "user", "value": "me"}, {"label": "api/key", "value": "sk-1"}]}),
            "GET /v1/vaults/prod/items/openai",
            ("sk-1", "3"),
        ),
        (
            "{url: 'URL/v3/configs/config/secrets/download?format=json&config={path}', value: '/{key}'}",
            "path: 'prd&x=1', key: OPENAI_KEY",
            json!({"OPENAI_KEY": "sk-2", "OTHER": "x"}),
            "GET /v3/configs/config/secrets/download?format=json&config=prd%26x%3D1",
            ("sk-2", ""),
        ),
        (
            "{url: 'URL/secrets/{path}/{version}?api-version=7.4', value: /value, version: /id}",
            "path: openai",
            json!({"value": "sk-3", "id": "https://v/secrets/openai/4387"}),
            "GET /secrets/openai/?api-version=7.4",
            ("sk-3", "https://v/secrets/openai/4387"),
        ),
        (
            "{url: 'URL/v1/projects/p/secrets/{path}/versions/latest:access', value: /payload/data, encoding: Base64, version: /name}",
            "path: openai",
            json!({"name": "projects/1/secrets/openai/versions/5", "payload": {"data": "c2stNA=="}}),
            "GET /v1/projects/p/secrets/openai/versions/latest:access",
            ("sk-4", "projects/1/secrets/openai/versions/5"),
        ),
        (
            // Without a key in the spec, a source picks a member.
            "{url: 'URL/kv/{path}', value: /data}",
            "path: openai, key: api_key",
            json!({"data": {"api_key": "sk-5"}}),
            "GET /kv/openai",
            ("sk-5", ""),
        ),
    ] {
        let (server, http, https) = store(spec, 200, answer).await;
        let (value, version) = secret(&http, &https, &place(at)).await.unwrap();
        assert_eq!(value, expected.0, "{spec}");
        if expected.1.is_empty() {
            assert!(version.parse::<Timestamp>().is_ok(), "{version}");
        } else {
            assert_eq!(version, expected.1, "{spec}");
        }
        assert_eq!(server.lines(), [line]);
    }
}

#[tokio::test]
async fn headers_carry_the_login_and_a_check_does_not() {
    let spec = "{url: 'URL/{path}', value: /v, headers: [{name: Authorization, secret: {name: login, key: token}, prefix: 'Bearer '}, {name: X-Version, value: '1'}]}";
    let (server, http, https) = store(spec, 200, json!({"v": "sk"})).await;
    assert_eq!(http.check(&https).await, Ok(()));
    assert!(secret(&http, &https, &place("path: a")).await.is_ok());
    let asked = server.asked();
    assert_eq!(asked[0].line, "GET /");
    assert!(!asked[0].headers.contains_key("authorization"));
    assert_eq!(asked[1].headers["authorization"], "Bearer t-1");
    assert_eq!(asked[1].headers["x-version"], "1");

    let spec = spec.replace("key: token", "key: nothing");
    let (server, http, https) = store(&spec, 200, json!({"v": "sk"})).await;
    let problem = secret(&http, &https, &place("path: a")).await.unwrap_err();
    assert_eq!(problem.reason(), "StoreLoginFailed");
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn each_refusal_has_its_word_and_quotes_nothing() {
    let spec = "{url: 'URL/{path}', value: '/data/{key}', version: /version}";
    for (status, answer, reason, definitive) in [
        (401, json!({}), "StoreLoginFailed", false),
        (
            403,
            json!({"message": "hunter2"}),
            "StoreLoginFailed",
            false,
        ),
        (404, json!({"message": "hunter2"}), "PathNotFound", true),
        (429, json!({}), "StoreThrottled", false),
        (500, json!("hunter2"), "StoreFailed", false),
        (200, json!("hunter2"), "StoreFailed", false),
        (
            200,
            json!({"version": 1, "data": {"x": "hunter2"}}),
            "KeyNotFound",
            true,
        ),
        (
            200,
            json!({"version": 1, "data": {"k": ["hunter2"]}}),
            "ValueMalformed",
            true,
        ),
        (
            200,
            json!({"version": ["hunter2"], "data": {"k": "sk"}}),
            "StoreFailed",
            false,
        ),
    ] {
        let shown = format!("{status} {answer}");
        let (_server, http, https) = store(spec, status, answer).await;
        let problem = secret(&http, &https, &place("path: a, key: k"))
            .await
            .unwrap_err();
        assert_told(&problem, (reason, definitive), &shown);
    }
}

#[tokio::test]
async fn what_a_source_says_and_the_store_does_not_ask_for_is_refused() {
    let (server, http, https) =
        store("{url: 'URL/{path}', value: /v}", 200, json!({"v": "sk"})).await;
    let versioned = secret(&http, &https, &place("path: a, version: '1'")).await;
    assert!(matches!(versioned, Err(Problem::Version(_))));
    assert!(server.lines().is_empty());
    // It would get the same whatever key it names.
    let keyed = secret(&http, &https, &place("path: a, key: k")).await;
    assert!(matches!(keyed, Err(Problem::KeyUnused(_))), "{keyed:?}");
    assert!(secret(&http, &https, &place("path: a")).await.is_ok());
}

#[tokio::test]
async fn a_value_that_is_not_base64_is_refused() {
    let spec = "{url: 'URL/{path}', value: /v, encoding: Base64}";
    let (_server, http, https) = store(spec, 200, json!({"v": "hunter2!"})).await;
    let problem = secret(&http, &https, &place("path: a")).await.unwrap_err();
    assert_eq!(problem.reason(), "ValueMalformed");
    assert!(!problem.to_string().contains("hunter2"));
}
