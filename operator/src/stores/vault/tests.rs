//! What is asked of Vault, and what is made of its answers. `e2e` asks a real OpenBao the same.

use postern_crds::{source::Shape, yaml};
use serde_json::json;

use super::*;
use crate::stores::fixtures::{Asked, Home, Said, Server, assert_told};

const SECRET: &str = "sk-live-hunter2";

fn kv2() -> (u16, Value) {
    let metadata = json!({"version": 7, "created_time": "2026-11-25T08:00:00.1Z"});
    (
        200,
        json!({"lease_id": "", "data": {"data": {"api_key": SECRET, "other": 1}, "metadata": metadata}}),
    )
}

fn errors(status: u16, error: &str) -> (u16, Value) {
    (status, json!({"errors": [error]}))
}

/// A server, and the client of it that this `auth` and `engine` describe.
async fn vault(
    auth: &str,
    engine: &str,
    home: &Home,
    answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static,
) -> (Server, Vault, Https) {
    let server = Server::start(move |asked| Said::from(answer(asked))).await;
    let address = server.url();
    let store = yaml::from_str(&format!(
        "{{address: '{address}', namespace: team-a, auth: {auth}, engine: {engine}}}"
    ))
    .unwrap();
    let https = Https::new(Some(&server.authority)).ok().unwrap();
    (server, Vault::new(store, home.own()), https)
}

const TOKEN: &str = "{token: {secret: {name: vault, key: token}}}";
const KV2: &str = "{kv: {}}";

fn home() -> Home {
    Home::default().secret("vault", "token", "s.first\n")
}

fn place(text: &str) -> StoreRef {
    yaml::from_str(text).unwrap()
}

fn openai() -> StoreRef {
    place("{name: v, path: ai/openai, key: api_key}")
}

/// Whether the first answer of a reading is a problem, and which.
async fn problem_of(engine: &str, answer: (u16, Value)) -> Problem {
    let lookup = (200, json!({"data": {}}));
    let (_server, vault, https) = vault(TOKEN, engine, &home(), move |asked| {
        if asked.line.ends_with("lookup-self") {
            lookup.clone()
        } else {
            answer.clone()
        }
    })
    .await;
    let problem = vault.read(&https, &openai()).await.err().unwrap();
    assert!(!format!("{problem} {problem:?}").contains("hunter2"));
    problem
}

#[tokio::test]
async fn a_member_of_a_version_is_read_with_the_token_in_the_namespace() {
    let (server, vault, https) = vault(TOKEN, KV2, &home(), |_| kv2()).await;
    let reading = vault.read(&https, &openai()).await.ok().unwrap();
    let secret = reading.secret(&openai(), Shape::Text).unwrap();
    assert_eq!(secret.expose(), SECRET.as_bytes());
    assert_eq!(reading.version, "7@2026-11-25T08:00:00.1Z");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /v1/secret/data/ai/openai");
    assert_eq!(asked.headers["x-vault-token"], "s.first");
    assert_eq!(asked.headers["x-vault-namespace"], "team-a");
    assert_eq!(asked.headers["x-vault-request"], "true");

    let old = place("{name: v, path: ai/openai, key: api_key, version: '3'}");
    assert!(vault.read(&https, &old).await.is_ok());
    assert_eq!(server.lines()[1], "GET /v1/secret/data/ai/openai?version=3");
    let newest = place("{name: v, path: ai/openai, key: api_key, version: newest}");
    assert!(matches!(
        vault.read(&https, &newest).await,
        Err(Problem::Version(_))
    ));
    assert_eq!(server.lines().len(), 2, "nobody asked for it");
}

#[tokio::test]
async fn other_engines_are_read_at_their_own_paths() {
    let flat = || (200, json!({"lease_id": "", "data": {"api_key": SECRET}}));
    for (engine, line) in [
        (
            "{kv: {version: 1, mountPath: kv/ai}}",
            "GET /v1/kv/ai/ai/openai",
        ),
        ("{logical: {mountPath: custom}}", "GET /v1/custom/ai/openai"),
    ] {
        let (server, vault, https) = vault(TOKEN, engine, &home(), move |_| flat()).await;
        let reading = vault.read(&https, &openai()).await.ok().unwrap();
        assert!(reading.secret(&openai(), Shape::Text).is_ok());
        assert!(!reading.version.contains("hunter2"));
        assert_eq!(server.lines(), [line]);
        let version = place("{name: v, path: a, key: k, version: '1'}");
        assert!(matches!(
            vault.read(&https, &version).await,
            Err(Problem::Version(_))
        ));
    }
}

