//! `postern-operator check`: does a cluster inject? A look from outside, by dry run, which leaves nothing behind.

use std::{
    fmt::Debug,
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Resource,
    api::{ListParams, PostParams},
};
use postern_crds::{AgentIdentity, EgressPolicy, names};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{config::CheckArgs, kube_error};

/// The identity that the pod asks for. It need not exist: a real pod would wait for it.
const IDENTITY: &str = "postern-check";
/// Between two questions to a webhook that does not answer yet.
const RETRY: Duration = Duration::from_secs(2);

/// Prints what it finds.
///
/// # Errors
/// What is wrong, if the cluster does not do what it should. A webhook that does not answer yet is asked again until the time is up.
pub async fn run(client: Client, args: CheckArgs) -> anyhow::Result<()> {
    let CheckArgs {
        namespace,
        timeout_seconds,
    } = args;
    served::<AgentIdentity>(&client, &namespace).await?;
    served::<EgressPolicy>(&client, &namespace).await?;
    say("ok  identities and policies are known to the API server")?;

    let pods = Api::namespaced(client, &namespace);
    let deadline = Instant::now() + Duration::from_secs(timeout_seconds);
    let image = loop {
        match annotated(&pods, &namespace).await {
            Ok(image) => break image,
            Err(error) if Instant::now() + RETRY > deadline => return Err(error),
            Err(error) => say(&format!("..  {error:#}; asking again"))?,
        }
        sleep(RETRY).await;
    };
    say(&format!(
        "ok  a pod in {namespace} with {}: {IDENTITY} would get the sidecar {image}",
        names::IDENTITY_ANNOTATION
    ))?;

    let untouched = create(&pods, false)
        .await
        .context("creating a pod without our annotation, by dry run")?;
    ensure!(
        sidecar(&untouched).is_none(),
        "a pod that did not ask for a sidecar would get one"
    );
    say(&format!(
        "ok  a pod in {namespace} without it would be left alone"
    ))
}

/// Whether the API server knows a kind of ours.
async fn served<K>(client: &Client, namespace: &str) -> anyhow::Result<()>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    match api.list_metadata(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(()),
        Err(error) if kube_error::code(&error) == Some(404) => {
            bail!(
                "the API server does not know {}: install the custom resource definitions",
                K::plural(&())
            )
        }
        Err(error) => bail!(
            "listing {} in {namespace}: {}",
            K::plural(&()),
            kube_error::describe(&error)
        ),
    }
}

/// The image of the sidecar that an annotated pod would get.
async fn annotated(pods: &Api<Pod>, namespace: &str) -> anyhow::Result<String> {
    let pod = create(pods, true)
        .await
        .context("creating an annotated pod, by dry run")?;
    sidecar(&pod).with_context(|| format!("an annotated pod would start without its sidecar: are pods of {namespace} excluded from injection?"))
}

async fn create(pods: &Api<Pod>, annotated: bool) -> anyhow::Result<Pod> {
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match pods.create(&params, &pod(annotated)?).await {
        Ok(pod) => Ok(pod),
        Err(error) => bail!("{}", kube_error::describe(&error)),
    }
}

/// A pod that every namespace takes: it is within Pod Security `restricted`, and it is sized.
fn pod(annotated: bool) -> anyhow::Result<Pod> {
    let annotations = if annotated {
        json!({ names::IDENTITY_ANNOTATION: IDENTITY })
    } else {
        json!({})
    };
    let pod = json!({
        "metadata": { "generateName": "postern-check-", "annotations": annotations },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "agent",
                "image": "postern.dev/never-pulled",
                "resources": {
                    "requests": { "cpu": "1m", "memory": "1Mi" },
                    "limits": { "cpu": "10m", "memory": "16Mi" },
                },
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    });
    serde_json::from_value(pod).context("reading a constant pod")
}

/// The image of the native sidecar that comes before all other containers, if there is one and it is ours.
fn sidecar(pod: &Pod) -> Option<String> {
    let first = pod.spec.as_ref()?.init_containers.as_ref()?.first()?;
    let native = first.restart_policy.as_deref() == Some("Always");
    (native && first.name == names::CONTAINER)
        .then(|| first.image.clone())
        .flatten()
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("printing what was found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_init_container(container: &serde_json::Value) -> Pod {
        let mut pod = serde_json::to_value(pod(true).unwrap()).unwrap();
        pod["spec"]["initContainers"] = json!([container]);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn our_native_sidecar_in_the_first_place_is_found() {
        let pod = with_init_container(
            &json!({ "name": "postern", "image": "sidecar:1", "restartPolicy": "Always" }),
        );
        assert_eq!(sidecar(&pod).as_deref(), Some("sidecar:1"));
    }

    #[test]
    fn no_sidecar_is_found_in_a_pod_as_its_author_wrote_it() {
        assert_eq!(sidecar(&pod(true).unwrap()), None);
        let init = with_init_container(&json!({ "name": "postern", "image": "sidecar:1" }));
        assert_eq!(
            sidecar(&init),
            None,
            "an init container that ends is no sidecar"
        );
        let foreign = with_init_container(
            &json!({ "name": "istio-proxy", "image": "proxy:1", "restartPolicy": "Always" }),
        );
        assert_eq!(sidecar(&foreign), None);
    }
}
