//! Do credentials follow AWS Secrets Manager, by every way in? moto stands for AWS, and checks signatures, permissions and trust as AWS does.

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    cluster::{bundled_secret, ready, until},
    moto::Moto,
    setting::Setting,
};

const READ: &str = "secretsmanager:GetSecretValue";

/// What a store says of AWS, as the user whose keys are in Secret `name`.
fn spec(moto: &Moto, name: &str) -> Value {
    json!({
        "region": "eu-west-1",
        "endpoint": moto.address(),
        "stsEndpoint": moto.address(),
        "auth": { "keys": {
            "accessKeyId": { "name": name, "key": "id" },
            "secretAccessKey": { "name": name, "key": "secret" },
        } },
    })
}

/// A store that reads as a new user who may do `actions`.
fn store(setting: &Setting, moto: &Moto, name: &str, actions: &[&str]) -> Result<Value> {
    let (id, secret) = moto.user(name, actions)?;
    keys(setting, name, &id, &secret);
    let spec = spec(moto, name);
    setting.any_store(name, "awsSecretsManager", &spec);
    Ok(spec)
}

fn keys(setting: &Setting, name: &str, id: &str, secret: &str) {
    let data =
        json!({ "id": BASE64_STANDARD.encode(id), "secret": BASE64_STANDARD.encode(secret) });
    let object = json!({ "metadata": { "name": name }, "data": data });
    setting.server.put("secrets", object);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_follows_its_secret_at_aws_by_name_arn_and_stage() -> Result<()> {
    let moto = Moto::start()?;
    let setting = Setting::new(&moto.authority);
    let server = &setting.server;
    let arn = moto.create("ai/openai", r#"{"api_key": "sk-live-1", "other": "x"}"#)?;
    store(&setting, &moto, "aws", &[READ])?;
    setting.identity(&json!({ "name": "aws", "path": "ai/openai", "key": "api_key" }));
    let controller = setting.controller();
    until("it is ready", || ready(server) == "True/Ready").await;
    assert_eq!(bundled_secret(server).as_deref(), Some("sk-live-1"));
    until("the store is", || {
        setting.store_ready("aws") == "True/Ready"
    })
    .await;
    let version = |n: usize| {
        let status = &server.object("agentidentities", "support-bot")["status"];
        let version = status["credentials"][n]["version"].as_str();
        version.unwrap_or_default().to_owned()
    };
    let first = version(0);
    assert!(first.starts_with("store/aws/"), "{first}");

    moto.put("ai/openai", r#"{"api_key": "sk-live-2"}"#)?;
    setting.refresh("rotated");
    until("the new value is there", || {
        bundled_secret(server).as_deref() == Some("sk-live-2")
    })
    .await;
    until("its version is told", || version(0) != first).await;
    let pending = json!({
        "SecretId": "ai/openai", "SecretString": r#"{"api_key": "sk-live-3"}"#, "VersionStages": ["AWSPENDING"],
    });
    let pending = moto.call("secretsmanager", "put_secret_value", &pending)?;
    for (version, value) in [
        (json!("AWSPENDING"), "sk-live-3"),
        (json!("AWSCURRENT"), "sk-live-2"),
        (json!("AWSPREVIOUS"), "sk-live-1"),
        (pending["VersionId"].clone(), "sk-live-3"),
        (Value::Null, "sk-live-2"),
    ] {
        setting
            .identity(&json!({ "name": "aws", "path": arn, "key": "api_key", "version": version }));
        until("that version is there", || {
            bundled_secret(server).as_deref() == Some(value)
        })
        .await;
    }
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_holds_is_taken_as_it_is_and_each_mistake_has_its_word() -> Result<()> {
    let moto = Moto::start()?;
    let setting = Setting::new(&moto.authority);
    let server = &setting.server;
    moto.create("ai/json", r#"{"api_key": "sk-live-1", "other": "x"}"#)?;
    moto.create("ai/plain", "sk-live-2\n")?;
    moto.create("ai/long", &"k".repeat(64 * 1024))?;
    moto.create("ai/deleted", "sk-live-3")?;
    let delete = json!({ "SecretId": "ai/deleted", "RecoveryWindowInDays": 7 });
    moto.call("secretsmanager", "delete_secret", &delete)?;
    for (name, bytes) in [
        ("ai/text", b"sk-live-4".as_slice()),
        ("ai/binary", &[0, 159, 146, 150]),
    ] {
        let with = json!({ "Name": name, "SecretBinary": BASE64_STANDARD.encode(bytes) });
        moto.call("secretsmanager", "create_secret", &with)?;
    }
    store(&setting, &moto, "aws", &[READ])?;
    setting.identity(&json!({ "name": "aws", "path": "ai/plain" }));
    let controller = setting.controller();
    for (place, expected, words) in [
        (json!({ "path": "ai/plain" }), "True/Ready", "sk-live-2"),
        (json!({ "path": "ai/text" }), "True/Ready", "sk-live-4"),
        (
            json!({ "path": "ai/json", "key": "key" }),
            "False/KeyNotFound",
            "it has api_key, other",
        ),
        (
            json!({ "path": "ai/json" }),
            "False/KeyNotFound",
            "name the member of what is at ai/json",
        ),
        (
            json!({ "path": "ai/plain", "key": "key" }),
            "False/KeyNotFound",
            "leave the key out",
        ),
        (
            json!({ "path": "ai/binary" }),
            "False/ValueMalformed",
            "is not a text",
        ),
        (
            json!({ "path": "ai/long" }),
            "False/ValueMalformed",
            "is longer than 16 KiB",
        ),
        (
            json!({ "path": "ai/none" }),
            "False/PathNotFound",
            "there is nothing at ai/none",
        ),
        (
            json!({ "path": "ai/plain", "version": "AWSPENDING" }),
            "False/PathNotFound",
            "there is nothing at ai/plain in version AWSPENDING",
        ),
        (
            json!({ "path": "ai/deleted" }),
            "False/PathNotFound",
            "is marked for deletion",
        ),
        (
            json!({ "path": "arn:aws:secretsmanager:us-east-1:123456789012:secret:a" }),
            "False/PathNotFound",
            "the ARN is of region us-east-1, the store of eu-west-1",
        ),
    ] {
        let mut place = place;
        place["name"] = json!("aws");
        setting.identity(&place);
        until(words, || match expected {
            "True/Ready" => bundled_secret(server).as_deref() == Some(words),
            _ => ready(server) == expected && setting.message().contains(words),
        })
        .await;
        assert!(
            expected == "True/Ready" || bundled_secret(server).is_none(),
            "{words}"
        );
    }
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_to_aws_opens_it_and_who_is_refused_is_told_why() -> Result<()> {
    let moto = Moto::start()?;
    let setting = Setting::new(&moto.authority);
    let server = &setting.server;
    moto.create("ai/openai", "sk-live-1")?;
    let plain = store(&setting, &moto, "keys", &[READ])?;
    let by_role = store(&setting, &moto, "assuming", &["sts:AssumeRole"])?;
    let trust = json!({
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": "arn:aws:iam::123456789012:user/assuming" },
        "Condition": { "StringEquals": { "sts:ExternalId": "corp-1" } },
    });
    let role = moto.role("reader", &trust, &[READ])?;
    let assume = |spec: &Value, id: &str| {
        let mut spec = spec.clone();
        spec["assumeRole"] = json!({ "roleArn": role, "externalId": id });
        spec
    };
    setting.any_store("role", "awsSecretsManager", &assume(&by_role, "corp-1"));
    setting.any_store("other-id", "awsSecretsManager", &assume(&by_role, "corp-2"));
    setting.any_store("stranger", "awsSecretsManager", &assume(&plain, "corp-1"));
    let trust = json!({
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": { "Federated": "arn:aws:iam::123456789012:oidc-provider/cluster" },
    });
    let web = moto.role("web", &trust, &[READ])?;
    let by_token = |audience: &str| {
        let mut spec = plain.clone();
        spec["auth"] = json!({ "webIdentity": { "roleArn": web, "audience": audience } });
        spec
    };
    setting.any_store("web", "awsSecretsManager", &by_token("sts.amazonaws.com"));
    setting.any_store(
        "other-audience",
        "awsSecretsManager",
        &by_token("sts.elsewhere"),
    );
    let mut nobody = plain.clone();
    nobody["auth"] = Value::Null;
    setting.any_store("nobody", "awsSecretsManager", &nobody);
    let missing = spec(&moto, "missing");
    setting.any_store("missing", "awsSecretsManager", &missing);
    keys(&setting, "wrong", "AKIAIOSFODNN7EXAMPLE", "wrong");
    setting.any_store("wrong", "awsSecretsManager", &spec(&moto, "wrong"));

    setting.identity(&json!({ "name": "keys", "path": "ai/openai" }));
    let controller = setting.controller();
    for (store, expected, words) in [
        ("keys", "True/Ready", "lets the operator in"),
        ("role", "True/Ready", "lets the operator in"),
        ("web", "True/Ready", "lets the operator in"),
        (
            "other-id",
            "False/StoreLoginFailed",
            "sts:AssumeRole refused arn:aws:iam::123456789012:role/reader (AccessDenied)",
        ),
        (
            "stranger",
            "False/StoreLoginFailed",
            "sts:AssumeRole refused",
        ),
        (
            "other-audience",
            "False/StoreLoginFailed",
            "sts:AssumeRoleWithWebIdentity refused arn:aws:iam::123456789012:role/web (InvalidIdentityToken)",
        ),
        (
            "nobody",
            "False/StoreLoginFailed",
            "the operator's pod has no credentials of AWS",
        ),
        (
            "missing",
            "False/StoreLoginFailed",
            "Secret missing of the operator's namespace agents: it does not exist",
        ),
        (
            "wrong",
            "False/StoreLoginFailed",
            "sts:GetCallerIdentity refused the credentials (InvalidClientTokenId)",
        ),
    ] {
        until(store, || setting.store_ready(store) == expected).await;
        let message = setting.store_message(store);
        assert!(message.contains(words), "{store}: {message}");
    }
    for store in ["role", "web", "keys"] {
        setting.identity(&json!({ "name": "missing", "path": "ai/openai" }));
        until("nothing is there", || bundled_secret(server).is_none()).await;
        setting.identity(&json!({ "name": store, "path": "ai/openai" }));
        until(store, || {
            bundled_secret(server).as_deref() == Some("sk-live-1")
        })
        .await;
    }

    // Keys that are replaced in their Secret are taken when AWS refuses the old ones, without a word.
    let with = json!({ "UserName": "keys" });
    let made = moto.call("iam", "create_access_key", &with)?["AccessKey"].clone();
    let old = moto.call("iam", "list_access_keys", &with)?["AccessKeyMetadata"].clone();
    let old = old
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["AccessKeyId"] != made["AccessKeyId"]);
    let old = json!({ "UserName": "keys", "AccessKeyId": old.unwrap()["AccessKeyId"] });
    keys(
        &setting,
        "keys",
        made["AccessKeyId"].as_str().unwrap(),
        made["SecretAccessKey"].as_str().unwrap(),
    );
    moto.call("iam", "delete_access_key", &old)?;
    moto.put("ai/openai", "sk-live-2")?;
    setting.refresh("new keys");
    until("the new value is there", || {
        bundled_secret(server).as_deref() == Some("sk-live-2")
    })
    .await;
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_withdraws_is_out_and_while_it_cannot_be_asked_the_last_value_stays() -> Result<()>
{
    let moto = Moto::start()?;
    let setting = Setting::new(&moto.authority);
    let server = &setting.server;
    moto.create("ai/openai", "sk-live-1")?;
    store(&setting, &moto, "aws", &[READ])?;
    setting.identity(&json!({ "name": "aws", "path": "ai/openai" }));
    let controller = setting.controller();
    until("it is ready", || ready(server) == "True/Ready").await;

    // The authority is replaced, and put back.
    let other = Moto::start()?;
    setting.trust(&other.authority);
    setting.look_at("aws");
    until("the store says so", || {
        setting.store_ready("aws") == "False/StoreTlsFailed"
    })
    .await;
    assert_eq!(bundled_secret(server).as_deref(), Some("sk-live-1"));
    setting.trust(&moto.authority);
    setting.look_at("aws");
    until("it is ready again", || {
        setting.store_ready("aws") == "True/Ready"
    })
    .await;

    let delete = json!({ "SecretId": "ai/openai", "ForceDeleteWithoutRecovery": true });
    moto.call("secretsmanager", "delete_secret", &delete)?;
    setting.refresh("deleted");
    until("it says so", || ready(server) == "False/PathNotFound").await;
    assert_eq!(bundled_secret(server), None);
    moto.create("ai/openai", "sk-live-2")?;
    setting.refresh("made anew");
    until("it is back", || {
        bundled_secret(server).as_deref() == Some("sk-live-2")
    })
    .await;
    drop(moto);
    setting.refresh("gone");
    until("it says so", || ready(server) == "False/StoreUnreachable").await;
    assert_eq!(bundled_secret(server).as_deref(), Some("sk-live-2"));
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}