#[tokio::test]
async fn each_refusal_has_its_word_and_only_the_stores_own_are_definitive() {
    for (answer, reason, definitive) in [
        (errors(403, "permission denied"), "PermissionDenied", true),
        (errors(404, ""), "PathNotFound", true),
        (
            (404, json!({"data": {"data": null, "metadata": {}}})),
            "PathNotFound",
            true,
        ),
        // A gateway in front of it: who can tell what is behind?
        ((403, json!("forbidden hunter2")), "StoreFailed", false),
        ((404, json!({"message": "hunter2"})), "StoreFailed", false),
        (errors(429, "hunter2"), "StoreThrottled", false),
        (errors(503, "Vault is sealed"), "StoreSealed", false),
        (errors(503, "hunter2"), "StoreFailed", false),
        (errors(500, "hunter2"), "StoreFailed", false),
        ((200, json!("hunter2")), "StoreFailed", false),
        (
            (200, json!({"data": {"api_key": SECRET}})),
            "StoreFailed",
            false,
        ),
        ((307, json!({})), "StoreUnreachable", false),
    ] {
        let shown = format!("{answer:?}");
        let problem = problem_of(KV2, answer).await;
        assert_told(&problem, (reason, definitive), &shown);
    }
}

#[tokio::test]
async fn a_credential_that_is_made_for_a_reading_comes_with_its_lease() {
    let made = json!({"lease_id": "database/creds/r/1", "lease_duration": 60, "renewable": true, "data": {"api_key": SECRET}});
    let logical = "{logical: {mountPath: database}}";
    let (_server, vault, https) = vault(TOKEN, logical, &home(), {
        let made = made.clone();
        move |_| (200, made.clone())
    })
    .await;
    let reading = vault.read(&https, &openai()).await.ok().unwrap();
    let lease = reading.lease.unwrap();
    assert_eq!(
        (lease.id.as_str(), lease.seconds),
        ("database/creds/r/1", 60)
    );
    assert!(lease.renewable && lease.login_ends.is_none());
    // A KV engine makes none.
    assert_eq!(problem_of(KV2, (200, made)).await, Problem::Malformed);
}

