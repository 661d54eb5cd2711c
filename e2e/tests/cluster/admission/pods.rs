//! Other pods than the one that a bundle is for: of the same author, of a CronJob, of a backup, of a kubelet.

use anyhow::{Context, Result, ensure};
use postern_e2e::{PATIENCE, until};
use serde_json::{Value, json};

use super::{Caller, caller::refusal};
use crate::support::{Agents, admit, agent, create, ground, resting, talk, without_postern};

const BUNDLES: &str = "postern-bundles";
/// Makes kubectl ask without leaving anything.
const TRY: [&str; 3] = ["create", "--dry-run=server", "--filename=-"];

/// What the webhook adds for the bundle.
fn bundle_volume() -> Value {
    json!({"name": "postern-bundle", "secret": {"secretName": "postern-support-bot", "defaultMode": 0o444}})
}

/// `pod` with one more volume, which its container mounts.
fn mounting(mut pod: Value, volume: Value) -> Value {
    let mount = json!({"name": volume["name"], "mountPath": "/loot"});
    let list = |value: &mut Value, item: Value| value.as_array_mut().expect("a list").push(item);
    list(&mut pod["spec"]["volumes"], volume);
    list(&mut pod["spec"]["containers"][0]["volumeMounts"], mount);
    pod
}

#[test]
fn admission_second_pod_of_the_same_author_gets_no_bundle() -> Result<()> {
    let agents = Agents::create("second")?;
    let dev = Caller::developer(&agents.namespace)?;
    let plain = mounting(without_postern(resting("second")?), bundle_volume());
    let words = dev.may_not(BUNDLES, &TRY, &plain.to_string())?;
    assert!(
        words.contains("annotate the pod with postern.dev/identity"),
        "{words}"
    );

    // It calls itself a sidecar. Without the annotation the webhook is not asked, and has not looked at it.
    let mut disguised = without_postern(resting("disguised")?);
    disguised["spec"]["volumes"]
        .as_array_mut()
        .context("volumes")?
        .push(bundle_volume());
    disguised["spec"]["initContainers"] = json!([{
        "name": "postern", "image": ground()?.python, "restartPolicy": "Always",
        "volumeMounts": [{"name": "postern-bundle", "mountPath": "/var/run/postern/bundle"}],
    }]);
    dev.may_not(BUNDLES, &TRY, &disguised.to_string())?;

    // The same with the annotation, where no webhook is asked for any pod.
    disguised["metadata"]["annotations"] = json!({"postern.dev/identity": "support-bot"});
    let mut command = agents.namespace.cluster().kubectl_command();
    command.args(TRY).args(["--namespace", "kube-system"]);
    let said = talk(&mut command, &disguised.to_string())?;
    let words = refusal(BUNDLES, &said.stderr).context(said.stderr)?;
    assert!(words.contains("No pod gets a sidecar here"), "{words}");

    // With a sidecar of its own, but the bundle of another identity; of one that the webhook knows, it refuses that itself.
    for (bundle, policy) in [("postern-former-bot", true), ("postern-support-bot", false)] {
        let other = mounting(
            resting("other")?,
            json!({"name": "loot", "secret": {"secretName": bundle}}),
        );
        if policy {
            let words = dev.may_not(BUNDLES, &TRY, &other.to_string())?;
            assert!(words.contains("the one of identity support-bot"), "{words}");
        } else {
            let said = dev.says(&TRY, &other.to_string())?;
            assert!(!said.success, "{}", said.stdout);
        }
    }

    // What the author may have instead.
    let injected = admit(&agents.namespace, &resting("second")?)?.object;
    assert_eq!(injected["spec"]["initContainers"][0]["name"], "postern");
    dev.may(&TRY, &without_postern(resting("plain")?).to_string())?;
    Ok(())
}

