//! Whose bundle a pod mounts.

use k8s_openapi::api::core::v1::Pod;
use postern_crds::names::{BUNDLE_VOLUME, CONTAINER, IDENTITY_LABEL, bundle_secret};

use super::Asker;

/// The identity whose bundle the kubelet mounts into the sidecar of `pod`, if it is the pod of `asker` and not at its end.
///
/// The label can be changed while the pod runs, its volumes cannot: so both have to say the same.
pub(super) fn identity<'a>(pod: &'a Pod, asker: &Asker) -> Option<&'a str> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref()?;
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let is_asker = metadata.uid.as_deref() == Some(&*asker.uid)
        && metadata.name.as_deref() == Some(&*asker.pod)
        && spec.service_account_name.as_deref() == Some(&*asker.account);
    let has_ended =
        metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"));
    if !is_asker || has_ended {
        return None;
    }
    let identity = metadata.labels.as_ref()?.get(IDENTITY_LABEL)?;
    let mut containers = spec.init_containers.iter().flatten();
    let sidecar = containers.find(|container| container.name == CONTAINER)?;
    let mut mounts = sidecar.volume_mounts.iter().flatten();
    mounts.find(|mount| mount.name == BUNDLE_VOLUME)?;
    let mut volumes = spec.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == BUNDLE_VOLUME)?;
    let secret = volume.secret.as_ref()?.secret_name.as_deref()?;
    (secret == bundle_secret(identity)).then_some(identity)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mounted(change: impl FnOnce(&mut Value)) -> Option<String> {
        let mut pod = json!({
            "metadata": { "name": "bot-1", "uid": "uid-1", "labels": { "postern.dev/identity": "support-bot" } },
            "spec": {
                "serviceAccountName": "bot",
                "containers": [],
                "initContainers": [{ "name": "postern", "volumeMounts": [{ "name": "postern-bundle", "mountPath": "/b" }] }],
                "volumes": [{ "name": "postern-bundle", "secret": { "secretName": "postern-support-bot" } }],
            },
            "status": { "phase": "Running" },
        });
        change(&mut pod);
        let asker = Asker {
            namespace: "agents".into(),
            account: "bot".into(),
            pod: "bot-1".into(),
            uid: "uid-1".into(),
        };
        let pod: Pod = serde_json::from_value(pod).unwrap();
        identity(&pod, &asker).map(str::to_owned)
    }

    #[test]
    fn a_running_pod_mounts_the_bundle_of_its_identity() {
        assert_eq!(mounted(|_| {}).as_deref(), Some("support-bot"));
    }

    #[test]
    fn a_pod_that_is_another_or_at_its_end_or_without_a_sidecar_mounts_none() {
        let changes: [fn(&mut Value); 9] = [
            |pod| pod["metadata"]["uid"] = json!("uid-2"),
            |pod| pod["metadata"]["name"] = json!("bot-2"),
            |pod| pod["metadata"]["deletionTimestamp"] = json!("2026-11-25T00:00:00Z"),
            |pod| pod["spec"]["serviceAccountName"] = json!("other"),
            |pod| pod["status"]["phase"] = json!("Succeeded"),
            |pod| pod["spec"]["initContainers"] = json!([]),
            |pod| pod["spec"]["initContainers"][0]["volumeMounts"] = json!([]),
            |pod| pod["spec"]["volumes"] = json!([]),
            // Its label was changed to an identity with more in it.
            |pod| pod["metadata"]["labels"]["postern.dev/identity"] = json!("admin"),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_eq!(mounted(change), None, "{index}");
        }
    }
}
