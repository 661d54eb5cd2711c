//! Do the operator's accounts have the rights that they need, and none beside them?

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use postern_crds::yaml;
use postern_e2e::{
    Cluster, Namespace,
    house::{self, NAMESPACE, RELEASE},
};
use serde_json::Value;

use crate::support::{Turn, ground};

/// Where a right is asked for.
#[derive(Clone, Copy, Debug)]
enum Where {
    /// A namespace of agents.
    Agents,
    /// The release's namespace.
    Release,
    /// What belongs to no namespace.
    Cluster,
}

use Where::{Agents, Cluster as Everywhere, Release};

/// What the controller must be able to do, and the nearest things that it must not.
const CONTROLLER: &[(&str, Where, bool)] = &[
    ("list agentidentities.postern.dev", Agents, true),
    ("watch egresspolicies.postern.dev", Agents, true),
    ("patch agentidentities.postern.dev/status", Agents, true),
    ("patch egresspolicies.postern.dev/status", Agents, true),
    ("patch agentidentities.postern.dev", Agents, false),
    ("create egresspolicies.postern.dev", Agents, false),
    ("delete agentidentities.postern.dev", Agents, false),
    ("get secrets", Agents, true),
    ("create secrets", Agents, true),
    ("patch secrets", Agents, true),
    ("list secrets", Agents, false),
    ("watch secrets", Agents, false),
    ("update secrets", Agents, false),
    ("delete secrets", Agents, false),
    ("deletecollection secrets", Agents, false),
    ("get configmaps", Agents, true),
    ("list configmaps", Agents, false),
    ("create configmaps", Agents, false),
    ("patch configmaps", Agents, false),
    ("list pods", Agents, true),
    ("watch pods", Agents, true),
    ("get pods", Agents, false),
    ("create pods", Agents, false),
    ("patch pods", Agents, false),
    ("delete pods", Agents, false),
    ("create pods/exec", Agents, false),
    ("create pods/portforward", Agents, false),
    ("get pods/log", Agents, false),
    ("update pods/ephemeralcontainers", Agents, false),
    ("create serviceaccounts/token", Agents, false),
    ("create events.events.k8s.io", Agents, true),
    ("patch events.events.k8s.io", Agents, true),
    ("list events.events.k8s.io", Agents, false),
    ("patch deployments.apps", Agents, false),
    (
        "create rolebindings.rbac.authorization.k8s.io",
        Agents,
        false,
    ),
    (
        "update leases.coordination.k8s.io/postern-controller",
        Release,
        true,
    ),
    ("update leases.coordination.k8s.io/another", Release, false),
    (
        "delete leases.coordination.k8s.io/postern-controller",
        Release,
        false,
    ),
    (
        "update leases.coordination.k8s.io/postern-controller",
        Agents,
        false,
    ),
    ("list secrets", Release, false),
    ("update secrets/postern-webhook-ca", Release, false),
    (
        "get mutatingwebhookconfigurations.admissionregistration.k8s.io/postern",
        Everywhere,
        false,
    ),
    (
        "patch validatingadmissionpolicies.admissionregistration.k8s.io/postern-secrets",
        Everywhere,
        false,
    ),
    ("list credentialstores.postern.dev", Everywhere, true),
    (
        "patch credentialstores.postern.dev/status",
        Everywhere,
        true,
    ),
    ("patch credentialstores.postern.dev", Everywhere, false),
    ("get namespaces", Everywhere, true),
    ("list namespaces", Everywhere, false),
    ("patch namespaces", Everywhere, false),
    (
        "create serviceaccounts/postern-controller/token",
        Release,
        true,
    ),
    (
        "create serviceaccounts/postern-webhook/token",
        Release,
        false,
    ),
    (
        "create serviceaccounts/postern-controller/token",
        Agents,
        false,
    ),
    ("get nodes", Everywhere, false),
    (
        "create tokenreviews.authentication.k8s.io",
        Everywhere,
        true,
    ),
    (
        "create subjectaccessreviews.authorization.k8s.io",
        Everywhere,
        false,
    ),
    ("update secrets/postern-controller-ca", Release, true),
    ("delete secrets/postern-controller-ca", Release, false),
    ("impersonate users", Everywhere, false),
];

