//! Which pods have a sidecar that can be asked, and where.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::ResourceExt as _;
use postern_crds::names::{ADMIN_PORT, CONTAINER};

/// The name of the admin port in the sidecar's container.
const PORT_NAME: &str = "postern-admin";

/// A pod with a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: String,
    /// Where its sidecar can be asked; `None` as long as that does not run.
    pub(crate) admin: Option<SocketAddr>,
}

/// Those of `pods` that have a sidecar, and are neither ending nor at their end.
pub(crate) fn pods(pods: &[PodObject]) -> Vec<Pod> {
    pods.iter().filter_map(pod).collect()
}

fn pod(object: &PodObject) -> Option<Pod> {
    let spec = object.spec.as_ref()?;
    let status = object.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Succeeded" | "Failed"));
    // One on the node's network was not injected, and its address is not its own.
    let is_host = spec.host_network == Some(true);
    if has_ended || is_host || object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let sidecar = spec
        .init_containers
        .iter()
        .flatten()
        .find(|container| container.name == CONTAINER)?;
    let port = sidecar
        .ports
        .iter()
        .flatten()
        .find(|port| port.name.as_deref() == Some(PORT_NAME));
    let port = port.and_then(|port| u16::try_from(port.container_port).ok());
    let address = || -> Option<SocketAddr> {
        let status = status?;
        let containers = status.init_container_statuses.iter().flatten();
        let mut sidecars = containers.filter(|container| container.name == CONTAINER);
        let state = sidecars.next()?.state.as_ref()?;
        state.running.as_ref()?;
        let ip: IpAddr = status.pod_ip.as_ref()?.parse().ok()?;
        Some(SocketAddr::new(ip, port.unwrap_or(ADMIN_PORT)))
    };
    Some(Pod {
        name: object.name_any(),
        admin: address(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn one(change: impl FnOnce(&mut Value)) -> Option<Option<String>> {
        let mut object = json!({
            "metadata": { "name": "p" },
            "spec": {
                "containers": [],
                "initContainers": [{ "name": "postern", "ports": [{ "name": "postern-admin", "containerPort": 14081 }] }],
            },
            "status": {
                "phase": "Running",
                "podIP": "10.0.0.7",
                "initContainerStatuses": [{
                    "name": "postern", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "state": { "running": {} },
                }],
            },
        });
        change(&mut object);
        let object: PodObject = serde_json::from_value(object).unwrap();
        let pod = pod(&object)?;
        Some(pod.admin.map(|admin| admin.to_string()))
    }

    #[test]
    fn a_running_sidecar_is_asked_at_its_pods_address() {
        let admin = one(|_| {});
        assert_eq!(admin, Some(Some("10.0.0.7:14081".to_owned())));
        let admin = one(|pod| pod["status"]["podIP"] = json!("fd00::7"));
        assert_eq!(admin, Some(Some("[fd00::7]:14081".to_owned())));
    }

    #[test]
    fn a_sidecar_that_does_not_run_yet_is_waited_for() {
        assert_eq!(one(|pod| pod["status"] = Value::Null), Some(None));
        let waiting = json!({ "waiting": {} });
        let state = |pod: &mut Value| {
            pod["status"]["initContainerStatuses"][0]["state"] = waiting;
        };
        assert_eq!(one(state), Some(None));
        assert_eq!(one(|pod| pod["status"]["podIP"] = json!("x")), Some(None));
    }

    #[test]
    fn pods_without_a_sidecar_or_at_their_end_or_on_the_nodes_network_are_left_out() {
        assert_eq!(one(|pod| pod["spec"]["initContainers"] = json!([])), None);
        assert_eq!(one(|pod| pod["spec"]["hostNetwork"] = json!(true)), None);
        assert_eq!(one(|pod| pod["status"]["phase"] = json!("Failed")), None);
        let ending = json!("2026-11-24T00:00:00Z");
        assert_eq!(
            one(|pod| pod["metadata"]["deletionTimestamp"] = ending),
            None
        );
    }
}
