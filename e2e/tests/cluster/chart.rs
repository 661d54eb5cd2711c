//! Does a release come, change and go as its users expect, with agents running all the while?

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use postern_e2e::{
    Cluster, House, Namespace, PATIENCE,
    house::{self, NAMESPACE, RELEASE},
    run, until,
};
use serde_json::Value;

use crate::support::{Agents, Restored, Turn, admit, agent, ground, helm, random, resting, secret};

/// The one object of the release that belongs to no namespace and is ours together with Helm.
fn configuration(cluster: &Cluster) -> Result<Value> {
    let printed = cluster.kubectl([
        "get",
        "mutatingwebhookconfiguration",
        RELEASE,
        "--output=json",
        "--show-managed-fields",
    ])?;
    serde_json::from_str(&printed).context("reading the configuration")
}

/// Who manages the `caBundle`.
fn managers_of_the_bundle(configuration: &Value) -> Vec<&str> {
    let entries = configuration["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["fieldsV1"].to_string().contains("f:caBundle"))
        .filter_map(|entry| entry["manager"].as_str())
        .collect()
}

#[test]
fn chart_test_of_the_release_passes_and_leaves_nothing() -> Result<()> {
    let _turn = Turn::shared();
    let House { cluster, images } = &ground()?.house;
    let printed = helm(cluster, "test", &["--logs"])?;
    assert!(
        printed.contains(&format!("would get the sidecar {}", images.sidecar)),
        "{printed}"
    );
    assert!(
        printed.contains("without it would be left alone"),
        "{printed}"
    );
    let left = cluster.kubectl([
        "get",
        "pods,serviceaccounts,roles,rolebindings",
        "--all-namespaces",
        "--selector=app.kubernetes.io/component=check",
        "--output=name",
    ])?;
    assert_eq!(left, "");
    Ok(())
}

#[test]
fn chart_upgrade_and_rollback_leave_agents_running_and_the_ca_bundle_where_it_is() -> Result<()> {
    let agents = Agents::create_alone("upgrade")?;
    let house = &ground()?.house;
    let restored = Restored::later(house);
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;
    let before = configuration(&house.cluster)?;
    let bundle = &before["webhooks"][0]["clientConfig"]["caBundle"];
    assert!(
        bundle.as_str().is_some_and(|bundle| bundle.len() > 100),
        "{before}"
    );

    // Fields of the very entry that holds the caBundle, and of both Deployments.
    let change = [
        "--reuse-values",
        "--set=webhook.timeoutSeconds=7",
        "--set=logLevel=debug",
        "--wait",
        "--timeout=5m",
    ];
    let chart = house::root().join("charts/postern");
    let chart = chart.to_string_lossy();
    helm(
        &house.cluster,
        "upgrade",
        &[&[&*chart], &change[..]].concat(),
    )?;
    let after = configuration(&house.cluster)?;
    assert_eq!(after["webhooks"][0]["timeoutSeconds"], 7);
    assert_eq!(after["webhooks"][0]["clientConfig"]["caBundle"], *bundle);
    assert_eq!(managers_of_the_bundle(&after), ["postern-webhook"]);
    admit(&agents.namespace, &resting("during")?)?;

    // As Helm 3 does it.
    helm(
        &house.cluster,
        "upgrade",
        &[&[&*chart, "--server-side=false"], &change[..]].concat(),
    )?;
    assert_eq!(
        configuration(&house.cluster)?["webhooks"][0]["clientConfig"]["caBundle"],
        *bundle
    );

    helm(&house.cluster, "rollback", &["--wait", "--timeout=5m"])?;
    assert_eq!(
        configuration(&house.cluster)?["webhooks"][0]["clientConfig"]["caBundle"],
        *bundle
    );
    restored.now()?;
    let last = configuration(&house.cluster)?;
    assert_eq!(
        last["webhooks"][0]["timeoutSeconds"],
        before["webhooks"][0]["timeoutSeconds"]
    );
    assert_eq!(last["webhooks"][0]["clientConfig"]["caBundle"], *bundle);

    agent.ask()?.allowed()?;
    assert_eq!(agent.restarts("postern")?, 0);
    Ok(())
}

#[test]
fn chart_uninstall_leaves_agents_running_and_a_release_of_one_namespace_takes_over() -> Result<()> {
    let agents = Agents::create_alone("uninstall")?;
    let namespace = &agents.namespace;
    let house = &ground()?.house;
    let restored = Restored::later(house);
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;

    helm(&house.cluster, "uninstall", &["--wait", "--timeout=5m"])?;
    agent.ask()?.allowed()?;
    namespace.get("agentidentity", "support-bot")?;
    let selector = format!("--selector=app.kubernetes.io/instance={RELEASE}");
    let kinds = "deployments,pods,services,secrets,serviceaccounts,leases,poddisruptionbudgets,networkpolicies,roles,rolebindings,\
                 clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings";
    until("everything of the release to be gone", PATIENCE, || {
        let left = house.cluster.kubectl([
            "get",
            kinds,
            "--all-namespaces",
            &selector,
            "--output=name",
        ])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })?;
    let later = admit(namespace, &resting("later")?)?;
    assert_eq!(
        later.object["spec"]["initContainers"],
        Value::Null,
        "nobody is there to inject"
    );

    // A release with rights in this namespace only takes over what is there: the identity, its bundle, the running agent.
    let chart = house::root().join("charts/postern");
    let chart = chart.to_string_lossy();
    let mut arguments = vec![chart.into_owned(), "--wait".into(), "--timeout=5m".into()];
    arguments.push(format!(
        "--set=rbac.watchNamespaces={{{}}}",
        namespace.name()
    ));
    arguments.extend(house::values(&house.images)?);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    helm(&house.cluster, "install", &arguments)?;
    let watched = admit(namespace, &resting("watched")?)?;
    assert_eq!(
        watched.object["spec"]["initContainers"][0]["name"],
        "postern"
    );
    let second = format!("sk-live-{}", random()?);
    agents.apply(&[secret("openai-key", &second)])?;
    agents.refresh()?;
    agents.until_used(&second, &agent)?;
    let account = format!("--as=system:serviceaccount:{NAMESPACE}:{RELEASE}-controller");
    let may = |verb: &str, namespace: &str| {
        // It prints its answer, and says it by its exit code too.
        let out = house
            .cluster
            .kubectl_command()
            .args([
                "auth",
                "can-i",
                verb,
                "secrets",
                "--namespace",
                namespace,
                &account,
            ])
            .output()?;
        Ok::<_, anyhow::Error>(String::from_utf8(out.stdout)?.trim() == "yes")
    };
    assert!(may("get", namespace.name())?);
    assert!(!may("list", namespace.name())?);
    assert!(!may("get", "default")?);
    assert!(!may("get", NAMESPACE)?);

    restored.now()?;
    agent.ask()?.allowed()?;
    assert_eq!(agent.restarts("postern")?, 0);
    Ok(())
}

#[test]
fn chart_definitions_outlive_the_release() -> Result<()> {
    let ground = ground()?;
    let cluster = &ground.house.cluster;
    let namespace = Namespace::create(cluster, "definitions")?;
    // The chart with a definition that nobody else uses instead of ours.
    let work = tempfile::tempdir()?;
    let chart = work.path().join("postern");
    let from = house::root().join("charts/postern");
    run::output(Command::new("cp").arg("-r").arg(from).arg(&chart))?;
    let definitions = chart.join("files/crds");
    fs::remove_dir_all(&definitions)?;
    fs::create_dir(&definitions)?;
    let group = format!("{}.example", namespace.name());
    let definition = format!("keepsakes.{group}");
    fs::write(
        definitions.join("keepsakes.yaml"),
        serde_json::json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": definition},
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": {"kind": "Keepsake", "plural": "keepsakes"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
        })
        .to_string(),
    )?;
    let chart = chart.to_string_lossy();
    // Its webhook is called for no pod at all, since the one namespace that it watches is its own, which is excluded.
    let watched = format!("--set=rbac.watchNamespaces={{{}}}", namespace.name());
    let quiet = [
        "--namespace",
        namespace.name(),
        &*watched,
        "--set=controller.replicas=0,webhook.replicas=0",
    ];
    let keepsake = serde_json::json!({"apiVersion": format!("{group}/v1"), "kind": "Keepsake", "metadata": {"name": "one"}});

    let helm = |command: &[&str]| cluster.helm(command.iter().chain(&quiet));
    let uninstall = || {
        cluster.helm([
            "uninstall",
            namespace.name(),
            "--namespace",
            namespace.name(),
        ])
    };
    helm(&["install", namespace.name(), &chart])?;
    until("the definition to be served", PATIENCE, || {
        namespace.apply(&keepsake.to_string())
    })?;
    // Turned off, it stays; turned on again, it is the release's still.
    helm(&[
        "upgrade",
        namespace.name(),
        &chart,
        "--set=crds.install=false",
    ])?;
    helm(&["upgrade", namespace.name(), &chart])?;
    uninstall()?;
    namespace.get(&definition, "one")?;
    // And the next release takes it up.
    helm(&["install", namespace.name(), &chart])?;
    uninstall()?;
    // One that somebody else made is left to them.
    cluster.kubectl([
        "annotate",
        "crd",
        &definition,
        "meta.helm.sh/release-name-",
        "--overwrite",
    ])?;
    let printed = helm(&["install", namespace.name(), &chart])?;
    assert!(
        printed.contains(&format!("stay as they are: {definition}")),
        "{printed}"
    );
    uninstall()?;
    namespace.get(&definition, "one")?;
    cluster.kubectl(["delete", "crd", &definition])?;
    Ok(())
}

