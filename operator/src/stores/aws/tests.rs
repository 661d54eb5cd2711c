//! What is asked of AWS, and what is made of answers that moto does not give. `e2e` asks moto the rest.

use postern_crds::{source::Shape, yaml};
use serde_json::{Value, json};

use super::*;
use crate::stores::fixtures::{Home, Said, Server, assert_told};

const SECRET: &str = "sk-live-hunter2";

fn home() -> Home {
    Home::default()
        .secret("aws", "id", "AKIDFIRST\n")
        .secret("keys", "secret", "first")
}

/// A server, and the client of it with a user's keys.
async fn aws(
    home: &Home,
    answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static,
) -> (Server, Aws, Https) {
    let server = Server::start(move |asked| {
        let header = |name: &str| {
            let value = asked
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (status, body) = answer(&header("x-amz-target"), &header("authorization"));
        Said(status, body)
    })
    .await;
    let address = server.url();
    let store = yaml::from_str(&format!(
        "{{region: eu-west-1, endpoint: '{address}', stsEndpoint: '{address}',
           auth: {{keys: {{accessKeyId: {{name: aws, key: id}}, secretAccessKey: {{name: keys, key: secret}}}}}}}}"
    ))
    .unwrap();
    let https = Https::new(Some(&server.authority)).ok().unwrap();
    (server, Aws::new(store, home.own()), https)
}

fn place() -> StoreRef {
    yaml::from_str("{name: a, path: ai/openai, key: api_key}").unwrap()
}

fn value() -> (u16, String) {
    let text = json!({ "api_key": SECRET }).to_string();
    let answer = json!({ "VersionId": "0001-a", "SecretString": text });
    (200, answer.to_string())
}

fn refusal(status: u16, code: &str, message: &str) -> (u16, String) {
    let body: Value = json!({ "__type": code, "message": message });
    (status, body.to_string())
}

#[tokio::test]
async fn a_member_is_read_with_the_keys_in_the_region() {
    let home = home();
    let (server, aws, https) = aws(&home, |_, _| value()).await;
    let reading = aws.read(&https, &place()).await.ok().unwrap();
    let secret = reading.secret(&place(), Shape::Text).unwrap();
    assert_eq!(secret.expose(), SECRET.as_bytes());
    assert_eq!(reading.version, "0001-a");
    let asked = &server.asked()[0];
    assert_eq!(
        asked.headers["x-amz-target"],
        "secretsmanager.GetSecretValue"
    );
    assert_eq!(asked.body, json!({ "SecretId": "ai/openai" }));
    let signed = asked.headers["authorization"].to_str().unwrap();
    assert!(
        signed.contains("Credential=AKIDFIRST/") && signed.contains("/eu-west-1/secretsmanager/")
    );

    for (version, member) in [
        ("AWSPENDING", "VersionStage"),
        ("01234567-0123-0123-0123-0123456789ab", "VersionId"),
    ] {
        let mut place = place();
        place.version = Some(version.to_owned());
        assert!(aws.read(&https, &place).await.is_ok());
        assert_eq!(server.asked().last().unwrap().body[member], version);
    }
}

#[tokio::test]
async fn each_refusal_has_its_word_and_only_what_aws_says_of_the_secret_is_definitive() {
    let gone = "You can't perform this operation on the secret because it was marked for deletion.";
    let region = "Credential should be scoped to a valid region.";
    for (answer, reason, definitive) in [
        (
            refusal(400, "ResourceNotFoundException", ""),
            "PathNotFound",
            true,
        ),
        (
            refusal(400, "InvalidRequestException", gone),
            "PathNotFound",
            true,
        ),
        (
            refusal(400, "InvalidRequestException", "hunter2"),
            "StoreFailed",
            false,
        ),
        (
            refusal(400, "InvalidParameterException", "hunter2"),
            "PathNotFound",
            true,
        ),
        (
            refusal(400, "DecryptionFailure", "hunter2"),
            "PermissionDenied",
            true,
        ),
        (
            refusal(400, "AccessDeniedException", "hunter2"),
            "PermissionDenied",
            true,
        ),
        (
            refusal(400, "ExpiredTokenException", "hunter2"),
            "StoreLoginFailed",
            false,
        ),
        (
            refusal(400, "UnrecognizedClientException", ""),
            "StoreLoginFailed",
            false,
        ),
        (
            refusal(400, "InvalidSignatureException", region),
            "StoreUnreachable",
            false,
        ),
        (
            refusal(400, "ThrottlingException", "hunter2"),
            "StoreThrottled",
            false,
        ),
        (refusal(429, "hunter2", "hunter2"), "StoreThrottled", false),
        (
            refusal(500, "InternalServiceError", "hunter2"),
            "StoreFailed",
            false,
        ),
        (refusal(400, "hunter2", "hunter2"), "StoreFailed", false),
        // A gateway in front of it: who can tell what is behind?
        ((403, "forbidden hunter2".to_owned()), "StoreFailed", false),
        ((404, "hunter2".to_owned()), "StoreFailed", false),
        ((200, "hunter2".to_owned()), "StoreFailed", false),
        (
            (200, json!({ "SecretString": SECRET }).to_string()),
            "StoreFailed",
            false,
        ),
        ((307, String::new()), "StoreUnreachable", false),
    ] {
        let shown = format!("{answer:?}");
        let home = home();
        let (_server, aws, https) = aws(&home, move |_, _| answer.clone()).await;
        let problem = aws.read(&https, &place()).await.err().unwrap();
        assert_told(&problem, (reason, definitive), &shown);
    }
}