#[test]
fn admission_cron_job_is_judged_by_its_pods() -> Result<()> {
    let agents = Agents::create("cron")?;
    let dev = Caller::developer(&agents.namespace)?;
    let job_of = |name: &str, pod: &Value| {
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {
                "metadata": {"annotations": pod["metadata"]["annotations"]}, "spec": pod["spec"],
            }}}},
        })
    };
    let thief = mounting(without_postern(resting("thief")?), bundle_volume());
    for (name, pod) in [("thief", &thief), ("honest", &resting("honest")?)] {
        dev.may(&["create", "--filename=-"], &job_of(name, pod).to_string())?;
        let from = format!("--from=cronjob/{name}");
        dev.may(&["create", "job", name, &from], "")?;
    }
    let told = until("the Job to be told", PATIENCE, || {
        let events = agents.namespace.kubectl([
            "get",
            "events",
            "--field-selector=reason=FailedCreate,involvedObject.name=thief",
            "--output=jsonpath={.items[*].message}",
        ])?;
        refusal(BUNDLES, &events).with_context(|| events.clone())
    })?;
    assert!(told.contains("Remove the volume and annotate"), "{told}");
    until("the honest Job's pod", PATIENCE, || {
        let sidecar = agents.namespace.kubectl([
            "get",
            "pods",
            "--selector=job-name=honest",
            "--output=jsonpath={.items[0].spec.initContainers[0].name}",
        ])?;
        ensure!(sidecar == "postern", "{sidecar:?}");
        Ok(())
    })?;
    let stolen =
        agents
            .namespace
            .kubectl(["get", "pods", "--selector=job-name=thief", "--output=name"])?;
    assert_eq!(stolen, "");
    Ok(())
}

#[test]
fn admission_restored_pod_comes_back_with_the_same_sidecar_or_not_at_all() -> Result<()> {
    let agents = Agents::create("restore")?;
    let namespace = &agents.namespace;
    let dev = Caller::developer(namespace)?;
    let injected = create(namespace, &resting("bot")?)?.object;
    // As backup programs keep it.
    let mut backup = json!({
        "apiVersion": "v1", "kind": "Pod", "spec": injected["spec"],
        "metadata": {
            "name": "restored", "labels": injected["metadata"]["labels"], "annotations": injected["metadata"]["annotations"],
        },
    });
    let restored = admit(namespace, &backup)?.object;
    assert_eq!(
        restored["spec"]["initContainers"],
        injected["spec"]["initContainers"]
    );

    // Restored without its annotations, nobody has looked at the sidecar.
    let annotations = backup["metadata"]["annotations"].take();
    dev.may_not(BUNDLES, &TRY, &backup.to_string())?;
    backup["metadata"]["annotations"] = annotations;
    // The backup was edited: this is the webhook's to refuse.
    backup["spec"]["initContainers"][0]["image"] = ground()?.python.clone().into();
    let said = dev.says(&TRY, &backup.to_string())?;
    assert!(
        said.stderr
            .contains("init container postern is not what would be injected"),
        "{}{}",
        said.stdout,
        said.stderr
    );

    // A restored bundle belongs to an identity that is no more: it goes.
    let mut bundle = namespace.get("secret", "postern-support-bot")?;
    bundle["metadata"] = json!({
        "name": "postern-gone-bot", "labels": bundle["metadata"]["labels"], "ownerReferences": bundle["metadata"]["ownerReferences"],
    });
    bundle["metadata"]["ownerReferences"][0]["name"] = "gone-bot".into();
    bundle["metadata"]["ownerReferences"][0]["uid"] = "00000000-0000-0000-0000-000000000001".into();
    dev.may(&["create", "--filename=-"], &bundle.to_string())?;
    until("the restored bundle to be gone", PATIENCE, || {
        let left = namespace.kubectl(["get", "secrets", "--output=name"])?;
        ensure!(!left.contains("postern-gone-bot"), "{left}");
        Ok(())
    })
}

#[test]
fn admission_debug_copy_of_a_pod_is_looked_at_again_or_refused() -> Result<()> {
    let agents = Agents::create("copy")?;
    let dev = Caller::developer(&agents.namespace)?;
    agent(&agents, "bot")?;
    let image = format!("--image={}", ground()?.python);
    let copy = ["debug", "bot", "--copy-to=copy", &image];
    // kubectl leaves the annotations behind unless it is told to keep them.
    dev.may_not(BUNDLES, &copy, "")?;
    let shared = dev.says(&[&copy[..], &["--keep-annotations"]].concat(), "")?;
    assert!(
        !shared.success && shared.stderr.contains("spec.shareProcessNamespace"),
        "{}",
        shared.stderr
    );
    let kept = [
        "--keep-annotations",
        "--share-processes=false",
        "--",
        "true",
    ];
    dev.may(&[&copy[..], &kept].concat(), "")?;
    let copied = agents.namespace.get("pod", "copy")?;
    assert_eq!(copied["spec"]["initContainers"][0]["name"], "postern");
    assert_eq!(
        copied["metadata"]["labels"]["postern.dev/identity"],
        "support-bot"
    );
    Ok(())
}

