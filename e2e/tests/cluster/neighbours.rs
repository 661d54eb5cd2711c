//! Does the chart fit what else a cluster may have: cert-manager and the Prometheus operator?

use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use postern_e2e::{
    Cluster, Namespace, PATIENCE,
    house::{self, NAMESPACE, RELEASE},
    neighbours::{self, CertManager},
    run, until,
};
use serde_json::Value;

use crate::support::{Agents, Restored, Turn, admit, agent, ground, helm, resting};

/// Makes the cluster know the resources of both, as their makers define them.
fn define(cluster: &Cluster) -> Result<()> {
    static DEFINED: OnceLock<Result<(), String>> = OnceLock::new();
    let define = || -> Result<()> {
        for folder in neighbours::definitions()? {
            let folder = folder.to_string_lossy().into_owned();
            // The folders hold a README too, which kubectl passes over.
            cluster.kubectl(["apply", "--server-side", "--filename", &folder])?;
        }
        let names = ["certificates.cert-manager.io", "issuers.cert-manager.io"];
        let names = names.iter().chain(&[
            "podmonitors.monitoring.coreos.com",
            "prometheusrules.monitoring.coreos.com",
            "servicemonitors.monitoring.coreos.com",
        ]);
        for name in names {
            let definition = format!("customresourcedefinition/{name}");
            cluster.kubectl([
                "wait",
                &definition,
                "--for=condition=Established",
                "--timeout=60s",
            ])?;
        }
        Ok(())
    };
    DEFINED
        .get_or_init(|| define().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map(|&()| ())
        .map_err(|error| anyhow!("defining the neighbours' resources: {error}"))
}

#[test]
fn chart_renders_what_the_schemas_of_kubernetes_and_of_its_neighbours_accept() -> Result<()> {
    let _turn = Turn::shared();
    let cluster = &ground()?.house.cluster;
    define(cluster)?;
    let namespace = Namespace::create(cluster, "schemas")?;
    let agents = Namespace::create(cluster, "schemas-agents")?;
    let name = namespace.name();
    let chart = house::root().join("charts/postern");
    // The sets of values of the golden files; what they say of namespaces that are not here is said of others.
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("defaults", &[], &["NetworkPolicy", "Deployment"]),
        ("least", &[], &["Deployment"]),
        ("host-network", &[], &["Deployment"]),
        (
            "watch-namespaces",
            &["rbac.watchNamespaces={AGENTS}"],
            &["RoleBinding"],
        ),
        ("cert-manager", &[], &["Issuer", "Certificate"]),
        (
            "most",
            &[
                "rbac.watchNamespaces={AGENTS}",
                "tests.namespace=AGENTS",
                "metrics.serviceMonitor.namespace=NAME",
                "metrics.prometheusRule.namespace=NAME",
            ],
            &[
                "Certificate",
                "PodMonitor",
                "PrometheusRule",
                "ServiceMonitor",
                "NetworkPolicy",
            ],
        ),
    ];
    for (set, changes, kinds) in cases {
        let values = house::root().join(format!("e2e/tests/chart/values/{set}.yaml"));
        let mut template = vec!["template".to_owned(), format!("{name}-{set}")];
        template.push(chart.to_string_lossy().into_owned());
        template.push(format!("--namespace={name}"));
        template.push(format!("--values={}", values.display()));
        // Definitions are there already, and the pod of `helm test` needs its account to be there.
        template.extend(["--no-hooks", "--set=crds.install=false"].map(str::to_owned));
        for change in changes {
            let change = change
                .replace("NAME", name)
                .replace("AGENTS", agents.name());
            template.push(format!("--set={change}"));
        }
        let rendered = cluster.helm(&template)?;
        let mut apply = cluster.kubectl_command();
        apply.args([
            "create",
            "--dry-run=server",
            "--validate=strict",
            "--filename=-",
            "--output=jsonpath={.kind}{\"\\n\"}",
        ]);
        let accepted = run::output_with(&rendered, &mut apply)
            .with_context(|| format!("creating what the values {set} render"))?;
        let rendered = rendered.matches("\nkind: ").count();
        ensure!(
            accepted.lines().count() == rendered,
            "{set}: {rendered} objects were rendered, accepted were {accepted}"
        );
        for kind in kinds {
            ensure!(
                accepted.lines().any(|accepted| accepted == *kind),
                "{set} renders no {kind}: {accepted}"
            );
        }
    }
    Ok(())
}