#[tokio::test]
async fn a_lease_is_asked_for_by_name_and_one_that_is_gone_is_no_failure() {
    let logical = "{logical: {mountPath: database}}";
    let (server, vault, https) = vault(TOKEN, logical, &home(), |asked| {
        let is_known = asked.body["lease_id"] == "known";
        match asked.line.rsplit('/').next().unwrap() {
            "revoke" => (204, Value::Null),
            "lookup" if is_known => (200, json!({"data": {"id": "known"}})),
            "renew" if is_known => (
                200,
                json!({"lease_id": "known", "lease_duration": 60, "renewable": true}),
            ),
            "lookup" => errors(400, "invalid lease"),
            _ => errors(400, "lease not found"),
        }
    })
    .await;
    assert_eq!(vault.look_up(&https, "known").await, Ok(true));
    assert_eq!(vault.look_up(&https, "gone").await, Ok(false));
    let renewed = vault.renew(&https, "known").await.unwrap();
    assert_eq!(renewed.unwrap().seconds, 60);
    assert!(vault.renew(&https, "gone").await.unwrap().is_none());
    assert_eq!(vault.revoke(&https, "gone").await, Ok(()));
    assert_eq!(server.lines()[4], "POST /v1/sys/leases/revoke");
    for status in [403, 500] {
        let (_server, vault, https) =
            super::tests::vault(TOKEN, logical, &home(), move |_| errors(status, "no lease")).await;
        assert!(vault.look_up(&https, "known").await.is_err());
        assert!(vault.revoke(&https, "known").await.is_err());
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_read_again_before_anything_is_concluded() {
    let home = home();
    let (server, vault, https) =
        vault(
            TOKEN,
            KV2,
            &home,
            |asked| match asked.headers["x-vault-token"].to_str().unwrap() {
                "s.second" => kv2(),
                _ => errors(403, "permission denied"),
            },
        )
        .await;
    // Nobody can tell what is there with a token that is none.
    let problem = vault.read(&https, &openai()).await.err().unwrap();
    assert_eq!(
        problem.to_string(),
        "login: auth/token/lookup-self refused the token (403)"
    );
    assert!(!problem.is_definitive());
    assert_eq!(vault.check(&https).await.unwrap_err(), problem);
    let _ = home.secret("vault", "token", "s.second");
    assert!(vault.read(&https, &openai()).await.is_ok());
    assert!(server.lines().len() > 3);
}

fn logging_in(asked: &Asked) -> (u16, Value) {
    match asked.line.as_str() {
        line if line.starts_with("POST") => (
            200,
            json!({"auth": {"client_token": "s.made", "lease_duration": 600, "renewable": true}}),
        ),
        _ if asked.headers["x-vault-token"] == "s.made" => kv2(),
        _ => errors(403, "permission denied"),
    }
}

#[tokio::test]
async fn each_way_of_logging_in_sends_what_it_should_where_it_should() {
    let home = Home::default()
        .secret("vault", "secret-id", "sid\n")
        .secret("vault", "jwt", "eyJ.a.b");
    for (auth, line, body) in [
        (
            "{kubernetes: {role: postern, audience: corp}}",
            "POST /v1/auth/kubernetes/login",
            json!({"role": "postern", "jwt": "serviceaccounts/postern-controller for corp"}),
        ),
        (
            "{jwt: {role: postern, mountPath: jwt/one, secret: {name: vault, key: jwt}}}",
            "POST /v1/auth/jwt/one/login",
            json!({"role": "postern", "jwt": "eyJ.a.b"}),
        ),
        (
            "{appRole: {roleId: rid, secretId: {name: vault, key: secret-id}}}",
            "POST /v1/auth/approle/login",
            json!({"role_id": "rid", "secret_id": "sid"}),
        ),
    ] {
        let (server, vault, https) = vault(auth, KV2, &home, logging_in).await;
        let place = openai();
        let readings = [(); 5].map(|()| vault.read(&https, &place));
        for reading in futures::future::join_all(readings).await {
            assert!(reading.is_ok(), "{auth}");
        }
        let logins: Vec<Asked> = server
            .asked()
            .into_iter()
            .filter(|asked| asked.line.starts_with("POST"))
            .collect();
        assert_eq!(logins.len(), 1, "five readers log in once");
        assert_eq!((logins[0].line.as_str(), &logins[0].body), (line, &body));
        assert_eq!(logins[0].headers["x-vault-namespace"], "team-a");
    }
}

#[tokio::test]
async fn a_service_accounts_token_is_for_this_store_unless_it_says_otherwise() {
    let auth = "{jwt: {role: postern}}";
    let (server, vault, https) = vault(auth, KV2, &Home::default(), logging_in).await;
    assert!(vault.read(&https, &openai()).await.is_ok());
    let expected = format!("serviceaccounts/postern-controller for {}", server.url());
    assert_eq!(server.asked()[0].body["jwt"], expected);
}

#[tokio::test]
async fn a_login_that_fails_says_what_is_missing_or_who_was_refused() {
    let auth = "{appRole: {roleId: rid, secretId: {name: vault, key: secret-id}}}";
    let (_server, nobody, https) = vault(auth, KV2, &Home::default(), logging_in).await;
    let missing = nobody.read(&https, &openai()).await.err().unwrap();
    assert_eq!(
        missing.to_string(),
        "login: Secret vault of the operator's namespace postern-system: it does not exist"
    );
    let home = Home::default().secret("vault", "secret-id", "sid");
    for (answer, words) in [
        (
            errors(400, "invalid role or secret ID"),
            "login: auth/approle/login refused the role's id with its secret id (400)",
        ),
        (
            errors(404, "no handler for route"),
            "login: nothing is mounted at auth/approle/login",
        ),
        (errors(503, "Vault is sealed"), "it is sealed"),
    ] {
        let (_server, vault, https) = vault(auth, KV2, &home, move |_| answer.clone()).await;
        let problem = vault.read(&https, &openai()).await.err().unwrap();
        assert_eq!(problem.to_string(), words);
        assert!(!problem.is_definitive());
    }
}

#[tokio::test]
async fn a_check_reads_no_secret_and_tells_the_engine_apart() {
    let mount = |answer: (u16, Value)| {
        move |asked: &Asked| {
            if asked.line.contains("/mounts/") {
                answer.clone()
            } else {
                (200, json!({"data": {}}))
            }
        }
    };
    let kv = |version: &str| {
        (
            200,
            json!({"data": {"type": "kv", "options": {"version": version}}}),
        )
    };
    for (answer, expected) in [
        (kv("2"), Ok(())),
        (
            kv("1"),
            Err("path: at secret is version 1 of the KV engine, the store says 2"),
        ),
        (
            errors(403, "permission denied"),
            Err("permission: the operator's login may read nothing below secret, if that exists"),
        ),
    ] {
        let (server, vault, https) = vault(TOKEN, KV2, &home(), mount(answer)).await;
        let result = vault
            .check(&https)
            .await
            .map_err(|problem| problem.to_string());
        assert_eq!(result, expected.map_err(str::to_owned));
        assert_eq!(
            server.lines(),
            [
                "GET /v1/auth/token/lookup-self",
                "GET /v1/sys/internal/ui/mounts/secret"
            ]
        );
    }
}

#[test]
fn a_token_is_replaced_after_two_thirds_of_its_time() {
    assert_eq!(renewal(0), None, "it has no end");
    assert_eq!(renewal(u64::MAX), None, "no clock goes so far");
    let renew = renewal(600).unwrap();
    let left = renew.duration_since(Instant::now()).as_secs();
    assert!((398..=400).contains(&left), "{left}");
}
