//! What the operator's own accounts may write, even if roles gave them everything.

use anyhow::Result;
use postern_e2e::{
    Cluster, Namespace,
    house::{NAMESPACE, RELEASE},
};
use serde_json::{Value, json};

use super::Caller;
use crate::support::{Agents, Turn, ground};

const SECRETS: &str = "postern-secrets";
const TRY: [&str; 3] = ["create", "--dry-run=server", "--filename=-"];

fn secret(name: &str, kind: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind})
}

fn account(component: &str) -> String {
    format!("system:serviceaccount:{NAMESPACE}:{RELEASE}-{component}")
}

#[test]
fn admission_controller_writes_bundles_and_no_other_secret() -> Result<()> {
    let agents = Agents::create("controller")?;
    let controller = Caller::with_all_roles(&agents.namespace, &account("controller"))?;
    let bundle = "postern.dev/bundle";
    let mut token = secret("postern-x", "kubernetes.io/service-account-token");
    token["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "default"});
    for wrong in [
        secret("openai-copy", bundle),
        secret("postern-x", "Opaque"),
        secret("poster-n", bundle),
        token,
    ] {
        let words = controller.may_not(SECRETS, &TRY, &wrong.to_string())?;
        assert!(words.contains("of type postern.dev/bundle"), "{words}");
    }
    let change = |name: &'static str| ["annotate", "secret", name, "a=b", "--dry-run=server"];
    controller.may_not(SECRETS, &change("openai-key"), "")?;
    controller.may_not(
        SECRETS,
        &["delete", "secret", "openai-key", "--dry-run=server"],
        "",
    )?;

    controller.may(&TRY, &secret("postern-x", bundle).to_string())?;
    controller.may(&change("postern-support-bot"), "")?;
    controller.may(
        &[
            "delete",
            "secret",
            "postern-support-bot",
            "--dry-run=server",
        ],
        "",
    )?;
    // Others write what they write.
    let dev = Caller::named(&agents.namespace, "system:admin").in_group("system:masters");
    dev.may(&TRY, &secret("postern-x", "Opaque").to_string())?;
    dev.may(&change("openai-key"), "")?;
    Ok(())
}

const REPLACE: [&str; 5] = [
    "replace",
    "--dry-run=server",
    "--filename=-",
    "--namespace",
    NAMESPACE,
];

/// The Secret with the authority of `component`, as it is in the release's namespace.
fn authority(cluster: &Cluster, component: &str) -> Result<String> {
    let name = format!("{RELEASE}-{component}-ca");
    cluster.kubectl([
        "get",
        "secret",
        &name,
        "--namespace",
        NAMESPACE,
        "--output=json",
    ])
}

#[test]
fn admission_webhook_writes_its_own_authority_and_no_other_secret() -> Result<()> {
    let _turn = Turn::shared();
    let cluster = &ground()?.house.cluster;
    let namespace = Namespace::create(cluster, "webhook")?;
    let webhook = Caller::with_all_roles(&namespace, &account("webhook"))?;
    for wrong in ["postern-webhook-ca", "postern-x", "mine"] {
        webhook.may_not(SECRETS, &TRY, &secret(wrong, "Opaque").to_string())?;
        webhook.may_not(
            SECRETS,
            &TRY,
            &secret(wrong, "postern.dev/bundle").to_string(),
        )?;
    }
    webhook.may(&REPLACE, &authority(cluster, "webhook")?)?;
    Ok(())
}

#[test]
fn admission_controller_writes_its_own_authority_and_none_elsewhere() -> Result<()> {
    let _turn = Turn::shared();
    let cluster = &ground()?.house.cluster;
    let namespace = Namespace::create(cluster, "authority")?;
    let controller = Caller::with_all_roles(&namespace, &account("controller"))?;
    controller.may(&REPLACE, &authority(cluster, "controller")?)?;
    let elsewhere = secret("postern-controller-ca", "Opaque").to_string();
    controller.may_not(SECRETS, &TRY, &elsewhere)?;
    Ok(())
}