#[test]
fn admission_static_pods_name_no_secret_at_all() -> Result<()> {
    let agents = Agents::create("static")?;
    let namespace = &agents.namespace;
    let node = namespace.cluster().kubectl([
        "get",
        "nodes",
        "--output=jsonpath={.items[0].metadata.name} {.items[0].metadata.uid}",
    ])?;
    let (name, uid) = node.split_once(' ').context("a node")?;
    // The kubelet shows the API server each of its static pods by a pod like this.
    let mirror = |volumes: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("static-{name}"),
                "annotations": {
                    "kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file", "kubernetes.io/config.hash": "x",
                    "postern.dev/identity": "support-bot",
                },
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid, "controller": true}],
            },
            "spec": {"nodeName": name, "containers": [{"name": "program", "image": "none"}], "volumes": volumes},
        })
        .to_string()
    };
    let kubelet = Caller::named(namespace, &format!("system:node:{name}"));
    let kubelet = kubelet.in_group("system:nodes");
    kubelet.may(&TRY, &mirror(json!([])))?;
    // This is Kubernetes' own rule, whoever asks; a kubelet does not run a static pod that names one either.
    let dev = Caller::developer(namespace)?;
    for who in [&kubelet, &dev] {
        let said = who.says(&TRY, &mirror(json!([bundle_volume()])))?;
        assert!(
            !said.success && said.stderr.contains("mirror pod may not reference secrets"),
            "{}{}",
            said.stdout,
            said.stderr
        );
    }
    Ok(())
}

#[test]
fn admission_sidecar_of_a_running_pod_stays_as_it_was_made() -> Result<()> {
    const SIDECARS: &str = "postern-sidecars";
    let agents = Agents::create("stays")?;
    let dev = Caller::developer(&agents.namespace)?;
    agent(&agents, "bot")?;
    let words = dev.may_not(
        SIDECARS,
        &[
            "set",
            "image",
            "pod/bot",
            "postern=evil",
            "--dry-run=server",
        ],
        "",
    )?;
    assert!(words.contains("kubectl rollout restart"), "{words}");
    for change in ["postern.dev/identity-", "postern.dev/identity=other"] {
        let change = ["pod", "bot", change, "--overwrite", "--dry-run=server"];
        dev.may_not(SIDECARS, &[&["label"], &change[..]].concat(), "")?;
        dev.may_not(SIDECARS, &[&["annotate"], &change[..]].concat(), "")?;
    }
    // Whoever may write the status only may change labels by it.
    let label = |name: &str, value: Value| {
        let patch = json!({"metadata": {"labels": {name: value}}}).to_string();
        let status = [
            "patch",
            "pod",
            "bot",
            "--subresource=status",
            "--type=merge",
        ];
        let status = status.map(str::to_owned).into_iter();
        status.chain(["--patch".into(), patch]).collect::<Vec<_>>()
    };
    for value in [Value::Null, json!("other")] {
        let change = label("postern.dev/identity", value);
        let change: Vec<_> = change.iter().map(String::as_str).collect();
        dev.may_not(SIDECARS, &change, "")?;
    }
    let harmless = label("seen", json!("yes"));
    let harmless: Vec<_> = harmless.iter().map(String::as_str).collect();
    dev.may(&harmless, "")?;

    // Kubernetes itself keeps the rest as it is.
    for (field, value) in [
        ("command", json!(["sh"])),
        ("args", json!(["serve", "--log-level", "debug"])),
        ("securityContext", json!({"runAsUser": 0})),
        (
            "volumeMounts",
            json!([{"name": "programs", "mountPath": "/program"}]),
        ),
    ] {
        let patch =
            json!({"spec": {"initContainers": [{"name": "postern", field: value}]}}).to_string();
        let said = dev.says(
            &["patch", "pod", "bot", "--dry-run=server", "--patch", &patch],
            "",
        )?;
        assert!(!said.success, "{field}: {}", said.stdout);
    }

    dev.may(
        &["set", "image", "pod/bot", "agent=other", "--dry-run=server"],
        "",
    )?;
    dev.may(&["label", "pod", "bot", "team=agents"], "")?;
    dev.may(&["annotate", "pod", "bot", "team=agents"], "")?;
    Ok(())
}