/// What the webhook must be able to do, and the nearest things that it must not.
const WEBHOOK: &[(&str, Where, bool)] = &[
    ("list agentidentities.postern.dev", Agents, true),
    ("watch egresspolicies.postern.dev", Agents, true),
    ("patch agentidentities.postern.dev", Agents, false),
    ("patch agentidentities.postern.dev/status", Agents, false),
    ("get secrets", Agents, false),
    ("get secrets/postern-support-bot", Agents, false),
    ("list secrets", Agents, false),
    ("create secrets", Agents, false),
    ("list pods", Agents, false),
    ("create pods", Agents, false),
    ("patch pods", Agents, false),
    ("create pods/exec", Agents, false),
    ("get configmaps", Agents, false),
    ("create events.events.k8s.io", Agents, false),
    ("get secrets/postern-webhook-ca", Release, true),
    ("update secrets/postern-webhook-ca", Release, true),
    ("delete secrets/postern-webhook-ca", Release, false),
    ("create secrets", Release, false),
    ("get secrets/another", Release, false),
    ("list secrets", Release, false),
    (
        "update leases.coordination.k8s.io/postern-controller",
        Release,
        false,
    ),
    (
        "get mutatingwebhookconfigurations.admissionregistration.k8s.io/postern",
        Everywhere,
        true,
    ),
    (
        "patch mutatingwebhookconfigurations.admissionregistration.k8s.io/postern",
        Everywhere,
        true,
    ),
    (
        "patch mutatingwebhookconfigurations.admissionregistration.k8s.io/another",
        Everywhere,
        false,
    ),
    (
        "delete mutatingwebhookconfigurations.admissionregistration.k8s.io/postern",
        Everywhere,
        false,
    ),
    (
        "list mutatingwebhookconfigurations.admissionregistration.k8s.io",
        Everywhere,
        false,
    ),
    (
        "patch validatingwebhookconfigurations.admissionregistration.k8s.io/postern",
        Everywhere,
        false,
    ),
    (
        "create tokenreviews.authentication.k8s.io",
        Everywhere,
        false,
    ),
];

/// What the test of the release may, while it runs, in the namespace that it asks about.
const CHECK: &[(&str, Where, bool)] = &[
    ("create pods", Agents, true),
    ("get pods", Agents, false),
    ("delete pods", Agents, false),
    ("create pods/exec", Agents, false),
    ("create pods", Release, false),
    ("list agentidentities.postern.dev", Agents, true),
    ("list egresspolicies.postern.dev", Agents, true),
    ("watch agentidentities.postern.dev", Agents, false),
    ("create egresspolicies.postern.dev", Agents, false),
    ("get secrets", Agents, false),
    ("list secrets", Release, false),
];

/// `--as` an account of the release.
fn account(component: &str) -> String {
    format!("--as=system:serviceaccount:{NAMESPACE}:{RELEASE}-{component}")
}

fn namespace_of(place: Where, agents: &Namespace) -> String {
    match place {
        Agents => format!("--namespace={}", agents.name()),
        Release => format!("--namespace={NAMESPACE}"),
        Everywhere => "--all-namespaces".to_owned(),
    }
}

/// Whether the account may do `what`: a verb and a resource, with a name or a subresource.
fn can(cluster: &Cluster, component: &str, what: &str, namespace: &str) -> Result<bool> {
    let Some((verb, resource)) = what.split_once(' ') else {
        bail!("{what:?} is not a verb and a resource");
    };
    // "resource/name" is how kubectl has it; a subresource is a flag.
    let subresources = [
        "status",
        "exec",
        "portforward",
        "log",
        "ephemeralcontainers",
        "token",
    ];
    let (resource, subresource) = match resource.rsplit_once('/') {
        Some((resource, last)) if subresources.contains(&last) => {
            (resource, format!("--subresource={last}"))
        }
        _ => (resource, "--subresource=".to_owned()),
    };
    let mut command = cluster.kubectl_command();
    command.args(["auth", "can-i", verb, resource, &subresource, namespace]);
    let out = command.arg(account(component)).output()?;
    // It prints its answer, and says it by its exit code too.
    match String::from_utf8(out.stdout)?.lines().next() {
        Some("yes") => Ok(true),
        Some(no) if no.starts_with("no") => Ok(false),
        _ => bail!("{what}: {}", String::from_utf8_lossy(&out.stderr)),
    }
}

/// Asks every question of a table.
fn ask(component: &str, table: &[(&str, Where, bool)]) -> Result<()> {
    let _turn = Turn::shared();
    let agents = Namespace::create(&ground()?.house.cluster, "rbac")?;
    ask_in(&agents, component, table)
}