/// The authority that the API server verifies the webhook by, and the one that the certificate of its Secret was signed by; both as PEM.
fn authorities(cluster: &Cluster) -> Result<[String; 2]> {
    let get = |kind: &str, name: &str| -> Result<Value> {
        let printed =
            cluster.kubectl(["get", kind, name, "--namespace", NAMESPACE, "--output=json"])?;
        serde_json::from_str(&printed).with_context(|| format!("reading {kind} {name}"))
    };
    let configuration = get("mutatingwebhookconfiguration", RELEASE)?;
    let secret = get("secret", &format!("{RELEASE}-webhook-tls"))?;
    let texts = [
        &configuration["webhooks"][0]["clientConfig"]["caBundle"],
        &secret["data"]["ca.crt"],
    ];
    let [bundle, signer] = texts.map(|text| -> Result<String> {
        let bytes = STANDARD.decode(text.as_str().unwrap_or_default())?;
        Ok(String::from_utf8(bytes)?)
    });
    Ok([bundle?, signer?])
}

#[test]
fn chart_takes_its_certificate_from_cert_manager_and_a_renewed_one_without_a_restart() -> Result<()>
{
    let agents = Agents::create_alone("cert-manager")?;
    let house = &ground()?.house;
    let cluster = &house.cluster;
    define(cluster)?;
    let restored = Restored::later(house);
    let agent = agent(&agents, "bot")?;
    let _cert_manager = CertManager::start(cluster)?;

    let chart = house::root().join("charts/postern");
    let chart = chart.to_string_lossy();
    let change = [
        &*chart,
        "--reuse-values",
        "--set=webhook.certificates=certManager",
        "--wait",
        "--timeout=5m",
    ];
    helm(cluster, "upgrade", &change)?;
    let first = until(
        "cert-manager's authority in the configuration",
        PATIENCE,
        || {
            let [bundle, signer] = authorities(cluster)?;
            // It adds to what is there, so that nobody who still serves the former certificate is cut off.
            ensure!(
                bundle.contains(signer.trim()),
                "the bundle has other authorities only"
            );
            Ok(signer)
        },
    )?;
    // The webhook answers, since without it the API server would refuse the pod.
    admit(&agents.namespace, &resting("first")?)?;
    let pods = webhooks(cluster)?;

    // Another authority signs another certificate: everything that the first one was trusted by goes.
    for secret in ["webhook-root", "webhook-tls"] {
        cluster.kubectl([
            "delete",
            "secret",
            &format!("{RELEASE}-{secret}"),
            "--namespace",
            NAMESPACE,
        ])?;
    }
    until("the next authority in the configuration", PATIENCE, || {
        let [bundle, signer] = authorities(cluster)?;
        ensure!(signer != first, "the first authority is still there");
        ensure!(
            bundle.contains(signer.trim()),
            "the bundle has other authorities only"
        );
        // Each replica learns of it by itself, from the kubelet.
        admit(&agents.namespace, &resting("second")?)?;
        Ok(())
    })?;
    assert_eq!(webhooks(cluster)?, pods, "a replica was started again");

    restored.now()?;
    agent.ask()?.allowed()?;
    Ok(())
}

/// The webhook's pods with how often each was started again.
fn webhooks(cluster: &Cluster) -> Result<String> {
    let selector = format!(
        "--selector=app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=webhook"
    );
    cluster.kubectl([
        "get",
        "pods",
        "--namespace",
        NAMESPACE,
        &selector,
        "--output=jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}",
    ])
}