#[tokio::test]
async fn keys_that_are_refused_are_read_again_before_anything_is_concluded() {
    let home = home();
    let (server, aws, https) = aws(&home, |_, signed| match signed.contains("AKIDSECOND") {
        true => value(),
        false => refusal(400, "AccessDeniedException", ""),
    })
    .await;
    let places = [place(), place(), place()];
    let readings = places.iter().map(|place| aws.read(&https, place));
    let readings = futures::future::join_all(readings).await;
    assert!(
        readings
            .iter()
            .all(|reading| matches!(reading, Err(Problem::Permission(_))))
    );
    assert_eq!(server.lines().len(), 6);
    let _ = home.secret("aws", "id", "AKIDSECOND");
    assert!(aws.read(&https, &place()).await.is_ok());
    // Nobody reads the keys again while they are good.
    assert!(aws.read(&https, &place()).await.is_ok());
    assert_eq!(server.lines().len(), 9);
}

#[tokio::test]
async fn a_check_reads_no_secret() {
    let home = home();
    let (server, aws, https) = aws(&home, |target, _| {
        assert!(target.is_empty(), "nothing is asked of Secrets Manager");
        let answer =
            "<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>";
        (200, answer.to_owned())
    })
    .await;
    assert_eq!(aws.check(&https).await, Ok(()));
    assert_eq!(server.lines(), ["POST /", "GET /"]);
}

#[tokio::test]
async fn where_the_operator_logs_in_may_be_down_while_the_store_is_not() {
    let home = home();
    let throttled = "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>";
    let expired = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>hunter2</Message></Error></ErrorResponse>";
    for (answer, words) in [
        (
            (503, String::new()),
            "login: sts:GetCallerIdentity: it answered 503",
        ),
        (
            (400, throttled.to_owned()),
            "it asks for patience: too many requests",
        ),
        (
            (403, expired.to_owned()),
            "login: sts:GetCallerIdentity refused the credentials (ExpiredToken)",
        ),
    ] {
        let (_server, aws, https) = aws(&home, move |_, _| answer.clone()).await;
        let problem = aws.check(&https).await.unwrap_err();
        assert_eq!(problem.to_string(), words);
        assert!(!problem.is_definitive());
    }
    let (_server, mut aws, https) = aws(&home, |_, _| value()).await;
    aws.store.sts_endpoint = Some("https://127.0.0.1:1".to_owned());
    let problem = aws.check(&https).await.unwrap_err();
    assert_eq!(problem.reason(), "StoreUnreachable");
    assert!(
        problem
            .to_string()
            .starts_with("login: sts:GetCallerIdentity: address: "),
        "{problem}"
    );
    assert!(aws.read(&https, &place()).await.is_ok());
}

#[test]
fn credentials_are_replaced_after_two_thirds_of_their_time() {
    let now = std::time::SystemTime::now();
    let hour = Duration::from_secs(3600);
    assert_eq!(login::lifetime(Some(now + hour), now), hour * 2 / 3);
    assert_eq!(login::lifetime(Some(now - hour), now), Duration::ZERO);
    assert_eq!(login::lifetime(None, now), KEYS);
}