fn ask_in(agents: &Namespace, component: &str, table: &[(&str, Where, bool)]) -> Result<()> {
    let cluster = agents.cluster();
    let mut wrong = Vec::new();
    for (what, place, expected) in table {
        let may = can(cluster, component, what, &namespace_of(*place, agents))?;
        if may != *expected {
            wrong.push(format!("{what} ({place:?}): {may}"));
        }
    }
    ensure!(wrong.is_empty(), "{component}: {}", wrong.join(", "));
    Ok(())
}

#[test]
fn rbac_controller_may_what_it_must_and_not_what_is_next_to_it() -> Result<()> {
    ask("controller", CONTROLLER)
}

#[test]
fn rbac_webhook_may_what_it_must_and_not_what_is_next_to_it() -> Result<()> {
    ask("webhook", WEBHOOK)
}

#[test]
fn rbac_test_of_the_release_may_what_it_must_and_not_what_is_next_to_it() -> Result<()> {
    let _turn = Turn::shared();
    let cluster = &ground()?.house.cluster;
    let agents = Namespace::create(cluster, "check")?;
    let chart = house::root().join("charts/postern");
    let rendered = cluster.helm([
        "template",
        RELEASE,
        &chart.to_string_lossy(),
        "--namespace",
        NAMESPACE,
        "--show-only=templates/tests/check.yaml",
        &format!("--set=tests.namespace={}", agents.name()),
    ])?;
    // Its roles alone, and under no label by which the test of a test that runs meanwhile would find them.
    for mut object in yaml::from_multiple::<Value>(&rendered)? {
        let kind = object["kind"].as_str().unwrap_or_default();
        if kind == "Role" || kind == "RoleBinding" {
            object["metadata"]["labels"] = Value::Null;
            agents.apply(&object.to_string())?;
        }
    }
    ask_in(&agents, "check", CHECK)
}

/// Every right of an account in a namespace beyond those that all accounts have, as `kubectl auth can-i --list` prints it.
fn rights(cluster: &Cluster, account: &str, namespace: &str) -> Result<BTreeSet<String>> {
    let list = |account: &str| -> Result<BTreeSet<String>> {
        let printed = cluster.kubectl([
            "auth",
            "can-i",
            "--list",
            "--no-headers",
            account,
            namespace,
        ])?;
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(printed.lines().map(words).collect())
    };
    let nobody = list(&format!("--as=system:serviceaccount:{NAMESPACE}:default"))?;
    Ok(list(account)?.difference(&nobody).cloned().collect())
}

#[test]
fn rbac_no_account_has_any_right_that_is_not_written_down() -> Result<()> {
    let _turn = Turn::shared();
    let cluster = &ground()?.house.cluster;
    let agents = Namespace::create(cluster, "rights")?;
    // Resources, URLs, names, verbs.
    let controller = [
        "agentidentities.postern.dev [] [] [get list watch]",
        "agentidentities.postern.dev/status [] [] [patch]",
        "configmaps [] [] [get]",
        "credentialstores.postern.dev [] [] [get list watch]",
        "credentialstores.postern.dev/status [] [] [patch]",
        "egresspolicies.postern.dev [] [] [get list watch]",
        "egresspolicies.postern.dev/status [] [] [patch]",
        "events.events.k8s.io [] [] [create patch]",
        "namespaces [] [] [get]",
        "pods [] [] [list watch]",
        "secrets [] [] [get create patch]",
        "tokenreviews.authentication.k8s.io [] [] [create]",
    ];
    let webhook = [
        "agentidentities.postern.dev [] [] [get list watch]",
        "egresspolicies.postern.dev [] [] [get list watch]",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io [] [postern] [get patch]",
    ];
    let lease = [
        "leases.coordination.k8s.io [] [] [create]",
        "leases.coordination.k8s.io [] [postern-controller] [get update]",
        "secrets [] [postern-controller-ca] [get update]",
        "serviceaccounts/token [] [postern-controller] [create]",
    ];
    let authority = ["secrets [] [postern-webhook-ca] [get update]"];
    for (component, everywhere, release) in [
        ("controller", &controller[..], &lease[..]),
        ("webhook", &webhook[..], &authority[..]),
    ] {
        let expect = |lines: &[&str]| -> BTreeSet<String> {
            lines.iter().map(|line| (*line).to_owned()).collect()
        };
        let account = account(component);
        let found = rights(cluster, &account, &namespace_of(Agents, &agents))?;
        assert_eq!(found, expect(everywhere), "{component} with agents");
        let found = rights(cluster, &account, &namespace_of(Release, &agents))?;
        let expected = expect(&[everywhere, release].concat());
        assert_eq!(found, expected, "{component} at home");
    }
    Ok(())
}