#[test]
fn chart_leaves_the_api_server_nothing_to_fill_in_to_what_it_admits_by() -> Result<()> {
    let cluster = &ground()?.house.cluster;
    let chart = house::root().join("charts/postern");
    let name = format!("postern-test-{}", random()?);
    let rendered = cluster.helm([
        "template",
        &name,
        &chart.to_string_lossy(),
        "--show-only=templates/webhook/mutatingwebhookconfiguration.yaml",
        "--show-only=templates/admission/*.yaml",
    ])?;
    let objects = |dry_run: &str| -> Result<Vec<Value>> {
        let mut command = cluster.kubectl_command();
        command.args(["create", "--filename=-", "--output=json", dry_run]);
        let printed = run::output_with(&rendered, &mut command)?;
        let objects = serde_json::Deserializer::from_str(&printed).into_iter();
        Ok(objects.collect::<Result<_, _>>()?)
    };
    let [sent, stored] = [objects("--dry-run=client")?, objects("--dry-run=server")?];
    // One configuration, six policies and their bindings.
    assert_eq!((sent.len(), stored.len()), (13, 13));
    for (sent, stored) in sent.iter().zip(&stored) {
        for part in ["webhooks", "spec"] {
            assert_eq!(sent[part], stored[part], "{}", sent["metadata"]["name"]);
        }
    }
    Ok(())
}
