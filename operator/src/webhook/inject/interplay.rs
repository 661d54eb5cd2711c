//! What else in a pod gets in the sidecar's way, or round it.

use postern_crds::{
    names::{self, ADMIN_PORT, DATA_PORT},
    route::Variable,
};
use serde_json::Value;

use super::pod::{Container, Pod, items};

/// Istio's annotation that lists ports whose inbound connections it leaves alone.
const ISTIO_EXCLUDED_PORTS: &str = "traffic.sidecar.istio.io/excludeInboundPorts";

/// Reports what will not work, or not protect.
pub(super) fn warn(pod: &Pod<'_>, variables: &[Variable], warnings: &mut Vec<String>) {
    let others = || {
        pod.all_containers()
            .filter(|container| container.name != names::CONTAINER)
    };
    for container in others() {
        if let Some(port) = taken_port(&container) {
            warnings.push(format!(
                "{container} uses port {port}, which is the sidecar's: choose another"
            ));
        }
        if container.security("privileged") == Some(&Value::Bool(true)) {
            warnings.push(format!(
                "{container} is privileged: it can read the keys in the sidecar's memory"
            ));
        }
    }
    // Injected before us, Istio had no chance to route our probes through its own.
    if others().any(|container| container.name == "istio-proxy") && !istio_spares_our_probes(pod) {
        warnings.push(format!(
            "Istio with strict mutual TLS refuses the kubelet's probes of the sidecar: set annotation {ISTIO_EXCLUDED_PORTS}: \"{ADMIN_PORT}\""
        ));
    }
    if let Some(early) = pod
        .init_containers
        .iter()
        .take_while(|container| container.name != names::CONTAINER)
        .last()
        && pod
            .init_containers
            .iter()
            .any(|container| container.name == names::CONTAINER)
        && !variables.is_empty()
    {
        warnings.push(format!(
            "init containers up to {} run before the sidecar, and cannot use it",
            early.name
        ));
    }
}

fn taken_port(container: &Container<'_>) -> Option<u16> {
    let ports = items(container.value, "ports").filter_map(|port| port["containerPort"].as_u64());
    ports
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| [DATA_PORT, ADMIN_PORT].contains(port))
}

fn istio_spares_our_probes(pod: &Pod<'_>) -> bool {
    let excluded = pod.annotation(ISTIO_EXCLUDED_PORTS).unwrap_or_default();
    let admin = ADMIN_PORT.to_string();
    excluded.split(',').any(|port| port.trim() == admin)
}
